"""A new study: a configuration that is valid as it is, tables with the contract's columns."""

from __future__ import annotations

import csv
import re

import openpyxl
import pytest
import yaml

import new_study
from correlatives.tables import config
from correlatives.tables.contracts import CONTRACTS


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return new_study.write_study("mine", tmp_path_factory.mktemp("there") / "studies")


def test_the_configuration_is_valid_as_it_is(study):
    filled = config.load(study / "config.yaml")
    assert filled["study"]["id"] == "mine"
    assert filled["results_dir"] == "results/mine"
    assert [name for name, tables in filled["tables"].items() if tables] == list(
        new_study.FIRST_TABLES
    )
    files = config.raw_files(filled, config.data_folder(filled, study / "config.yaml"))
    assert all(path.exists() for paths in files.values() for path in paths)


ROWS = {
    "subjects": [
        {"subject_id": f"00{n}", "arm": ("control", "experimental")[n % 2]} for n in range(10, 20)
    ],
    "outcomes": [
        {"subject_id": f"00{n}", "endpoint": endpoint, "time": n, "event": n % 2}
        for n in range(10, 20)
        for endpoint in ("PFS", "OS")
    ],
    "responses": [{"subject_id": f"00{n}", "best_overall_response": "PR"} for n in range(10, 15)]
    + [{"subject_id": f"00{n}", "best_overall_response": "PD"} for n in range(15, 20)],
    "samples": [
        {
            "sample_id": f"S{n}",
            "subject_id": f"00{n}",
            "specimen": "plasma",
            "timepoint": "baseline",
            "assay": "ELISA",
        }
        for n in range(10, 20)
    ],
    "measurements": [
        {"sample_id": f"S{n}", "biomarker": "TK1", "value": n * 1.5} for n in range(10, 20)
    ],
    "biomarkers": [{"biomarker": "TK1", "specimen": "plasma"}],
}


def fill_csv(study, tables=tuple(ROWS)):
    for table in tables:
        rows = ROWS[table]
        path = study / "data" / f"{table}.csv"
        header = path.read_text(encoding="utf-8").strip().split(",")
        with path.open("a", encoding="utf-8", newline="") as handle:
            csv.DictWriter(handle, header).writerows(rows)


