"""How well baseline markers predict response, and whether that is better than clinical factors.

`task_of` says what is predicted from what, `resampled` does a share of the repeats and permutations, and `judged` turns
all shares into tables. The shares may be computed by any number of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.response.baseline import horizon
from correlatives.response.blocks import (
    Blocks,
    Ratio,
    brier,
    calibration,
    concordance,
    permutation_p,
    squared_error_gap,
)
from correlatives.response.design_matrix import candidate_predictors
from correlatives.response.elastic_net import Outcome
from correlatives.response.models import CLINICAL, FOREST, Model, models_of
from correlatives.response.nested_cv import permuted_within, resample
from correlatives.response.performance import (
    groups_by_prediction,
    horizon_pairs,
    horizon_weights,
    logit,
    net_benefit,
    observed_risk,
    response_pairs,
    survival_pairs,
)
from correlatives.response.preparation import Design, Preparation
from correlatives.response.sample_size import (
    EXPECTED_NAGELKERKE,
    expected_shrinkage,
    largest_r2_binary,
    largest_r2_survival,
    required_binary,
    required_survival,
)

PERFORMANCE = ["endpoint", "model", "metric", "estimate", "low", "high", "n", "events"]
SAMPLE_SIZE = [
    "endpoint",
    "model",
    "candidate_parameters",
    "events",
    "events_per_parameter",
    "n_required",
    "shrinkage_expected",
    "note",
]
PERMUTATION = [
    "endpoint",
    "model",
    "metric",
    "observed",
    "null_mean",
    "null_sd",
    "permutations",
    "p_permutation",
]
STABILITY = ["endpoint", "model", "predictor", "selected", "positive", "coefficient", "fits"]
CALIBRATION_CURVE = [
    "endpoint",
    "model",
    "arm",
    "horizon_months",
    "group",
    "predicted",
    "observed",
    "low",
    "high",
    "n",
    "events",
]
CALIBRATION_BY_ARM = [
    "endpoint",
    "model",
    "arm",
    "horizon_months",
    "n",
    "events",
    "predicted",
    "observed",
    "intercept",
    "intercept_low",
    "intercept_high",
    "slope",
    "slope_low",
    "slope_high",
    "note",
]
DECISION_CURVE = [
    "endpoint",
    "model",
    "horizon_months",
    "threshold",
    "net_benefit",
    "net_benefit_all",
    "net_benefit_none",
]
PREDICTIONS = [
    "subject",
    "repeat",
    "fold",
    "model",
    "arm",
    "outcome",
    "time_months",
    "horizon_months",
    "predictor",
    "probability",
]
COEFFICIENTS = ["model", "repeat", "fold", "predictor", "coefficient"]
PERMUTATIONS = ["model", "permutation", "statistic"]
MODELS = ["model", "candidate_parameters"]

#: Tables of `Evaluation`, and their columns.
TABLES = {
    "performance": PERFORMANCE,
    "sample_size": SAMPLE_SIZE,
    "permutation": PERMUTATION,
    "stability": STABILITY,
    "calibration_curve": CALIBRATION_CURVE,
    "calibration_by_arm": CALIBRATION_BY_ARM,
    "decision_curve": DECISION_CURVE,
}

#: With fewer events, or fewer subjects without one, folds hold too few of a kind to learn from.
LEAST_EVENTS = 10

#: Sets the permutations apart from the repeats.
PERMUTED = 0x9E27

#: Thresholds of the decision curve.
THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class Task:
    """What is predicted of whom, from what.

    Attributes
    ----------
    endpoint : str
    design : Design
        Candidates of the subjects whose outcome is known.
    models : list of Model
        None where the endpoint cannot be analysed.
    outcome : Outcome
    arm : np.ndarray, shape (n,)
        0 control, 1 experimental, NaN without arms.
    subject : np.ndarray of int, shape (n,)
        Order number in the analysed cohort, from 1.
    months : float
        Until when risks of an event are predicted; NaN for a response.
    notes : list of str
        What a reader must know, in whole sentences.
    """

    endpoint: str
    design: Design
    models: list[Model]
    outcome: Outcome
    arm: np.ndarray
    subject: np.ndarray
    months: float
    notes: list[str]

    @property
    def groups(self) -> np.ndarray:
        """Arm × outcome, over which folds are balanced."""
        return (2 * self.arm_group + self.outcome.event).astype(int)

    @property
    def arm_group(self) -> np.ndarray:
        """Arm, 0 without arms."""
        return np.nan_to_num(self.arm).astype(int)


@dataclass(frozen=True)
class Share:
    """Some repeats and permutations of a task.

    Attributes
    ----------
    predictions : pd.DataFrame
        Columns ``PREDICTIONS``: one row a subject × repeat × model. `probability` is of the response, or of the event
        until `horizon_months`.
    coefficients : pd.DataFrame
        Columns ``COEFFICIENTS``: of penalised models, per standard deviation, those that are not 0.
    permutations : pd.DataFrame
        Columns ``PERMUTATIONS``.
    """

    predictions: pd.DataFrame
    coefficients: pd.DataFrame
    permutations: pd.DataFrame


@dataclass(frozen=True)
class Evaluation:
    """Result of `judged`, a table with the columns of ``TABLES`` each.

    Attributes
    ----------
    performance : pd.DataFrame
        Metrics auc, brier, calibration_intercept, calibration_slope of a response; c_index_ipcw, and those of a
        response with ``_at_{months}_months`` behind them, of a time to event. ``_gain``: over the clinical model.
    sample_size, permutation, stability, calibration_curve, calibration_by_arm, decision_curve : pd.DataFrame
    notes : list of str
        What a reader must know, in whole sentences.
    """

    performance: pd.DataFrame
    sample_size: pd.DataFrame
    permutation: pd.DataFrame
    stability: pd.DataFrame
    calibration_curve: pd.DataFrame
    calibration_by_arm: pd.DataFrame
    decision_curve: pd.DataFrame
    predictions: pd.DataFrame
    notes: list[str] = field(default_factory=list)


def evaluate(
    cohort: Cohort,
    endpoint: str,
    clinical: Sequence[str] = (),
    *,
    seed: int = 1,
    repeats: int = 20,
    folds: int = 5,
    permutations: int = 0,
    forest: bool = True,
) -> Evaluation:
    """Judge models of one endpoint by repeated nested cross-validation, all in one go.

    Parameters
    ----------
    cohort : Cohort
        The study; the primary population is analysed.
    endpoint : str
        A response or time-to-event endpoint of the configuration.
    clinical : sequence of str
        Columns of the subjects table that make the clinical model.
    seed : int
        Seed of the analysis.
    repeats, folds : int
        Repeats of the outer cross-validation, and its folds (inner: the same number).
    permutations : int
        Permutations of the outcome behind a p-value.
    forest : bool
        Whether a random forest is judged too.

    Returns
    -------
    Evaluation
        Tables without rows where the endpoint cannot be analysed, and a note that says why.

    Raises
    ------
    KeyError
        If the endpoint or a clinical column does not exist.
    """
    task = task_of(cohort, endpoint, clinical, forest=forest)
    share = resampled(
        task, seed=seed, repeats=range(repeats), permutations=range(permutations), folds=folds
    )
    return judged(task, share)


def task_of(cohort: Cohort, endpoint: str, clinical: Sequence[str], *, forest: bool = True) -> Task:
    """Say what is predicted of whom, from what; see `evaluate`."""
    cohort = cohort.analysed()
    configured = cohort.study["endpoints"][endpoint]
    survival = configured["type"] != "response"
    known, event, time = known_outcomes(cohort.subjects, endpoint, survival=survival)
    n, events = int(known.sum()), int(event[known].sum())
    notes = []
    if n < len(known):
        notes.append(f"{n_subjects(len(known) - n)} without {endpoint}, and left out.")
    few = events if survival else min(events, n - events)
    design = candidate_predictors(cohort, clinical, known)
    models = []
    if few < LEAST_EVENTS:
        what = "events" if survival else "responders or non-responders"
        notes.append(f"{endpoint}: {few} {what} are fewer than {LEAST_EVENTS}; no model is fitted.")
    else:
        models = models_of(design, forest=forest)
    time = time[known]
    return Task(
        endpoint,
        design,
        models,
        Outcome(event[known], time if survival else None),
        cohort.subjects["arm_code"].to_numpy(dtype=float)[known],
        np.flatnonzero(known) + 1,
        horizon(time, configured.get("milestones_months") or []) if survival else float("nan"),
        notes,
    )


def n_subjects(number: int) -> str:
    """Return a number of subjects with its verb."""
    return f"{number} subject is" if number == 1 else f"{number} subjects are"


def known_outcomes(
    subjects: pd.DataFrame, endpoint: str, *, survival: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whose outcome is known, the outcome or event, and months (NaN for a response); shape (n,)."""
    if survival:
        time = subjects[f"{endpoint}_months"].to_numpy(dtype=float)
        outcome = subjects[f"{endpoint}_event"].to_numpy(dtype=float)
        return np.isfinite(time) & np.isfinite(outcome), outcome, time
    outcome = subjects[endpoint].to_numpy(dtype=float)
    return np.isfinite(outcome), outcome, np.full(len(outcome), np.nan)


