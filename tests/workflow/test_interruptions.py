"""What interrupts a run on one machine: it can be taken up again, and ends with the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import (
    PROFILE,
    command,
    different,
    environment,
    half_written,
    snakemake,
    write_small_study,
)

#: Jobs of every kind: the check and its gate, models, tables and figures; the chain to the end is eight jobs long.
TARGETS = ("efficacy", "response", "results/predictive/ORR.tsv")
KILLS = 10
PATIENCE = 900


@pytest.fixture(scope="module")
def least(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a study as small as can be."""
    folder = tmp_path_factory.mktemp("least")
    write_small_study(folder, least=True)
    return folder


@pytest.fixture(scope="module")
def undisturbed(least: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the results of a run that nothing interrupts, and how many jobs it took."""
    folder = tmp_path_factory.mktemp("undisturbed") / "study"
    shutil.copytree(least, folder)
    run = go_on(folder)
    assert run.returncode == 0, run.text
    return folder / "results", len(run.jobs())


@pytest.fixture
def study(least: Path, tmp_path: Path) -> Path:
    """Return a copy of the study that a test may disturb."""
    shutil.copytree(least, tmp_path / "study")
    return tmp_path / "study"


def go_on(folder: Path, *more: str):
    return snakemake(*TARGETS, *more, "--configfile", "study.yaml", cwd=folder)


# --- killed -----------------------------------------------------------------------------------------


def kill_after(
    folder: Path,
    jobs: int,
    seconds: float,
    *,
    whole: bool,
    said: str = "Finished jobid",
    more: tuple[str, ...] = (),
) -> bool:
    """Start a run, kill it some time after a number of jobs are done (or something was said as often), and say whether it still ran.

    `whole`: with everything it started, as when the power fails. Else Snakemake alone, whose jobs live on.
    """
    log = folder / "killed.log"
    with log.open("w") as out:
        run = subprocess.Popen(
            command(
                *("--workflow-profile", PROFILE, "--cores", "2"),
                *(*TARGETS, *more, "--configfile", "study.yaml"),
            ),
            cwd=folder,
            env=environment(),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    end = time.monotonic() + PATIENCE
    while run.poll() is None and log.read_text().count(said) < jobs:
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(seconds)
    alive = run.poll() is None
    if alive and whole:
        os.killpg(run.pid, signal.SIGKILL)
    elif alive:
        run.kill()
    run.wait()
    return alive


@pytest.mark.parametrize("turn", range(KILLS))
def test_a_run_killed_at_a_random_point_ends_with_the_same_bytes(
    study: Path, undisturbed: tuple[Path, int], turn: int
):
    expected, jobs = undisturbed
    # a new point every time; the seed is told when the test fails
    seed = int.from_bytes(os.urandom(4), "big")
    point = random.Random(seed)
    done, seconds, whole = point.randrange(jobs), point.uniform(0, 3), turn % 2 == 0
    where = f"seed {seed}: {seconds:.2f} s after {done} of {jobs} jobs, {'all' if whole else 'one'}"
    if kill_after(study, done, seconds, whole=whole):
        assert go_on(study, "--unlock").returncode == 0, where
    run = go_on(study)
    assert run.returncode == 0, f"{where}\n{run.text}"
    # what was done before is not done again
    assert len(run.jobs()) <= jobs, where
    assert different(expected, study / "results") == [], where


def test_a_run_after_a_kill_says_what_to_do(study: Path):
    assert kill_after(study, 0, 1.0, whole=True)
    run = go_on(study)
    if run.returncode:
        assert "--unlock" in run.text
        assert "Traceback" not in run.text


def test_a_job_that_outlived_its_run_is_said_to_have_been_interrupted(
    undisturbed: tuple[Path, int], tmp_path: Path
):
    study = tmp_path / "study"
    shutil.copytree(undisturbed[0].parent, study)
    again = ("--forcerun", "estimate_efficacy")
    (job, asked), *_ = go_on(study, "-n", *again).reasons().items()
    assert asked == "it was asked for, whatever its results are"
    result = study / "results/efficacy/survival_by_arm.tsv"
    assert kill_after(study, 1, 0.5, whole=False, said=job, more=again)
    # the job lives on, and nobody notes that it ended well
    end = time.monotonic() + PATIENCE
    while not result.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert go_on(study, "--unlock").returncode == 0
    assert go_on(study).reasons()[job] == "it was interrupted the last time"


# --- no room ----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(study: Path) -> Iterator[Path]:
    """Return the results folder of the study, on a disk of its own that holds 900 kB."""
    folder = study / "results"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(
    study: Path, small_disk: Path, undisturbed: tuple[Path, int]
):
    expected, jobs = undisturbed
    run = go_on(study)
    assert run.returncode != 0
    assert "there is no room left on the disk" in run.text
    assert "Traceback" not in run.text
    assert half_written(small_disk) == []
    finished = len(run.jobs())
    assert finished > 0
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    run = go_on(study)
    assert run.returncode == 0, run.text
    assert len(run.jobs()) <= jobs - finished + len(TARGETS)
    assert different(expected, small_disk) == []


# --- unreadable -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_an_input_that_cannot_be_read_is_told_and_mended(study: Path, kind: str):
    path = study / "data" / "responses.csv"
    aside = study / "aside.csv"
    path.rename(aside)
    if kind == "folder":
        path.mkdir()
        said = "is a folder, not a file"
    else:
        path.symlink_to("nowhere.csv")
        said = "is a link to nowhere.csv, and there is no such file"
    run = snakemake("check", "--configfile", "study.yaml", cwd=study)
    assert run.returncode != 0
    assert f"data/responses.csv {said}" in run.text
    assert "Traceback" not in run.text
    assert not (study / "results/cohort").exists() or not any((study / "results/cohort").iterdir())
    if kind == "folder":
        path.rmdir()
    else:
        path.unlink()
    aside.rename(path)
    run = snakemake("check", "--configfile", "study.yaml", cwd=study)
    assert run.returncode == 0, run.text
    assert (study / "results/cohort/outcomes.parquet").exists()
