"""Simulate what the predictive analysis claims: error rates, coverage, power.

    python tests/calibration/run.py --trials 2000 --cells all --out build/calibration.tsv --document docs/calibration.md

Every cell has its own seeds, so that its row does not depend on the others. `make calibration` runs all.
"""

from __future__ import annotations

import argparse
import fnmatch
import multiprocessing
import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "scripts")]
# each process computes on one core
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pandas as pd  # noqa: E402
from measure import DRAWS, LEVEL, MEASURES, measure  # noqa: E402
from scipy.special import ndtri  # noqa: E402
from trials import MARKERS, Cell  # noqa: E402

KINDS = ("normal", "lognormal", "binary15", "binary3", "limit40")
SIZES = (46, 132, 300)
EFFECTS = (1.0, 0.7, 0.4)

#: Cells besides the grid: what each feature changes, in both models where it has a meaning there.
FEATURES = {
    "cox": (
        "prognostic",
        "strata",
        "missing",
        "ties",
        "covariates",
        "strata+covariates",
        "nonproportional",
        "nonproportional+missing",
    ),
    "logistic": ("prognostic", "strata", "missing", "covariates", "strata+covariates", "rare"),
}

#: What the coverage of 95 % limits should be.
COVERAGE = (0.93, 0.97)

#: Log ratio at 132 subjects of one planted interaction, per SD of the latent normal or per carrier.
PLANTED = {"normal": 0.8, "lognormal": 0.8, "binary15": 1.8}


def every_cell() -> list[Cell]:
    """All cells: the grid, the features, true interactions."""
    cells = [
        Cell(model, n, kind, allocation, effect)
        for model in ("cox", "logistic")
        for n in SIZES
        for kind in KINDS
        for allocation in (1, 2)
        for effect in EFFECTS
    ]
    for model, features in FEATURES.items():
        for feature in features:
            cells += [
                Cell(model, n, kind, allocation, effect, feature)
                for n in (46, 132)
                for kind, allocation, effect in (
                    ("normal", 2, 0.4),
                    ("lognormal", 1, 0.4),
                    ("binary15", 1, 0.4),
                )
            ]
    cells += [
        Cell(model, n, "factor", allocation, effect, "strata")
        for model in ("cox", "logistic")
        for n in SIZES
        for allocation, effect in ((1, 1.0), (1, 0.4), (2, 0.4))
    ]
    cells += [
        Cell(model, n, kind, 1, 0.7, "", true, beta * (1.0 if model == "cox" else 1.5))
        for model in ("cox", "logistic")
        for n in (132, 300)
        for kind, beta in PLANTED.items()
        for true in (1, 5)
    ]
    return cells


def chosen_cells(patterns: list[str]) -> list[Cell]:
    """Return the cells whose names match any of the patterns, such as 'cox 46 *'; `all` is every cell."""
    cells = every_cell()
    if "all" in patterns:
        return cells
    return [
        cell for cell in cells if any(fnmatch.fnmatch(cell.name, pattern) for pattern in patterns)
    ]


def _measured(task: tuple[Cell, int]) -> dict[str, object]:
    return measure(*task)


def run(cells: list[Cell], trials: int, processes: int, out: Path | None) -> pd.DataFrame:
    """Measure the cells that `out` does not have with as many trials; a row each, in their order.

    `out` is written after every cell, so that a run that was stopped goes on where it was.
    """
    known = {}
    if out and out.exists():
        before = read(out)
        known = {row["cell"]: dict(row) for _, row in before[before["trials"] >= trials].iterrows()}
    missing = [cell for cell in cells if cell.name not in known]
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        tasks = [(cell, trials) for cell in missing]
        for number, row in enumerate(pool.imap(_measured, tasks), 1):
            cell = missing[number - 1]
            known[cell.name] = {"cell": cell.name, **row}
            if out:
                rows = [
                    known[name] for name in (each.name for each in every_cell()) if name in known
                ]
                write(pd.DataFrame(rows), out)
            minutes = (time.monotonic() - started) / 60
            print(f"{number}/{len(missing)}  {minutes:.1f} min  {cell.name}", flush=True)
    return pd.DataFrame([known[cell.name] for cell in cells])


def read(path: Path) -> pd.DataFrame:
    """Read what `write` wrote."""
    return pd.read_csv(path, sep="\t", keep_default_na=False, na_values=["NA"])


