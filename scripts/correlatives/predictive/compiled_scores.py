"""Inner loops of the randomisation test, compiled: what follows the matrix products.

Arrays have the draws last, so that every loop runs along memory and in SIMD lanes, and a marker's constants stay
in registers. Importing this module imports Numba, so it is imported where it is used.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Products of the draws with r, r·m, E, E·m, E·m²; with r², r²·m, r²·m² besides where V_R is wanted.
PRODUCTS, ROBUST_PRODUCTS = 5, 8

#: Sums over all subjects: 1/ΣE, ΣE·m, ΣE·m², Σr, Σr·m, Σr², Σr²·m, Σr²·m².
SUMS = 8

#: Below this share of its factors a determinant is 0: arm and marker cannot be told apart.
SINGULAR = 1e-10

#: Below this share of the marker's own information there is nothing to compare (no carriers in an arm).
LEAST_INFORMATION = 1e-8


@njit(cache=True, error_model="numpy", nogil=True)
def efficient_scores(
    products: np.ndarray,
    sums: np.ndarray,
    share_of_model: np.ndarray,
    score: np.ndarray,
    variance: np.ndarray,
    first: int,
    wanted: int,
) -> None:
    """Turn products of a block of draws into efficient scores and their variances.

    Parameters
    ----------
    products : np.ndarray, shape (strata, 5 or 8, markers, draws)
        Overwritten (the working memory of V_R).
    sums : np.ndarray, shape (strata, markers, 8)
    share_of_model : np.ndarray, shape (markers,)
        s, with 8 products.
    score, variance : np.ndarray, shape (markers, all draws)
        Filled from column `first` on. Both 0 where there is nothing to compare. `variance` is
        V, or s V + (1 − s) V_R with 8 products.
    first, wanted : int
        Column of the first draw, and how many draws of the block count.
    """
    strata, kinds, markers, _ = products.shape
    ua, uz = np.empty(wanted), np.empty(wanted)
    aa, am = np.empty(wanted), np.empty(wanted)
    az, mz, zz = np.empty(wanted), np.empty(wanted), np.empty(wanted)
    gamma_a, gamma_m = np.empty(wanted), np.empty(wanted)
    robust = np.empty(wanted)
    for j in range(markers):
        mm = 0.0
        um = 0.0
        for g in range(strata):
            share, e_m, e_mm = sums[g, j, 0], sums[g, j, 1], sums[g, j, 2]
            r_0, r_m = sums[g, j, 3], sums[g, j, 4]
            mean_m = e_m * share
            mm += e_mm - e_m * mean_m
            um += r_m - r_0 * mean_m
            r_a, r_z = products[g, 0, j], products[g, 1, j]
            e_a, e_z, e_zm = products[g, 2, j], products[g, 3, j], products[g, 4, j]
            if g == 0:
                ua[:] = 0.0
                uz[:] = 0.0
                aa[:] = 0.0
                am[:] = 0.0
                az[:] = 0.0
                mz[:] = 0.0
                zz[:] = 0.0
            for d in range(wanted):
                mean_a = e_a[d] * share
                mean_z = e_z[d] * share
                ua[d] += r_a[d] - r_0 * mean_a
                uz[d] += r_z[d] - r_0 * mean_z
                # a² = a, so that sums over z = a·m need a·m² only
                aa[d] += e_a[d] - e_a[d] * mean_a
                am[d] += e_z[d] - e_a[d] * mean_m
                az[d] += e_z[d] - e_a[d] * mean_z
                mz[d] += e_zm[d] - e_m * mean_z
                zz[d] += e_zm[d] - e_z[d] * mean_z
        u = score[j, first : first + wanted]
        v = variance[j, first : first + wanted]
        for d in range(wanted):
            whole = aa[d] * mm
            determinant = whole - am[d] * am[d]
            regular = determinant > SINGULAR * whole
            inverse = 1.0 / determinant if regular else 0.0
            g_a = (mm * az[d] - am[d] * mz[d]) * inverse
            g_m = (aa[d] * mz[d] - am[d] * az[d]) * inverse
            left = zz[d] - g_a * az[d] - g_m * mz[d]
            something = regular & (left >= LEAST_INFORMATION * mm)
            u[d] = uz[d] - g_a * ua[d] - g_m * um if something else 0.0
            v[d] = left if something else 0.0
            gamma_a[d] = g_a
            gamma_m[d] = g_m
        if kinds == ROBUST_PRODUCTS:
            robust[:] = 0.0
            for g in range(strata):
                share, e_m = sums[g, j, 0], sums[g, j, 1]
                s, s_m, s_mm = sums[g, j, 5], sums[g, j, 6], sums[g, j, 7]
                mean_m = e_m * share
                e_a, e_z = products[g, 2, j], products[g, 3, j]
                s_a, s_am, s_amm = products[g, 5, j], products[g, 6, j], products[g, 7, j]
                for d in range(wanted):
                    g_a, g_m = gamma_a[d], gamma_m[d]
                    # z̃ − γ_a ã − γ_m m̃ = a (m − γ_a) − (γ_m m + c), c from the means
                    c = e_z[d] * share - g_a * (e_a[d] * share) - g_m * mean_m
                    am_less = s_am[d] - g_a * s_a[d]
                    robust[d] += (
                        (s_amm[d] - g_a * s_am[d] - g_a * am_less)
                        - 2.0 * (g_m * (s_amm[d] - g_a * s_am[d]) + c * am_less)
                        + (g_m * (g_m * s_mm + 2.0 * c * s_m) + c * c * s)
                    )
            of_model = share_of_model[j]
            for d in range(wanted):
                mixed = of_model * v[d] + (1.0 - of_model) * robust[d]
                v[d] = mixed if v[d] > 0.0 else 0.0


@njit(cache=True, error_model="numpy", nogil=True)
def count_reached(
    score: np.ndarray,
    variance: np.ndarray,
    floor: np.ndarray,
    share: float,
    least: np.ndarray,
    family: np.ndarray,
    maxima: np.ndarray,
    reached: np.ndarray,
) -> None:
    """Count the draws whose |Z| = |score| / √(V + share (floor − V)₊) is at least `least`, and keep families' largest.

    Parameters
    ----------
    score, variance : np.ndarray, shape (markers, draws)
        The variances are the V.
    floor, least : np.ndarray, shape (markers,)
    share : float
    family : np.ndarray of int, shape (markers,)
        Row of `maxima`.
    maxima : np.ndarray, shape (families, draws)
        Raised in place.
    reached : np.ndarray of int, shape (markers,)
        Filled.
    """
    markers, draws = score.shape
    for j in range(markers):
        largest = maxima[family[j]]
        bottom, bound = floor[j], least[j]
        count = 0
        for d in range(draws):
            v = variance[j, d]
            z = abs(score[j, d]) / np.sqrt(v + share * max(bottom - v, 0.0)) if v > 0.0 else 0.0
            count += z >= bound
            largest[d] = max(largest[d], z)
        reached[j] = count


@njit(cache=True, error_model="numpy", nogil=True)
def nth_reached(
    score: np.ndarray,
    variance: np.ndarray,
    floor: np.ndarray,
    share: float,
    least: np.ndarray,
    had: np.ndarray,
    enough: int,
    last: np.ndarray,
) -> None:
    """Find the draw in which each marker's count of reaching draws comes to `enough`.

    Parameters
    ----------
    score, variance, floor, share, least
        As in `count_reached`.
    had : np.ndarray of int, shape (markers,)
        Count before these draws; raised in place.
    enough : int
    last : np.ndarray of int, shape (markers,)
        Filled: position of that draw, -1 if it does not come.
    """
    markers, draws = score.shape
    for j in range(markers):
        last[j] = -1
        for d in range(draws):
            v = variance[j, d]
            z = abs(score[j, d]) / np.sqrt(v + share * max(floor[j] - v, 0.0)) if v > 0.0 else 0.0
            if z >= least[j]:
                had[j] += 1
                if had[j] == enough:
                    last[j] = d
                    break


#: Values of a row that bracket its median, and how far off the middle the bracket ends: three standard errors.
_SAMPLE, _AROUND = 512, 34


@njit(cache=True, error_model="numpy", nogil=True)
def _inside(
    values: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    inside: np.ndarray,
    below: np.ndarray,
    within: np.ndarray,
) -> None:
    """Gather what lies between `low` and `high` in every row, and count it, and what is below."""
    for j in range(values.shape[0]):
        bottom, top, row, kept = low[j], high[j], values[j], inside[j]
        under, count = 0, 0
        for d in range(values.shape[1]):
            kept[count] = row[d]  # overwritten by the next one unless it is inside
            under += row[d] < bottom
            count += (row[d] >= bottom) & (row[d] <= top)
        below[j], within[j] = under, count


def row_medians(values: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Return the median of every row, as `np.median` does, but in one pass over nearly all of it.

    The first values bracket the median, and only what lies in the bracket is sorted.

    Parameters
    ----------
    values : np.ndarray, shape (rows, columns)
        In random order (or the bracket fails, which costs time only).
    room : np.ndarray, shape (rows, columns + 1)
        Overwritten.

    Returns
    -------
    np.ndarray, shape (rows,)
    """
    rows, columns = values.shape
    if columns < 2 * _SAMPLE:
        return np.median(values, axis=1)
    upper = columns // 2
    lower = upper if columns % 2 else upper - 1
    sample = np.sort(values[:, :_SAMPLE], axis=1)
    middle = _SAMPLE // 2
    below, within = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    _inside(values, sample[:, middle - _AROUND], sample[:, middle + _AROUND], room, below, within)
    medians = np.empty(rows)
    for j in range(rows):
        if below[j] > lower or below[j] + within[j] <= upper:
            medians[j] = np.median(values[j])
        else:
            ordered = np.sort(room[j, : within[j]])
            medians[j] = (ordered[lower - below[j]] + ordered[upper - below[j]]) / 2
    return medians
