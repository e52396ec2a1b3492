"""The cut at which treatment effects differ most: exploratory, with a p that knows it was chosen.

Every cut between the 10th and the 90th percentile is tried; p is that of the largest statistic over all of them by the
randomisation test (maxT over indicators). A bootstrap shows how little the data say about where the cut is. The
estimate at a chosen cut is too far from 1, always; a cut-point that was prespecified is in the dictionary instead.

References
----------
Lausen B, Schumacher M. Biometrics 1992;48:73-85 (maximally selected statistics).
Altman DG, et al. Journal of the National Cancer Institute 1994;86:829-835 (why a chosen cut misleads).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from correlatives.intervals import Interval
from correlatives.predictive.carriers import subjects_differing
from correlatives.predictive.compiled_scores import LEAST_INFORMATION, SINGULAR
from correlatives.predictive.model import (
    Outcome,
    effects_of,
    null_residuals,
    small_sample_rules,
    stacked_designs,
)
from correlatives.predictive.randomisation import (
    model_share,
    observed_scale,
    observed_variance,
)
from correlatives.predictive.spline import restricted
from correlatives.predictive.stepp import indicator_test

#: Shares of subjects between which cuts are tried.
TRIED = (0.10, 0.90)

#: Cuts tried at most: one a percentile.
MOST_CUTS = 81

#: Resamples of the bootstrap.
RESAMPLES = 200


@dataclass(frozen=True)
class SelectedCut:
    """The cut with the largest statistic.

    Attributes
    ----------
    cut, low, high : float
        On the scale of analysis: high is `value >= cut`; 95 % percentile limits of the bootstrap. NaN where there is no cut.
    tried : int
        Cuts among which it was chosen.
    p : float
        Maximally selected randomisation p.
    interaction : Interval
        Log ratio of the treatment effects above over below the cut, profile limits: not corrected for the choice.
    firth : bool
        Whether that ratio is by Firth's penalty.
    resamples : int
        Bootstrap samples in which a cut could be chosen.
    note : str
    """

    cut: float
    low: float
    high: float
    tried: int
    p: float
    interaction: Interval
    firth: bool
    resamples: int
    note: str


def candidate_cuts(value: np.ndarray) -> np.ndarray:
    """Return the values v for which 10 to 90 % of subjects have `value >= v`, thinned to `MOST_CUTS`.

    Parameters
    ----------
    value : np.ndarray, shape (n,)
        Finite.

    Returns
    -------
    np.ndarray, shape (c,)
        Increasing; which ones is decided without arm or outcome.
    """
    levels, counts = np.unique(value, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)[:-1]]) / max(len(value), 1)
    cuts = levels[(below >= TRIED[0]) & (below <= TRIED[1])]
    if len(cuts) > MOST_CUTS:
        cuts = cuts[np.round(np.linspace(0, len(cuts) - 1, MOST_CUTS)).astype(int)]
    return cuts


def observed_statistics(outcome: Outcome, indicators: np.ndarray) -> np.ndarray:
    """Return the statistics of `indicator_test` without draws, which a bootstrap needs by the thousand.

    Efficient score over the root of its variance at the observed arm (`randomisation_test` has the formulas).

    Parameters
    ----------
    outcome : Outcome
        Of evaluable subjects.
    indicators : np.ndarray of bool, shape (w, n)

    Returns
    -------
    np.ndarray, shape (w,)
        0 where there is nothing to compare.
    """
    m = indicators.astype(float)
    r, e, finite = null_residuals(outcome, m, np.ones(m.shape, dtype=bool))
    usable = finite & np.isfinite(r).all(axis=1) & np.isfinite(e).all(axis=1)
    r, e = np.where(usable[:, None], r, 0.0), np.where(usable[:, None], e, 0.0)
    member = (outcome.strata[:, None] == np.unique(outcome.strata)).astype(float)
    total = e @ member
    total = np.where(total > 0, total, 1.0)
    m = m - m.mean(axis=1, keepdims=True)
    a, m, z = (
        x - ((e * x) @ member / total) @ member.T
        for x in (np.broadcast_to(outcome.arm, m.shape), m, outcome.arm * m)
    )
    ea, em = e * a, e * m
    aa, am, mm = (ea * a).sum(axis=1), (ea * m).sum(axis=1), (em * m).sum(axis=1)
    az, mz = (ea * z).sum(axis=1), (em * z).sum(axis=1)
    determinant = aa * mm - am * am
    regular = determinant > SINGULAR * aa * mm
    determinant = np.where(regular, determinant, 1.0)
    by_arm, by_marker = (mm * az - am * mz) / determinant, (aa * mz - am * az) / determinant
    left = z - by_arm[:, None] * a - by_marker[:, None] * m
    variance = (e * left * left).sum(axis=1)
    compared = regular & (variance > LEAST_INFORMATION * mm)
    differing = subjects_differing(np.where(e > 0, indicators, np.nan))
    if not outcome.survival:
        robust = (r * r * left * left).sum(axis=1)
        variance = observed_variance(variance, robust, model_share(differing))
    informative = ((e > 0) @ member > 0).sum(axis=1)
    scale = observed_scale(
        differing, (e > 0).sum(axis=1), informative, logistic=not outcome.survival
    )
    score = (r * left).sum(axis=1) * scale
    return np.where(compared, score / np.sqrt(np.where(compared, variance, 1.0)), 0.0)


def maximally_selected(
    outcome: Outcome,
    value: np.ndarray,
    drawn: np.ndarray,
    seed: int,
    resamples: int = RESAMPLES,
) -> SelectedCut:
    """Choose a cut, test it for having been chosen, and bootstrap where it is.

    Subjects are resampled within arm and stratum. The statistic of a resample is the efficient score over the root of its own
    information: the share of the median over draws that the test adds is nearly the same factor for
    all cuts.

    Parameters
    ----------
    outcome : Outcome
        Of evaluable subjects.
    value : np.ndarray, shape (n,)
        Their marker, on the scale of analysis.
    drawn : np.ndarray, shape (draws, n)
        Draws of their arms.
    seed : int
        Of the bootstrap.
    resamples : int
        Number of bootstrap samples.
    """
    cuts = candidate_cuts(value)
    nothing = Interval(np.nan, np.nan, np.nan)
    z, p = indicator_test(outcome, value >= cuts[:, None], drawn)
    if not len(cuts) or not (np.abs(z) > 0).any():
        why = "selected cut: no cut with 10 to 90 % of subjects on either side can be compared"
        return SelectedCut(np.nan, np.nan, np.nan, len(cuts), np.nan, nothing, False, 0, why)
    best = int(np.argmax(np.abs(z)))
    chosen = cuts[best]
    interaction, firth, note = _interaction(outcome, value >= chosen)
    cells = 2 * outcome.strata.astype(int) + outcome.arm.astype(int)
    members = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        rows = np.concatenate([rng.choice(group, len(group)) for group in members])
        sample = value[rows]
        tried = candidate_cuts(sample)
        if not len(tried):
            continue
        again = observed_statistics(restricted(outcome, rows), sample >= tried[:, None])
        if (np.abs(again) > 0).any():
            found.append(tried[int(np.argmax(np.abs(again)))])
    # an inverted distribution function: limits are cuts that were chosen
    low, high = (
        np.quantile(found, (0.025, 0.975), method="inverted_cdf") if found else (np.nan, np.nan)
    )
    return SelectedCut(
        float(chosen), float(low), float(high), len(cuts), p, interaction, firth, len(found), note
    )


def _interaction(outcome: Outcome, above: np.ndarray) -> tuple[Interval, bool, str]:
    """Fit the joint model of an indicator, penalised as a binary marker's is."""
    x = above.astype(float)[None]
    arm = outcome.arm
    everyone = np.ones(x.shape, dtype=bool)
    penalised, deviance = small_sample_rules(outcome, x, everyone, True, interaction=True)
    effect = effects_of(
        outcome,
        stacked_designs([x, arm, x * arm], outcome.covariates, 1),
        everyone,
        -1,
        penalised,
        deviance=deviance,
    )
    interval = Interval(float(effect.estimate[0]), float(effect.low[0]), float(effect.high[0]))
    return interval, bool(effect.firth[0]), str(effect.reason[0])
