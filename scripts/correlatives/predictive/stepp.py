"""STEPP: the treatment effect in overlapping windows of a continuous marker, with a test of its own.

Windows of equal size slide along the ordered marker. The test is the randomisation test of `randomisation` with
an indicator a window as markers and all windows as one family (maxT): permuting the marker instead would assume that it
is not prognostic.

References
----------
Bonetti M, Gelber RD. Statistics in Medicine 2000;19:2595-2609 (sliding windows).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from correlatives.predictive.model import (
    Outcome,
    effects_of,
    null_residuals,
    stacked_designs,
)
from correlatives.predictive.randomisation import family_wise_p, randomisation_test
from correlatives.predictive.small_samples import needs_penalty

#: Share of the subjects in a window, and fewest subjects of one.
SHARE = 0.4
LEAST_SUBJECTS = 20

#: Share of a window's subjects that are in the next one too.
SHARED = 0.75


@dataclass(frozen=True)
class Stepp:
    """Effects in w windows, on the log scale.

    Attributes
    ----------
    low, high, middle : np.ndarray, shape (w,)
        Lowest, highest and median value of the marker in each window, on the scale of analysis.
    n, events : np.ndarray of int, shape (w,)
    estimate, estimate_low, estimate_high : np.ndarray, shape (w,)
        Log ratio of the experimental over the control arm with profile limits; NaN where not estimable.
    firth : np.ndarray of bool, shape (w,)
        With Firth's penalty.
    note : np.ndarray of str, shape (w,)
    p : float
        Randomisation p of the window that departs most, family-wise over windows; NaN without windows or draws.
    size, overlap : int
        Subjects of a window, and those that two neighbours share.
    """

    low: np.ndarray
    high: np.ndarray
    middle: np.ndarray
    n: np.ndarray
    events: np.ndarray
    estimate: np.ndarray
    estimate_low: np.ndarray
    estimate_high: np.ndarray
    firth: np.ndarray
    note: np.ndarray
    p: float
    size: int
    overlap: int


def window_sizes(n: int) -> tuple[int, int]:
    """Return the subjects of a window (two fifths of n, at least 20) and those shared with the next (three quarters)."""
    size = max(LEAST_SUBJECTS, math.ceil(SHARE * n))
    return size, round(SHARED * size)


def sliding_windows(value: np.ndarray, size: int, overlap: int) -> np.ndarray:
    """Return windows of at least `size` subjects, of which neighbours share at most `overlap`.

    Subjects with equal values are in the same windows, which makes some windows larger. The last window reaches
    down from the highest value, so that it is not smaller than the others; it may share more.

    Parameters
    ----------
    value : np.ndarray, shape (n,)
        Finite.
    size, overlap : int
        0 <= overlap < size.

    Returns
    -------
    np.ndarray of bool, shape (w, n)
        No rows if fewer than two windows differ.

    Raises
    ------
    ValueError
        If overlap is negative or not smaller than size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"windows of {size} subjects cannot share {overlap}")
    levels, code, counts = np.unique(value, return_inverse=True, return_counts=True)
    total = np.concatenate([[0], np.cumsum(counts)])
    found: list[tuple[int, int]] = []
    first = 0
    while total[-1] - total[first] >= size:
        last = int(np.searchsorted(total, total[first] + size, side="left"))
        found.append((first, last))
        if last == len(levels):
            break
        # the next window starts where at most `overlap` of this one's subjects are left in it
        first = max(int(np.searchsorted(total, total[last] - overlap, side="left")), first + 1)
    if found and found[-1][1] < len(levels):
        first = int(np.searchsorted(total, total[-1] - size, side="right")) - 1
        found.append((first, len(levels)))
    if len(found) < 2:
        return np.zeros((0, len(value)), dtype=bool)
    return np.array([(code >= first) & (code < last) for first, last in found])


def indicator_test(
    outcome: Outcome, indicators: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, float]:
    """Test the interaction of the arm with any of a family of indicators (maxT).

    Parameters
    ----------
    outcome : Outcome
        Of evaluable subjects.
    indicators : np.ndarray of bool, shape (w, n)
    drawn : np.ndarray, shape (draws, n)
        From `randomisation.draw_arms`.

    Returns
    -------
    z : np.ndarray, shape (w,)
        Statistics.
    p : float
        Family-wise p of the largest; NaN without indicators or draws.
    """
    marker = indicators.astype(float)
    if not len(marker):
        return np.zeros(0), np.nan
    include = np.ones(marker.shape, dtype=bool)
    residual, weight, _ = null_residuals(outcome, marker, include)
    tested = randomisation_test(
        residual,
        weight,
        marker,
        outcome.arm,
        outcome.strata,
        drawn,
        logistic=not outcome.survival,
        family=np.zeros(len(marker), dtype=int),
    )
    p = float(family_wise_p(tested.z, tested.maxima[0]).min()) if len(drawn) else np.nan
    return tested.z, p


def stepp(outcome: Outcome, value: np.ndarray, drawn: np.ndarray) -> Stepp:
    """Estimate the treatment effect in sliding windows, and test whether it varies.

    Parameters
    ----------
    outcome : Outcome
        Of evaluable subjects.
    value : np.ndarray, shape (n,)
        Their marker.
    drawn : np.ndarray, shape (draws, n)
        Draws of their arms.

    Returns
    -------
    Stepp
        Without windows if there are too few subjects for two that differ.
    """
    size, overlap = window_sizes(len(value))
    windows = sliding_windows(value, size, overlap)
    happened = outcome.event == 1
    fewest = np.minimum(
        (windows & happened & (outcome.arm == 0)).sum(axis=1),
        (windows & happened & (outcome.arm == 1)).sum(axis=1),
    )
    events = (windows & happened).sum(axis=1)
    w = len(windows)
    if w:
        effect = effects_of(
            outcome,
            stacked_designs([outcome.arm], outcome.covariates, w),
            windows,
            0,
            needs_penalty(outcome.survival, events, 1 + outcome.covariates.shape[1], fewest),
        )
        estimate, low, high, firth = effect.estimate, effect.low, effect.high, effect.firth
        note = effect.reason
    else:
        estimate = low = high = np.zeros(0)
        firth, note = np.zeros(0, dtype=bool), np.zeros(0, dtype=object)
    _, p = indicator_test(outcome, windows, drawn)
    return Stepp(
        low=np.array([value[window].min() for window in windows]),
        high=np.array([value[window].max() for window in windows]),
        middle=np.array([np.median(value[window]) for window in windows]),
        n=windows.sum(axis=1),
        events=events,
        estimate=estimate,
        estimate_low=low,
        estimate_high=high,
        firth=firth,
        note=note,
        p=p,
        size=size,
        overlap=overlap,
    )
