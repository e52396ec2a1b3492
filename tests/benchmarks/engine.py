"""What the engine of Cox models costs a marker, against itself done carefully and against other software.

Ours is the null model, the interaction model and their likelihood-ratio test; every other program fits the
interaction model only, on the same data in the same run. Slow programs get few markers, and their cost a marker is what
is printed. CPU time a thread is steadier than wall time where others use the machine. What is not installed is said to
be absent: `make bench-peers` installs lifelines and the PyPI package survival in an environment of their own, Debian has
R as r-base-core and r-cran-survival. Prints; asserts nothing but that R finds the same interactions.

python tests/benchmarks/engine.py
"""

# ruff: noqa: E402 (the number of threads is set before NumPy reads it)

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers import ABSENT

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from correlatives.survival.cox import fit_cox_many
from correlatives.survival.engine import fit_interactions

THREADS = 2
SIZES = ((46, 20_000), (200, 20_000), (1_000, 2_000))

#: Markers that each of the other programs gets.
PEERS = {"survival": 300, "statsmodels": 5, "lifelines": 5}
R_MARKERS = 100

HERE = Path(__file__).resolve().parent
#: Environment of `make bench-peers`.
PEERS_PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"


def trial(n: int, p: int, *, adjusted: bool = False, missing: float = 0.0) -> dict:
    """Simulate times, arms and normal markers; two strata and three covariates where adjusted."""
    random = np.random.default_rng(n + p)
    time_to_event, censored = random.exponential(size=n), random.exponential(2.0, n)
    data = {
        "time": np.minimum(time_to_event, censored),
        "event": (time_to_event <= censored).astype(float),
        "arm": (np.arange(n) % 2).astype(float),
        "markers": random.normal(size=(p, n)),
    }
    if adjusted:
        data |= {"strata": np.arange(n) // 2 % 2, "covariates": random.normal(size=(n, 3))}
    if missing:
        data["include"] = random.random((p, n)) >= missing
    return data


def cost(work: Callable[[], object], markers: int, times: int = 3) -> tuple[float, float]:
    """Return the least wall and CPU microseconds a marker."""
    walls, cpus = [], []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls) / markers * 1e6, min(cpus) / markers * 1e6


def line(name: str, found: tuple[float, float], reference: float, said: str = "") -> None:
    """Print one program's cost, and how many times ours it is (CPU)."""
    wall, cpu = found
    print(f"  {name:<42}{wall:>11.2f}{cpu:>11.2f}{cpu / reference:>9.1f} x  {said}")


