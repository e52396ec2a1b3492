"""What a study costs by its size: core time, memory and bytes, measured, fitted and checked on a size left out.

Runs the shipped study's screen at several sizes, reads the benchmark files that every rule writes, fits a model of a
constant and of terms in subjects, markers, endpoints and draws, and compares its forecast for the largest size, which
is not fitted, with what was measured. CPU time is taken, not wall time, so that others on the machine matter less.

python tests/benchmarks/cost.py --out docs/cost.tsv [--work FOLDER]     measures (an hour of one core), goes on where it stopped
python tests/benchmarks/cost.py --out docs/cost.tsv --subjects 140 --markers 850000 --draws 10000     forecasts
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[2]

#: Subjects an arm, markers of the wide table, draws. The last is the check.
SIZES = (
    (66, 2_000, 10_000),
    (66, 2_000, 1_000),
    (132, 2_000, 10_000),
    (66, 8_000, 1_000),
    (66, 8_000, 10_000),
    (100, 20_000, 10_000),
)

ENDPOINTS = ("PFS", "OS", "ORR")


@dataclass(frozen=True)
class Size:
    """Of a study."""

    subjects: int
    markers: int
    draws: int
    endpoints: int = len(ENDPOINTS)

    @property
    def cells(self) -> float:
        """Million values of markers."""
        return self.subjects * self.markers / 1e6

    @property
    def tests(self) -> float:
        """Thousand tests."""
        return self.markers * self.endpoints / 1e3

    @property
    def drawn(self) -> float:
        """Thousand million products of a draw with a value: the work of the randomisation test."""
        return self.cells * self.endpoints * self.draws / 1e3


#: What a job's cost is made of beside a constant: (job, quantity) -> terms.
TERMS = {
    ("check_tables", "cpu_s"): ("cells",),
    ("check_tables", "memory_mb"): ("cells",),
    ("describe_cohort", "cpu_s"): ("cells",),
    ("describe_cohort", "memory_mb"): ("cells",),
    ("predictive/fit_tissue", "cpu_s"): ("tests", "drawn"),
    ("predictive/fit_tissue", "memory_mb"): ("cells", "tests"),
    ("predictive/screen", "cpu_s"): ("tests",),
    ("predictive/screen", "memory_mb"): ("tests",),
    ("results", "megabytes"): ("cells", "tests"),
}

UNITS = {"cells": "million values", "tests": "thousand tests", "drawn": "thousand million products"}


def measured(size: Size, folder: Path) -> list[dict[str, object]]:
    """Run the screen of a simulated study of this size and return what its jobs took."""
    simulate = [sys.executable, str(ROOT / "scripts/simulate_trial.py"), str(folder / "data")]
    arm = size.subjects // 2
    simulate += [f"--control={arm}", f"--experimental={arm}", f"--genes={size.markers}"]
    subprocess.run(simulate, check=True, capture_output=True)
    study = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    study["data_dir"] = "data"
    study["predictive"] |= {"endpoints": list(ENDPOINTS), "randomisations": size.draws}
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    targets = ["results/cohort/cohort.tsv", f"results/predictive/{ENDPOINTS[0]}.tsv"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", "1", *targets, "--configfile", "study.yaml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    results = folder / "results"
    rows: list[dict[str, object]] = []
    for job in dict.fromkeys(job for job, _ in TERMS if job != "results"):
        table = pd.read_csv(results / "benchmarks" / f"{job}.tsv", sep="\t").iloc[0]
        rows += [
            {"job": job, "quantity": "cpu_s", "value": float(table["cpu_time"])},
            {"job": job, "quantity": "memory_mb", "value": float(table["max_rss"])},
        ]
    written = sum(path.stat().st_size for path in results.rglob("*") if path.is_file())
    rows.append({"job": "results", "quantity": "megabytes", "value": written / 1e6})
    return [
        {"subjects": size.subjects, "markers": size.markers, "draws": size.draws, **row}
        for row in rows
    ]


def design(sizes: list[Size], terms: tuple[str, ...]) -> np.ndarray:
    """Return a constant and the terms of each size."""
    return np.array([[1.0, *(getattr(size, term) for term in terms)] for size in sizes])


def fitted(table: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return the coefficients of each quantity, none below 0, fitted on relative errors."""
    from scipy.optimize import nnls

    found = {}
    for (job, quantity), terms in TERMS.items():
        rows = table[(table["job"] == job) & (table["quantity"] == quantity)]
        sizes = [Size(*key) for key in rows[["subjects", "markers", "draws"]].to_numpy(dtype=int)]
        value = rows["value"].to_numpy(dtype=float)
        weighted = design(sizes, terms) / value[:, None]
        scale = weighted.max(axis=0)
        found[job, quantity] = nnls(weighted / scale, np.ones(len(value)))[0] / scale
    return found


def forecast(
    size: Size, coefficients: dict[tuple[str, str], np.ndarray]
) -> dict[tuple[str, str], float]:
    """Return what each job of a study of this size is expected to take."""
    return {
        key: float((design([size], TERMS[key]) @ values)[0]) for key, values in coefficients.items()
    }


def main() -> None:
    """Measure what is not measured yet, fit, check and print; or forecast a size."""
    parser = argparse.ArgumentParser(description="What a study costs by its size.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/cost.tsv")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--subjects", type=int)
    parser.add_argument("--markers", type=int)
    parser.add_argument("--draws", type=int, default=10_000)
    asked = parser.parse_args()
    columns = ["subjects", "markers", "draws", "job", "quantity", "value"]
    table = (
        pd.read_csv(asked.out, sep="\t") if asked.out.exists() else pd.DataFrame(columns=columns)
    )
    sizes = [Size(2 * arm, markers, draws) for arm, markers, draws in SIZES]
    if asked.markers is None:
        for size in sizes:
            there = (table["subjects"] == size.subjects) & (table["markers"] == size.markers)
            if (there & (table["draws"] == size.draws)).any():
                continue
            with tempfile.TemporaryDirectory(dir=asked.work) as folder:
                rows = measured(size, Path(folder))
            table = pd.DataFrame([*table.to_dict("records"), *rows], columns=columns)
            table.to_csv(asked.out, sep="\t", index=False, lineterminator="\n")
            print(f"measured {size}", flush=True)
    last = sizes[-1]
    left_out = (table["subjects"] == last.subjects) & (table["markers"] == last.markers)
    coefficients = fitted(table[~left_out])
    print("fitted on the sizes but the last: a constant, and")
    for (job, quantity), values in coefficients.items():
        terms = " + ".join(
            f"{value:.3g} x {UNITS[term]}"
            for value, term in zip(values[1:], TERMS[job, quantity], strict=True)
        )
        print(f"  {job:24s} {quantity:10s} {values[0]:8.3g} + {terms}")
    print(f"forecast and measured at {last}")
    for (job, quantity), expected in forecast(last, coefficients).items():
        found = table[left_out & (table["job"] == job) & (table["quantity"] == quantity)]["value"]
        for value in found:
            print(
                f"  {job:24s} {quantity:10s} {expected:9.1f} {value:9.1f} ({expected / value:.2f})"
            )
    if asked.markers is not None:
        size = Size(asked.subjects, asked.markers, asked.draws)
        print(f"forecast at {size}, from all sizes")
        for (job, quantity), expected in forecast(size, fitted(table)).items():
            print(f"  {job:24s} {quantity:10s} {expected:9.1f}")


if __name__ == "__main__":
    main()