def resampled(
    task: Task,
    *,
    seed: int,
    repeats: Sequence[int],
    permutations: Sequence[int] = (),
    folds: int = 5,
    forest_permuted: bool = False,
) -> Share:
    """Do some repeats and permutations of a task.

    Parameters
    ----------
    task : Task
    seed : int
        Seed of the analysis.
    repeats, permutations : sequence of int
        Their numbers, from 0. A permutation permutes the outcomes within arm and runs one repeat of the whole procedure.
    folds : int
        Outer folds, and inner folds.
    forest_permuted : bool
        Whether the permutations are run for the random forest too, which costs more than all else.

    Returns
    -------
    Share
    """
    if not task.models:
        return Share(
            pd.DataFrame(columns=PREDICTIONS),
            pd.DataFrame(columns=COEFFICIENTS),
            pd.DataFrame(columns=PERMUTATIONS),
        )
    preparation = Preparation(task.design)
    outcome, groups = task.outcome, task.groups
    predictions, coefficients = [], []
    for number in repeats:
        run = resample(
            preparation,
            task.models,
            outcome,
            groups,
            seed=[seed, number],
            folds=folds,
            months=task.months,
        )
        for model in task.models:
            predictions.append(
                pd.DataFrame(
                    {
                        "subject": task.subject,
                        "repeat": number + 1,
                        "fold": run.fold + 1,
                        "model": model.name,
                        "arm": task.arm,
                        "outcome": outcome.event.astype(int),
                        "time_months": outcome.time if outcome.survival else np.nan,
                        "horizon_months": task.months,
                        "predictor": run.predictor[model.name],
                        "probability": run.probability[model.name],
                    }
                )
            )
        coefficients += [
            (name, number + 1, fold + 1, task.design.names[column], value)
            for name, fold, column, value in run.coefficients
        ]
    models = [m for m in task.models if forest_permuted or m.learner != FOREST]
    statistics = []
    for number in permutations:
        rng = np.random.default_rng(np.random.SeedSequence([seed, PERMUTED, number]))
        drawn = outcome.of(permuted_within(task.arm_group, rng))
        run = resample(
            preparation,
            models,
            drawn,
            (2 * task.arm_group + drawn.event).astype(int),
            seed=[seed, PERMUTED, number, 1],
            folds=folds,
            months=task.months,
        )
        pairs = discrimination_pairs(drawn)
        blocks = Blocks(run.fold[None])
        statistics += [
            (m.name, number + 1, concordance(pairs, blocks, run.predictor[m.name][None]).estimate)
            for m in models
        ]
    return Share(
        pd.concat(predictions, ignore_index=True)
        if predictions
        else pd.DataFrame(columns=PREDICTIONS),
        pd.DataFrame(coefficients, columns=COEFFICIENTS),
        pd.DataFrame(statistics, columns=PERMUTATIONS),
    )


