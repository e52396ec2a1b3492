"""Randomisation test of a treatment × marker interaction: efficient score, studentised in every draw.

The arm is drawn anew within strata, as the trial drew it, and the efficient score of the interaction is
computed for the observed arm and for every draw. All sums over subjects are matrix products of the draws
with residuals and information weights of the null model (arm + marker + covariates), which is fitted once.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

#: Name of the analysis from which the draws come: one for all endpoints and domains, so that any set of
#: them can make a family.
ANALYSIS = "predictive"

#: Below this share of the marker's own information there is nothing to compare (no carriers in an arm).
LEAST_INFORMATION = 1e-8

#: Share of the median information over draws that is added to a draw's own (Cox): keeps draws that put
#: nearly all carriers in one arm from dominating sparse binary markers.
MEDIAN_SHARE = 0.25

#: Statistics that differ by less, relatively, are equal.
EQUAL = 1e-9

#: Small enough that the arrays of a block stay in the cache and below the allocator's threshold for fresh pages.
_MARKERS_A_BLOCK = 64
_DRAWS_A_BLOCK = 256


def draw_arms(
    arm: np.ndarray,
    strata: np.ndarray,
    subjects: np.ndarray,
    draws: int,
    seed: int,
    analysis: str = ANALYSIS,
) -> np.ndarray:
    """Permute the arm within strata.

    The draws depend on the seed, the name of the analysis and the subjects (in the order of their
    identifiers) only: they are the same for every marker, endpoint and job.

    Parameters
    ----------
    arm : np.ndarray, shape (n,)
        0 control, 1 experimental, of all analysed subjects.
    strata : np.ndarray of int, shape (n,)
        Stratum codes.
    subjects : np.ndarray of str, shape (n,)
        Identifiers.
    draws : int
        Number of draws.
    seed : int
        Seed of the study.
    analysis : str
        Name of the analysis.

    Returns
    -------
    np.ndarray of float64, shape (draws, n)
        0 or 1.
    """
    words = int.from_bytes(hashlib.sha256(analysis.encode()).digest()[:8], "big")
    rng = np.random.default_rng(np.random.SeedSequence([seed, words]))
    order = np.argsort(np.asarray(subjects, dtype=str), kind="stable")
    drawn = np.empty((draws, len(arm)))
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        drawn[:, members] = rng.permuted(np.tile(arm[members], (draws, 1)), axis=1)
    return drawn


@dataclass(frozen=True)
class RandomisationTest:
    """Answers of `randomisation_test`, for p markers.

    Attributes
    ----------
    z : np.ndarray, shape (p,)
        Observed statistic; positive: the ratio (hazard or odds) is larger in the experimental arm. 0 where
        there is nothing to compare.
    p : np.ndarray, shape (p,)
        Marginal p; 1 where there is nothing to compare.
    information : np.ndarray, shape (p,)
        Efficient information on the log ratio at the observed arm, per squared unit of the marker;
        0 where there is none.
    maxima : np.ndarray, shape (families, draws)
        Largest absolute Z of the family's markers in each draw.
    """

    z: np.ndarray
    p: np.ndarray
    information: np.ndarray
    maxima: np.ndarray


def _scores(
    arms: np.ndarray,
    residual: np.ndarray,
    weight: np.ndarray,
    marker: np.ndarray,
    members: list[np.ndarray],
    *,
    robust: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Efficient score and its variance (draws, p) for each row of `arms` (draws, n); others are (n, p)."""
    u = {"a": 0.0, "m": 0.0, "z": 0.0}
    i = {"aa": 0.0, "am": 0.0, "mm": 0.0, "az": 0.0, "mz": 0.0, "zz": 0.0}
    means = []
    for rows in members:
        a, r, e, m = arms[:, rows], residual[rows], weight[rows], marker[rows]
        p = m.shape[1]
        products = a @ np.hstack([r, r * m, e, e * m, e * m * m])
        r_a, r_z, e_a, e_z, e_zm = (products[:, k * p : (k + 1) * p] for k in range(5))
        total = e.sum(axis=0)
        # a stratum without expected events has no residuals either
        share = np.where(total > 0, 1.0 / np.where(total > 0, total, 1.0), 0.0)
        e_m, e_mm, r_0, r_m = (e * m).sum(0), (e * m * m).sum(0), r.sum(0), (r * m).sum(0)
        mean_a, mean_z, mean_m = e_a * share, e_z * share, e_m * share
        u["a"] = u["a"] + (r_a - r_0 * mean_a)
        u["m"] = u["m"] + (r_m - r_0 * mean_m)
        u["z"] = u["z"] + (r_z - r_0 * mean_z)
        # a² = a, so that sums over z = a·m need a·m² only
        i["aa"] = i["aa"] + (e_a - e_a * mean_a)
        i["am"] = i["am"] + (e_z - e_a * mean_m)
        i["mm"] = i["mm"] + (e_mm - e_m * mean_m)
        i["az"] = i["az"] + (e_z - e_a * mean_z)
        i["mz"] = i["mz"] + (e_zm - e_m * mean_z)
        i["zz"] = i["zz"] + (e_zm - e_z * mean_z)
        if robust:
            means.append((rows, mean_a, mean_m, mean_z))
    determinant = i["aa"] * i["mm"] - i["am"] ** 2
    singular = ~(determinant > 1e-10 * i["aa"] * i["mm"])
    inverse = np.where(singular, 0.0, 1.0 / np.where(singular, 1.0, determinant))
    gamma_a = (i["mm"] * i["az"] - i["am"] * i["mz"]) * inverse
    gamma_m = (i["aa"] * i["mz"] - i["am"] * i["az"]) * inverse
    score = u["z"] - gamma_a * u["a"] - gamma_m * u["m"]
    variance = i["zz"] - gamma_a * i["az"] - gamma_m * i["mz"]
    nothing = singular | ~(variance >= LEAST_INFORMATION * i["mm"])
    if robust:
        observed = 0.0
        for rows, mean_a, mean_m, mean_z in means:
            a, m, square = arms[:, rows], marker[rows], residual[rows] ** 2
            p = m.shape[1]
            products = a @ np.hstack([square, square * m, square * m * m])
            s_a, s_am, s_amm = (products[:, k * p : (k + 1) * p] for k in range(3))
            s, s_m, s_mm = square.sum(0), (square * m).sum(0), (square * m * m).sum(0)
            # z̃ − γ_a ã − γ_m m̃ = a (m − γ_a) − (γ_m m + c), c from the means
            c = mean_z - gamma_a * mean_a - gamma_m * mean_m
            observed = observed + (
                (s_amm - 2 * gamma_a * s_am + gamma_a**2 * s_a)
                - 2 * (gamma_m * (s_amm - gamma_a * s_am) + c * (s_am - gamma_a * s_a))
                + (gamma_m**2 * s_mm + 2 * gamma_m * c * s_m + c**2 * s)
            )
        variance = np.where(nothing, 0.0, variance)
        return np.where(nothing, 0.0, score), np.stack([variance, np.maximum(variance, observed)])
    variance = np.where(nothing, 0.0, variance)
    return np.where(nothing, 0.0, score), np.stack([variance, variance])


