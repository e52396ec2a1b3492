"""What a cell says: numbers, dates and qualifiers, strictly, whole columns at a time."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import pandas as pd

#: Outcomes of reading a cell as a number.
NUMBER, EMPTY, NOT_A_NUMBER, THOUSANDS, DECIMAL_SIGN, INFINITE = range(6)

_THOUSANDS = {
    ".": re.compile(r"[+-]?\d{1,3}(?:[,' \u00a0\u202f\u2019]\d{3})+(?:\.\d+)?"),
    ",": re.compile(r"[+-]?\d{1,3}(?:[.' \u00a0\u202f\u2019]\d{3})+(?:,\d+)?"),
}
_OTHER_SIGN = {
    ".": re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"),
    ",": re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?"),
}
_PLAIN_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?|[+-]?\d+,")
_QUALIFIED = re.compile(r"\s*(<=|>=|<|>|≤|≥|⩽|⩾|=<|=>)\s*(.+?)\s*")
_INFINITE = re.compile(r"[+-]?(?:inf(?:inity)?|∞)", re.IGNORECASE)

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_SPREADSHEET_DATE = re.compile(
    rf"\d{{1,4}}[-/ ]{_MONTH}(?:[-/ ]\d{{2,4}})?|{_MONTH}[-/ ]\d{{1,4}}", re.IGNORECASE
)
_TYPED_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?")
_DAY_MONTH_YEAR = re.compile(rf"(\d{{1,2}})[- ]?({_MONTH})[- ]?(\d{{4}})", re.IGNORECASE)
_POINTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[ T].*)?")
_SHORT_YEAR = re.compile(
    rf"\d{{1,2}}([./-])\d{{1,2}}\1\d{{2}}|\d{{1,2}}[- /]?{_MONTH}[- /]?\d{{2}}", re.IGNORECASE
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")


#: A spreadsheet's numbers of the days from 1954 to 2064, counted from the day named.
_SERIAL_DATE = re.compile(r"(\d{5})(?:\.\d+)?")
_SERIALS = range(20_000, 60_001)
_SERIAL_ZERO = date(1899, 12, 30)


class Numbers(NamedTuple):
    """Cells read as numbers: values (NaN unless `code` is NUMBER) and codes, one a cell."""

    value: np.ndarray
    code: np.ndarray


def as_numbers(cells: np.ndarray, decimal: str = ".") -> Numbers:
    """Read text cells as numbers with the file's decimal sign.

    Parameters
    ----------
    cells : np.ndarray of object, any shape
        Text; None or NaN where missing.
    decimal : {".", ","}
        Decimal sign of the file.

    Returns
    -------
    Numbers
        Arrays of the shape of `cells`.
    """
    shape = cells.shape
    flat = cells.ravel()
    empty = pd.isna(flat)
    plain = flat
    if decimal == ",":
        plain = flat.copy()
        comma = np.array(
            [isinstance(c, str) and _PLAIN_COMMA.fullmatch(c.strip()) is not None for c in flat],
            dtype=bool,
        )
        plain[comma] = [c.replace(",", ".") for c in flat[comma]]
    value = np.asarray(pd.to_numeric(pd.Series(plain, dtype=object), errors="coerce"), dtype=float)
    value = value.copy()
    code = np.full(len(flat), NUMBER, dtype=np.int8)
    code[empty] = EMPTY
    code[np.isinf(value)] = INFINITE
    if decimal == ",":
        for index in np.flatnonzero(~empty & ~comma & np.isfinite(value)):
            text = str(flat[index]).strip()
            if _THOUSANDS[","].fullmatch(text):
                code[index] = THOUSANDS
            elif "." in text:
                code[index] = DECIMAL_SIGN
    for index in np.flatnonzero(~empty & np.isnan(value)):
        text = str(flat[index]).strip()
        if _INFINITE.fullmatch(text):
            code[index] = INFINITE
        elif _THOUSANDS[decimal].fullmatch(text):
            code[index] = THOUSANDS
        elif _OTHER_SIGN[decimal].fullmatch(text):
            code[index] = DECIMAL_SIGN
        else:
            code[index] = NOT_A_NUMBER
    value[code != NUMBER] = np.nan
    return Numbers(value.reshape(shape), code.reshape(shape))


def number_of(text: str, decimal: str = ".") -> float:
    """Read one cell as a number; NaN if it is none."""
    return float(as_numbers(np.array([text], dtype=object), decimal).value[0])


class Qualified(NamedTuple):
    """Cells read as results: values, codes as in `Numbers`, and qualifiers -1 (<), 0, 1 (>)."""

    value: np.ndarray
    code: np.ndarray
    qualifier: np.ndarray


def as_results(cells: np.ndarray, decimal: str = ".") -> Qualified:
    """Read text cells as results that may carry the laboratory's qualifier (``<20``, ``≥1000``).

    A qualified value is the limit itself. ``≤5`` is read as below 5 and ``≥5`` as above it.
    """
    value, code = as_numbers(cells, decimal)
    value, code = value.ravel(), code.ravel()
    flat = cells.ravel()
    qualifier = np.zeros(len(flat), dtype=np.int8)
    words = np.flatnonzero(code == NOT_A_NUMBER)
    found = [
        (index, match)
        for index in words
        if (match := _QUALIFIED.fullmatch(str(flat[index]))) is not None
    ]
    if found:
        limits = as_numbers(np.array([match[2] for _, match in found], dtype=object), decimal)
        for position, (index, match) in enumerate(found):
            if limits.code[position] == NOT_A_NUMBER:
                continue
            value[index] = limits.value[position]
            code[index] = limits.code[position]
            qualifier[index] = -1 if match[1] in ("<", "<=", "≤", "⩽", "=<") else 1
    return Qualified(
        value.reshape(cells.shape), code.reshape(cells.shape), qualifier.reshape(cells.shape)
    )


def remedy(code: int, decimal: str, text: str) -> tuple[str, str]:
    """Return the rule and the explanation of a cell that is not the number it should be."""
    if code == THOUSANDS:
        return (
            "thousands_separator",
            f"{text!r} has separators between its thousands, or another decimal sign than the file's "
            f"({decimal!r}). Write the number without separators, or state `decimal` for this table.",
        )
    if code == DECIMAL_SIGN:
        other = "," if decimal == "." else "."
        return (
            "decimal_sign",
            f"{text!r} has the decimal sign {other!r}, the file's is {decimal!r}. "
            f"Write all numbers with {decimal!r}, or state `decimal` for this table.",
        )
    if code == INFINITE:
        return "infinite_value", f"{text!r} is not finite. Give a number, or leave the cell empty."
    hint = ""
    if looks_like_date(text):
        hint = " It looks like a date that a spreadsheet made."
    return (
        "not_a_number",
        f"{text!r} is text where a number belongs.{hint} Give a number, or name this spelling of "
        '"missing" in the table\'s `na`.',
    )


def looks_like_date(text: object, *, typed: bool = True) -> bool:
    """Say whether text is what a spreadsheet makes of ``MARCH1``, ``SEPT9`` or ``1-5``.

    Parameters
    ----------
    typed : bool
        Count ``2023-09-01`` (a date cell of a workbook) too.
    """
    if not isinstance(text, str):
        return False
    stripped = text.strip()
    if _SPREADSHEET_DATE.fullmatch(stripped):
        return True
    return typed and _TYPED_DATE.fullmatch(stripped) is not None


def as_date(text: str) -> date | None:
    """Read one date: ISO, ``15MAR2021``, ``15-Mar-2021``, ``15.03.2021``, ``20210315``; else None.

    ``03/04/2021`` is two dates, and so none.
    """
    stripped = text.strip()
    try:
        if _TYPED_DATE.fullmatch(stripped):
            return datetime.fromisoformat(stripped[:10]).date()
        if match := _DAY_MONTH_YEAR.fullmatch(stripped):
            month = _MONTHS.index(match[2][:3].lower()) + 1
            return date(int(match[3]), month, int(match[1]))
        if match := _POINTED.fullmatch(stripped):
            return date(int(match[3]), int(match[2]), int(match[1]))
        if match := _COMPACT.fullmatch(stripped):
            return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None
    return None


def serial_date(text: str) -> date | None:
    """Return the date that a spreadsheet's number of a day stands for; None if it can be none."""
    match = _SERIAL_DATE.fullmatch(text.strip())
    if match is None or int(match[1]) not in _SERIALS:
        return None
    return _SERIAL_ZERO + timedelta(days=int(match[1]))