def discrimination_pairs(outcome: Outcome) -> np.ndarray:
    """Weights (n, n) of the pairs of the AUC, or of Uno's C-index."""
    if outcome.time is None:
        return response_pairs(outcome.event)
    return survival_pairs(outcome.time, outcome.event)


def together(shares: Sequence[Share]) -> Share:
    """Put shares together, in an order that does not depend on how the work was split."""

    def stacked(name: str, keys: list[str]) -> pd.DataFrame:
        tables = [getattr(share, name) for share in shares]
        filled = [table for table in tables if len(table)] or tables[:1]
        whole = pd.concat(filled, ignore_index=True)
        return whole.sort_values(keys, kind="stable", ignore_index=True)

    return Share(
        stacked("predictions", ["repeat"]),
        stacked("coefficients", ["repeat"]),
        stacked("permutations", ["permutation"]),
    )


def models_table(task: Task) -> pd.DataFrame:
    """Columns ``MODELS``: what the sample size depends on, each model's columns with indicators of missing values."""
    return pd.DataFrame([(m.name, int(m.members.sum())) for m in task.models], columns=MODELS)


def judged(task: Task, share: Share) -> Evaluation:
    """Turn all out-of-fold predictions of a task into tables."""
    return judge(task.endpoint, models_table(task), share, notes=task.notes)


