"""What a study costs by its size: core time, memory and bytes, measured, fitted and checked on sizes left out.

Runs what reads a wide table, a methylation array in Parquet, at several sizes, fits a model of a constant and of terms in
subjects, markers, endpoints and draws, and compares its forecast with what was measured at sizes that are not fitted. Core
seconds and memory are what each job's log says at its end; the Snakemake that starts a job comes on top.

make cost                                                                  measures, goes on where it stopped
python tests/benchmarks/cost.py --subjects 140 --markers 850000            forecasts
python tests/benchmarks/cost.py --subjects 140 --markers 850000 --draws 1000 --results FOLDER   adds a run of `wide_study.py` made elsewhere
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]

#: Subjects, markers of the wide table and draws that the formulas are fitted on.
SIZES = (
    (132, 4_000, 10_000),
    (132, 4_000, 1_000),
    (132, 12_000, 10_000),
    (264, 12_000, 1_000),
    (132, 40_000, 1_000),
)

#: What they are checked on: a size that is measured here, and the largest, which was measured on a cluster.
CHECKS = ((140, 20_000, 10_000), (140, 850_000, 1_000), (140, 850_000, 10_000))

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
    ("check", "cpu_s"): ("cells",),
    ("check", "memory_mib"): ("cells",),
    ("join", "cpu_s"): ("cells",),
    ("join", "memory_mib"): (),
    ("fit", "cpu_s"): ("tests", "drawn"),
    ("fit", "memory_mib"): ("tests",),
    ("screen", "cpu_s"): ("tests",),
    ("screen", "memory_mib"): ("tests",),
    ("look", "cpu_s"): ("tests",),
    ("look", "memory_mib"): ("tests",),
    ("results", "megabytes"): ("cells", "tests"),
}

#: Logs of the jobs that read the wide table or all of its tests. Memory is that of the one which held most.
LOGS = {
    "check": "check_tables.log",
    "join": "describe_cohort.log",
    "fit": "predictive/fit_blood*.log",
    "screen": "predictive/screen.log",
    "look": "predictive/[!fs]*.log",
}

UNITS = {"cells": "values", "tests": "tests", "drawn": "draws"}

WORDS = {
    "check": "reading and checking",
    "join": "the joined table",
    "fit": "models of the wide table",
    "screen": "multiplicity",
    "look": "figures and closer looks",
    "results": "everything",
}

QUANTITIES = {"cpu_s": "core seconds", "memory_mib": "memory, MiB", "megabytes": "disk, MB"}

#: What a log says at its end.
TAKEN = re.compile(r"Took (\S+) core seconds and at most (\d+) MiB of memory")


def measured(size: Size, folder: Path) -> list[dict[str, object]]:
    """Run what reads the wide table of a study of this size, and return what the jobs took."""
    make = [sys.executable, str(ROOT / "tests/benchmarks/wide_study.py"), str(folder)]
    make += [f"--subjects={size.subjects}", f"--markers={size.markers}"]
    subprocess.run([*make, f"--randomisations={size.draws}"], check=True, capture_output=True)
    command = [sys.executable, "-m", "snakemake", "predictive", "results/cohort/cohort.tsv"]
    subprocess.run(
        [*command, "--snakefile", ROOT / "Snakefile", "--cores", "1", "--configfile", "study.yaml"],
        cwd=folder,
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return taken(size, folder / "results")


def taken(size: Size, results: Path) -> list[dict[str, object]]:
    """Return what the jobs of a run took, by its logs."""
    rows: list[dict[str, object]] = []
    for job, pattern in LOGS.items():
        said = [TAKEN.search(log.read_text()) for log in sorted((results / "logs").glob(pattern))]
        if not said or not all(said):
            sys.exit(f"{results / 'logs' / pattern}: no log, or one of a job that did not end")
        rows += [
            {"job": job, "quantity": "cpu_s", "value": round(sum(float(x[1]) for x in said), 1)},
            {"job": job, "quantity": "memory_mib", "value": max(int(x[2]) for x in said)},
        ]
    written = sum(path.stat().st_size for path in results.rglob("*") if path.is_file())
    rows.append({"job": "results", "quantity": "megabytes", "value": round(written / 1e6, 1)})
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


def _of(table: pd.DataFrame, size: tuple[int, ...]) -> np.ndarray:
    """Say which rows are of a size."""
    return (table[["subjects", "markers", "draws"]].to_numpy() == np.array(size)).all(axis=1)


def document(table: pd.DataFrame) -> str:
    """Return the formulas and their check as Markdown."""
    checks = [size for size in CHECKS if _of(table, size).any()]
    left_out = np.any([_of(table, size) for size in CHECKS], axis=0)
    coefficients = fitted(table[~left_out])
    heads = [" × ".join(f"{number:,}" for number in size) for size in checks]
    lines = [
        "| job | | formula | "
        + " | ".join(f"{head}: forecast | measured" for head in heads)
        + " |",
        "|---|---|---|" + "--:|--:|" * len(heads),
    ]
    expected = {size: forecast(Size(*size), coefficients) for size in checks}
    for key, values in coefficients.items():
        job, quantity = key
        terms = [f"{values[0]:.3g}"] + [
            f"{value:.3g} × {UNITS[term]}"
            for value, term in zip(values[1:], TERMS[key], strict=True)
            if value > 0
        ]
        row = f"| {WORDS[job]} | {QUANTITIES[quantity]} | {' + '.join(terms)} |"
        for size in checks:
            of = table[_of(table, size) & (table["job"] == job) & (table["quantity"] == quantity)]
            row += f" {expected[size][key]:,.0f} | {of['value'].iloc[0]:,.0f} |"
        lines.append(row)
    fits = ", ".join(f"{n} × {markers:,} × {draws:,}" for n, markers, draws in SIZES)
    lines += [
        "",
        f"The formulas were fitted on {len(SIZES)} sizes (subjects × markers × draws: {fits}; {len(ENDPOINTS)} endpoints). "
        "Forecast and measured are of sizes that were not.",
        "",
        "What another size takes: `python tests/benchmarks/cost.py --subjects 140 --markers 850000 --draws 10000`.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is not measured yet and write the document; or forecast a size; or take a run made elsewhere."""
    parser = argparse.ArgumentParser(description="What a study costs by its size.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/cost.tsv")
    parser.add_argument("--document", type=Path, default=ROOT / "docs/cost.md")
    parser.add_argument("--work", type=Path, help="where studies are made, and removed again")
    parser.add_argument("--subjects", type=int, default=140)
    parser.add_argument("--markers", type=int, help="forecast, and measure nothing")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--results", type=Path, help="of a run of this size: add it, as a check")
    asked = parser.parse_args()
    columns = ["subjects", "markers", "draws", "job", "quantity", "value"]
    table = (
        pd.read_csv(asked.out, sep="\t") if asked.out.exists() else pd.DataFrame(columns=columns)
    )

    def keep(rows: list[dict[str, object]]) -> pd.DataFrame:
        kept = pd.DataFrame([*table.to_dict("records"), *rows], columns=columns)
        kept.to_csv(asked.out, sep="\t", index=False, lineterminator="\n")
        return kept

    if asked.markers is not None:
        size = Size(asked.subjects, asked.markers, asked.draws)
        if asked.results is None:
            for (job, quantity), expected in forecast(size, fitted(table)).items():
                print(f"{WORDS[job]:32s} {QUANTITIES[quantity]:14s} {expected:10.0f}")
            return
        table = table[~_of(table, (asked.subjects, asked.markers, asked.draws))]
        table = keep(taken(size, asked.results))
    for subjects, markers, draws in (*SIZES, CHECKS[0]):
        size = Size(subjects, markers, draws)
        if not _of(table, (subjects, markers, draws)).any():
            with tempfile.TemporaryDirectory(dir=asked.work) as folder:
                rows = measured(size, Path(folder))
            table = keep(rows)
            print(f"measured {size}", flush=True)
    prose = (Path(__file__).with_suffix(".md")).read_text(encoding="utf-8")
    asked.document.write_text(prose + document(table), encoding="utf-8")
    print(document(table))


if __name__ == "__main__":
    main()