def run(command: list[str]) -> tuple[int, str, float]:
    """Run a program; return its exit code, what it printed, and the MiB it took at its peak."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return process.returncode, said, usage.ru_maxrss / 1024


def peers(data: dict, reference: float) -> None:
    """Measure the other programs on the same data, as many markers as they can bear."""
    time_, event, arm, markers = (data[name] for name in ("time", "event", "arm", "markers"))
    covariates = data.get("covariates", np.zeros((len(arm), 0)))
    strata = data.get("strata")
    few = markers[:300]
    parts = [few, arm, *covariates.T, arm * few]
    stacked = np.stack([np.broadcast_to(part, few.shape) for part in parts], axis=2)
    found = cost(lambda: fit_cox_many(time_, event, stacked, None, strata), len(few), 2)
    line("fit_cox_many, NumPy", found, reference, f"{len(few)} markers")
    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "data.npz"
        np.savez(stored, **(data | {"markers": markers[:301]}))
        for program, count in PEERS.items():
            elsewhere = PEERS_PYTHON.exists() and program != "statsmodels"
            python = str(PEERS_PYTHON) if elsewhere else sys.executable
            code, said, memory = run(
                [python, str(HERE / "peers.py"), program, str(stored), str(count)]
            )
            if code:
                print(f"  {program:<42}{'absent' if code == ABSENT else 'failed':>11}")
                continue
            wall, cpu = (float(part) for part in said.split())
            line(program, (wall, cpu), reference, f"{count} markers, {memory:.0f} MiB")
        if not shutil.which("Rscript"):
            print(f"  {'R, coxph() and coxph.fit()':<42}{'absent':>11}")
            return
        table = Path(folder) / "data.csv"
        names = [
            *("time", "event", "arm"),
            *(["strata"] if strata is not None else []),
            *(f"c{j}" for j in range(covariates.shape[1])),
            *(f"m{j}" for j in range(R_MARKERS)),
        ]
        kept = [time_, event, arm, *([strata] if strata is not None else []), *covariates.T]
        np.savetxt(
            table,
            np.column_stack([*kept, *markers[:R_MARKERS]]),
            delimiter=",",
            header=",".join(names),
            comments="",
            fmt="%.17g",
        )
        code, said, memory = run(["Rscript", str(HERE / "peers.R"), str(table)])
        if code:
            print(f"  {'R, coxph() and coxph.fit()':<42}{'failed':>11}")
            return
        *costs, coefficients = said.strip().splitlines()
        for name, text in zip(("R, coxph()", "R, coxph.fit()"), costs, strict=True):
            wall, cpu = (float(part) for part in text.split())
            line(name, (wall, cpu), reference, f"{R_MARKERS} markers, {memory:.0f} MiB")
        ours = fit_interactions(**(data | {"markers": markers[:5]})).full.coefficients[:, -1]
        theirs = np.array(coefficients.split(), dtype=float)
        # R's default control, and what cat() prints
        assert np.allclose(ours, theirs, rtol=1e-4), (ours, theirs)


def growth() -> None:
    """Print how the cost a marker grows with subjects and with markers."""
    print("\nOne thread, CPU microseconds a marker")
    for n in (50, 100, 200, 400, 800, 1_600):
        data = trial(n, 1_024)
        _, cpu = cost(lambda data=data: fit_interactions(**data, covariances=False), 1_024)
        print(f"  {n:>6} subjects   1,024 markers {cpu:9.2f}")
    for p in (32, 320, 3_200, 32_000):
        data = trial(132, p)
        _, cpu = cost(lambda data=data: fit_interactions(**data, covariances=False), p)
        print(f"     132 subjects {p:>7,} markers {cpu:9.2f}")


def peak_memory(n: int, p: int) -> float:
    """Return the MiB of a process that makes the data and fits, at its peak."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import resource, engine\n"
        f"data = engine.trial({n}, {p})\n"
        f"engine.fit_interactions(**data, threads={THREADS})\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    fit_interactions(**trial(46, 32))
    print(f"first call, with compilation or its cache: {time.perf_counter() - start:.1f} s")
    for n, p in SIZES:
        print(f"\n{n} subjects, {p:,} markers{'wall':>24}{'CPU':>11}   microseconds a marker")
        plain = trial(n, p)
        rows = [
            ("models + test, one thread", plain, {"covariances": False}),
            ("the same, two threads", plain, {"covariances": False, "threads": THREADS}),
            ("with covariances", plain, {}),
            ("with covariances and profile limits", plain, {"limits": 0.95}),
            (
                "two strata, three covariates, one thread",
                trial(n, p, adjusted=True),
                {"covariances": False},
            ),
            (
                "the same, two threads",
                trial(n, p, adjusted=True),
                {"covariances": False, "threads": THREADS},
            ),
            ("5 % missing at random", trial(n, p, missing=0.05), {"covariances": False}),
        ]
        reference = 1.0
        for i, (name, data, options) in enumerate(rows):
            found = cost(lambda data=data, options=options: fit_interactions(**data, **options), p)
            reference = found[1] if i == 0 else reference
            line(name, found, reference)
        peers(plain, reference)
        print(f"  two strata, three covariates{'wall':>25}{'CPU':>11}")
        peers(trial(n, p, adjusted=True), reference)
    growth()
    print("\nPeak memory of a process, with Python, the libraries and the data (MiB)")
    for n, p in ((200, 32), (200, 20_000), (140, 50_000)):
        print(f"  {n} subjects, {p:,} markers ({n * p * 8 / 2**20:.0f}): {peak_memory(n, p):.0f}")


if __name__ == "__main__":
    main()
