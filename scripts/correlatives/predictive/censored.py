"""Models of markers of which 15 to 50 % lie beyond a limit: multiple imputation from a censored fit, Rubin's rules.

A value beyond a limit is drawn inside it by a normal regression of the marker on what the analysis model relates it to:
arm, outcome (event and Nelson–Aalen's cumulative hazard, White & Royston 2009; response) and their products, so that the
imputed marker may matter differently in each arm as the interaction model says (congeniality), covariates and strata. The
randomisation test does not see these draws, which know the arm: it takes the expected value (`rows.marker_rows`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from correlatives.imputation import IMPUTATIONS, Variable, impute
from correlatives.markers import KEY
from correlatives.pooling import (
    Pooled,
    pool_estimates,
    pool_likelihood_ratios,
    pool_signed_roots,
    pool_statistics,
)
from correlatives.predictive.carriers import subjects_differing
from correlatives.predictive.model import (
    Column,
    Outcome,
    effects_of,
    fit_column,
    stacked_designs,
)
from correlatives.predictive.rows import EXPECTED, LONG_TAIL, Rows
from correlatives.predictive.small_samples import degrees_of_freedom, limits_that_exist
from correlatives.survival.engine import fit_interactions, fit_markers
from correlatives.survival.kaplan_meier import nelson_aalen

#: What `method` says.
METHOD = f"{IMPUTATIONS} imputations beyond limits, Rubin's rules, Wald limits"


def imputation_columns(outcome: Outcome) -> np.ndarray:
    """Return the columns on which a marker is regressed to impute it, without intercept.

    Parameters
    ----------
    outcome : Outcome
        n subjects.

    Returns
    -------
    np.ndarray, shape (n, k)
        Arm, event and cumulative hazard (or response), their products with the arm, covariates, strata.
    """
    parts = [outcome.event]
    if outcome.survival:
        parts.append(nelson_aalen(outcome.time, outcome.event))
    columns = [outcome.arm, *parts, *(outcome.arm * part for part in parts)]
    columns += [*outcome.covariates.T]
    columns += [(outcome.strata == code).astype(float) for code in np.unique(outcome.strata)[1:]]
    return np.column_stack(columns)


def seed_of(seed: int, *names: str) -> np.random.Generator:
    """Return random numbers that depend on the study's seed and these names only."""
    text = "\x1f".join([str(seed), *names])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def impute_beyond(
    outcome: Outcome, rows: Rows, row: int, endpoint: str, seed: int, imputations: int = IMPUTATIONS
) -> np.ndarray:
    """Draw the values beyond limits of one row.

    Parameters
    ----------
    outcome : Outcome
        n subjects of the N of the rows.
    rows : Rows
    row : int
        One that has bounds.
    endpoint : str
    seed : int
        Of the study.
    imputations : int

    Returns
    -------
    np.ndarray, shape (imputations, n)
        NaN for subjects without the marker.
    """
    value = rows.value[row, outcome.kept]
    low, high = (bound[outcome.kept] for bound in rows.bounds[row])
    known = np.isfinite(value)
    variable = Variable(
        np.where(np.isnan(low), value, np.nan)[known], low=low[known], high=high[known]
    )
    rng = seed_of(seed, "limits", endpoint, *rows.info[KEY].iloc[row].astype(str))
    drawn = np.full((imputations, len(value)), np.nan)
    drawn[:, known] = impute(
        [variable], imputation_columns(outcome)[known], rng, imputations=imputations
    )[0]
    return drawn


