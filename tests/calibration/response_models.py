"""Simulate what the response models claim: noise is not predicted, p-values are uniform, limits hold the truth.

    python tests/calibration/response_models.py --processes 2 --out docs/response_calibration.tsv \
        --document docs/response_calibration.md

Every cell has its own seeds, so that its rows do not depend on the others; cells already in the table are not run again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts")]
# each process computes on one core
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from correlatives.response.benefit import treatment_benefit  # noqa: E402
from correlatives.response.blocks import Blocks, concordance  # noqa: E402
from correlatives.response.elastic_net import Outcome  # noqa: E402
from correlatives.response.evaluation import Task, discrimination_pairs, judged, resampled  # noqa: E402
from correlatives.response.models import FOREST, Model, models_of  # noqa: E402
from correlatives.response.nested_cv import deal, inner_folds, learn_all, tuned  # noqa: E402
from correlatives.response.preparation import Design, Preparation  # noqa: E402

#: Biomarkers of pure noise, half of each specimen, and clinical columns beside them.
MARKERS, CLINICAL = 2000, 4

#: Permutations of a trial: with 19 the smallest p is 0.05.
PERMUTATIONS = 19

COLUMNS = ["cell", "what", "model", "trials", "value", "low", "high", "wanted"]


@dataclass(frozen=True)
class Cell:
    """One simulation.

    Attributes
    ----------
    name : str
    measure : callable
        number of the trial -> list of (what, model, value) of one trial.
    trials : int
    """

    name: str
    measure: Callable[[int], list[tuple[str, str, float]]]
    trials: int


def task(
    n: int,
    survival: bool,
    rng: np.random.Generator,
    *,
    markers: int = MARKERS,
    clinical_effect: float = 0.0,
    marker_effect: float = 0.0,
    arm_effect: float = 0.0,
    interaction: float = 0.0,
    forest: bool = True,
    others: int = 0,
) -> Task:
    """Simulate a trial of n subjects, and `others` of the same population beside it.

    Clinical column 0, and markers 0 and 1, carry the effects (log odds, or log hazard, per standard deviation);
    marker 2 the interaction with the arm. 40 % respond; 60 to 70 % have an event.
    """
    size = n + others
    width = CLINICAL + markers
    value = rng.standard_normal((size, width))
    arm = (rng.permutation(size) % 2).astype(float)
    eta = clinical_effect * value[:, 0] + arm_effect * (arm - 0.5)
    eta += marker_effect * (value[:, CLINICAL] - value[:, CLINICAL + 1])
    eta += interaction * (arm - 0.5) * value[:, CLINICAL + 2]
    if survival:
        time = rng.exponential(np.exp(-eta))
        censored = rng.uniform(0.3, 2.5, size)
        event = (time <= censored).astype(float)
        outcome = Outcome(event, np.minimum(time, censored))
    else:
        outcome = Outcome((rng.random(size) < 1 / (1 + np.exp(0.4 - eta))).astype(float))
    column = np.arange(width)
    design = Design(
        [f"clinical:{j}" if j < CLINICAL else f"m{j}" for j in column],
        value,
        np.zeros(width, dtype=bool),
        column < CLINICAL,
        {
            "blood": (column >= CLINICAL) & (column % 2 == 0),
            "tissue": (column >= CLINICAL) & (column % 2 == 1),
        },
    )
    months = 0.5 if survival else float("nan")
    models = models_of(design, forest=forest)
    return Task("simulated", design, models, outcome, arm, np.arange(size) + 1, months, [])


def noise(n: int, survival: bool, *, forest: bool = False) -> Callable:
    """Everything is noise: discrimination of the trial, its mean over permuted outcomes, and the p-value."""

    def measure(number: int) -> list[tuple[str, str, float]]:
        simulated = task(n, survival, np.random.default_rng([number, n, survival]))
        models = [m for m in simulated.models if (m.learner == FOREST) == forest]
        part = Task(**{**vars(simulated), "models": models})
        share = resampled(
            part,
            seed=number,
            repeats=[0],
            permutations=range(PERMUTATIONS),
            forest_permuted=True,
        )
        rows = []
        for row in judged(part, share).permutation.itertuples():
            rows.append(("discrimination of noise", row.model, row.observed))
            rows.append(("its mean over permuted outcomes", row.model, row.null_mean))
            rows.append(("p of permutation", row.model, row.p_permutation))
        return rows

    return measure


def leaky(n: int) -> Callable:
    """Markers chosen with the outcome of everybody, before the folds: what the simulation has to notice."""

    def measure(number: int) -> list[tuple[str, str, float]]:
        simulated = task(n, False, np.random.default_rng([number, n]), forest=False)
        score = np.abs(simulated.outcome.null_residual() @ simulated.design.value)
        kept = np.sort(np.argsort(-score)[:20])
        design = Design(
            [f"m{j}" for j in kept],
            simulated.design.value[:, kept],
            np.zeros(20, dtype=bool),
            np.zeros(20, dtype=bool),
        )
        models = [Model("biomarkers chosen beforehand", np.ones(20, dtype=bool))]
        part = Task(**{**vars(simulated), "design": design, "models": models})
        table = judged(part, resampled(part, seed=number, repeats=[0])).performance
        value = table.loc[table["metric"] == "auc", "estimate"].iloc[0]
        return [("discrimination of noise", models[0].name, value)]

    return measure


def limits(
    n: int, survival: bool, effect: float, *, markers: int = 500, repeats: int = 5
) -> Callable:
    """Whether 95 % limits hold the mean discrimination of the models in 1,500 other subjects, and how far off they are.

    For comparison: limits that resample subjects and hold the fitted models fixed.
    """

    def measure(number: int) -> list[tuple[str, str, float]]:
        rng = np.random.default_rng([number, n, survival, int(100 * effect)])
        whole = task(
            n,
            survival,
            rng,
            markers=markers,
            clinical_effect=effect,
            marker_effect=effect,
            forest=False,
            others=1500,
        )
        inside = np.arange(n + 1500) < n
        preparation = Preparation(whole.design)
        pairs = discrimination_pairs(whole.outcome.of(inside))
        elsewhere = discrimination_pairs(whole.outcome.of(~inside))
        together = Blocks(np.zeros((1, 1500), dtype=int))
        groups = whole.groups
        chosen = [whole.models[0], whole.models[-1]]
        folds, predictor, true = [], {m.name: [] for m in chosen}, {m.name: [] for m in chosen}
        for repeat in range(repeats):
            draw = np.random.default_rng([number, repeat])
            fold = np.full(len(inside), -1)
            fold[inside] = deal(groups[inside], 5, draw)
            folds.append(fold[inside])
            training = np.stack([inside & (fold != f) for f in range(5)])
            sets = inner_folds(training, groups, 5, draw)
            learnt = learn_all(
                preparation, whole.outcome, np.concatenate([sets.training, sets.inner])
            )
            for m in chosen:
                linear = tuned(
                    preparation, whole.outcome, sets, members=m.members, learnt=learnt
                ).linear
                predictor[m.name].append(linear[fold[inside], np.flatnonzero(inside)])
                if repeat == 0:
                    true[m.name] = np.mean(
                        [
                            concordance(elsewhere, together, own[~inside][None]).estimate
                            for own in linear
                        ]
                    )
        blocks = Blocks(np.stack(folds))
        ratio = {m.name: concordance(pairs, blocks, np.stack(predictor[m.name])) for m in chosen}
        compared = [
            (m.name, ratio[m.name].estimate, ratio[m.name].without, true[m.name], (0.0, 1.0))
            for m in chosen
        ]
        first, last = (m.name for m in chosen)
        compared.append(
            (
                "gain",
                ratio[last].estimate - ratio[first].estimate,
                ratio[last].without - ratio[first].without,
                true[last] - true[first],
                (-1.0, 1.0),
            )
        )
        fixed = _models_fixed(pairs, blocks, predictor, groups[inside], number)
        fixed["gain"] = fixed[last] - fixed[first]
        rows = []
        for name, estimate, without, truth, bounds in compared:
            interval = blocks.interval(estimate, without, bounds)
            low, high = np.percentile(fixed[name], [2.5, 97.5])
            rows += [
                ("limits hold the truth", name, float(interval.low <= truth <= interval.high)),
                ("limits with models fixed hold it", name, float(low <= truth <= high)),
                ("width of the limits", name, interval.high - interval.low),
                ("estimate less truth", name, estimate - truth),
            ]
        return rows

    return measure


def _models_fixed(
    pairs: np.ndarray,
    blocks: Blocks,
    predictor: dict[str, list[np.ndarray]],
    groups: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Bootstrap subjects within arm × outcome, their out-of-fold predictions kept."""
    from correlatives.response.performance import (
        bootstrap_counts,
        concordance_parts,
        concordance_replicates,
    )

    counts = bootstrap_counts(groups, seed, 500)
    return {
        name: concordance_replicates(
            *concordance_parts(pairs, list(blocks.fold), predicted), counts
        )
        for name, predicted in predictor.items()
    }


