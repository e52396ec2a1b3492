"""The test of proportional hazards of one column of a Cox model, compiled: the inner loops of `proportionality`.

Importing this module imports Numba, so it is imported where it is used.
"""

# Numba infers types.
# ruff: noqa: ANN001, ANN201

from __future__ import annotations

import numba as nb
import numpy as np

from correlatives.compiled_firth import risk_sets
from correlatives.lanes import FARTHEST, WIDTH, exponential, load, store

#: Share of the information of column × g(t) that the columns of the model must leave for there to be a test.
LEAST_INFORMATION = 1e-10


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def fill_clock(by_time, include, time, event, clock):
    """Fill 1 − S(t−), S the Kaplan–Meier curve of the subjects included, at the time of each of them.

    `by_time` has all subjects by rising time; `clock` (n,) keeps its values where not included.
    """
    at_risk = 0
    for i in by_time:
        at_risk += include[i]
    left = 1.0
    n = by_time.shape[0]
    start = 0
    while start < n:
        now = time[by_time[start]]
        stop = start
        leaving = died = 0
        while stop < n and time[by_time[stop]] == now:
            i = by_time[stop]
            if include[i]:
                clock[i] = 1.0 - left
                leaving += 1
                died += event[i]
            stop += 1
        if died > 0:
            left *= 1.0 - died / at_risk
        at_risk -= leaving
        start = stop


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def fill_statistics(
    markers,
    designs,
    include,
    time,
    event,
    codes,
    order,
    by_time,
    column,
    coefficients,
    covariance,
    statistic,
):
    """Fill the score statistics of column × g(t) of some markers; NaN stays where there is nothing to test.

    Parameters
    ----------
    markers : np.ndarray of int
        Rows of the arrays with p rows.
    designs, include, coefficients, covariance : np.ndarray, shapes (p, n, k), (p, n), (p, k), (p, k, k)
        See `proportionality.column_proportionality`.
    time, event, codes : np.ndarray, shape (n,)
        Times equal where tied, events (bool), and strata.
    order, by_time : np.ndarray of int, shape (n,)
        Subjects by stratum and falling time, and by rising time.
    column : int
        The column tested.
    statistic : np.ndarray, shape (p,)
        Filled.
    """
    n, k = designs.shape[1:]
    rows, died = np.empty(n, np.int64), np.empty(n, np.bool_)
    first, size = np.empty(n, np.int64), np.empty(n, np.int64)
    dead, fresh = np.empty(n, np.int64), np.empty(n, np.bool_)
    padded = (n + WIDTH - 1) // WIDTH * WIDTH
    X, weight, clock = np.empty((k, n)), np.zeros(padded), np.zeros(n)
    s1, s2, d1, d2 = np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    cross = np.empty(k)
    for marker in markers:
        beta = coefficients[marker]
        if not np.isfinite(beta[column]):
            continue
        m, groups = risk_sets(
            order, include[marker], time, event, codes, rows, died, first, size, dead, fresh
        )
        fill_clock(by_time, include[marker], time, event, clock)
        # centred, which leaves the digits to what differs between subjects
        weight[:m] = 0.0
        for j in range(k):
            total = 0.0
            for i in range(m):
                X[j, i] = designs[marker, rows[i], j]
                total += X[j, i]
            total /= m
            slope = beta[j] if np.isfinite(beta[j]) else 0.0
            for i in range(m):
                X[j, i] -= total
                weight[i] += slope * X[j, i]
        highest = -np.inf
        for i in range(m):
            highest = max(highest, weight[i])
        for i in range(m):
            # what is e⁻²⁰⁰ of the largest adds nothing to it
            weight[i] = max(weight[i] - highest, -FARTHEST)
        for row in range((m + WIDTH - 1) // WIDTH):
            store(weight, row, exponential(load(weight, row)))
        x = X[column]
        score = own = s0 = 0.0
        cross[:] = 0.0
        for g in range(groups):
            if fresh[g]:
                s0 = 0.0
                s1[:] = 0.0
                s2[:] = 0.0
            d0 = 0.0
            d1[:] = 0.0
            d2[:] = 0.0
            tied = dead[g] > 1
            now = clock[rows[first[g]]]
            for i in range(first[g], first[g] + size[g]):
                w = weight[i]
                wx = w * x[i]
                s0 += w
                for j in range(k):
                    s1[j] += w * X[j, i]
                    s2[j] += wx * X[j, i]
                if died[i]:
                    score += now * x[i]
                    if tied:
                        d0 += w
                        for j in range(k):
                            d1[j] += w * X[j, i]
                            d2[j] += wx * X[j, i]
            for taken in range(dead[g]):
                share = taken / dead[g]
                inverse = 1.0 / (s0 - share * d0)
                mean = (s1[column] - share * d1[column]) * inverse
                score -= now * mean
                for j in range(k):
                    spread = (s2[j] - share * d2[j]) * inverse
                    spread -= (s1[j] - share * d1[j]) * inverse * mean
                    cross[j] += now * spread
                    if j == column:
                        own += now * now * spread
        projected = 0.0
        for j in range(k):
            if np.isfinite(beta[j]):
                for o in range(k):
                    if np.isfinite(beta[o]):
                        projected += cross[j] * covariance[marker, j, o] * cross[o]
        information = own - projected
        # with one event time g is constant, and nothing is left to test
        if information > LEAST_INFORMATION * own:
            statistic[marker] = score * score / information
