"""Results: qualifiers, words, statuses, versions, units, wide layouts, runs; and what is unlikely."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sound_study import SUBJECTS, Sound

from correlatives.tables.keys import latest
from correlatives.tables.plausibility import thousandfold
from correlatives.tables.shape import long_tails
from correlatives.tables.units import conversions


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(tmp_path)


def clean(study):
    assert study.problems.found == [], study.problems.summary()
    return study


def rules(study) -> list[str]:
    return [problem.rule for problem in study.problems.found]


def one(study, sample: str, biomarker: str) -> dict:
    frame = study.measurements
    rows = frame[(frame["sample_id"] == sample) & (frame["biomarker"] == biomarker)]
    assert len(rows) == 1
    return rows.iloc[0].to_dict()


def test_qualified_values_keep_their_limit(sound: Sound) -> None:
    row = one(clean(sound.load()), "P0004-0", "HER2 ECD")
    assert (row["value"], row["qualifier"], row["status"]) == (4.0, "<", "measured")


def test_words_of_the_laboratory_become_statuses(sound: Sound) -> None:
    sound.replace("blood.csv", "P0001-0,TK1,100", "P0001-0,TK1,qns")
    sound.replace("blood.csv", "P0002-0,TK1,107", "P0002-0,TK1,Test Failure")
    sound.replace("blood.csv", "P0003-0,TK1,114", "P0003-0,TK1,")
    study = clean(sound.load())
    found = [one(study, f"P000{i}-0", "TK1") for i in (1, 2, 3)]
    assert [row["status"] for row in found] == ["qns", "failed", "not_done"]
    assert all(np.isnan(row["value"]) for row in found)


def test_levels_stay_words(sound: Sound) -> None:
    row = one(clean(sound.load()), "P0002-0", "score")
    assert (row["text"], row["status"]) == ("2+", "measured")
    assert np.isnan(row["value"])


def test_numbers_of_ordinal_biomarkers_are_kept_as_written(sound: Sound) -> None:
    sound.replace("biomarkers.csv", "1+<2+<3+", "0<1+<2+<3+")
    sound.replace("blood.csv", "P0002-0,score,2+", "P0002-0,score,0")
    row = one(clean(sound.load()), "P0002-0", "score")
    assert (row["text"], row["value"]) == ("0", 0.0)


def test_a_status_explains_a_word(sound: Sound) -> None:
    sound.replace(
        "blood.csv",
        "P0001-0,TK1,100,U/L,TK1 activity,,",
        "P0001-0,TK1,broken,,TK1 activity,,failed",
    )
    row = one(clean(sound.load()), "P0001-0", "TK1")
    assert row["status"] == "failed"


def test_not_detected_may_carry_its_limit(sound: Sound) -> None:
    sound.replace(
        "blood.csv",
        "P0001-0,TK1,100,U/L,TK1 activity,,",
        "P0001-0,TK1,<20,U/L,TK1 activity,,not_detected",
    )
    row = one(clean(sound.load()), "P0001-0", "TK1")
    assert row["status"] == "not_detected"


def test_the_last_version_wins(sound: Sound) -> None:
    text = (sound.folder / "blood.csv").read_text().splitlines()
    lines = [text[0] + ",result_version", *(line + "," for line in text[1:])]
    lines[1] += "9"
    lines.append("P0001-0,TK1,111,U/L,TK1 activity,,,10")
    lines.append("P0001-0,TK1,99,U/L,TK1 activity,,,2")
    sound.write("blood.csv", "\n".join(lines) + "\n")
    study = clean(sound.load())
    assert one(study, "P0001-0", "TK1")["value"] == 111
    assert any("superseded" in note for note in study.notes)


@pytest.mark.parametrize(
    ("versions", "wins"),
    [
        (["2", "10", "9"], "10"),
        (["2021-03-05", "2021-11-01", "2020-12-31"], "2021-11-01"),
        (["draft", "final", None], "final"),
    ],
)
def test_order_of_versions(versions: list, wins: str) -> None:
    frame = pd.DataFrame({"k": ["a"] * 3, "result_version": versions})
    assert latest(frame, ["k"])["result_version"].tolist() == [wins]


def test_units_are_converted_by_the_dictionary(sound: Sound) -> None:
    sound.replace("blood.csv", "P0002-0,HER2 ECD,11,ng/mL", "P0002-0,HER2 ECD,11000,pg/ml")
    row = one(clean(sound.load()), "P0002-0", "HER2 ECD")
    assert row["value"] == pytest.approx(11)
    assert row["unit"] == "ng/mL"


def test_spellings_of_one_unit(sound: Sound) -> None:
    sound.replace("blood.csv", "P0002-0,HER2 ECD,11,ng/mL", "P0002-0,HER2 ECD,11,ng/ml")
    clean(sound.load())


def test_conversions_are_read() -> None:
    assert conversions("pg/mL*0.001; ng/dL*0.01") == {"pg/ml": 0.001, "ng/dl": 0.01}
    assert conversions("0.5") == {"": 0.5}
    for wrong in ("pg/mL", "pg/mL*x", "pg/mL*-1", "*2"):
        with pytest.raises(ValueError):
            conversions(wrong)


def test_runs_of_samples_with_and_without_a_table(sound: Sound) -> None:
    study = clean(sound.load())
    runs = study.runs.set_index("run_id")
    assert runs.loc["R0001-0", "sample_id"] == "P0001-0"
    assert runs.loc["T0001", "sample_id"] == "T0001"  # tissue has no run in the table
    # TK1 names its own assay: it is no result of the sequencing run
    assert one(study, "P0001-0", "TK1")["run_id"] == "P0001-0"
    assert runs.loc["P0001-0", "qc"] != "pass"
    del sound.config["tables"]["runs"]
    sound.replace("alterations.csv", "run_id", "sample_id")
    text = (sound.folder / "alterations.csv").read_text().replace("\nR", "\nP")
    sound.write("alterations.csv", text)
    sound.replace("samples.csv", "site_of_tissue", "site_of_tissue,tumour_fraction,assay")
    text = (sound.folder / "samples.csv").read_text().splitlines()
    sound.write("samples.csv", "\n".join([text[0], *(t + ",0.2,panel" for t in text[1:])]) + "\n")
    study = clean(sound.load())
    assert (study.runs["run_id"] == study.runs["sample_id"]).all()
    assert set(study.runs["assay"]) == {"panel"}
    assert (study.runs["tumour_fraction"] == 0.2).all()


def test_an_assay_chooses_among_runs(sound: Sound) -> None:
    sound.append("runs.csv", "R0001-0t,P0001-0,TK1 activity,v1,B0,pass,")
    study = clean(sound.load())
    assert one(study, "P0001-0", "TK1")["run_id"] == "R0001-0t"
    assert one(study, "P0001-0", "HER2 ECD")["run_id"] == "P0001-0"


def test_the_run_says_the_assay_where_the_table_does_not(sound: Sound) -> None:
    """A dictionary row of an assay holds for results that name a run of that assay."""
    sound.append("runs.csv", "R0002-0t,P0002-0,TK1 activity,v1,B0,pass,")
    sound.append("biomarkers.csv", "LEVEL,plasma,TK1 activity,ordinal,low<high,,,,,,")
    sound.append("biomarkers.csv", "MASS,plasma,TK1 activity,continuous,,,none,ng/mL,,,pg/mL*0.001")
    sound.write(
        "more.csv",
        "run_id,biomarker,value,unit\nR0002-0t,LEVEL,high,\nR0002-0t,MASS,1500,pg/mL\n",
    )
    sound.config["tables"]["measurements"].append({"path": "more.csv"})
    study = clean(sound.load())
    assert one(study, "P0002-0", "LEVEL")["assay"] == "TK1 activity"
    assert one(study, "P0002-0", "LEVEL")["text"] == "high"
    assert one(study, "P0002-0", "MASS")["value"] == 1.5
    del sound.config["tables"]["measurements"][-1]
    sound.write("wide.csv", "run_id,LEVEL\nR0002-0t,low\n")
    sound.config["tables"]["measurements"].append(
        {"path": "wide.csv", "layout": "wide", "key": "run_id"}
    )
    text = clean(sound.load()).matrices[-1].text
    assert text["value"].tolist() == ["low"]


def test_wide_by_sample(sound: Sound) -> None:
    matrix = clean(sound.load()).matrices[0]
    assert matrix.features.tolist() == ["ESR1", "ERBB2", "SUBTYPE"]
    assert matrix.samples.tolist() == [f"T{s}" for s in SUBJECTS]
    assert matrix.whole().value[0, 1] == 5.1
    assert matrix.text["value"].tolist()[:2] == ["HER2E", "LumA"]
    assert (matrix.whole().status[:2] == 0).all()


def test_wide_with_qualifiers_nonresults_and_gaps(sound: Sound) -> None:
    sound.replace("rna.csv", "T0001,5.0,9.0", "T0001,<5,QNS")
    sound.replace("rna.csv", "T0002,5.1,9.2", "T0002,,>9")
    matrix = clean(sound.load()).matrices[0]
    assert matrix.whole().value[0, 0] == 5
    assert matrix.whole().qualifier[:2, :2].tolist() == [[-1, 0], [0, 1]]
    assert matrix.whole().status[:2, :2].tolist() == [[0, 2], [3, 0]]
    assert np.isnan(matrix.whole().value[1, 0])


def test_features_in_rows_are_the_same_table(sound: Sound) -> None:
    before = clean(sound.load()).matrices[0]
    frame = pd.read_csv(sound.folder / "rna.csv", dtype=str, index_col=0)[["ESR1", "ERBB2"]].T
    frame.to_csv(sound.folder / "t.csv")
    frame.astype(float).to_parquet(sound.folder / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        sound.config["tables"]["measurements"][1] = {
            "path": name,
            "layout": "wide",
            "key": "sample_id",
            "orientation": "features_in_rows",
        }
        matrix = clean(sound.load()).matrices[0]
        assert matrix.features.tolist() == ["ESR1", "ERBB2"]
        assert matrix.samples.tolist() == before.samples.tolist()
        assert (matrix.whole().value == before.whole().value[:2]).all()


def test_words_of_a_wide_table_are_recoded_by_biomarker(sound: Sound) -> None:
    sound.write("wide.csv", "sample_id,LEVEL,OTHER\nP0002-0,1+ (focal),1+ (focal)\n")
    sound.config["tables"]["measurements"].append(
        {
            "path": "wide.csv",
            "layout": "wide",
            "key": "sample_id",
            "assay": "pathology",
            "columns": {"grade": "LEVEL"},
            "select": ["grade", "OTHER"],
            "values": {"grade": {"1+ (focal)": "1+"}},
            "defaults": {"kind": "ordinal", "levels": "0<1+<2+"},
        }
    )
    study = sound.load()
    (problem,) = [p for p in study.problems.found if p.severity == "error"]
    assert (problem.rule, problem.column) == ("word_not_a_value", "OTHER")
    assert study.matrices[-1].text[["biomarker", "value"]].to_numpy().tolist() == [["grade", "1+"]]


def test_recoding_a_biomarker_that_a_wide_table_has_not_is_told(sound: Sound) -> None:
    sound.write("wide.csv", "sample_id,LEVEL\nP0002-0,1\n")
    sound.config["tables"]["measurements"].append(
        {"path": "wide.csv", "layout": "wide", "key": "sample_id", "values": {"LEVLE": {"1": "2"}}}
    )
    assert "mapping_names_no_column" in rules(sound.load())


def test_wide_by_subject_implies_samples(sound: Sound) -> None:
    lines = ["pid,ldh,albumin,sex"] + [f"{s},{200 + i},{40 + i},F" for i, s in enumerate(SUBJECTS)]
    lines[3] = "0003,,,F"
    sound.write("labs.csv", "\n".join(lines) + "\n")
    sound.append("biomarkers.csv", "ldh,blood,,continuous,,,,,,,")
    sound.append("biomarkers.csv", "alb,blood,,continuous,,,,,,,")
    sound.config["tables"]["measurements"].append(
        {
            "path": "labs.csv",
            "layout": "wide",
            "key": "subject_id",
            "columns": {"subject_id": "pid", "alb": "albumin"},
            "select": ["ldh", "alb"],
            "specimen": "blood",
            "timepoint": "baseline",
            "assay": "chemistry",
        }
    )
    study = clean(sound.load())
    matrix = study.matrices[1]
    assert matrix.features.tolist() == ["ldh", "alb"]
    assert len(matrix.samples) == 11
    assert matrix.samples[0] == "0001/blood/baseline/chemistry"
    implied = study.samples[study.samples["sample_id"].isin(matrix.samples)]
    assert (implied["specimen"] == "blood").all()
    assert len(study.samples) == 47
    assert set(matrix.samples) <= set(study.runs["run_id"])
    sound.replace("labs.csv", "0005,204,", "0005,high,")
    problem = next(p for p in sound.load().problems.found)
    assert (problem.rule, problem.row, problem.column, problem.subject_id) == (
        "word_not_a_value",
        6,
        "ldh",
        "0005",
    )


def test_columns_of_words_are_told_once(sound: Sound) -> None:
    text = (sound.folder / "rna.csv").read_text().splitlines()
    sound.write("rna.csv", "\n".join([text[0] + ",site", *(t + ",liver" for t in text[1:])]) + "\n")
    found = [p for p in sound.load().problems.found if p.rule == "word_not_a_value"]
    assert [(p.row, p.column) for p in found] == [(2, "site")]
    assert "select" in found[0].message


def test_missing_spelt_as_a_number(sound: Sound) -> None:
    sound.replace("rna.csv", "T0001,5.0", "T0001,-99")
    sound.entry("measurements", 1)["na"] = ["-99"]
    matrix = clean(sound.load()).matrices[0]
    assert np.isnan(matrix.whole().value[0, 0])
    assert matrix.whole().status[0, 0] == 2


def test_infinite_values_of_parquet(sound: Sound) -> None:
    frame = pd.DataFrame(
        {"sample_id": ["T0001", "T0002"], "ESR1": [1.0, np.inf], "ERBB2": [1.0, np.nan]}
    )
    frame.to_parquet(sound.folder / "rna.parquet")
    sound.entry("measurements", 1)["path"] = "rna.parquet"
    found = sound.load().problems.found
    assert [(p.rule, p.row, p.column) for p in found] == [("infinite_value", 3, "ESR1")]


def test_a_wide_table_is_read_whole(sound: Sound) -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(8, 1, size=(2000, len(SUBJECTS))).round(4)
    frame = pd.DataFrame(values, columns=[f"T{s}" for s in SUBJECTS])
    frame.insert(0, "gene", [f"G{i}" for i in range(2000)])
    frame.to_csv(sound.folder / "big.csv", index=False)
    sound.config["tables"]["measurements"][1] = {
        "path": "big.csv",
        "layout": "wide",
        "key": "sample_id",
        "orientation": "features_in_rows",
    }
    study = sound.load()
    assert (study.matrices[0].whole().value == values).all()
    assert rules(study) == ["biomarker_not_in_dictionary"]


def parquet_by_rows(sound: Sound, frame: pd.DataFrame) -> None:
    """Make a table with a row a biomarker the study's wide one, in groups of three rows."""
    frame.to_parquet(sound.folder / "big.parquet", index=False, row_group_size=3)
    sound.config["tables"]["measurements"][1] = {
        "path": "big.parquet",
        "layout": "wide",
        "key": "sample_id",
        "orientation": "features_in_rows",
    }


