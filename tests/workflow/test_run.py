"""The workflow as a user meets it: one command, targets, reruns, problems, deployment as a module."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Run, snakemake, tables
from documented_columns import disagreements
from small_runs import half_written

CONTRACT = {
    "check": ["problems", "flow", "inventory", "eligibility", "chosen_samples"],
    "cohort": ["cohort"],
    "efficacy": [
        "survival_by_arm",
        "survival_contrast",
        "milestones",
        "response_by_arm",
        "response_contrast",
    ],
    "predictive": ["PFS", "ORR"],
    "resistance": [
        "acquired",
        "acquired_by_arm",
        "acquired_by_timing",
        "paired_change",
        "dynamics",
        "lead_time",
        "concordance",
        "evidence",
        "pairs",
        "calls_set_aside",
        "alterations",
        "longitudinal",
        "time_dependent",
        "intrinsic",
        "concordance_by_class",
        "concordance_continuous",
    ],
    "response": ["performance", "sample_size"],
}


def again(folder: Path, *arguments: str) -> Run:
    return snakemake("--configfile", "study.yaml", *arguments, cwd=folder)


def test_one_command_writes_every_table_of_the_contract(finished: Path):
    for folder, names in CONTRACT.items():
        for name in names:
            table = pd.read_csv(finished / "results" / folder / f"{name}.tsv", sep="\t")
            assert len(table.columns) > 1, name


def test_every_column_of_every_table_is_explained(finished: Path):
    results, told = finished / "results", []
    for path in sorted(results.rglob("*.tsv")):
        table = path.relative_to(results).as_posix()
        if table.startswith(("benchmarks/", "cohort/", "logs/", "response/parts/")):
            continue
        with path.open(encoding="utf-8") as lines:
            header = lines.readline().rstrip("\n").split("\t")
        told += disagreements(re.sub(r"(PFS|OS|ORR)\.tsv$", "ENDPOINT.tsv", table), header)
    assert told == []


def test_every_figure_is_there_in_every_form(finished: Path):
    stems = {p.stem for p in (finished / "results/figures").glob("*.pdf")}
    assert {"flow", "inventory", "km_PFS", "waterfall", "swimmer", "oncoprint", "acquired"} <= stems
    assert {"alluvial", "slopes", "spaghetti", "km_landmark_PFS", "concordance"} <= stems
    assert {"agreement", "pairs_flow", "evidence", "dossier", "oncoprint_tissue"} <= stems
    for stem in stems:
        for kind in ("pdf", "svg", "png", "csv", "rst"):
            assert (finished / "results/figures" / f"{stem}.{kind}").stat().st_size > 0


def test_the_report_says_that_the_data_are_simulated(finished: Path):
    page = (finished / "results/report.html").read_text(encoding="utf-8")
    captions = list((finished / "results/figures").glob("*.rst"))
    assert len(captions) > 10
    assert all("Simulated data" in path.read_text(encoding="utf-8") for path in captions)
    assert page.count("Simulated data") > len(captions)
    # what docutils says of a caption that it could not read
    assert "System Message" not in page


def test_the_packed_report_unpacks_to_a_folder_of_its_name(finished: Path):
    names = zipfile.ZipFile(finished / "results/report.zip").namelist()
    assert "report/report.html" in names
    assert all(name.startswith("report/") for name in names)
    assert half_written(finished / "results") == []


def test_the_report_opens_in_a_browser(finished: Path, tmp_path: Path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: the report is not opened")
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    shown = subprocess.run(
        [
            chromium,
            *quiet.split(),
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=10000",
            "--dump-dom",
            (finished / "results/report.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    for words in ("Simulated data.", "Predictive biomarkers", "Resistance", "Efficacy", "Response"):
        assert words in shown, words


def test_nothing_to_do_the_second_time(copy: Path):
    run = again(copy)
    assert run.returncode == 0
    assert "Nothing to be done" in run.text
    assert run.jobs() == []


def test_a_touched_file_reruns_nothing(copy: Path):
    for path in (copy / "data").iterdir():
        path.touch()
    assert again(copy).jobs() == []


def test_changed_content_reruns_what_depends_on_it_whatever_its_date(copy: Path):
    path = copy / "data" / "tissue_scores.csv"
    stamp = path.stat()
    table = pd.read_csv(path, dtype=str)
    row = table.index[pd.to_numeric(table["value"], errors="coerce") > 5][0]
    table.loc[row, "value"] = str(float(table.loc[row, "value"]) + 1)
    table.to_csv(path, index=False)
    os.utime(path, (stamp.st_atime - 10_000, stamp.st_mtime - 10_000))
    run = again(copy)
    assert run.returncode == 0, run.text
    assert "Fitting the model of every tissue marker" in run.reasons()
    assert "Fitting the model of every blood marker" not in run.reasons()


def test_a_deleted_table_is_told(copy: Path):
    (copy / "data" / "responses.csv").unlink()
    run = again(copy)
    assert run.returncode != 0
    assert "responses.csv" in run.text
    assert "Traceback" not in run.text
    problems = pd.read_csv(copy / "results/check/problems.tsv", sep="\t", dtype=str)
    assert (problems["severity"] == "error").any()


def test_an_error_in_a_table_stops_at_the_gate_and_is_told_again_until_it_is_mended(copy: Path):
    path = copy / "data" / "outcomes.csv"
    sound = path.read_text()
    table = pd.read_csv(path, dtype=str)
    table.loc[3, "time"] = "-3.2"
    table.to_csv(path, index=False)
    for _ in range(2):
        run = again(copy)
        assert run.returncode != 0
        assert "Traceback" not in run.text
        assert "outcomes.csv" in run.text
        assert "-3.2" in run.text
        problems = pd.read_csv(copy / "results/check/problems.tsv", sep="\t", dtype=str)
        error = problems[problems["severity"] == "error"].iloc[0]
        assert (error["row"], error["column"], error["value"]) == ("5", "time", "-3.2")
    path.write_text(sound)
    assert again(copy).returncode == 0


def test_one_core_and_two_give_the_same_tables(finished: Path, study: Path):
    run = snakemake("--configfile", "study.yaml", cwd=study, cores=1)
    assert run.returncode == 0, run.text
    expected, found = tables(finished / "results"), tables(study / "results")
    assert sorted(expected) == sorted(found)
    assert [name for name in expected if expected[name] != found[name]] == []


def test_targets_answer_one_question(study: Path):
    run = snakemake("check", "--configfile", "study.yaml", cwd=study)
    assert run.returncode == 0, run.text
    assert {"check_tables", "admit_cohort"} <= set(run.jobs())
    assert not (study / "results" / "efficacy").exists()
    run = snakemake("efficacy", "--configfile", "study.yaml", cwd=study)
    assert run.returncode == 0, run.text
    assert not (study / "results" / "resistance").exists()


def test_a_single_arm_study_is_prognostic_throughout(study: Path):
    """Its figures and tables are drawn, and none of their names, captions and parameters speaks of prediction."""
    configuration = yaml.safe_load((study / "study.yaml").read_text(encoding="utf-8"))
    configuration["study"].update(id="one arm", design="single_arm", strata=[])
    del configuration["study"]["arms"]
    (study / "study.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    run = snakemake("predictive", "--configfile", "study.yaml", cwd=study)
    assert run.returncode == 0, run.text
    results = study / "results"
    assert not (results / "predictive").exists()
    named = {path.name for path in (results / "prognostic").glob("*.tsv")}
    assert {"PFS.tsv", "sensitivity_PFS.tsv"} <= named
    drawn = {path.stem for path in (results / "figures").glob("*.pdf")}
    assert "forest_prognostic_PFS" in drawn
    assert not any("predictive" in name for name in drawn)
    for path in [*results.rglob("*.rst"), *(results / "prognostic").glob("*.tsv")]:
        assert "predict" not in path.read_text(encoding="utf-8").lower(), path.name


def test_a_dry_run_shows_the_plan_and_writes_nothing(study: Path):
    run = snakemake("-n", "--configfile", "study.yaml", cwd=study)
    assert run.returncode == 0, run.text
    assert "check_tables" in run.text
    assert not (study / "results").exists()


def test_a_broken_configuration_is_told_in_plain_lines(study: Path):
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["study"]["desgin"] = config["study"].pop("design")
    config["predictive"]["alpha"] = 5
    (study / "study.yaml").write_text(yaml.safe_dump(config))
    run = snakemake("--configfile", "study.yaml", cwd=study)
    assert run.returncode != 0
    assert "Traceback" not in run.text
    assert "desgin" in run.text
    assert "alpha" in run.text


def test_results_of_another_study_are_refused(copy: Path):
    config = yaml.safe_load((copy / "study.yaml").read_text())
    config["study"]["id"] = "another"
    (copy / "study.yaml").write_text(yaml.safe_dump(config))
    run = again(copy)
    assert run.returncode != 0
    assert "small" in run.text
    assert "Traceback" not in run.text


def test_settings_on_the_command_line_count(study: Path):
    run = snakemake(
        "check", "--configfile", "study.yaml", "--config", "results_dir=elsewhere", cwd=study
    )
    assert run.returncode == 0, run.text
    assert (study / "elsewhere/check/problems.tsv").exists()
    assert not (study / "results").exists()


def test_the_workflow_can_be_deployed_as_a_module(study: Path):
    (study / "Snakefile").write_text(
        f"""
configfile: "study.yaml"

module correlatives:
    snakefile: "{ROOT / "workflow" / "Snakefile"}"
    config: config

use rule * from correlatives

rule mine:
    default_target: True
    input: rules.efficacy.input
"""
    )
    run = snakemake(cwd=study, snakefile=study / "Snakefile")
    assert run.returncode == 0, run.text
    assert (study / "results/efficacy/survival_by_arm.tsv").exists()
