"""Baseline markers by pathway: the numbers of the predictive engine, in the order of reading."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import marker, trial

from correlatives.binary.contrasts import fisher_p
from correlatives.predictive.model import fit_domain
from correlatives.resistance.intrinsic import (
    COLUMNS,
    EARLY,
    SINGLE_ARM_COLUMNS,
    intrinsic,
    with_early_progression,
)

PATHWAYS = [
    {"gene": "RB1", "kind": "snv", "pathway": "RB"},
    {"gene": "FAT1", "kind": "indel", "pathway": "RB"},
    {"gene": "CCNE1", "kind": "amplification", "pathway": "cyclin E"},
]


def study(n=80, single=False, seed=1):
    random = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    rb1 = (random.random(n) < 0.4).astype(float)
    months = random.exponential(6.0 * np.exp(-1.2 * rb1 * arm))
    markers = [
        marker("gene:CCNE1", "plasma", "baseline", (random.random(n) < 0.3).astype(int).tolist()),
        marker(
            "CCNE1",
            "archival_tissue",
            "baseline",
            random.normal(size=n).tolist(),
            "continuous",
            pathway="cyclin E",
        ),
        marker("gene:FAT1", "plasma", "baseline", (random.random(n) < 0.3).astype(int).tolist()),
        marker(
            "RB_IHC",
            "archival_tissue",
            "baseline",
            random.normal(size=n).tolist(),
            "continuous",
            pathway="RB",
        ),
        marker("gene:RB1", "plasma", "baseline", rb1.tolist()),
        marker("pathway:RB", "plasma", "baseline", rb1.tolist()),
        marker("gene:RB1", "plasma", "progression", rb1.tolist()),
        marker(
            "ratio:TK1:C1D15",
            "serum",
            "baseline",
            random.normal(size=n).tolist(),
            "continuous",
            pathway="RB",
        ),
        marker("gene:TP53", "plasma", "baseline", rb1.tolist()),
    ]
    return trial(
        [None] * n if single else arm.tolist(),
        markers,
        pathways=PATHWAYS,
        PFS_months=months,
        PFS_event=(random.random(n) < 0.8).astype(float),
    )


def test_early_progression_by_hand():
    """Landmark 3 months: progressed at 2 and at 3; followed beyond it; censored before it; not known."""
    cohort = trial(
        [1] * 6,
        [],
        PFS_months=[2.0, 3.0, 3.1, 9.0, 2.0, np.nan],
        PFS_event=[1.0, 1.0, 1.0, 0.0, 0.0, 1.0],
    )
    early = with_early_progression(cohort, "PFS", 3.0).subjects[EARLY]
    assert early.tolist() == pytest.approx([1, 1, 0, 0, np.nan, np.nan], nan_ok=True)


def test_pathways_come_in_their_order_and_rb_status_first():
    table = intrinsic(study(), 3.0)
    of_pfs = table[table["endpoint"] == "PFS"]
    assert of_pfs["biomarker"].tolist() == [
        *("pathway:RB", "gene:RB1", "gene:FAT1", "RB_IHC", "gene:CCNE1", "CCNE1"),
    ]
    assert of_pfs["pathway"].tolist() == ["RB"] * 4 + ["cyclin E"] * 2
    assert table["endpoint"].unique().tolist() == ["PFS", EARLY]


def test_numbers_are_those_of_the_predictive_analysis():
    cohort = study()
    table = intrinsic(cohort, 3.0, randomisations=499, seed=7)
    markers = cohort.markers.select(timepoint="baseline", biomarker="gene:RB1")
    (expected,) = fit_domain(cohort, "PFS", markers, randomisations=499, seed=7).table.to_dict(
        "records"
    )
    (row,) = table[table["biomarker"].eq("gene:RB1") & table["endpoint"].eq("PFS")].to_dict(
        "records"
    )
    for column in ("n", "events", "interaction_ratio", "interaction_ratio_high", "p_randomisation"):
        assert row[column] == pytest.approx(expected[column], rel=1e-9), column
    # Planted: RB1 takes the benefit away.
    assert row["interaction_ratio_low"] > 1
    assert row["q_value"] >= row["p_randomisation"]


def test_early_progression_is_an_odds_ratio_of_who_is_evaluable():
    cohort = study()
    table = intrinsic(cohort, 3.0)
    (row,) = table[table["biomarker"].eq("gene:RB1") & table["endpoint"].eq(EARLY)].to_dict(
        "records"
    )
    time, event = (cohort.subjects[f"PFS_{name}"] for name in ("months", "event"))
    unknown = int(((time <= 3) & (event == 0)).sum())
    assert unknown > 0
    assert row["not_evaluable"] == unknown
    assert row["n"] == len(cohort.subjects) - unknown
    assert row["events"] == int(((time <= 3) & (event == 1)).sum())
    assert row["effect_measure"] == "odds_ratio"
    # The effect of RB1 within the experimental arm goes with Fisher's test of that table.
    use = ((time > 3) | (event == 1)).to_numpy() & (cohort.subjects["arm_code"] == 1).to_numpy()
    rb1 = cohort.markers.select(timepoint="baseline", biomarker="gene:RB1").value[0]
    early = (time <= 3).to_numpy()
    counts = [
        [int((use & early & (rb1 == v)).sum()), int((use & (rb1 == v)).sum())] for v in (0, 1)
    ]
    p = fisher_p([counts[0][0], counts[1][0]], [counts[0][1], counts[1][1]])
    assert (row["marker_effect_experimental_low"] > 1) == (p < 0.05)


def test_single_arm_study_calls_nothing_predictive():
    table = intrinsic(study(single=True), 3.0)
    assert table.columns.tolist() == SINGLE_ARM_COLUMNS
    assert table["marker_effect"].notna().any()
    assert not any("interaction" in column for column in table.columns)


def test_without_data_there_is_a_header():
    nothing = intrinsic(trial([0, 1], [], PFS_months=1.0, PFS_event=1.0), 3.0)
    pd.testing.assert_frame_equal(nothing, pd.DataFrame(columns=COLUMNS))
    no_progression = study()
    no_progression.study["endpoints"] = {"OS": {"type": "time_to_event"}}
    assert intrinsic(no_progression, 3.0).empty


def test_the_level_of_the_detectable_ratio_is_said_and_few_carriers_too():
    cohort = study(n=60)
    rare = [1] * 3 + [0] * 57
    markers = [
        marker("gene:RB1", "plasma", "baseline", rare),
        marker("gene:FAT1", "plasma", "baseline", [0, 1] * 30),
    ]
    arm = cohort.subjects["arm_code"].astype(int).tolist()
    few = trial(
        arm,
        markers,
        pathways=PATHWAYS,
        PFS_months=cohort.subjects["PFS_months"].to_numpy(),
        PFS_event=cohort.subjects["PFS_event"].to_numpy(),
    )
    table = intrinsic(few, 3.0, randomisations=99)
    table = table[table["endpoint"] == "PFS"].set_index("biomarker")
    assert table["method"].str.contains("minimum detectable ratio of this marker alone").all()
    assert "not in its family: fewer than 5 subjects differ" in table.loc["gene:RB1", "note"]
    assert "not in its family" not in table.loc["gene:FAT1", "note"]
    assert "Benjamini–Hochberg on p_randomisation, family of 1" in table.loc["gene:FAT1", "method"]
