"""Files into a library: what is new is read over all cores, what is known is only noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from kinet.embeddings import Embedder
from kinet.errors import DataError, KinetError
from kinet.extraction.naming import Source
from kinet.extraction.recording import Refused
from kinet.extraction.searching import audio_files
from kinet.extraction.sources import read_sources
from kinet.files import digest_of
from kinet.library.pieces import embed_pieces
from kinet.library.rows import File, Sound
from kinet.library.sounds import SoundFile, SoundJob, file_tags, read_sound
from kinet.library.store import Store
from kinet.processes import Workers, workers_of
from kinet.reading import PathLike, known_status, reason, show_path
from kinet.remote import AnyPath, absolute, is_folder, is_there, local_copy, path_or_url
from kinet.workers import Death

#: Called with the files that were worked at, all that are to be, and the seconds of their sound.
Progress = Callable[[int, int, float], object]


@dataclass(frozen=True)
class Unread:
    """A file that could not be read.

    Attributes
    ----------
    path : pathlib.Path or Url
        The file.
    message : str
        Why, in one line.
    """

    path: AnyPath
    message: str


@dataclass
class Added:
    """What became of the files that were to be added.

    Attributes
    ----------
    added : list of pathlib.Path or Url
        Read and put in.
    known : list of pathlib.Path or Url
        Put in without being read: exact copies of what is there, moved and renamed files.
    unchanged : int
        Files that were in it already.
    failed : list of Unread
        Files that could not be read; the rest is in.
    seconds : float
        Of sound that was read.
    """

    added: list[AnyPath] = field(default_factory=list)
    known: list[AnyPath] = field(default_factory=list)
    unchanged: int = 0
    failed: list[Unread] = field(default_factory=list)
    seconds: float = 0.0


def add_files(
    store: Store,
    load: Callable[[], Embedder],
    inputs: Iterable[PathLike | Source],
    workers: int | Workers | None = None,
    progress: Progress | None = None,
) -> Added:
    """Put recordings into a library; each is in it wholly or not at all, whenever this is killed.

    Parameters
    ----------
    store : Store
        The library.
    load : callable
        Gives what embeds; called if there is something to embed.
    inputs : iterable of path or Source
        Files, folders, CSV files as of `kinet.extraction.sources.read_sources`, which state songs,
        or records that do.
    workers : int or kinet.processes.Workers, optional
        Processes, by default one for every core; or a `kinet.cluster.Cluster`.
    progress : callable, optional

    Returns
    -------
    Added

    Raises
    ------
    DataError
        If an input is missing or holds no audio, or the library cannot be written; what was added
        before stays.
    SettingsError
        If `workers` is below 1, or a cluster is meant and Dask not installed.
    """
    those = workers_of(workers)
    work = _Adding(store, load, progress or (lambda done, total, seconds: None))
    work.plan(inputs)
    jobs = work.jobs()
    those.work_off(read_sound, jobs, work.finished, "read", [job.path for job in jobs[:1]])
    return work.report


def wanted(inputs: Iterable[PathLike | Source]) -> Iterator[tuple[AnyPath, str, str]]:
    """Path, stated song and fault of all files that inputs name; songs and faults may be empty.

    Raises
    ------
    DataError
        If an input is missing or holds no audio.
    """
    for one in inputs:
        if isinstance(one, Source):
            yield one.path, one.song_id, one.fault
            continue
        path = path_or_url(one)
        if is_folder(path):
            found = list(audio_files(path))
            if not found:
                raise DataError(f"{show_path(path)}: no audio in this folder; need recordings")
            yield from ((file, "", "") for file in found)
        elif path.suffix.lower() == ".csv":
            yield from wanted(read_sources([path]))
        elif is_there(path):
            yield path, "", ""
        else:
            raise DataError(
                f"{show_path(path)}: missing; need an audio file, a folder of them, or a .csv file"
            )


class _Adding:
    """A library that grows by what is read."""

    def __init__(self, store: Store, load: Callable[[], Embedder], progress: Progress) -> None:
        self.report = Added()
        self._store, self._load, self._progress = store, load, progress
        self._embedder: Embedder | None = None
        self._identity = store.identity()
        self._songs: dict[AnyPath, str] = {}
        self._worked = 0
        with store.reading():
            self._files = {file.path: file for file in store.files()}
            self._numbers = {digest: number for number, digest, _ in store.recordings()}
        self._by_size: dict[int, list[File]] = defaultdict(list)
        for file in self._files.values():
            self._by_size[file.bytes].append(file)

    def plan(self, inputs: Iterable[PathLike | Source]) -> None:
        """Note what is known already; what is left is for `jobs`."""
        for given, song, fault in wanted(inputs):
            path = absolute(given)
            if fault:
                self.report.failed.append(Unread(path, fault))
            elif path not in self._songs and not self._note(path, song):
                self._songs[path] = song

    def jobs(self) -> list[SoundJob]:
        """The files to read."""
        self._progress(0, len(self._songs), 0.0)
        return [SoundJob(path, self._identity.features) for path in self._songs]

    def _note(self, path: AnyPath, song: str) -> bool:
        """Whether there is nothing to read: the file is there, or its content is."""
        try:
            status = known_status(path)
            now = (status.size, status.modified_ns)
            old = self._files.get(path)
            if old and (old.bytes, old.modified_ns) == now:
                self._restate(old, song)
                self.report.unchanged += 1
                return True
            if status.size not in self._by_size:
                return False
            with local_copy(path) as here:
                number = self._numbers.get(bytes.fromhex(digest_of(here)))
                if number is None:
                    return False
                tags = file_tags(here, path)
            gone = self._moved(number, path, status.size)
        except OSError as error:
            self.report.failed.append(Unread(path, reason(error)))
            return True
        song = song or next((self._files[other].song for other in gone), "")
        self._put(File(path, number, *tags, song, *now), gone)
        self.report.known.append(path)
        return True

    def _restate(self, old: File, song: str) -> None:
        if song and song != old.song:
            self._put(replace(old, song=song), [])

    def _moved(self, number: int, path: AnyPath, size: int) -> list[AnyPath]:
        """Files of a recording that are no more where they were."""
        return [
            file.path
            for file in self._by_size[size]
            if file.recording == number and file.path != path and not is_there(file.path)
        ]

    def _put(self, file: File, gone: list[AnyPath]) -> None:
        def change() -> None:
            self._store.put_file(file)
            for path in gone:
                self._store.remove_file(path)

        self._store.write(change)
        self._files[file.path] = file

    def finished(self, job: SoundJob, result: SoundFile | Refused | Death) -> bool:
        """Put in what was read of a file."""
        if isinstance(result, SoundFile):
            self._take(job.path, result)
        else:
            message = (
                f"the process that read it was {result.reason}"
                if isinstance(result, Death)
                else result.message
            )
            self.report.failed.append(Unread(job.path, " ".join(message.split())))
        self._worked += 1
        self._progress(self._worked, len(self._songs), self.report.seconds)
        return True

    def _take(self, path: AnyPath, read: SoundFile) -> None:
        if self._embedder is None:
            self._embedder = self._load()
        try:
            here = self._identity
            rows = embed_pieces(self._embedder, read.hpcp, here.piece, here.hop)
        except KinetError as error:
            self.report.failed.append(Unread(path, str(error)))
            return
        sound = Sound(read.sha256, read.seconds, read.hpcp, rows)
        details = (read.title, read.artist, self._songs[path], read.bytes, read.modified_ns)

        def change() -> int:
            number = self._store.number_of(sound.sha256)
            if number is None:
                number = self._store.add_sound(sound)
            self._store.put_file(File(path, number, *details))
            return number

        self._numbers[sound.sha256] = self._store.write(change)
        self.report.added.append(path)
        self.report.seconds += read.seconds