class _Fits(NamedTuple):
    """Numbers of R × m models that are pooled.

    Attributes
    ----------
    coefficients, covariance : np.ndarray, shape (R × m, k), (R × m, k, k)
    lrt, prognostic : np.ndarray, shape (R × m,)
        Likelihood-ratio statistics of the interaction, and of the marker without the interaction.
    marker : np.ndarray, shape (R × m,)
        The coefficient that `prognostic` is of.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    lrt: np.ndarray
    prognostic: np.ndarray
    marker: np.ndarray


def stacked_outcome(outcome: Outcome, times: int) -> Outcome:
    """Return the outcome under itself a number of times; a Cox model gives each its own baseline hazards."""
    strata = np.tile(outcome.strata, times)
    if outcome.survival:
        strata = strata + (outcome.strata.max(initial=0) + 1) * np.repeat(
            np.arange(times), len(outcome.strata)
        )
    return replace(
        outcome,
        time=np.tile(outcome.time, times),
        event=np.tile(outcome.event, times),
        arm=np.tile(outcome.arm, times),
        strata=strata,
        covariates=np.tile(outcome.covariates, (times, 1)),
    )


def _joint(
    outcome: Outcome, x: np.ndarray, include: np.ndarray, threads: int, penalised: bool
) -> _Fits:
    """Fit arm + marker + arm × marker, and arm + marker, to every row of x."""
    if not penalised:
        fitted = fit_interactions(
            outcome.time,
            outcome.event,
            outcome.arm,
            x,
            include,
            outcome.strata if outcome.stratified else None,
            outcome.covariates,
            threads=threads,
        )
        full, lrt, prognostic = fitted.full, fitted.lrt.statistic, fitted.prognostic.statistic
        of_marker = fitted.null.coefficients[:, int(not outcome.survival)]
        usable = full.converged & fitted.null.converged
    else:
        designs = stacked_designs([x, outcome.arm, x * outcome.arm], outcome.covariates, len(x))
        options = {"penalised": True, "threads": threads}
        product = designs.shape[2] - 1 + (not outcome.survival)
        full = fit_column(outcome, designs, include, product, **options)
        marker = int(not outcome.survival)
        null = fit_column(outcome, designs[:, :, :-1], include, marker, **options)
        lrt, prognostic, of_marker = full.statistic, null.statistic, null.estimate
        usable = np.isfinite(full.estimate) & np.isfinite(null.estimate)
    return _at_own_columns(outcome, full, usable, lrt, prognostic, of_marker)


def _alone(
    outcome: Outcome, x: np.ndarray, include: np.ndarray, threads: int, penalised: bool
) -> _Fits:
    """Fit the marker and the covariates to every row of x."""
    if not penalised:
        fitted = fit_markers(
            outcome.time,
            outcome.event,
            x,
            include,
            outcome.strata if outcome.stratified else None,
            outcome.covariates,
            threads=threads,
        )
        return _at_own_columns(
            outcome,
            fitted.fits,
            fitted.fits.converged,
            *(fitted.lrt.statistic,) * 2,
            fitted.fits.coefficients[:, int(not outcome.survival)],
        )
    designs = stacked_designs([x], outcome.covariates, len(x))
    marker = int(not outcome.survival)
    fits = fit_column(outcome, designs, include, marker, penalised=True, threads=threads)
    return _at_own_columns(
        outcome, fits, np.isfinite(fits.estimate), *(fits.statistic,) * 2, fits.estimate
    )


def _at_own_columns(
    outcome: Outcome,
    fits: object,
    usable: np.ndarray,
    lrt: np.ndarray,
    prognostic: np.ndarray,
    marker: np.ndarray,
) -> _Fits:
    """Leave the intercept out, and numbers of models without a finite maximum."""
    first = 0 if outcome.survival else 1
    coefficients = fits.coefficients[:, first:]
    covariance = fits.covariance[:, first:, first:]
    return _Fits(
        np.where(usable[:, None], coefficients, np.nan),
        np.where(usable[:, None, None], covariance, np.nan),
        np.where(usable, lrt, np.nan),
        np.where(usable, prognostic, np.nan),
        np.where(usable, marker, np.nan),
    )


class Scaled(NamedTuple):
    """Imputed values of R rows in units of their contrast, about their mean.

    Attributes
    ----------
    value : np.ndarray, shape (R, m, n)
        0 where not included.
    include : np.ndarray of bool, shape (R, n)
    unit : np.ndarray, shape (R,)
    low, high : np.ndarray, shape (R,)
        25th and 75th percentile, averaged over the imputations.
    """

    value: np.ndarray
    include: np.ndarray
    unit: np.ndarray
    low: np.ndarray
    high: np.ndarray


def scale_imputed(drawn: np.ndarray, per_deviation: np.ndarray, binary: np.ndarray) -> Scaled:
    """Put imputed values (R, m, n), NaN where not included, on one scale for all imputations of a row."""
    include = np.isfinite(drawn).all(axis=1)
    n = np.maximum(include.sum(axis=1), 1)
    value = np.where(include[:, None, :], drawn, 0.0)
    mean = value.sum(axis=2) / n[:, None]
    away = np.where(include[:, None, :], value - mean[:, :, None], 0.0)
    variance = (away**2).sum(axis=2) / np.maximum(n - 1, 1)[:, None]
    deviation = np.sqrt(variance.mean(axis=1))
    unit = np.where(per_deviation & (deviation > 0), deviation, 1.0)
    centre = np.where(binary, 0.0, mean.mean(axis=1))
    scaled = np.where(
        include[:, None, :], (value - centre[:, None, None]) / unit[:, None, None], 0.0
    )
    ends = []
    for level, share in ((0.0, 0.25), (1.0, 0.75)):
        end = [
            level if two else float(np.quantile(part[:, known], share, axis=1).mean())
            for part, known, two in zip(scaled, include, binary, strict=True)
        ]
        ends.append(np.array(end))
    return Scaled(scaled, include, unit, *ends)


def _freedom(outcome: Outcome, value: np.ndarray, include: np.ndarray, columns: int) -> np.ndarray:
    """Degrees of freedom of rows (R, n) without missing values, as `small_sample_rules` has them."""
    return degrees_of_freedom(
        outcome.survival,
        (include & (outcome.event == 1)).sum(axis=1),
        columns + outcome.covariates.shape[1],
        subjects_differing(np.where(include, value, np.nan)),
    )


def _pooled(
    fits: _Fits, weights: np.ndarray, shape: tuple[int, int], freedom: np.ndarray
) -> Pooled:
    """Pool sums of coefficients, weighted by (R × m, k)."""
    estimate = (fits.coefficients * weights).sum(axis=1)
    variance = np.einsum("pi,pij,pj->p", weights, fits.covariance, weights)
    return pool_estimates(estimate.reshape(shape), variance.reshape(shape), complete=freedom)


def pool_rows(
    outcome: Outcome, scaled: Scaled, threads: int = 1, *, penalised: bool = False
) -> pd.DataFrame:
    """Fit the models of R rows to all their imputations, and pool them.

    Parameters
    ----------
    outcome : Outcome
        n subjects, two arms.
    scaled : Scaled
    threads : int
    penalised : bool
        With Firth's penalty, as those of complete cases. (Proportional hazards are tested without it.)

    Returns
    -------
    pd.DataFrame, R rows
        The columns of effects of ``predictive/{endpoint}.tsv``, ratios with limits; p_interaction_lrt, p_prognostic, p_ph;
        ``missing_information`` of the interaction. All NaN for a row of which a model of one imputation has no finite
        maximum.
    """
    rows, m, n = scaled.value.shape
    flat = scaled.value.reshape(rows * m, n)
    include = np.repeat(scaled.include, m, axis=0)
    arm = outcome.arm
    joint = _joint(outcome, flat, include, threads, penalised)
    k = joint.coefficients.shape[1]
    product = 2 + outcome.covariates.shape[1]

    def weights(**at: float | np.ndarray) -> np.ndarray:
        made = np.zeros((rows * m, k))
        for name, size in at.items():
            made[:, {"arm": 1, "product": product}[name]] = np.repeat(
                np.broadcast_to(size, rows), m
            )
        return made

    shape, first = (rows, m), scaled.value[:, 0]
    free = _freedom(outcome, first, scaled.include, 3)
    found = {
        "interaction_ratio": _pooled(joint, weights(product=1.0), shape, free),
        "treatment_effect_at_low": _pooled(
            joint, weights(arm=1.0, product=scaled.low), shape, free
        ),
        "treatment_effect_at_high": _pooled(
            joint, weights(arm=1.0, product=scaled.high), shape, free
        ),
    }
    for name, code in (("control", 0), ("experimental", 1)):
        alone = _alone(outcome, flat, include & (arm == code), threads, penalised)
        own = np.zeros((rows * m, alone.coefficients.shape[1]))
        own[:, 0] = 1.0
        free = _freedom(outcome, first, scaled.include & (arm == code), 1)
        found[f"marker_effect_{name}"] = _pooled(alone, own, shape, free)
    table = _ratios(found)
    lrt, prognostic = joint.lrt.reshape(shape), joint.prognostic.reshape(shape)
    if penalised:
        interaction = joint.coefficients[:, product].reshape(shape)
        table["p_interaction_lrt"] = pool_signed_roots(lrt, interaction).p
        table["p_prognostic"] = pool_signed_roots(prognostic, joint.marker.reshape(shape)).p
    else:
        under = scaled.value.reshape(rows, m * n)
        included = np.tile(scaled.include, (1, m))
        stacked = _joint(stacked_outcome(outcome, m), under, included, threads, penalised)
        table["p_interaction_lrt"] = pool_likelihood_ratios(lrt, stacked.lrt).p
        table["p_prognostic"] = pool_likelihood_ratios(prognostic, stacked.prognostic).p
    designs = stacked_designs([flat, arm, flat * arm], outcome.covariates, rows * m)
    if penalised and outcome.survival:
        joint = _joint(outcome, flat, include, threads, False)
    table["p_ph"] = _proportional(outcome, designs, include, -1, joint, (rows, m))
    return _whole(table)


def pool_marker_effects(
    outcome: Outcome, scaled: Scaled, threads: int = 1, *, penalised: bool = False
) -> pd.DataFrame:
    """Fit the marker and the covariates to all imputations of R rows, and pool: for a study with one arm.

    Returns
    -------
    pd.DataFrame, R rows
        marker_effect with limits, p_prognostic, p_ph, ``missing_information``.
    """
    rows, m, n = scaled.value.shape
    flat = scaled.value.reshape(rows * m, n)
    include = np.repeat(scaled.include, m, axis=0)
    alone = _alone(outcome, flat, include, threads, penalised)
    own = np.zeros((rows * m, alone.coefficients.shape[1]))
    own[:, 0] = 1.0
    free = _freedom(outcome, scaled.value[:, 0], scaled.include, 1)
    table = _ratios({"marker_effect": _pooled(alone, own, (rows, m), free)})
    lrt = alone.lrt.reshape(rows, m)
    if penalised:
        table["p_prognostic"] = pool_signed_roots(lrt, alone.marker.reshape(rows, m)).p
    else:
        under = scaled.value.reshape(rows, m * n)
        included = np.tile(scaled.include, (1, m))
        stacked = _alone(stacked_outcome(outcome, m), under, included, threads, penalised)
        table["p_prognostic"] = pool_likelihood_ratios(lrt, stacked.lrt).p
    designs = stacked_designs([flat], outcome.covariates, rows * m)
    if penalised and outcome.survival:
        alone = _alone(outcome, flat, include, threads, False)
    table["p_ph"] = _proportional(outcome, designs, include, 0, alone, (rows, m))
    return _whole(table)


def pool_as_fitted(
    outcome: Outcome, scaled: Scaled, penalised: np.ndarray, *, arms: bool, threads: int = 1
) -> pd.DataFrame:
    """`pool_rows`, or `pool_marker_effects` in a study with one arm, with the penalty where `penalised` (R,) says so."""
    pool = pool_rows if arms else pool_marker_effects
    parts = []
    for flag in (False, True):
        rows = np.flatnonzero(penalised == flag)
        if len(rows):
            part = Scaled(*(field[rows] for field in scaled))
            parts.append(pool(outcome, part, threads, penalised=flag).set_index(rows))
    return pd.concat(parts).sort_index()


def _ratios(found: dict[str, Pooled]) -> pd.DataFrame:
    """Pooled effects as ratios with limits; the missing information of the first."""
    columns = {}
    with np.errstate(over="ignore"):
        for name, pooled in found.items():
            for end, part in zip(("", "_low", "_high"), pooled.interval, strict=True):
                columns[name + end] = np.exp(part)
    columns["missing_information"] = next(iter(found.values())).missing_information
    return pd.DataFrame(columns)


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """Empty the rows that lack an effect: all of a row's numbers come from the same models, or none do."""
    effects = [name for name in table if not name.startswith("p_")]
    lacking = ~np.isfinite(table[effects].to_numpy(dtype=float)).all(axis=1)
    table.loc[lacking] = np.nan
    return table