def genes(values: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame(values, columns=[f"T{s}" for s in SUBJECTS])
    frame.insert(0, "gene", [f"G{i}" for i in range(len(values))])
    return frame


def test_pieces_of_a_parquet_file_are_the_whole(
    sound: Sound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, gaps, a filter, an infinite value and a corrected one, whatever is read at a time."""
    values = np.random.default_rng(3).normal(8, 1, size=(17, len(SUBJECTS))).round(3)
    values[4, 2], values[9, 1] = np.nan, np.inf
    parquet_by_rows(sound, genes(values))
    sound.config["tables"]["measurements"][1]["where"] = "gene != 'G15'"
    sound.config["tables"]["corrections"] = {"path": "corrections.csv"}
    sound.write(
        "corrections.csv",
        "table,key,field,old,new,reason,by,date\n"
        f"measurements,sample_id=T{SUBJECTS[0]};biomarker=G6,value,{values[6, 0]},9.25,typo,ab,2024-01-01\n",
    )
    found = []
    for rows in (100_000, 5, 1):
        for module in ("readers", "measurements"):
            monkeypatch.setattr(f"correlatives.tables.{module}.ROWS_A_PIECE", rows)
        study = sound.load()
        found.append((study.matrices[0], study.problems.frame(), study.corrections))
    whole, problems, corrections = found[0]
    assert len(whole.pieces) == 1
    assert list(whole.features) == [f"G{i}" for i in range(17) if i != 15]
    assert whole.whole().value[6, 0] == 9.25
    assert problems.query("severity == 'error'")[["rule", "row", "column"]].to_numpy().tolist() == [
        ["infinite_value", 11, f"T{SUBJECTS[1]}"]
    ]
    assert corrections["rows"].tolist() == [1]
    for matrix, told, applied in found[1:]:
        assert len(matrix.pieces) > 1
        for name in ("value", "qualifier", "status"):
            np.testing.assert_array_equal(
                getattr(matrix.whole(), name), getattr(whole.whole(), name)
            )
        assert told.equals(problems)
        assert applied.equals(corrections)


def test_missing_spelt_as_a_number_in_a_table_of_numbers(sound: Sound) -> None:
    values = np.full((3, len(SUBJECTS)), 5.0)
    values[1, 0], values[2, 1] = -99, -99.5
    parquet_by_rows(sound, genes(values))
    sound.config["tables"]["measurements"][1]["na"] = ["-99"]
    matrix = sound.load().matrices[0].whole()
    assert np.isnan(matrix.value[1, 0])
    assert matrix.status[1, 0] == 2
    assert matrix.value[2, 1] == -99.5


def test_a_parquet_file_that_is_damaged_further_on(sound: Sound) -> None:
    values = np.random.default_rng(4).normal(size=(5000, len(SUBJECTS)))
    parquet_by_rows(sound, genes(values))
    path = sound.folder / "big.parquet"
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(raw)
    found = [p for p in sound.load().problems.errors if p.file == "big.parquet"]
    assert [p.rule for p in found] == ["file_unreadable"]
    assert "Write it again" in found[0].message


def test_percent_on_the_wrong_scale_is_suspect(sound: Sound) -> None:
    text = (sound.folder / "alterations.csv").read_text().splitlines()
    lines = [text[0]]
    for index, line in enumerate(text[1:]):
        lines.append(line[: line.rindex(",")] + f",0.{index + 10}")
    sound.write("alterations.csv", "\n".join(lines) + "\n")
    assert rules(sound.load()) == ["vaf_scale_suspect"]
    sound.entry("alterations")["vaf_scale"] = "fraction"
    assert clean(sound.load()).alterations["vaf"].iloc[0] == 0.10


# What is unlikely ---------------------------------------------------------------------------------


def test_a_value_of_a_wide_table_is_told_with_its_row(sound: Sound) -> None:
    """Also of an assay beside that of the runs table, whose runs have the names of the samples."""
    text = (sound.folder / "runs.csv").read_text()
    runs = [line.split(",") for line in text.splitlines()]
    sound.write(
        "runs.csv", "\n".join(",".join([r[1] if i else r[0], *r[1:]]) for i, r in enumerate(runs))
    )
    calls = (sound.folder / "alterations.csv").read_text().replace("\nR", "\nP")
    sound.write("alterations.csv", calls)
    proteins = ["sample_id,CXCL9,HGF"]
    proteins += [f"P{s}-0,{5 + 0.1 * i:.1f},{4 + i}" for i, s in enumerate(SUBJECTS)]
    proteins[4] = "P0004-0,5300,7"
    sound.write("proteins.csv", "\n".join(proteins) + "\n")
    sound.config["tables"]["measurements"].append(
        {"path": "proteins.csv", "layout": "wide", "key": "sample_id", "assay": "proteins"}
    )
    (problem,) = [p for p in sound.load().problems.found if p.rule == "value_thousandfold_off"]
    assert (problem.row, problem.column, problem.subject_id) == (5, "CXCL9", "0004")


def test_thousandfold() -> None:
    values = np.array([2.0, 1900, 2100, 2500, 1800, 3000, np.nan, 0])
    assert np.flatnonzero(thousandfold(values)).tolist() == [0]
    site = np.array([2.1, 1.9, 2.5, 1800, 2600, 2100, 1900, 2500, 2300])
    assert np.flatnonzero(thousandfold(site)).tolist() == [0, 1, 2]
    assert not thousandfold(10 ** np.linspace(-3, 4, 60)).any()  # a wide range without a gap
    assert not thousandfold(np.array([1.0, 1000, 2])).any()  # too few to tell


def test_long_tails_are_told_from_other_shapes() -> None:
    """Those whose interactions' limits cover too seldom are found; symmetric, counted and two-valued ones never."""
    rng = np.random.default_rng(1)
    for n, least in ((46, 0.75), (132, 0.97), (300, 0.99)):
        normal = rng.normal(size=(1000, n))
        assert long_tails(np.exp(normal)).mean() >= least
        assert long_tails(np.exp(0.5 * normal)).mean() <= 0.25
        for values in (
            10 + normal,
            np.abs(5 + 2 * normal),
            20 + rng.standard_t(4, size=normal.shape),
            rng.random(normal.shape),
            rng.poisson(5, size=normal.shape) + 1.0,
            (normal > 1) + 1.0,
            (normal > 1) + 0.0,
        ):
            assert long_tails(values).mean() <= 0.005


def test_long_tails() -> None:
    rng = np.random.default_rng(3)
    normal = rng.normal(10, 1, 60)
    tailed = np.exp(rng.normal(0, 1.2, 60))
    short = np.full(60, np.nan)
    short[:6] = [1, 1, 1, 1, 1, 100]
    with_zero = tailed.copy()
    with_zero[0] = 0
    assert long_tails(np.stack([normal, tailed, short, with_zero])).tolist() == [
        False,
        True,
        False,
        False,
    ]


def test_long_right_tail_is_told_once_a_biomarker(sound: Sound) -> None:
    sound.replace(
        "biomarkers.csv", "TK1,plasma,,continuous,,,log2", "TK1,plasma,,continuous,,,none"
    )
    text = (sound.folder / "blood.csv").read_text()
    for i, subject in enumerate(SUBJECTS):
        for k in (0, 1):
            text = text.replace(
                f"P{subject}-{k},TK1,{100 + 7 * i + k},",
                f"P{subject}-{k},TK1,{2.0 ** (i * 0.8):.2f},",
            )
    sound.write("blood.csv", text)
    assert rules(sound.load()) == ["long_right_tail"]


def test_a_prognostic_marker_in_the_family_of_interactions_is_told(sound: Sound) -> None:
    header, tk1, *rest = (sound.folder / "biomarkers.csv").read_text().splitlines()
    lines = [f"{header},hypothesis,family", f"{tk1},prognostic,confirmatory"]
    lines += [f"{line},predictive,confirmatory" for line in rest[:1]]
    lines += [f"{line},prognostic,exploratory" for line in rest[1:]]
    sound.write("biomarkers.csv", "\n".join(lines) + "\n")
    (problem,) = sound.load().problems.found
    assert (problem.rule, problem.row, problem.column) == (
        "confirmatory_not_predictive",
        2,
        "family",
    )
    assert "TK1 (plasma): its hypothesis is prognostic" in problem.message
    # One arm has no interaction: its confirmatory family is of prognostic tests.
    sound.config["study"] = {"id": "SOUND", "design": "single_arm"}
    assert rules(sound.load()) == []


def test_death_recorded_with_a_censored_endpoint(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0002,PFS,4,1,progression", "0002,PFS,10,0,other")
    found = sound.load().problems.found
    assert [(p.rule, p.subject_id, p.row) for p in found] == [("censored_at_event", "0002", 4)]


def test_a_coding_that_stands_already_is_not_advised(sound: Sound) -> None:
    text = (sound.folder / "outcomes.csv").read_text().splitlines()
    turned = [text[0]] + [
        ",".join([*cells[:3], "10"[int(cells[3])], *cells[4:]])
        for cells in (line.split(",") for line in text[1:])
    ]
    sound.write("outcomes.csv", "\n".join(turned) + "\n")
    sound.entry("outcomes")["event_coding"] = "censor"
    sound.replace("outcomes.csv", "0001,PFS,3,0,progression", "0001,PFS,3,1,progression")
    (problem,) = sound.load().problems.found
    assert problem.rule == "censored_at_event"
    assert "stands in the configuration, take it out" in problem.message


def test_progression_assessed_when_censored(sound: Sound) -> None:
    sound.replace("outcomes.csv", "0001,PFS,3,1,progression", "0001,PFS,3,0,")
    sound.append("assessments.csv", "0001,92,50,yes,PD")
    found = sound.load().problems.found
    assert [(p.rule, p.subject_id, p.row) for p in found] == [("censored_at_event", "0001", 2)]


def test_words_that_disagree_name_both_rows_and_values(sound: Sound) -> None:
    """The sound study says 1+ in row 4 of P0001-0, and HER2E in row 2 of T0001."""
    sound.append("blood.csv", "P0001-0,score,3+,,IHC,,")
    sound.append("rna.csv", "T0001,5.0,9.0,LumA")
    said = sorted(p.message for p in sound.load().problems.errors)
    assert len(said) == 2
    assert "score of sample P0001-0 is '1+' in row 4 and '3+' in row 74" in said[1]
    assert "SUBTYPE of sample T0001 is 'HER2E' in row 2 and 'LumA' in row 14" in said[0]


def test_words_may_repeat_be_numbered_or_resolved(sound: Sound) -> None:
    sound.append("blood.csv", "P0001-0,score,1+,,IHC,,")  # agrees
    sound.append("blood.csv", "P0002-0,TK1,900,U/L,TK1 activity,,")  # a number is averaged
    sound.append("rna.csv", "T0001,7.0,11.0,HER2E")
    assert clean(sound.load())
    sound.append("blood.csv", "P0001-0,score,3+,,IHC,b,")
    rna = (sound.folder / "rna.csv").read_text().splitlines()
    numbered = [f"{line},{i if i else 'replicate'}" for i, line in enumerate(rna)]
    sound.write("rna.csv", "\n".join([*numbered, "T0001,7.0,11.0,LumA,b"]) + "\n")
    assert clean(sound.load())
    sound.append("blood.csv", "P0003-0,score,1+,,IHC,,")
    assert rules(sound.load()) == ["duplicate_key"]
    sound.config["choose"] = {"replicates": "first"}
    assert clean(sound.load())
