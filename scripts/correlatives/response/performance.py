"""How good predictions are: pairs, weights, groups and metrics, and intervals of a model that is fixed.

Discrimination compares two subjects only where one model predicted both. The intervals here resample subjects and hold the
model fixed, which is right for a model that was fitted on other subjects. For out-of-fold predictions, whose models
would change with the subjects, see `correlatives.response.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from correlatives.intervals import Interval

#: Bootstrap samples behind an interval.
BOOTSTRAPS = 2000

#: Spread of the averaged log odds below which a calibration slope means nothing.
LEAST_SPREAD = 0.05

#: Subjects in a group of a calibration curve at least, and groups at most.
GROUP, GROUPS = 12, 5


def bootstrap_counts(groups: np.ndarray, seed: int, samples: int = BOOTSTRAPS) -> np.ndarray:
    """Draw how often each subject occurs in each bootstrap sample, group sizes kept.

    Parameters
    ----------
    groups : np.ndarray of int, shape (n,)
        Subjects are resampled within their group.
    seed : int
        Seed of the analysis.
    samples : int
        Number of bootstrap samples.

    Returns
    -------
    np.ndarray, shape (samples, n)
        Counts.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xB007]))
    counts = np.empty((samples, len(groups)))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        share = np.full(len(members), 1.0 / len(members))
        counts[:, members] = rng.multinomial(len(members), share, size=samples)
    return counts


def percentile(estimate: float, replicates: np.ndarray) -> Interval:
    """Return the 2.5th and 97.5th percentiles; no limits if over 5 % of the replicates failed."""
    good = replicates[np.isfinite(replicates)]
    if not np.isfinite(estimate) or len(good) < 0.95 * len(replicates):
        return Interval(float(estimate), float("nan"), float("nan"))
    low, high = np.percentile(good, [2.5, 97.5])
    return Interval(float(estimate), float(low), float(high))


def response_pairs(outcome: np.ndarray) -> np.ndarray:
    """Weights (n, n) of the pairs of an AUC: 1 where the first subject responded and the second did not."""
    return np.outer(outcome == 1, outcome == 0).astype(float)


