"""Small studies, and calls of Snakemake as a user makes them: what the tests of the workflow share."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
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

    def planned(self) -> set[str]:
        """Return the rules that a dry run lists."""
        table = self.text.partition("Job stats:\n")[2].partition("total")[0]
        return {line.split()[0] for line in table.splitlines()[2:] if line.strip()}

    def reasons(self) -> dict[str, str]:
        """Return why each job runs, by its message."""
        lines = self.text.splitlines()
        return {
            job.split(": ", 1)[1]: reason.removeprefix("Reason: ")
            for job, reason in itertools.pairwise(lines)
            if job.startswith("Job ") and reason.startswith("Reason: ")
        }


def command(*arguments: str | Path, snakefile: Path = ROOT / "Snakefile") -> list[str]:
    """Return a call of Snakemake."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *map(str, arguments)]


def environment() -> dict[str, str]:
    """Return the surroundings of a user's shell: one thread a job, warnings as they come, compiled files kept."""
    ours = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in ("PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"):
        ours.pop(name, None)
    return ours


def snakemake(
    *arguments: str | Path, cwd: Path, cores: int = 2, snakefile: Path = ROOT / "Snakefile"
) -> Run:
    """Call Snakemake in a folder with the default profile."""
    done = subprocess.run(
        command(
            "--workflow-profile", PROFILE, "--cores", str(cores), *arguments, snakefile=snakefile
        ),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout + done.stderr)


def tables(results: Path) -> dict[str, bytes]:
    """Return every table under a results folder, by name."""
    return contents(results, "*.tsv")


def contents(results: Path, *patterns: str) -> dict[str, bytes]:
    """Return every file under a results folder whose name fits one of the patterns, by name."""
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for pattern in patterns
        for path in sorted(results.rglob(pattern))
        if path.is_file() and not {"benchmarks", "logs"} & set(path.parts)
    }


#: What a run leaves that is the same whenever and wherever it is made. The report has the time in it.
RESULTS = (
    "*.tsv",
    "*.parquet",
    "*.pdf",
    "*.svg",
    "*.png",
    "*.csv",
    "*.rst",
    "*.json",
    "summary.txt",
)


def different(expected: Path, found: Path) -> list[str]:
    """Return the names of the results that are missing, too many or of other content in one of two folders."""
    one, two = contents(expected, *RESULTS), contents(found, *RESULTS)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def half_written(folder: Path) -> list[Path]:
    """Return what an interrupted job left beside the place of its results."""
    return sorted(path for path in folder.rglob("*.unfinished*"))


def write_small_study(folder: Path, *, least: bool = False, **predictive: object) -> None:
    """Write a small simulated study as a user's own: a configuration and its tables.

    With `least`, every question is still asked, of one endpoint and a handful of markers: for what is run
    many times over.
    """
    from correlatives.simulate import simulate_trial

    simulate_trial(seed=11, per_arm=(30, 30), genes=40).write(folder / "data")
    study = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study["study"]["id"] = "small"
    study["predictive"]["randomisations"] = 99
    study["endpoints"] = {k: study["endpoints"][k] for k in ("PFS", "OS", "ORR")}
    study["predictive"]["endpoints"] = ["PFS", "ORR"]
    study["predictive"] |= predictive
    study["response"] |= {"endpoints": ["ORR", "PFS"], "repeats": 2, "permutations": 3}
    del study["data_dir"]
    if least:
        study["endpoints"] = {k: study["endpoints"][k] for k in ("PFS", "ORR")}
        study["predictive"] |= {"endpoints": ["ORR"], "randomisations": 19}
        study["response"]["endpoints"] = ["ORR"]
        study["tables"]["measurements"] = [
            entry
            for entry in study["tables"]["measurements"]
            if Path(entry["path"]).name in ("blood_markers.csv", "tissue_scores.csv")
        ]
    for entries in study["tables"].values():
        for entry in entries if isinstance(entries, list) else [entries]:
            entry["path"] = f"data/{Path(entry['path']).name}"
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
