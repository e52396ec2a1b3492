"""What a study costs by its size: core time, memory and bytes, measured, fitted and checked on a size left out.

Runs the shipped study's screen at several sizes, a call of Snakemake a job, fits a model of a constant and of terms in
subjects, markers, endpoints and draws, and compares its forecast for the largest size, which is not fitted, with what was
measured. Core time is that of the job and of the Snakemake that starts it; CPU time is taken, not wall time, so that others on
the machine matter less. Memory is that of the benchmark file which the rule writes.

make cost                                                                  measures, goes on where it stopped
python tests/benchmarks/cost.py --subjects 140 --markers 850000            forecasts
"""

from __future__ import annotations

import argparse
import os
import resource
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
    (66, 500, 10_000),
    (132, 2_000, 10_000),
    (70, 8_000, 10_000),
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

#: A result of each job, in the order in which they are made: one call of Snakemake a job.
TARGETS = {
    "check_tables": "cohort/tissue.parquet",
    "describe_cohort": "cohort/cohort.tsv",
    "predictive/fit_tissue": f"predictive/fits/tissue/{ENDPOINTS[0]}.parquet",
    "predictive/screen": f"predictive/{ENDPOINTS[0]}.tsv",
}

UNITS = {"cells": "values", "tests": "tests", "drawn": "draws"}

WORDS = {
    "check_tables": "reading and checking",
    "describe_cohort": "the joined table",
    "predictive/fit_tissue": "models of the wide table",
    "predictive/screen": "other models, multiplicity",
    "results": "everything",
}

QUANTITIES = {"cpu_s": "core seconds", "memory_mb": "memory, MB", "megabytes": "disk, MB"}


def _children_s() -> float:
    """Return the CPU time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", "1", "--configfile", "study.yaml", "--"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    rows: list[dict[str, object]] = []
    for job, target in TARGETS.items():
        before = _children_s()
        subprocess.run(
            [*command, f"results/{target}"],
            cwd=folder,
            check=True,
            capture_output=True,
            env=environment,
        )
        table = pd.read_csv(folder / "results" / "benchmarks" / f"{job}.tsv", sep="\t").iloc[0]
        rows += [
            {"job": job, "quantity": "cpu_s", "value": round(_children_s() - before, 2)},
            {"job": job, "quantity": "memory_mb", "value": float(table["max_rss"])},
        ]
    results = folder / "results"
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


def document(table: pd.DataFrame) -> str:
    """Return the formulas and their check as Markdown: fitted on every size but the last measured of `SIZES`."""
    keys = table[["subjects", "markers", "draws"]].drop_duplicates()
    sizes = [Size(*key) for key in keys.to_numpy(dtype=int)]
    last = sizes[-1]
    left_out = (table["subjects"] == last.subjects) & (table["markers"] == last.markers)
    coefficients = fitted(table[~left_out])
    expected = forecast(last, coefficients)
    lines = [
        "| job | | formula | forecast | measured |",
        "|---|---|---|---|---|",
    ]
    for key, values in coefficients.items():
        job, quantity = key
        terms = [f"{values[0]:.3g}"] + [
            f"{value:.3g} × {UNITS[term]}"
            for value, term in zip(values[1:], TERMS[key], strict=True)
            if value > 0
        ]
        found = table[left_out & (table["job"] == job) & (table["quantity"] == quantity)]["value"]
        lines.append(
            f"| {WORDS[job]} | {QUANTITIES[quantity]} | {' + '.join(terms)} | {expected[key]:.0f} | {found.iloc[0]:.0f} |"
        )
    fits = ", ".join(f"{one.subjects} × {one.markers:,} × {one.draws:,}" for one in sizes[:-1])
    lines += [
        "",
        f"The formulas were fitted on {len(sizes) - 1} sizes (subjects × markers × draws: {fits}; {last.endpoints} endpoints). "
        f"Forecast and measured are of a size that was not: {last.subjects} × {last.markers:,} × {last.draws:,}.",
        "",
        "What another size takes: `python tests/benchmarks/cost.py --subjects 140 --markers 850000 --draws 10000`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is not measured yet and write the document; or forecast a size."""
    parser = argparse.ArgumentParser(description="What a study costs by its size.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/cost.tsv")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/cost.md")
    parser.add_argument("--work", type=Path, help="where studies are made, and removed again")
    parser.add_argument("--subjects", type=int, default=140)
    parser.add_argument("--markers", type=int, help="forecast, and measure nothing")
    parser.add_argument("--draws", type=int, default=10_000)
    asked = parser.parse_args()
    columns = ["subjects", "markers", "draws", "job", "quantity", "value"]
    table = (
        pd.read_csv(asked.out, sep="\t") if asked.out.exists() else pd.DataFrame(columns=columns)
    )
    if asked.markers is not None:
        size = Size(asked.subjects, asked.markers, asked.draws)
        for (job, quantity), expected in forecast(size, fitted(table)).items():
            print(f"{WORDS[job]:32s} {QUANTITIES[quantity]:14s} {expected:10.0f}")
        return
    for arm, markers, draws in SIZES:
        size = Size(2 * arm, markers, draws)
        there = (table["subjects"] == size.subjects) & (table["markers"] == size.markers)
        if not (there & (table["draws"] == size.draws)).any():
            with tempfile.TemporaryDirectory(dir=asked.work) as folder:
                rows = measured(size, Path(folder))
            table = pd.DataFrame([*table.to_dict("records"), *rows], columns=columns)
            table.to_csv(asked.out, sep="\t", index=False, lineterminator="\n")
            print(f"measured {size}", flush=True)
    prose = (Path(__file__).with_suffix(".md")).read_text(encoding="utf-8")
    asked.document.write_text(prose + document(table), encoding="utf-8")
    print(document(table))


if __name__ == "__main__":
    main()
