"""What the engines of Cox and logistic models cost a marker, against themselves done carefully and other software.

Ours is the null model, the interaction model and their likelihood-ratio test; every other program fits the
interaction model only, of Cox, on the same data in the same run. Slow programs get few markers, and their cost a marker is what
is printed. CPU time a thread is steadier than wall time where others use the machine. What is not installed is said to
be absent: `make bench-peers` installs lifelines and the PyPI package survival in an environment of their own, Debian has
R as r-base-core and r-cran-survival. Prints; asserts nothing but that R finds the same interactions.

python tests/benchmarks/engine.py [ours]                                   BENCH_SHARE=0.1: a tenth of the markers
"""

# ruff: noqa: E402 (the number of threads is set before NumPy reads it)

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
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

from correlatives.binary.engine import fit_interactions as fit_logistic_interactions
from correlatives.binary.logistic import fit_logistic_many
from correlatives.predictive.proportionality import column_proportionality
from correlatives.survival.cox import fit_cox_many
from correlatives.survival.engine import fit_interactions

THREADS = 2
SHARE = float(os.environ.get("BENCH_SHARE", "1"))  # of the markers, on a busy machine
SIZES = tuple((n, int(p * SHARE)) for n, p in ((46, 20_000), (200, 20_000), (1_000, 2_000)))

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


def as_response(data: dict) -> dict:
    """Take the event of a trial for a response."""
    return {
        ("y" if name == "event" else name): part for name, part in data.items() if name != "time"
    }


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


def careful_logistic(data: dict, reference: float) -> None:
    """Measure the careful logistic model of some markers, as it was fitted before there was a fast lane."""
    few, arm = data["markers"][:300], data["arm"]
    parts = [few, arm, *data.get("covariates", np.zeros((len(arm), 0))).T, arm * few]
    if "strata" in data:
        parts += [data["strata"] == 1]
    stacked = np.stack([np.broadcast_to(part, few.shape) for part in parts], axis=2)
    found = cost(lambda: fit_logistic_many(data["event"], stacked.astype(float)), len(few), 2)
    line("fit_logistic_many, NumPy, one model", found, reference, f"{len(few)} markers")


def proportionality(data: dict, reference: float) -> None:
    """Measure the test of proportional hazards of the interaction."""
    markers, arm = data["markers"][:4_096], data["arm"]
    covariates = data.get("covariates", np.zeros((len(arm), 0)))
    parts = [markers, arm, *covariates.T, arm * markers]
    designs = np.stack([np.broadcast_to(part, markers.shape) for part in parts], axis=2)
    fits = fit_interactions(**(data | {"markers": markers})).full
    given = data["time"], data["event"], designs, np.ones(markers.shape, bool), data.get("strata")
    found = cost(
        lambda: column_proportionality(*given, fits.coefficients, fits.covariance), len(markers)
    )
    line("test of proportional hazards", found, reference, f"{len(markers)} markers")


def growth() -> None:
    """Print how the cost a marker grows with subjects and with markers."""
    print(f"\nOne thread, CPU microseconds a marker{'Cox':>12}{'logistic':>12}")

    def both(n: int, p: int) -> None:
        data = trial(n, p)
        _, cox = cost(lambda: fit_interactions(**data, covariances=False), p)
        response = as_response(data)
        _, logistic = cost(lambda: fit_logistic_interactions(**response, covariances=False), p)
        print(f"  {n:>6,} subjects {p:>7,} markers {cox:>17.2f}{logistic:>12.2f}")

    for n in (50, 100, 200, 400, 800, 1_600):
        both(n, 1_024)
    for p in (32, 320, 3_200, int(32_000 * SHARE)):
        both(132, p)


def own_peak() -> float:
    """Return the MiB that this process has taken at its peak (its ru_maxrss begins with its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_memory(n: int, p: int) -> float:
    """Return the MiB of a process that makes the data and fits, at its peak."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import engine\n"
        f"data = engine.trial({n}, {p})\n"
        f"engine.fit_interactions(**data, threads={THREADS})\n"
        "print(engine.own_peak())"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="?", choices=["ours"], help="no other software")
    alone = parser.parse_args().programs == "ours"
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    fit_interactions(**trial(46, 32))
    fit_logistic_interactions(**as_response(trial(46, 32)))
    print(f"first call, with compilation or its cache: {time.perf_counter() - start:.1f} s")
    for n, p in SIZES:
        print(f"\n{n} subjects, {p:,} markers{'wall':>24}{'CPU':>11}   microseconds a marker")
        plain, adjusted = trial(n, p), trial(n, p, adjusted=True)
        rows = [
            ("models + test, one thread", plain, {"covariances": False}),
            ("the same, two threads", plain, {"covariances": False, "threads": THREADS}),
            ("with covariances", plain, {}),
            ("with covariances and profile limits", plain, {"limits": 0.95}),
            (
                "two strata, three covariates, one thread",
                adjusted,
                {"covariances": False},
            ),
            (
                "the same, two threads",
                adjusted,
                {"covariances": False, "threads": THREADS},
            ),
            ("5 % missing at random", trial(n, p, missing=0.05), {"covariances": False}),
        ]
        reference = 1.0
        for i, (name, data, options) in enumerate(rows):
            found = cost(lambda data=data, options=options: fit_interactions(**data, **options), p)
            reference = found[1] if i == 0 else reference
            line(name, found, reference)
            if "covariances" in options:
                response = as_response(data)
                found = cost(
                    lambda data=response, options=options: fit_logistic_interactions(
                        **data, **options
                    ),
                    p,
                )
                line("  logistic", found, reference)
        proportionality(plain, reference)
        careful_logistic(plain, reference)
        if not alone:
            peers(plain, reference)
        print(f"  two strata, three covariates{'wall':>25}{'CPU':>11}")
        proportionality(adjusted, reference)
        careful_logistic(adjusted, reference)
        if not alone:
            peers(adjusted, reference)
    growth()
    print("\nPeak memory of a process, with Python, the libraries and the data (MiB)")
    for n, p in ((200, 32), (200, int(20_000 * SHARE)), (140, int(50_000 * SHARE))):
        print(f"  {n} subjects, {p:,} markers ({n * p * 8 / 2**20:.0f}): {peak_memory(n, p):.0f}")


if __name__ == "__main__":
    main()
