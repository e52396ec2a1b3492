"""What runs again after a change, and what does not: content decides, and the plan says why.

A change of a table is taken through the check of the tables, which is one job; what would run after it is then
known, and asked for without running it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_runs import PROFILE, ROOT, Run, environment, snakemake, write_small_study

from correlatives import workflow

BLOOD = "Fitting the model of every blood marker"
TISSUE = "Fitting the model of every tissue marker"
ALTERATIONS = "Fitting the model of every alterations marker"
CLINICAL = "Fitting the model of every clinical marker"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the workflow whose code a test may edit."""
    folder = tmp_path_factory.mktemp("house")
    apart = {"tests", "docs", "results", "resources", "studies"}
    for source in ROOT.iterdir():
        if source.name.startswith(".") or source.name in apart:
            continue
        if source.is_dir():
            shutil.copytree(source, folder / source.name)
        else:
            shutil.copy2(source, folder / source.name)
    return folder


@pytest.fixture(scope="module")
def done(house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a small study has run to its end."""
    folder = tmp_path_factory.mktemp("done") / "study"
    folder.mkdir()
    write_small_study(folder, least=True)
    run = snakemake("--configfile", "study.yaml", cwd=folder, snakefile=house / "Snakefile")
    assert run.returncode == 0, run.text
    return folder


@pytest.fixture
def study(done: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished study that a test may change."""
    shutil.copytree(done, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def edit(house: Path) -> Iterator[object]:
    """Return a function that adds a line to a file of the workflow; the test's end takes it away."""
    before: dict[Path, bytes] = {}

    def add(name: str) -> None:
        path = house / name
        before[path] = path.read_bytes()
        path.write_bytes(before[path] + b"\n# edited\n")

    yield add
    for path, content in before.items():
        path.write_bytes(content)


def plan(study: Path, house: Path) -> Run:
    """Return what would run."""
    run = snakemake("-n", "--configfile", "study.yaml", cwd=study, snakefile=house / "Snakefile")
    assert run.returncode == 0, run.text
    return run


def plan_after_check(study: Path, house: Path) -> Run:
    """Check the tables, and return what would run after it."""
    run = snakemake(
        "check", "--configfile", "study.yaml", cwd=study, snakefile=house / "Snakefile"
    )
    assert run.returncode == 0, run.text
    assert "check_tables" in run.jobs()
    return plan(study, house)


def change_settings(study: Path, **sections: dict[str, object]) -> None:
    path = study / "study.yaml"
    config = yaml.safe_load(path.read_text())
    for section, values in sections.items():
        config.setdefault(section, {}).update(values)
    path.write_text(yaml.safe_dump(config, sort_keys=False))


def test_a_finished_study_has_nothing_to_do(study: Path, house: Path):
    run = plan(study, house)
    assert "Nothing to be done" in run.text
    assert run.planned() == set()


def test_dates_decide_nothing(study: Path, house: Path):
    """Every file gets another date: tables and results older and newer, in no order; the code newer."""
    for number, path in enumerate(sorted(study.rglob("*"))):
        if path.is_file() and ".snakemake" not in path.parts:
            stamp = path.stat().st_mtime + (-1) ** number * 1000 * number
            os.utime(path, (stamp, stamp))
    for path in (house / "scripts").rglob("*.py"):
        os.utime(path)
    assert "Nothing to be done" in plan(study, house).text


def test_the_order_of_rows_decides_nothing(study: Path, house: Path):
    """A table exported anew has its rows in another order: it is checked, and nothing more."""
    for path in sorted((study / "data").glob("*.csv")):
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *rows[::-1]]) + "\n")
    assert not plan_after_check(study, house).planned() & {
        "estimate_efficacy",
        "fit_biomarker_models",
        "analyse_resistance",
        "evaluate_response_model",
    }


