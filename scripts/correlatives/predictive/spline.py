"""Treatment effect along a continuous marker: a straight line, and a restricted cubic spline.

Both models are those of `model`: stratified Cox (Efron) or logistic, arm + f(marker) + arm × f(marker) and covariates.
The effect at a marker's value is a sum of coefficients, so its limits come from their joint covariance (Wald, pointwise).
Where values beyond limits were imputed, each imputation gets its curve, and these are pooled point by point.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from correlatives.likelihood import normal_quantile
from correlatives.pooling import pool_estimates, pool_likelihood_ratios, pool_signed_roots
from correlatives.predictive.censored import stacked_outcome
from correlatives.predictive.model import (
    LEVEL,
    Column,
    Outcome,
    fit_column,
    small_sample_rules,
    stacked_designs,
)

#: Percentiles of the marker at which the spline has its knots (Harrell, for three knots).
KNOTS = (0.10, 0.50, 0.90)

#: The effect is drawn between these percentiles: beyond them it rests on a few subjects.
SHOWN = (0.05, 0.95)

#: Values at which it is drawn.
GRID = 61


@dataclass(frozen=True)
class Curve:
    """Log ratio (hazard or odds) of the experimental over the control arm along a marker.

    Attributes
    ----------
    value : np.ndarray, shape (g,)
        Values of the marker, on the scale of analysis.
    estimate, low, high : np.ndarray, shape (g,)
        NaN where the model has no finite maximum.
    p_nonlinear : float
        Likelihood-ratio p of the interaction's part that is not linear (1 degree of freedom); NaN for a line.
    firth : bool
        Whether the fit carries Firth's penalty: few subjects or events, or no finite maximum without it.
    note : str
        Why there is no number; empty where there is.
    """

    value: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_nonlinear: float
    firth: bool
    note: str


def restricted(outcome: Outcome, mask: np.ndarray) -> Outcome:
    """Return the outcome of some of its subjects, or of some several times (a boolean mask, or indices)."""
    return replace(
        outcome,
        time=outcome.time[mask],
        event=outcome.event[mask],
        arm=outcome.arm[mask],
        strata=outcome.strata[mask],
        covariates=outcome.covariates[mask],
    )


def knots_of(value: np.ndarray) -> np.ndarray:
    """Return the 10th, 50th and 90th percentile (linear interpolation, R's type 7)."""
    return np.quantile(value, KNOTS)


def restricted_cubic(value: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the columns of a restricted cubic spline beside the value itself.

    Linear below the first and above the last knot; divided by the squared distance of these two, so that a
    column has the unit of the value.

    Parameters
    ----------
    value : np.ndarray, shape (n,)
    knots : np.ndarray, shape (k,)
        Strictly increasing, at least three.

    Returns
    -------
    np.ndarray, shape (n, k - 2)

    Raises
    ------
    ValueError
        If the knots are fewer than three or do not increase.

    References
    ----------
    Harrell FE. Regression Modeling Strategies. 2nd ed. Springer, 2015, section 2.4.5.
    """
    knots = np.asarray(knots, dtype=float)
    if len(knots) < 3 or not (np.diff(knots) > 0).all():
        raise ValueError("a restricted cubic spline needs three knots or more that increase")

    def cube(at: float) -> np.ndarray:
        return np.maximum(value - at, 0.0) ** 3

    last, before = knots[-1], knots[-2]
    columns = [
        cube(knot)
        - cube(before) * (last - knot) / (last - before)
        + cube(last) * (before - knot) / (last - before)
        for knot in knots[:-2]
    ]
    return np.stack(columns, axis=1) / (last - knots[0]) ** 2


def linear_curve(outcome: Outcome, value: np.ndarray, at: np.ndarray) -> Curve:
    """Return the effect by arm + marker + arm × marker: the model of predictive/{endpoint}.tsv.

    Parameters
    ----------
    outcome : Outcome
        Of evaluable subjects.
    value : np.ndarray, shape (n,) or (imputations, n)
        Their marker, on the scale of analysis.
    at : np.ndarray, shape (g,)
        Values of the marker at which the effect is wanted.
    """
    centre, unit = _scale(value)
    x = (np.atleast_2d(value) - centre) / unit
    columns = [x, outcome.arm, x * outcome.arm]
    fits, firth = _fitted(outcome, x, columns, _penalised(outcome, x))
    weights = np.stack([np.ones(len(at)), (at - centre) / unit], axis=1)
    return _curve(outcome, fits, [1, 2 + outcome.covariates.shape[1]], weights, at, np.nan, firth)


def spline_curve(outcome: Outcome, value: np.ndarray, at: np.ndarray) -> Curve:
    """Return the effect by a restricted cubic spline of the marker in each arm (`KNOTS`).

    Parameters
    ----------
    outcome, value, at
        As in `linear_curve`.

    Returns
    -------
    Curve
        Without numbers where two knots coincide (too many equal values).
    """
    centre, unit = _scale(value)
    x, grid = (np.atleast_2d(value) - centre) / unit, (at - centre) / unit
    knots = np.mean([knots_of(imputed) for imputed in x], axis=0)
    if not (np.diff(knots) > 1e-9).all():
        nothing = np.full(len(at), np.nan)
        why = "spline: too many equal values for three knots"
        return Curve(at, nothing, nothing, nothing, np.nan, False, why)
    bend = restricted_cubic(x.ravel(), knots)[:, 0].reshape(x.shape)

    def fitted(
        outcome: Outcome, x: np.ndarray, bend: np.ndarray, penalised: bool
    ) -> tuple[Column, bool]:
        arm = outcome.arm
        return _fitted(outcome, x, [x, arm, bend, x * arm, bend * arm], penalised)

    fits, firth = fitted(outcome, x, bend, _penalised(outcome, x))
    last = 4 + outcome.covariates.shape[1]
    weights = np.column_stack([np.ones(len(at)), grid, restricted_cubic(grid, knots)[:, 0]])
    p = float(fits.p[0])
    if len(x) > 1 and firth:
        p = float(pool_signed_roots(fits.statistic[None], fits.estimate[None]).p[0])
    elif len(x) > 1:
        stacked = stacked_outcome(outcome, len(x))
        under, _ = fitted(stacked, x.reshape(1, -1), bend.reshape(1, -1), False)
        p = float(pool_likelihood_ratios(fits.statistic[None], under.statistic).p[0])
    return _curve(outcome, fits, [1, last - 1, last], weights, at, p, firth)


def _scale(value: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; 1 for a constant."""
    deviation = float(np.std(value, ddof=1)) if np.size(value) > 1 else 0.0
    return float(np.mean(value)), deviation if deviation > 0 else 1.0


def _penalised(outcome: Outcome, x: np.ndarray) -> bool:
    """Whether the linear model of the marker carries Firth's penalty; the spline's then does too."""
    return bool(
        small_sample_rules(outcome, x, np.ones(x.shape, dtype=bool), interaction=True)[0].any()
    )


def _fitted(
    outcome: Outcome, x: np.ndarray, columns: list[np.ndarray], penalised: bool
) -> tuple[Column, bool]:
    """Fit columns (m, n) and the covariates to every imputation; the test is of the last column.

    Also whether with Firth's penalty: where it is wanted, and for all imputations where one has no finite maximum.
    """
    designs = stacked_designs(columns, outcome.covariates, len(x))
    everyone = np.ones(x.shape, dtype=bool)
    fits = fit_column(outcome, designs, everyone, -1, penalised=penalised)
    if not penalised and fits.separated.any():
        return fit_column(outcome, designs, everyone, -1, penalised=True), True
    return fits, penalised


def _curve(
    outcome: Outcome,
    fits: Column,
    columns: list[int],
    weights: np.ndarray,
    at: np.ndarray,
    p_nonlinear: float,
    firth: bool,
) -> Curve:
    """Sum coefficients `columns` (of the design) by `weights` (g, number of columns); pool several fits."""
    chosen = np.asarray(columns) + (0 if outcome.survival else 1)
    beta = fits.coefficients[:, chosen]
    covariance = fits.covariance[:, chosen][:, :, chosen]
    estimate = weights @ beta.T
    variance = np.maximum(np.einsum("gi,mij,gj->gm", weights, covariance, weights), 0.0)
    if len(beta) > 1:
        pooled = pool_estimates(estimate, variance, LEVEL).interval
    else:
        half = normal_quantile(LEVEL) * np.sqrt(variance[:, 0])
        pooled = estimate[:, 0], estimate[:, 0] - half, estimate[:, 0] + half
    note = ""
    lacking = np.flatnonzero(~np.isfinite(beta).all(axis=1))
    if len(lacking):
        note = str(fits.note[lacking[0]]) or "the data do not separate this effect from others"
    return Curve(at, *pooled, p_nonlinear, firth, note)
