"""What a cross-validated path of penalised Cox models costs, beside R's cv.glmnet and others where installed.

200 subjects, 100 penalties, 5 folds, lasso: the data, folds and tolerance are the same. CPU seconds, which other
programs on the machine change less than wall seconds; the least of two of ours, one of each other. Prints; asserts nothing.
R is not in the environment: `make bench-peers` says which packages of Debian bring it.

python tests/benchmarks/elastic_net.py [markers ...]

Found on one core (AMD EPYC) with glmnet 4.1-6 and scikit-survival 0.28.0; glmnet chooses the same penalty, and its held-out
deviances agree within 0.00003 of themselves down to it (to 2e-7 where both are run to convergence):

| markers | ours | R, cv.glmnet | scikit-survival, the paths alone |
|---|---|---|---|
| 2,000 | 0.33 s | 7.0 s, 21 times ours | 3.2 s |
| 20,000 | 1.3 s | 26 s, 20 times ours | 10.9 s |
"""

# ruff: noqa: E402 (the number of threads is set before NumPy reads it)

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from correlatives.response.elastic_net import Outcome, cross_validated, fit_elastic_net

SUBJECTS, FOLDS = 200, 5

#: As glmnet's thresh.
TOLERANCE = 1e-7

R_PROGRAM = """
suppressMessages({library(glmnet); library(survival)})
a <- commandArgs(TRUE); n <- as.integer(a[3])
x <- matrix(readBin(a[1], "double", n * as.integer(a[4])), n)
d <- read.csv(a[2]); y <- Surv(d$time, d$event)
# left to itself cv.glmnet interpolates between penalties that differ from fold to fold
path <- glmnet(x, y, family = "cox")$lambda
start <- proc.time()
cv <- cv.glmnet(x, y, family = "cox", foldid = d$fold, lambda = path)
cat(sum((proc.time() - start)[1:2]), "\n")
cat(format(cv$lambda, digits = 17), "\n")
cat(format(cv$cvm, digits = 17), "\n")
"""


def trial(markers: int) -> tuple[np.ndarray, Outcome, np.ndarray]:
    """Simulate markers, times that five of them carry, and folds."""
    rng = np.random.default_rng(markers)
    x = rng.standard_normal((SUBJECTS, markers))
    time_to_event = rng.exponential(np.exp(-x[:, :5] @ [0.8, -0.8, 0.6, -0.6, 0.5]))
    censored = rng.exponential(2.0, SUBJECTS)
    outcome = Outcome(
        (time_to_event <= censored).astype(float), np.minimum(time_to_event, censored)
    )
    return x, outcome, np.arange(SUBJECTS) % FOLDS


def cost(work: Callable[[], object]) -> tuple[float, object]:
    """Return CPU seconds and the answer."""
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def glmnet(
    x: np.ndarray, outcome: Outcome, fold: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Run R's cv.glmnet; CPU seconds, penalties and held-out deviances."""
    with tempfile.TemporaryDirectory() as folder:
        script, table, binary = (Path(folder) / name for name in ("cv.R", "d.csv", "x.bin"))
        script.write_text(R_PROGRAM)
        rows = np.column_stack([outcome.time, outcome.event, fold + 1])
        np.savetxt(table, rows, delimiter=",", header="time,event,fold", comments="", fmt="%.17g")
        x.T.astype("<f8").tofile(binary)
        command = ["Rscript", str(script), str(binary), str(table), str(SUBJECTS), str(x.shape[1])]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, penalty, deviance = (np.array(line.split(), float) for line in said.splitlines())
    return float(seconds[0]), penalty, deviance


def adelie(x: np.ndarray, outcome: Outcome, fold: np.ndarray) -> float:
    """Return CPU seconds of adelie along the same path of all rows and of each fold."""
    import adelie as ad

    def path(rows: np.ndarray) -> None:
        columns = np.asfortranarray((x[rows] - x[rows].mean(axis=0)) / x[rows].std(axis=0))
        glm = ad.glm.cox(
            stop=outcome.time[rows], status=outcome.event[rows], start=np.full(rows.sum(), -1.0)
        )
        ad.grpnet(
            columns,
            glm,
            lmda_path_size=100,
            min_ratio=0.01,
            early_exit=False,
            progress_bar=False,
            n_threads=1,
        )

    return cost(lambda: [path(fold != held) for held in range(-1, FOLDS)])[0]


def _best(penalty: np.ndarray, deviance: np.ndarray) -> str:
    best = int(np.argmin(deviance))
    return f"best penalty {penalty[best]:.6f} (number {best + 1}), deviance {deviance[best]:.5f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("markers", nargs="*", type=int, default=[2_000, 20_000])
    asked = parser.parse_args()
    small, outcome, fold = trial(50)
    cross_validated(small, outcome, fold, alpha=1.0)
    for markers in asked.markers:
        x, outcome, fold = trial(markers)
        ours = np.inf
        for _ in range(2):
            seconds, judged = cost(
                lambda x=x, outcome=outcome, fold=fold: cross_validated(
                    x, outcome, fold, alpha=1.0, tolerance=TOLERANCE
                )
            )
            ours = min(ours, seconds)
        print(
            f"{SUBJECTS} subjects, {markers:,} markers, {len(judged.penalty)} penalties, {FOLDS} folds"
        )
        print(f"  ours                {ours:8.2f} s CPU   {_best(judged.penalty, judged.deviance)}")
        if shutil.which("Rscript"):
            seconds, penalty, deviance = glmnet(x, outcome, fold)
            print(
                f"  R, cv.glmnet        {seconds:8.2f} s CPU   {_best(penalty, deviance)}   "
                f"{seconds / ours:.1f} times ours"
            )
            fitted = slice(judged.best + 1)
            apart = np.abs(deviance[fitted] / judged.deviance[fitted] - 1).max()
            print(
                f"    penalties within {np.abs(penalty / judged.penalty - 1).max():.0e} of each other, held-out deviances "
                f"within {apart:.0e} down to the best"
            )
        else:
            print("  R is absent: make bench-peers says what to install")
        if importlib.util.find_spec("adelie"):
            seconds = adelie(x, outcome, fold)
            print(f"  adelie              {seconds:8.2f} s CPU   {seconds / ours:.1f} times ours")
        if importlib.util.find_spec("sksurv"):
            from sksurv.linear_model import CoxnetSurvivalAnalysis
            from sksurv.util import Surv

            path = fit_elastic_net(x, outcome, alpha=1.0, tolerance=TOLERANCE).penalty

            def folds(x=x, outcome=outcome, fold=fold, path=path) -> None:
                for held in range(-1, FOLDS):
                    rows = fold != held
                    columns = (x[rows] - x[rows].mean(axis=0)) / x[rows].std(axis=0)
                    model = CoxnetSurvivalAnalysis(l1_ratio=1.0, alphas=path)
                    model.fit(
                        columns, Surv.from_arrays(outcome.event[rows] > 0, outcome.time[rows])
                    )

            seconds = cost(folds)[0]
            print(
                f"  scikit-survival     {seconds:8.2f} s CPU   {seconds / ours:.1f} times ours (no scoring)"
            )


if __name__ == "__main__":
    main()
