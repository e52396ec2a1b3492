"""A Slurm on this machine, and a small study to send to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_slurm import Cluster
from small_runs import ROOT, environment, write_small_study

SLURM = ROOT / "profiles" / "slurm"

#: Everything but the report, which has the time in it.
QUESTIONS = ("check", "efficacy", "predictive", "resistance", "response")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Return the cluster: two nodes for everything, two more that a test may break."""
    ours = Cluster()
    ours.up()
    yield ours
    ours.down()


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small study; jobs on every node see it."""
    folder = tmp_path_factory.mktemp("study")
    write_small_study(folder, least=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def plain_surroundings() -> Iterator[None]:
    """Take away what this process has of Slurm's: jobs are told apart by it."""
    patch = pytest.MonkeyPatch()
    for name in environment():
        if name.startswith("SLURM_"):
            patch.delenv(name)
    yield
    patch.undo()