def test_the_path_of_the_interpreter_decides_nothing(study: Path, house: Path, tmp_path: Path):
    """A freeze asks by another name than a run, and an environment may be reached by several paths."""
    (tmp_path / "environment").symlink_to(sys.prefix)
    said = subprocess.run(
        [
            *(tmp_path / "environment/bin/python", "-m", "snakemake", "-n"),
            *("--snakefile", house / "Snakefile", "--workflow-profile", PROFILE),
            *("--cores", "1", "--configfile", "study.yaml"),
        ],
        cwd=study,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Nothing to be done" in said.stdout + said.stderr


def test_a_new_batch_of_blood_results(study: Path, house: Path):
    blood = pd.read_csv(study / "data/blood_markers.csv", dtype=str)
    one = blood["biomarker"].iloc[0]
    blood[blood["biomarker"] == one].assign(biomarker="batch2").to_csv(
        study / "data/blood_batch_2.csv", index=False
    )
    config = yaml.safe_load((study / "study.yaml").read_text())
    config["tables"]["measurements"].append({"path": "data/blood_batch_2.csv"})
    (study / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    before = plan(study, house)
    (why,) = [r for job, r in before.reasons().items() if job.startswith("Reading, checking")]
    assert "data/blood_batch_2.csv is new" in why
    assert "tables.measurements: new is data/blood_batch_2.csv" in why
    # which parts of the cohort change is known when it is admitted
    assert "only if a part that it reads comes out different" in before.reasons()[BLOOD]

    after = plan_after_check(study, house)
    assert {BLOOD} == set(after.reasons()) & {BLOOD, TISSUE, ALTERATIONS, CLINICAL}
    assert "cohort/blood.parquet changed" in after.reasons()[BLOOD]
    assert {"fit_biomarker_models", "screen_biomarkers", "draw_biomarkers"} <= after.planned()
    assert after.planned().isdisjoint({"check_tables", "simulate_trial"})


def test_a_corrected_value_of_one_tissue_table(study: Path, house: Path):
    path = study / "data/tissue_scores.csv"
    table = pd.read_csv(path, dtype=str)
    row = table.index[pd.to_numeric(table["value"], errors="coerce") > 5][0]
    table.loc[row, "value"] = str(float(table.loc[row, "value"]) + 1)
    table.to_csv(path, index=False)

    before = plan(study, house)
    (why,) = [r for job, r in before.reasons().items() if job.startswith("Reading, checking")]
    assert why == "data/tissue_scores.csv changed"

    after = plan_after_check(study, house)
    assert {TISSUE} == set(after.reasons()) & {BLOOD, TISSUE, ALTERATIONS, CLINICAL}
    assert {"screen_biomarkers", "report"} <= after.planned()
    assert "check_tables" not in after.planned()


def test_a_table_that_says_the_same_in_another_order(study: Path, house: Path):
    """Its content changed, so it is read again; the cohort is the same, so nothing else is done."""
    path = study / "data/tissue_scores.csv"
    table = pd.read_csv(path, dtype=str)
    table.iloc[::-1].to_csv(path, index=False)
    after = plan_after_check(study, house)
    assert after.planned().isdisjoint(
        {"fit_biomarker_models", "screen_biomarkers", "estimate_efficacy", "evaluate_response_model"}
    )


def test_a_changed_figure_setting(study: Path, house: Path):
    change_settings(study, report={"subject_level": True})
    run = plan(study, house)
    assert {"draw_efficacy", "draw_resistance"} <= run.planned()
    assert run.planned().isdisjoint(
        {
            "check_tables",
            "admit_cohort",
            "estimate_efficacy",
            "fit_biomarker_models",
            "screen_biomarkers",
            "analyse_resistance",
            "evaluate_response_model",
        }
    )
    (why,) = [r for job, r in run.reasons().items() if job.startswith("Drawing survival")]
    assert why == "subject_level: false → true"


def test_a_changed_cutpoint(study: Path, house: Path):
    path = study / "data/biomarkers.tsv"
    table = pd.read_csv(path, sep="\t", dtype=str)
    row = table.index[table["biomarker"].eq("TK1")][0]
    assert table.loc[row, "cutpoint"] != "321"
    table.loc[row, "cutpoint"] = "321"
    table.to_csv(path, sep="\t", index=False)
    before = plan(study, house)
    (why,) = [r for job, r in before.reasons().items() if job.startswith("Reading, checking")]
    assert why == "data/biomarkers.tsv changed"
    after = plan_after_check(study, house)
    assert {BLOOD} == set(after.reasons()) & {BLOOD, TISSUE, ALTERATIONS, CLINICAL}
    assert "check_tables" not in after.planned()


def test_a_changed_number_of_randomisations_leaves_the_check_and_the_rest_alone(
    study: Path, house: Path
):
    change_settings(study, predictive={"randomisations": 29})
    run = plan(study, house)
    assert {BLOOD, TISSUE, ALTERATIONS, CLINICAL} <= set(run.reasons())
    assert run.reasons()[BLOOD] == "randomisations: 19 → 29"
    assert run.planned().isdisjoint(
        {"check_tables", "admit_cohort", "estimate_efficacy", "evaluate_response_model"}
    )


@pytest.mark.parametrize(
    ("module", "must", "must_not"),
    [
        (
            "correlatives/predictive/randomisation.py",
            {"fit_biomarker_models", "screen_biomarkers", "draw_biomarkers"},
            {"check_tables", "describe_cohort", "estimate_efficacy", "draw_efficacy"},
        ),
        (
            "correlatives/figures/waterfall.py",
            {"draw_efficacy", "report"},
            {"check_tables", "estimate_efficacy", "fit_biomarker_models", "draw_biomarkers"},
        ),
        (
            "correlatives/response/evaluation.py",
            {"evaluate_response_model", "summarise_response_models"},
            {"check_tables", "estimate_efficacy", "fit_biomarker_models", "analyse_resistance"},
        ),
    ],
)
def test_an_edited_module_reruns_the_jobs_that_import_it(
    study: Path, house: Path, edit, module: str, must: set[str], must_not: set[str]
):
    edit(f"scripts/{module}")
    run = plan(study, house)
    assert must <= run.planned()
    assert run.planned().isdisjoint(must_not)
    first = f"scripts/{module} was edited"
    assert any(first in why for why in run.reasons().values()), run.reasons()
    # every rule whose script imports the module is there, however many rules there are
    path = workflow.SCRIPTS / module
    importing = {
        script.stem
        for script in workflow.SCRIPTS.glob("*.py")
        if path in workflow.sources(script.stem)
    }
    assert importing & ran(house) <= run.planned()


def ran(house: Path) -> set[str]:
    """Return the rules of the workflow that a study of two arms runs."""
    folder = house / "nothing"
    if not folder.exists():
        folder.mkdir()
        write_small_study(folder, least=True)
    return plan(folder, house).planned()


def test_a_new_version_of_a_library_reruns_the_jobs_that_use_it(
    study: Path, house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another numba is found first on the path, as after an upgrade."""
    newer = tmp_path / "newer" / "numba-99.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text("Metadata-Version: 2.1\nName: numba\nVersion: 99.0\n")
    monkeypatch.setenv("PYTHONPATH", str(newer.parent))
    run = plan(study, house)
    assert "numba" in run.reasons()[BLOOD]
    assert "→ 99.0" in run.reasons()[BLOOD]
    using = {
        script.stem
        for script in workflow.SCRIPTS.glob("*.py")
        if "numba" in workflow.libraries(script.stem)
    }
    assert "fit_biomarker_models" in using
    assert using & ran(house) <= run.planned()
    assert "check_tables" not in using
    assert run.planned().isdisjoint({"check_tables", "admit_cohort"})


def test_an_edited_caption_makes_the_report_alone(study: Path, house: Path, edit):
    edit("workflow/report/table_one.rst")
    run = plan(study, house)
    assert "report" in run.planned()
    # the record of what was used, and what quotes it, go with the report
    publishing = {"record_provenance", "write_publication"}
    analyses = {script.stem for script in workflow.SCRIPTS.glob("*.py")} - publishing
    assert run.planned().isdisjoint(analyses)


def test_the_plan_is_in_plain_words(study: Path, house: Path, edit):
    """Nothing of what Snakemake says of parameters, provenance and how to switch them off is left."""
    edit("scripts/correlatives/predictive/randomisation.py")
    run = plan(study, house)
    for words in ("Params", "exclusive", "provenance information", "--rerun-triggers", "--cleanup-metadata", "Union"):
        assert words not in run.text, words
    reasons = run.reasons()
    assert len(reasons) >= 4
    assert max(map(len, reasons.values())) < 400
    # jobs are named by what they do, not by their rules
    screened = 'it reads what "Correcting for the number of markers looked at" will write'
    assert reasons["Drawing the biomarkers"] == screened
