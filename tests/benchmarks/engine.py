"""What the engine of Cox models costs a marker, against itself done carefully and against other software.

Ours is the null model, the interaction model and their likelihood-ratio test; every other program fits the
interaction model only. Slow programs get few markers, and their cost a marker is what is printed. CPU time a
thread is steadier than wall time where others use the machine. Prints; asserts nothing.

python tests/benchmarks/engine.py
"""

# ruff: noqa: E402 (the number of threads is set before NumPy reads it)

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from correlatives.survival.cox import fit_cox_many
from correlatives.survival.engine import fit_interactions

THREADS = 2
SIZES = ((46, 20_000), (200, 20_000), (1_000, 2_000))

R_PROGRAM = """
suppressMessages(library(survival))
data <- read.csv(commandArgs(TRUE)[1]); p <- ncol(data) - 3
y <- Surv(data$time, data$event); arm <- data$arm
cost <- function(fit) {
  start <- proc.time(); for (j in seq_len(p)) fit(data[[j + 3]]); sum((proc.time() - start)[1:2]) / p * 1e6
}
control <- coxph.control()
cat(cost(function(m) coxph(y ~ arm * m)),
    cost(function(m) coxph.fit(cbind(arm, m, arm * m), y, NULL, NULL, NULL, control, NULL, "efron",
                               rownames = NULL, resid = FALSE)), "\\n")
"""


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


def peers(data: dict, reference: float) -> None:
    """Measure the other programs on the same data, as many markers as they can bear."""
    time_, event, arm, markers = (data[name] for name in ("time", "event", "arm", "markers"))

    def design(marker: np.ndarray) -> np.ndarray:
        return np.column_stack([arm, marker, arm * marker])

    few = markers[:500]
    stacked = np.stack([design(marker) for marker in few])
    found = cost(lambda: fit_cox_many(time_, event, stacked), len(few), 2)
    line("fit_cox_many, NumPy", found, reference, "500 markers")
    if importlib.util.find_spec("survival"):
        from survival import _survival

        status = event.astype(np.int32)
        found = cost(
            lambda: [
                _survival.coxph_fit_raw(time_, status, design(m), method="efron", resid=False)
                for m in few
            ],
            len(few),
        )
        line("survival (PyPI), coxph_fit_raw", found, reference, "500 markers")
    if importlib.util.find_spec("statsmodels"):
        from statsmodels.duration.hazard_regression import PHReg

        found = cost(
            lambda: [PHReg(time_, design(m), event, ties="efron").fit() for m in few[:5]], 5, 1
        )
        line("statsmodels, PHReg", found, reference, "5 markers")
    if importlib.util.find_spec("lifelines"):
        import pandas as pd
        from lifelines import CoxPHFitter

        def fit(marker: np.ndarray) -> None:
            frame = pd.DataFrame(design(marker), columns=["arm", "marker", "both"])
            CoxPHFitter().fit(frame.assign(time=time_, event=event), "time", "event")

        found = cost(lambda: [fit(m) for m in few[:5]], 5, 1)
        line("lifelines, CoxPHFitter", found, reference, "5 markers")
    if shutil.which("Rscript"):
        with tempfile.TemporaryDirectory() as folder:
            script, table = Path(folder) / "fit.R", Path(folder) / "data.csv"
            script.write_text(R_PROGRAM)
            header = ",".join(["time", "event", "arm", *(f"m{j}" for j in range(200))])
            columns = np.column_stack([time_, event, arm, *markers[:200]])
            np.savetxt(table, columns, delimiter=",", header=header, comments="")
            answer = subprocess.run(
                ["Rscript", str(script), str(table)], check=True, capture_output=True, text=True
            ).stdout.split()
        for name, value in zip(("R, coxph()", "R, coxph.fit()"), answer, strict=True):
            line(name, (float(value), float(value)), reference, "200 markers, CPU")


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
    growth()
    print("\nPeak memory of a process, with Python, the libraries and the data (MiB)")
    for n, p in ((200, 32), (200, 20_000), (140, 50_000)):
        print(f"  {n} subjects, {p:,} markers ({n * p * 8 / 2**20:.0f}): {peak_memory(n, p):.0f}")


if __name__ == "__main__":
    main()
