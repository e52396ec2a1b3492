"""Every benchmark starts from any folder as its first lines say, and says what it measures before it measures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = sorted((Path(__file__).resolve().parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_benchmark_says_what_it_is(program: Path, tmp_path: Path):
    run = subprocess.run(
        [sys.executable, str(program), "--help"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"usage: {program.name}"), run.stdout
    # a description, not the options alone
    assert run.stdout.count("\n\n") >= 2, run.stdout


def test_a_wide_study_is_written_as_the_first_lines_say(tmp_path: Path):
    (program,) = [path for path in PROGRAMS if path.stem == "wide_study"]
    run = subprocess.run(
        [sys.executable, str(program), "study", "--markers", "50", "--subjects", "20"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["study/study.yaml"]
    assert (tmp_path / "study/data/methylation.parquet").is_file()
