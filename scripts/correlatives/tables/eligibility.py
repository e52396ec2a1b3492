"""Which criteria of eligibility each subject met."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.expressions import ExpressionError, parse
from correlatives.tables.problems import Problems
from correlatives.tables.words import nearest

#: Columns of ``check/eligibility.tsv``.
ELIGIBILITY = ["subject_id", "criterion", "status"]


def criteria_met(
    subjects: pd.DataFrame, criteria: list[dict[str, Any]], problems: Problems
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the status of every subject × criterion, and of every subject.

    A criterion is waived if its `waived` holds and it is not met anyway; a missing value makes it unknown
    (Kleene's three-valued logic), never not met.

    Returns
    -------
    table : pd.DataFrame
        ``check/eligibility.tsv``: subject_id, criterion, status (met, not_met, unknown, waived), subject by subject.
    eligible : np.ndarray of str, shape (n,)
        met (every criterion met or waived), not_met (any is not met), else unknown.
    """
    n = len(subjects)
    columns = [column for column in subjects.columns if not column.startswith("_")]
    status = np.full((n, len(criteria)), "unknown", dtype=object)
    for index, criterion in enumerate(criteria):
        required = _holds(criterion["require"], subjects, columns, criterion, problems)
        waived = np.zeros(n)
        if criterion.get("waived"):
            waived = _holds(criterion["waived"], subjects, columns, criterion, problems)
        status[required == 0, index] = "not_met"
        status[waived == 1, index] = "waived"
        status[required == 1, index] = "met"
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(subjects["subject_id"].to_numpy(dtype=object), len(criteria)),
            "criterion": np.tile(
                np.array([str(c["criterion"]) for c in criteria], dtype=object), n
            ),
            "status": status.ravel(),
        },
        columns=ELIGIBILITY,
    )
    eligible = np.where(
        (status == "not_met").any(axis=1),
        "not_met",
        np.where((status == "unknown").any(axis=1), "unknown", "met"),
    ).astype(object)
    return table, eligible


def _holds(
    text: str,
    subjects: pd.DataFrame,
    columns: list[str],
    criterion: dict[str, Any],
    problems: Problems,
) -> np.ndarray:
    """Return 1 (holds), 0 (does not) or NaN (unknown) for each subject; shape (n,)."""
    unknown = np.full(len(subjects), np.nan)
    try:
        expression = parse(str(text))
    except ExpressionError as error:
        problems.add(
            "criterion_invalid",
            f"Criterion {criterion['criterion']!r} cannot be understood: {text!r}: {error}",
            table="subjects",
            value=text,
        )
        return unknown
    absent = [name for name in expression.names if name not in columns]
    for name in absent:
        problems.add(
            "criterion_names_no_column",
            f"Criterion {criterion['criterion']!r} names column {name!r}, which the subjects table has not."
            + nearest(name, columns),
            table="subjects",
            column=name,
            value=text,
        )
    return unknown if absent else np.asarray(expression.kleene(subjects), dtype=float)
