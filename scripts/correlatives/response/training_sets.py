"""Compiled: medians, means, spreads and scores of thousands of columns under one training set."""

from __future__ import annotations

import numpy as np
from numba import njit

from correlatives.response.coordinate_descent import FAST


@njit(cache=True, fastmath=FAST)
def learn(
    value: np.ndarray,
    order: np.ndarray,
    training: np.ndarray,
    residual: np.ndarray,
    discrete: np.ndarray,
    complete: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Describe every column by its training rows, missing values imputed by the median.

    Parameters
    ----------
    value : np.ndarray, shape (p, n)
        NaN where missing.
    order : np.ndarray of int, shape (p, n)
        Sorts each column, missing values last.
    training : np.ndarray of bool, shape (n,)
    residual : np.ndarray, shape (n,)
        Zero outside the training rows.
    discrete : np.ndarray of bool, shape (p,)
        Columns whose median is the lower of two middle values.
    complete : np.ndarray of bool, shape (p,)
        Columns without a missing value in any subject: their median is not needed, and left at 0.

    Returns
    -------
    median, centre, spread, score : np.ndarray, shape (p,)
        `spread` has the number of rows in its denominator; `score` is the covariance with the residual,
        times the number of rows. All 0 for a column without a known value.
    """
    p, n = value.shape
    rows = np.flatnonzero(training)
    m = len(rows)
    here = residual[rows]
    here_mean = here.sum() / m
    median, centre, spread, score = np.zeros(p), np.zeros(p), np.zeros(p), np.zeros(p)
    filled = np.empty(m)
    for j in range(p):
        column = value[j]
        known = 0
        for i in range(m):
            filled[i] = column[rows[i]]
            known += not np.isnan(filled[i])
        if known == 0:
            continue
        low, high = (known + 1) // 2, known // 2 + 1
        seen = 0
        first = last = 0.0
        for place in range(0 if complete[j] else n):
            i = order[j, place]
            if training[i]:
                seen += 1
                if seen == low:
                    first = column[i]
                if seen == high:
                    last = column[i]
                    break
        median[j] = first if discrete[j] or first == last else 0.5 * (first + last)
        if known < m:
            for i in range(m):
                if np.isnan(filled[i]):
                    filled[i] = median[j]
        total = 0.0
        for i in range(m):
            total += filled[i]
        mean = total / m
        square = product = 0.0
        for i in range(m):
            gap = filled[i] - mean
            square += gap * gap
            product += gap * (here[i] - here_mean)
        centre[j] = mean
        spread[j] = np.sqrt(square / m)
        score[j] = product
    return median, centre, spread, score


@njit(cache=True, fastmath=FAST)
def fill(
    value: np.ndarray,
    median: np.ndarray,
    centre: np.ndarray,
    scale: np.ndarray,
    chosen: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """Impute and standardise the chosen columns of some rows: shape (chosen, rows)."""
    out = np.empty((len(chosen), len(rows)))
    for place in range(len(chosen)):
        j = chosen[place]
        for i in range(len(rows)):
            x = value[j, rows[i]]
            if np.isnan(x):
                x = median[j]
            out[place, i] = (x - centre[j]) / scale[j]
    return out
