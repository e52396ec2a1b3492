"""What goes wrong on a cluster: the run goes on or can be taken up again, and ends with the same bytes.

All faults are brought about at the same time, each on a study of its own: most of the time is waiting for Slurm.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import SLURM
from local_slurm import Cluster
from small_runs import Run, command, contents, environment, half_written

#: One job on the cluster, and the gate behind it: what is tried here does not depend on which job it is.
TARGET = ("check", "--configfile", "study.yaml")
JOB = "check_tables"
PATIENCE = 420


class Workflow:
    """A call of Snakemake that runs beside the test."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.log = folder / "printed.log"
        with self.log.open("a") as out:
            self.process = subprocess.Popen(
                command("--profile", SLURM, *TARGET, *arguments),
                cwd=folder,
                env=environment(),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def submissions(self) -> list[str]:
        return re.findall(r"submitted with SLURM jobid (\d+)", self.log.read_text())

    def submission(self, nth: int = 0) -> str:
        """Wait for the nth submission and return its number."""
        wait_for(lambda: len(self.submissions()) > nth)
        return self.submissions()[nth]

    def end(self) -> Run:
        """Wait for the end."""
        self.process.wait(timeout=PATIENCE)
        return Run(self.process.returncode, self.log.read_text())


def wait_for(done: Callable[[], object], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


def script_of(number: str) -> int | None:
    """Return the process of the script that a Slurm job runs, None while there is none."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"SLURM_JOB_ID={number}".encode() in variables and any(
            word.endswith(b".py") and JOB.encode() in word for word in words[1:2]
        ):
            return int(folder.name)
    return None


def hold(number: str) -> int:
    """Stop the script of a Slurm job, as if it hung, and return its process."""
    found: list[int] = []

    def there() -> bool:
        pid = script_of(number)
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            found.append(pid)
        return pid is not None

    wait_for(there)
    return found[0]


def node_of(number: str) -> str:
    return subprocess.run(
        ["squeue", "-h", "-j", number, "-o", "%N"], capture_output=True, text=True, check=True
    ).stdout.strip()


# --- the faults -------------------------------------------------------------------------------------


def cancelled(folder: Path, cluster: Cluster) -> Run:
    run = Workflow(folder)
    number = run.submission()
    hold(number)
    subprocess.run(["scancel", number], check=True)
    return run.end()


def over_memory(folder: Path, cluster: Cluster) -> Run:
    return Workflow(folder, "--set-resources", f"{JOB}:mem_mb=220*attempt*attempt").end()


def over_time(folder: Path, cluster: Cluster) -> Run:
    run = Workflow(folder, "--set-resources", f"{JOB}:runtime=attempt")
    hold(run.submission())
    return run.end()


def node_lost(folder: Path, cluster: Cluster) -> Run:
    run = Workflow(folder, "--default-resources", "slurm_partition=spare")
    number = run.submission()
    hold(number)
    node = node_of(number)
    assert node in cluster.spare
    cluster.lose_node(node)
    try:
        return run.end()
    finally:
        cluster.start_node(node)


def workflow_killed(folder: Path, cluster: Cluster) -> Run:
    run = Workflow(folder)
    pid = hold(run.submission())
    run.process.kill()
    run.process.wait()
    # The lock is told in Snakemake's words, which say what to do.
    locked = Workflow(folder).end()
    assert locked.returncode != 0
    assert "--unlock" in locked.text
    assert "Traceback" not in locked.text
    subprocess.run(
        command("--profile", SLURM, *TARGET, "--unlock"),
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
    )
    # The job of the dead workflow lives on, and ends while the next run does the same job.
    again = Workflow(folder)
    again.submission(1)
    os.kill(pid, signal.SIGCONT)
    return again.end()


FAULTS = (cancelled, over_memory, over_time, node_lost, workflow_killed)


@pytest.fixture(scope="module")
def expected(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what the target writes on this machine, when nothing goes wrong."""
    from small_runs import snakemake

    folder = tmp_path_factory.mktemp("sound") / "study"
    shutil.copytree(trial, folder)
    run = snakemake(*TARGET, cwd=folder)
    assert run.returncode == 0, run.text
    return contents(folder / "results", "*.tsv", "*.parquet", "summary.txt")


@pytest.fixture(scope="module")
def runs(
    cluster: Cluster, trial: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Path, Future[Run]]]]:
    """Bring about every fault, all at once."""
    started = {}
    with ThreadPoolExecutor(len(FAULTS)) as threads:
        for fault in FAULTS:
            folder = tmp_path_factory.mktemp(fault.__name__) / "study"
            shutil.copytree(trial, folder)
            started[fault.__name__] = folder, threads.submit(fault, folder, cluster)
        yield started


@pytest.fixture(params=[fault.__name__ for fault in FAULTS])
def after(
    request: pytest.FixtureRequest, runs: dict[str, tuple[Path, Future[Run]]]
) -> tuple[str, Path, Run]:
    """Return the name of a fault, the study it happened to, and what was printed."""
    folder, run = runs[request.param]
    return request.param, folder, run.result()


def test_the_run_ends_with_the_same_bytes(after: tuple[str, Path, Run], expected: dict[str, bytes]):
    _, folder, run = after
    assert run.returncode == 0, run.text
    assert contents(folder / "results", "*.tsv", "*.parquet", "summary.txt") == expected
    assert half_written(folder) == []


def test_what_went_wrong_is_told_without_a_traceback(after: tuple[str, Path, Run]):
    fault, _, run = after
    assert "Traceback" not in run.text
    if fault != "workflow_killed":
        assert re.search(r"SLURM-job '\d+' failed", run.text), run.text


def test_the_job_was_sent_again(after: tuple[str, Path, Run]):
    _, _, run = after
    numbers = re.findall(r"submitted with SLURM jobid (\d+)", run.text)
    assert len(numbers) >= 2


def test_a_job_that_was_too_small_gets_more(runs: dict[str, tuple[Path, Future[Run]]]):
    for fault, field in (("over_memory", "MinMemoryNode"), ("over_time", "TimeLimit")):
        _, run = runs[fault]
        numbers = re.findall(r"submitted with SLURM jobid (\d+)", run.result().text)
        asked = [
            re.search(
                rf"{field}=(\S+)",
                subprocess.run(
                    ["scontrol", "show", "job", number], capture_output=True, text=True, check=True
                ).stdout,
            )[1]
            for number in numbers
        ]
        assert len(set(asked)) == len(asked), (fault, asked)
