"""Firth's penalised likelihood of one marker's Cox or logistic model, compiled: the fast lane of `firth`.

Everything here takes and fills arrays and runs without the interpreter, so that `fit_marker` can be called in
a loop over markers or simulated trials. Importing this module imports Numba, so it is imported where it
is used.

The penalised score of a Cox model needs the third central moments of the columns in every risk set, contracted
with the inverse information J. With h_i the expected events of subject i and b_i the sum of the
means of the risk sets it is in, each weighted as its expected events, that is

    ½ Σ_i [h_i u_i − 2 x_i' J b_i] x_i − ½ Σ_i u_i b_i + Σ_e (μ_e' J μ_e) μ_e,   u_i = x_i' J x_i,

which needs sums down the subjects and back up, and no moments beyond the means. Newton's
matrix is the information plus the penalty's own curvature, learnt from the change of its score from step to
step (a symmetric rank-one update), so that convergence is faster than Fisher scoring's.

References
----------
Firth D. Biometrika 1993;80:27-38. Heinze G, Schemper M. Biometrics 2001;57:114-119 and Statistics in Medicine
2002;21:2409-2419. Venzon DJ, Moolgavkar SH. Applied Statistics 1988;37:87-94 (profile limits). Dennis JE, Gay
DM, Welsch RE. ACM Transactions on Mathematical Software 1981;7:348-368 (curvature learnt in part).
"""

# Numba infers types.
# ruff: noqa: ANN001, ANN201, ANN202

from __future__ import annotations

import numba as nb
import numpy as np

from correlatives.lanes import FARTHEST, WIDTH, exponential, fma, load, splat, store, sum_of
from correlatives.likelihood import ALIASED_BELOW, CONSTANT_BELOW

#: What `fit_marker` returns: every number asked for was found, or some were not and the careful code should look.
FOUND, LOST = 1, 2

STEPS = 60
HALVINGS = 30
SEARCHES = 40
#: Newton stops where the squared step, in standard errors, is below this; the last step is taken.
DECREMENT = 1e-18
#: A squared step that teaches nothing about the penalty's curvature but rounding.
LEAST_LESSON = 1e-14
#: Cosine between a step and what it teaches below which rank one does not take it in.
LEAST_ANGLE = 0.1
#: Share of the information that Newton's matrix keeps at least, so that no step is without end.
LEAST_CURVATURE = 0.02
#: Pivot of the information over its diagonal below which a marker needs care.
SMALLEST_PIVOT = 1e-11
#: Steps on the way to a limit are at most this many standard errors long.
LONGEST = 3.0

#: The compiler may not reorder sums: how it would depends on what it compiled before, and so would the last bits of
#: every answer. Those over subjects are taken in lanes.
_INNER = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def risk_sets(order, include, time, event, codes, rows, died, first, size, dead, fresh):
    """Fill the subjects that are included, and their tied times, from an order by stratum and falling time.

    Parameters
    ----------
    order : np.ndarray of int, shape (n,)
        All subjects, sorted by stratum and falling time.
    include : np.ndarray of bool, shape (n,)
    time : np.ndarray, shape (n,)
        Equal where tied (`ties.tie_times`).
    event : np.ndarray of bool, shape (n,)
    codes : np.ndarray of int, shape (n,)
        Strata.
    rows, died : np.ndarray of int and bool, shape (n,)
        Filled: the subjects included, in order, and whether each has the event.
    first, size, dead, fresh : np.ndarray of int, int, int and bool, shape (n,)
        Filled, one a tied time: its first row, its rows, its events, and whether a stratum begins with it.

    Returns
    -------
    m, groups : int
        Subjects included, and tied times.
    """
    m = groups = 0
    for at in range(order.shape[0]):
        i = order[at]
        if not include[i]:
            continue
        new_stratum = m == 0 or codes[i] != codes[rows[m - 1]]
        if new_stratum or time[i] != time[rows[m - 1]]:
            first[groups] = m
            size[groups] = 0
            dead[groups] = 0
            fresh[groups] = new_stratum
            groups += 1
        rows[m] = i
        died[m] = event[i]
        size[groups - 1] += 1
        if event[i]:
            dead[groups - 1] += 1
        m += 1
    return m, groups


