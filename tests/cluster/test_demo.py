"""A study sent to Slurm through the shipped profile."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from conftest import QUESTIONS, SLURM
from local_slurm import Cluster
from small_runs import Run, command, different, environment, half_written, snakemake


def slurm(*arguments: str | Path, cwd: Path) -> Run:
    """Call Snakemake as a user of the cluster does."""
    done = subprocess.run(
        command("--profile", SLURM, *arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def both(folders: dict[str, Path], *targets: str) -> dict[str, Run]:
    """Run a study on this machine and another on the cluster, at the same time: waiting is most of the latter."""
    asked = (*targets, "--configfile", "study.yaml")
    with ThreadPoolExecutor(1) as thread:
        local = thread.submit(snakemake, *asked, cwd=folders["local"])
        runs = {"slurm": slurm(*asked, cwd=folders["slurm"]), "local": local.result()}
    for run in runs.values():
        assert run.returncode == 0, run.text
    return runs


@pytest.fixture(scope="module")
def folders(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return two copies of the small study, one for this machine and one for the cluster."""
    made = {name: tmp_path_factory.mktemp(name) / "study" for name in ("local", "slurm")}
    for folder in made.values():
        shutil.copytree(trial, folder)
    return made


@pytest.fixture(scope="module")
def sent(cluster: Cluster, folders: dict[str, Path]) -> tuple[Path, Run]:
    """Return the small study, run on the cluster from nothing, and what was printed."""
    return folders["slurm"], both(folders, *QUESTIONS)["slurm"]


def submitted(run: Run) -> list[str]:
    """Return the numbers of the Slurm jobs of a run."""
    return re.findall(r"submitted with SLURM jobid (\d+)", run.text)


def described(number: str) -> dict[str, str]:
    """Return what Slurm knows of a job."""
    shown = subprocess.run(
        ["scontrol", "show", "job", number], capture_output=True, text=True, check=True
    ).stdout
    return dict(word.split("=", 1) for word in shown.split() if "=" in word)


def test_the_results_are_those_of_a_local_run_byte_for_byte(
    sent: tuple[Path, Run], folders: dict[str, Path]
):
    folder, _ = sent
    assert (folder / "results/efficacy/survival_by_arm.tsv").exists()
    assert different(folders["local"] / "results", folder / "results") == []
    assert half_written(folder) == []


def test_a_study_is_tens_of_submissions_fewer_than_its_jobs(sent: tuple[Path, Run]):
    _, run = sent
    numbers, done = submitted(run), run.jobs()
    assert 0 < len(numbers) <= 40
    # local rules (the targets, the gate) are no submissions
    on_the_cluster = [name for name in done if name not in {*QUESTIONS, "admit_cohort"}]
    assert len(numbers) < len(on_the_cluster)


def test_every_submission_asks_for_memory_time_and_processors(sent: tuple[Path, Run]):
    _, run = sent
    for number in submitted(run):
        job = described(number)
        assert re.search(r"mem=[1-9]\d*(\.\d+)?[MG]", job["TRES"]), job
        assert re.fullmatch(r"(\d+-)?\d\d:\d\d:\d\d", job["TimeLimit"]), job
        assert int(job["NumCPUs"]) >= 1


def test_what_a_rule_asks_for_is_what_slurm_grants(sent: tuple[Path, Run]):
    _, run = sent
    (number,) = {
        number
        for number in submitted(run)
        if "check_tables" in described(number).get("Comment", "")
    }
    job = described(number)
    assert (
        "mem=1000M" in job["TRES"]
    )  # and three times the size of the tables, under a megabyte here
    assert job["TimeLimit"] == "00:30:00"


def test_nothing_is_sent_a_second_time(sent: tuple[Path, Run]):
    folder, _ = sent
    run = slurm(*QUESTIONS, "--configfile", "study.yaml", cwd=folder)
    assert run.returncode == 0, run.text
    assert submitted(run) == []


def test_a_corrected_value_is_taken_through_the_groups_as_on_one_machine(
    sent: tuple[Path, Run], folders: dict[str, Path]
):
    """Behind the gate some jobs of a group run again and some rest."""
    for folder in folders.values():
        path = folder / "data" / "tissue_scores.csv"
        table = pd.read_csv(path, dtype=str)
        row = table.index[pd.to_numeric(table["value"], errors="coerce") > 5][0]
        table.loc[row, "value"] = str(float(table.loc[row, "value"]) + 1)
        table.to_csv(path, index=False)
    runs = both(folders, "efficacy", "results/predictive/ORR.tsv")
    assert sorted(set(runs["slurm"].jobs())) == sorted(set(runs["local"].jobs()))
    fitted = [job for job in runs["slurm"].reasons() if "Fitting the model of" in job]
    assert any("tissue" in job for job in fitted)
    assert not any("blood" in job for job in fitted)
    assert different(folders["local"] / "results", folders["slurm"] / "results") == []
