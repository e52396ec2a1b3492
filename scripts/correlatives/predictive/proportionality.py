"""Test of proportional hazards of one column of a Cox model, for thousands of markers at once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from correlatives.survival.ties import tie_times

_MARKERS_A_BLOCK = 256


def column_proportionality(
    time: np.ndarray,
    event: np.ndarray,
    designs: np.ndarray,
    include: np.ndarray,
    strata: np.ndarray | None,
    coefficients: np.ndarray,
    covariance: np.ndarray,
) -> np.ndarray:
    """Test whether the hazard ratio of the last column changes over time, as R's ``cox.zph`` (transform km).

    The score test of adding column × g(t), g the left-continuous Kaplan–Meier estimate (of the subjects
    included, strata pooled) turned upside down; Efron ties.

    Parameters
    ----------
    time, event : np.ndarray, shape (n,)
        Times and 1 for an event.
    designs : np.ndarray, shape (p, n, k)
        Columns of each marker's model.
    include : np.ndarray of bool, shape (p, n)
        Subjects in each marker's model.
    strata : np.ndarray of int, shape (n,), optional
        Stratum codes.
    coefficients, covariance : np.ndarray, shapes (p, k) and (p, k, k)
        Maximum-likelihood fit; NaN where a column is aliased or there is no fit.

    Returns
    -------
    np.ndarray, shape (p,)
        p, NaN where there is no fit of the last column or nothing to test.

    References
    ----------
    Grambsch PM, Therneau TM. Biometrika 1994;81:515-526.
    """
    p = len(designs)
    answer = np.full(p, np.nan)
    fitted = np.flatnonzero(np.isfinite(coefficients[:, -1]))
    time = tie_times(time)
    strata = np.zeros(len(time), dtype=int) if strata is None else strata
    for first in range(0, len(fitted), _MARKERS_A_BLOCK):
        block = fitted[first : first + _MARKERS_A_BLOCK]
        answer[block] = _block(
            time,
            event,
            designs[block],
            include[block],
            strata,
            coefficients[block],
            covariance[block],
        )
    return answer


def _clock(time: np.ndarray, event: np.ndarray, include: np.ndarray) -> np.ndarray:
    """1 − S(t−) at each subject's own time, shape (p, n)."""
    distinct, position = np.unique(time, return_inverse=True)
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], np.arange(len(distinct)))
    sorted_include = include[:, order].astype(float)
    leaving = np.add.reduceat(sorted_include, starts, axis=1)
    events = np.add.reduceat(sorted_include * event[order], starts, axis=1)
    at_risk = np.cumsum(leaving[:, ::-1], axis=1)[:, ::-1]
    left = np.cumprod(1.0 - events / np.maximum(at_risk, 1.0), axis=1)
    before = np.hstack([np.ones((len(include), 1)), left[:, :-1]])
    return 1.0 - before[:, position]


def _block(
    time: np.ndarray,
    event: np.ndarray,
    designs: np.ndarray,
    include: np.ndarray,
    strata: np.ndarray,
    coefficients: np.ndarray,
    covariance: np.ndarray,
) -> np.ndarray:
    from scipy.special import chdtrc

    p, n, k = designs.shape
    known = np.isfinite(coefficients)
    beta = np.where(known, coefficients, 0.0)
    # the last column is the one tested; what was aliased plays no part
    order = np.lexsort((-time, strata))
    mask = include[:, order].astype(float)
    x = np.where(include[:, order, None], designs[:, order], 0.0)
    centre = x.sum(axis=1, keepdims=True) / np.maximum(mask.sum(axis=1), 1.0)[:, None, None]
    x = np.where(include[:, order, None], x - centre, 0.0)
    died = mask * event[order]
    eta = np.einsum("pnk,pk->pn", x, beta)
    eta -= np.where(mask > 0, eta, -np.inf).max(axis=1, keepdims=True)
    weight = np.exp(np.minimum(eta, 0.0)) * mask

    fresh = np.ones(n, dtype=bool)
    sorted_time, sorted_strata = time[order], strata[order]
    fresh[1:] = (np.diff(sorted_time) != 0) | (np.diff(sorted_strata) != 0)
    tie = np.cumsum(fresh) - 1
    starts = np.flatnonzero(fresh)
    last = np.append(starts[1:], n)[tie] - 1
    stratum_start = np.flatnonzero(np.diff(sorted_strata, prepend=-1) != 0)
    # Efron: the l-th of d tied deaths leaves l/d of all of them out of its risk set
    seen = np.cumsum(died, axis=1)
    before_tie = (seen - died)[:, starts][:, tie]
    tied = np.add.reduceat(died, starts, axis=1)[:, tie]
    share = np.where(died > 0, (seen - died - before_tie) / np.maximum(tied, 1.0), 0.0)
    any_ties = bool((tied > 1).any())

    def over_risk_set(values: np.ndarray) -> np.ndarray:
        total = np.empty_like(values)
        edges = np.append(stratum_start, n)
        for a, b in pairwise(edges):
            np.cumsum(values[:, a:b], axis=1, out=total[:, a:b])
        total = total[:, last]
        if any_ties:
            total -= share * np.add.reduceat(values * died, starts, axis=1)[:, tie]
        return total

    total = over_risk_set(weight)
    inverse = died / np.where(died > 0, total, 1.0)
    g = _clock(time, event, include)[:, order]
    mean_last = over_risk_set(weight * x[:, :, -1]) * inverse
    score = (g * died * x[:, :, -1]).sum(axis=1) - (g * mean_last).sum(axis=1)
    cross = np.empty((p, k))
    for j in range(k):
        mean = over_risk_set(weight * x[:, :, j]) * inverse
        second = over_risk_set(weight * x[:, :, j] * x[:, :, -1]) * inverse
        spread = second - mean * mean_last
        cross[:, j] = (g * spread).sum(axis=1)
        if j == k - 1:
            own = (g * g * spread).sum(axis=1)
    cross = np.where(known, cross, 0.0)
    both = known[:, :, None] & known[:, None, :]
    projected = np.einsum("pj,pjl,pl->p", cross, np.where(both, covariance, 0.0), cross)
    information = own - projected
    # with one event time g is constant, and nothing is left to test
    testable = information > 1e-10 * own
    statistic = np.where(testable, score**2 / np.where(testable, information, 1.0), 0.0)
    return np.where(testable, chdtrc(1.0, statistic), np.nan)
