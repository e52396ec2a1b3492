"""The evidence table: what each cell and the summary say of a planted gene, and what they do not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, marker, sample, trial

from correlatives.resistance.acquired import acquired, acquired_by_arm
from correlatives.resistance.change import paired_change
from correlatives.resistance.concordance import concordance
from correlatives.resistance.dynamics import dynamics
from correlatives.resistance.evidence import COLUMNS, _words_between_arms, evidence
from correlatives.resistance.evidence_lines import LANDMARK, evidence_lines
from correlatives.resistance.intrinsic import intrinsic
from correlatives.resistance.longitudinal import longitudinal

LANDMARK_CELL = "early_change_survival_blood"

PATHWAYS = [
    {"gene": "RB1", "kind": "deletion", "pathway": "RB"},
    {"gene": "PIK3CA", "kind": "snv", "pathway": "PI3K"},
    {"gene": "ERBB2", "kind": "amplification", "pathway": "HER2"},
    {"gene": "FAT1", "kind": "snv", "pathway": "RB"},
]


def table_of(cohort, predictive=None, **options):
    return evidence(
        cohort,
        acquired=acquired(cohort, "baseline", "progression"),
        acquired_by_arm=acquired_by_arm(cohort, "baseline", "progression"),
        paired_change=paired_change(cohort, "baseline", "progression", ["C1D15"]),
        dynamics=dynamics(cohort, ["C1D15"], {"C1D15": 19}),
        concordance=concordance(cohort, "baseline"),
        predictive=predictive,
        intrinsic=intrinsic(cohort, 3.0),
        longitudinal=longitudinal(cohort, "baseline", "progression"),
        **options,
    )


@pytest.fixture(scope="module")
def planted():
    """RB1 gained on palbociclib only, PIK3CA in both arms by time, ERBB2 lost in both; 150 pairs an arm."""
    random = np.random.default_rng(11)
    n = 300
    arm = np.arange(n) % 2
    months = 0.5 + random.exponential(np.where(arm == 1, 14.0, 5.0))
    rb1 = (arm == 1) & (random.random(n) < 1 - np.exp(-0.012 * months))
    pik3ca = random.random(n) < 1 - np.exp(-0.03 * months)
    erbb2 = random.random(n) < 0.3
    markers = []
    for gene, before, after in (
        ("RB1", np.zeros(n), rb1),
        ("PIK3CA", np.zeros(n), pik3ca),
        ("ERBB2", np.ones(n), erbb2),
    ):
        markers.append(marker(f"gene:{gene}", "plasma", "baseline", before))
        markers.append(marker(f"gene:{gene}", "plasma", "progression", after))
    markers.append(marker("gene:ERBB2", "archival_tissue", "baseline", np.ones(n)))
    tk1 = random.normal(8, 1, n)
    for timepoint, shift in (("baseline", 0.0), ("C1D15", -2.0)):
        values = tk1 + shift * arm + random.normal(0, 0.3, n)
        kind = {"kind": "continuous", "pathway": "RB"}
        markers.append(marker("TK1", "serum", timepoint, values, **kind))
    markers.append(
        marker("ratio:TK1:C1D15", "serum", "C1D15", random.normal(size=n), kind="continuous")
    )
    for info, _, _ in markers:
        info["hypothesis"] = "pharmacodynamic" if info["biomarker"] == "TK1" else ""
    return trial(
        arm.tolist(),
        markers,
        pathways=PATHWAYS,
        samples=[sample(f"{i + 1:03d}", "plasma", "progression", m) for i, m in enumerate(months)],
        PFS_months=months,
        PFS_event=1.0,
        progression_months=months,
    )


def test_planted_truth_in_words(planted):
    table = table_of(planted, drug="palbociclib").set_index("name")
    assert "consistent with acquired resistance to it" in table.loc["RB1", "summary"]
    assert "also after adjustment for time on treatment" in table.loc["RB1", "summary"]
    for name in ("PIK3CA", "ERBB2"):
        assert "consistent with" not in table.loc[name, "summary"]
    assert "does not stand after adjustment" in table.loc["PIK3CA", "summary"]
    assert (
        f"Lost more often than gained in both arms in plasma: {CONTROL} 100 lost and 0 gained (100 %, limits 96.4 "
        "to 100, of the pairs that changed);"
    ) in table.loc["ERBB2", "summary"]
    assert table.loc["FAT1", "summary"] == "Not looked at in pairs of samples."


@pytest.mark.parametrize(("lost", "gained", "said"), [(6, 0, True), (5, 0, False), (9, 2, False)])
def test_lost_is_said_by_the_limits_of_its_share(lost, gained, said):
    """Exact limits of 6 of 6 are 0.54 to 1, of 5 of 5 0.48 to 1, of 9 of 11 0.48 to 0.98 (mid-p 0.04)."""
    before = [1] * lost + [0] * gained + [1, 0]
    after = [0] * lost + [1] * gained + [1, 0]
    markers = [
        marker("gene:ERBB2", "plasma", "baseline", before),
        marker("gene:ERBB2", "plasma", "progression", after),
    ]
    cohort = trial([None] * len(before), markers, PFS_months=5.0, PFS_event=1.0)
    (row,) = table_of(cohort).to_dict("records")
    assert ("Lost more often than gained" in row["summary"]) == said


def test_cells_have_direction_size_limits_and_numbers(planted):
    table = table_of(planted).set_index("name")
    rb1 = table.loc["RB1"]
    assert rb1["acquired_control_blood"].startswith(
        "gained in 0 of 150 (plasma): 0.0 % (0.0 to 2.4)"
    )
    assert rb1["acquired_difference_blood"].startswith(
        "more often in the experimental arm (plasma): +"
    )
    assert "p adjusted for time on treatment" in rb1["acquired_difference_blood"]
    assert rb1["acquired_experimental_tissue"] == ""
    assert table.loc["ERBB2", "lost_blood"].count("lost in") == 2
    assert "tissue-positive" in table.loc["ERBB2", "concordance"]
    tk1 = table.loc["RB", "early_change_blood"]
    assert f"TK1 fell by C1D15 under {EXPERIMENTAL}: -1.94 (-2 to -1.88), 150 pairs" in tk1
    assert f"TK1 did not clearly change by C1D15 under {CONTROL}: " in tk1
    assert "150 pairs" in tk1
    # the number and the unit of resistance/dynamics.tsv
    known = dynamics(planted, ["C1D15"], {"C1D15": 19}).set_index(["biomarker", "arm"])
    line = known.loc[("ratio:TK1:C1D15", "all")]
    assert (
        f"with higher ratio:TK1:C1D15: hazard ratio {line['hr']:.3g} ({line['hr_low']:.3g} to "
        f"{line['hr_high']:.3g}) per doubling from month"
    ) in table.loc["RB", "early_change_survival_blood"]


def test_a_change_given_as_yes_or_no_is_not_per_doubling():
    random = np.random.default_rng(2)
    n = 40
    found = [
        marker("TK1", "serum", "baseline", random.normal(size=n), "continuous", pathway="RB"),
        marker("change:TK1:C1D15", "serum", "C1D15", (np.arange(n) % 3 == 0) * 1.0),
    ]
    cohort = trial(
        [i // 2 % 2 for i in range(n)],
        found,
        [sample(f"{i + 1:03d}", "serum", "C1D15", 0.5) for i in range(n)],
        pathways=PATHWAYS,
        PFS_months=1 + random.exponential(6, n),
        PFS_event=1.0,
    )
    cell = table_of(cohort).set_index("name").loc["RB", LANDMARK_CELL]
    assert " PFS with change:TK1:C1D15: hazard ratio" in cell
    assert "doubling" not in cell
    lines = evidence_lines(
        cohort,
        acquired=acquired(cohort, "baseline", "progression"),
        acquired_by_arm=acquired_by_arm(cohort, "baseline", "progression"),
        paired_change=paired_change(cohort, "baseline", "progression"),
        dynamics=dynamics(cohort, ["C1D15"]),
        concordance=concordance(cohort, "baseline"),
    )
    of_change = lines[(lines["marker"] == "TK1") & (lines["line"] == LANDMARK)]
    assert of_change["per"].unique().tolist() == ["yes v no"]


def test_a_difference_that_could_not_be_adjusted_is_said_to_be_so():
    (said,) = _words_between_arms(
        pd.DataFrame(
            [
                {
                    "gained_experimental": 9,
                    "evaluable_experimental": 20,
                    "gained_control": 0,
                    "evaluable_control": 20,
                    "rate_difference_low": 0.2,
                    "rate_difference_high": 0.7,
                    "p_adjusted": np.nan,
                    "q_value": np.nan,
                }
            ]
        ),
        "plasma",
        EXPERIMENTAL,
        CONTROL,
        "palbociclib",
    )
    assert said.endswith(
        "more often with palbociclib, but this could not be adjusted for time on treatment."
    )


def test_survival_from_the_landmark_is_that_of_the_studys_own_endpoint(planted):
    subjects = planted.subjects.rename(
        columns={"PFS_months": "TTP_months", "PFS_event": "TTP_event"}
    )
    study = planted.study | {"endpoints": {"TTP": {"type": "time_to_event"}}}
    table = table_of(replace(planted, subjects=subjects, study=study)).set_index("name")
    assert " TTP with higher ratio:TK1:C1D15: hazard ratio" in table.loc["RB", LANDMARK_CELL]


def test_the_course_and_early_progression_have_cells_of_their_own(planted):
    """TK1 falls by 2 under palbociclib; as a baseline marker of RB it is quoted on early progression."""
    table = table_of(planted).set_index(["level", "name"])
    row = table.loc["pathway", "RB"]
    assert row["course_difference_blood"].startswith(
        f"TK1 lower under {EXPERIMENTAL} at C1D15: -1.96"
    )
    assert "n 300" in row["course_difference_blood"]
    assert "ratio of odds ratios" in row["baseline_interaction_early_progression_blood"]
    assert row["course_difference_tissue"] == ""


def test_rows_are_pathways_then_genes_in_their_order(planted):
    table = table_of(planted)
    assert list(table.columns) == COLUMNS
    assert table["name"].tolist() == ["RB", "PI3K", "HER2", "FAT1", "RB1", "PIK3CA", "ERBB2"]
    assert table["pathway"].tolist() == ["RB", "PI3K", "HER2", "RB", "RB", "PI3K", "HER2"]


def test_baseline_interaction_is_claimed_by_its_adjusted_p_value_alone(planted):
    """Limits that exclude 1 are said to be no more than that; the specimen is named."""
    row = {
        "biomarker": "gene:RB1",
        "specimen": "plasma",
        "interaction_ratio": 2.4,
        "interaction_ratio_low": 1.1,
        "interaction_ratio_high": 5.2,
        "contrast": "altered v not",
        "n": 280,
        "events": 260,
        "p_randomisation": 0.06,
        "p_interaction_lrt": 0.03,
        "p_fwer": np.nan,
        "q_value": 0.998,
    }
    wide = row | {
        "biomarker": "gene:PIK3CA",
        "specimen": "archival_tissue",
        "interaction_ratio_low": 0.4,
        "p_randomisation": 0.0001,
    }
    cut = row | {"contrast": ">=1 v <1"}
    table = table_of(planted, predictive=pd.DataFrame([row, wide])).set_index("name")
    twice = table_of(planted, predictive=pd.DataFrame([row, cut, wide])).set_index("name")
    assert twice.loc["RB1", "summary"] == table.loc["RB1", "summary"]
    numbers = "ratio of hazard ratios 2.4 (1.1 to 5.2), altered v not, n 280, 260 events"
    cell, said = "baseline_interaction_pfs_blood", "At baseline (plasma), gene:RB1 × arm: "
    less = "less benefit where it is present or higher"
    assert table.loc["RB1", cell] == (
        f"less benefit by unadjusted limits alone with gene:RB1 (plasma): {numbers}, p 0.06, q 0.998"
    )
    assert table.loc["RB1", "summary"].endswith(
        f"{said}{less} by unadjusted limits alone, which its test does not bear (p 0.06, q 0.998)."
    )
    assert table.loc["PIK3CA", "baseline_interaction_pfs_tissue"] != ""
    assert "At baseline" not in table.loc["PIK3CA", "summary"]
    # Where the adjusted p-value bears it, it is claimed: that of the false discovery rate, or of the family.
    for adjusted, words in (
        ({"q_value": 0.04}, "p 0.06, q 0.04"),
        ({"p_fwer": 0.03}, "p 0.06, family-wise p 0.03"),
        ({"p_fwer": 0.2, "q_value": 0.04}, ""),
        ({"q_value": 0.04, "p_randomisation": np.nan}, "likelihood-ratio p 0.03, q 0.04"),
    ):
        found = table_of(planted, predictive=pd.DataFrame([row | adjusted])).set_index("name")
        claimed = f"{said}{less} ({words})."
        assert (claimed in found.loc["RB1", "summary"]) == bool(words)
        assert found.loc["RB1", cell].startswith("less benefit with") == bool(words)
    strict = table_of(planted, predictive=pd.DataFrame([row | {"q_value": 0.04}]), alpha=0.01)
    assert "unadjusted limits alone" in strict.set_index("name").loc["RB1", "summary"]


def test_single_arm_study_says_nothing_of_arms():
    markers = [
        marker("gene:RB1", "plasma", "baseline", [0, 0, 0]),
        marker("gene:RB1", "plasma", "progression", [1, 0, 0]),
    ]
    cohort = trial([None] * 3, markers, PFS_months=[1.0, 2.0, 3.0], PFS_event=1.0)
    (row,) = table_of(cohort).to_dict("records")
    assert row["acquired_experimental_blood"].startswith("gained in 1 of 3")
    assert row["acquired_control_blood"] == row["acquired_difference_blood"] == ""
    assert row["summary"] == "Gained in 1 of 3 pairs in plasma."


def test_without_data_there_is_a_header():
    nothing = trial([0, 1], [], PFS_months=[1.0, 2.0], PFS_event=1.0)
    pd.testing.assert_frame_equal(table_of(nothing), pd.DataFrame(columns=COLUMNS))
