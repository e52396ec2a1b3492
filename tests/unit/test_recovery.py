"""From simulated files to results: what was planted is found, and what was not is not called found.

Trials of 300 + 300 subjects, where the planted effects are within reach. Their seeds were never looked at
while the simulation and the analyses were made.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from correlatives.assembly import build_cohort
from correlatives.binary.contrasts import mcnemar
from correlatives.predictive.model import fit_domain
from correlatives.predictive.multiplicity import adjust
from correlatives.resistance.acquired import acquired, acquired_by_arm
from correlatives.simulate import simulate_trial
from correlatives.tables.config import load
from correlatives.tables.load import load_study

ROOT = Path(__file__).parents[2]
SEEDS = range(101, 111)
ENOUGH = 9
PER_ARM = (300, 300)
GENES = 60
RANDOMISATIONS = 999
EXPERIMENTAL = "T-DM1 + palbociclib"
LEVEL = 0.05


class Found(NamedTuple):
    """What the analyses said of one trial."""

    seed: int
    errors: int
    rank_of_ccne1: int
    ccne1_ratio: float
    rb1_gained: tuple[int, int]
    rb1_p_exact: float
    rb1_q: float
    pik3ca_q: float
    erbb2_lost: int
    erbb2_gained: int


@cache
def found(folder: Path) -> tuple[Found, ...]:
    return tuple(analyse(seed, folder / str(seed)) for seed in SEEDS)


def analyse(seed: int, folder: Path) -> Found:
    """Take one trial all the way: files, study, cohort, tables."""
    simulate_trial(seed=seed, per_arm=PER_ARM, genes=GENES).write(folder)
    study = load_study(load(ROOT / "config" / "config.yaml"), folder)
    cohort = build_cohort(study).cohort
    markers = cohort.markers.select(timepoint="baseline", family="confirmatory")
    fits = fit_domain(cohort, "PFS", markers, randomisations=RANDOMISATIONS, seed=seed)
    screened = adjust([fits])
    ccne1 = row_of(screened, biomarker="CCNE1", specimen="archival_tissue", kind="continuous")
    changed = acquired(cohort, "baseline", "progression")
    between = acquired_by_arm(cohort, "baseline", "progression")
    rb1 = row_of(between, name="RB1", specimen="plasma")
    amplified = changed[
        changed["name"].eq("ERBB2 amplification") & changed["specimen"].eq("plasma")
    ]
    return Found(
        seed=seed,
        errors=len(study.problems.errors),
        # Rows tied with it go before it: a name's place in the alphabet is no evidence.
        rank_of_ccne1=int(screened["p_randomisation"].le(ccne1["p_randomisation"]).sum()),
        ccne1_ratio=ccne1["interaction_ratio"],
        rb1_gained=(int(rb1["gained_control"]), int(rb1["gained_experimental"])),
        rb1_p_exact=row_of(changed, name="RB1", specimen="plasma", arm=EXPERIMENTAL)[
            "p_mcnemar_exact"
        ],
        rb1_q=rb1["q_value"],
        pik3ca_q=row_of(between, name="PIK3CA", specimen="plasma")["q_value"],
        erbb2_lost=int(amplified["lost"].sum()),
        erbb2_gained=int(amplified["gained"].sum()),
    )


def row_of(table: pd.DataFrame, **wanted: str) -> pd.Series:
    rows = table
    for column, value in wanted.items():
        rows = rows[rows[column].eq(value)]
    assert len(rows) == 1, wanted
    return rows.iloc[0]


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return found(tmp_path_factory.mktemp("trials"))


def test_the_simulated_truth_is_recovered(trials):
    """In at least nine of ten trials, each of them."""
    shown = "\n".join(map(str, trials))
    assert not any(trial.errors for trial in trials), shown
    claims = {
        # the planted predictive marker: in the first three of its family, in the direction planted
        "CCNE1 predicts less benefit": [
            trial.rank_of_ccne1 <= 3 and trial.ccne1_ratio > 1 for trial in trials
        ],
        # the planted acquired gene: gained under palbociclib, and more than in the other arm
        "RB1 is acquired under palbociclib": [
            trial.rb1_p_exact < LEVEL
            and trial.rb1_q < LEVEL
            and trial.rb1_gained[1] > trial.rb1_gained[0]
            for trial in trials
        ],
        # acquired in both arms alike: late progressors acquire more, which is not the drug's doing
        "PIK3CA is not called resistance to palbociclib": [
            not trial.pik3ca_q < LEVEL for trial in trials
        ],
        "ERBB2 amplification is lost": [
            mcnemar(trial.erbb2_gained, trial.erbb2_lost).exact < LEVEL
            and trial.erbb2_lost > trial.erbb2_gained
            for trial in trials
        ],
    }
    for claim, held in claims.items():
        assert sum(held) >= ENOUGH, f"{claim}: {sum(held)} of {len(held)}\n{shown}"
