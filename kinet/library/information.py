"""What a library is and holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kinet.address import Address
from kinet.library.calibration import Calibration, calibration_of
from kinet.library.store import Store


@dataclass(frozen=True)
class Information:
    """What a library is and holds.

    Attributes
    ----------
    path : pathlib.Path or Address
        Its file, or its database.
    model, digest : str
        What made its embeddings.
    fingerprint : str
        Of the settings of its features.
    size : int
        D, the numbers of an embedding.
    recordings, files, embeddings : int
        How many; exact copies are files of one recording.
    seconds : float
        Of sound.
    bytes : int
        Of the library.
    calibration : Calibration or None
        How scores become probabilities.
    has_own_calibration : bool
        Whether that was learned from its own recordings; else it came with the model.
    """

    path: Path | Address
    model: str
    digest: str
    fingerprint: str
    size: int
    recordings: int
    files: int
    embeddings: int
    seconds: float
    bytes: int
    calibration: Calibration | None
    has_own_calibration: bool


def information_of(store: Store) -> Information:
    """What a library is and holds now; its tables are read for it."""
    with store.reading():
        here = store.identity()
        seconds = [seconds for _, _, seconds in store.recordings()]
        return Information(
            *(store.path, here.model, here.digest, here.features.fingerprint()),
            size=here.size,
            recordings=len(seconds),
            files=sum(1 for _ in store.recordings_of_files()),
            embeddings=store.count_of_embeddings(),
            seconds=sum(seconds),
            bytes=store.bytes(),
            calibration=calibration_of(here.calibration, here.digest),
            has_own_calibration=bool(here.calibration),
        )