def fill_workbook(study):
    book = openpyxl.load_workbook(study / "data" / "tables.xlsx")
    for table, rows in ROWS.items():
        header = [cell.value for cell in book[table][1]]
        for line, row in enumerate(rows, start=2):
            for column, value in row.items():
                book[table].cell(line, header.index(column) + 1, value)
    book.save(study / "data" / "tables.xlsx")
    text = (study / "config.yaml").read_text(encoding="utf-8")
    for table in ROWS:
        text = text.replace(f"data/{table}.csv}}", f"data/tables.xlsx, sheet: {table}}}")
    (study / "config.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("fill", [fill_csv, fill_workbook])
def test_filled_tables_are_read_without_a_complaint(fill, tmp_path):
    from correlatives.tables.load import load_study

    folder = new_study.write_study("mine", tmp_path)
    fill(folder)
    filled = config.load(folder / "config.yaml")
    read = load_study(filled, config.data_folder(filled, folder / "config.yaml"))
    assert read.problems.frame()["message"].tolist() == []
    assert read.subjects["subject_id"].tolist() == [f"00{n}" for n in range(10, 20)]
    assert len(read.measurements) == 10


def test_only_tables_that_every_such_study_fills_are_switched_on(tmp_path):
    """An optional table that is still empty is no error of a study that is otherwise filled in."""
    from correlatives.assembly import build_cohort
    from correlatives.tables.load import load_study

    folder = new_study.write_study("mine", tmp_path)
    filled = config.load(folder / "config.yaml")
    first = {name for name, tables in filled["tables"].items() if tables}
    assert first == {"subjects", "outcomes", "samples", "measurements"}
    fill_csv(folder, first)
    read = load_study(filled, config.data_folder(filled, folder / "config.yaml"))
    build_cohort(read)
    assert read.problems.frame()["message"].tolist() == []


def test_the_response_endpoint_is_switched_on_with_its_table(tmp_path):
    from correlatives.assembly import build_cohort
    from correlatives.tables.load import load_study

    folder = new_study.write_study("mine", tmp_path)
    fill_csv(folder)
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    text = re.sub(r"^  #(?=(responses|biomarkers|ORR):)", "  ", text, flags=re.MULTILINE)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    filled = config.load(folder / "config.yaml")
    assert list(filled["endpoints"]) == ["PFS", "OS", "ORR"]
    read = load_study(filled, config.data_folder(filled, folder / "config.yaml"))
    build_cohort(read)
    assert read.problems.frame()["message"].tolist() == []
    assert len(read.responses) == 10


def test_what_is_commented_out_is_the_default(study):
    """Removing every # before a key must change nothing but add the other tables."""
    text = (study / "config.yaml").read_text(encoding="utf-8")
    switched_on = re.sub(r"^( *)#(?=[a-z_]+:)", r"\1", text, flags=re.MULTILINE)
    assert switched_on != text
    (study / "all.yaml").write_text(switched_on, encoding="utf-8")
    filled, everything = config.load(study / "config.yaml"), config.load(study / "all.yaml")
    assert [name for name, tables in everything["tables"].items() if tables] == list(CONTRACTS)
    assert {**everything, "tables": None} == {**filled, "tables": None}


def test_every_key_is_in_the_configuration(study):
    text = (study / "config.yaml").read_text(encoding="utf-8")
    schema = yaml.safe_load(config.SCHEMA.read_text(encoding="utf-8"))
    for key, inner in schema["properties"].items():
        assert re.search(rf"^#?{key}:", text, flags=re.MULTILINE)
        for below in inner.get("properties", {}) if key != "score" else ():
            assert re.search(rf"^ *#?{below}:", text, flags=re.MULTILINE), (key, below)
    assert max(map(len, text.splitlines())) <= 300


def test_a_name_that_yaml_would_change_stays_text(tmp_path):
    folder = new_study.write_study("0012", tmp_path)
    assert config.load(folder / "config.yaml")["study"]["id"] == "0012"


def test_tables_have_the_columns_of_the_contract(study):
    for name, contract in CONTRACTS.items():
        with (study / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.reader(handle))
        assert rows == [list(contract.columns)]


def test_the_workbook_offers_the_words(study):
    book = openpyxl.load_workbook(study / "data" / "tables.xlsx")
    assert book.sheetnames == ["columns", *CONTRACTS]
    for name, contract in CONTRACTS.items():
        sheet = book[name]
        header = [cell.value for cell in sheet[1]]
        assert header == list(contract.columns)
        offered = {}
        for rule in sheet.data_validations.dataValidation:
            if rule.type == "list":
                column = next(iter(rule.sqref.ranges)).min_col - 1
                offered[header[column]] = rule.formula1.strip('"').split(",")
        expected = {c.name: list(c.words) for c in contract.columns.values() if c.words}
        assert offered == expected
    assert "specimen" in [cell.value for cell in book["samples"][1]]
    described = {(row[0].value, row[1].value) for row in book["columns"].iter_rows(min_row=2)}
    assert described == {(t, c) for t, contract in CONTRACTS.items() for c in contract.columns}


def test_identifiers_are_text_in_the_workbook(study):
    """A spreadsheet must not turn 0012 into 12."""
    import zipfile

    with zipfile.ZipFile(study / "data" / "tables.xlsx") as archive:
        styles = archive.read("xl/styles.xml").decode()
        sheet = archive.read("xl/worksheets/sheet2.xml").decode()
    formats = re.findall(r'<xf numFmtId="(\d+)"', styles.split("<cellXfs")[1])
    style = int(re.search(r'<col min="1" max="\d+" [^>]*style="(\d+)"', sheet)[1])
    assert formats[style] == "49"  # the number of Excel's text format


def test_two_studies_of_one_name_are_the_same_to_the_byte(tmp_path):
    first = new_study.write_study("a", tmp_path / "x")
    second = new_study.write_study("a", tmp_path / "y")
    for path in sorted(first.rglob("*")):
        if path.is_file() and path.name != "README.md":
            assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path


def test_the_readme_says_how_to_run_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_study.main(["trial_7"]) == 0
    text = (tmp_path / "studies" / "trial_7" / "README.md").read_text(encoding="utf-8")
    assert "snakemake --configfile studies/trial_7/config.yaml" in text
    assert "make check STUDY=studies/trial_7/config.yaml" in text
    assert "make run STUDY=studies/trial_7/config.yaml" in text
    assert "source .venv/bin/activate" in text
    for name in CONTRACTS:
        assert f"| {name} |" in text


def test_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    assert new_study.main(["mine", "--folder", str(tmp_path)]) == 1
    assert "is there already. Nothing was written." in capsys.readouterr().err
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize("name", ["a b", "../x", "", "é"])
def test_a_name_that_is_no_file_name(name, tmp_path, capsys):
    assert new_study.main([name, "--folder", str(tmp_path)]) == 1
    assert "has other signs than letters, digits, _ and -" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
