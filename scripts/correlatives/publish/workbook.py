"""The tables of results as one workbook, a sheet a table, as journals take supplements."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

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

#: Width of a column in characters, at least and at most; rows that are looked at for it.
NARROW, WIDE, LOOKED_AT = 8, 40, 200


def write(
    path: str | Path, tables: Mapping[str, tuple[str, pd.DataFrame]], *, title: str, simulated: bool
) -> None:
    """Write tables into a workbook: a page of contents, then a sheet a table.

    Numbers are the table's own; how they look is the sheet's. Text is never taken for a formula or an address. The same
    tables give the same bytes.

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
            "whole": book.add_format({"num_format": "#,##0"}),
            "number": book.add_format({"num_format": "0.00"}),
            "p": book.add_format({"num_format": '[<0.001]"<0.001";0.000'}),
            "link": book.add_format({"font_color": "#0072B2", "underline": 1}),
        }
        stamp = "Simulated data. " if simulated else ""
        contents = book.add_worksheet("Contents")
        contents.set_column(0, 0, 6)
        contents.set_column(1, 1, 60)
        contents.set_column(2, 2, 44)
        contents.write_string(0, 0, title, look["title"])
        contents.write_string(1, 0, f"{stamp}{len(tables)} tables", look["note"])
        for number, (file, (words, table)) in enumerate(tables.items(), 1):
            name = f"{number} {words}".translate(FORBIDDEN)[:LONGEST_NAME].strip()
            contents.write_string(ABOVE + number, 0, str(number))
            contents.write_url(
                ABOVE + number,
                1,
                f"internal:'{name.replace(chr(39), chr(39) * 2)}'!A1",
                look["link"],
                words,
            )
            contents.write_string(ABOVE + number, 2, file, look["note"])
            sheet = book.add_worksheet(name)
            sheet.write_string(0, 0, f"Table {number}. {words}", look["title"])
            shown = table.head(MOST_ROWS)
            rows = (
                f"{len(table):,} rows"
                if len(shown) == len(table)
                else f"the first {len(shown):,} of {len(table):,} rows"
            )
            sheet.write_string(1, 0, f"{stamp}{rows}; all, unrounded, in {file}", look["note"])
            for column, heading in enumerate(shown.columns):
                cells = shown[heading]
                kind = _kind(str(heading), cells)
                _write_column(sheet, column, str(heading), cells, look["head"], look[kind], kind)
            sheet.freeze_panes(ABOVE + 1, 1)
            if len(shown):
                sheet.autofilter(ABOVE, 0, ABOVE + len(shown), len(shown.columns) - 1)


def _kind(heading: str, cells: pd.Series) -> str:
    """Return what a column holds: text, whole, p or number."""
    if not pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype):
        return "text"
    if heading.startswith("p_") or heading == "q_value":
        return "p"
    return "whole" if (cells.dropna() % 1 == 0).all() and cells.notna().any() else "number"


def _write_column(
    sheet: Worksheet,
    column: int,
    heading: str,
    cells: pd.Series,
    head: Format,
    look: Format,
    kind: str,
) -> None:
    """Write one column; what is missing stays empty, what is infinite is written in words."""
    sheet.write_string(ABOVE, column, heading, head)
    widest = max((len(part) for part in heading.replace("_", " ").split()), default=0)
    for row, cell in enumerate(cells, ABOVE + 1):
        if cell is None or cell is pd.NA or cell != cell:
            continue
        if kind == "text" or math.isinf(cell):
            text = str(cell)
            sheet.write_string(row, column, text, look)
            if row < LOOKED_AT:
                widest = max(widest, len(text))
        else:
            sheet.write_number(row, column, float(cell), look)
    sheet.set_column(column, column, min(max(widest + 2, NARROW), WIDE))
