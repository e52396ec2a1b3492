"""How well baseline markers predict response, and whether that is better than clinical factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.response.design_matrix import candidate_predictors
from correlatives.response.elastic_net import CoxLoss, LogisticLoss
from correlatives.response.nested_cv import Repeat, repeats_of
from correlatives.response.performance import (
    bootstrap_counts,
    brier,
    calibration,
    concordance,
    concordance_parts,
    concordance_replicates,
    percentile,
    response_pairs,
    survival_pairs,
)
from correlatives.response.preparation import Design
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
]
PREDICTIONS = [
    "subject",
    "repeat",
    "fold",
    "model",
    "outcome",
    "time_months",
    "predictor",
    "probability",
]

CLINICAL = "clinical"
MARKERS = "biomarkers"
BOTH = "clinical + biomarkers"

#: With fewer events, or fewer subjects without one, folds hold too few of a kind to learn from.
LEAST_EVENTS = 10


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    performance : pd.DataFrame
        Columns ``PERFORMANCE``; metrics auc, auc_gain, brier, calibration_intercept,
        calibration_slope (response) or c_index_ipcw, c_index_ipcw_gain (time to event). Gains are
        over the clinical model.
    sample_size : pd.DataFrame
        Columns ``SAMPLE_SIZE``.
    predictions : pd.DataFrame
        Columns ``PREDICTIONS``: one row a subject × repeat × model. `subject` is the order number in the
        analysed cohort, from 1. `probability` is of the response (empty for a time to event).
    notes : list of str
        What a reader must know, in whole sentences.
    """

    performance: pd.DataFrame
    sample_size: pd.DataFrame
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
) -> Evaluation:
    """Judge models of one endpoint by repeated nested cross-validation.

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

    Returns
    -------
    Evaluation
        Tables with the contract's columns; without rows where the endpoint cannot be analysed, and
        a note that says why.

    Raises
    ------
    KeyError
        If the endpoint or a clinical column does not exist.
    """
    cohort = cohort.analysed()
    kind = cohort.study["endpoints"][endpoint]["type"]
    survival = kind != "response"
    known, outcome, time = known_outcomes(cohort.subjects, endpoint, survival=survival)
    outcome, time = outcome[known], time[known]
    n, events = int(known.sum()), int(outcome.sum())
    notes = (
        [f"{int((~known).sum())} subjects without {endpoint} are left out."]
        if n < len(known)
        else []
    )
    few = events if survival else min(events, n - events)
    if few < LEAST_EVENTS:
        what = "events" if survival else "responders or non-responders"
        notes.append(f"{endpoint}: {few} {what} are fewer than {LEAST_EVENTS}; no model is fitted.")
        return Evaluation(
            pd.DataFrame(columns=PERFORMANCE),
            pd.DataFrame(columns=SAMPLE_SIZE),
            pd.DataFrame(columns=PREDICTIONS),
            notes,
        )
    designs = _designs(candidate_predictors(cohort, clinical), known)
    arm = cohort.subjects["arm_code"].to_numpy(dtype=float)[known]
    groups = (2 * np.nan_to_num(arm) + outcome).astype(int)
    loss = CoxLoss(time, outcome) if survival else LogisticLoss(outcome)
    runs = repeats_of(designs, loss, groups, seed=seed, numbers=range(repeats), folds=folds)
    order = np.flatnonzero(known) + 1
    sample_size, size_notes = _sample_size(endpoint, designs, outcome, time, survival=survival)
    performance, judged_notes = judge(endpoint, runs, outcome, time, groups, seed=seed)
    return Evaluation(
        performance,
        sample_size,
        _predictions(runs, order, outcome, time, survival=survival),
        notes + judged_notes + size_notes,
    )


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


def _designs(candidates: Design, known: np.ndarray) -> dict[str, Design]:
    """Model -> its candidates among the subjects whose outcome is known."""
    everything = Design(
        candidates.names,
        candidates.value[known],
        candidates.discrete,
        candidates.always,
        candidates.parameters,
    )
    stays = everything.always
    clinical = int(
        (stays & ~np.char.startswith(np.array(everything.names, dtype=str), "missing:")).sum()
    )
    markers = everything.parameters - clinical
    designs = {}
    if clinical:
        designs[CLINICAL] = everything.only(stays, clinical)
    if markers:
        designs[BOTH if clinical else MARKERS] = everything
    return designs


