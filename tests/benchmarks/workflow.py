"""What the workflow costs beside its work: imports, nothing to do, the demo. Prints; asserts nothing.

make bench
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]


def seconds(command: list[str], *, cwd: Path = ROOT, times: int = 3) -> float:
    """Return the shortest wall time of a command."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, cwd=cwd, check=True, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


def imports() -> dict[str, float]:
    """Return how long each script's imports take in a new interpreter, beyond starting Python."""
    bare = seconds([sys.executable, "-c", "pass"])
    found = {}
    for script in sorted((ROOT / "scripts").glob("*.py")):
        tree = ast.parse(script.read_text(encoding="utf-8"))
        lines = [
            ast.unparse(node)
            for node in tree.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
            and getattr(node, "module", "") != "__future__"
        ]
        if not any("correlatives" in line for line in lines):
            continue
        code = f"import sys; sys.path.insert(0, {str(ROOT / 'scripts')!r})\n" + "\n".join(lines)
        found[script.stem] = seconds([sys.executable, "-c", code]) - bare
    return found


def script_of(name: str) -> str | None:
    """Return the script whose job wrote a benchmark, None for a job without a script."""
    folder, _, job = name.rpartition("/")
    if folder == "response":
        known = {"summary": "summarise_response_models", "lock": "lock_response_models"}
        return known.get(job, "evaluate_response_model")
    if folder:
        known = {"screen": "screen_biomarkers", "draw": "draw_biomarkers"}
        if job.startswith("explore_continuous_markers"):
            return "explore_continuous_markers"
        return known.get(job, "fit_biomarker_models" if job.startswith("fit_") else job)
    return job if (ROOT / "scripts" / f"{job}.py").is_file() else None


def job_seconds(results: Path) -> dict[str, float]:
    """Return how long each job of a run took, by its benchmark."""
    return {
        path.relative_to(results / "benchmarks").with_suffix("").as_posix(): float(
            pd.read_csv(path, sep="\t")["s"].iloc[0]
        )
        for path in sorted((results / "benchmarks").rglob("*.tsv"))
    }


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    # what a user's shell does not have: without compiled files every start is twice as long
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    snakemake = [sys.executable, "-m", "snakemake"]
    version = seconds([*snakemake, "--version"])
    print(f"snakemake --version            {version:6.2f} s")

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "house"
        subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(here)], check=True
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        spent = {}
        for cores in ("2", "1"):
            shutil.rmtree(here / "results", ignore_errors=True)
            shutil.rmtree(here / "resources", ignore_errors=True)
            start = time.perf_counter()
            subprocess.run(
                [*snakemake, "--cores", cores],
                cwd=here,
                check=True,
                capture_output=True,
                env=environment,
            )
            spent[cores] = time.perf_counter() - start
        nothing = seconds([*snakemake, "--cores", "2"], cwd=here)
        jobs = job_seconds(here / "results")
    print(
        f"nothing to do                  {nothing:6.2f} s  ({nothing - version:+.2f} s; goal: +2.00 s)"
    )
    print(
        f"the demo, from nothing         {spent['2']:6.2f} s on two cores, {len(jobs)} measured jobs"
    )
    # On one core nothing waits for anything: what is not in a job is the workflow's.
    overhead = spent["1"] - sum(jobs.values())
    print(
        f"  on one core                  {spent['1']:6.2f} s, of which the workflow's own {overhead:.2f} s,"
        f" {overhead / spent['1']:.0%} (goal: under 20%)"
    )
    total = sum(jobs.values())
    print(f"  sum of its jobs              {total:6.2f} s, each a new interpreter:")
    slow = imports()
    importing = 0.0
    for name, taken in sorted(jobs.items(), key=lambda item: -item[1]):
        known = slow.get(script_of(name) or "", 0.0)
        importing += known
        print(f"    {name:34s} {taken:6.2f} s   imports {known:.2f} s")
    print(f"  imports, summed over the jobs{importing:6.2f} s, {importing / total:.0%} of them")


if __name__ == "__main__":
    main()
