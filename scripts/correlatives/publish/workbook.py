"""The tables of results as one workbook, a sheet a table, as journals take supplements."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

#: Rows of a sheet at most: a workbook of more is a file that nobody opens.
MOST_ROWS = 20_000

#: Letters of a sheet's name at most, and those that it cannot have.
LONGEST_NAME, FORBIDDEN = 31, str.maketrans("[]:*?/\\", "       ")

#: Rows above the header: the title, and what is shown.
ABOVE = 3

#: How a number of a column that is not whole looks: of the first limit above its magnitude. Digits are never so few
#: that a small number looks like none.
BY_SIZE = {0.001: "0.00E+00", 0.01: "0.00000", 0.1: "0.000", 1e6: "0.00", math.inf: "0.00E+00"}
WHOLE, P_VALUE = "#,##0", '[<0.001]"<0.001";0.000'

#: What the contents say of a table without rows, which has no sheet.
NO_ROWS = "no rows in this study"

#: Width of a column in characters, at least and at most; rows that are looked at for it.
NARROW, WIDE, LOOKED_AT = 8, 40, 200


def write(
    path: str | Path, tables: Mapping[str, tuple[str, pd.DataFrame]], *, title: str, simulated: bool
) -> None:
    """Write tables into a workbook: a page of contents, then a sheet a table that has rows.

    Numbers are the table's own; how they look is the sheet's. Text is never taken for a formula or an address. The same
    tables give the same bytes. A table without rows is named in the contents alone.

    Parameters
    ----------
    path : str or Path
    tables : mapping from str to (str, pd.DataFrame)
        File (``efficacy/survival_by_arm.tsv``) -> its title and content, in the order wanted.
    title : str
        Of the study.
    simulated : bool
        Whether every page says so.
    """
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": title, "created": datetime.datetime(2000, 1, 1)})
        look = {
            "title": book.add_format({"bold": True, "font_size": 12}),
            "note": book.add_format({"italic": True, "font_color": "#555555"}),
            "head": book.add_format(
                {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}
            ),
            "text": book.add_format({"valign": "top"}),
            **{
                form: book.add_format({"num_format": form})
                for form in (WHOLE, P_VALUE, *dict.fromkeys(BY_SIZE.values()))
            },
            "link": book.add_format({"font_color": "#0072B2", "underline": 1}),
        }
        stamp = "Simulated data. " if simulated else ""
        contents = book.add_worksheet("Contents")
        contents.set_column(0, 0, 6)
        contents.set_column(1, 1, 60)
        contents.set_column(2, 2, 44)
        contents.set_column(3, 3, 22)
        filled = sum(len(table) > 0 for _, table in tables.values())
        without = f"; {len(tables) - filled} more without rows" if filled < len(tables) else ""
        contents.write_string(0, 0, title, look["title"])
        contents.write_string(1, 0, f"{stamp}{filled} tables{without}", look["note"])
        number = 0
        for line, (file, (words, table)) in enumerate(tables.items(), ABOVE + 1):
            contents.write_string(line, 2, file, look["note"])
            if not len(table):
                contents.write_string(line, 1, words)
                contents.write_string(line, 3, NO_ROWS, look["note"])
                continue
            number += 1
            name = sheet_name(f"{number} {words}")
            contents.write_string(line, 0, str(number))
            contents.write_url(
                line, 1, f"internal:'{name.replace(chr(39), chr(39) * 2)}'!A1", look["link"], words
            )
            contents.write_string(line, 3, _rows(len(table)), look["note"])
            sheet = book.add_worksheet(name)
            sheet.write_string(0, 0, f"Table {number}. {words}", look["title"])
            shown = table.head(MOST_ROWS)
            rows = (
                _rows(len(table))
                if len(shown) == len(table)
                else f"the first {len(shown):,} of {len(table):,} rows"
            )
            sheet.write_string(1, 0, f"{stamp}{rows}; all, unrounded, in {file}", look["note"])
            for column, heading in enumerate(shown.columns):
                cells = shown[heading]
                _write_column(sheet, column, str(heading), cells, look)
            sheet.freeze_panes(ABOVE + 1, 1)
            sheet.autofilter(ABOVE, 0, ABOVE + len(shown), len(shown.columns) - 1)


def sheet_name(words: str) -> str:
    """Return words as a sheet may be named: too long, whole words of them and …."""
    name = " ".join(words.translate(FORBIDDEN).split())
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME]
        # A single long word is cut where it must be.
        whole = name.rpartition(" ")[0] if name.count(" ") > 1 else name[:-1]
        name = whole.rstrip(" ,;:–-") + "…"
    return name.rstrip("'")


def number_formats(heading: str, cells: pd.Series) -> list[str]:
    """Return how each number of a column looks, as spreadsheets write it.

    Parameters
    ----------
    heading : str
        A p-value's begins with ``p_`` or is ``q_value``.
    cells : pd.Series, shape (n,)
        Numbers; what is missing or infinite has any format.

    Returns
    -------
    list of str, length n
        P-values have three decimals, whole numbers none, and others as many as their size asks for.
    """
    if heading.startswith("p_") or heading == "q_value":
        return [P_VALUE] * len(cells)
    values = cells.to_numpy(dtype=float, na_value=np.nan)
    known = values[np.isfinite(values)]
    if len(known) and (known % 1 == 0).all():
        return [WHOLE] * len(cells)
    size = np.abs(values)
    forms = np.array(list(BY_SIZE.values()), dtype=object)
    by_size = forms[np.minimum(np.searchsorted(list(BY_SIZE), size, side="right"), len(forms) - 1)]
    # Counts and ratios share columns; a count has no decimals.
    whole = (np.floor(size) == size) & (size < 1e6)
    return np.where(whole, WHOLE, by_size).tolist()


def _rows(count: int) -> str:
    """Return a number of rows in words."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _write_column(
    sheet: Worksheet, column: int, heading: str, cells: pd.Series, look: Mapping[str, Format]
) -> None:
    """Write one column; what is missing stays empty, what is infinite is written in words."""
    sheet.write_string(ABOVE, column, heading, look["head"])
    widest = max((len(part) for part in heading.replace("_", " ").split()), default=0)
    kind = cells.dtype
    number = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
    forms = number_formats(heading, cells) if number else ["text"] * len(cells)
    for row, (cell, form) in enumerate(zip(cells, forms, strict=True), ABOVE + 1):
        if cell is None or cell is pd.NA or cell != cell:
            continue
        if not number or math.isinf(cell):
            text = str(cell)
            sheet.write_string(row, column, text, look[form])
            if row < LOOKED_AT:
                widest = max(widest, len(text))
        else:
            sheet.write_number(row, column, float(cell), look[form])
    sheet.set_column(column, column, min(max(widest + 2, NARROW), WIDE))