def benefit(n: int, survival: bool, interaction: float, *, markers: int = 200) -> Callable:
    """Treatment benefit: p by re-randomisation, and c-for-benefit, beside effects of arm, clinical column and markers."""

    def measure(number: int) -> list[tuple[str, str, float]]:
        simulated = task(
            n,
            survival,
            np.random.default_rng([number, n, survival, int(10 * interaction), 7]),
            markers=markers,
            clinical_effect=0.5,
            marker_effect=0.7,
            arm_effect=-0.7 if survival else 0.7,
            interaction=interaction,
            forest=False,
        )
        found = treatment_benefit(
            simulated,
            np.zeros(n, dtype=int),
            seed=number,
            repeats=1,
            randomisations=PERMUTATIONS,
        ).table.set_index("metric")
        p = found.loc["score_z", "p_randomisation"]
        return [
            ("p at most 0.05", "benefit", float(p <= 0.05 + 1e-9))
            if interaction
            else ("p of re-randomisation", "benefit", p),
            ("c-for-benefit", "benefit", found.loc["c_for_benefit", "estimate"]),
        ]

    return measure


def cells(trials: int) -> list[Cell]:
    """All simulations."""
    return [
        *(
            Cell(f"noise, {kind}, {n} subjects", noise(n, survival), trials)
            for kind, survival in (("logistic", False), ("Cox", True))
            for n in (46, 132)
        ),
        *(
            Cell(f"noise, random forest, {kind}, {n} subjects", noise(n, survival, forest=True), trials)
            for kind, survival in (("response", False), ("survival", True))
            for n in (46, 132)
        ),
        Cell("leak on purpose, logistic, 46 subjects", leaky(46), max(trials // 4, 10)),
        *(
            Cell(f"limits, {kind}, {n} subjects, effect {effect:g}", limits(n, survival, effect), 2 * trials)
            for kind, survival in (("logistic", False), ("Cox", True))
            for n in (46, 132)
            for effect in (0.0, 0.7)
        ),
        *(
            Cell(f"benefit, {kind}, 132 subjects, interaction {beta:g}", benefit(132, survival, beta), 2 * trials)
            for kind, survival in (("logistic", False), ("Cox", True))
            for beta in (0.0, 2.0)
        ),
    ]  # fmt: skip


def summary(cell: str, results: list[list[tuple[str, str, float]]]) -> pd.DataFrame:
    """Means over trials with 95 % Monte Carlo limits; of p-values the distance from uniform, and the share at most 0.05."""
    from scipy.stats import chisquare

    frame = pd.DataFrame(
        [row for trial in results for row in trial], columns=["what", "model", "value"]
    )
    rows = []
    for (what, model), group in frame.groupby(["what", "model"], sort=False):
        values = group["value"].dropna().to_numpy(dtype=float)
        half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
        mean = values.mean()
        if what.startswith("p of"):
            size = PERMUTATIONS + 1
            observed = np.histogram(values, np.linspace(0, 1, 6) + 0.5 / size)[0]
            uniform = chisquare(observed).pvalue
            rows.append(
                (
                    cell,
                    f"{what}: mean",
                    model,
                    len(values),
                    mean,
                    mean - half,
                    mean + half,
                    "%.3f" % ((size + 1) / (2 * size)),
                )
            )
            rows.append(
                (
                    cell,
                    f"{what}: test of uniformity",
                    model,
                    len(values),
                    uniform,
                    np.nan,
                    np.nan,
                    "above 0.01",
                )
            )
            share = (values <= 0.05 + 1e-9).mean()
            rows.append(
                (
                    cell,
                    f"{what}: share at most 0.05",
                    model,
                    len(values),
                    share,
                    np.nan,
                    np.nan,
                    "0.05",
                )
            )
            continue
        wanted = {
            "discrimination of noise": "0.5",
            "its mean over permuted outcomes": "0.5",
            "limits hold the truth": "0.95 or more",
        }.get(what, "")
        rows.append((cell, what, model, len(values), mean, mean - half, mean + half, wanted))
    return pd.DataFrame(rows, columns=COLUMNS)


def document(table: pd.DataFrame, introduction: str) -> str:
    """Return the documentation page: an introduction, and every cell with its limits."""
    lines = [
        introduction.strip(),
        "",
        "## Found",
        "",
        "| simulation | what | model | trials | found (95 % Monte Carlo limits) | wanted |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        found = "" if np.isnan(row.value) else f"{row.value:.3f}"
        if np.isfinite(row.low):
            found += f" ({row.low:.3f} to {row.high:.3f})"
        if found:
            wanted = "" if pd.isna(row.wanted) else row.wanted
            lines.append(
                f"| {row.cell} | {row.what} | {row.model} | {row.trials} | {found} | {wanted} |"
            )
    return "\n".join(lines) + "\n"


def run(cell: Cell, processes: int) -> pd.DataFrame:
    """Run the trials of a cell."""
    global _RUNNING
    _RUNNING = cell.measure
    if processes == 1:
        return summary(cell.name, [cell.measure(number) for number in range(cell.trials)])
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return summary(cell.name, pool.map(_one, range(cell.trials), chunksize=1))


_RUNNING: Callable | None = None


def _one(number: int) -> list[tuple[str, str, float]]:
    return _RUNNING(number)


def main() -> None:
    """Run all cells that the table does not have yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="cells whose names contain this")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--document", type=Path)
    arguments = parser.parse_args()
    table = (
        pd.read_csv(arguments.out, sep="\t")
        if arguments.out.exists()
        else pd.DataFrame(columns=COLUMNS)
    )
    every = cells(arguments.trials)
    for cell in every:
        if cell.name in set(table["cell"]) or arguments.only not in cell.name:
            continue
        found = run(cell, arguments.processes)
        table = pd.concat([table, found], ignore_index=True) if len(table) else found
        place = {c.name: i for i, c in enumerate(every)}
        table = table.sort_values("cell", key=lambda names: names.map(place), kind="stable")
        table.to_csv(arguments.out, sep="\t", index=False)
        print(found.to_string(), flush=True)
    if arguments.document:
        introduction = (HERE / "response_introduction.md").read_text(encoding="utf-8")
        arguments.document.write_text(document(table, introduction), encoding="utf-8")


if __name__ == "__main__":
    main()