def judge(
    endpoint: str,
    runs: Sequence[Repeat],
    outcome: np.ndarray,
    time: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
) -> tuple[pd.DataFrame, list[str]]:
    """Turn the predictions of all repeats into rows of performance.tsv.

    Parameters
    ----------
    endpoint : str
        Its name.
    runs : sequence of Repeat
        All repeats, in their order.
    outcome, time : np.ndarray, shape (n,)
        Response or event; months, NaN for a response endpoint.
    groups : np.ndarray of int, shape (n,)
        Arm × outcome.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    performance : pd.DataFrame
        Columns ``PERFORMANCE``.
    notes : list of str
    """
    survival = bool(np.isfinite(time).all())
    pairs = survival_pairs(time, outcome) if survival else response_pairs(outcome)
    metric = "c_index_ipcw" if survival else "auc"
    counts = bootstrap_counts(groups, seed)
    folds = [run.fold for run in runs]
    models = list(runs[0].predictor) if runs else []
    rows: list[tuple[str, str, Interval]] = []
    notes: list[str] = []
    replicates: dict[str, np.ndarray] = {}
    estimates: dict[str, float] = {}
    for model in models:
        predictors = [run.predictor[model] for run in runs]
        parts = concordance_parts(pairs, folds, predictors)
        estimates[model] = concordance(*parts)
        replicates[model] = concordance_replicates(*parts, counts)
        rows.append((model, metric, percentile(estimates[model], replicates[model])))
        if model == BOTH and CLINICAL in estimates:
            gain = percentile(
                estimates[model] - estimates[CLINICAL], replicates[model] - replicates[CLINICAL]
            )
            rows.append((model, f"{metric}_gain", gain))
        if survival:
            continue
        log_odds = np.stack(predictors)
        probability = 0.5 * (1.0 + np.tanh(0.5 * log_odds))
        rows.append((model, "brier", brier(outcome, probability, counts)))
        intercept, slope, why = calibration(outcome, log_odds.mean(axis=0), counts)
        rows.append((model, "calibration_intercept", intercept))
        rows.append((model, "calibration_slope", slope))
        if why:
            notes.append(f"{endpoint}, {model}: {why}.")
    table = pd.DataFrame(
        [
            (endpoint, model, name, *interval, len(outcome), int(outcome.sum()))
            for model, name, interval in rows
        ],
        columns=PERFORMANCE,
    )
    return table, notes


def _sample_size(
    endpoint: str,
    designs: dict[str, Design],
    outcome: np.ndarray,
    time: np.ndarray,
    *,
    survival: bool,
) -> tuple[pd.DataFrame, list[str]]:
    """Rows of sample_size.tsv, and in words which models are too large for the study."""
    n, events = len(outcome), int(outcome.sum())
    rows, notes = [], []
    for model, design in designs.items():
        parameters = design.parameters
        if survival:
            mean_followup = float(time.mean())
            rate = events / float(time.sum())
            largest = largest_r2_survival(rate, mean_followup)
            required = required_survival(
                parameters, rate, mean_followup, timepoint=float(np.median(time))
            )
        else:
            prevalence = events / n
            largest = largest_r2_binary(prevalence)
            required = required_binary(parameters, prevalence)
        shrinkage = expected_shrinkage(parameters, n, EXPECTED_NAGELKERKE * largest)
        few = events if survival else min(events, n - events)
        rows.append((endpoint, model, parameters, events, few / parameters, required, shrinkage))
        if required > n:
            notes.append(
                f"{endpoint}, {model}: too small to trust. {parameters} candidate parameters need "
                f"{required} subjects (Riley's criteria); {n} were analysed."
            )
    return pd.DataFrame(rows, columns=SAMPLE_SIZE), notes


def _predictions(
    runs: Sequence[Repeat],
    order: np.ndarray,
    outcome: np.ndarray,
    time: np.ndarray,
    *,
    survival: bool,
) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "subject": order,
                "repeat": number,
                "fold": run.fold + 1,
                "model": model,
                "outcome": outcome.astype(int),
                "time_months": time,
                "predictor": predictor,
                "probability": np.nan if survival else 0.5 * (1.0 + np.tanh(0.5 * predictor)),
            }
        )
        for number, run in enumerate(runs, start=1)
        for model, predictor in run.predictor.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=PREDICTIONS)