def is_date_shaped(text: str) -> bool:
    """Say whether text has the shape of a date, of which `as_date` may read none: ``15/04/2021``, ``31.02.2021``."""
    shapes = (_SLASHED, _YEAR_FIRST, _POINTED, _DAY_MONTH_YEAR, _SHORT_YEAR)
    return any(shape.fullmatch(text.strip()) for shape in shapes)


def why_no_date(text: str) -> str:
    """Say what is wrong with text that `as_date` does not read, and what to write in its place."""
    stripped = text.strip()
    wanted = "Write year-month-day"
    if serial := serial_date(stripped):
        return (
            f"{text!r} is a spreadsheet's number of a date ({serial}, if it counts from 1900). {wanted}: give the "
            "column the format yyyy-mm-dd in the spreadsheet, and export it again."
        )
    if match := _SLASHED.fullmatch(stripped):
        year, first, second = int(match[4]), int(match[1]), int(match[3])
        day_first, month_first = _day_of(year, second, first), _day_of(year, first, second)
        if day_first and month_first and day_first != month_first:
            return f"{text!r} can be read as two dates, {day_first} and {month_first}. {wanted}, the whole column so."
        if one := day_first or month_first:
            return (
                f"{text!r} can only be {one}, but other dates written so can be read as two, and none is taken. "
                f"{wanted}, the whole column so: {one}."
            )
    if match := _YEAR_FIRST.fullmatch(stripped):
        one = _day_of(int(match[1]), int(match[2]), int(match[3]))
        if one is not None:
            return f"{text!r} is not written as a date. {wanted}: {one}."
    shaped = (_SLASHED, _YEAR_FIRST, _POINTED, _DAY_MONTH_YEAR, _COMPACT)
    if any(pattern.fullmatch(stripped) for pattern in shaped):
        return f"{text!r} is no date: there is no such day. {wanted}: 2021-03-15."
    if _SHORT_YEAR.fullmatch(stripped):
        return f"{text!r} has a year of two digits. {wanted}, with four for the year: 2021-03-15."
    return f"{text!r} is no date. {wanted}: 2021-03-15."


def _day_of(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def as_dates(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read text cells as dates.

    Returns
    -------
    dates : np.ndarray of datetime64[D], NaT where there is none
    readable : np.ndarray of bool
        False where there is text that is no date, or two.
    """
    dates = np.full(len(cells), np.datetime64("NaT"), dtype="datetime64[D]")
    readable = np.ones(len(cells), dtype=bool)
    for index in np.flatnonzero(~pd.isna(cells)):
        found = as_date(str(cells[index]))
        if found is None:
            readable[index] = False
        else:
            dates[index] = np.datetime64(found)
    return dates, readable


def spelled(value: object) -> str | None:
    """Write a typed cell as a person reads it: 12.0 is ``12``, a date ISO; None is missing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if np.isnan(number):
            return None
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(value, datetime):  # pandas' Timestamp too
        midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def spelled_column(values: np.ndarray) -> np.ndarray:
    """Write a typed column as text (object, None where missing)."""
    if values.dtype.kind in "iu":
        return values.astype(str).astype(object)
    return np.array([spelled(value) for value in values], dtype=object)
