"""Fit the prespecified response model on all subjects, and write down every constant of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, clinical_label
from correlatives.markers import ABOVE, BELOW
from correlatives.response.baseline import baseline_hazard, horizon
from correlatives.response.design_matrix import baseline_markers, candidate_predictors, names_of
from correlatives.response.elastic_net import L1_RATIO, Outcome
from correlatives.response.evaluation import LEAST_EVENTS, known_outcomes
from correlatives.response.locked import FORMAT, FORMAT_VERSION, Content, definition
from correlatives.response.models import BOTH, CLINICAL, MARKERS
from correlatives.response.nested_cv import CLINICAL_PENALTY, inner_folds, tuned
from correlatives.response.preparation import Design, Preparation
from correlatives.tables.limits import analysis_values, doubling_of, standing

#: Sets the folds of the locked model apart from those of the repeats that judge it.
LOCKED_STREAM = 0x10CED


HOW = {
    "response": (
        "score = intercept + the sum over all terms of coefficient × (x − centre) / scale; "
        "probability = 1 / (1 + exp(−score))."
    ),
    "time_to_event": (
        "score = the sum over all terms of coefficient × (x − centre) / scale, the log hazard relative to the "
        "average training subject; risk until a month t = 1 − baseline survival(t) ^ exp(score), the baseline "
        "a step function that keeps its value until the next time."
    ),
}
X = (
    "x is the value in the unit given, after the transform (value below the limit of quantification: the limit "
    "over √2, or ln(2)/2 under it for ratio: and vaf_ratio: markers). rule detected: 1 unless below the limit; "
    "rule above: 1 if above the upper limit. A term that is a word: 1 if the column has it, else 0. A term that "
    "is missing: 1 if the input is missing, else 0. Where the input is missing, x is if_missing."
)


class Locked(NamedTuple):
    """Result of `lock`.

    Attributes
    ----------
    content : dict
        Of ``response/locked/{endpoint}.json`` (see `correlatives.response.locked`); with a key ``refused``, and no
        model, where none can be fitted.
    subjects : np.ndarray of str, shape (n,)
        Whom the model was fitted on; empty where none was.
    predictor : np.ndarray, shape (n,)
        The fitted model's own linear predictor of them.
    """

    content: Content
    subjects: np.ndarray
    predictor: np.ndarray


def lock(
    cohort: Cohort,
    endpoint: str,
    clinical: Sequence[str] = (),
    *,
    seed: int,
    performance: pd.DataFrame,
    sample_size: pd.DataFrame,
    tables: Mapping[str, str],
    version: str,
    folds: int = 5,
) -> Locked:
    """Fit the prespecified model of one endpoint on all subjects whose outcome is known.

    The prespecified model is the fullest penalised one (clinical columns and biomarkers), tuned by the inner
    cross-validation that also tunes the models that are judged.

    Parameters
    ----------
    cohort : Cohort
        The study; the primary population is analysed.
    endpoint : str
        A response or time-to-event endpoint of the configuration.
    clinical : sequence of str
        Columns of the subjects table.
    seed : int
        Seed of the analysis.
    performance, sample_size : pd.DataFrame
        ``response/performance.tsv`` and ``sample_size.tsv``.
    tables : mapping of str to str
        Input file -> digest: the data freeze.
    version : str
        Version of the workflow.
    folds : int
        Folds of the inner cross-validation.

    Returns
    -------
    Locked
    """
    cohort = cohort.analysed()
    configured = cohort.study["endpoints"][endpoint]
    survival = configured["type"] != "response"
    known, outcome, time = known_outcomes(cohort.subjects, endpoint, survival=survival)
    outcome, time = outcome[known], time[known]
    n, events = int(known.sum()), int(outcome.sum())
    head: Content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "endpoint": endpoint,
        "type": configured["type"],
    }
    design = candidate_predictors(cohort, clinical, known)
    few = events if survival else min(events, n - events)
    if few < LEAST_EVENTS or not design.names:
        what = "events" if survival else "responders or non-responders"
        why = (
            f"{endpoint}: {few} {what} are fewer than {LEAST_EVENTS}; no model is fitted."
            if few < LEAST_EVENTS
            else f"{endpoint}: there is no candidate predictor."
        )
        refused = {**head, "version": version, "refused": why}
        return Locked(refused, np.array([], dtype=object), np.array([]))
    arm = cohort.subjects["arm_code"].to_numpy(dtype=float)[known]
    groups = (2 * np.nan_to_num(arm) + outcome).astype(int)
    target = Outcome(outcome, time if survival else None)
    preparation = Preparation(design)
    rng = np.random.default_rng(np.random.SeedSequence([seed, LOCKED_STREAM]))
    sets = inner_folds(np.ones((1, n), dtype=bool), groups, folds, rng)
    fit = tuned(preparation, target, sets)
    kept = np.flatnonzero((fit.coefficient[0] != 0) & (fit.chosen[0] >= 0))
    # in the design's order, which is that of the tables
    kept = kept[np.argsort(fit.chosen[0][kept], kind="stable")]
    columns = fit.chosen[0][kept]
    terms = _terms(design, preparation, columns, fit.coefficient[0][kept])
    inputs = _inputs(cohort, clinical, known, terms)
    is_clinical = any(name.startswith("clinical:") for name in design.names)
    has_markers = len(baseline_markers(cohort)) > 0
    model = BOTH if is_clinical and has_markers else CLINICAL if is_clinical else MARKERS
    judged = _rows(performance, endpoint, model, ["metric", "estimate", "low", "high"])
    size = _rows(
        sample_size,
        endpoint,
        model,
        ["candidate_parameters", "events_per_parameter", "n_required", "shrinkage_expected"],
    )
    label = configured.get("label") or endpoint
    content: Content = {
        **head,
        "model": model,
        "method": f"elastic net {'Cox' if survival else 'logistic'} regression",
        "intended_use": _intended_use(cohort, label, survival, n, events, inputs, size),
        "how_to_score": f"{HOW['time_to_event' if survival else 'response']} {X}",
        "version": version,
        "inputs": inputs,
    }
    if survival:
        months, baseline = breslow(time, outcome, fit.linear[0])
        content["baseline"] = {"time_months": months, "survival": baseline}
        content["horizon_months"] = horizon(time, configured.get("milestones_months") or [])
    else:
        content["intercept"] = float(fit.intercept[0])
    content["fitting"] = {
        "candidate_parameters": len(design.names),
        "inputs_used": len(inputs),
        "l1_ratio": L1_RATIO,
        "clinical_penalty": CLINICAL_PENALTY,
        "penalty": float(fit.penalty[0]),
        "inner_folds": folds,
        "seed": int(seed),
    }
    content["performance"] = {
        "from": "nested cross-validation in the training study, of subjects the model had not seen",
        "metrics": judged,
        "sample_size": size,
    }
    subjects = cohort.subjects["subject_id"].to_numpy(dtype=object)[known]
    content["data_freeze"] = {
        "study": str(cohort.study["id"]),
        "title": str(cohort.study["title"]),
        "simulated": bool(cohort.study["simulated"]),
        "population": str(cohort.study["population"]),
        "subjects": n,
        "events": events,
        "digests": "of each table, the first 12 hexadecimal digits of its SHA-256",
        "tables": dict(sorted(tables.items())),
        "training_data": training_digest(subjects, design, outcome, time),
    }
    return Locked(content, subjects, fit.linear[0])


def breslow(
    time: np.ndarray, event: np.ndarray, log_hazard: np.ndarray
) -> tuple[list[float], list[float]]:
    """Return the event times and the baseline survival from each on, by Breslow's estimate.

    Parameters
    ----------
    time, event : np.ndarray, shape (n,)
        Months; 1 for an event.
    log_hazard : np.ndarray, shape (n,)
        Linear predictor of the fitted model.

    References
    ----------
    Breslow NE. Journal of the Royal Statistical Society B 1972;34:216-217.
    """
    months, hazard = baseline_hazard(time, event, log_hazard)
    return [float(m) for m in months], [float(s) for s in np.exp(-hazard)]


def _terms(
    design: Design, preparation: Preparation, columns: np.ndarray, coefficient: np.ndarray
) -> dict[str, dict[str, float]]:
    """Return column of the design -> its constants."""
    everyone = np.ones(len(design.value), dtype=bool)
    imputed, centre, scale = preparation.constants(everyone, columns)
    return {
        design.names[column]: {
            "if_missing": float(imputed[k]),
            "centre": float(centre[k]),
            "scale": float(scale[k]),
            "coefficient": float(coefficient[k]),
        }
        for k, column in enumerate(columns)
    }


def _inputs(
    cohort: Cohort, clinical: Sequence[str], known: np.ndarray, terms: dict[str, dict[str, float]]
) -> list[Content]:
    """Return what goes into the model: columns of the subjects table, and markers."""
    inputs = []
    for column in clinical:
        series = cohort.subjects[column]
        name = f"clinical:{column}"
        item: Content = {
            "name": name,
            "table": "subjects",
            "column": column,
            "label": clinical_label(cohort, column),
        }
        if pd.api.types.is_numeric_dtype(series):
            value = series.to_numpy(dtype=float, na_value=np.nan)[known]
            given = value[~np.isnan(value)]
            item |= {"kind": "number", "transform": "none", "rule": "value"}
            item["range"] = [float(given.min()), float(given.max())] if len(given) else None
            own = [{"is": "value", **terms[name]}] if name in terms else []
            missing = terms.get(f"missing:{name}")
        else:
            # as `numeric_columns` takes words apart, over all analysed subjects
            present = series.dropna().astype(str)
            words = sorted(set(present) - {""})
            item |= {"kind": "words", "words": words}
            value = np.where(series.isna(), "", series.astype(object).astype(str))[known]
            own = [
                {"is": "word", "word": word, **terms[f"{name}={word}"]}
                for word in words
                if f"{name}={word}" in terms
            ]
            missing = next(
                (terms[f"missing:{name}={w}"] for w in words if f"missing:{name}={w}" in terms),
                None,
            )
            value = np.where(value == "", np.nan, 0.0)
        item["missing_in_training"] = int(np.isnan(value).sum())
        if missing is not None:
            own.append({"is": "missing", **missing})
        if own:
            whole = {**item, "terms": [_ordered(term) for term in own]}
            inputs.append({k: v for k, v in whole.items() if v is not None})
    markers = baseline_markers(cohort)
    analysed = analysis_values(markers)
    for row, name in enumerate(names_of(analysed.info)):
        own = [{"is": "value", **terms[name]}] if name in terms else []
        if f"missing:{name}" in terms:
            own.append({"is": "missing", **terms[f"missing:{name}"]})
        if not own:
            continue
        said = markers.info.iloc[row]
        rule = {"": "value", "detected v not detected": "detected"}.get(
            analysed.words[row], "above"
        )
        item = {
            "name": name,
            "table": "alterations" if said["domain"] == "alterations" else "measurements",
            **{
                part: str(said[part] or "")
                for part in ("biomarker", "specimen", "assay", "label", "kind", "unit")
            },
            "timepoint": "baseline",
            "conversion": str(said["conversion"] or ""),
            "lloq": _number(said["lloq"]),
            "uloq": _number(said["uloq"]),
            "levels": str(said["levels"] or ""),
            "positive": str(said["positive"] or ""),
            "definition": definition(str(said["biomarker"]), cohort),
            "transform": str(said["transform"] or "none")
            if said["kind"] in ("continuous", "count") and rule == "value"
            else "none",
            "rule": rule,
            "range": _range(markers.value[row][known], markers.state[row][known], said, rule),
            "missing_in_training": int(np.isnan(analysed.value[row][known]).sum()),
            "terms": [_ordered(term) for term in own],
        }
        # what is not said is left out, for whoever reads the file
        inputs.append({k: v for k, v in item.items() if v not in ("", None, {})})
    return inputs


def _ordered(term: Mapping[str, Any]) -> Content:
    """Put what a term is first; the indicator of a missing value is never itself missing."""
    return {k: v for k, v in term.items() if not (term["is"] == "missing" and k == "if_missing")}


def _number(value: float) -> float | None:
    return None if value is None or math.isnan(float(value)) else float(value)


def _range(value: np.ndarray, state: np.ndarray, info: pd.Series, rule: str) -> list[float] | None:
    """Return the lowest and highest training value (of quantities; with few results, the limits seen)."""
    if info["kind"] not in ("continuous", "count"):
        return None
    if rule == "value":
        value = standing(value, state, *doubling_of(info["biomarker"], info["unit"]))
    else:
        value = value[state == (BELOW if rule == "detected" else ABOVE)]
    value = value[~np.isnan(value)]
    return [float(value.min()), float(value.max())] if len(value) else None


def _rows(table: pd.DataFrame, endpoint: str, model: str, columns: list[str]) -> list[Content]:
    if not len(table):
        return []
    rows = table[(table["endpoint"] == endpoint) & (table["model"] == model)]
    return [
        {
            column: (None if pd.isna(row[column]) else row[column])
            if isinstance(row[column], str)
            else _number(row[column])
            for column in columns
        }
        for _, row in rows.iterrows()
    ]


def _intended_use(
    cohort: Cohort,
    label: str,
    survival: bool,
    n: int,
    events: int,
    inputs: list[Content],
    size: list[Content],
) -> list[str]:
    """Return what the model is for, and what it is not, in sentences."""
    arms = " or ".join(dict.fromkeys(cohort.arms.values()))
    used = sum(1 for item in inputs if item["table"] != "subjects")
    said = [
        f"{label} of subjects treated as in {cohort.study['title']} ({arms}), from what is known before treatment: "
        f"{used} biomarkers and {len(inputs) - used} clinical columns.",
        f"Made from {n} subjects with {events} {'events' if survival else 'responders'}; the arm is not an input, "
        "so it does not say who benefits from which treatment.",
        "For research: to be tested in other subjects first. It is not meant to decide on anybody's treatment.",
        "Inputs are measured as described below, in the units given, in samples taken at baseline.",
    ]
    if size and size[0]["n_required"] is not None and size[0]["n_required"] > n:
        said.append(
            f"Warning: the study is too small to trust this model. {size[0]['candidate_parameters']:.0f} candidate "
            f"parameters need {size[0]['n_required']:.0f} subjects (Riley's criteria); there were {n}."
        )
    if not inputs:
        said.append("Warning: no input was selected. The model predicts the same for everybody.")
    if cohort.study["simulated"]:
        said.append("Warning: made from simulated data. Scores of real subjects mean nothing.")
    return said


def training_digest(
    subjects: np.ndarray, design: Design, outcome: np.ndarray, time: np.ndarray
) -> str:
    """Return the SHA-256 of what the model was trained on: who, candidates' names and values, outcomes."""
    sha = hashlib.sha256()
    for words in (subjects, design.names):
        sha.update("\x1f".join(map(str, words)).encode())
    for values in (design.value, outcome, time):
        # one bit pattern for every NaN, and for both zeros
        plain = np.where(np.isnan(values), np.nan, values) + 0.0
        sha.update(np.ascontiguousarray(plain, dtype="<f8").tobytes())
    return "sha256:" + sha.hexdigest()
