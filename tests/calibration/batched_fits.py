"""Null and interaction models of many markers in many simulated trials at once.

The workflow's own engines fit the markers of one trial together; a simulation has thousands of small trials, so that
starting them would cost more than fitting. These are plain Newton iterations a marker, compiled;
test_calibration.py holds them against the workflow's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STEPS = 40
MOVE_BELOW = 1e-9
#: A coefficient of a column of unit variance beyond this has no finite maximum.
FARTHEST = 12.0


@njit(cache=True, error_model="numpy")
def _newton_step(information, score, step):
    """Solve by Cholesky with a whisper of a ridge."""
    k = len(score)
    factor = np.zeros((k, k))
    largest = 1e-12
    for i in range(k):
        largest = max(largest, information[i, i])
    for i in range(k):
        for j in range(i + 1):
            total = information[i, j]
            if i == j:
                total += 1e-10 * largest
            for o in range(j):
                total -= factor[i, o] * factor[j, o]
            if i == j:
                factor[i, i] = np.sqrt(max(total, 1e-12 * largest))
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(k):
        total = score[i]
        for o in range(i):
            total -= factor[i, o] * step[o]
        step[i] = total / factor[i, i]
    for i in range(k - 1, -1, -1):
        total = step[i]
        for o in range(i + 1, k):
            total -= factor[o, i] * step[o]
        step[i] = total / factor[i, i]


@njit(cache=True, error_model="numpy")
def _cox_at(order, ends, time, event, x, beta, score, information, expected):
    """Log-likelihood at beta; fills score, information and expected events (Efron)."""
    n, k = x.shape
    hazard = np.empty(n)
    for i in range(n):
        eta = 0.0
        for c in range(k):
            eta += x[i, c] * beta[c]
        hazard[i] = np.exp(min(max(eta, -50.0), 50.0))
    score[:] = 0.0
    information[:] = 0.0
    loglik = 0.0
    s1, s2 = np.empty(k), np.empty((k, k))
    d1, d2 = np.empty(k), np.empty((k, k))
    full, partial = np.zeros(n), np.zeros(n)
    start = 0
    for end in ends:
        # descending times within the stratum
        s0 = 0.0
        s1[:] = 0.0
        s2[:] = 0.0
        i = start
        while i < end:
            now = time[order[i]]
            deaths, d0 = 0, 0.0
            d1[:] = 0.0
            d2[:] = 0.0
            first = i
            while i < end and time[order[i]] == now:
                row = order[i]
                h = hazard[row]
                dead = event[row] > 0
                s0 += h
                if dead:
                    deaths += 1
                    d0 += h
                    loglik += np.log(h)
                for c in range(k):
                    hx = h * x[row, c]
                    s1[c] += hx
                    if dead:
                        d1[c] += hx
                        score[c] += x[row, c]
                    for o in range(c + 1):
                        s2[c, o] += hx * x[row, o]
                        if dead:
                            d2[c, o] += hx * x[row, o]
                i += 1
            whole, part = 0.0, 0.0
            for tied in range(deaths):
                share = tied / deaths
                risk = s0 - share * d0
                loglik -= np.log(risk)
                whole += 1.0 / risk
                part += (1.0 - share) / risk
                for c in range(k):
                    mean = (s1[c] - share * d1[c]) / risk
                    score[c] -= mean
                    for o in range(c + 1):
                        other = (s1[o] - share * d1[o]) / risk
                        information[c, o] += (s2[c, o] - share * d2[c, o]) / risk - mean * other
            for j in range(first, i):
                full[j] = whole
                partial[j] = part
        # cumulative hazards, from the earliest time on
        cumulative = 0.0
        j = end - 1
        while j >= start:
            now = time[order[j]]
            last = j
            while j >= start and time[order[j]] == now:
                row = order[j]
                own = partial[j] if event[row] > 0 else full[j]
                expected[row] = hazard[row] * (cumulative + own)
                j -= 1
            cumulative += full[last]
        start = end
    return loglik


@njit(cache=True, error_model="numpy")
def _logistic_at(rows, y, x, beta, score, information, expected):
    """Log-likelihood at beta; fills score, information and expected responses."""
    k = x.shape[1]
    score[:] = 0.0
    information[:] = 0.0
    loglik = 0.0
    for i in rows:
        eta = 0.0
        for c in range(k):
            eta += x[i, c] * beta[c]
        eta = min(max(eta, -50.0), 50.0)
        p = 1.0 / (1.0 + np.exp(-eta))
        expected[i] = p
        loglik += y[i] * eta - np.log(1.0 + np.exp(eta))
        w = p * (1.0 - p)
        for c in range(k):
            score[c] += x[i, c] * (y[i] - p)
            wx = w * x[i, c]
            for o in range(c + 1):
                information[c, o] += wx * x[i, o]
    return loglik


@njit(cache=True, error_model="numpy")
def fit_all(survival, time, event, strata, include, common, marker, interaction, expected, loglik):
    """Fit (arm, marker, covariates[, arm × marker]) for markers of trials that share their arms.

    Parameters
    ----------
    survival : bool
        Cox, else logistic (whose intercepts are columns of `common`).
    time, event : np.ndarray, shape (trials, n)
    strata : np.ndarray of int, shape (n,)
        Codes from 0.
    include : np.ndarray of bool, shape (trials, n)
        Subjects with markers.
    common : np.ndarray, shape (trials, n, columns)
        Arm first.
    marker : np.ndarray, shape (trials, markers, n)
    interaction : bool
    expected : np.ndarray, shape (trials, markers, n)
        Filled; 0 for subjects left out, NaN without a finite maximum.
    loglik : np.ndarray, shape (trials, markers)
        Filled; near its supremum where there is no finite maximum.
    """
    trials, n, columns = common.shape
    k = columns + 1 + interaction
    x = np.empty((n, k))
    for t in range(trials):
        groups = strata.max() + 1
        count = 0
        for i in range(n):
            count += include[t, i]
        order = np.empty(count, dtype=np.int64)
        ends = np.empty(groups, dtype=np.int64)
        descending = np.argsort(-time[t])
        filled = 0
        for g in range(groups):
            for i in descending:
                if strata[i] == g and include[t, i]:
                    order[filled] = i
                    filled += 1
            ends[g] = filled
        for m in range(marker.shape[1]):
            for i in range(n):
                for c in range(columns):
                    x[i, c] = common[t, i, c]
                x[i, columns] = marker[t, m, i]
                if interaction:
                    x[i, columns + 1] = common[t, i, 0] * marker[t, m, i]
            beta, trial = np.zeros(k), np.zeros(k)
            score, information, step = np.zeros(k), np.zeros((k, k)), np.zeros(k)
            out = expected[t, m]
            out[:] = 0.0
            best = -np.inf
            halvings = 0
            for _ in range(STEPS):
                if survival:
                    value = _cox_at(
                        order, ends, time[t], event[t], x, trial, score, information, out
                    )
                else:
                    value = _logistic_at(order, event[t], x, trial, score, information, out)
                if value < best - 1e-10 * (1.0 + abs(best)) and halvings < 20:
                    halvings += 1
                    step *= 0.5
                    trial = beta + step
                    continue
                best = value
                halvings = 0
                beta[:] = trial
                _newton_step(information, score, step)
                largest = np.abs(step).max()
                if largest < MOVE_BELOW:
                    break
                if largest > 3.0:
                    step *= 3.0 / largest
                trial = beta + step
            loglik[t, m] = best
            if np.abs(beta).max() > FARTHEST:
                out[:] = np.nan
