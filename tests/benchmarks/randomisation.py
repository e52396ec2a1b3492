"""What the randomisation test costs, against the bare matrix products that it needs, in the same run.

The products are those of the draws with five vectors a marker (Cox; eight logistic), a stratum: nothing that sums over
subjects can do with less. Then how time and memory grow with draws, markers and subjects. Prints; asserts nothing.

python tests/benchmarks/randomisation.py
"""

# ruff: noqa: E402 (the number of threads is set before NumPy reads it)

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from correlatives.predictive.compiled_scores import PRODUCTS, ROBUST_PRODUCTS
from correlatives.predictive.randomisation import draw_arms, randomisation_test

THREADS = 2
#: Markers and draws of one product: those of `randomisation`, so that both see the same cache.
MARKERS, DRAWS = 64, 256


def trial(n: int, p: int, draws: int) -> tuple:
    """Residuals, weights, markers, arm, strata and draws."""
    random = np.random.default_rng(n + p)
    arm = (np.arange(n) % 2).astype(float)
    strata = np.zeros(n, dtype=int)
    names = np.array([f"S{i:05d}" for i in range(n)], dtype=object)
    marker = random.normal(size=(p, n))
    residual, weight = random.normal(size=(p, n)), random.random((p, n))
    return residual, weight, marker, arm, strata, draw_arms(arm, strata, names, draws, 1)


def products(drawn: np.ndarray, p: int, kinds: int, threads: int) -> None:
    """Only the matrix products, block by block."""
    n = drawn.shape[1]
    factors = np.random.default_rng(1).normal(size=(kinds * MARKERS, n))

    def work(first: int) -> None:
        out, arms = np.empty((kinds * MARKERS, DRAWS)), np.empty((DRAWS, n))
        for _ in range(first, p, MARKERS * threads):
            for start in range(0, len(drawn), DRAWS):
                part = drawn[start : start + DRAWS]
                arms[: len(part)] = part
                np.matmul(factors, arms.T, out=out)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, MARKERS * threads, MARKERS)))


def least(work: Callable[[], object], times: int) -> float:
    """Return the least wall seconds."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def compare(n: int, p: int, draws: int, *, logistic: bool, threads: int, times: int = 3) -> None:
    """Print seconds of the test and of its products, alternating, and their ratio."""
    data = trial(n, p, draws)
    kinds = ROBUST_PRODUCTS if logistic else PRODUCTS
    test, bare = [], []
    for _ in range(times):
        test.append(least(lambda: randomisation_test(*data, logistic=logistic, threads=threads), 1))
        bare.append(least(lambda: products(data[-1], p, kinds, threads), 1))
    flop = 2.0 * n * p * draws * kinds
    print(
        f"  {'logistic' if logistic else 'Cox':<9}{n:>6} subjects{p:>8,} markers{draws:>8,} draws"
        f"{min(test):>9.2f} s, its {kinds} products {min(bare):.2f} s ({flop / min(bare) / 1e9:.0f}"
        f" GFlop/s): {min(test) / min(bare):.2f} x"
    )


def own_peak() -> float:
    """Return the MiB that this process has taken at its peak (its ru_maxrss begins with its parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def peak_memory(n: int, p: int, draws: int) -> float:
    """Return the MiB of a process that makes the data and tests, at its peak."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import randomisation\n"
        f"data = randomisation.trial({n}, {p}, {draws})\n"
        "randomisation.randomisation_test(*data, logistic=False, threads=2)\n"
        "print(randomisation.own_peak())"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    size = float(os.environ.get("BENCH_SHARE", "1"))  # of the markers, on a busy machine
    randomisation_test(*trial(46, 64, 300), logistic=False)
    randomisation_test(*trial(46, 64, 300), logistic=True)
    print("Randomisation test against its bare matrix products, two threads")
    for logistic in (False, True):
        compare(200, int(20_000 * size), 10_000, logistic=logistic, threads=THREADS)
    print("\nGrowth, one thread")
    for draws in (1_000, 10_000, 40_000):
        compare(200, int(2_000 * size), draws, logistic=False, threads=1)
    for p in (500, 5_000):
        compare(200, int(p * size), 10_000, logistic=False, threads=1)
    for n in (46, 1_000):
        compare(n, int(2_000 * size), 10_000, logistic=False, threads=1)
    print("\nPeak memory of a process, with Python, the libraries and the data (MiB)")
    for n, p, draws in ((200, 500, 1_000), (200, 500, 40_000), (200, 5_000, 1_000)):
        data = (3 * 8 * n * p + n * draws) / 2**20
        print(
            f"  {n} subjects, {p:,} markers, {draws:,} draws ({data:.0f}): {peak_memory(n, p, draws):.0f}"
        )


if __name__ == "__main__":
    main()
