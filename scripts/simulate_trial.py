"""Write a simulated trial with known truth into a folder.

python scripts/simulate_trial.py FOLDER --seed 1 --control 66 --experimental 66
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from correlatives.simulate import CONFIG, simulate_trial
from correlatives.simulation.rates import EFFECTS
from correlatives.workflow import job


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate and write, as the command line says."""
    parser = argparse.ArgumentParser(
        description="Write a simulated trial with known truth into a folder."
    )
    parser.add_argument("folder", help="where the tables and truth.yaml go")
    parser.add_argument("--seed", type=int, default=20210104)
    parser.add_argument("--control", type=int, default=66, help="subjects of the control arm")
    parser.add_argument("--experimental", type=int, default=66, help="subjects of the other arm")
    parser.add_argument("--genes", type=int, default=2000, help="genes of the expression table")
    parser.add_argument(
        "--dictionaries",
        default=CONFIG,
        help="folder of biomarkers.tsv, coverage.tsv, pathways.tsv, signatures.tsv",
    )
    parser.add_argument(
        "--effect",
        action="append",
        default=[],
        metavar="NAME=SIZE",
        help=f"size of a planted effect, any of {', '.join(EFFECTS)}",
    )
    asked = parser.parse_args(argv)
    sizes = {}
    for pair in asked.effect:
        name, _, size = pair.partition("=")
        try:
            sizes[name] = float(size)
        except ValueError:
            parser.error(f"--effect {pair}: NAME=SIZE is wanted, with a number for SIZE")
        if name not in EFFECTS:
            parser.error(f"--effect {pair}: no such effect; there are {', '.join(EFFECTS)}")
    try:
        trial = simulate_trial(
            seed=asked.seed,
            per_arm=(asked.control, asked.experimental),
            genes=asked.genes,
            dictionaries=asked.dictionaries,
            **sizes,
        )
    except ValueError as error:
        parser.error(str(error))
    trial.write(asked.folder)


# As a rule's script the file begins with Snakemake's own lines: no __future__ import, no __doc__.
if "snakemake" in globals():
    with job(snakemake) as step:  # noqa: F821  (put there by Snakemake)
        main(
            [
                str(Path(step.output.truth).parent),
                f"--seed={step.params.seed}",
                f"--dictionaries={Path(step.input.dictionaries[0]).parent}",
            ]
        )
elif __name__ == "__main__":
    main()
