"""Simulated trials: what is true in a cell of the calibration, and a batch of its trials."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

#: Markers of a family, and the correlation of what lies behind them.
MARKERS = 50
CORRELATION = 0.3

#: Seed of the whole suite.
SEED = 20260101

#: Shares of four strata, and their log hazard ratios (log odds ratios).
STRATUM_SHARES = (0.4, 0.3, 0.2, 0.1)
STRATUM_EFFECTS = (0.0, 0.5, -0.5, 0.8)

#: Markers that the strata decide: whether a subject is in these strata.
FACTORS = ((1, 2, 3), (0, 2, 3), (2, 3), (1, 3), (1, 2))


@dataclass(frozen=True)
class Cell:
    """What is true in the simulated trials of a cell.

    Attributes
    ----------
    model : str
        cox or logistic.
    n : int
        Subjects.
    kind : str
        Of the markers: normal, lognormal, binary15, binary3 (per cent of carriers), limit40 (per cent
        below the limit of detection, all given the same value), factor (what the strata decide; with the feature strata).
    allocation : int
        Experimental subjects for each control.
    effect : float
        Hazard ratio of the treatment; a logistic cell has its inverse as odds ratio.
    feature : str
        Empty, or: prognostic (hazard or odds ratio 2 per SD of the first marker), strata (four, prognostic), missing
        (40 % of control, 10 % of experimental subjects without markers), ties (times known to two months),
        covariates (three prognostic ones in the model), nonproportional (no effect for five months,
        then the square of `effect`), rare (20 % respond), strata+covariates.
    true : int
        Markers with an interaction, independent of the others.
    interaction : float
        Their log ratio per unit of the latent normal (the carrier, if binary).
    """

    model: str
    n: int
    kind: str
    allocation: int = 1
    effect: float = 1.0
    feature: str = ""
    true: int = 0
    interaction: float = 0.0

    @property
    def name(self) -> str:
        """Text that identifies the cell, and seeds it."""
        parts = [self.model, str(self.n), self.kind, f"{self.allocation}:1", f"{self.effect:g}"]
        parts += [self.feature] if self.feature else []
        parts += [f"{self.true}x{self.interaction:g}"] if self.true else []
        return " ".join(parts)

    @property
    def binary(self) -> bool:
        """Whether a marker has two levels."""
        return self.kind.startswith(("binary", "factor"))

    def has(self, feature: str) -> bool:
        """Whether a feature is on."""
        return feature in self.feature.split("+")


@dataclass(frozen=True)
class Batch:
    """Trials that share subjects' arms and strata.

    Attributes
    ----------
    arm, strata : np.ndarray, shape (n,)
    time, event : np.ndarray, shape (trials, n)
        A logistic cell's event is the response, its time 0.
    covariates : np.ndarray, shape (trials, n, columns)
    marker : np.ndarray, shape (trials, markers, n)
    include : np.ndarray of bool, shape (trials, n)
    """

    arm: np.ndarray
    strata: np.ndarray
    time: np.ndarray
    event: np.ndarray
    covariates: np.ndarray
    marker: np.ndarray
    include: np.ndarray


def _exponential(rng: np.random.Generator, log_hazard: np.ndarray) -> np.ndarray:
    """Months to an event with a median of 7 at log hazard 0."""
    return rng.exponential(7.0 / np.log(2.0) * np.exp(-log_hazard))


def _factors(strata: np.ndarray) -> np.ndarray:
    """Markers that the strata decide, in turn: shape (markers, n)."""
    own = np.array([np.isin(strata, among) for among in FACTORS], dtype=float)
    return own[np.arange(MARKERS) % len(own)]


def simulate(cell: Cell, batch: int, trials: int) -> Batch:
    """Simulate one batch of a cell's trials."""
    rng = np.random.default_rng([SEED, zlib.crc32(cell.name.encode()), batch])
    n = cell.n
    strata = np.zeros(n, dtype=np.int64)
    if cell.has("strata"):
        strata = np.searchsorted(np.cumsum(STRATUM_SHARES)[:-1], (np.arange(n) + 0.5) / n)
    arm = np.zeros(n)
    for g in np.unique(strata):
        members = np.flatnonzero(strata == g)
        size = round(len(members) * cell.allocation / (1 + cell.allocation))
        arm[rng.permutation(members)[:size]] = 1.0

    common = rng.standard_normal((trials, 1, n))
    latent = np.sqrt(CORRELATION) * common
    latent = latent + np.sqrt(1 - CORRELATION) * rng.standard_normal((trials, MARKERS, n))
    if cell.true:
        latent[:, : cell.true] = rng.standard_normal((trials, cell.true, n))
    marker = {
        "normal": lambda x: x,
        "lognormal": np.exp,
        "binary15": lambda x: (x > ndtri(0.85)).astype(float),
        "binary3": lambda x: (x > ndtri(0.97)).astype(float),
        "limit40": lambda x: np.maximum(x, ndtri(0.4)),
        "factor": lambda x: np.broadcast_to(_factors(strata), x.shape),
    }[cell.kind](latent)

    beta = np.log(cell.effect) * (1.0 if cell.model == "cox" else -1.0)
    baseline = np.zeros((trials, n))
    covariates = np.zeros((trials, n, 0))
    if cell.has("strata"):
        baseline = baseline + np.array(STRATUM_EFFECTS)[strata]
    if cell.has("covariates"):
        covariates = rng.standard_normal((trials, n, 3))
        covariates[:, :, 2] = covariates[:, :, 2] > 0.5
        baseline = baseline + covariates @ np.array([0.5, -0.3, 0.7])
    if cell.has("prognostic"):
        baseline = baseline + np.log(2.0) * latent[:, 0]
    acting = marker if cell.binary else latent
    different = arm * cell.interaction * acting[:, : cell.true].sum(axis=1)

    include = np.ones((trials, n), dtype=bool)
    if cell.has("missing"):
        include = rng.random((trials, n)) >= np.where(arm == 1, 0.1, 0.4)
    if cell.model == "logistic":
        odds = np.log(0.25 if cell.has("rare") else 2 / 3)
        p = 1.0 / (1.0 + np.exp(-(odds + beta * arm + baseline + different)))
        event = (rng.random((trials, n)) < p).astype(float)
        return Batch(arm, strata, np.zeros((trials, n)), event, covariates, marker, include)
    if cell.has("nonproportional"):
        early = _exponential(rng, baseline + different)
        late = 5.0 + _exponential(rng, baseline + different + 2.0 * beta * arm)
        time = np.where(early < 5.0, early, late)
    else:
        time = _exponential(rng, baseline + beta * arm + different)
    censored = rng.uniform(6.0, 30.0, (trials, n))
    event = (time <= censored).astype(float)
    time = np.minimum(time, censored)
    if cell.has("ties"):
        time = np.ceil(time / 2.0) * 2.0
    return Batch(arm, strata, time, event, covariates, marker, include)