def randomisation_test(
    residual: np.ndarray,
    weight: np.ndarray,
    marker: np.ndarray,
    arm: np.ndarray,
    strata: np.ndarray,
    drawn: np.ndarray,
    *,
    logistic: bool,
    family: np.ndarray | None = None,
) -> RandomisationTest:
    """Test every marker's interaction with the arm.

    For x in {a, m, z = a·m}, x̃ is x less its E-weighted mean within the stratum, U_x = Σ r x̃ and
    I_xy = Σ E x̃ ỹ. The efficient score U is U_z less its projection on U_a and U_m, V its information.
    Cox: Z = U / √(V + ¼ median over draws of V). Logistic: Z = U / √max(V, V_R), V_R with squared residuals
    in place of E.

    Parameters
    ----------
    residual, weight : np.ndarray, shape (p, n)
        Martingale residual and expected events (Cox), or y − p and p(1 − p) (logistic), of the null model with
        arm, marker and covariates. 0 for subjects without the marker. NaN in a row: that null
        model has no finite maximum, and the marker gets Z = 0.
    marker : np.ndarray, shape (p, n)
        Marker values; anything where the subject is not evaluable.
    arm : np.ndarray, shape (n,)
        Observed arm, 0 or 1.
    strata : np.ndarray of int, shape (n,)
        Stratum codes.
    drawn : np.ndarray, shape (draws, n)
        From `draw_arms`; may have no rows, which gives Z of no studentising beyond V, and p NaN.
    logistic : bool
        Which of the two statistics.
    family : np.ndarray of int, shape (p,), optional
        0-based family of each marker, -1 for none.

    Returns
    -------
    RandomisationTest
    """
    p = len(marker)
    draws = len(drawn)
    family = np.full(p, -1) if family is None else family
    maxima = np.zeros((int(family.max(initial=-1)) + 1, draws))
    z_observed, p_value, information = np.zeros(p), np.full(p, np.nan), np.zeros(p)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    arms = arm[None, :].astype(float)
    for first in range(0, p, _MARKERS_A_BLOCK):
        block = np.arange(first, min(first + _MARKERS_A_BLOCK, p))
        usable = np.isfinite(residual[block]).all(axis=1) & np.isfinite(weight[block]).all(axis=1)
        evaluable = weight[block] > 0
        m = np.where(evaluable & np.isfinite(marker[block]), marker[block], 0.0)
        # the statistic does not depend on the marker's origin and scale, its rounding does
        count = np.maximum(evaluable.sum(axis=1, keepdims=True), 1)
        m = np.where(evaluable, m - m.sum(axis=1, keepdims=True) / count, 0.0)
        scale = np.sqrt((m**2).sum(axis=1, keepdims=True) / count)
        scale = np.where(scale > 0, scale, 1.0)
        inputs = (
            np.where(usable[:, None], residual[block], 0.0).T,
            np.where(usable[:, None], weight[block], 0.0).T,
            (m / scale).T,
        )
        score, variances = _scores(arms, *inputs, members, robust=logistic)
        information[block] = variances[0, 0] * scale[:, 0] ** 2
        scores = np.empty((draws, len(block)))
        variance = np.empty((draws, len(block)))
        for start in range(0, draws, _DRAWS_A_BLOCK):
            rows = slice(start, start + _DRAWS_A_BLOCK)
            scores[rows], both = _scores(drawn[rows], *inputs, members, robust=logistic)
            variance[rows] = both[1]
        floor = 0.0
        if not logistic and draws:
            floor = MEDIAN_SHARE * np.median(np.ascontiguousarray(variance.T), axis=1)
        z = np.abs(_studentised(score[0], variances[1, 0] + floor))
        z_observed[block] = np.sign(score[0]) * z
        if not draws:
            continue
        z_drawn = np.abs(_studentised(scores, variance + floor))
        reached = (z_drawn >= z - EQUAL * (1.0 + z)).sum(axis=0)
        p_value[block] = (1 + reached) / (draws + 1)
        for code in range(len(maxima)):
            of_family = family[block] == code
            if of_family.any():
                np.maximum(maxima[code], z_drawn[:, of_family].max(axis=1), out=maxima[code])
    return RandomisationTest(z_observed, p_value, information, maxima)


def _studentised(score: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Score over its standard deviation; 0 where the score was set to 0 for want of information."""
    positive = variance > 0
    return np.where(positive, score / np.sqrt(np.where(positive, variance, 1.0)), 0.0)


def family_wise_p(z: np.ndarray, maxima: np.ndarray) -> np.ndarray:
    """Share of draws in which the family's largest absolute Z reaches each marker's (maxT).

    Parameters
    ----------
    z : np.ndarray, shape (p,)
        Observed statistics of the family's markers.
    maxima : np.ndarray, shape (draws,)
        Largest absolute Z of the whole family in each draw.

    Returns
    -------
    np.ndarray, shape (p,)
        Family-wise p.

    References
    ----------
    Westfall PH, Young SS. Resampling-based multiple testing. Wiley, 1993 (single step).
    """
    size = np.abs(z)
    falling = np.sort(maxima)
    below = np.searchsorted(falling, size - EQUAL * (1.0 + size), side="left")
    return (1 + len(maxima) - below) / (len(maxima) + 1)
