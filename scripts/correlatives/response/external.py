"""How good a locked model's predictions are in subjects of another study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.response.evaluation import LEAST_EVENTS, PERFORMANCE, known_outcomes
from correlatives.response.locked import is_survival
from correlatives.response.performance import (
    bootstrap_counts,
    brier,
    calibration,
    concordance,
    concordance_parts,
    concordance_replicates,
    horizon_pairs,
    horizon_weights,
    logit,
    percentile,
    response_pairs,
    survival_pairs,
)

#: Columns of ``response/scores_{cohort}_performance.tsv``.
EXTERNAL = [*PERFORMANCE, "locked"]


@dataclass(frozen=True)
class External:
    """Result of `judged`.

    Attributes
    ----------
    performance : pd.DataFrame
        Columns ``EXTERNAL``; without rows where no or too few outcomes are known.
    predictions : pd.DataFrame
        predicted (probability, or risk until the horizon), outcome (response or event), time_months (NaN for a
        response): one row a subject of the primary population whose outcome is known, no identifiers.
    notes : list of str
        What a reader must know, in whole sentences.
    """

    performance: pd.DataFrame
    predictions: pd.DataFrame
    notes: list[str]


def judged(
    model: Mapping[str, Any], scores: pd.DataFrame, cohort: Cohort, *, seed: int
) -> External:
    """Judge the scores of one locked model by the outcomes of the subjects scored.

    Parameters
    ----------
    model : mapping
        As from `read_locked`.
    scores : pd.DataFrame
        Of this model, from `score`.
    cohort : Cohort
        The subjects scored.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    External
    """
    endpoint, survival = model["endpoint"], is_survival(model)
    nothing = pd.DataFrame(
        {name: np.array([], dtype=float) for name in ("predicted", "outcome", "time_months")}
    )
    empty = pd.DataFrame(columns=EXTERNAL)
    if endpoint not in cohort.study["endpoints"]:
        return External(empty, nothing, [f"{endpoint}: no outcomes are known in these samples."])
    known, outcome, time = known_outcomes(cohort.subjects, endpoint, survival=survival)
    known &= cohort.subjects["in_population"].to_numpy(dtype=bool)
    outcome, time = outcome[known], time[known]
    part = scores[known]
    predicted = part["risk" if survival else "probability"].to_numpy(dtype=float)
    predictions = pd.DataFrame({"predicted": predicted, "outcome": outcome, "time_months": time})
    n, events = int(known.sum()), int(outcome.sum())
    few = events if survival else min(events, n - events)
    if few < LEAST_EVENTS:
        what = "events" if survival else "responders or non-responders"
        note = f"{endpoint}: {few} {what} are fewer than {LEAST_EVENTS}; performance is not judged."
        return External(empty, predictions, [note])
    # as many with the outcome as chance has it: resampling within it would hold the overall risk fixed
    counts = bootstrap_counts(np.zeros(n, dtype=int), seed)
    score = part["score"].to_numpy(dtype=float)
    rows: list[tuple[str, Interval]] = []

    def discrimination(metric: str, pairs: np.ndarray) -> None:
        together = concordance_parts(pairs, [np.zeros(n)], [score])
        replicates = concordance_replicates(*together, counts)
        rows.append((metric, percentile(concordance(*together), replicates)))

    # What a probability is of: the response, or the event by the horizon.
    status, weight, log_odds, behind = outcome, None, score, ""
    if survival:
        months = float(model["horizon_months"])
        behind = f"_at_{months:g}_months"
        status = outcome * (time <= months)
        weight, log_odds = horizon_weights(time, outcome, months), logit(predicted)
        discrimination("c_index_ipcw", survival_pairs(time, outcome))
        discrimination(f"auc{behind}", horizon_pairs(time, outcome, months))
    else:
        discrimination("auc", response_pairs(outcome))
    rows.append((f"brier{behind}", brier(status, predicted, counts, weight)))
    intercept, slope, why = calibration(status, log_odds, counts, weight)
    rows += [
        (f"calibration_intercept{behind}", intercept),
        (f"calibration_slope{behind}", slope),
    ]
    notes = [f"{endpoint}: {why}."] if why else []
    table = pd.DataFrame(
        [
            (endpoint, model["model"], metric, *interval, n, events, part["locked"].iloc[0])
            for metric, interval in rows
        ],
        columns=EXTERNAL,
    )
    return External(table, predictions, notes)
