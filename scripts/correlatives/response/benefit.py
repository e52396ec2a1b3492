"""Who benefits from the experimental arm: a penalised arm × marker score, cross-fitted and judged.

The score of a subject is the predicted difference between the arms, by a model with the arm (not penalised), the markers
and their products with the arm, fitted on other subjects. Markers are chosen in each training set by the score of their
own interaction. Whether the procedure as a whole finds anything is asked by re-randomising the arms within strata.

References
----------
Tian L et al. JASA 2014;109:1517-1532 (penalised interactions in a randomised trial).
van Klaveren D et al. Journal of Clinical Epidemiology 2018;94:59-68 (c-for-benefit).
Chernozhukov V et al. NBER working paper 24678, 2018 (effects by cross-fitted groups).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from correlatives.intervals import Interval
from correlatives.predictive.randomisation import draw_arms
from correlatives.response.baseline import baseline_hazard, survival_at
from correlatives.response.blocks import Blocks, Ratio, permutation_p
from correlatives.response.elastic_net import Outcome
from correlatives.response.evaluation import Task
from correlatives.response.nested_cv import CLINICAL_PENALTY, Fit, best_penalty, deal, inner_folds
from correlatives.response.preparation import Preparation

BENEFIT = [
    "endpoint",
    "metric",
    "estimate",
    "low",
    "high",
    "n",
    "events",
    "p_randomisation",
    "randomisations",
    "note",
]
BY_QUANTILE = [
    "endpoint",
    "group",
    "groups",
    "predicted",
    "effect_measure",
    "observed",
    "low",
    "high",
    "n_control",
    "n_experimental",
    "events_control",
    "events_experimental",
    "horizon_months",
    "note",
]
CROSS_FITTED = ["subject", "repeat", "fold", "arm", "outcome", "time_months", "benefit"]

#: Markers whose products with the arm are in the model, beside those of clinical columns.
SELECTED = 50

#: Groups of subjects by predicted benefit, each with at least this many subjects in each arm.
GROUPS, LEAST_IN_ARM = 4, 12

#: Sets these folds apart from those of the response models.
STREAM = 0xBE4F


@dataclass(frozen=True)
class Benefit:
    """Result of `treatment_benefit`.

    Attributes
    ----------
    table : pd.DataFrame
        Columns ``BENEFIT``: metrics c_for_benefit and score_z (the efficient score of arm × predicted benefit over its
        standard error, of one repeat, which the re-randomisations are compared with).
    by_quantile : pd.DataFrame
        Columns ``BY_QUANTILE``: subjects in groups by predicted benefit, the first is predicted least.
    predictions : pd.DataFrame
        Columns ``CROSS_FITTED``: predicted difference of the probability of a response, or of being free of the
        event at the horizon, experimental minus control.
    notes : list of str
    """

    table: pd.DataFrame
    by_quantile: pd.DataFrame
    predictions: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def treatment_benefit(
    task: Task,
    stratum: np.ndarray,
    *,
    seed: int,
    repeats: int = 20,
    folds: int = 5,
    randomisations: int = 100,
) -> Benefit:
    """Predict each subject's benefit by models of other subjects, and judge the predictions.

    Parameters
    ----------
    task : Task
        As from `task_of`, of a randomised study.
    stratum : np.ndarray of int, shape (n,)
        Randomisation stratum of each subject of the task.
    seed : int
        Seed of the analysis.
    repeats, folds : int
        Repeats of the cross-validation, its folds, and the folds of the inner one that tunes.
    randomisations : int
        Arms drawn anew, each with one repeat of the whole procedure; 0 leaves the p-value out.

    Returns
    -------
    Benefit
        Where the endpoint cannot be analysed, tables without rows; for want of subjects, `table` has its rows, empty but for
        a note that says why.

    Raises
    ------
    ValueError
        If a subject has no arm: benefit is a comparison of randomised arms.
    """
    if np.isnan(task.arm).any():
        raise ValueError("treatment benefit needs two randomised arms")
    nothing = Benefit(
        pd.DataFrame(columns=BENEFIT),
        pd.DataFrame(columns=BY_QUANTILE),
        pd.DataFrame(columns=CROSS_FITTED),
        list(task.notes),
    )
    if not task.models:
        return nothing
    arm, outcome = task.arm.astype(int), task.outcome
    least = min(np.bincount(2 * arm + task.outcome.event.astype(int), minlength=4))
    if least < folds:
        why = (
            f"{least} subjects of an arm with or without "
            f"{'an event' if outcome.survival else 'a response'} are fewer than the {folds} folds: no benefit is predicted"
        )
        nothing.notes.append(f"{task.endpoint}: {why}.")
        counted = (len(arm), int(outcome.event.sum()))
        refused = [
            (task.endpoint, metric, *[np.nan] * 3, *counted, np.nan, 0, why)
            for metric in ("c_for_benefit", "score_z")
        ]
        return replace(nothing, table=pd.DataFrame(refused, columns=BENEFIT))
    preparation = Preparation(task.design, selected=SELECTED)
    runs = [
        cross_fitted(preparation, outcome, arm, task.months, [seed, STREAM, number], folds)
        for number in range(repeats)
    ]
    blocks = Blocks(np.stack([fold for fold, _ in runs]))
    benefit = np.stack([predicted for _, predicted in runs])
    concordant = c_for_benefit(outcome, arm, blocks, benefit)
    bounded = blocks.interval(concordant.estimate, concordant.without, (0.0, 1.0))
    observed = score_z(outcome, arm, blocks.fold[0], benefit[0])
    drawn = []
    if randomisations:
        arms = draw_arms(
            arm, stratum, task.subject.astype(str), randomisations, seed, "treatment benefit"
        )
        for number, other in enumerate(arms.astype(int)):
            fold, predicted = cross_fitted(
                preparation, outcome, other, task.months, [seed, STREAM, number, 1], folds
            )
            drawn.append(score_z(outcome, other, fold, predicted))
    counted = (len(arm), int(outcome.event.sum()))
    p = permutation_p(observed, drawn)
    hardly = "" if benefit.std() > 1e-8 else "everybody is predicted the same benefit"
    rows = [
        (task.endpoint, "c_for_benefit", *bounded, *counted, np.nan, 0, hardly),
        (task.endpoint, "score_z", observed, np.nan, np.nan, *counted, p, len(drawn), hardly),
    ]
    n_repeats = len(runs)
    predictions = pd.DataFrame(
        {
            "subject": np.tile(task.subject, n_repeats),
            "repeat": np.repeat(np.arange(n_repeats) + 1, len(arm)),
            "fold": blocks.fold.ravel() + 1,
            "arm": np.tile(arm, n_repeats),
            "outcome": np.tile(outcome.event.astype(int), n_repeats),
            "time_months": np.tile(outcome.time, n_repeats) if outcome.survival else np.nan,
            "benefit": benefit.ravel(),
        }
    )
    return Benefit(
        pd.DataFrame(rows, columns=BENEFIT),
        by_quantile(task, benefit.mean(axis=0)),
        predictions,
        list(task.notes),
    )


def cross_fitted(
    preparation: Preparation,
    outcome: Outcome,
    arm: np.ndarray,
    months: float,
    seed: list[int],
    folds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the benefit of every subject by a model of the other folds.

    Parameters
    ----------
    preparation : Preparation
    outcome : Outcome
    arm : np.ndarray of int, shape (n,)
        0 control, 1 experimental.
    months : float
        Time at which the difference in event-free probability is predicted; not read for a response.
    seed : list of int
        Of this repeat.
    folds : int

    Returns
    -------
    fold : np.ndarray of int, shape (n,)
    benefit : np.ndarray, shape (n,)
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    groups = (2 * arm + outcome.event).astype(int)
    fold = deal(groups, folds, rng)
    sets = inner_folds(np.stack([fold != f for f in range(folds)]), groups, folds, rng)
    order = outcome.order()
    benefit = np.empty(len(arm))
    for f in range(folds):
        rows = order[sets.training[f][order]]
        fit = _Interactions(preparation, outcome, arm, rows, sets.training[f])
        inner = [
            _Interactions(preparation, outcome, arm, rows, sets.inner[i])
            for i in range(f * folds, (f + 1) * folds)
        ]
        path = fit.penalties()
        best = best_penalty(inner, path)
        beta = fit.at(path[: best + 1])
        held = np.flatnonzero(fold == f)
        control, experimental = (fit.predictor(beta, held, side) for side in (0, 1))
        if outcome.survival:
            own = fit.predictor(beta, rows, arm[rows])
            baseline = baseline_hazard(outcome.time[rows], outcome.event[rows], own)
            benefit[held] = survival_at(months, baseline, experimental) - survival_at(
                months, baseline, control
            )
        else:
            benefit[held] = 0.5 * (np.tanh(0.5 * experimental) - np.tanh(0.5 * control))
    return fold, benefit


class _Interactions(Fit):
    """A model of arm, markers and their products, learnt from one training set."""

    def __init__(
        self,
        preparation: Preparation,
        outcome: Outcome,
        arm: np.ndarray,
        rows: np.ndarray,
        training: np.ndarray,
    ) -> None:
        self._preparation, self._arm, self._survival = preparation, arm, outcome.survival
        # residuals of a model of the arm alone, times the arm: what the score of an interaction is made of
        inside = np.flatnonzero(training)
        residual = np.zeros(len(arm))
        residual[inside] = arm_residual(outcome.of(inside), arm[inside]) * _signed(arm[inside])
        self._learnt = preparation.learn(training, residual)
        self.chosen = preparation.choose(self._learnt)
        clinical = preparation.design.always[self.chosen]
        factor = np.where(clinical & ~clinical.all(), CLINICAL_PENALTY, 1.0)
        # products with clinical columns are hypotheses as any other
        factor = np.concatenate([[0.0], factor, np.ones(len(self.chosen))])
        if not outcome.survival:
            factor = np.append(factor, 0.0)
        super().__init__(self._columns(rows, arm[rows]), factor, outcome.of(rows), training[rows])

    def _columns(self, rows: np.ndarray, arm: np.ndarray | int) -> np.ndarray:
        marker = self._preparation.filled(self._learnt, self.chosen, rows)
        side = np.broadcast_to(_signed(np.asarray(arm)), len(rows))
        parts = [side[None], marker, marker * side]
        return np.vstack(parts if self._survival else [*parts, np.ones((1, len(rows)))])

    def predictor(self, beta: np.ndarray, rows: np.ndarray, arm: np.ndarray | int) -> np.ndarray:
        """Linear predictor of subjects, were they in an arm."""
        return beta @ self._columns(rows, arm)


def _signed(arm: np.ndarray) -> np.ndarray:
    return 2.0 * arm - 1.0


def arm_residual(outcome: Outcome, arm: np.ndarray) -> np.ndarray:
    """Residual of a model of the arm alone: each arm has a rate, or a baseline hazard, of its own."""
    if outcome.survival:
        return Outcome(outcome.event, outcome.time, arm).null_residual()
    residual = np.empty(len(arm))
    for side in np.unique(arm):
        here = arm == side
        residual[here] = outcome.event[here] - outcome.event[here].mean()
    return residual


def score_z(outcome: Outcome, arm: np.ndarray, fold: np.ndarray, benefit: np.ndarray) -> float:
    """Score of the product of arm and predicted benefit, over its standard error.

    Positive where those predicted to benefit do; 0 where all held out together are predicted the same. Predictions are
    centred within fold and arm, as different models made them.
    """
    residual = arm_residual(outcome, arm) * (-1.0 if outcome.survival else 1.0)
    centred = benefit.copy()
    for cell in np.unique(2 * fold + arm):
        here = 2 * fold + arm == cell
        centred[here] -= benefit[here].mean()
    terms = residual * _signed(arm) * centred
    error = np.sqrt((terms**2).sum())
    return float(terms.sum() / error) if error > 1e-12 else 0.0


def c_for_benefit(outcome: Outcome, arm: np.ndarray, blocks: Blocks, benefit: np.ndarray) -> Ratio:
    """Share of pairs of pairs in which the pair predicted to benefit more did.

    Within those held out together, the subjects of the arms are matched by their rank in predicted benefit; of the larger
    arm, evenly spaced ranks are taken. A pair's predicted benefit is its mean; its observed benefit is the difference of
    the responses, or which of the two is known to have had the event later (pairs in which that is not known do not
    count).

    Parameters
    ----------
    outcome : Outcome
    arm : np.ndarray of int, shape (n,)
    blocks : Blocks
    benefit : np.ndarray, shape (repeats, n)
    """
    top, bottom = np.zeros(blocks.count), np.zeros(blocks.count)
    for r, fold in enumerate(blocks.fold):
        for f in range(blocks.folds):
            ranked = []
            for side in (0, 1):
                members = np.flatnonzero((fold == f) & (arm == side))
                ranked.append(members[np.argsort(benefit[r, members], kind="stable")])
            pairs = min(map(len, ranked))
            if pairs < 2:
                continue
            control, experimental = (
                members[((np.arange(pairs) + 0.5) * len(members) / pairs).astype(int)]
                for members in ranked
            )
            predicted = 0.5 * (benefit[r, control] + benefit[r, experimental])
            gained = _observed_benefit(outcome, control, experimental)
            known = np.isfinite(gained)
            predicted, gained = predicted[known], gained[known]
            more = gained[:, None] > gained[None, :]
            difference = predicted[:, None] - predicted[None, :]
            tied = np.abs(difference) <= 1e-12
            place = r * blocks.folds + f
            top[place] = (more * np.where(tied, 0.5, difference > 0)).sum()
            bottom[place] = more.sum()
    return Ratio(top, bottom)


def _observed_benefit(
    outcome: Outcome, control: np.ndarray, experimental: np.ndarray
) -> np.ndarray:
    """1 where the experimental subject of a pair did better, -1 worse, 0 alike, NaN where it is not known."""
    event = outcome.event
    if outcome.time is None:
        return event[experimental] - event[control]
    first, second = outcome.time[control], outcome.time[experimental]
    better = (event[control] == 1) & (
        (first < second) | ((first == second) & (event[experimental] == 0))
    )
    worse = (event[experimental] == 1) & (
        (second < first) | ((first == second) & (event[control] == 0))
    )
    alike = (first == second) & (event[control] == 1) & (event[experimental] == 1)
    return np.where(better, 1.0, np.where(worse, -1.0, np.where(alike, 0.0, np.nan)))


def by_quantile(task: Task, benefit: np.ndarray) -> pd.DataFrame:
    """Observed difference between the arms in groups by predicted benefit.

    Parameters
    ----------
    task : Task
    benefit : np.ndarray, shape (n,)
        Mean over repeats of the cross-fitted prediction.

    Returns
    -------
    pd.DataFrame
        Columns ``BY_QUANTILE``. Response: difference of rates with Miettinen–Nurminen limits. Time to event: difference of
        Kaplan–Meier estimates at the horizon with Greenwood's limits.
    """
    arm, outcome = task.arm.astype(int), task.outcome
    groups = int(np.clip(np.bincount(arm, minlength=2).min() // LEAST_IN_ARM, 1, GROUPS))
    order = np.argsort(benefit, kind="stable")
    rows = []
    for number, members in enumerate(np.array_split(order, groups), start=1):
        sides = [members[arm[members] == side] for side in (0, 1)]
        effect, note = _difference(outcome, sides, task.months)
        rows.append(
            (
                task.endpoint,
                number,
                groups,
                benefit[members].mean(),
                "survival_difference" if outcome.survival else "rate_difference",
                *effect,
                *(len(side) for side in sides),
                *(int(outcome.event[side].sum()) for side in sides),
                task.months,
                note,
            )
        )
    return pd.DataFrame(rows, columns=BY_QUANTILE)


def _difference(outcome: Outcome, sides: list[np.ndarray], months: float) -> tuple[Interval, str]:
    """Experimental minus control in one group, and why there is none."""
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    if not all(map(len, sides)):
        return nothing, "an arm has nobody in this group"
    if outcome.time is None:
        from correlatives.binary.contrasts import rate_difference

        found = rate_difference(
            [int(outcome.event[side].sum()) for side in sides], [len(side) for side in sides]
        )
        return found, ""
    from correlatives.survival.kaplan_meier import KaplanMeier

    survival, variance = [], []
    for side in sides:
        curve = KaplanMeier(outcome.time[side], outcome.event[side])
        if curve.times[-1] < months and curve.survival[-1] > 0:
            return nothing, f"an arm of this group is not followed to {months:g} months"
        place = int(np.searchsorted(curve.times, months, side="right"))
        survival.append(curve.survival[place - 1] if place else 1.0)
        variance.append(
            survival[-1] ** 2 * curve.cumulative_variance[place - 1]
            if place and survival[-1] > 0
            else 0.0
        )
    difference = float(survival[1] - survival[0])
    if not min(variance) > 0:
        return Interval(difference, float("nan"), float("nan")), (
            "no limits: an arm of this group has no event, or nobody without one, by then"
        )
    half = 1.959963984540054 * float(np.sqrt(sum(variance)))
    return Interval(difference, max(difference - half, -1.0), min(difference + half, 1.0)), ""
