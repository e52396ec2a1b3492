"""Gained and lost: published counts to the printed digit, denominators by hand, error rates of the adjustment."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, UNREADABLE, marker, sample, trial
from scipy import stats

from correlatives.multiplicity import benjamini_hochberg
from correlatives.resistance.acquired import (
    ACQUIRED_COLUMNS,
    BY_ARM_COLUMNS,
    BY_TIMING_COLUMNS,
    acquired,
    acquired_by_arm,
    acquired_by_timing,
    adjusted_p,
)


def plasma(gene, before, after, specimen="plasma"):
    return [
        marker(f"gene:{gene}", specimen, "baseline", before),
        marker(f"gene:{gene}", specimen, "progression", after),
    ]


def counts(gained, n):
    """Values at progression of n subjects, the first `gained` of them altered."""
    return [1] * gained + [0] * (n - gained)


@pytest.fixture(scope="module")
def oleary():
    """RB1 in PALOMA-3 (O'Leary 2018): 6 of 127 gained on palbociclib, 0 of 68 on placebo."""
    return trial([1] * 127 + [0] * 68, plasma("RB1", [0] * 195, counts(6, 127) + [0] * 68))


def test_published_check_1_rb1_acquired_on_palbociclib(oleary):
    table = acquired(oleary, "baseline", "progression").set_index("arm")
    row = table.loc[EXPERIMENTAL]
    assert row[["pairs", "evaluable", "gained", "lost", "kept", "absent"]].tolist() == [
        *(127, 127, 6, 0, 0, 121)
    ]
    assert f"{100 * row['rate_gained']:.1f}" == "4.7"
    assert f"{row['p_mcnemar_corrected']:.4f}" == "0.0412"
    assert f"{row['p_mcnemar_exact']:.3f}" == "0.031"
    assert f"{row['p_mcnemar_midp']:.3f}" == "0.016"
    # Clopper–Pearson from the beta quantiles.
    assert row["rate_gained_low"] == pytest.approx(stats.beta.ppf(0.025, 6, 122), rel=1e-9)
    assert row["rate_gained_high"] == pytest.approx(stats.beta.ppf(0.975, 7, 121), rel=1e-9)


def test_published_check_2_the_same_between_arms(oleary):
    (row,) = acquired_by_arm(oleary, "baseline", "progression").to_dict("records")
    assert (row["gained_experimental"], row["evaluable_experimental"]) == (6, 127)
    assert (row["gained_control"], row["evaluable_control"]) == (0, 68)
    assert f"{row['p_fisher']:.3f}" == "0.093"
    assert row["rate_difference"] == pytest.approx(6 / 127)
    assert row["rate_difference_low"] < 0 < row["rate_difference_high"]
    # No time on treatment is known: nothing to adjust with, and q is of Fisher's p.
    assert np.isnan(row["p_adjusted"])
    assert row["q_value"] == row["p_fisher"]


def test_published_check_3_undetectable_at_the_end_of_treatment():
    """PALOMA-3, ASCO 2017 #1018: ESR1 8/31 v PIK3CA 1/38 lost; the published .004 is Pearson's χ²."""
    table = acquired(
        trial(
            [1] * 69,
            plasma("ESR1", [1] * 31 + [0] * 38, [0] * 8 + [1] * 23 + [0] * 38)
            + plasma("PIK3CA", [0] * 31 + [1] * 38, [0] * 32 + [1] * 37),
        ),
        "baseline",
        "progression",
    )
    here = table[table["arm"] == EXPERIMENTAL].set_index("name")
    cells = here[["lost", "kept"]].to_numpy(dtype=int)
    assert cells.tolist() == [[8, 23], [1, 37]]
    assert f"{stats.chi2_contingency(cells, correction=False).pvalue:.4f}" == "0.0045"
    assert f"{stats.chi2_contingency(cells).pvalue:.3f}" == "0.013"
    assert f"{stats.fisher_exact(cells).pvalue:.4f}" == "0.0085"


def test_denominators_by_hand():
    """Six pairs planned on palbociclib: one gene off the panel, one low fraction, one sample missing.

    RB1: subject 4 has too little tumour at progression, subject 5 no progression sample, subject 6
    stopped for toxicity: 3 evaluable of 4 pairs. FAT1: also not on the panel of subjects 1 and 2: 1 of 4.
    """
    cohort = trial(
        [1] * 6,
        plasma("RB1", [0, 0, 1, 0, 0, 0], [1, 0, 0, UNREADABLE, None, 1])
        + plasma("FAT1", [UNREADABLE, UNREADABLE, 0, 0, 0, 0], [1, 0, 1, UNREADABLE, None, 1]),
        off_treatment_reason=["progression"] * 5 + ["toxicity"],
    )
    table = acquired(cohort, "baseline", "progression")
    here = table[table["arm"] == EXPERIMENTAL].set_index("name")
    columns = ["pairs", "evaluable", "gained", "lost", "kept", "absent"]
    assert here.loc["RB1", columns].tolist() == [4, 3, 1, 1, 0, 1]
    assert here.loc["FAT1", columns].tolist() == [4, 1, 1, 0, 0, 0]
    assert here.loc["RB1", "rate_gained"] == pytest.approx(1 / 3)
    nobody = table[table["arm"] == CONTROL].set_index("name")
    assert nobody.loc["RB1", columns].tolist() == [0] * 6
    assert np.isnan(nobody.loc["RB1", "rate_gained"])
    assert np.isnan(nobody.loc["RB1", "p_mcnemar_exact"])


def test_the_parts_of_a_row_add_up():
    random = np.random.default_rng(5)
    values = [0, 1, UNREADABLE, None]
    drawn = [[values[i] for i in random.integers(0, 4, 60)] for _ in range(8)]
    markers = [row for g in range(4) for row in plasma(f"G{g}", drawn[2 * g], drawn[2 * g + 1])]
    table = acquired(trial([0, 1] * 30, markers), "baseline", "progression")
    parts = table[["gained", "lost", "kept", "absent"]].sum(axis=1)
    assert (parts == table["evaluable"]).all()
    assert (table["evaluable"] <= table["pairs"]).all()


def test_acquisition_by_time_alone_is_not_called_an_effect_of_the_arm():
    """Both arms acquire at the same rate; the experimental arm stays on treatment longer."""
    random = np.random.default_rng(6)
    adjusted, crude = [], []
    arm = np.repeat([False, True], 100)
    everyone = np.ones(200, dtype=bool)
    for _ in range(120):
        months = 0.5 + random.exponential(np.where(arm, 12.0, 5.0))
        gained = random.random(200) < 1 - np.exp(-0.03 * months)
        adjusted.append(adjusted_p(gained, arm, months, everyone))
        cells = [[(gained & a).sum(), (~gained & a).sum()] for a in (arm, ~arm)]
        crude.append(stats.fisher_exact(cells).pvalue)
    # 0.05 of 120 is 6; 13 or more has a probability below 0.01.
    assert (np.array(adjusted) < 0.05).sum() < 13
    assert (np.array(crude) < 0.05).sum() >= 20


def test_acquisition_under_one_drug_is_found_after_adjustment():
    arm = np.repeat([False, True], 100)
    random = np.random.default_rng(7)
    months = 0.5 + random.exponential(np.where(arm, 9.0, 7.0))
    gained = arm & (random.random(200) < 1 - np.exp(-0.02 * months))
    assert adjusted_p(gained, arm, months, np.ones(200, dtype=bool)) < 0.01


def test_adjusted_p_says_nothing_where_nothing_can_be_said():
    arm = np.array([False, True, True])
    months = np.array([3.0, 4.0, 5.0])
    everyone, gained = np.ones(3, dtype=bool), np.array([False, True, False])
    assert adjusted_p(np.zeros(3, dtype=bool), arm, months, everyone) == 1.0
    assert np.isnan(adjusted_p(gained, everyone, months, everyone))
    assert np.isnan(adjusted_p(gained, arm, np.full(3, np.nan), everyone))
    assert np.isnan(adjusted_p(gained, arm, months, ~everyone))


def test_adjusted_p_is_the_penalised_likelihood_ratio_of_another_implementation():
    """firthmodels 0.8.2 on O'Leary's counts with times made up."""
    firthmodels = pytest.importorskip("firthmodels")
    random = np.random.default_rng(0)
    arm = np.r_[np.zeros(68), np.ones(127)]
    months = random.exponential(6.0, 195) + 0.2
    gained = np.zeros(195)
    gained[70:76] = 1
    model = firthmodels.FirthLogisticRegression(backend="numpy")
    model.fit(np.column_stack([arm, np.log(months)]), gained)
    model.lrt(features=[0])
    found = adjusted_p(gained == 1, arm == 1, months, np.ones(195, dtype=bool))
    assert found == pytest.approx(model.lrt_pvalues_[0], rel=1e-4)


def test_q_values_are_of_the_names_gained_at_least_once():
    n = 40
    markers = [
        row
        for gene, (x, y) in {"A": (10, 0), "B": (3, 3), "NEVER": (0, 0)}.items()
        for row in plasma(gene, [0] * n, counts(x, 20) + counts(y, 20))
    ]
    table = acquired_by_arm(trial([1] * 20 + [0] * 20, markers), "baseline", "progression")
    table = table.set_index("name")
    assert table.loc["NEVER", "p_fisher"] == 1.0
    assert np.isnan(table.loc["NEVER", "q_value"])
    expected = stats.false_discovery_control(table.loc[["A", "B"], "p_fisher"])
    assert table.loc[["A", "B"], "q_value"].tolist() == pytest.approx(expected)


def test_q_values_are_of_the_adjusted_p_where_times_are_known():
    random = np.random.default_rng(8)
    samples = [
        sample(f"{i + 1:03d}", "plasma", "progression", 1 + random.exponential(6))
        for i in range(40)
    ]
    markers = plasma("A", [0] * 40, counts(8, 20) + counts(0, 20))
    markers += plasma("B", [0] * 40, counts(3, 20) + counts(3, 20))
    cohort = trial([1] * 20 + [0] * 20, markers, samples=samples)
    table = acquired_by_arm(cohort, "baseline", "progression").set_index("name")
    expected = stats.false_discovery_control(table["p_adjusted"])
    assert table["q_value"].tolist() == pytest.approx(expected)
    assert table.loc["A", "q_value"] < 0.05 < table.loc["B", "q_value"]


def test_benjamini_hochberg_leaves_missing_values_alone():
    found = benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    assert found[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(found[1])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_early_and_late_progressors_within_arm():
    """Palbociclib: progression at 2, 3, 5, 9 months, gained at 5 and 9 only; limit 3 months."""
    cohort = trial(
        [1, 1, 1, 1, 0],
        plasma("RB1", [0] * 5, [0, 0, 1, 1, 0]),
        progression_months=[2.0, 3.0, 5.0, 9.0, 4.0],
    )
    table = acquired_by_timing(cohort, "baseline", "progression", 3.0).set_index("arm")
    row = table.loc[EXPERIMENTAL]
    assert row[["gained_early", "evaluable_early", "gained_late", "evaluable_late"]].tolist() == [
        *(0, 2, 2, 2)
    ]
    assert row["rate_difference"] == 1.0
    assert row["p_fisher"] == pytest.approx(1 / 6 + 1 / 6)
    row = table.loc[CONTROL]
    assert row[["evaluable_early", "evaluable_late"]].tolist() == [0, 1]
    assert np.isnan(row["rate_difference"])
    assert np.isnan(row["p_fisher"])


def test_who_has_no_time_is_neither_early_nor_late():
    cohort = trial([1, 0], plasma("RB1", [0, 0], [1, 0]))
    table = acquired_by_timing(cohort, "baseline", "progression", 3.0)
    assert table[["evaluable_early", "evaluable_late"]].to_numpy().sum() == 0


def test_pathways_before_genes_and_blood_before_tissue():
    markers = []
    for name in ("gene:RB1", "pathway:RB"):
        for specimen, later in (("plasma", "plasma"), ("archival_tissue", "biopsy")):
            markers.append(marker(name, specimen, "baseline", [0, 0]))
            markers.append(marker(name, later, "progression", [0, 1]))
    table = acquired_by_arm(trial([0, 1], markers), "baseline", "progression")
    assert table[["level", "specimen"]].to_numpy().tolist() == [
        ["pathway", "plasma"],
        ["pathway", "tissue"],
        ["gene", "plasma"],
        ["gene", "tissue"],
    ]


def test_lost_in_both_arms_is_reported_lost():
    """ERBB2 amplification: 8 of 10 lost in each arm."""
    after = [0] * 8 + [1] * 2
    table = acquired(
        trial([0] * 10 + [1] * 10, plasma("ERBB2", [1] * 20, after * 2)), "baseline", "progression"
    )
    assert table["lost"].tolist() == [8, 8]
    assert table["gained"].tolist() == [0, 0]
    assert (table["p_mcnemar_exact"] < 0.05).all()


def test_single_arm_study_counts_and_compares_nothing():
    cohort = trial([None] * 3, plasma("RB1", [0, 0, 1], [1, 0, 1]))
    table = acquired(cohort, "baseline", "progression")
    assert table[["arm", "gained", "evaluable"]].to_numpy().tolist() == [[EXPERIMENTAL, 1, 3]]
    assert acquired_by_arm(cohort, "baseline", "progression").empty


def test_without_data_there_is_a_header():
    cohort = trial([0, 1], [])
    for table, columns in (
        (acquired(cohort, "baseline", "progression"), ACQUIRED_COLUMNS),
        (acquired_by_arm(cohort, "baseline", "progression"), BY_ARM_COLUMNS),
        (acquired_by_timing(cohort, "baseline", "progression", 3.0), BY_TIMING_COLUMNS),
    ):
        pd.testing.assert_frame_equal(table, pd.DataFrame(columns=columns))
