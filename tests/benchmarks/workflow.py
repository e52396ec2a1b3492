"""What the workflow costs beside its work: imports, nothing to do, the demo. Prints; asserts nothing.

make bench
"""

from __future__ import annotations

import ast
import os
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


def script_of(name: str) -> str:
    """Return the script whose job wrote a benchmark."""
    folder, _, job = name.rpartition("/")
    if folder == "response":
        return "summarise_response_models" if job == "summary" else "evaluate_response_model"
    if folder:
        known = {"screen": "screen_biomarkers", "draw": "draw_biomarkers"}
        if job.startswith("explore_continuous_markers"):
            return "explore_continuous_markers"
        return known.get(job, "fit_biomarker_models" if job.startswith("fit_") else job)
    return job


def main() -> None:
    """Measure and print."""
    snakemake = [sys.executable, "-m", "snakemake"]
    version = seconds([*snakemake, "--version"])
    print(f"snakemake --version            {version:6.2f} s")

    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "house"
        subprocess.run(
            ["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(here)], check=True
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        start = time.perf_counter()
        subprocess.run(
            [*snakemake, "--cores", "2"], cwd=here, check=True, capture_output=True, env=environment
        )
        demo = time.perf_counter() - start
        nothing = seconds([*snakemake, "--cores", "2"], cwd=here)
        parts = sorted((here / "results" / "benchmarks").rglob("*.tsv"))
        jobs = {
            path.relative_to(here / "results/benchmarks").with_suffix("").as_posix(): float(
                pd.read_csv(path, sep="\t")["s"].iloc[0]
            )
            for path in parts
        }
    print(f"nothing to do                  {nothing:6.2f} s  ({nothing - version:+.2f} s)")
    print(f"the demo, from nothing         {demo:6.2f} s on two cores, {len(jobs)} measured jobs")
    total = sum(jobs.values())
    print(f"  sum of its jobs              {total:6.2f} s, each a new interpreter:")
    slow = imports()
    importing = 0.0
    for name, spent in sorted(jobs.items(), key=lambda item: -item[1]):
        known = slow[script_of(name)]
        importing += known
        print(f"    {name:34s} {spent:6.2f} s   imports {known:.2f} s")
    print(f"  imports, summed over the jobs{importing:6.2f} s, {importing / total:.0%} of them")


if __name__ == "__main__":
    main()
