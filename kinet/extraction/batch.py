"""What a folder of features holds, what is missing in it, and what a run adds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kinet.config import FeatureConfig
from kinet.data.feature_files import file_name
from kinet.data.manifest import Entry, has_list_of, read_manifest, write_manifest
from kinet.data.settings_file import features_of, write_features
from kinet.extraction.folders import folder_of
from kinet.extraction.naming import Source
from kinet.extraction.recording import Job, Made, Refused, Unwritable
from kinet.reading import known_status, reason, show_path
from kinet.remote import AnyPath, absolute, is_there, path_or_url
from kinet.workers import Death, uninterrupted

# Seconds between two writings of the manifest, and the most of all time that they may take.
SAVE_EVERY = 5.0
SAVE_SHARE = 0.02

Progress = Callable[[int, int, float], object]
Key = tuple[str, str]


@dataclass(frozen=True)
class Failure:
    """A recording of which no features could be made.

    Attributes
    ----------
    source : Source
        The recording.
    message : str
        Why, in one line.
    """

    source: Source
    message: str


@dataclass(frozen=True)
class Report:
    """What a run did, in the order of songs and versions.

    Attributes
    ----------
    done, skipped : tuple of Entry
        Files that were made, and those that had been finished before.
    failed : tuple of Failure
        Recordings without features.
    """

    done: tuple[Entry, ...]
    skipped: tuple[Entry, ...]
    failed: tuple[Failure, ...]


class Batch:
    """The entries of a folder, of earlier runs and of this one.

    Parameters
    ----------
    folder : pathlib.Path or Url
        It exists, and no other run is at work in it.
    config : FeatureConfig
        The settings of all of its features.
    progress : callable, optional
        Called with the recordings that were worked at, all that are to be, and seconds of sound.

    Raises
    ------
    OSError
        If a store does not answer.
    """

    def __init__(
        self, folder: AnyPath, config: FeatureConfig, progress: Progress | None = None
    ) -> None:
        self.unwritable = ""
        self._folder = folder
        self._there = folder_of(folder)
        self._config = config
        self._fingerprint = config.fingerprint()
        self._progress = progress or (lambda finished, total, seconds: None)
        saved = read_manifest(folder)
        self._entries = {_key(entry): entry for entry in saved if self._there.has(_name(entry))}
        self._changed = len(self._entries) < len(saved) or not has_list_of(folder, saved)
        self._planned: dict[Job, tuple[Source, Entry]] = {}
        self._done: list[Entry] = []
        self._skipped: list[Entry] = []
        self._failed: list[Failure] = []
        self._worked = 0
        self._seconds = 0.0
        self._next_save = 0.0

    @property
    def report(self) -> Report:
        return Report(
            tuple(sorted(self._done, key=_key)),
            tuple(sorted(self._skipped, key=_key)),
            tuple(sorted(self._failed, key=lambda failure: _key(failure.source))),
        )

    def plan(self, sources: Sequence[Source]) -> list[Job]:
        """What is to be made; all else is entered as skipped or failed."""
        names = {_name(entry).casefold(): key for key, entry in self._entries.items()}
        for source in sources:
            name = _name(source)
            other = names.get(name.casefold(), _key(source))
            if source.fault:
                self._failed.append(Failure(source, source.fault))
            elif other != _key(source):
                message = (
                    f"would be {name}, as song {other[0]}, version {other[1]} of an earlier run; "
                    "give other ids, or another folder"
                )
                self._failed.append(Failure(source, message))
            else:
                self._plan_one(source)
        return list(self._planned)

    def _plan_one(self, source: Source) -> None:
        old = self._entries.get(_key(source))
        path, fault = absolute(source.path), ""
        where = os.fspath(path)
        try:
            status = known_status(path)
            if old:
                fault = _other_recording(old, path)
        except OSError as error:
            fault = reason(error)
        if fault:
            # A recording may be thrown away once its features are there.
            if old and old.source == where and self._is_whole(old):
                self._skipped.append(old)
            else:
                self._failed.append(Failure(source, fault))
            return
        entry = Entry(
            *_key(source),
            source=where,
            bytes=status.size,
            modified_ns=status.modified_ns,
            seconds=old.seconds if old else 0.0,
            vectors=old.vectors if old else 0,
            fingerprint=self._fingerprint,
            title=source.title,
            artist=source.artist,
        )
        # It may have moved, and be called something else.
        same = old and replace(old, source=where, title=entry.title, artist=entry.artist) == entry
        if old and same and self._is_whole(old):
            self._skipped.append(entry)
            self._enter(entry)
            return
        # Who does the job may be in another folder.
        target = absolute(self._folder / _name(source))
        self._planned[Job(path, target, self._config)] = source, entry

    def begin(self) -> None:
        """Write what all depends on, before any work; raises OSError."""
        if self._planned and features_of(self._folder) is None:
            write_features(self._folder, self._config)
        if self._planned or self._changed:
            self._save()
        self._progress(0, len(self._planned), 0.0)

    def finished(self, job: Job, result: Made | Refused | Unwritable | Death) -> bool:
        """Enter the result of a job; whether to go on."""
        source, entry = self._planned[job]
        if isinstance(result, Unwritable):
            self.unwritable = self.unwritable or result.message
            return False
        if isinstance(result, Made):
            entry = replace(entry, seconds=round(result.seconds, 3), vectors=result.vectors)
            with uninterrupted():
                self._done.append(entry)
                self._enter(entry)
            self._seconds += result.seconds
        elif isinstance(result, Death):
            message = f"the process that read it was {result.reason}"
            self._failed.append(Failure(source, message))
        else:
            self._failed.append(Failure(source, result.message))
        self._worked += 1
        self._progress(self._worked, len(self._planned), self._seconds)
        if time.monotonic() > self._next_save:
            self.save()
        return not self.unwritable

    def save(self) -> None:
        """Bring manifest and list up to date; what cannot be written is told by `unwritable`."""
        if self._changed:
            try:
                self._save()
            except OSError as error:
                message = f"{show_path(error.filename)}: {error.strerror or error}"
                self.unwritable = self.unwritable or message

    def _save(self) -> None:
        started = time.monotonic()
        write_manifest(self._folder, self._entries.values())
        self._changed = False
        now = time.monotonic()
        self._next_save = now + max(SAVE_EVERY, (now - started) / SAVE_SHARE)

    def _enter(self, entry: Entry) -> None:
        if self._entries.get(_key(entry)) != entry:
            self._entries[_key(entry)] = entry
            self._changed = True

    def _is_whole(self, entry: Entry) -> bool:
        return self._there.is_whole(_name(entry), entry.vectors)

    def tidy(self) -> None:
        """Remove what killed processes were writing."""
        self._there.tidy()


def _name(item: Source | Entry) -> str:
    return file_name(item.song_id, item.version_id)


def _key(item: Source | Entry) -> Key:
    return item.song_id, item.version_id


def _other_recording(old: Entry, path: AnyPath) -> str:
    """A recording may have moved or been replaced, but two cannot have one name."""
    before = path_or_url(old.source)
    if before == path or not is_there(before):
        return ""
    if isinstance(before, Path) and isinstance(path, Path) and before.samefile(path):
        return ""
    return f"{show_path(old.source)} of an earlier run has the same ids; give other ids"