def uncensored(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Kaplan–Meier estimate of being uncensored just before, and at, each subject's time.

    An event at a censoring time precedes it.
    """
    distinct, position = np.unique(time, return_inverse=True)
    at_risk = np.cumsum(np.bincount(position, minlength=len(distinct))[::-1])[::-1]
    events = np.bincount(position, weights=event, minlength=len(distinct))
    censored = np.bincount(position, weights=1 - event, minlength=len(distinct))
    left = np.maximum(at_risk - events, 1)
    after = np.cumprod(1.0 - censored / left)
    before = np.r_[1.0, after[:-1]]
    return before[position], after[position]


def survival_pairs(time: np.ndarray, event: np.ndarray, horizon: float | None = None) -> np.ndarray:
    """Weights (n, n) of the pairs of Uno's C-index.

    Pairs in which the first subject's event is known to come before the second's, weighted by the
    inverse square of the probability to be uncensored until just before then: a censored time that equals an event's
    is later, in the pairs and in the weights.

    Parameters
    ----------
    time, event : np.ndarray, shape (n,)
        Times and 1 for an event.
    horizon : float, optional
        Only events before it count; by default the last event time, so that the weight is finite.

    References
    ----------
    Uno H et al. Statistics in Medicine 2011;30:1105-1117.
    """
    horizon = float(time[event == 1].max()) if horizon is None else horizon
    free, _ = uncensored(time, event)
    before = (time[:, None] < time[None, :]) | (
        (time[:, None] == time[None, :]) & (event[None, :] == 0)
    )
    counted = (event == 1) & (time < horizon)
    weight = np.where(counted, 1.0 / free**2, 0.0)
    pairs = before * weight[:, None]
    np.fill_diagonal(pairs, 0.0)
    return pairs


def horizon_weights(time: np.ndarray, event: np.ndarray, months: float) -> np.ndarray:
    """Weights (n,) of subjects whose status at a time is known, by the inverse probability to be uncensored.

    0 for those censored before; the others stand for them.

    References
    ----------
    Graf E et al. Statistics in Medicine 1999;18:2529-2545.
    """
    before, _ = uncensored(time, event)
    earlier = time <= months
    # probability to be uncensored at the time asked for
    distinct = np.unique(time[earlier])
    at_horizon = uncensored(time, event)[1][time == distinct[-1]][0] if len(distinct) else 1.0
    weight = np.zeros(len(time))
    had = earlier & (event == 1)
    weight[had] = 1.0 / before[had]
    if at_horizon > 0:
        weight[~earlier] = 1.0 / at_horizon
    return weight


def horizon_pairs(time: np.ndarray, event: np.ndarray, months: float) -> np.ndarray:
    """Weights (n, n) of the pairs of a cumulative/dynamic AUC at a time: an event by then, and none.

    References
    ----------
    Uno H et al. JASA 2007;102:527-537. Blanche P et al. Biometrical Journal 2013;55:687-704.
    """
    weight = horizon_weights(time, event, months)
    had = (time <= months) & (event == 1)
    return np.outer(weight * had, weight * (time > months))


def groups_by_prediction(predicted: np.ndarray) -> list[np.ndarray]:
    """Return the places of the subjects of each group of a calibration curve, from the lowest predictions up.

    Groups of equal size: at most ``GROUPS``, of at least ``GROUP`` subjects where there are as many.
    """
    number = int(np.clip(len(predicted) // GROUP, 1, GROUPS))
    return np.array_split(np.argsort(predicted, kind="stable"), number)


def observed_risk(
    event: np.ndarray, time: np.ndarray | None = None, months: float = float("nan")
) -> Interval:
    """Return what a predicted probability is set against.

    Parameters
    ----------
    event : np.ndarray of 0 and 1, shape (n,)
        Response, or event.
    time : np.ndarray, shape (n,), optional
        Months to event or censoring.
    months : float
        Time at which the risk of an event is asked for.

    Returns
    -------
    Interval
        Share of responders with Wilson limits; or one minus the Kaplan–Meier estimate with log-log limits, NaN where
        nobody was followed until then.
    """
    if time is None:
        from statsmodels.stats.proportion import proportion_confint

        positive, n = event.sum(), len(event)
        low, high = proportion_confint(positive, n, method="wilson")
        return Interval(float(positive / n), float(low), float(high))
    from correlatives.survival.kaplan_meier import KaplanMeier

    survival, low, high = KaplanMeier(time, event).at(months)
    return Interval(1.0 - survival, 1.0 - high, 1.0 - low)


def concordance_parts(
    pairs: np.ndarray, folds: Sequence[np.ndarray], predictors: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum concordance and number of comparisons over repeats, for pairs held out together.

    Parameters
    ----------
    pairs : np.ndarray, shape (n, n)
        Weight of each ordered pair; the first should have the larger predictor.
    folds, predictors : sequence of np.ndarray, shape (n,)
        Fold and out-of-fold predictor of each subject, one a repeat.

    Returns
    -------
    concordant, compared : np.ndarray, shape (n, n)
        Their sums over all pairs are numerator and denominator of the AUC or C-index.
    """
    concordant = np.zeros_like(pairs)
    compared = np.zeros_like(pairs)
    for fold, predictor in zip(folds, predictors, strict=True):
        together = fold[:, None] == fold[None, :]
        difference = predictor[:, None] - predictor[None, :]
        # predictors that differ by rounding only are ties
        tied = np.abs(difference) <= 1e-12 * (1.0 + np.abs(predictor[:, None]))
        concordant += together * np.where(tied, 0.5, difference > 0)
        compared += together
    return concordant * pairs, compared * pairs


def concordance(concordant: np.ndarray, compared: np.ndarray) -> float:
    """Return the share of concordant pairs, ties counted half; NaN without a pair."""
    total = compared.sum()
    return float(concordant.sum() / total) if total > 0 else float("nan")


def concordance_replicates(
    concordant: np.ndarray, compared: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Return `concordance` in every bootstrap sample; NaN where it has no pair."""
    top = ((counts @ concordant) * counts).sum(axis=1)
    bottom = ((counts @ compared) * counts).sum(axis=1)
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)


def brier(
    outcome: np.ndarray,
    probability: np.ndarray,
    counts: np.ndarray,
    weight: np.ndarray | None = None,
) -> Interval:
    """Mean squared error of predicted probabilities.

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1: a response, or an event by the horizon.
    probability : np.ndarray, shape (n,)
        Predictions of it.
    counts : np.ndarray, shape (samples, n)
        Bootstrap samples.
    weight : np.ndarray, shape (n,), optional
        `horizon_weights` of a time to event, which the bootstrap holds fixed.
    """
    squared = (probability - outcome) ** 2 * (1.0 if weight is None else weight)
    return percentile(float(squared.mean()), counts @ squared / counts.sum(axis=1))


def calibration(
    outcome: np.ndarray,
    log_odds: np.ndarray,
    counts: np.ndarray,
    weight: np.ndarray | None = None,
) -> tuple[Interval, Interval, str]:
    """Calibration in the large and calibration slope of predicted log odds.

    The intercept is that of a logistic model with the log odds as offset (0 is right); the slope that
    of a logistic model on the log odds (1 is right; below 1: predictions too extreme).

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1: a response, or an event by the horizon.
    log_odds : np.ndarray, shape (n,)
        Predicted log odds of it.
    counts : np.ndarray, shape (samples, n)
        Bootstrap samples.
    weight : np.ndarray, shape (n,), optional
        `horizon_weights` of a time to event, which the bootstrap holds fixed.

    Returns
    -------
    intercept, slope : Interval
    note : str
        Why the slope is missing, else empty.
    """
    samples = np.vstack([np.ones(len(outcome)), counts]) * (1.0 if weight is None else weight)
    intercepts = recalibrated(outcome, log_odds, samples, slope=False)[:, 0]
    intercept = percentile(intercepts[0], intercepts[1:])
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    if log_odds.std() < LEAST_SPREAD:
        return intercept, nothing, "no calibration slope: the predictions hardly differ"
    slopes = recalibrated(outcome, log_odds, samples, slope=True)[:, 1]
    return intercept, percentile(slopes[0], slopes[1:]), ""


def recalibrated(
    outcome: np.ndarray, log_odds: np.ndarray, weights: np.ndarray, *, slope: bool
) -> np.ndarray:
    """Fit outcome ~ 1 + log_odds (or 1 + offset) under each row of weights, by Newton's method.

    Returns
    -------
    np.ndarray, shape (rows of weights, 2)
        Intercept, and slope (or 1); NaN where there is no finite maximum.
    """
    beta = np.zeros((len(weights), 2))
    beta[:, 1] = 0.0 if slope else 1.0
    done = np.zeros(len(weights), dtype=bool)
    for _ in range(50):
        predictor = beta[:, :1] + beta[:, 1:] * log_odds
        fitted = 0.5 * (1.0 + np.tanh(0.5 * predictor))
        residual = weights * (outcome - fitted)
        information = weights * fitted * (1.0 - fitted)
        u0, i00 = residual.sum(axis=1), information.sum(axis=1)
        if slope:
            u1, i01 = residual @ log_odds, information @ log_odds
            i11 = information @ log_odds**2
            determinant = i00 * i11 - i01**2
            safe = np.where(determinant > 1e-10 * i00 * i11, determinant, np.inf)
            step = np.column_stack([i11 * u0 - i01 * u1, i00 * u1 - i01 * u0]) / safe[:, None]
            failed = ~np.isfinite(safe)
        else:
            step = np.column_stack([u0 / np.maximum(i00, 1e-300), np.zeros(len(u0))])
            failed = i00 <= 1e-10
        # a step of more than two on the standardised scale overshoots a logistic curve
        scale = 2.0 / np.maximum(np.abs(step).max(axis=1) * max(1.0, log_odds.std()), 2.0)
        beta = beta + step * scale[:, None]
        done = (np.abs(step).max(axis=1) < 1e-8) & ~failed
        if (done | failed).all():
            break
    beta[~done] = np.nan
    return beta


def logit(probability: np.ndarray) -> np.ndarray:
    """Log odds; probabilities of 0 and 1 are taken for one in a thousand from there."""
    clipped = np.clip(probability, 1e-3, 1.0 - 1e-3)
    return np.log(clipped / (1.0 - clipped))


def net_benefit(
    outcome: np.ndarray,
    probability: np.ndarray,
    thresholds: np.ndarray,
    weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Net benefit of acting on those whose predicted risk reaches a threshold, and of acting on all.

    True positives less false positives times the odds of the threshold, a subject; acting on nobody has 0.

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1: what the prediction is of.
    probability : np.ndarray, shape (repeats, n)
        Out-of-fold predictions, pooled over folds and averaged over repeats.
    thresholds : np.ndarray, shape (t,)
        Between 0 and 1.
    weight : np.ndarray, shape (n,), optional
        `horizon_weights` of a time to event.

    Returns
    -------
    model, everyone : np.ndarray, shape (t,)

    References
    ----------
    Vickers AJ, Elkin EB. Medical Decision Making 2006;26:565-574.
    """
    weight = np.ones(len(outcome)) if weight is None else weight
    n = len(outcome)
    odds = thresholds / (1.0 - thresholds)
    had, had_not = weight * outcome, weight * (1.0 - outcome)
    acted = probability[:, None, :] >= thresholds[None, :, None]
    true = (acted * had).sum(axis=2).mean(axis=0) / n
    false = (acted * had_not).sum(axis=2).mean(axis=0) / n
    return true - odds * false, had.sum() / n - odds * had_not.sum() / n