@dataclass(frozen=True)
class _Judged:
    """Out-of-fold predictions of one endpoint as arrays."""

    outcome: Outcome
    months: float
    arm: np.ndarray
    blocks: Blocks
    predictor: dict[str, np.ndarray]
    probability: dict[str, np.ndarray]

    @classmethod
    def of(cls, predictions: pd.DataFrame, models: Sequence[str]) -> _Judged:
        repeats = predictions["repeat"].nunique()

        def array(rows: pd.DataFrame, column: str) -> np.ndarray:
            return rows[column].to_numpy(dtype=float).reshape(repeats, -1)

        parts = {m: predictions[predictions["model"] == m] for m in models}
        first = parts[models[0]]
        time = array(first, "time_months")[0]
        return cls(
            Outcome(array(first, "outcome")[0], time if np.isfinite(time).all() else None),
            float(first["horizon_months"].iloc[0]),
            array(first, "arm")[0],
            Blocks(array(first, "fold").astype(int) - 1),
            {m: array(rows, "predictor") for m, rows in parts.items()},
            {m: array(rows, "probability") for m, rows in parts.items()},
        )

    @property
    def status(self) -> np.ndarray:
        """What a probability is of: the response, or the event by the horizon; shape (n,)."""
        if self.outcome.time is None:
            return self.outcome.event
        return self.outcome.event * (self.outcome.time <= self.months)

    @property
    def weight(self) -> np.ndarray | None:
        """Of subjects whose status at the horizon is known; None for a response."""
        if self.outcome.time is None:
            return None
        return horizon_weights(self.outcome.time, self.outcome.event, self.months)

    def observed(self, part: np.ndarray) -> Interval:
        """Share of responders, or risk at the horizon, in some subjects (places or a mask)."""
        time = self.outcome.time
        return observed_risk(
            self.outcome.event[part], None if time is None else time[part], self.months
        )


def judge(
    endpoint: str, models: pd.DataFrame, share: Share, *, notes: Sequence[str] = ()
) -> Evaluation:
    """Turn all out-of-fold predictions of an endpoint into tables.

    Parameters
    ----------
    endpoint : str
    models : pd.DataFrame
        Columns ``MODELS``; without rows where nothing could be analysed.
    share : Share
        All repeats and permutations; see `together`.
    notes : sequence of str
        Said so far.

    Returns
    -------
    Evaluation
    """
    names = models["model"].tolist()
    if not names:
        empty = {name: pd.DataFrame(columns=columns) for name, columns in TABLES.items()}
        return Evaluation(**empty, predictions=share.predictions, notes=list(notes))
    known = _Judged.of(share.predictions, names)
    performance, said = _performance(endpoint, names, known)
    size, too_small = _sample_size(endpoint, models, known.outcome)
    by_arm, curve = _calibration_by_arm(endpoint, names, known)
    return Evaluation(
        performance,
        size,
        _permutation(endpoint, names, known, share.permutations),
        _stability(endpoint, names, known.blocks.count, share.coefficients),
        curve,
        by_arm,
        _decision_curve(endpoint, names, known),
        share.predictions,
        [*notes, *said, *too_small],
    )


