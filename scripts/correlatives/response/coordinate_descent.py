"""Compiled coordinate descent for the elastic net: logistic and Cox models along a path of penalties.

Proximal Newton steps with the exact Hessian of the columns worked on: the loss is replaced by its quadratic
approximation, which coordinate descent minimises; the step is halved where the objective would rise. Sequential strong
rules pick the columns looked at first, and every column left out is checked afterwards, so that the rules save time and
change nothing.

References
----------
Friedman J, Hastie T, Tibshirani R. Journal of Statistical Software 2010;33(1) (coordinate descent).
Simon N et al. Journal of Statistical Software 2011;39(5) (Cox).
Tibshirani R et al. Journal of the Royal Statistical Society B 2012;74:245-266 (strong rules).
"""

from __future__ import annotations

import numpy as np
from numba import njit

LOGISTIC, COX = 0, 1

#: Newton steps, and sweeps of coordinate descent a step, at most.
MOST_NEWTON, MOST_SWEEPS = 100, 20_000

#: Second derivatives are kept from step to step while squared steps fall at least by this factor.
SLOW = 0.05

#: Sums may be reordered for speed; infinite and missing values keep their meaning.
FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, fastmath=FAST)
def _dot(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@njit(cache=True, fastmath=FAST)
def _add(eta: np.ndarray, x: np.ndarray, step: float) -> None:
    for i in range(len(eta)):
        eta[i] += x[i] * step


@njit(cache=True, fastmath=FAST)
def _logistic_terms(eta: np.ndarray, event: np.ndarray, r: np.ndarray, h: np.ndarray) -> float:
    """Fill residual and curvature; return the negative log-likelihood."""
    total = 0.0
    for i in range(len(eta)):
        small = np.exp(-abs(eta[i]))
        p = 1.0 / (1.0 + small) if eta[i] >= 0.0 else small / (1.0 + small)
        total += max(eta[i], 0.0) - event[i] * eta[i] + np.log1p(small)
        r[i] = event[i] - p
        h[i] = max(p * (1.0 - p), 1e-9)
    return total


@njit(cache=True, fastmath=FAST)
def cox_terms(
    eta: np.ndarray,
    event: np.ndarray,
    group_end: np.ndarray,
    stratum_end: np.ndarray,
    r: np.ndarray,
    h: np.ndarray,
) -> float:
    """Fill martingale residual and expected events; return the negative log partial likelihood (Breslow ties).

    Rows are sorted by stratum, then latest time first. `group_end[i]` is one past the last row that shares the
    stratum and time of row i; `stratum_end[i]` one past the last row of its stratum. The expected events are used as
    curvature: they bound the Hessian, of which the other part is negative.
    """
    n = len(eta)
    total = 0.0
    start = 0
    while start < n:
        end = stratum_end[start]
        largest = eta[start]
        for i in range(start, end):
            largest = max(largest, eta[i])
        at_risk = 0.0
        i = start
        while i < end:
            last = group_end[i]
            events = 0.0
            for j in range(i, last):
                h[j] = np.exp(eta[j] - largest)
                at_risk += h[j]
                if event[j] > 0.0:
                    events += event[j]
                    total -= event[j] * (eta[j] - largest)
            if events > 0.0:
                total += events * np.log(at_risk)
            r[i] = events / at_risk if at_risk > 0.0 else 0.0
            i = last
        # the hazard of a row is the sum of the jumps at its own and all earlier times, which stand after it
        hazard = 0.0
        i = end
        while i > start:
            first = i - 1
            while first > start and group_end[first - 1] == group_end[first]:
                first -= 1
            hazard += r[first]
            for j in range(first, i):
                h[j] = h[j] * hazard
                r[j] = event[j] - h[j]
            i = first
        start = end
    return total


@njit(cache=True, fastmath=FAST)
def terms(
    family: int,
    eta: np.ndarray,
    event: np.ndarray,
    group_end: np.ndarray,
    stratum_end: np.ndarray,
    r: np.ndarray,
    h: np.ndarray,
) -> float:
    """Fill residual and curvature of a linear predictor; return the negative log-likelihood."""
    if family == LOGISTIC:
        return _logistic_terms(eta, event, r, h)
    return cox_terms(eta, event, group_end, stratum_end, r, h)


@njit(cache=True, fastmath=FAST)
def _risk_sets(
    eta: np.ndarray,
    event: np.ndarray,
    group_end: np.ndarray,
    stratum_end: np.ndarray,
    risk: np.ndarray,
    share: np.ndarray,
    end_of: np.ndarray,
) -> int:
    """Fill relative risks and, of each event time, √events over the risk at risk and the end of the risk set."""
    n = len(eta)
    jumps = 0
    start = 0
    while start < n:
        end = stratum_end[start]
        largest = eta[start:end].max()
        at_risk = 0.0
        i = start
        while i < end:
            events = 0.0
            last = group_end[i]
            for j in range(i, last):
                risk[j] = np.exp(eta[j] - largest)
                at_risk += risk[j]
                events += event[j]
            if events > 0.0:
                share[jumps] = np.sqrt(events) / at_risk
                end_of[jumps] = last
                jumps += 1
            i = last
        start = end
    return jumps


@njit(cache=True, fastmath=FAST)
def _extend_hessian(
    x: np.ndarray,
    members: np.ndarray,
    built: int,
    size: int,
    h: np.ndarray,
    jumps: int,
    risk: np.ndarray,
    share: np.ndarray,
    end_of: np.ndarray,
    stratum_end: np.ndarray,
    scaled: np.ndarray,
    means: np.ndarray,
    hessian: np.ndarray,
) -> None:
    """Fill the rows of new members: the mean loss's second derivatives.

    Cox: expected events, less the outer products of the risk sets' means (`jumps` of them; none for a logistic model).
    """
    n = len(h)
    for a in range(built, size):
        column = x[members[a]]
        for i in range(n):
            scaled[a, i] = h[i] * column[i]
        start = 0
        i = 0
        total = 0.0
        for jump in range(jumps):
            while i < end_of[jump]:
                if i == start:
                    total = 0.0
                    start = stratum_end[i]
                total += risk[i] * column[i]
                i += 1
            means[a, jump] = share[jump] * total
        for b in range(a + 1):
            value = _dot(scaled[b], column)
            if jumps:
                value -= _dot(means[a, :jumps], means[b, :jumps])
            hessian[a, b] = value / n
            hessian[b, a] = value / n
        # a column the model hardly sees must not divide by nothing
        hessian[a, a] = max(hessian[a, a], 1e-12)


@njit(cache=True, fastmath=FAST)
def _descend(
    hessian: np.ndarray,
    slope: np.ndarray,
    beta: np.ndarray,
    size: int,
    lasso: np.ndarray,
    ridge: np.ndarray,
    tolerance: float,
) -> None:
    """Minimise the quadratic approximation with elastic net penalty, in place; `slope` follows `beta`."""
    for _ in range(MOST_SWEEPS):
        largest = 0.0
        for a in range(size):
            c = hessian[a, a]
            old = beta[a]
            g = slope[a] + c * old
            if g > lasso[a]:
                new = (g - lasso[a]) / (c + ridge[a])
            elif g < -lasso[a]:
                new = (g + lasso[a]) / (c + ridge[a])
            else:
                new = 0.0
            step = new - old
            if step != 0.0:
                beta[a] = new
                for b in range(size):
                    slope[b] -= hessian[a, b] * step
                largest = max(largest, c * step * step)
        if largest < tolerance:
            break


@njit(cache=True, fastmath=FAST)
def fit_path(
    family: int,
    x: np.ndarray,
    event: np.ndarray,
    group_end: np.ndarray,
    stratum_end: np.ndarray,
    penalties: np.ndarray,
    alpha: float,
    factor: np.ndarray,
    tolerance: float,
    stop: bool,
    start: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit all penalties, largest first, each from the solution before.

    Parameters
    ----------
    family : int
        LOGISTIC or COX.
    x : np.ndarray, shape (k, n)
        Standardised columns, one a row (an intercept is a row of ones with factor 0); for Cox the subjects in the order of
        `cox_terms`.
    event : np.ndarray, shape (n,)
        Outcome 0 or 1.
    group_end, stratum_end : np.ndarray of int, shape (n,)
        See `cox_terms`; not read for a logistic model.
    penalties : np.ndarray, shape (L,)
        Falling.
    alpha : float
        Share of the penalty that is L1.
    factor : np.ndarray, shape (k,)
        Multiplies the penalty of each column; 0 is unpenalised.
    tolerance : float
        A fit is done when no coefficient moves by more than that, as the change squared times its curvature.
    stop : bool
        End the path where four penalties more explain less than a thousandth more of the deviance, as glmnet does
        for Cox models.
    start : np.ndarray, shape (k,)
        Coefficients to start from.

    Returns
    -------
    beta, loglik : np.ndarray, shapes (L, k), (L,)
        NaN for penalties after the stop, and for fits that did not come to an end.
    """
    k, n = x.shape
    count = len(penalties)
    betas = np.full((count, k), np.nan)
    logliks = np.full(count, np.nan)
    beta = start.copy()
    eta, eta_try = np.zeros(n), np.empty(n)
    r, h = np.empty(n), np.empty(n)
    null = terms(family, eta, event, group_end, stratum_end, r, h) / n
    for j in range(k):
        if beta[j] != 0.0:
            _add(eta, x[j], beta[j])
    loss = terms(family, eta, event, group_end, stratum_end, r, h) / n
    # log-likelihood of a model with a parameter a subject: tied events of a Cox model share theirs
    saturated = 0.0
    if family == COX:
        i = 0
        while i < n:
            tied = event[i : group_end[i]].sum()
            if tied > 0.0:
                saturated += tied * np.log(tied) / n
            i = group_end[i]
    gradient = np.empty(k)
    for j in range(k):
        gradient[j] = _dot(x[j], r) / n
    looked_at = np.empty(k, dtype=np.int64)
    inside = np.zeros(k, dtype=np.bool_)
    looked = 0
    members = np.empty(k, dtype=np.int64)
    member = np.zeros(k, dtype=np.bool_)
    size = built = 0
    room = 16
    hessian, scaled, means = np.empty((room, room)), np.empty((room, n)), np.empty((room, n))
    now, old, slope = np.empty(room), np.empty(room), np.empty(room)
    lasso, ridge = np.empty(room), np.empty(room)
    h_then, risk, share = h.copy(), np.empty(n), np.empty(n)
    end_of = np.empty(n, dtype=np.int64)
    jumps = 0
    stale = True
    explained = np.zeros(count)
    previous = penalties[0]
    for which in range(count):
        lam = penalties[which]
        bound = alpha * (2.0 * lam - previous)
        for j in range(k):
            wanted = factor[j] == 0.0 or beta[j] != 0.0 or abs(gradient[j]) >= bound * factor[j]
            if wanted and not inside[j]:
                inside[j] = True
                looked_at[looked] = j
                looked += 1
        arrived = False
        while True:
            added = False
            for place in range(looked):
                j = looked_at[place]
                if not member[j]:
                    gradient[j] = _dot(x[j], r) / n
                    if (
                        abs(gradient[j]) > lam * alpha * factor[j] * (1.0 + 1e-9)
                        or factor[j] == 0.0
                    ):
                        member[j] = True
                        members[size] = j
                        size += 1
                        added = True
            if arrived and not added:
                for j in range(k):
                    if not inside[j]:
                        gradient[j] = _dot(x[j], r) / n
                        if abs(gradient[j]) > lam * alpha * factor[j] * (1.0 + 1e-9):
                            inside[j] = True
                            looked_at[looked] = j
                            looked += 1
                            added = True
                if not added:
                    break
                continue
            if size > room:
                while size > room:
                    room *= 2
                hessian, scaled, means = (
                    np.empty((room, room)),
                    np.empty((room, n)),
                    np.empty((room, n)),
                )
                now, old, slope = np.empty(room), np.empty(room), np.empty(room)
                lasso, ridge = np.empty(room), np.empty(room)
                stale = True
            arrived = False
            before = np.inf
            for _ in range(MOST_NEWTON):
                if stale:
                    # columns that have left the model are left out until they are wanted again
                    kept = 0
                    for place in range(size):
                        j = members[place]
                        wanted = factor[j] == 0.0 or beta[j] != 0.0
                        if not wanted:
                            wanted = abs(_dot(x[j], r) / n) > lam * alpha * factor[j]
                        if wanted:
                            members[kept] = j
                            kept += 1
                        else:
                            member[j] = False
                    size, built = kept, 0
                    h_then[:] = h
                    if family == COX:
                        jumps = _risk_sets(eta, event, group_end, stratum_end, risk, share, end_of)
                    stale = False
                    fresh = True
                else:
                    fresh = False
                if built < size:
                    _extend_hessian(
                        x, members, built, size, h_then, jumps, risk, share, end_of, stratum_end, scaled, means, hessian
                    )  # fmt: skip
                    built = size
                value = loss
                for a in range(size):
                    j = members[a]
                    lasso[a] = lam * alpha * factor[j]
                    ridge[a] = lam * (1.0 - alpha) * factor[j]
                    now[a] = old[a] = beta[j]
                    slope[a] = _dot(x[j], r) / n
                    value += lasso[a] * abs(now[a]) + 0.5 * ridge[a] * now[a] * now[a]
                _descend(hessian, slope, now, size, lasso, ridge, 0.1 * tolerance)
                largest = 0.0
                for a in range(size):
                    largest = max(largest, hessian[a, a] * (now[a] - old[a]) ** 2)
                halvings = 0
                while True:
                    eta_try[:] = eta
                    value_try = 0.0
                    for a in range(size):
                        step = now[a] - old[a]
                        if step != 0.0:
                            _add(eta_try, x[members[a]], step)
                        value_try += lasso[a] * abs(now[a]) + 0.5 * ridge[a] * now[a] * now[a]
                    loss_try = terms(family, eta_try, event, group_end, stratum_end, r, h) / n
                    value_try += loss_try
                    if value_try <= value + 1e-13 * (1.0 + abs(value)) or halvings == 40:
                        break
                    halvings += 1
                    for a in range(size):
                        now[a] = 0.5 * (now[a] + old[a])
                eta[:] = eta_try
                loss = loss_try
                for a in range(size):
                    beta[members[a]] = now[a]
                if largest < tolerance:
                    arrived = True
                    break
                # second derivatives are computed anew only where the old ones have become too wrong
                if not fresh and (largest > SLOW * before or halvings > 0):
                    stale = True
                before = largest
            if not arrived:
                break
        if not arrived:
            break
        betas[which] = beta
        logliks[which] = -loss * n
        previous = lam
        if stop:
            explained[which] = 1.0 - (loss + saturated) / (null + saturated)
            earlier = explained[which - 4] if which >= 4 else 0.0
            if which >= 4 and explained[which] - earlier < 1e-3 * explained[which]:
                break
            if explained[which] > 0.999:
                break
    return betas, logliks


@njit(cache=True, fastmath=FAST)
def held_out_losses(
    family: int,
    x: np.ndarray,
    event: np.ndarray,
    group_end: np.ndarray,
    stratum_end: np.ndarray,
    inside: np.ndarray,
    betas: np.ndarray,
) -> np.ndarray:
    """Return the loss of the rows that a model did not learn from, a penalty: shape (L,).

    Parameters
    ----------
    family, x, event, group_end, stratum_end
        As for `fit_path`, of all rows (k, n).
    inside : np.ndarray of bool, shape (n,)
        Rows learnt from.
    betas : np.ndarray, shape (L, k)

    Notes
    -----
    Cox: the partial likelihood of everyone less that of the rows learnt from (Verweij & van Houwelingen,
    Statistics in Medicine 1993;12:2305-2314), since the held-out rows alone have hardly a risk set.
    """
    k, n = x.shape
    m = 0
    for i in range(n):
        m += inside[i]
    # the rows learnt from, and where their ties and strata end among themselves
    before = np.empty(n + 1, dtype=np.int64)
    before[0] = 0
    for i in range(n):
        before[i + 1] = before[i] + inside[i]
    some_event, some_eta = np.empty(m), np.empty(m)
    some_group, some_stratum = np.empty(m, dtype=np.int64), np.empty(m, dtype=np.int64)
    for i in range(n):
        if inside[i]:
            some_event[before[i]] = event[i]
            if family == COX:
                some_group[before[i]] = before[group_end[i]]
                some_stratum[before[i]] = before[stratum_end[i]]
    losses = np.empty(len(betas))
    eta, r, h = np.empty(n), np.empty(n), np.empty(n)
    for which in range(len(betas)):
        eta[:] = 0.0
        for j in range(k):
            if betas[which, j] != 0.0:
                _add(eta, x[j], betas[which, j])
        for i in range(n):
            if inside[i]:
                some_eta[before[i]] = eta[i]
        losses[which] = terms(family, eta, event, group_end, stratum_end, r, h) - terms(
            family, some_eta, some_event, some_group, some_stratum, r[:m], h[:m]
        )
    return losses
