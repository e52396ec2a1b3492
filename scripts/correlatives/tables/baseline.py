"""Which columns of the subjects table describe the subjects at baseline: Table 1 where nothing is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.words import words

#: Words in more spellings than this describe places or persons, not a group.
MOST_LEVELS = 10


def baseline_columns(subjects: pd.DataFrame, config: Mapping[str, Any]) -> list[str]:
    """Return the columns that describe subjects at baseline, in the table's order.

    Parameters
    ----------
    subjects : pd.DataFrame
        The subjects table, without columns of the reader's own.
    config : mapping
        The configuration: what it maps.

    Returns
    -------
    list of str
        The columns that the contract knows, and those of the study's own: the mapped ones where
        columns are mapped or come by a preset (a file of somebody else's making holds much that nobody asked for), else
        all. Identifiers, the arm, dates, empty columns and words in more than `MOST_LEVELS` spellings are left
        out, the last two also where the contract knows them.
    """
    given = (config.get("tables") or {}).get("subjects") or []
    entries = [given] if isinstance(given, Mapping) else list(given)
    mapped = {str(name) for entry in entries for name in entry.get("columns") or {}}
    foreign = any(entry.get("columns") or entry.get("preset") for entry in entries)
    known = CONTRACTS["subjects"].columns
    # Days and dates are the course of a subject, and the arm is what is compared.
    other = {"subject_id", "arm"} | {
        name
        for column in known.values()
        if column.date_column or column.type == "date"
        for name in (column.name, column.date_column)
    }
    result = []
    for name in subjects.columns:
        if name in other or (foreign and name not in known and name not in mapped):
            continue
        values = subjects[name]
        if values.isna().all() or pd.api.types.is_datetime64_any_dtype(values):
            continue
        numeric = pd.api.types.is_numeric_dtype(values)
        if numeric or len(set(words(values)) - {""}) <= MOST_LEVELS:
            result.append(str(name))
    return result