def _performance(
    endpoint: str, names: Sequence[str], known: _Judged
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of performance.tsv, and what a reader must know."""
    outcome, blocks = known.outcome, known.blocks
    survival = outcome.time is not None
    behind = f"_at_{known.months:g}_months" if survival else ""
    ratios: dict[str, dict[str, Ratio]] = {}
    measured = [("c_index_ipcw" if survival else "auc", discrimination_pairs(outcome))]
    if survival:
        measured.append((f"auc{behind}", horizon_pairs(outcome.time, outcome.event, known.months)))
    for metric, pairs in measured:
        ratios[metric] = {m: concordance(pairs, blocks, known.predictor[m]) for m in names}
    ratios[f"brier{behind}"] = {
        m: brier(known.status, blocks, known.probability[m], known.weight) for m in names
    }
    # folds are balanced over a response: how much its share could change is not seen in them
    share = 0.0 if survival else float(outcome.event.var() / len(outcome.event))
    gap = {
        m: 0.0 if survival else squared_error_gap(outcome.event, known.probability[m])
        for m in names
    }
    rows: list[tuple[str, str, Interval]] = []
    notes: list[str] = []
    for m in names:
        for metric, of_model in ratios.items():
            ratio = of_model[m]
            is_brier = metric.startswith("brier")
            bounds = (0.0, np.inf if is_brier else 1.0)
            hidden = share * gap[m] ** 2 if is_brier else 0.0
            found = blocks.interval(ratio.estimate, ratio.without, bounds, hidden=hidden)
            rows.append((m, metric, found))
            if m != CLINICAL and CLINICAL in of_model:
                reference = of_model[CLINICAL]
                gain = blocks.interval(
                    ratio.estimate - reference.estimate,
                    ratio.without - reference.without,
                    (-np.inf, np.inf) if is_brier else (-1.0, 1.0),
                    hidden=share * (gap[m] - gap[CLINICAL]) ** 2 if is_brier else 0.0,
                )
                rows.append((m, f"{metric}_gain", gain))
        intercept, slope, why = calibration(
            known.status,
            blocks,
            logit(known.probability[m]),
            known.weight,
            balanced=not survival,
        )
        rows.append((m, f"calibration_intercept{behind}", intercept))
        rows.append((m, f"calibration_slope{behind}", slope))
        if why:
            notes.append(f"{endpoint}, {m}: {why}.")
    n, events = len(outcome.event), int(outcome.event.sum())
    table = pd.DataFrame(
        [(endpoint, m, metric, *interval, n, events) for m, metric, interval in rows],
        columns=PERFORMANCE,
    )
    return table, notes


def _permutation(
    endpoint: str, names: Sequence[str], known: _Judged, permutations: pd.DataFrame
) -> pd.DataFrame:
    """Rows of permutation.tsv. What was observed is of one repeat, as every permutation is: the first."""
    pairs = discrimination_pairs(known.outcome)
    first = Blocks(known.blocks.fold[:1])
    rows = []
    for m in names:
        drawn = permutations.loc[permutations["model"] == m, "statistic"].to_numpy(dtype=float)
        if not len(drawn):
            continue
        observed = concordance(pairs, first, known.predictor[m][:1]).estimate
        rows.append(
            (
                endpoint,
                m,
                "auc" if known.outcome.time is None else "c_index_ipcw",
                observed,
                float(np.nanmean(drawn)),
                float(np.nanstd(drawn)),
                len(drawn),
                permutation_p(observed, drawn),
            )
        )
    return pd.DataFrame(rows, columns=PERMUTATION)


def _stability(
    endpoint: str, names: Sequence[str], fits: int, coefficients: pd.DataFrame
) -> pd.DataFrame:
    """Rows of stability.tsv: how often each predictor had a coefficient, the most stable first."""
    if not len(coefficients):
        return pd.DataFrame(columns=STABILITY)
    found = coefficients.groupby(["model", "predictor"], sort=True)["coefficient"].agg(
        selected="size", positive=lambda values: (values > 0).mean(), coefficient="median"
    )
    table = found.reset_index()
    table["selected"] /= fits
    table["place"] = table["model"].map({m: i for i, m in enumerate(names)})
    table = table.sort_values(
        ["place", "selected", "predictor"], ascending=[True, False, True], kind="stable"
    )
    return table.assign(endpoint=endpoint, fits=fits)[STABILITY].reset_index(drop=True)


def _calibration_by_arm(
    endpoint: str, names: Sequence[str], known: _Judged
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of calibration_by_arm.tsv and calibration_curve.tsv; arm ``all``, control, experimental."""
    groups = {"all": np.ones(len(known.arm), dtype=bool)}
    if np.isfinite(known.arm).any():
        groups |= {"control": known.arm == 0, "experimental": known.arm == 1}
    weight = np.ones(len(known.arm)) if known.weight is None else known.weight
    status = known.status
    rows, curve = [], []
    for m in names:
        mean = known.probability[m].mean(axis=0)
        for arm, inside in groups.items():
            if not inside.any():
                continue
            observed = known.observed(inside)
            head = (endpoint, m, arm, known.months)
            counted = (int(inside.sum()), int(status[inside].sum()))
            intercept, slope, why = calibration(
                status,
                known.blocks,
                logit(known.probability[m]),
                weight * inside,
                balanced=not known.outcome.survival,
            )
            rows.append(
                (*head, *counted, mean[inside].mean(), observed.estimate, *intercept, *slope, why)
            )
            members = np.flatnonzero(inside)
            for place, group in enumerate(groups_by_prediction(mean[inside]), start=1):
                part = members[group]
                curve.append(
                    (
                        *head,
                        place,
                        mean[part].mean(),
                        *known.observed(part),
                        len(part),
                        int(status[part].sum()),
                    )
                )
    return (
        pd.DataFrame(rows, columns=CALIBRATION_BY_ARM),
        pd.DataFrame(curve, columns=CALIBRATION_CURVE),
    )


def _decision_curve(endpoint: str, names: Sequence[str], known: _Judged) -> pd.DataFrame:
    """Rows of decision_curve.tsv, at thresholds up to where acting on all does harm."""
    frames = []
    for m in names:
        benefit, everyone = net_benefit(
            known.status, known.probability[m], THRESHOLDS, known.weight
        )
        frames.append(
            pd.DataFrame(
                {
                    "endpoint": endpoint,
                    "model": m,
                    "horizon_months": known.months,
                    "threshold": THRESHOLDS,
                    "net_benefit": benefit,
                    "net_benefit_all": everyone,
                    "net_benefit_none": 0.0,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)[DECISION_CURVE]


def _sample_size(
    endpoint: str, models: pd.DataFrame, outcome: Outcome
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of sample_size.tsv, and in words which models are too large for the study."""
    n, events = len(outcome.event), int(outcome.event.sum())
    rows, notes = [], []
    for model, parameters in zip(models["model"], models["candidate_parameters"], strict=True):
        if outcome.time is not None:
            mean_followup = float(outcome.time.mean())
            rate = events / float(outcome.time.sum())
            largest = largest_r2_survival(rate, mean_followup)
            required = required_survival(
                parameters, rate, mean_followup, timepoint=float(np.median(outcome.time))
            )
        else:
            prevalence = events / n
            largest = largest_r2_binary(prevalence)
            required = required_binary(parameters, prevalence)
        shrinkage = expected_shrinkage(parameters, n, EXPECTED_NAGELKERKE * largest)
        few = events if outcome.survival else min(events, n - events)
        said = ""
        if required > n:
            said = (
                f"too small to trust: {parameters} candidate parameters need {required} subjects (Riley's criteria), "
                f"and {n} were analysed"
            )
            notes.append(f"{endpoint}, {model}: {said}.")
        rows.append(
            (endpoint, model, parameters, events, few / parameters, required, shrinkage, said)
        )
    return pd.DataFrame(rows, columns=SAMPLE_SIZE), notes