def write(table: pd.DataFrame, path: Path) -> None:
    """Write all numbers, one row a cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, float_format="%.5f", na_rep="NA")


def _range(table: pd.DataFrame, name: str) -> str:
    """Smallest and largest of a column, and how many of its cells are outside what is claimed."""
    values = table[name].dropna()
    return "" if values.empty else f"{values.min():.3f} to {values.max():.3f}"


def _text(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return ""
    text = f"{row[name]:.3f} ({row[f'{name}_low']:.3f}–{row[f'{name}_high']:.3f})"
    above = name in ("fwer", "size") and row[f"{name}_low"] > LEVEL
    outside = name == "coverage" and (
        row[f"{name}_high"] < COVERAGE[0] or row[f"{name}_low"] > COVERAGE[1]
    )
    return f"**{text}**" if above or outside else text


def _outside(null: pd.DataFrame) -> list[str]:
    """Say in how many cells a claim is missed beyond Monte Carlo error, and in how many by chance alone."""
    claims = {
        "the family-wise error is above 0.05": ("fwer", 0.0, LEVEL),
        "the size is above 0.05": ("size", 0.0, LEVEL),
        "the coverage is outside 0.93 to 0.97": ("coverage", *COVERAGE),
    }
    lines = []
    for claim, (name, lowest, highest) in claims.items():
        known = null[null[name].notna()]
        # 95 % limits of one cell, stretched to hold in all of them at once
        wider = ndtri(1 - 0.025 / max(len(known), 1)) / ndtri(0.975)
        low = known[name] - wider * (known[name] - known[f"{name}_low"])
        high = known[name] + wider * (known[f"{name}_high"] - known[name])
        alone = (known[f"{name}_low"] > highest) | (known[f"{name}_high"] < lowest)
        together = (low > highest) | (high < lowest)
        names = ", ".join(known.loc[together, "cell"])
        lines.append(
            f"- In {alone.sum()} of {len(known)} cells {claim} by the cell's own 95 % limits (in bold below; if it were just "
            f"met everywhere, chance would put {0.025 * len(known):.0f} there), in {together.sum()} by limits that hold in all "
            f"cells at once{f': {names}' if names else ''}."
        )
    return lines


def document(table: pd.DataFrame, introduction: str) -> str:
    """Return the documentation page: an introduction, a summary, and every cell with its limits."""
    null = table[table["true"] == 0]
    lines = [introduction.strip(), "", "## Summary", ""]
    lines += [
        f"{int(table['trials'].min())} trials a cell, {MARKERS} markers a trial, {DRAWS} draws a trial; "
        f"{len(table)} of {len(every_cell())} cells measured (`run.py --list`). Ranges over cells:",
        "",
        "| model | subjects | cells | family-wise error | size | coverage | family-wise error, LRT + Bonferroni |",
        "|---|---|---|---|---|---|---|",
    ]
    for (model, n), part in null.groupby(["model", "n"]):
        ranges = [_range(part, name) for name in MEASURES[:4]]
        lines.append(f"| {model} | {n} | {len(part)} | {' | '.join(ranges)} |")
    lines += [
        "",
        *_outside(null),
        "",
        "## Under the null",
        "",
        "| model | subjects | markers | allocation | effect | feature | family-wise error | size | coverage | "
        "LRT + Bonferroni |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for _, row in null.iterrows():
        cells = [_text(row, name) for name in MEASURES[:4]]
        lines.append(
            f"| {row['model']} | {row['n']} | {row['kind']} | {row['allocation']}:1 | {row['effect']:g} | "
            f"{row['feature'].replace('+', ', ')} | {' | '.join(cells)} |"
        )
    one = table[table["true"] == 1]
    if len(one):
        lines += [
            "",
            "## Power, one true interaction",
            "",
            "| model | subjects | markers | log ratio | randomisation test, maxT | LRT + Bonferroni |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['model']} | {row['n']} | {row['kind']} | {row['interaction']:g} | {_text(row, 'power')} | "
            f"{_text(row, 'power_lrt_bonferroni')} |"
            for _, row in one.iterrows()
        ]
    many = table[table["true"] > 1]
    if len(many):
        lines += [
            "",
            f"## False discovery rate at q ≤ {LEVEL}, five true interactions",
            "",
            "| model | subjects | markers | log ratio | false discovery rate | true ones found |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['model']} | {row['n']} | {row['kind']} | {row['interaction']:g} | {_text(row, 'fdr')} | "
            f"{_text(row, 'power')} |"
            for _, row in many.iterrows()
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000, help="trials a cell")
    parser.add_argument(
        "--cells", nargs="+", default=["all"], help="all, or patterns of names such as 'cox 46 *'"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="table of all numbers (TSV)")
    parser.add_argument("--document", type=Path, help="page for the documentation (Markdown)")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        help="write the page from such a table, without simulating",
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    options = parser.parse_args()
    cells = chosen_cells(options.cells)
    if options.list:
        print("\n".join(cell.name for cell in cells))
        return
    if options.source:
        table = read(options.source)
    else:
        table = run(cells, options.trials, options.processes, options.out)
        if options.out:
            # with what was measured before
            table = read(options.out)
    if options.document:
        options.document.write_text(
            document(table, (HERE / "introduction.md").read_text(encoding="utf-8")),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
