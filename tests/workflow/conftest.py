"""Running the workflow as a user does, on a small simulated trial."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROFILE = ROOT / "profiles" / "default"


@dataclass
class Run:
    """What a call of Snakemake printed, and how it ended."""

    returncode: int
    text: str

    def jobs(self) -> list[str]:
        """Return the rules that ran, in order."""
        return [
            line.split("(Rule: ")[1].rstrip(")")
            for line in self.text.splitlines()
            if line.startswith("Finished jobid") and "(Rule: " in line
        ]


def snakemake(
    *arguments: str | Path, cwd: Path, cores: int = 2, snakefile: Path = ROOT / "Snakefile"
) -> Run:
    """Call Snakemake in a folder with the default profile."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONWARNINGS", None)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            str(snakefile),
            "--workflow-profile",
            str(PROFILE),
            "--cores",
            str(cores),
            *map(str, arguments),
        ],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def tables(results: Path) -> dict[str, bytes]:
    """Return every table under a results folder, by name."""
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in sorted(results.rglob("*.tsv"))
        if "benchmarks" not in path.parts
    }


@pytest.fixture(scope="session")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small simulated study, as a user's own: a configuration and its tables."""
    from correlatives.simulate import simulate_trial

    folder = tmp_path_factory.mktemp("study")
    simulate_trial(seed=11, per_arm=(30, 30), genes=40).write(folder / "data")
    study = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study["study"]["id"] = "small"
    study["data_dir"] = "data"
    study["predictive"]["randomisations"] = 99
    study["endpoints"] = {k: study["endpoints"][k] for k in ("PFS", "OS", "ORR")}
    study["predictive"]["endpoints"] = ["PFS", "ORR"]
    study["response"]["endpoints"] = ["ORR", "PFS"]
    del study["data_dir"]
    for entries in study["tables"].values():
        for entry in entries if isinstance(entries, list) else [entries]:
            entry["path"] = f"data/{Path(entry['path']).name}"
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
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
