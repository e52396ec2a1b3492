"""Running the workflow as a user does, on a small simulated trial."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_runs import PROFILE, ROOT, Run, snakemake, tables, write_small_study

__all__ = ["PROFILE", "ROOT", "Run", "snakemake", "tables"]


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small simulated study, as a user's own: a configuration and its tables."""
    folder = tmp_path_factory.mktemp("study")
    write_small_study(folder)
    return folder


@pytest.fixture
def study(trial: Path, tmp_path: Path) -> Iterator[Path]:
    """Return a copy of the small study that a test may change."""
    shutil.copytree(trial, tmp_path / "study")
    yield tmp_path / "study"


@pytest.fixture(scope="session")
def finished(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the small study has run to its end."""
    folder = tmp_path_factory.mktemp("finished") / "study"
    shutil.copytree(trial, folder)
    run = snakemake("--configfile", "study.yaml", cwd=folder)
    assert run.returncode == 0, run.text
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished study with its history, dates kept."""
    folder = tmp_path / "study"
    shutil.copytree(finished, folder)
    return folder