def _proportional(
    outcome: Outcome,
    designs: np.ndarray,
    include: np.ndarray,
    column: int,
    fits: _Fits,
    shape: tuple[int, int],
) -> np.ndarray:
    """Pool the test of proportional hazards of one column; NaN for a response."""
    from scipy.special import chdtri

    if not outcome.survival:
        return np.full(shape[0], np.nan)
    usable = np.isfinite(fits.lrt)
    nothing, no = np.full(len(usable), np.nan), np.zeros(len(usable), dtype=bool)
    no_note = np.full(len(usable), "", dtype=object)
    fitted = Column(
        fits.coefficients[:, column],
        nothing,
        nothing,
        nothing,
        no,
        no,
        no_note,
        fits.coefficients,
        fits.covariance,
    )
    p = np.full(len(usable), np.nan)
    rows = np.flatnonzero(usable)
    if len(rows):
        p[rows] = effects_of(
            outcome,
            designs[rows],
            include[rows],
            column,
            no[rows],
            fitted=fitted.take(rows),
            limits=False,
            proportional=True,
        ).p_ph
    with np.errstate(invalid="ignore"):
        statistic = np.where(np.isfinite(p), chdtri(1, np.where(np.isfinite(p), p, 1.0)), np.nan)
    return pool_statistics(statistic.reshape(shape)).p


