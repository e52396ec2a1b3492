"""A script's job: whole results or none, and plain words when it fails."""

from __future__ import annotations

import errno
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, Wildcards

from correlatives.workflow import job


def rule(folder: Path, **output: str) -> SimpleNamespace:
    """Return what Snakemake puts into a script's namespace."""
    return SimpleNamespace(
        input=InputFiles(),
        output=OutputFiles(fromdict={key: str(folder / name) for key, name in output.items()}),
        params=Params(fromdict={"seed": 1}),
        wildcards=Wildcards(fromdict={"domain": "blood"}),
        log=Log([str(folder / "logs" / "job.log")]),
        threads=1,
        rule="fit",
    )


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "logs" not in path.parts
    }


TABLE = pd.DataFrame({"a": [1]})


def test_results_are_there_when_the_job_is_done_and_not_before(tmp_path: Path):
    with job(rule(tmp_path, first="one/a.tsv", second="two/b.tsv")) as step:
        step.write(TABLE, step.output.first)
        step.write(TABLE, step.output["second"])
        assert not (tmp_path / "one/a.tsv").exists()
        assert step.place(step.output.first) == tmp_path / "one/a.tsv"
    assert files(tmp_path) == {"one/a.tsv": "a\n1\n", "two/b.tsv": "a\n1\n"}
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "a.tsv",
        "b.tsv",
        "job.log",
        "logs",
        "one",
        "two",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc, which Linux has")
def test_a_log_ends_with_what_the_job_took_however_short_it_held_its_memory(tmp_path: Path):
    def held() -> int:
        with job(rule(tmp_path, first="a.tsv")) as step:
            step.write(TABLE, step.output.first)
        said = (tmp_path / "logs/job.log").read_text().splitlines()[-1]
        return int(
            re.fullmatch(r"Took \d+\.\d core seconds and at most (\d+) MiB of memory\.", said)[1]
        )

    before = held()
    momentary = np.ones(2 * (before + 100) * 2**17)  # twice as much, eight bytes each
    del momentary
    assert held() >= 2 * (before + 100)


def test_a_job_that_fails_leaves_nothing_and_what_was_there_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "a.tsv").write_text("earlier")
    with pytest.raises(SystemExit), job(rule(tmp_path, first="a.tsv", second="b.tsv")) as step:
        step.write(TABLE, step.output.first)
        raise ValueError("no subject is left")
    assert files(tmp_path) == {"a.tsv": "earlier"}
    assert "fit domain=blood failed: ValueError: no subject is left" in capsys.readouterr().err
    assert "Traceback" in (tmp_path / "logs/job.log").read_text()


def test_a_job_that_forgets_a_result_fails_and_leaves_none(tmp_path: Path):
    with pytest.raises(SystemExit), job(rule(tmp_path, first="b.tsv", second="a.tsv")) as step:
        step.write(TABLE, step.output.second)
    assert "b.tsv" not in files(tmp_path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no room left on the disk"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_machine_lacks_is_told_with_what_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception, words: str
):
    with pytest.raises(SystemExit), job(rule(tmp_path, first="a.tsv")):
        raise error
    said = capsys.readouterr().err
    assert words in said
    assert "run it again" in said


def test_what_a_killed_run_left_is_swept_away_by_the_next_run_of_that_job_alone(tmp_path: Path):
    def killed(**output: str) -> Path:
        printing = sys.stdout, sys.stderr
        started = job(rule(tmp_path, **output))
        started.__enter__()
        started.write(TABLE, started.output.first)
        sys.stdout, sys.stderr = printing
        started._file.close()
        return Path(started.output.first).parent

    mine, another = killed(first="a.tsv"), killed(first="b.tsv")
    # as from another process: the folder has its number
    mine = mine.rename(mine.with_name(f"{mine.name}1"))
    with job(rule(tmp_path, first="a.tsv")) as step:
        step.write(TABLE, step.output.first)
    assert not mine.exists()
    assert another.exists()
    assert (tmp_path / "a.tsv").read_text() == "a\n1\n"


def test_a_job_that_outlives_its_workflow_does_not_disturb_the_next_run(tmp_path: Path):
    """It wrote half of its result; the next run does the job; then the old one goes on and fails alone."""
    orphan = job(rule(tmp_path, first="a.tsv"))
    orphan._folder += "1"
    orphan.output = type(orphan.output)(
        toclone=rule(tmp_path, first="a.tsv").output, custom_map=orphan._staged
    )
    orphan.__enter__()
    with Path(orphan.output.first).open("w") as half:
        half.write("a\n")
        with job(rule(tmp_path, first="a.tsv")) as step:
            step.write(TABLE, step.output.first)
        half.write("2\n")
    with pytest.raises(SystemExit):
        orphan.__exit__(None, None, None)
    assert files(tmp_path) == {"a.tsv": "a\n1\n"}
