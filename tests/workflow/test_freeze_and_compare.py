"""Freezing results and comparing freezes, as a user does; the record of where results come from."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, snakemake


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished study with its history, dates kept."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    return folder


def call(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of the project in a folder."""
    command = [sys.executable, str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_provenance_has_every_input_and_is_the_same_in_another_folder(
    finished: Path, study: Path
):
    recorded = json.loads((finished / "results/provenance.json").read_text())
    inputs = {one["file"]: one["sha256"] for one in recorded["inputs"]}
    on_disk = {
        path.relative_to(finished).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (finished / "data").iterdir()
        if path.name != "truth.yaml"
    }
    assert inputs == on_disk
    assert recorded["configuration"]["files"] == {
        "study.yaml": hashlib.sha256((finished / "study.yaml").read_bytes()).hexdigest()
    }
    assert {"Snakefile", "workflow/rules/check.smk", "scripts/check_tables.py"} <= set(
        recorded["code"]["files"]
    )
    assert {"fit_biomarker_models"} <= set(recorded["seeds"]["rules that draw"])
    assert str(finished) not in (finished / "results/provenance.json").read_text()
    run = snakemake(
        "elsewhere/provenance.json",
        "--configfile",
        "study.yaml",
        "--config",
        "results_dir=elsewhere",
        cwd=study,
    )
    assert run.returncode == 0, run.text
    assert (study / "elsewhere/provenance.json").read_bytes() == (
        finished / "results/provenance.json"
    ).read_bytes()


def test_results_are_frozen_compared_and_refused_while_out_of_date(copy: Path):
    first = call("freeze_results.py", "2026-05", "--study", "study.yaml", cwd=copy)
    assert first.returncode == 0, first.stderr
    place = copy / "freezes/2026-05"
    assert (place / "config/study.yaml").read_bytes() == (copy / "study.yaml").read_bytes()
    assert (place / "config/biomarkers/biomarkers.tsv").is_file()
    for name in ("provenance.json", "predictive/PFS.tsv", "figures/km_PFS.pdf", "report.html"):
        assert (place / name).read_bytes() == (copy / "results" / name).read_bytes(), name
    assert not (place / "logs").exists()

    again = call("freeze_results.py", "2026-05", "--study", "study.yaml", cwd=copy)
    assert again.returncode != 0
    assert "never overwritten" in again.stderr

    (copy / ".snakemake").rename(copy / "forgotten")
    said = "what changed since then cannot be seen from here"
    assert said in call("freeze_results.py", "2026-11", "--study", "study.yaml", cwd=copy).stderr
    assert said in snakemake("--configfile", "study.yaml", "-n", cwd=copy).text
    assert not (copy / "freezes/2026-11").exists()
    shutil.rmtree(copy / ".snakemake", ignore_errors=True)
    (copy / "forgotten").rename(copy / ".snakemake")

    path = copy / "data" / "blood_markers.csv"
    table = pd.read_csv(path, dtype=str)
    samples = pd.read_csv(copy / "data" / "samples.csv", dtype=str)
    baseline = samples.loc[samples["timepoint"].eq("baseline"), "sample_id"]
    measured = table["biomarker"].eq("TK1") & table["value"].str.fullmatch(r"[\d.]+")
    row = table.index[measured & table["run_id"].str.split("-").str[0].isin(baseline)][0]
    table.loc[row, "value"] = str(float(table.loc[row, "value"]) * 1.5)
    table.to_csv(path, index=False)
    stale = call("freeze_results.py", "2026-11", "--study", "study.yaml", cwd=copy)
    assert stale.returncode != 0
    assert "Reading, checking and joining the tables" in stale.stderr
    assert "Traceback" not in stale.stderr
    assert not (copy / "freezes/2026-11").exists()

    run = snakemake("--configfile", "study.yaml", cwd=copy)
    assert run.returncode == 0, run.text
    second = call("freeze_results.py", "2026-11", "--study", "study.yaml", cwd=copy)
    assert second.returncode == 0, second.stderr

    compared = call("compare_freezes.py", "2026-05", "2026-11", cwd=copy)
    assert compared.returncode == 0, compared.stderr
    assert "input: measurements: data/blood_markers.csv" in compared.stdout
    out = copy / "comparisons/2026-05_to_2026-11"
    people = pd.read_csv(out / "people.tsv", sep="\t", dtype=str)
    assert set(people["unit"]) == {"sample"}
    assert people["what"].str.contains("TK1").all()
    effects = pd.read_csv(out / "effects.tsv", sep="\t")
    moved = effects[effects["change"] == "moved"]
    own = moved[moved["row"].str.startswith("TK1 ") & (moved["table"] == "predictive/PFS.tsv")]
    assert len(own)
    assert set(own["cause"]) == {"its values in 1 changed"}
    assert (effects["table"] == "efficacy/survival_contrast.tsv").any()
    assert set(effects.loc[effects["table"].str.startswith("efficacy/"), "change"]) == {"same"}
    tables = pd.read_csv(out / "tables.tsv", sep="\t").set_index("table")
    assert tables.loc["predictive/PFS.tsv", "moved"] >= len(own)
    assert tables.index.isin(["efficacy/table_one.tsv", "check/flow.tsv"]).sum() == 0
    for kind in ("pdf", "svg", "png", "csv", "rst"):
        assert (out / f"what_moved.{kind}").stat().st_size > 0


def test_there_is_nothing_to_freeze_before_a_run(study: Path):
    refused = call("freeze_results.py", "2026-05", "--study", "study.yaml", cwd=study)
    assert refused.returncode != 0
    assert "no finished results of small" in refused.stderr
    assert not (study / "freezes").exists()


def test_a_freeze_that_is_not_there_cannot_be_compared(study: Path):
    refused = call("compare_freezes.py", "a", "b", cwd=study)
    assert refused.returncode != 0
    assert "There is no freeze freezes/a" in refused.stderr
    assert "Traceback" not in refused.stderr
