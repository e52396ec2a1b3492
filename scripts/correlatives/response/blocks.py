"""How good out-of-fold predictions are, with intervals that respect the resampling.

Discrimination compares two subjects only where one model predicted both, that is where they were held
out together: pooling folds would compare models, and a model that knows nothing would score below one half.

Every metric is a function of blocks: what was held out in one fold of one repeat. Training sets overlap, and every
subject is held out once a repeat, so the blocks are not independent, and an interval made as if they were, or one
that resamples subjects and holds the fitted models fixed, is far too narrow. Nadeau and Bengio's correction adds the
share of the variance that the overlap hides: (1/J + held out / learnt from) times the variance between the J blocks
(for other metrics than means, between their jackknife pseudo-values). The quantile is that of Student's t with folds −
1 degrees of freedom: only the folds of one repeat are disjoint, and more repeats bring no new subjects.

Folds are balanced over the response, so that blocks hide how much the share of responders would change with the
subjects. Where a metric depends on this share (calibration intercept, Brier score) its binomial variance is added.
docs/response_calibration.md says how often such limits hold the truth.

References
----------
Nadeau C, Bengio Y. Machine Learning 2003;52:239-281.
Bouckaert RR, Frank E. PAKDD 2004, LNCS 3056:3-12 (repeated cross-validation).
Efron B, Tibshirani RJ. An Introduction to the Bootstrap, 1993, chapter 11 (pseudo-values).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from correlatives.intervals import Interval
from correlatives.response.performance import LEAST_SPREAD, recalibrated

#: 97.5th percentile of the normal distribution.
NORMAL = 1.959963984540054

NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class Blocks:
    """What was held out together: the folds of all repeats.

    Attributes
    ----------
    fold : np.ndarray of int, shape (repeats, n)
        Fold in which each subject was held out, from 0.
    """

    fold: np.ndarray

    @property
    def folds(self) -> int:
        """Folds of a repeat."""
        return int(self.fold.max()) + 1

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.fold) * self.folds

    def number(self) -> np.ndarray:
        """Return the block of every out-of-fold prediction, shape (repeats, n)."""
        return self.fold + self.folds * np.arange(len(self.fold))[:, None]

    def interval(
        self,
        estimate: float,
        without: np.ndarray,
        bounds: tuple[float, float],
        *,
        hidden: float = 0.0,
    ) -> Interval:
        """Return an estimate with corrected resampled limits.

        Parameters
        ----------
        estimate : float
            Metric of all blocks together.
        without : np.ndarray, shape (blocks,)
            Metric of all blocks but one.
        bounds : tuple of float
            What the metric cannot leave.
        hidden : float
            Variance that blocks cannot show, since folds are balanced over what it comes from.
        """
        from scipy.special import stdtrit

        blocks = len(without)
        if not np.isfinite(estimate) or not np.isfinite(without).all() or self.folds < 2:
            return Interval(float(estimate), float("nan"), float("nan"))
        pseudo = estimate + (blocks - 1) * (estimate - without)
        overlap = 1.0 / (self.folds - 1)
        error = np.sqrt((1.0 / blocks + overlap) * pseudo.var(ddof=1))
        half = float(stdtrit(self.folds - 1, 0.975)) * error
        half = np.hypot(half, NORMAL * np.sqrt(hidden))
        low, high = np.clip([estimate - half, estimate + half], *bounds)
        return Interval(float(estimate), float(low), float(high))


@dataclass(frozen=True)
class Ratio:
    """A metric that is a ratio of sums over blocks.

    Attributes
    ----------
    top, bottom : np.ndarray, shape (blocks,)
    """

    top: np.ndarray
    bottom: np.ndarray

    @property
    def estimate(self) -> float:
        """Ratio of all blocks."""
        total = self.bottom.sum()
        return float(self.top.sum() / total) if total > 0 else float("nan")

    @property
    def without(self) -> np.ndarray:
        """Ratio of all blocks but one, shape (blocks,)."""
        bottom = self.bottom.sum() - self.bottom
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(bottom > 0, (self.top.sum() - self.top) / bottom, np.nan)


def concordance(pairs: np.ndarray, blocks: Blocks, predictor: np.ndarray) -> Ratio:
    """Share of concordant pairs among those held out together: AUC or C-index, by the pairs' weights.

    Parameters
    ----------
    pairs : np.ndarray, shape (n, n)
        Weight of each ordered pair; the first should have the larger predictor.
    blocks : Blocks
    predictor : np.ndarray, shape (repeats, n)
        Out-of-fold predictor. Ties count half.
    """
    top, bottom = np.zeros(blocks.count), np.zeros(blocks.count)
    for r, (fold, own) in enumerate(zip(blocks.fold, predictor, strict=True)):
        for f in range(blocks.folds):
            here = np.flatnonzero(fold == f)
            weight = pairs[np.ix_(here, here)]
            difference = own[here][:, None] - own[here][None, :]
            # predictors that differ by rounding only are ties
            tied = np.abs(difference) <= 1e-12 * (1.0 + np.abs(own[here])[:, None])
            place = r * blocks.folds + f
            top[place] = (weight * np.where(tied, 0.5, difference > 0)).sum()
            bottom[place] = weight.sum()
    return Ratio(top, bottom)


def brier(
    outcome: np.ndarray, blocks: Blocks, probability: np.ndarray, weight: np.ndarray | None = None
) -> Ratio:
    """Mean squared error of predicted probabilities.

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1: a response, or an event by the horizon.
    blocks : Blocks
    probability : np.ndarray, shape (repeats, n)
    weight : np.ndarray, shape (n,), optional
        `horizon_weights` of a time to event; the sum is divided by the number of subjects.
    """
    squared = (probability - outcome) ** 2 * (1.0 if weight is None else weight)
    number = blocks.number().ravel()
    return Ratio(
        np.bincount(number, weights=squared.ravel(), minlength=blocks.count),
        np.bincount(number, minlength=blocks.count).astype(float),
    )


def squared_error_gap(outcome: np.ndarray, probability: np.ndarray) -> float:
    """Mean squared error of responders less that of the others: how a Brier score changes with the share of responders.

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1, both present.
    probability : np.ndarray, shape (repeats, n)
    """
    squared = ((probability - outcome) ** 2).mean(axis=0)
    return float(squared[outcome == 1].mean() - squared[outcome == 0].mean())


def calibration(
    outcome: np.ndarray,
    blocks: Blocks,
    log_odds: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    balanced: bool,
) -> tuple[Interval, Interval, str]:
    """Calibration in the large and calibration slope of out-of-fold predictions, repeats pooled.

    The intercept is that of a logistic model with the log odds as offset (0 is right); the slope that
    of a logistic model on the log odds (1 is right; below 1: predictions too extreme), less their mean among those held
    out together: means of folds differ by who was left to learn from, against the outcomes that were held out.

    Parameters
    ----------
    outcome : np.ndarray, shape (n,)
        0 or 1: a response, or an event by the horizon.
    blocks : Blocks
    log_odds : np.ndarray, shape (repeats, n)
        Out-of-fold log odds of the outcome.
    weight : np.ndarray, shape (n,), optional
        `horizon_weights` of a time to event; 0 of those who do not count.
    balanced : bool
        Whether folds were balanced over the outcome, as they are over a response.

    Returns
    -------
    intercept, slope : Interval
    note : str
        Why the slope is missing, else empty.
    """
    repeats = len(log_odds)
    x = log_odds.ravel()
    y = np.tile(outcome, repeats)
    given = np.tile(np.ones(len(outcome)) if weight is None else weight, repeats)
    left_out = blocks.number().ravel() != np.arange(blocks.count)[:, None]
    samples = np.vstack([np.ones(len(x)), left_out]) * given
    everywhere = (-np.inf, np.inf)
    found = recalibrated(y, x, samples, slope=False)[:, 0]
    hidden = 0.0
    if balanced:
        probability = 0.5 * (1.0 + np.tanh(0.5 * (x + found[0])))
        hidden = repeats / float((given * probability * (1.0 - probability)).sum())
    intercept = blocks.interval(found[0], found[1:], everywhere, hidden=hidden)
    centred = x - _block_means(blocks, log_odds, weight).ravel()
    if np.sqrt(np.average(centred**2, weights=given)) < LEAST_SPREAD:
        return intercept, NOTHING, "no calibration slope: the predictions hardly differ"
    found = recalibrated(y, centred, samples, slope=True)[:, 1]
    return intercept, blocks.interval(found[0], found[1:], everywhere), ""


def _block_means(blocks: Blocks, values: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return each prediction's block mean, shape (repeats, n)."""
    weight = np.ones(values.shape) if weight is None else np.broadcast_to(weight, values.shape)
    number = blocks.number()
    total = np.bincount(number.ravel(), (values * weight).ravel(), minlength=blocks.count)
    size = np.bincount(number.ravel(), weight.ravel(), minlength=blocks.count)
    return (total / np.where(size > 0, size, 1.0))[number]


def permutation_p(observed: float, drawn: Sequence[float]) -> float:
    """Share of permutations at least as good as what was observed, which counts as one of them.

    References
    ----------
    Phipson B, Smyth GK. Statistical Applications in Genetics and Molecular Biology 2010;9:39.
    """
    drawn = np.asarray(drawn, dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(observed) or not len(drawn):
        return float("nan")
    # equal but for rounding is equal
    return float((1 + (drawn >= observed - 1e-12).sum()) / (1 + len(drawn)))
