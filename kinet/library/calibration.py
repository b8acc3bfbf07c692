"""Scores to probabilities, learned from pairs of which it is known whether they are versions."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kinet.errors import DataError
from kinet.weights import card, names

#: Probabilities for which it is kept how often pairs of other songs reach them.
THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
# Pairs of each kind without which nothing can be learned.
_LEAST = 20


@dataclass(frozen=True)
class Calibration:
    """A logistic regression of three numbers.

    Attributes
    ----------
    intercept, of_score, of_similarity : float
        Its weights; those of the numbers are not negative.
    versions, others : int
        Pairs of versions, and of other songs, that it was learned from.
    brier : float
        Mean square of its error on pairs that it was not learned from; 0 is best.
    false_alarms, found : tuple of float
        For each of `THRESHOLDS` the share of pairs of other songs, and of versions, that reach it.
    of_length : float
        Weight of the logarithm of the length: by chance, short recordings have higher scores.
    """

    intercept: float
    of_score: float
    of_similarity: float
    versions: int
    others: int
    brier: float
    false_alarms: tuple[float, ...]
    found: tuple[float, ...]
    of_length: float = 0.0

    def probability(self, score: float, similarity: float, length: int) -> float:
        """That two recordings are versions of one song.

        Parameters
        ----------
        score, similarity : float
        length : int
            As of `kinet.library.finding.Match`.
        """
        sum_ = self.intercept + self.of_score * score + self.of_similarity * similarity
        sum_ += self.of_length * math.log(length)
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, sum_))))

    def to_json(self) -> str:
        """As a library keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Calibration | None:
        """From `to_json`; None from an empty text.

        Raises
        ------
        DataError
            If it is something else.
        """
        if not text:
            return None
        try:
            values: dict[str, Any] = json.loads(text)
            shares: dict[str, Any] = {
                name: tuple(values.pop(name)) for name in ("false_alarms", "found")
            }
            return cls(**values, **shares)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DataError(f"a calibration that cannot be read ({error})") from error


def calibration_of(own: str, digest: str) -> Calibration | None:
    """How the scores of a library become probabilities.

    Parameters
    ----------
    own : str
        What it has learned, as of `Calibration.to_json`, or empty.
    digest : str
        Of its model: with some that come with kinet comes what was learned from made versions.

    Returns
    -------
    Calibration or None
        None if neither is there.

    Raises
    ------
    DataError
        If what it has learned cannot be read.

    Examples
    --------
    >>> calibration_of("", "of another model") is None
    True
    """
    if own:
        return Calibration.from_json(own)
    for name in names():
        values = card(name).values
        if values["sha256"] == digest and "calibration" in values:
            return Calibration.from_json(json.dumps(values["calibration"]))
    return None


def calibrate(
    scores: ArrayLike, similarities: ArrayLike, lengths: ArrayLike, is_version: ArrayLike
) -> Calibration:
    """Learn from pairs.

    Parameters
    ----------
    scores, similarities, lengths : array_like, shape (P,)
        As of `kinet.library.finding.Match`.
    is_version : array_like of bool, shape (P,)
        Whether both are versions of one song.

    Returns
    -------
    Calibration
        Learned from all pairs; its Brier score and shares are those of five regressions, each
        measured on the fifth of the pairs that it was not learned from.

    Raises
    ------
    DataError
        If there are fewer than twenty pairs of a kind.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> same = np.arange(200) % 2 == 0
    >>> scores, lengths = 0.3 * same + 0.3 * rng.random(200), np.full(200, 400)
    >>> found = calibrate(scores, rng.random(200), lengths, same)
    >>> found.probability(0.5, 0.5, 400) > 0.9 > 0.1 > found.probability(0.1, 0.5, 400)
    True
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    numbers = (scores, similarities, np.log(np.asarray(lengths, float)))
    values = np.stack([np.asarray(each, float) for each in numbers], axis=1)
    labels = np.asarray(is_version, bool)
    versions, others = int(labels.sum()), int((~labels).sum())
    if min(versions, others) < _LEAST:
        raise DataError(
            f"{versions} pairs of versions and {others} of other songs; need {_LEAST} of each"
        )
    model = LogisticRegression(C=1e3).fit(values, labels)
    # More of either must not make a version less likely, as it can by chance.
    values = values * (model.coef_[0] > 0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    held_out = cross_val_predict(model, values, labels, cv=folds, method="predict_proba")[:, 1]
    model.fit(values, labels)
    of_score, of_similarity, of_length = (float(weight) for weight in model.coef_[0])
    return Calibration(
        *(float(model.intercept_[0]), of_score, of_similarity, versions, others),
        brier=float(np.mean((held_out - labels) ** 2)),
        false_alarms=tuple(float(np.mean(held_out[~labels] >= t)) for t in THRESHOLDS),
        found=tuple(float(np.mean(held_out[labels] >= t)) for t in THRESHOLDS),
        of_length=of_length,
    )
