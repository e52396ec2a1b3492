"""Columns of the subjects table as numbers, for models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def numeric_columns(
    subjects: pd.DataFrame, columns: Sequence[str], option: str
) -> tuple[list[str], np.ndarray]:
    """Turn columns of the subjects table into numbers.

    Numbers stay; words become one 0/1 column a level but the first in alphabetical order.

    Parameters
    ----------
    subjects : pd.DataFrame, n rows
        ``Cohort.subjects``.
    columns : sequence of str
        Columns wanted.
    option : str
        Where the configuration names them, for the message.

    Returns
    -------
    names : list of str
        ``column`` or ``column=level``.
    value : np.ndarray, shape (n, number of names)
        NaN where missing.

    Raises
    ------
    KeyError
        If the subjects table lacks a column.
    """
    names: list[str] = []
    values: list[np.ndarray] = []
    for column in columns:
        if column not in subjects.columns:
            raise KeyError(f"{option}: the subjects table has no column {column}")
        series = subjects[column]
        if pd.api.types.is_numeric_dtype(series):
            names.append(column)
            values.append(series.to_numpy(dtype=float, na_value=np.nan))
            continue
        missing = series.isna().to_numpy()
        words = series.astype(object).where(~missing, "").astype(str).to_numpy()
        for level in sorted(set(words[~missing]))[1:]:
            names.append(f"{column}={level}")
            values.append(np.where(missing, np.nan, (words == level).astype(float)))
    stacked = np.column_stack(values) if values else np.zeros((len(subjects), 0))
    return names, stacked
