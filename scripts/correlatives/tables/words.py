"""Text as the data write it: words for numbers, order of versions, nearest names."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

#: Words that mean "yes" of a two-valued column, case folded.
POSITIVE = frozenset({"1", "y", "yes", "true", "t", "positive", "pos", "present", "detected", "+"})


def words(column: pd.Series) -> np.ndarray:
    """Return a column as text, "" where it is missing; whole numbers without a decimal point."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.where(column.to_numpy(dtype=bool), "true", "false").astype(object)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.array([spelled(number) for number in column.to_numpy(dtype=float)], dtype=object)
    if isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=object, na_value="")
    values = column.astype(object).to_numpy(copy=True)
    values[pd.isna(values)] = ""
    return np.array([v if isinstance(v, str) else spelled(v) for v in values], dtype=object)


def spelled(value: object) -> str:
    """Write one value as text: 3.0 is "3", missing is ""."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, float, np.number)):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def version_key(version: str) -> tuple[int, float, str]:
    """Order of versions: by number, else by date, else by text; an empty one is the lowest.

    A text with a number in front of it (``v2``, ``2.1.0``) is ordered by its numbers.
    """
    text = version.strip()
    if not text:
        return (0, 0.0, "")
    try:
        return (3, float(text), text)
    except ValueError:
        pass
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", text):
        return (2, 0.0, text)
    numbered = re.sub(r"\d+", lambda digits: digits.group().zfill(12), text)
    return (1, 0.0, numbered)


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which of `names` is meant, as a clause: " Did you mean 'ecog'?", or which there are."""
    known = [str(n) for n in names if not str(n).startswith("_")]
    folded = {n.casefold(): n for n in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f" The nearest name is {folded[close[0]]!r}."
    return f" There are: {', '.join(known)}." if known else " The table has no columns."
