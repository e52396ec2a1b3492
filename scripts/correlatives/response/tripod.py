"""What a report of the response models has to say, item by item of TRIPOD+AI, filled where the workflow knows.

References
----------
Collins GS et al. TRIPOD+AI statement. BMJ 2024;385:e078378.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from correlatives.multiplicity import LEAST_CARRIERS
from correlatives.response.evaluation import LEAST_EVENTS
from correlatives.response.forest import TREES
from correlatives.response.models import CLINICAL, FOREST
from correlatives.response.nested_cv import CLINICAL_PENALTY
from correlatives.response.preparation import SELECTED
from correlatives.wide import WIDE

TRIPOD = ["item", "section", "topic", "asks_for", "reported", "by"]

#: What stands where only people know the answer.
AUTHORS = "to be completed by the authors"


def checklist(
    study: Mapping[str, Any],
    endpoints: Mapping[str, Mapping[str, Any]],
    response: Mapping[str, Any],
    *,
    eligibility: int,
    performance: pd.DataFrame,
    sample_size: pd.DataFrame,
) -> pd.DataFrame:
    """Fill the checklist.

    Parameters
    ----------
    study, endpoints, response : mapping
        Sections of the configuration.
    eligibility : int
        Number of eligibility criteria configured.
    performance, sample_size : pd.DataFrame
        ``response/performance.tsv`` and ``sample_size.tsv``.

    Returns
    -------
    pd.DataFrame
        Columns ``TRIPOD``: what each item asks for in the words of this project, what can be reported, and by whom
        (workflow, authors, or both where the authors have to add).
    """
    facts = _facts(study, endpoints, response, eligibility, performance, sample_size)
    rows = []
    for item, section, topic, asks in ITEMS:
        known = facts.get(item, "")
        alone = item in COMPLETE and bool(known)
        reported = known if alone else f"{known} [{AUTHORS}]" if known else AUTHORS
        by = "workflow" if alone else "workflow and authors" if known else "authors"
        rows.append((item, section, topic, asks, reported, by))
    return pd.DataFrame(rows, columns=TRIPOD)


#: Items to which nothing needs to be added.
COMPLETE = frozenset(
    ["7", "10", "11", "12a", "12b", "12c", "12e", "12f", "12g", "13", "15", "16", "18f", "21", "22", "23a", "24"]
)  # fmt: skip

ITEMS = (
    ("1", "Title", "Title", "Say that a prediction model is developed or evaluated, for whom, and of which outcome."),
    ("2", "Abstract", "Abstract", "Summarise by the TRIPOD+AI items for abstracts."),
    ("3a", "Introduction", "Background", "The clinical context, why the prediction is needed, and earlier models."),
    ("3b", "Introduction", "Background", "Who is to be predicted, when in care, and who is to use the model."),
    ("3c", "Introduction", "Background", "Known inequalities between groups of patients."),
    ("4", "Introduction", "Objectives", "Whether models are developed, evaluated, or both."),
    ("5a", "Methods", "Data", "Where the data come from, why these, and how representative they are."),
    ("5b", "Methods", "Data", "When participants were included and followed."),
    ("6a", "Methods", "Participants", "Setting: kind of care, number and place of centres."),
    ("6b", "Methods", "Participants", "Criteria of eligibility."),
    ("6c", "Methods", "Participants", "Treatments, and how the analysis deals with them."),
    ("7", "Methods", "Data preparation", "Checks and changes of the data, and whether alike in all groups."),
    ("8a", "Methods", "Outcome", "What is predicted, over which time, how it was assessed, and why it was chosen."),
    ("8b", "Methods", "Outcome", "Where judgement is needed: who assessed the outcome."),
    ("8c", "Methods", "Outcome", "Whether assessors knew the predictors."),
    ("9a", "Methods", "Predictors", "How the candidates were chosen."),
    ("9b", "Methods", "Predictors", "Definition of each predictor, and how and when it was measured."),
    ("9c", "Methods", "Predictors", "Where judgement is needed: who assessed the predictors."),
    ("10", "Methods", "Sample size", "How the number of participants was arrived at, and whether it is enough."),
    ("11", "Methods", "Missing data", "What was done about missing values."),
    ("12a", "Methods", "Analytical methods", "How the data were used: to develop, to tune, to evaluate."),
    ("12b", "Methods", "Analytical methods", "How predictors were handled: form, scale, transform."),
    ("12c", "Methods", "Analytical methods", "Kind of model, all steps of building, tuning, internal validation."),
    ("12d", "Methods", "Analytical methods", "Differences between centres or other clusters."),
    ("12e", "Methods", "Analytical methods", "Measures of performance, and why these."),
    ("12f", "Methods", "Analytical methods", "Whether a model was updated after evaluation."),
    ("12g", "Methods", "Analytical methods", "How predictions were calculated for the evaluation."),
    ("13", "Methods", "Class imbalance", "Whether and how imbalance of the outcome was dealt with."),
    ("14", "Methods", "Fairness", "What was done for fairness between groups."),
    ("15", "Methods", "Model output", "What the model gives, and how classes or thresholds were chosen."),
    ("16", "Methods", "Training v evaluation", "Differences between the data learnt from and judged on."),
    ("17", "Methods", "Ethical approval", "Who approved, and consent."),
    ("18a", "Open science", "Funding", "Funding, and the part the funders took."),
    ("18b", "Open science", "Conflicts of interest", "Conflicts of interest of all authors."),
    ("18c", "Open science", "Protocol", "Where the protocol can be read."),
    ("18d", "Open science", "Registration", "Register and number."),
    ("18e", "Open science", "Data sharing", "Where the data can be had."),
    ("18f", "Open science", "Code sharing", "Where the code can be had."),
    ("19", "Open science", "Patients and public", "Their part in design, conduct, reporting, or that there was none."),
    ("20a", "Results", "Participants", "Flow of participants, with and without the outcome, and follow-up."),
    ("20b", "Results", "Participants", "Characteristics, missing values, by group where it matters."),
    ("20c", "Results", "Participants", "For an evaluation: comparison with those the model was developed on."),
    ("21", "Results", "Model development", "Participants and events in each analysis."),
    ("22", "Results", "Model specification", "Everything that is needed to predict new people."),
    ("23a", "Results", "Model performance", "Performance with confidence intervals, in groups too."),
    ("23b", "Results", "Model performance", "Differences of performance between clusters."),
    ("24", "Results", "Model updating", "Results of updating."),
    ("25", "Discussion", "Interpretation", "The main results, with fairness, beside earlier studies."),
    ("26", "Discussion", "Limitations", "Limitations: representativeness, sample size, overfitting, missing data."),
    ("27a", "Discussion", "Usability", "What to do with poor or missing input when the model is used."),
    ("27b", "Discussion", "Usability", "Whether users have to act on input or output, and what they must know."),
    ("27c", "Discussion", "Usability", "Next steps: applicability, external evaluation."),
)  # fmt: skip


def _facts(
    study: Mapping[str, Any],
    endpoints: Mapping[str, Mapping[str, Any]],
    response: Mapping[str, Any],
    eligibility: int,
    performance: pd.DataFrame,
    sample_size: pd.DataFrame,
) -> dict[str, str]:
    """Item -> what the workflow knows of it."""
    randomised = study["design"] == "randomised"
    names = ", ".join(response["endpoints"])
    clinical = ", ".join(response["clinical"])
    made = "Simulated data: nothing here is of real patients. " if study["simulated"] else ""
    kinds = {endpoints[name]["type"] == "response" for name in response["endpoints"]}
    of_response, of_time = True in kinds, False in kinds
    discrimination = _either("AUC", "Uno's C-index and AUC at a month", of_response, of_time)
    counts = performance.drop_duplicates("endpoint")
    analysed = "; ".join(
        f"{row.endpoint}: {row.n} subjects, {row.events} with the {'outcome' if endpoints[row.endpoint]['type'] == 'response' else 'event'}"
        for row in counts.itertuples()
    )
    main = performance[performance["metric"].isin(["auc", "c_index_ipcw"])]
    found = "; ".join(
        f"{row.endpoint}, {row.model}: {row.metric} {row.estimate:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in main.itertuples()
    )
    small = sample_size[sample_size["note"].fillna("") != ""] if len(sample_size) else sample_size
    sizes = "; ".join(
        f"{row.endpoint}, {row.model}: {row.candidate_parameters} candidate parameters, "
        f"{row.n_required} subjects needed, expected shrinkage {row.shrinkage_expected:.2f}"
        for row in sample_size.itertuples()
    )
    arms = ""
    if randomised:
        arms = " v ".join(" / ".join(study["arms"][side]) for side in ("control", "experimental"))
    facts = {
        "1": f"{made}{study['title']}: models of {names} from baseline.",
        "4": "Development, with internal validation by resampling; a locked model is evaluated elsewhere by the target score.",
        "5a": f"{made}{study['id']}, a {'randomised' if randomised else 'single-arm'} trial.",
        "6b": f"{eligibility} criteria, subject by subject in check/eligibility.tsv."
        if eligibility
        else "",
        "6c": f"Randomised to {arms}. The models do not know the arm; calibration is shown by arm."
        if arms
        else "",
        "7": "All tables are checked before anything is fitted (check/problems.tsv); limits of detection, repeated results and "
        "conversions are handled the same way in all subjects, and every row left out is counted (check/flow.tsv).",
        "8a": "; ".join(_defined(name, endpoints[name]) for name in response["endpoints"]) + ".",
        "9a": f"Clinical columns named in advance: {clinical or 'none'}. All biomarkers of baseline samples; of an assay of more than "
        f"{WIDE:,}, those named beforehand and the {WIDE:,} of the largest variance over all subjects, blind to outcome{' and arm' if randomised else ''}.",
        "9b": "Unit, transform, assay and limits of every biomarker are in the dictionary (tables: biomarkers).",
        "10": (
            f"{sizes}. Riley's criteria; candidate parameters include the indicators of missing values where there are any. "
            if sizes
            else "No model was fitted. "
        )
        + (
            "Where fewer subjects were analysed than needed the model is too small to trust."
            if len(small)
            else ""
        ),
        "11": "Imputed by the median of the training set (the lower of two for discrete columns), with an indicator column for each "
        f"pattern of missing values that at least {LEAST_CARRIERS} of the subjects analysed have and as many have not, whatever their outcome; "
        "values missing in fewer are imputed only. Subjects without the outcome are left out and counted.",
        "12a": f"Nested cross-validation, {response['repeats']} repeats of {response['folds']} folds balanced over {'arm and ' if randomised else ''}outcome; the inner "
        f"folds tune. No subject is predicted by a model that saw it.",
        "12b": "On the scale of the dictionary's transform, standardised in the training set; continuous markers stay continuous.",
        "12c": _model_kinds(
            performance,
            _either("logistic", "Cox for times" if of_response else "Cox", of_response, of_time),
        )
        + " At least "
        f"{LEAST_EVENTS} {_either('responders and as many non-responders', 'events', of_response, of_time, f', or {LEAST_EVENTS} ')}.",
        "12e": f"Discrimination ({discrimination}), Brier score, calibration intercept, slope and curve, decision curve, "
        "gain over the clinical columns alone, a permutation p of the whole procedure; limits by Nadeau and Bengio's correction"
        + (
            ", those of a response's Brier score and calibration intercept with the binomial variance of its share."
            if of_response
            else "."
        ),
        "12f": "No model was updated.",
        "12g": "By the models of the folds in which a subject was not; a locked model by the constants in response/locked.",
        "13": "Nothing was resampled or reweighted: probabilities keep their meaning.",
        "15": f"A probability of the {_either('response', 'event by a stated month', of_response, of_time, ', or of the ')}; no threshold is chosen (decision_curve.tsv shows all).",
        "16": "None: the data judged on are held-out parts of those learnt from.",
        "18f": "The code is this workflow; provenance.json names its version.",
        "20a": "check/flow.tsv and the figure flow.",
        "20b": "Table 1 in efficacy/.",
        "21": f"{analysed}." if analysed else "No model was fitted: too few outcomes.",
        "22": "response/locked: every constant of the fullest penalised model.",
        "23a": f"{found}. All measures in performance.tsv, by arm in calibration_by_arm.tsv."
        if found
        else "No model was fitted.",
        "24": "No model was updated.",
        "26": "Too small to trust by Riley's criteria: "
        + ", ".join(f"{row.endpoint} ({row.model})" for row in small.itertuples())
        + "."
        if len(small)
        else "",
        "27a": "The target score imputes missing input as in training, names it a subject, and flags values outside the training range.",
    }
    return {item: text for item, text in facts.items() if text}


def _model_kinds(performance: pd.DataFrame, kind: str) -> str:
    """Return what was fitted and how, by the names of the models there are."""
    names = performance["model"].drop_duplicates().astype(str)
    forest = names.str.contains(FOREST, regex=False)
    penalised = names[~forest]
    of = f" of these: {'; '.join(penalised)}" if len(penalised) else ""
    said = [
        f"Elastic net ({kind}){of}; the penalty with the smallest inner held-out loss is taken."
    ]
    if penalised.str.startswith(f"{CLINICAL} + ").any():
        said.append(
            f"Clinical columns are penalised {CLINICAL_PENALTY:g} times as much beside biomarkers."
        )
    if (penalised != CLINICAL).any():
        said.append(
            f"In each training set the {SELECTED} biomarkers with the largest univariate score are kept."
        )
    if forest.any():
        said.append(f"A random forest of {TREES} trees is the flexible reference.")
    return " ".join(said)


def _either(response: str, time: str, of_response: bool, of_time: bool, between: str = "; ") -> str:
    """Return what is said of responses, of times, or of both where a study has both."""
    return between.join([response] * of_response + [time] * of_time)


def _defined(name: str, endpoint: Mapping[str, Any]) -> str:
    """Return an endpoint's definition in words."""
    label = endpoint.get("label") or name
    if endpoint["type"] != "response":
        return f"{label}: time from randomisation to the event"
    if endpoint.get("responders"):
        months = endpoint.get("at_least_months")
        lasting = f", stable disease for at least {months:g} months" if months else ""
        return f"{label}: best overall response {' or '.join(endpoint['responders'])}{lasting}"
    positive = ", ".join(str(value) for value in endpoint.get("positive", []))
    return f"{label}: {endpoint.get('column', name)} is {positive}"
