"""``make check``: what Snakemake would say of a configuration in its own words, said with file and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import ROOT


def check(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/check_configuration.py"), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_shipped_study_is_sound():
    done = check(ROOT / "config/config.yaml")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study:\n  id: one\n  design: [randomised\n", "line"),
        ("study:\n\tid: one\n", "YAML wants spaces"),
        (None, "there is no such file"),
    ],
)
def test_a_slip_is_told_with_its_place_and_without_a_traceback(
    tmp_path: Path, text: str | None, words: str
):
    path = tmp_path / "study.yaml"
    if text is not None:
        path.write_text(text)
    done = check(path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "study.yaml" in done.stderr
    assert "Traceback" not in done.stderr