@nb.njit(**_INNER)
def _product(a, b, m):
    """Return Σ a b over m subjects, the rest of the last lanes being 0 in one of them."""
    total = splat(0.0)
    for row in range((m + WIDTH - 1) // WIDTH):
        total = fma(load(a, row), load(b, row), total)
    return sum_of(total)


@nb.njit(**_INNER)
def _centre(column, m, first, size, fresh):
    """Subtract the mean within strata, which a Cox model cannot see."""
    groups = first.shape[0]
    g = 0
    while g < groups:
        start = first[g]
        g += 1
        while g < groups and not fresh[g]:
            g += 1
        stop = first[g] if g < groups else m
        total = 0.0
        for i in range(start, stop):
            total += column[i]
        total /= stop - start
        for i in range(start, stop):
            column[i] -= total


@nb.njit(**_INNER)
def _mean_square_root(column, m):
    return np.sqrt(_product(column, column, m) / m)


@nb.njit(**_INNER)
def _orthogonalise(survival, X, m, first, size, fresh, r, kept):
    """`likelihood.orthogonalise` of one marker: X (k, rows) is overwritten, its aliased columns dropped.

    Returns the number of columns kept; `kept` says which, the upper triangle of `r` how they make the old ones.
    """
    k = X.shape[0]
    full = np.zeros((k, k))
    count = 0
    for j in range(k):
        v = X[j]
        unit = 0.0
        for i in range(m):
            unit = max(unit, abs(v[i]))
        if not (unit > 0.0 and unit < np.inf):
            unit = 1.0
        for i in range(m):
            v[i] /= unit
        if survival:
            _centre(v, m, first, size, fresh)
        whole = _mean_square_root(v, m)
        for again in range(2):
            for o in range(count):
                q = X[kept[o]]
                share = _product(q, v, m) / m
                for i in range(m):
                    v[i] -= q[i] * share
                full[kept[o], j] += share * unit
                # what the intercept leaves is the whole of a column
                if not survival and kept[o] == 0 and again == 0:
                    whole = _mean_square_root(v, m)
            if survival:
                _centre(v, m, first, size, fresh)
        own = _mean_square_root(v, m)
        if own > ALIASED_BELOW * whole and whole > CONSTANT_BELOW:
            for i in range(m):
                v[i] /= own
            full[j, j] = own * unit
            kept[count] = j
            count += 1
    for o in range(count):
        for p in range(count):
            r[o, p] = full[kept[o], kept[p]]
        if kept[o] != o:
            X[o] = X[kept[o]]
    return count


@nb.njit(**_INNER)
def _factor(matrix, lower, k):
    """Cholesky factor into `lower`; half the log-determinant, NaN where there is none."""
    half = 0.0
    for i in range(k):
        for j in range(i + 1):
            total = matrix[i, j]
            for o in range(j):
                total -= lower[i, o] * lower[j, o]
            if i == j:
                if not total > SMALLEST_PIVOT * matrix[i, i]:
                    return np.nan
                lower[i, i] = np.sqrt(total)
                half += np.log(lower[i, i])
            else:
                lower[i, j] = total / lower[j, j]
    return half


@nb.njit(**_INNER)
def _solve(lower, right, answer, k):
    """Solve with a Cholesky factor."""
    for i in range(k):
        total = right[i]
        for o in range(i):
            total -= lower[i, o] * answer[o]
        answer[i] = total / lower[i, i]
    for back in range(k):
        i = k - 1 - back
        total = answer[i]
        for o in range(i + 1, k):
            total -= lower[o, i] * answer[o]
        answer[i] = total / lower[i, i]


@nb.njit(**_INNER)
def _dot(a, b, k):
    total = 0.0
    for j in range(k):
        total += a[j] * b[j]
    return total


# Rows of the scratch array `W` (rows × subjects): predictor, exponential, expected events (Cox) or information
# weight (logistic), u, and what belongs to b (Cox: one row a column).
_PREDICTOR, _EXPONENTIAL, _EXPECTED, _LEVERAGE, _RESIDUAL, _MEANS = 0, 1, 2, 3, 4, 5


@nb.njit(**_INNER)
def _cox(X, k, m, died, first, size, dead, fresh, score, information, W, M, G):
    """Log partial likelihood, its score and information at the predictor in W; what the penalty needs, in W and M.

    M (events, k): means of the risk sets. G (tied times, 2 + 2k): scratch.
    """
    eta, w, expected = W[_PREDICTOR], W[_EXPONENTIAL], W[_EXPECTED]
    loglik = 0.0
    product = 1.0
    passes = 0
    s0 = d0 = 0.0
    s1, d1 = np.zeros(k), np.zeros(k)
    groups = first.shape[0]
    for g in range(groups):
        if fresh[g]:
            s0 = 0.0
            s1[:] = 0.0
        tied = dead[g] > 1
        d0 = 0.0
        d1[:] = 0.0
        for i in range(first[g], first[g] + size[g]):
            s0 += w[i]
            for j in range(k):
                s1[j] += w[i] * X[j, i]
            if died[i]:
                loglik += eta[i]
                for j in range(k):
                    score[j] += X[j, i]
                if tied:
                    d0 += w[i]
                    for j in range(k):
                        d1[j] += w[i] * X[j, i]
        for column in range(2 + 2 * k):
            G[g, column] = 0.0
        for taken in range(dead[g]):
            share = taken / dead[g]
            total = s0 - share * d0
            inverse = 1.0 / total
            product *= total
            if not (product > 1e-140 and product < 1e140):
                loglik -= np.log(product)
                product = 1.0
            G[g, 0] += inverse
            G[g, 1] += share * inverse
            for j in range(k):
                mean = (s1[j] - share * d1[j]) * inverse
                M[passes, j] = mean
                score[j] -= mean
                G[g, 2 + j] += inverse * mean
                G[g, 2 + k + j] += share * inverse * mean
                for o in range(j + 1):
                    information[j, o] -= mean * M[passes, o]
            passes += 1
    loglik -= np.log(product)
    hazard = 0.0
    s1[:] = 0.0
    for back in range(groups):
        g = groups - 1 - back
        hazard += G[g, 0]
        for j in range(k):
            s1[j] += G[g, 2 + j]
        for i in range(first[g], first[g] + size[g]):
            relief = 1.0 if died[i] else 0.0
            expected[i] = w[i] * (hazard - relief * G[g, 1])
            for j in range(k):
                W[_MEANS + j, i] = w[i] * (s1[j] - relief * G[g, 2 + k + j])
        if fresh[g]:
            hazard = 0.0
            s1[:] = 0.0
    _weighted_squares(X, k, m, expected, information)
    return loglik


@nb.njit(**_INNER)
def _weighted_squares(X, k, m, weight, information):
    """Add Σ weight x x' to a lower triangle, and copy it to the upper one."""
    for j in range(k):
        for o in range(j + 1):
            one, other = X[j], X[o]
            total = splat(0.0)
            for row in range((m + WIDTH - 1) // WIDTH):
                total = fma(load(weight, row) * load(one, row), load(other, row), total)
            information[j, o] += sum_of(total)
            information[o, j] = information[j, o]


@nb.njit(**_INNER)
def _logistic(X, k, m, responded, score, information, W):
    """Log-likelihood, its score and information at the predictor in W, whose exponential is that of -|predictor|."""
    eta, tail, weight, residual = W[_PREDICTOR], W[_EXPONENTIAL], W[_EXPECTED], W[_RESIDUAL]
    loglik = 0.0
    product = 1.0
    for i in range(m):
        below = 1.0 / (1.0 + tail[i])
        chance = below if eta[i] >= 0.0 else tail[i] * below
        weight[i] = tail[i] * below * below
        residual[i] = (1.0 if responded[i] else 0.0) - chance
        # the penalty's share: ½ − p
        W[_MEANS, i] = 0.5 - chance
        if responded[i] != (eta[i] >= 0.0):
            loglik -= abs(eta[i])
        product *= 1.0 + tail[i]
        if product > 1e140:
            loglik -= np.log(product)
            product = 1.0
    loglik -= np.log(product)
    for j in range(k):
        score[j] += _product(residual, X[j], m)
    _weighted_squares(X, k, m, weight, information)
    return loglik


@nb.njit(**_INNER)
def _evaluate(
    survival,
    X,
    k,
    m,
    died,
    first,
    size,
    dead,
    fresh,
    gamma,
    score,
    pull,
    information,
    lower,
    J,
    W,
    M,
    G,
):
    """Penalised log-likelihood at gamma, -inf where it cannot be told; fills what goes with it.

    score (k) is penalised, pull (k) the penalty's part of it; information (k, k) is that of the likelihood
    alone, lower its factor, J its inverse.
    """
    eta = W[_PREDICTOR]
    score[:k] = 0.0
    information[:k, :k] = 0.0
    for i in range(m):
        eta[i] = gamma[0] * X[0, i]
    for j in range(1, k):
        for i in range(m):
            eta[i] += gamma[j] * X[j, i]
    highest, lowest = -np.inf, np.inf
    for i in range(m):
        highest = max(highest, eta[i])
        lowest = min(lowest, eta[i])
    # NaN fails both
    if not (highest - lowest < FARTHEST and max(highest, -lowest) < FARTHEST):
        return -np.inf
    raised = W[_EXPONENTIAL]
    if survival:
        for i in range(m):
            eta[i] -= highest
            raised[i] = eta[i]
    else:
        for i in range(m):
            raised[i] = -abs(eta[i])
    for row in range((m + WIDTH - 1) // WIDTH):
        store(raised, row, exponential(load(raised, row)))
    if survival:
        loglik = _cox(X, k, m, died, first, size, dead, fresh, score, information, W, M, G)
    else:
        loglik = _logistic(X, k, m, died, score, information, W)
    half = _factor(information, lower, k)
    if not (half > -np.inf and half < np.inf):
        return -np.inf
    unit = np.zeros(k)
    for j in range(k):
        unit[:] = 0.0
        unit[j] = 1.0
        _solve(lower, unit, J[j], k)
    u, expected, q = W[_LEVERAGE], W[_EXPECTED], W[_RESIDUAL]
    for i in range(m):
        u[i] = 0.0
    for j in range(k):
        for i in range(m):
            u[i] += J[j, j] * X[j, i] * X[j, i]
        for o in range(j):
            for i in range(m):
                u[i] += 2.0 * J[j, o] * X[j, i] * X[o, i]
    if survival:
        for i in range(m):
            q[i] = expected[i] * u[i]
        for j in range(k):
            for o in range(k):
                for i in range(m):
                    q[i] -= 2.0 * J[j, o] * X[j, i] * W[_MEANS + o, i]
        for j in range(k):
            pull[j] = 0.5 * (_product(q, X[j], m) - _product(u, W[_MEANS + j], m))
        passes = 0
        for g in range(dead.shape[0]):
            passes += dead[g]
        for e in range(passes):
            spread = 0.0
            for j in range(k):
                spread += M[e, j] * _dot(J[j], M[e], k)
            for j in range(k):
                pull[j] += spread * M[e, j]
    else:
        for i in range(m):
            u[i] *= expected[i] * W[_MEANS, i]
        for j in range(k):
            pull[j] = _product(u, X[j], m)
    for j in range(k):
        score[j] += pull[j]
    return loglik + half


@nb.njit(**_INNER)
def _learn(A, step, pull, before, k, decrement, spare):
    """Let the penalty's curvature A agree with the last change of its score (symmetric rank one)."""
    if decrement < LEAST_LESSON:
        return
    along = size = length = 0.0
    for i in range(k):
        spare[i] = before[i] - pull[i] - _dot(A[i], step, k)
        along += spare[i] * step[i]
        size += spare[i] * spare[i]
        length += step[i] * step[i]
    if not length > 0.0:
        return
    if abs(along) > LEAST_ANGLE * np.sqrt(size * length):
        for i in range(k):
            for j in range(k):
                A[i, j] += spare[i] * spare[j] / along
    else:
        # nearly across the step, rank one runs away: the least symmetric change instead (Powell)
        for i in range(k):
            for j in range(k):
                A[i, j] += (
                    spare[i] * step[j] + step[i] * spare[j] - along * step[i] * step[j] / length
                ) / length


@nb.njit(**_INNER)
def _curvature(information, A, lower, H, k):
    """Factor Newton's matrix: information + A, with less of A where that would not be safely positive definite."""
    _factor(information, lower, k)
    for i in range(k):
        H[i, i] = lower[i, i] * lower[i, i]
    for _ in range(5):
        for i in range(k):
            for j in range(i):
                H[i, j] = information[i, j] + A[i, j]
        half = 0.0
        # as `_factor`, but H keeps the pivots of the information on its diagonal
        for i in range(k):
            for j in range(i + 1):
                total = information[i, i] + A[i, i] if i == j else H[i, j]
                for o in range(j):
                    total -= lower[i, o] * lower[j, o]
                if i == j:
                    if not total > LEAST_CURVATURE * H[i, i]:
                        half = np.nan
                        break
                    lower[i, i] = np.sqrt(total)
                else:
                    lower[i, j] = total / lower[j, j]
            if half != 0.0:
                break
        if half == 0.0:
            return
        for i in range(k):
            for j in range(k):
                A[i, j] *= 0.5
    for i in range(k):
        for j in range(k):
            A[i, j] = 0.0
    _factor(information, lower, k)


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def fit_marker(
    survival,
    X,
    m,
    died,
    first,
    size,
    dead,
    fresh,
    quantities,
    drop,
    tested,
    coefficients,
    covariance,
    estimate,
    low,
    high,
    statistic,
):
    """Maximise the penalised likelihood of one marker; limits and tests of linear combinations of coefficients.

    Parameters
    ----------
    survival : bool
        Cox, Efron ties, stratified; else logistic, the intercept being the first column.
    X : np.ndarray, shape (k, m or more, rounded up to 16)
        Columns of the model, subjects in the order of `risk_sets`, 0 from the m-th on. Overwritten.
    m : int
        Subjects.
    died : np.ndarray of bool, shape (m,)
        Event, or response.
    first, size, dead, fresh : np.ndarray, one element a tied time
        See `risk_sets`; empty for a logistic model.
    quantities : np.ndarray, shape (q, k)
        Combinations of the coefficients that are wanted.
    drop : float
        Chi-square quantile by which twice the penalised likelihood falls at a limit; 0: no limits.
    tested : bool
        Whether the penalised likelihood-ratio statistics of the quantities being 0 are wanted; the
        determinant is that of all columns there too (Heinze & Schemper 2001).
    coefficients, covariance : np.ndarray, shapes (k,) and (k, k)
        Filled; NaN for aliased columns, and the covariance is the inverse of the information.
    estimate, low, high, statistic : np.ndarray, shape (q,)
        Filled; NaN where a quantity involves an aliased column.

    Returns
    -------
    state : int
        FOUND, or LOST: then some number that exists may be NaN.
    loglik : float
        Penalised log-likelihood at the estimate.
    """
    coefficients[:] = np.nan
    covariance[:] = np.nan
    estimate[:] = np.nan
    low[:] = np.nan
    high[:] = np.nan
    statistic[:] = np.nan
    columns = X.shape[0]
    events = 0
    for i in range(m):
        events += died[i]
    if m == 0 or (survival and events == 0):
        return LOST, np.nan
    r = np.zeros((columns, columns))
    kept = np.zeros(columns, np.int64)
    k = _orthogonalise(survival, X, m, first, size, fresh, r, kept)
    if k == 0:
        return LOST, np.nan
    padded = (m + WIDTH - 1) // WIDTH * WIDTH
    W = np.zeros((_MEANS + k, padded))
    M = np.zeros((max(events, 1), k))
    G = np.zeros((max(first.shape[0], 1), 2 + 2 * k))
    information, lower, J, H = (
        np.zeros((k, k)),
        np.zeros((k, k)),
        np.zeros((k, k)),
        np.zeros((k, k)),
    )
    A, learnt = np.zeros((k, k)), np.zeros((k, k))
    score, pull, before = np.zeros(k), np.zeros(k), np.zeros(k)
    gamma, best, step, spare = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    wanted, toward, room = np.zeros(k), np.zeros(k), np.zeros(k)

    # --- the maximum
    if not survival:
        share = (events + 0.5) / (m + 1.0)
        gamma[0] = np.log(share / (1.0 - share)) * r[0, 0]
    found, top = _climb(
        survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, False, 0.0,
        score, pull, before, information, lower, J, H, W, M, G, best, step, toward, spare,
    )  # fmt: skip
    if not found:
        return LOST, np.nan
    best[:] = gamma
    learnt[:] = A
    informed, pulled = information.copy(), pull.copy()
    # information of the coefficients is r' I r
    half = 0.0
    for j in range(k):
        half += np.log(r[j, j])
    for j in range(k):
        i = k - 1 - j
        total = gamma[i]
        for o in range(i + 1, k):
            total -= r[i, o] * coefficients[kept[o]]
        coefficients[kept[i]] = total / r[i, i]
    # J is that of the last evaluation, less than 1e-9 standard errors away
    back = np.zeros((k, k))
    for column in range(k):
        for j in range(k):
            i = k - 1 - j
            total = J[i, column]
            for o in range(i + 1, k):
                total -= r[i, o] * back[o, column]
            back[i, column] = total / r[i, i]
    for row in range(k):
        for j in range(k):
            i = k - 1 - j
            total = back[row, i]
            for o in range(i + 1, k):
                total -= r[i, o] * covariance[kept[row], kept[o]]
            covariance[kept[row], kept[i]] = total / r[i, i]

    state = FOUND
    for q in range(quantities.shape[0]):
        # the quantity in orthogonal columns
        estimable = True
        position = 0
        for j in range(columns):
            if position < k and kept[position] == j:
                total = quantities[q, j]
                for o in range(position):
                    total -= r[o, position] * wanted[o]
                wanted[position] = total / r[position, position]
                position += 1
            elif quantities[q, j] != 0.0:
                estimable = False
        if not estimable:
            continue
        at_best = _dot(wanted, best, k)
        estimate[q] = at_best
        if tested:
            gamma[:] = best
            A[:] = learnt
            _curvature(informed, A, lower, H, k)
            _solve(lower, wanted, toward, k)
            along = at_best / _dot(wanted, toward, k)
            for j in range(k):
                gamma[j] -= along * toward[j]
            found, value = _climb(
                survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, True, 0.0,
                score, pull, before, information, lower, J, H, W, M, G, room, step, toward, spare,
            )  # fmt: skip
            if found:
                statistic[q] = max(2.0 * (top - value), 0.0)
            else:
                state = LOST
        if drop > 0.0:
            for side in range(2):
                sign = -1.0 if side == 0 else 1.0
                gamma[:] = best
                A[:] = learnt
                information[:] = informed
                before[:] = pulled
                limit = _limit(
                    survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, sign, top, drop,
                    score, pull, before, information, lower, J, H, W, M, G, step, toward, spare,
                )  # fmt: skip
                if not (limit - at_best) * sign > 0.0:
                    gamma[:] = best
                    A[:] = learnt
                    information[:] = informed
                    before[:] = pulled
                    limit = _search(
                        survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, sign, top, drop,
                        score, pull, before, information, lower, J, H, W, M, G, step, toward, spare,
                    )  # fmt: skip
                if not (limit - at_best) * sign > 0.0:
                    state = LOST
                elif side == 0:
                    low[q] = limit
                else:
                    high[q] = limit
    return state, top + half


@nb.njit(**_INNER)
def _climb(
    survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, bound, held,
    score, pull, before, information, lower, J, H, W, M, G, base, step, toward, spare,
):  # fmt: skip
    """Move gamma to the maximum, or to that where wanted' gamma is `held`; whether it was found, and the likelihood."""
    value = _evaluate(
        survival, X, k, m, died, first, size, dead, fresh, gamma,
        score, pull, information, lower, J, W, M, G,
    )  # fmt: skip
    if not value > -np.inf:
        return False, value
    for _ in range(STEPS):
        _curvature(information, A, lower, H, k)
        _solve(lower, score, step, k)
        if bound:
            _solve(lower, wanted, toward, k)
            off = _dot(wanted, step, k) + _dot(wanted, gamma, k) - held
            along = off / _dot(wanted, toward, k)
            for j in range(k):
                step[j] -= along * toward[j]
        decrement = 0.0
        for i in range(k):
            reach = 0.0
            for j in range(i, k):
                reach += lower[j, i] * step[j]
            decrement += reach * reach
        for j in range(k):
            base[j] = gamma[j]
            before[j] = pull[j]
        if decrement < DECREMENT:
            for j in range(k):
                gamma[j] += step[j]
            return True, value
        accepted = False
        for _ in range(HALVINGS):
            for j in range(k):
                gamma[j] = base[j] + step[j]
            new = _evaluate(
                survival, X, k, m, died, first, size, dead, fresh, gamma,
                score, pull, information, lower, J, W, M, G,
            )  # fmt: skip
            if new >= value - 1e-10 * (1.0 + abs(value)):
                accepted = True
                break
            for j in range(k):
                step[j] *= 0.5
            decrement *= 0.25
        if not accepted:
            return False, value
        value = new
        _learn(A, step, pull, before, k, decrement, spare)
    return False, value


@nb.njit(**_INNER)
def _limit(
    survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, sign, top, drop,
    score, pull, before, information, lower, J, H, W, M, G, step, toward, spare,
):  # fmt: skip
    """Return the value of wanted' gamma at which the profile has fallen from `top` by half of `drop`, NaN if lost.

    Where the other coefficients have several maxima (some markers with far outliers among 50 subjects), this is the
    profile of the one that Newton's method comes to.

    From the maximum: gamma, its information, and the penalty's score there in `before`.
    """
    target = top - 0.5 * drop
    _curvature(information, A, lower, H, k)
    _solve(lower, wanted, toward, k)
    along = sign * np.sqrt(drop / _dot(wanted, toward, k))
    for j in range(k):
        step[j] = along * toward[j]
    decrement = drop
    for _ in range(STEPS):
        usable = False
        for _ in range(HALVINGS):
            for j in range(k):
                gamma[j] += step[j]
            value = _evaluate(
                survival, X, k, m, died, first, size, dead, fresh, gamma,
                score, pull, information, lower, J, W, M, G,
            )  # fmt: skip
            if value > -np.inf:
                usable = True
                break
            for j in range(k):
                gamma[j] -= step[j]
                step[j] *= 0.5
            decrement *= 0.25
        if not usable:
            return np.nan
        _learn(A, step, pull, before, k, decrement, spare)
        _curvature(information, A, lower, H, k)
        _solve(lower, score, step, k)
        _solve(lower, wanted, toward, k)
        rise = _dot(score, step, k)
        mixed = _dot(wanted, step, k)
        curve = _dot(wanted, toward, k)
        left = 2.0 * (value - target) + rise
        along = sign * np.sqrt(left / curve) if left > 0.0 else 0.0
        moved = rise + 2.0 * along * mixed + along * along * curve
        if not moved < 1e300:
            return np.nan
        damp = 1.0 if moved <= LONGEST * LONGEST else LONGEST / np.sqrt(moved)
        for j in range(k):
            step[j] = damp * (step[j] + along * toward[j])
            before[j] = pull[j]
        decrement = damp * damp * moved
        if left > 0.0 and moved < DECREMENT:
            return _dot(wanted, gamma, k) + _dot(wanted, step, k)
    return np.nan


@nb.njit(**_INNER)
def _search(
    survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, sign, top, drop,
    score, pull, before, information, lower, J, H, W, M, G, step, toward, spare,
):  # fmt: skip
    """`_limit` for profiles that are far from parabolas: Newton on their signed root, within a bracket."""
    base, origin, known = np.zeros(k), gamma.copy(), information.copy()
    centre = inner = _dot(wanted, gamma, k)
    outer = np.nan
    goal = np.sqrt(drop)
    now = np.nan
    for _ in range(SEARCHES):
        _curvature(information, A, lower, H, k)
        _solve(lower, wanted, toward, k)
        curve = _dot(wanted, toward, k)
        if np.isnan(now):
            now = centre + sign * goal * np.sqrt(curve)
        along = (now - _dot(wanted, gamma, k)) / curve
        for j in range(k):
            gamma[j] += along * toward[j]
        found, value = _climb(
            survival, X, k, m, died, first, size, dead, fresh, gamma, A, wanted, True, now,
            score, pull, before, information, lower, J, H, W, M, G, base, step, toward, spare,
        )  # fmt: skip
        if not found:
            # too far to say; go back, afresh
            outer = now
            now = 0.5 * (inner + outer)
            A[:] = 0.0
            gamma[:] = origin
            information[:] = known
            continue
        root = np.sqrt(max(2.0 * (top - value), 0.0))
        _solve(lower, score, step, k)
        _solve(lower, wanted, toward, k)
        curve = _dot(wanted, toward, k)
        # the likelihood falls along the profile by the multiplier of the constraint
        slope = -sign * _dot(wanted, step, k) / curve / root
        newton = now + sign * (goal - root) / slope
        if abs(root - goal) < 1e-7 * goal and slope > 0.0:
            return newton
        if root < goal:
            inner = now
        else:
            outer = now
        onward = now + sign * max(goal * np.sqrt(curve), 2.0 * abs(now - centre))
        if np.isnan(outer):
            if not (slope > 0.0 and root > 0.05 * goal and abs(newton - now) <= abs(onward - now)):
                newton = onward
        elif not (slope > 0.0 and (newton - inner) * (newton - outer) < 0.0):
            newton = 0.5 * (inner + outer)
        now = newton
    return np.nan


@nb.njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
def fit_markers(
    survival,
    designs,
    include,
    time,
    event,
    codes,
    order,
    markers,
    quantities,
    drop,
    tested,
    coefficients,
    covariance,
    loglik,
    estimate,
    low,
    high,
    statistic,
    state,
):
    """`fit_marker` of some rows of designs (p, n, k); see there and `risk_sets`. Results have a row a marker."""
    n, columns = designs.shape[1:]
    X = np.empty((columns, (n + WIDTH - 1) // WIDTH * WIDTH))
    rows, died = np.empty(n, np.int64), np.empty(n, np.bool_)
    first, size = np.empty(n, np.int64), np.empty(n, np.int64)
    dead, fresh = np.empty(n, np.int64), np.empty(n, np.bool_)
    for marker in markers:
        m, groups = risk_sets(
            order, include[marker], time, event, codes, rows, died, first, size, dead, fresh
        )
        if not survival:
            groups = 0
        for j in range(columns):
            for i in range(m):
                X[j, i] = designs[marker, rows[i], j]
            X[j, m:] = 0.0
        state[marker], loglik[marker] = fit_marker(
            survival,
            X,
            m,
            died,
            first[:groups],
            size[:groups],
            dead[:groups],
            fresh[:groups],
            quantities,
            drop[marker],
            tested,
            coefficients[marker],
            covariance[marker],
            estimate[marker],
            low[marker],
            high[marker],
            statistic[marker],
        )
