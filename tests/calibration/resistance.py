"""Error rates of the resistance analyses where nothing is acquired because of the drug.

python tests/calibration/resistance.py --trials 2000 --out docs/calibration_resistance.tsv
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from measure import limits  # noqa: E402

from correlatives.binary.contrasts import (  # noqa: E402
    boschloo_p,
    fisher_p,
    mcnemar,
    rate_difference,
)
from correlatives.intervals import Interval  # noqa: E402
from correlatives.multiplicity import benjamini_hochberg  # noqa: E402
from correlatives.resistance.acquired import adjusted_p  # noqa: E402
from correlatives.resistance.longitudinal import fit_mixed_model  # noqa: E402

LEVEL = 0.05

#: Genes of a family.
GENES = 12

#: Median time on treatment of the control arm, in months, and the shortest time to a second sample.
MEDIAN_MONTHS, SHORTEST_MONTHS = 6.5, 1.0


@dataclass(frozen=True)
class Pairs:
    """Trials of pairs, in which both arms acquire at one rate and lose at another.

    Attributes
    ----------
    control, experimental : int
        Evaluable pairs an arm.
    longer : float
        Ratio of the median times on treatment, experimental to control.
    per_month : float
        Hazard of a gene's acquisition on treatment, in both arms.
    false_calls : float
        Share of genes called in one of the two samples only, by chance, as often in either.
    """

    control: int
    experimental: int
    longer: float
    per_month: float
    false_calls: float


@dataclass(frozen=True)
class Visits:
    """Trials of a marker followed over four visits, alike in both arms.

    Attributes
    ----------
    control, experimental : int
    spread : str
        ``alike``: every visit varies alike; ``fading``: visits far apart correlate less (0.6 a visit);
        ``growing``: later visits vary more; ``arms``: so they do, and three times as much in one arm.
    """

    control: int
    experimental: int
    spread: str


PAIRS = tuple(
    Pairs(control, experimental, longer, per_month, false_calls)
    for control, experimental in ((15, 15), (30, 30), (20, 40))
    for longer, per_month, false_calls in (
        (1.0, 0.0, 0.04),
        (1.8, 0.01, 0.0),
        (1.8, 0.04, 0.0),
    )
)
VISITS = tuple(
    Visits(control, experimental, spread)
    for control, experimental in ((23, 23), (31, 15), (60, 60))
    for spread in ("alike", "fading", "growing", "arms")
)

#: What is measured of pairs: sizes at 0.05 of a gene's tests, coverage, and trials with a q of at most 0.05.
PAIR_MEASURES = (
    "mcnemar_exact",
    "mcnemar_midp",
    "mcnemar_corrected",
    "fisher",
    "boschloo",
    "adjusted",
    "difference_coverage",
    "any_q",
    "any_claim",
)
VISIT_MEASURES = ("difference_early", "difference_late", "coverage_late", "arm_by_time")


@cache
def of_counts(
    gained_control: int, control: int, gained_experimental: int, experimental: int
) -> tuple[Interval, float, float]:
    """Return the difference with its limits, Fisher's and Boschloo's p of two rates."""
    counts, sizes = [gained_control, gained_experimental], [control, experimental]
    if not sum(counts):
        return rate_difference(counts, sizes), np.nan, np.nan
    return rate_difference(counts, sizes), fisher_p(counts, sizes), boschloo_p(counts, sizes)


def measure_pairs(cell: Pairs, trials: int, seed: int) -> dict[str, object]:
    """Simulate trials of pairs; see `PAIR_MEASURES`.

    McNemar's tests are of both arms together, which means something without acquisition only. A claim is what the
    evidence table says in words: limits of the difference above 0 and a q of at most 0.05.
    """
    random = np.random.default_rng(seed)
    n = cell.control + cell.experimental
    arm = np.arange(n) >= cell.control
    everyone = np.ones(n, dtype=bool)
    scale = MEDIAN_MONTHS / np.log(2) * np.where(arm, cell.longer, 1.0)
    values: dict[str, list[float]] = {name: [] for name in PAIR_MEASURES}
    for _ in range(trials):
        months = SHORTEST_MONTHS + random.exponential(scale)
        chance = 1.0 - np.exp(-cell.per_month * months)
        gained = random.random((GENES, n)) < chance + cell.false_calls / 2
        lost = ~gained & (random.random((GENES, n)) < cell.false_calls / 2)
        p = np.full((GENES, 3), np.nan)
        covered, above, paired = [], [], []
        truth = chance[arm].mean() - chance[~arm].mean()
        for gene in range(GENES):
            counts = [int(gained[gene, ~arm].sum()), int(gained[gene, arm].sum())]
            difference, fisher, boschloo = of_counts(
                counts[0], cell.control, counts[1], cell.experimental
            )
            covered.append(difference.low <= truth <= difference.high)
            above.append(difference.low > 0)
            paired.append(mcnemar(int(gained[gene].sum()), int(lost[gene].sum())))
            if sum(counts):
                p[gene] = fisher, boschloo, adjusted_p(gained[gene], arm, months, everyone)
        with np.errstate(invalid="ignore"):
            rejected = np.where(np.isnan(p), False, p <= LEVEL)
            q = benjamini_hochberg(p[:, 2])
            called = np.where(np.isnan(q), False, q <= LEVEL)
        if cell.per_month == 0:
            for column, name in enumerate(("mcnemar_exact", "mcnemar_midp", "mcnemar_corrected")):
                values[name].append(float(np.mean([test[column] <= LEVEL for test in paired])))
        for column, name in enumerate(("fisher", "boschloo", "adjusted")):
            # Without a difference in time on treatment, or with it, only the adjusted test is of the drug.
            values[name].append(float(rejected[:, column].mean()))
        values["difference_coverage"].append(float(np.mean(covered)))
        values["any_q"].append(float(called.any()))
        values["any_claim"].append(float((called & np.array(above)).any()))
    return _row(cell, trials, values)


def measure_visits(cell: Visits, trials: int, seed: int) -> dict[str, object]:
    """Simulate trials of a marker over visits; see `VISIT_MEASURES`."""
    random = np.random.default_rng(seed)
    n, later = cell.control + cell.experimental, 3
    arm = np.arange(n) >= cell.control
    subject = np.repeat(np.arange(n), later + 1)
    visit = np.tile(np.arange(later + 1), n)
    deviation = np.ones((n, later + 1)) * 0.5
    if cell.spread in ("growing", "arms"):
        deviation = np.ones((n, 1)) * np.array([0.1, 0.3, 0.8, 1.2])
    if cell.spread == "arms":
        deviation = deviation * np.where(arm, 2.0, 0.7)[:, None]
    lag = np.abs(np.subtract.outer(np.arange(later + 1), np.arange(later + 1)))
    root = np.linalg.cholesky(0.6**lag)
    values: dict[str, list[float]] = {name: [] for name in VISIT_MEASURES}
    for _ in range(trials):
        noise = random.normal(size=(n, later + 1))
        if cell.spread == "fading":
            value = noise @ root.T
        else:
            value = random.normal(size=(n, 1)) + deviation * noise
        # Half of the subjects have a sample at progression, most have the early ones.
        kept = (visit == 0) | (random.random(len(visit)) < np.array([1, 0.9, 0.85, 0.5])[visit])
        columns = [np.ones(len(visit))]
        columns += [visit == v for v in range(1, later + 1)]
        columns += [(visit == v) & arm[subject] for v in range(1, later + 1)]
        design = np.column_stack(columns).astype(float)[kept]
        fit = fit_mixed_model(value.ravel()[kept], design, subject[kept])
        unit = np.eye(design.shape[1])
        early, last = fit.contrast(unit[later + 1]), fit.contrast(unit[2 * later])
        values["difference_early"].append(early[3] <= LEVEL)
        values["difference_late"].append(last[3] <= LEVEL)
        values["coverage_late"].append(last[1] <= 0 <= last[2])
        joint = fit.joint_p(range(later + 1, 2 * later + 1))
        values["arm_by_time"].append(joint <= LEVEL)
    return _row(cell, trials, values)


def _row(cell: Pairs | Visits, trials: int, values: dict[str, list[float]]) -> dict[str, object]:
    row: dict[str, object] = {"of": type(cell).__name__.casefold()} | asdict(cell)
    row["trials"] = trials
    for name, found in values.items():
        estimate = limits(np.array(found, dtype=float))
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), estimate, strict=True))
    return row


def shown(table: pd.DataFrame, columns: list[str], measures: tuple[str, ...]) -> str:
    """Return a table of estimates with limits, in Markdown."""
    lines = ["| " + " | ".join([*columns, *(m.replace("_", " ") for m in measures)]) + " |"]
    lines.append("|" + "---|" * (len(columns) + len(measures)))
    for _, row in table.iterrows():
        cells = [f"{row[c]:g}" if isinstance(row[c], float) else str(row[c]) for c in columns]
        for name in measures:
            cells.append(
                f"{row[name]:.3f} ({row[name + '_low']:.3f}–{row[name + '_high']:.3f})"
                if np.isfinite(row[name])
                else ""
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def document(pairs: pd.DataFrame, visits: pd.DataFrame) -> str:
    """Return ``docs/calibration_resistance.md``."""
    return f"""# Calibration of the resistance analyses

