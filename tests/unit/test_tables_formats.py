"""Every file format, and every guess, gives the same text."""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyreadstat
import pytest

from correlatives.tables.cells import (
    as_date,
    as_numbers,
    as_results,
    looks_like_date,
    why_no_date,
)
from correlatives.tables.readers import read_sheet

ROWS = [
    ["subject_id", "arm", "age", "seen", "note"],
    ["0012", "A", "12", "2021-03-05", "Müller, å"],
    ["0013", "B", "0.1", "2021-03-06", ""],
    ["0014", "A", "", "2021-03-07", 'five "5"'],
]


def told(problems: list) -> object:
    def tell(rule: str, message: str, **place: object) -> None:
        problems.append((rule, place.get("row"), place.get("column", ""), message))

    return tell


def texts(path: Path, **entry: object) -> tuple[list[list[str]], object]:
    problems: list = []
    sheet = read_sheet(path, entry, told(problems))
    assert not problems, problems
    columns = [["" if c is None else c for c in sheet.texts(i)] for i in range(len(sheet.header))]
    return [sheet.header, *(list(row) for row in zip(*columns, strict=True))], sheet


def quoted(cell: str, delimiter: str) -> str:
    if delimiter in cell or '"' in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def as_text(delimiter: str) -> str:
    return "".join(delimiter.join(quoted(cell, delimiter) for cell in row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [
        ("a.csv", ",", "utf-8"),
        ("a.csv", ";", "utf-8-sig"),
        ("a.tsv", "\t", "utf-16"),
        ("a.txt", "|", "cp1252"),
        ("a.txt", "\t", "utf-8"),
        ("a.csv", ",", "utf-16-le"),
        ("a.csv.gz", ",", "utf-8"),
    ],
)
def test_text_formats_are_guessed(name: str, delimiter: str, encoding: str, tmp_path: Path) -> None:
    raw = as_text(delimiter).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    rows, sheet = texts(tmp_path / name)
    assert rows == ROWS
    assert sheet.rows.tolist() == [2, 3, 4]
    assert bool(sheet.guesses) == (
        ((delimiter, encoding) != (",", "utf-8") and name != "a.tsv")
        or encoding in ("utf-16", "utf-16-le")
    )


def test_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(as_text(",").replace("\n", "\r\n").encode())
    rows, sheet = texts(tmp_path / "a.csv")
    assert rows == ROWS
    assert sheet.rows.tolist() == [2, 3, 4]


def test_what_is_stated_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("title\n\nid;v\n1;1,5\n".encode("cp1252"))
    rows, sheet = texts(
        tmp_path / "a.csv", delimiter=";", decimal=",", encoding="cp1252", header_row=3
    )
    assert rows == [["id", "v"], ["1", "1,5"]]
    assert (sheet.decimal, sheet.header_row, sheet.guesses) == (",", 3, [])
    assert sheet.rows.tolist() == [4]


def test_lines_are_those_that_a_person_sees(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('#comment\n#more\n\nid,note\n1,"two\nlines"\n\n2,x\n')
    rows, sheet = texts(tmp_path / "a.csv")
    assert rows[1:] == [["1", "two\nlines"], ["2", "x"]]
    assert sheet.header_row == 4
    assert sheet.rows.tolist() == [5, 8]
    assert sheet.guesses == ["header_row: 4"]


def test_decimal_commas_are_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;v;w\n1;1,5;2\n2;2,25;3\n")
    _, sheet = texts(tmp_path / "a.csv")
    assert sheet.decimal == ","
    (tmp_path / "b.csv").write_text("id;v\n1;1,500\n2;2.5\n")
    _, sheet = texts(tmp_path / "b.csv")
    assert sheet.decimal == "."


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["not this one"])
    sheet = book.create_sheet("Data")
    sheet.append(["Listing 1"])
    sheet.append([])
    sheet.append(["subject_id", "age", "seen", "when", "flag", "code"])
    sheet.append(
        ["0012", 12.0, datetime.datetime(2021, 3, 5), datetime.datetime(2021, 3, 5, 8, 30), True, 7]
    )
    sheet.append(["0013", 0.1, datetime.date(2021, 3, 6), None, False, 12])
    for row in (4, 5):
        sheet.cell(row, 6).number_format = "0000"
    book.save(path)


def test_workbook_cells_become_faithful_text(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx")
    rows, sheet = texts(tmp_path / "a.xlsx", sheet="Data")
    assert rows == [
        ["subject_id", "age", "seen", "when", "flag", "code"],
        ["0012", "12", "2021-03-05", "2021-03-05 08:30:00", "TRUE", "0007"],
        ["0013", "0.1", "2021-03-06", "", "FALSE", "0012"],
    ]
    assert sheet.rows.tolist() == [4, 5]
    assert sheet.header_row == 3


def test_the_first_sheet_is_a_guess(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "v"])
    book.active.append(["1", 2])
    book.create_sheet("Other")
    book.save(tmp_path / "a.xlsx")
    _, sheet = texts(tmp_path / "a.xlsx")
    assert sheet.guesses == ["sheet: Sheet (of Sheet, Other)"]


def test_parquet_keeps_numbers_and_text(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "subject_id": ["0012", None],
            "age": [12.0, 0.1],
            "n": [1, 2],
            "arm": pd.Categorical(["A", "B"]),
            "seen": pd.to_datetime(["2021-03-05", None]),
            "flag": [True, False],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    rows, sheet = texts(tmp_path / "a.parquet")
    assert rows[1:] == [
        ["0012", "12", "1", "A", "2021-03-05", "TRUE"],
        ["", "0.1", "2", "B", "", "FALSE"],
    ]
    assert sheet.columns[1].dtype == np.float64
    assert sheet.rows.tolist() == [2, 3]


def test_sas_transport(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"ID": ["0012", "0013"], "AGE": [12.0, np.nan], "DT": [datetime.date(2021, 3, 5), None]}
    )
    pyreadstat.write_xport(frame, str(tmp_path / "a.xpt"))
    rows, sheet = texts(tmp_path / "a.xpt")
    assert rows == [["ID", "AGE", "DT"], ["0012", "12", "2021-03-05"], ["0013", "", ""]]
    assert sheet.rows.tolist() == [2, 3]


def test_numbers_are_read_strictly() -> None:
    cells = np.array(["1", " 2.5 ", "1e3", "1,000", "1,5", "inf", "x", None, "1_0", "nan"], object)
    value, code = as_numbers(cells)
    assert code.tolist() == [0, 0, 0, 3, 4, 5, 2, 1, 2, 2]
    assert value[:3].tolist() == [1, 2.5, 1000]
    assert np.isnan(value[3:]).all()
    value, code = as_numbers(np.array(["1,5", "1.5", "1.500", "7", "1.234,5"], object), ",")
    assert code.tolist() == [0, 4, 3, 0, 3]
    assert value[0] == 1.5


def test_qualifiers() -> None:
    cells = np.array(["<20", "> 1000", "≤5", "≥5", "<=0.5", "<LOD", "12", "<1,000"], object)
    value, code, qualifier = as_results(cells)
    assert qualifier.tolist() == [-1, 1, -1, 1, -1, 0, 0, -1]
    assert value[:5].tolist() == [20, 1000, 5, 5, 0.5]
    assert code.tolist() == [0, 0, 0, 0, 0, 2, 0, 3]


@pytest.mark.parametrize(
    "text", ["2021-03-05", "05MAR2021", "5-Mar-2021", "05.03.2021", "20210305", "2021-03-05T08:30"]
)
def test_dates_that_are_one_date(text: str) -> None:
    assert as_date(text) == datetime.date(2021, 3, 5)


@pytest.mark.parametrize("text", ["03/05/2021", "2021-13-01", "31.02.2021", "March", "2021"])
def test_dates_that_are_none(text: str) -> None:
    assert as_date(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("03/05/2021", ["two dates", "2021-05-03", "2021-03-05"]),
        ("5-5-2021", ["can only be 2021-05-05"]),
        ("15/04/2021", ["can only be 2021-04-15"]),
        ("04/15/2021", ["can only be 2021-04-15"]),
        ("31/02/2021", ["no such day"]),
        ("15/15/2021", ["no such day"]),
        ("2021-13-01", ["no such day"]),
        ("31.02.2021", ["no such day"]),
        ("2021/04/15", ["2021-04-15"]),
        ("15.04.21", ["year of two digits"]),
        ("15-Apr-21", ["year of two digits"]),
        ("44290", ["spreadsheet's number", "2021-04-04", "format"]),
        ("44290.0", ["spreadsheet's number", "2021-04-04"]),
        ("2021", ["is no date"]),
        ("March", ["is no date"]),
    ],
)
def test_what_is_wrong_with_a_date_is_said(text: str, words: list[str]) -> None:
    assert as_date(text) is None
    said = why_no_date(text)
    assert all(word in said for word in [repr(text), "year-month-day", *words]), said
    assert ("two dates" in said) == ("two dates" in words)


def test_what_a_spreadsheet_makes_of_symbols() -> None:
    assert all(
        looks_like_date(t) for t in ("1-Mar", "9-Sep", "Sep-9", "5-Jan", "2023-09-01", "1-Dec-24")
    )
    assert not any(
        looks_like_date(t) for t in ("MARCHF1", "SEPTIN9", "1-5", "DEC1", "1+", "12", None)
    )


def test_a_workbooks_numbers_typed_as_text_follow_the_stated_sign(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("id", "v"), ("1", "1,5"), ("2", 2.5), ("3", "<0,5")):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    rows, sheet = texts(tmp_path / "a.xlsx", decimal=",")
    assert [row[1] for row in rows[1:]] == ["1.5", "2.5", "<0.5"]
    assert sheet.decimal == "."