def pool_beyond_limits(
    table: pd.DataFrame,
    outcome: Outcome,
    rows: Rows,
    endpoint: str,
    seed: int,
    *,
    arms: bool = True,
    threads: int = 1,
) -> pd.DataFrame:
    """Replace the model's numbers of rows with bounds by pooled ones.

    Parameters
    ----------
    table : pd.DataFrame
        Fits of these rows with values beyond limits at their expected value; the randomisation test's numbers stay.
    outcome : Outcome
    rows : Rows
    endpoint : str
    seed : int
        Of the study.
    arms : bool
        Whether there are two arms.
    threads : int

    Returns
    -------
    pd.DataFrame
        Rows of which a model has no finite maximum in some imputation keep their numbers; `note` says so.
    """
    beyond = [
        row
        for row, bounds in enumerate(rows.bounds)
        if bounds is not None and (~np.isnan(bounds[0][outcome.kept])).any()
    ]
    effect = "interaction_ratio" if arms else "marker_effect"
    estimable = np.isfinite(table[effect].to_numpy(dtype=float))
    table = table.copy()
    at = np.array([row for row in beyond if estimable[row]], dtype=int)
    for row in set(beyond) - set(at):
        _not_imputed(table, rows, row)
    if not len(at):
        return table
    drawn = np.array([impute_beyond(outcome, rows, int(row), endpoint, seed) for row in at])
    no = np.zeros(len(at), dtype=bool)
    scaled = scale_imputed(drawn, rows.per_deviation[at], no)
    penalised = table["method"].astype(str).str.startswith("Firth").to_numpy()[at]
    pooled = pool_as_fitted(outcome, scaled, penalised, arms=arms, threads=threads)
    done = np.isfinite(pooled["missing_information"].to_numpy(dtype=float))
    limits, without = limits_that_exist(pooled)
    pooled = pooled.assign(**limits)
    value = np.where(scaled.include, rows.value[at][:, outcome.kept], np.nan)
    unit = np.where(rows.per_deviation[at], np.nanstd(value, axis=1, ddof=1), 1.0)
    with np.errstate(over="ignore"):
        # the test's information, in the units of the contrast
        ratio = table["minimum_detectable_ratio"].to_numpy(dtype=float)[at]
        pooled["minimum_detectable_ratio"] = np.exp(np.log(ratio) * scaled.unit / unit)
    test = "; the randomisation test takes their expected value" if arms else ""
    for i, row in enumerate(at):
        note = str(table.loc[row, "note"])
        if done[i]:
            for name in pooled.columns.drop("missing_information"):
                table.loc[row, name] = pooled.loc[i, name]
            said = rows.note[row].replace(EXPECTED, f": multiple imputation{test}")
            kept = [
                part
                for part in note.split("; ")
                if part.startswith("randomisation test:") or part == LONG_TAIL
            ]
            table.loc[row, "note"] = "; ".join([said, *without[i], *kept])
            method = str(table.loc[row, "method"])
            limits = "profile penalised limits" if penalised[i] else "profile limits"
            table.loc[row, "method"] = method.replace(limits, METHOD)
        else:
            _not_imputed(table, rows, row)
    return table


def _not_imputed(table: pd.DataFrame, rows: Rows, row: int) -> None:
    """Say that a row's values stayed at their expected value."""
    why = f"{rows.note[row]}, not imputed: no finite maximum"
    table.loc[row, "note"] = str(table.loc[row, "note"]).replace(rows.note[row], why)