Simulated trials in which the drug makes nobody resistant: what is called all the same. The page is made by
`python tests/calibration/resistance.py`; a small version runs with the tests. Shares at a level of 0.05 with 95 % Monte Carlo
limits.

## Pairs

{GENES} genes a trial. *longer*: the experimental arm stays on treatment so many times as long, and a gene is acquired at
*per_month* in both arms, so that it acquires more without the drug having done it. *false_calls*: shares called in one of
the two samples by chance. *difference coverage*: Miettinen–Nurminen limits that hold the true difference of the rates.
*any q*: trials in which `q_value` (of the adjusted p) is at most 0.05 for any gene; *any claim*: and the limits are above 0, so
that the evidence table says that it is more often acquired with the drug. Fisher's and Boschloo's tests ask whether the rates
differ, which they do where the times do: only the adjusted test asks about the drug. Genes that nobody gained count as not
rejected.

{shown(pairs, ["control", "experimental", "longer", "per_month", "false_calls"], PAIR_MEASURES)}

## Visits

A marker at baseline and three later visits, the same in both arms, with 10, 15 and 50 % of the samples missing. *alike*: a random
intercept is right. *fading*: correlation 0.6 a visit. *growing*: the standard deviation of a visit grows from 0.1 to 1.2.
*arms*: and is three times as large in the experimental arm.

