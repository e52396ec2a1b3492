"""Columns, words, filters, merges, aliases, corrections, dates, presets, units of time."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest
from sound_study import SUBJECTS, Sound

from correlatives.tables.config import check
from correlatives.tables.contracts import CONTRACTS, SCHEMAS, TABLES
from correlatives.tables.load import load_study
from correlatives.tables.problems import RULES, Problems

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(tmp_path)


def clean(study):
    assert study.problems.found == [], study.problems.summary()
    return study


def flow(study) -> list[tuple]:
    return list(study.flow.frame().itertuples(index=False, name=None))


def test_every_table_has_a_schema_that_is_its_contract() -> None:
    import jsonschema
    import yaml

    for table in TABLES:
        schema = yaml.safe_load((SCHEMAS / f"{table}.schema.yaml").read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        assert list(schema["properties"]) == list(CONTRACTS[table].columns)
        assert set(CONTRACTS[table].key) <= set(CONTRACTS[table].columns)
        assert all(column.description for column in CONTRACTS[table].columns.values())


def test_frames_have_the_contracts_columns_and_types(sound: Sound) -> None:
    study = clean(sound.load())
    for table in (
        "samples",
        "runs",
        "alterations",
        "coverage",
        "biomarkers",
        "doses",
        "assessments",
    ):
        frame = getattr(study, table)
        assert set(CONTRACTS[table].columns) <= set(frame.columns)
        for name, column in CONTRACTS[table].columns.items():
            kind = frame[name].dtype
            if column.type in ("number", "integer", "day"):
                assert kind == np.float64, (table, name)
            else:
                assert str(kind) == "str", (table, name)
    assert list(study.subjects["subject_id"]) == SUBJECTS
    assert study.subjects["age"].dtype == np.float64
    assert str(study.subjects["randomisation_date"].dtype).startswith("datetime64")
    assert study.given >= {"coverage", "runs"}


def test_columns_and_words_are_mapped(sound: Sound) -> None:
    sound.replace("subjects.csv", "subject_id,arm,age", "PtID,TRT01P,AGE")
    text = (sound.folder / "subjects.csv").read_text()
    sound.write("subjects.csv", text.replace("T-DM1", "1").replace("combination", "2"))
    sound.entry("subjects").update(
        columns={"subject_id": "PtID", "arm": "TRT01P", "age": "AGE"},
        values={"arm": {"1": "T-DM1", "2": "combination"}},
    )
    study = clean(sound.load())
    assert set(study.subjects["arm"]) == {"T-DM1", "combination"}
    assert study.subjects["age"].tolist()[:2] == [50, 51]
    assert "TRT01P" not in study.subjects


def test_problems_are_told_by_the_files_own_names(sound: Sound) -> None:
    sound.replace("outcomes.csv", "time", "AVAL")
    sound.replace("outcomes.csv", "0003,PFS,5,", "0003,PFS,-5,")
    sound.replace("corrections.csv", ",time,", ",AVAL,")
    sound.entry("outcomes")["columns"] = {"time": "AVAL"}
    problem = sound.load().problems.found[0]
    assert (problem.column, problem.row, problem.value) == ("AVAL", 6, "-5")
    assert problem.subject_id == "0003"


def test_spellings_of_missing(sound: Sound) -> None:
    sound.replace("subjects.csv", "combination,52,2,", "combination,-99,ND,")
    sound.entry("subjects")["na"] = ["-99", "ND"]
    study = clean(sound.load())
    assert study.subjects[["age", "ecog"]].isna().sum().tolist() == [1, 1]


def test_filters_set_subjects_aside_and_count_them(sound: Sound) -> None:
    sound.entry("subjects")["where"] = "age >= 53 and arm != 'nobody'"
    study = clean(sound.load())
    assert list(study.subjects["subject_id"]) == SUBJECTS[3:]
    assert set(study.outcomes["subject_id"]) == set(SUBJECTS[3:])
    assert len(study.samples) == 27
    assert set(study.measurements["sample_id"]) <= set(study.samples["sample_id"])
    rows = flow(study)
    assert ("in the files", "subject", "combination", "", 6) in rows
    assert (
        "filter of the subjects table",
        "subject",
        "combination",
        "filter of the table",
        2,
    ) in rows
    assert ("filter of the subjects table", "subject", "combination", "", 4) in rows
    assert ("filters of the tables", "sample", "T-DM1", "subject set aside", 3) in rows
    assert any("set aside by where" in note for note in study.notes)
    assert study.matrices[0].whole().value.shape == (3, 9)


def test_wrong_cells_of_subjects_set_aside_are_no_errors(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0001,PFS,3,1", "0001,PFS,-3,7")
    sound.entry("subjects")["where"] = "age > 50"
    clean(sound.load())


def test_censoring_indicators(sound: Sound) -> None:
    before = clean(sound.load()).outcomes["event"].to_numpy()
    text = (sound.folder / "outcomes.csv").read_text().splitlines()
    flipped = [text[0]]
    for line in text[1:]:
        fields = line.split(",")
        fields[3] = {"0": "1", "1": "0"}[fields[3]]
        flipped.append(",".join(fields))
    sound.write("outcomes.csv", "\n".join(flipped) + "\n")
    sound.entry("outcomes")["event_coding"] = "censor"
    assert (clean(sound.load()).outcomes["event"].to_numpy() == before).all()


@pytest.mark.parametrize(
    ("unit", "months"),
    [("days", 3 / 30.4375), ("weeks", 21 / 30.4375), ("months", 3), ("years", 36)],
)
def test_units_of_time(sound: Sound, unit: str, months: float) -> None:
    sound.config["study"]["time_unit"] = unit
    study = sound.load()
    assert study.outcomes["time_months"].iloc[0] == pytest.approx(months)


def test_wide_outcomes(sound: Sound) -> None:
    lines = ["pid,PFS,PFS.CNSR,OS,OS.CNSR"]
    lines += [f"{s},{3 + i},0,{9 + i},{1 - i % 2}" for i, s in enumerate(SUBJECTS)]
    lines[2] = "0002,4,0,,"
    sound.write("wide.csv", "\n".join(lines) + "\n")
    del sound.config["tables"]["corrections"]
    sound.config["tables"]["outcomes"] = {
        "path": "wide.csv",
        "columns": {"subject_id": "pid"},
        "event_coding": "censor",
        "layout": "wide",
        "endpoints": {
            "PFS": {"time": "PFS", "event": "PFS.CNSR"},
            "OS": {"time": "OS", "event": "OS.CNSR"},
        },
    }
    study = clean(sound.load())
    assert study.outcomes["endpoint"].value_counts().to_dict() == {"PFS": 12, "OS": 11}
    assert study.outcomes.query("endpoint == 'OS'")["event"].tolist()[:2] == [0, 0]
    sound.replace("wide.csv", "0003,5,0,", "0003,5,0,-")
    problem = sound.load().problems.found[0]
    assert (problem.rule, problem.column, problem.row) == ("negative_time", "OS", 4)


def test_decimal_comma_file_gives_the_same_numbers(sound: Sound) -> None:
    before = clean(sound.load()).assessments["sum_mm"].to_numpy()
    text = (sound.folder / "assessments.csv").read_text()
    lines = [line.replace(",", ";").replace(";no", ",25;no") for line in text.splitlines()]
    sound.write("assessments.csv", "\n".join(lines) + "\n")
    study = clean(sound.load())
    assert (study.assessments["sum_mm"].to_numpy() == before + 0.25).all()
    assert "assessments.csv: decimal: comma" in study.guesses


# Lists of tables ----------------------------------------------------------------------------------


def test_lists_of_tables_are_merged_by_key(sound: Sound) -> None:
    half = "subject_id,arm,weight\n" + "".join(f"{s},,{60 + i}\n" for i, s in enumerate(SUBJECTS))
    sound.write("weights.csv", half)
    sound.write("late.csv", "subject_id,arm,age,hr_status\n0013,T-DM1,44,pos\n")
    sound.config["tables"]["subjects"] = [
        {"path": "subjects.csv"},
        {"path": "weights.csv"},
        {"path": "late.csv"},
    ]
    study = clean(sound.load())
    assert len(study.subjects) == 13
    assert study.subjects["weight"].tolist()[:2] == [60, 61]
    assert study.subjects["arm"].notna().all()
    assert study.subjects["_file"].tolist()[-1] == "late.csv"


def test_a_disagreement_has_one_row_a_subject_and_column(sound: Sound) -> None:
    sound.write(
        "b.csv", "subject_id,arm,age,ecog\n0002,T-DM1,51.0,1\n0003,T-DM1,53,2\n0004,T-DM1,53,0\n"
    )
    sound.config["tables"]["subjects"] = [{"path": "subjects.csv"}, {"path": "b.csv"}]
    found = sound.load().problems.found
    assert [(p.rule, p.subject_id, p.column, p.row) for p in found] == [
        ("files_disagree", "0003", "arm", 3),
        ("files_disagree", "0003", "age", 3),
    ]
    for part in ("age", "subjects.csv", "b.csv", "'52'", "'53'"):
        assert part in found[1].message


def test_one_file_may_serve_as_several_tables(sound: Sound) -> None:
    lines = ["subject_id,arm,hr_status,t,e,best"]
    lines += [
        f"{s},{'T-DM1' if i % 2 else 'combination'},pos,{i},1,CR" for i, s in enumerate(SUBJECTS)
    ]
    sound.write("all.csv", "\n".join(lines) + "\n")
    tables = sound.config["tables"]
    del tables["corrections"]
    tables["subjects"] = {"path": "all.csv"}
    tables["responses"] = {"path": "all.csv", "columns": {"best_overall_response": "best"}}
    tables["outcomes"] = {
        "path": "all.csv",
        "layout": "wide",
        "endpoints": {"PFS": {"time": "t", "event": "e"}},
    }
    study = clean(sound.load())
    assert (len(study.subjects), len(study.outcomes), len(study.responses)) == (12, 12, 12)


def test_patterns_of_files(sound: Sound) -> None:
    text = (sound.folder / "blood.csv").read_text().splitlines()
    sound.write("blood_a.csv", "\n".join(text[:30]) + "\n")
    sound.write("blood_b.csv", "\n".join([text[0], *text[30:]]) + "\n")
    sound.entry("measurements")["path"] = "blood_*.csv"
    study = clean(sound.load())
    assert len(study.measurements) == 72
    assert set(study.measurements["_file"]) == {"blood_a.csv", "blood_b.csv"}


# Identifiers and corrections ----------------------------------------------------------------------


def test_aliases_hold_everywhere(sound: Sound) -> None:
    sound.replace("blood.csv", "P0001-0,TK1", "A-1,TK1")
    sound.replace("runs.csv", "R0001-0,P0001-0", "R0001-0,A-1")
    sound.append("identifiers.csv", "B-7,,0002")
    sound.replace("outcomes.csv", "0002,PFS", "B-7,PFS")
    study = clean(sound.load())
    assert study.measurements["sample_id"].iloc[0] == "P0001-0"
    assert study.outcomes["subject_id"].iloc[2] == "0002"


def test_loose_matches_are_taken_with_one_warning_a_file(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0002,PFS", " 0002,PFS")
    sound.replace("outcomes.csv", "0002,OS", " 0002,OS")
    study = sound.load()
    assert [(p.rule, p.severity, p.row) for p in study.problems.found] == [
        ("id_matches_loosely", "warning", 4)
    ]
    assert set(study.outcomes["subject_id"]) == set(SUBJECTS)


def test_corrections_are_applied_in_order_and_listed(sound: Sound) -> None:
    sound.append(
        "corrections.csv", "outcomes,subject_id=0001;endpoint=OS,time,9.5,10,again,JS,2022-01-06"
    )
    sound.append(
        "corrections.csv", "subjects,subject_id=0012,exclude,,,withdrew consent,JS,2022-01-06"
    )
    sound.append("corrections.csv", "samples,sample_id=P0002-0,exclude,,,mislabelled,JS,2022-01-06")
    sound.append(
        "corrections.csv",
        "measurements,sample_id=T0003;biomarker=ESR1,value,5.2,7.5,typo,JS,2022-01-06",
    )
    sound.append(
        "corrections.csv",
        "measurements,sample_id=P0003-0;biomarker=TK1,value,114,115,typo,JS,2022-01-06",
    )
    study = clean(sound.load())
    assert study.outcomes["time_months"].iloc[1] == 10
    assert "0012" not in set(study.subjects["subject_id"]) | set(study.outcomes["subject_id"])
    assert "P0002-0" not in set(study.samples["sample_id"]) | set(study.measurements["sample_id"])
    matrix = study.matrices[0]
    assert matrix.whole().value[0, list(matrix.samples).index("T0003")] == 7.5
    tk1 = study.measurements.query("sample_id == 'P0003-0' and biomarker == 'TK1'")
    assert tk1["value"].tolist() == [115]
    steps = [row[0] for row in flow(study)]
    assert [s for s in dict.fromkeys(steps) if s.startswith("correction")] == [
        "correction 1: outcomes, time changed (query 12)",
        "correction 2: outcomes, time changed (again)",
        "correction 3: subjects, a row excluded (withdrew consent)",
        "correction 4: samples, a row excluded (mislabelled)",
        "correction 5: measurements, value changed (typo)",
        "correction 6: measurements, value changed (typo)",
    ]
    assert any(r[3] == "withdrew consent" and r[4] == 1 for r in flow(study))


def test_flow_adds_up(sound: Sound) -> None:
    sound.entry("subjects")["where"] = "age > 50"
    sound.append("corrections.csv", "subjects,subject_id=0012,exclude,,,withdrew,JS,2022-01-06")
    sound.replace("corrections.csv", "subject_id=0001", "subject_id=0003")
    sound.replace("corrections.csv", "9,9.5", "11,11.5")
    rows = flow(clean(sound.load()))
    for unit in ("subject", "sample"):
        before: dict[str, int] = {}
        for step in dict.fromkeys(r[0] for r in rows if r[1] == unit):
            here = [r for r in rows if r[0] == step and r[1] == unit]
            after = {r[2]: r[4] for r in here if r[3] == ""}
            if before:
                for arm in before:
                    left = sum(r[4] for r in here if r[3] and r[2] == arm)
                    assert after[arm] == before[arm] - left, (step, arm)
            before = after


# Dates --------------------------------------------------------------------------------------------


def test_dates_become_study_days_without_a_day_zero(sound: Sound) -> None:
    text = (sound.folder / "subjects.csv").read_text()
    sound.write("subjects.csv", text.replace(",2021-03-02,0", ",2021-03-02,3"))
    lines = (sound.folder / "samples.csv").read_text().splitlines()
    out = [lines[0].replace(",day,", ",date,")]
    for line in lines[1:]:
        fields = line.split(",")
        fields[4] = {"P0002-0": "2021-03-04", "P0002-1": "2021-03-05"}.get(fields[0], "")
        out.append(",".join(fields))
    sound.write("samples.csv", "\n".join(out) + "\n")
    study = clean(sound.load())
    days = study.samples.set_index("sample_id")["day"]
    assert days["P0002-0"] == -1
    assert days["P0002-1"] == 1
    assert days.isna().sum() == 34


def test_a_day_column_may_hold_dates(sound: Sound) -> None:
    sound.replace("assessments.csv", "0001,42,", "0001,2021-04-11,")
    sound.replace("assessments.csv", "0002,42,", "0002,20210412,")
    assert clean(sound.load()).assessments["day"].tolist() == [42.0] * 12


def dated_outcomes(sound: Sound, header: str) -> list[str]:
    """Put outcomes as dates into outcomes.csv; days from randomisation: 30, 31, … of both endpoints."""
    lines = [header]
    for i, subject in enumerate(SUBJECTS):
        day = (datetime.date(2021, 3, i + 1) + datetime.timedelta(30 + i)).strftime("%d.%m.%Y")
        lines += [f"{subject},{endpoint},{day},1,progression" for endpoint in ("PFS", "OS")]
    del sound.config["tables"]["corrections"]
    return lines


@pytest.mark.parametrize("header", ["date", "time"])
@pytest.mark.parametrize("unit", ["days", "months"])
def test_outcomes_may_be_dates(sound: Sound, header: str, unit: str) -> None:
    lines = dated_outcomes(sound, f"subject_id,endpoint,{header},event,reason")
    sound.write("outcomes.csv", "\n".join(lines) + "\n")
    sound.config["study"]["time_unit"] = unit
    months = clean(sound.load()).outcomes.query("endpoint == 'PFS'")["time_months"]
    assert months.tolist() == pytest.approx([(30 + i) / 30.4375 for i in range(12)])


def test_a_wide_table_of_outcomes_may_hold_dates(sound: Sound) -> None:
    lines = ["pid,PFS-Datum,PFS-Ereignis,OS-Datum,OS-Ereignis"]
    lines += [
        f"{s},{i + 1:02d}.04.2021,ja,{i + 1:02d}.05.2021,nein" for i, s in enumerate(SUBJECTS)
    ]
    sound.write("wide.csv", "\n".join(lines) + "\n")
    del sound.config["tables"]["corrections"]
    sound.config["tables"]["outcomes"] = {
        "path": "wide.csv",
        "columns": {"subject_id": "pid"},
        "layout": "wide",
        "endpoints": {e: {"time": f"{e}-Datum", "event": f"{e}-Ereignis"} for e in ("PFS", "OS")},
        "values": {"event": {"ja": "1", "nein": "0"}},
    }
    outcomes = clean(sound.load()).outcomes
    days = outcomes["time_months"] * 30.4375
    assert sorted(set(days.round(6))) == [31, 61]
    assert outcomes.groupby("endpoint")["event"].sum().to_dict() == {"OS": 0, "PFS": 12}


def test_dates_of_outcomes_that_cannot_be(sound: Sound) -> None:
    lines = dated_outcomes(sound, "subject_id,endpoint,date,event,reason")
    lines[1] = "0001,PFS,2021-02-28,1,progression"
    lines[2] = "0001,OS,,1,death"
    lines[3] = "0002,PFS,03/04/2021,1,progression"
    lines[4] = "0002,OS,31.02.2022,1,death"
    sound.write("outcomes.csv", "\n".join(lines) + "\n")
    found = {(p.row, p.rule, p.column) for p in sound.load().problems.errors}
    assert found == {
        (2, "negative_time", "date"),
        (3, "value_missing", "time"),
        (4, "not_a_date", "date"),
        (5, "not_a_date", "date"),
    }
    sound.write("outcomes.csv", "\n".join(lines).replace(",date,", ",time,") + "\n")
    in_place = {(p.row, p.rule, p.column) for p in sound.load().problems.errors}
    assert in_place == {(row, rule, "time") for row, rule, _ in found}
    (early,) = [p for p in sound.load().problems.errors if p.rule == "negative_time"]
    assert early.message == (
        "2021-02-28 is before randomisation (2021-03-01). Correct one of the dates."
    )
    text = (sound.folder / "subjects.csv").read_text().replace("randomisation_date", "consented")
    sound.write("subjects.csv", text)
    assert "date_without_randomisation" in {p.rule for p in sound.load().problems.errors}


def test_a_spreadsheets_number_of_a_date_is_no_time(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0002,PFS,4,", "0002,PFS,44287,")
    (problem,) = sound.load().problems.errors
    assert (problem.rule, problem.row, problem.column) == ("out_of_range", 4, "time")
    assert "2021-04-01" in problem.message


def test_a_column_that_is_the_same_in_every_row_is_a_constant(sound: Sound) -> None:
    text = (sound.folder / "runs.csv").read_text().replace(",panel,", ",").replace("assay,", "")
    sound.write("runs.csv", text)
    assert "column_missing" in {p.rule for p in sound.load().problems.errors}
    sound.entry("runs")["constants"] = {"assay": "panel"}
    runs = clean(sound.load()).runs.set_index("run_id")["assay"]
    assert set(runs[runs.index.str.startswith("R0")]) == {"panel"}
    sound.entry("doses")["constants"] = {"drug": "T-DM1"}
    (problem,) = sound.load().problems.errors
    assert (problem.rule, problem.file, problem.row) == ("column_duplicate", "doses.csv", 1)
    assert "the column 'drug', which the file has already" in problem.message


def test_tumour_fractions_in_percent(sound: Sound) -> None:
    text = (sound.folder / "runs.csv").read_text().replace(",pass,0.", ",pass,")
    sound.write("runs.csv", text)
    (first, *_) = sound.load().problems.errors
    assert first.rule == "tumour_fraction_outside_scale"
    assert "`tumour_fraction_scale: percent`" in first.message
    sound.entry("runs")["tumour_fraction_scale"] = "percent"
    assert clean(sound.load()).runs["tumour_fraction"].iloc[0] == pytest.approx(0.10)
    assert clean(sound.load()).alterations["vaf"].iloc[0] == pytest.approx(0.015)
    sound.write("runs.csv", text.replace(",pass,10", ",pass,110", 1))
    (problem,) = sound.load().problems.errors
    assert "110 is outside 0 to 100" in problem.message


def test_a_row_typed_twice_is_excluded_by_its_line(sound: Sound) -> None:
    twice = (sound.folder / "samples.csv").read_text().splitlines()[1]
    row = sound.append("samples.csv", twice)
    (problem,) = sound.load().problems.errors
    assert f"(key: row={row})" in problem.message
    sound.append("corrections.csv", f"samples,row={row},exclude,,,typed twice,JS,2022-01-05")
    study = clean(sound.load())
    assert list(study.samples["sample_id"]).count(twice.split(",")[0]) == 1
    sound.append("corrections.csv", "samples,row=999,exclude,,,typed twice,JS,2022-01-05")
    (problem,) = sound.load().problems.errors
    assert "No row of the table has this key" in problem.message


def test_a_missing_column_of_a_key_is_told_once(sound: Sound) -> None:
    sound.write("pathways.csv", "gene,Art,pathway\nPIK3CA,snv,PI3K\nPIK3CA,amplification,PI3K\n")
    assert [(p.rule, p.column) for p in sound.load().problems.errors] == [
        ("column_missing", "kind")
    ]


def test_a_path_that_is_nearly_right(sound: Sound) -> None:
    sound.entry("doses")["path"] = "dosis.csv"
    (problem,) = sound.load().problems.errors
    assert problem.message.endswith("The nearest name is 'doses.csv'.")
    sound.entry("doses")["path"] = "XYZ"
    (problem,) = sound.load().problems.errors
    assert "doses.csv" in problem.message
    assert f"and {len(list(sound.folder.iterdir())) - 8} more." in problem.message


def test_a_title_that_holds_the_delimiter_is_told(sound: Sound) -> None:
    text = (sound.folder / "rna.csv").read_text()
    sound.write("rna.csv", "Assay X, plate 1\n" + text)
    messages = [p.message for p in sound.load().problems.errors if p.rule == "ragged_row"]
    assert len(messages) == 1
    assert messages[0].endswith(
        "If row 2 holds the names (sample_id, ESR1, ERBB2, …), write header_row: 2."
    )


def test_first_dose_from_its_date(sound: Sound) -> None:
    text = (sound.folder / "subjects.csv").read_text().splitlines()
    text[0] = text[0].replace("first_dose_day", "first_dose_date")
    lines = [text[0], *(line[: line.rindex(",")] + ",2021-03-20" for line in text[1:])]
    sound.write("subjects.csv", "\n".join(lines) + "\n")
    study = clean(sound.load())
    assert study.subjects["first_dose_day"].tolist()[:2] == [19, 18]


# Accepting, summary, rules ------------------------------------------------------------------------


def test_warnings_can_be_accepted_and_errors_cannot(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0003,PFS,5,1", "0003,PFS,50,1")
    sound.config["accept"] = [
        {"rule": "pfs_after_os", "subject_id": "0003", "reason": "death date is approximate"}
    ]
    problem = sound.load().problems.found[0]
    assert problem.severity == "accepted"
    assert "death date is approximate" in problem.message
    problems = Problems()
    problems.accept([{"rule": "negative_time", "reason": "x"}])
    assert [p.rule for p in problems.errors] == ["accept_names_no_warning"]


def test_accepting_holds_for_what_is_found_later() -> None:
    problems = Problems()
    problems.accept([{"rule": "arm_not_listed", "table": "subjects", "reason": "known"}])
    problems.add("arm_not_listed", "x", table="subjects")
    problems.add("arm_not_listed", "x", table="samples")
    assert [p.severity for p in problems.found] == ["accepted", "warning"]


def test_summary_is_short_and_plain() -> None:
    problems = Problems()
    for row in range(2, 20):
        problems.add(
            "not_a_number",
            f"{row!r} is text",
            table="outcomes",
            file="o.csv",
            row=row,
            column="time",
        )
    problems.add("pfs_after_os", "PFS is longer", table="outcomes", file="o.csv", row=3)
    text = problems.summary("results/check/problems.tsv", colour=False)
    assert text.splitlines()[0] == "The input tables: 18 errors, 1 warning."
    assert "row 2, column time: 2 is text [not_a_number]" in text
    assert "and 13 more rows [not_a_number]" in text
    assert "results/check/problems.tsv" in text
    assert "\033" not in text
    assert text.index("error") < text.index("warning · ")
    assert "\033[31m" in problems.summary(colour=True)


def test_rules_are_documented() -> None:
    for rule, (severity, meaning) in RULES.items():
        assert rule.islower() and severity in ("error", "warning") and len(meaning) > 10
    with pytest.raises(KeyError):
        Problems().add("no_such_rule", "x")


# Presets on real data -----------------------------------------------------------------------------


def load_shared(tables: dict, **study: object):
    if not SHARED.is_dir():
        pytest.skip("the shared data are not beside the repository")
    config = {
        "study": {"id": "X", **study},
        "tables": tables,
        "endpoints": {"OS": {"type": "time_to_event"}},
    }
    filled, lines = check(config)
    assert not lines, lines
    return load_study(filled, SHARED)


def test_adam_presets() -> None:
    adsl = {"path": "adam_oncology/adsl.csv", "where": "ARM != 'Screen Failure'"}
    study = load_shared(
        {
            "subjects": {**adsl, "preset": "adam_adsl"},
            "outcomes": {"path": "adam_oncology/adtte_onco.csv", "preset": "adam_adtte"},
            "responses": {"path": "adam_oncology/adrs_onco.csv", "preset": "adam_adrs"},
            "measurements": {
                **adsl,
                "layout": "wide",
                "key": "subject_id",
                "columns": {"subject_id": "USUBJID", "duration": "TRTDURD"},
                "select": ["duration"],
                "specimen": "blood",
                "timepoint": "baseline",
            },
        },
        time_unit="days",
        arms={"control": ["Placebo"], "experimental": ["Xanomeline High Dose"]},
    )
    assert [p.rule for p in study.problems.found] == ["pfs_after_os"]
    assert len(study.subjects) == 254
    assert study.outcomes["event"].sum() == 10
    assert study.outcomes["time_months"].iloc[0] == pytest.approx(182 / 30.4375)
    assert study.responses["best_overall_response"].value_counts().to_dict() == {
        "NE": 247,
        "CR": 3,
        "SD": 2,
        "PD": 1,
        "PR": 1,
    }
    assert study.responses["confirmed"].value_counts().to_dict() == {"no": 3, "yes": 1}
    assert study.runs["sample_id"].str.endswith("/blood/baseline/").all()


def test_cbioportal_and_maf_presets() -> None:
    folder = "breast_msk_2018/data_"
    study = load_shared(
        {
            "subjects": {"path": folder + "clinical_patient.txt", "preset": "cbioportal_patient"},
            "outcomes": {"path": folder + "clinical_patient.txt", "preset": "cbioportal_patient"},
            "samples": {"path": folder + "clinical_sample.txt", "preset": "cbioportal_sample"},
            "runs": {"path": folder + "gene_panel_matrix.txt", "preset": "cbioportal_panel_matrix"},
            "alterations": {"path": folder + "mutations.txt", "preset": "maf"},
        },
        design="single_arm",
    )
    assert study.problems.errors == []
    assert len(study.subjects) == 351
    assert study.subjects["_row"].iloc[0] == 6
    first = study.alterations.iloc[0]
    assert (first["gene"], first["alteration"], first["kind"]) == ("PIK3CA", "p.H1047R", "snv")
    assert first["vaf"] == pytest.approx(151 / (151 + 963))
    assert len(study.alterations) == 2582
    assert "2 row(s) set aside by the preset maf: changes no protein" in " ".join(study.notes)
    assert set(study.runs["assay"]) == {"IMPACT341", "IMPACT410", "IMPACT468"}


def test_cbioportal_copy_numbers(sound: Sound) -> None:
    sound.write(
        "cna.txt",
        "Hugo_Symbol\tEntrez_Gene_Id\tP0001-0\tP0002-0\nERBB2\t2064\t2\t1\nRB1\t5925\t-2\tNA\n",
    )
    sound.config["tables"]["alterations"] = [
        {"path": "alterations.csv", "vaf_scale": "percent"},
        {"path": "cna.txt", "preset": "cbioportal_cna"},
    ]
    study = clean(sound.load())
    calls = study.alterations[study.alterations["_file"] == "cna.txt"]
    assert calls[["gene", "kind", "copy_number", "sample_id", "_row"]].to_numpy().tolist() == [
        ["ERBB2", "amplification", 2.0, "P0001-0", 2],
        ["RB1", "deletion", -2.0, "P0001-0", 3],
    ]
    assert any("neither amplified nor deleted" in note for note in study.notes)
