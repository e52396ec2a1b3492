"""A table's cells against its contract: every cell that is not what its column holds, and typed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from correlatives.tables.cells import (
    DECIMAL_SIGN,
    EMPTY,
    INFINITE,
    NOT_A_NUMBER,
    NUMBER,
    THOUSANDS,
    as_date,
    as_dates,
    as_numbers,
    is_date_shaped,
    looks_like_date,
    remedy,
    serial_date,
    why_no_date,
)
from correlatives.tables.contracts import CONTRACTS, Column
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems
from correlatives.tables.words import meaning, recoding
from correlatives.time_units import DAYS_A_MONTH

#: Rules of numbers outside their range, where they have one of their own.
RANGE_RULES = {
    ("outcomes", "time"): "negative_time",
    ("outcomes", "event"): "event_not_0_or_1",
    ("samples", "tumour_fraction"): "tumour_fraction_outside_scale",
    ("runs", "tumour_fraction"): "tumour_fraction_outside_scale",
    ("coverage", "lod_vaf"): "vaf_outside_scale",
}

#: Columns in which a spreadsheet's date is a gene or a biomarker that it mistook.
SYMBOLS = ("gene", "biomarker")

#: Tables whose other columns are covariates and endpoints, and so judged as numbers.
JUDGED = ("subjects", "responses", "samples")

#: Study days beyond are dates, or numbers of dates (a hundred years).
FURTHEST_DAY = 36525

#: From this share of numbers on, a column of other names is a column of numbers.
MOSTLY = 0.8


@dataclass
class Calendar:
    """Dates to study days and to times: when each subject was randomised, and first treated.

    Attributes
    ----------
    randomised : dict
        subject_id -> datetime64[D], of those for whom it is known.
    first_dose_day : dict
        subject_id -> days from randomisation to the first dose.
    unit_days : float
        Days in the unit of ``outcomes.time``.
    """

    randomised: dict[str, np.datetime64] = field(default_factory=dict)
    first_dose_day: dict[str, float] = field(default_factory=dict)
    unit_days: float = DAYS_A_MONTH

    def time(self, subject: str, day: np.datetime64) -> float:
        """Return the time from randomisation to a date, in units of ``outcomes.time``."""
        return float((day - self.randomised[subject]).astype(int)) / self.unit_days

    def study_day(self, subject: str, day: np.datetime64) -> float:
        """Return the study day of a date: 1 is the first dose, there is no day 0."""
        since = float((day - self.randomised[subject]).astype(int))
        since -= self.first_dose_day.get(subject, 0.0)
        return since + 1 if since >= 0 else since


def typed(
    part: Part, problems: Problems, subjects: np.ndarray, calendar: Calendar | None = None
) -> pd.DataFrame:
    """Return a part's columns typed, and report every cell that is not what its column holds.

    Parameters
    ----------
    part : Part
    subjects : np.ndarray of object, shape (n,)
        Whose row it is, for messages and dates; None where unknown.
    calendar : Calendar, optional
        For dates in place of study days.

    Returns
    -------
    pd.DataFrame, n rows
        Contract columns typed (numbers float64, text ``str``), others as they are (object), ``_row``.
        Wrong cells are missing.
    """
    contract = CONTRACTS[part.table]
    frame = part.frame
    columns: dict[str, object] = {}
    for name, column in contract.columns.items():
        if name not in frame and not (column.date_column and column.date_column in frame):
            continue
        if column.type == "day" or (column.type == "number" and column.date_column):
            columns[name] = _days_or_times(part, column, problems, subjects, calendar or Calendar())
            continue
        if name not in frame:  # a date in its place, which the caller turns into days
            continue
        cells = frame[name].to_numpy(dtype=object)
        if column.filled:
            for index in np.flatnonzero(pd.isna(cells)):
                part.tell(
                    problems,
                    "value_missing",
                    f"There is no {part.shown(name)}. Give it. {column.description}",
                    column=name,
                    row=frame["_row"].iloc[index],
                    subject_id=subjects[index],
                )
        if column.type in ("number", "integer"):
            columns[name] = _numbers(part, column, problems, subjects)
        elif column.type == "date":
            columns[name] = _dates(part, name, problems, subjects)
        elif column.type == "word":
            columns[name] = _words(part, column, problems, subjects)
        else:
            if name in SYMBOLS:
                _report_symbols(part, name, problems, subjects)
            columns[name] = pd.array(cells, dtype="str")
    rest = {name: frame[name] for name in frame.columns if name not in columns}
    return pd.DataFrame({**columns, **rest}, index=frame.index)


def _numbers(part: Part, column: Column, problems: Problems, subjects: np.ndarray) -> np.ndarray:
    frame = part.frame
    cells = frame[column.name].to_numpy(dtype=object)
    value, code = as_numbers(cells, part.decimal)
    rows = frame["_row"].to_numpy()

    def tell(index: int, rule: str, message: str) -> None:
        part.tell(
            problems,
            rule,
            message,
            column=column.name,
            row=rows[index],
            subject_id=subjects[index],
            value=cells[index],
        )

    rule = RANGE_RULES.get((part.table, column.name), "out_of_range")
    percent = (
        column.name == "tumour_fraction" and part.entry.get("tumour_fraction_scale") == "percent"
    )
    if percent:
        value = value / 100.0
    for index in np.flatnonzero(code > EMPTY):
        if rule == "event_not_0_or_1" and code[index] == NOT_A_NUMBER:
            cell = str(cells[index])
            tell(
                index,
                rule,
                f"{cells[index]!r} is not 0 or 1. Write 1 for an event and 0 for censored, or recode: "
                f"{recoding('event', cell, meaning('event', cell, ('0', '1')), ('0', '1'))}.",
            )
            continue
        tell(index, *remedy(int(code[index]), part.decimal, str(cells[index])))
    with np.errstate(invalid="ignore"):
        low = value < column.minimum if column.minimum is not None else np.zeros(len(value), bool)
        high = value > column.maximum if column.maximum is not None else np.zeros(len(value), bool)
        fraction = (value != np.floor(value)) & np.isfinite(value)
    for index in np.flatnonzero(low | high):
        tell(
            index,
            rule,
            f"{cells[index]} is outside 0 to 100, the scale 'percent' that the configuration states. "
            "Correct the value or `tumour_fraction_scale`."
            if percent
            else _out_of_range(column, rule, str(cells[index]), bool(low[index])),
        )
    value[low | high] = np.nan
    if column.type == "integer":
        for index in np.flatnonzero(fraction & ~low & ~high):
            if rule == "event_not_0_or_1":
                tell(
                    index,
                    rule,
                    f"{cells[index]} is not 0 or 1. Write 1 for an event, 0 for censored.",
                )
            else:
                tell(
                    index,
                    "not_an_integer",
                    f"{cells[index]} is a fraction where a whole number belongs. Write a whole number. {column.description}",
                )
        value[fraction] = np.nan
    return value


def _out_of_range(column: Column, rule: str, text: str, low: bool) -> str:
    if rule == "negative_time":
        return f"{text} is negative. Time runs from randomisation, in study.time_unit. Correct it."
    if rule == "event_not_0_or_1":
        return f"{text} is not 0 or 1. Write 1 for an event and 0 for censored, or recode with `values`."
    if rule == "tumour_fraction_outside_scale":
        percent = (
            "" if low else " If the column is in per cent, write `tumour_fraction_scale: percent`."
        )
        return f"{text} is outside 0 to 1. A tumour fraction is a fraction of 1.{percent}"
    limits = (
        f"at least {column.minimum:g}"
        if column.maximum is None
        else f"at most {column.maximum:g}"
        if column.minimum is None
        else f"from {column.minimum:g} to {column.maximum:g}"
    )
    side = "too low" if low else "too high"
    return f"{text} is {side}: {column.name} is {limits}. Correct it. {column.description}"


def _dates(part: Part, name: str, problems: Problems, subjects: np.ndarray) -> np.ndarray:
    """Return a column of dates as datetime64[D]."""
    frame = part.frame
    cells = frame[name].to_numpy(dtype=object)
    dates, readable = as_dates(cells)
    for index in np.flatnonzero(~readable):
        part.tell(
            problems,
            "not_a_date",
            why_no_date(str(cells[index])),
            column=name,
            row=frame["_row"].iloc[index],
            subject_id=subjects[index],
            value=cells[index],
        )
    return dates.astype("datetime64[s]")


def _days_or_times(
    part: Part, column: Column, problems: Problems, subjects: np.ndarray, calendar: Calendar
) -> np.ndarray:
    """Return study days, or times from randomisation, from a column of numbers, of dates, or from the date column that stands for it."""
    frame = part.frame
    days = column.type == "day"
    furthest = FURTHEST_DAY / (1.0 if days else calendar.unit_days)
    rows = frame["_row"].to_numpy()
    value = np.full(len(frame), np.nan)
    dates = np.full(len(frame), np.datetime64("NaT"), dtype="datetime64[D]")
    source = np.full(len(frame), column.name, dtype=object)
    if column.name in frame:
        cells = frame[column.name].to_numpy(dtype=object)
        value, code = as_numbers(cells, part.decimal)
        for index in np.flatnonzero(code > EMPTY):
            found = as_date(str(cells[index])) if code[index] == NOT_A_NUMBER else None
            if found is not None:
                dates[index] = np.datetime64(found)
                continue
            rule, message = remedy(int(code[index]), part.decimal, str(cells[index]))
            if is_date_shaped(str(cells[index])):
                rule, message = "not_a_date", why_no_date(str(cells[index]))
            part.tell(
                problems,
                rule,
                message,
                column=column.name,
                row=rows[index],
                subject_id=subjects[index],
                value=cells[index],
            )
        for index in np.flatnonzero(np.abs(value) > furthest):
            found = as_date(str(cells[index]))  # 20210315 is a date
            value[index] = np.nan
            if found is not None:
                dates[index] = np.datetime64(found)
                continue
            meant = serial_date(str(cells[index]))
            serial = f": it may be a spreadsheet's number of {meant}" if meant else ""
            part.tell(
                problems,
                "out_of_range",
                f"{cells[index]} is no {'study day' if days else 'time'} of a trial{serial}. Give "
                f"{'days from the first dose' if days else 'the time from randomisation in study.time_unit'}, "
                "or a date as year-month-day.",
                column=column.name,
                row=rows[index],
                subject_id=subjects[index],
                value=cells[index],
            )
        for index in np.flatnonzero(days & (value == 0)):
            part.tell(
                problems,
                "study_day_zero",
                "There is no study day 0. Write 1 for the day of the first dose and -1 for the day before it.",
                column=column.name,
                row=rows[index],
                subject_id=subjects[index],
                value=cells[index],
            )
        if days:
            value[value == 0] = np.nan
    if column.date_column and column.date_column in frame:
        given = _dates(part, column.date_column, problems, subjects).astype("datetime64[D]")
        take = np.isnan(value) & np.isnat(dates) & ~np.isnat(given)
        dates[take] = given[take]
        source[take] = column.date_column
    known = calendar.randomised
    reported = False
    for index in np.flatnonzero(~np.isnat(dates)):
        subject = subjects[index]
        if subject in known:
            place = calendar.study_day if days else calendar.time
            value[index] = place(subject, dates[index])
            continue
        if subject is None or (not known and reported):
            continue  # an unknown subject is told elsewhere
        reported = True
        whom = f"subject {subject}" if known else "the subjects"
        part.tell(
            problems,
            "date_without_randomisation",
            f"The date {dates[index]} cannot be turned into a {'study day' if days else 'time'}: {whom} has no "
            f"randomisation_date. Give it in the subjects table, or give {'study days' if days else 'times'}.",
            column=str(source[index]),
            row=rows[index],
            subject_id=subject,
            value=dates[index],
        )
    for index in () if days else np.flatnonzero(value < 0):
        dated = not np.isnat(dates[index])
        text = (
            f"{dates[index]} is before randomisation ({known[subjects[index]]}). Correct one of the dates."
            if dated
            else _out_of_range(column, "negative_time", str(cells[index]), True)
        )
        part.tell(
            problems,
            "negative_time",
            text,
            column=str(source[index]),
            row=rows[index],
            subject_id=subjects[index],
            value=dates[index] if dated else cells[index],
        )
        value[index] = np.nan
    if column.filled:
        for index in np.flatnonzero(np.isnan(value)):
            empty = all(
                name not in frame or pd.isna(frame[name].iloc[index])
                for name in (column.name, column.date_column)
            )
            if empty:
                part.tell(
                    problems,
                    "value_missing",
                    f"There is no {part.shown(column.name)}. Give it. {column.description}",
                    column=column.name if column.name in frame else column.date_column,
                    row=rows[index],
                    subject_id=subjects[index],
                )
    return value


def _words(part: Part, column: Column, problems: Problems, subjects: np.ndarray) -> pd.array:
    frame = part.frame
    cells = frame[column.name].to_numpy(dtype=object)
    known = {word.casefold(): word for word in column.words}
    codes, levels = pd.factorize(cells, use_na_sentinel=True)
    found = np.array([known.get(str(level).casefold()) for level in levels] + [None], dtype=object)
    wrong = np.array([word is None for word in found], dtype=bool)
    wrong[-1] = False
    rule = "unknown_specimen" if column.name == "specimen" else "word_not_allowed"
    for index in np.flatnonzero(wrong[codes]):
        cell = str(cells[index])
        part.tell(
            problems,
            rule,
            f"{cells[index]!r} is not one of {', '.join(column.words)}. Write one of them, or recode: "
            f"{recoding(column.name, cell, meaning(column.name, cell, column.words), column.words)}.",
            column=column.name,
            row=frame["_row"].iloc[index],
            subject_id=subjects[index],
            value=cells[index],
        )
    return pd.array(found[codes], dtype="str")


def _report_symbols(part: Part, name: str, problems: Problems, subjects: np.ndarray) -> None:
    cells = part.frame[name].to_numpy(dtype=object)
    codes, levels = pd.factorize(cells, use_na_sentinel=True)
    suspect = np.array([looks_like_date(level) for level in levels] + [False])
    for index in np.flatnonzero(suspect[codes]):
        part.tell(
            problems,
            "value_turned_into_date",
            f"{cells[index]!r} is a date where a {name} belongs: a spreadsheet turned a symbol such as "
            "MARCHF1 or SEPTIN9 into it. Write the symbol again, in a cell formatted as text.",
            column=name,
            row=part.frame["_row"].iloc[index],
            subject_id=subjects[index],
            value=cells[index],
        )


def loosely_typed(
    frame: pd.DataFrame,
    columns: list[str],
    parts: Mapping[str, Part],
    problems: Problems,
    *,
    table: str,
) -> None:
    """Type the columns that no contract names, in place: float where every value is a number, else ``str``.

    A column of numbers with a few words is kept as words, with a warning; a number that is only
    misspelt (thousands separators, another decimal sign, infinite) is an error.

    Parameters
    ----------
    frame : pd.DataFrame
        With ``_file`` and ``_row``.
    parts : mapping
        File -> one of its parts, for decimal signs and names.
    """
    files = frame["_file"].to_numpy(dtype=object)
    for name in columns:
        cells = frame[name].to_numpy(dtype=object)
        value = np.full(len(frame), np.nan)
        code = np.full(len(frame), EMPTY, dtype=np.int8)
        for file in dict.fromkeys(files):
            here = files == file
            decimal = parts[file].decimal if file in parts else "."
            value[here], code[here] = as_numbers(cells[here], decimal)
        numbers, filled = int((code == NUMBER).sum()), int((code != EMPTY).sum())
        if not filled:
            frame[name] = pd.array(cells, dtype="str")
            continue
        padded = any(
            isinstance(cell, str) and len(cell) > 1 and cell[0] == "0" and cell.isdigit()
            for cell in cells
        )
        if numbers == filled and not padded:
            frame[name] = value
            continue
        misspelt = np.isin(code, (THOUSANDS, DECIMAL_SIGN, INFINITE))
        judged = table in JUDGED and not padded and numbers
        if judged and (numbers + misspelt.sum()) >= MOSTLY * filled:
            for index in np.flatnonzero(misspelt):
                part = parts[files[index]]
                rule, message = remedy(int(code[index]), part.decimal, str(cells[index]))
                part.tell(
                    problems,
                    rule,
                    message,
                    column=name,
                    row=frame["_row"].iloc[index],
                    subject_id=frame["subject_id"].iloc[index] if "subject_id" in frame else "",
                    value=cells[index],
                )
            words = np.flatnonzero(code == NOT_A_NUMBER)
            if len(words) and filled >= 5:
                part = parts[files[words[0]]]
                shown = ", ".join(dict.fromkeys(repr(str(cells[i])) for i in words[:20]))
                part.tell(
                    problems,
                    "numbers_and_words",
                    f"{numbers} of {filled} values are numbers, {len(words)} are words ({shown}): the column "
                    'is kept as words. If they mean "missing", name them in the table\'s `na`.',
                    column=name,
                    row=frame["_row"].iloc[words[0]],
                    value=cells[words[0]],
                )
        dated = [index for index in range(len(cells)) if looks_like_date(cells[index], typed=False)]
        if dated and len(dated) < filled:
            for index in dated:
                parts[files[index]].tell(
                    problems,
                    "value_turned_into_date",
                    f"{cells[index]!r} looks like a score or symbol that a spreadsheet turned into a date "
                    "(1-5 becomes 5-Jan). Write it again, in a cell formatted as text.",
                    column=name,
                    row=frame["_row"].iloc[index],
                    subject_id=frame["subject_id"].iloc[index] if "subject_id" in frame else "",
                    value=cells[index],
                )
        frame[name] = pd.array(cells, dtype="str")