{shown(visits, ["control", "experimental", "spread"], VISIT_MEASURES)}

With standard errors of the random-intercept model itself the joint test of *growing* rejected in 0.18 and that of *arms*
(31 + 15) in 0.31 of 250 trials: the limits are therefore robust (Mancl and DeRouen's sandwich over subjects, Satterthwaite's
degrees of freedom).
"""


def main() -> None:
    """Simulate every cell, write the table and the page."""
    parser = argparse.ArgumentParser(description="Calibrate the resistance analyses.")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--visits", type=int, default=1000, help="trials of markers over visits")
    parser.add_argument("--seed", type=int, default=20210104)
    parser.add_argument("--out", type=Path, default=Path("docs/calibration_resistance.tsv"))
    asked = parser.parse_args()
    pairs = pd.DataFrame(
        [measure_pairs(cell, asked.trials, asked.seed + k) for k, cell in enumerate(PAIRS)]
    )
    visits = pd.DataFrame(
        [measure_visits(cell, asked.visits, asked.seed + k) for k, cell in enumerate(VISITS)]
    )
    pd.concat([pairs, visits], ignore_index=True).to_csv(
        asked.out, sep="\t", index=False, lineterminator="\n"
    )
    asked.out.with_suffix(".md").write_text(document(pairs, visits), encoding="utf-8")


if __name__ == "__main__":
    main()
