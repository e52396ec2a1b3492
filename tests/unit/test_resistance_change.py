"""Paired change against hand counts, enumeration of all signs, scipy and R."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, UNREADABLE, marker, trial
from scipy import stats

from correlatives.resistance.change import COLUMNS, hodges_lehmann, paired_change, signed_rank_p

R = Path(__file__).parents[2].parent / "shared" / "reference" / "r"


def test_signed_rank_agrees_with_scipys_exact_test_without_ties():
    differences = np.array([1.1, -0.3, 2.2, 0.7, -1.4, 3.1, 0.2, 1.9])
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-12)


def test_signed_rank_with_ties_and_zeros_is_the_share_of_all_signs():
    differences = np.array([1.0, 1.0, -1.0, 2.0, 2.0, 3.0, 0.0, 4.0])
    nonzero = differences[differences != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    centre = ranks.sum() / 2
    observed = abs(ranks[nonzero > 0].sum() - centre)
    extreme = [
        abs((ranks * signs).sum() - centre) >= observed - 1e-9
        for signs in itertools.product([0, 1], repeat=len(ranks))
    ]
    assert signed_rank_p(differences) == pytest.approx(np.mean(extreme), rel=1e-12)


def test_signed_rank_beyond_fifty_pairs_has_rs_correction():
    """scipy's asymptotic test follows the formula of R's wilcox.test."""
    random = np.random.default_rng(1)
    differences = np.round(random.normal(0.3, 1.0, 80), 1)
    expected = stats.wilcoxon(differences, correction=True, method="asymptotic").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


def test_signed_rank_agrees_with_r_on_albumin_at_entry_and_a_year_later():
    """R 4.2.2, wilcox.test on 285 pairs of pbcseq, three of them zero; without rounding ties break."""
    if not R.exists():
        pytest.skip("reference answers of R are not beside this repository")
    table = pd.read_csv(R / "data" / "pbcseq_paired.csv")
    expected = json.loads((R / "binary.json").read_text())["wilcoxon"]["signed_rank_albumin"]
    start, end = (table[f"albumin_{when}"].to_numpy() for when in ("pre", "post"))
    known = ~np.isnan(start) & ~np.isnan(end)
    differences = np.round(end[known] - start[known], 10)
    assert len(differences) - expected["zeros"] == (differences != 0).sum()
    assert signed_rank_p(differences) == pytest.approx(expected["p_cc"], rel=1e-9)


def test_no_change_at_all_is_p_one():
    assert signed_rank_p(np.zeros(7)) == 1.0
    assert np.isnan(signed_rank_p(np.array([])))


def test_hodges_lehmann_agrees_with_hollander_and_wolfe():
    """Hamilton depression scale factor IV, Hollander & Wolfe table 3.1: estimate -0.46, limits -0.786 and -0.010.

    The differences are as in R's example(wilcox.test).
    """
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = hodges_lehmann(np.round(np.subtract(after, before), 6))
    assert found == pytest.approx((-0.46, -0.786, -0.010), abs=5e-4)


def test_hodges_lehmann_limits_cover_at_least_what_they_say():
    """Against all Walsh averages and scipy's exact null distribution."""
    random = np.random.default_rng(2)
    differences = random.normal(size=20)
    walsh = np.sort(
        [(a + b) / 2 for a, b in itertools.combinations_with_replacement(differences, 2)]
    )
    found = hodges_lehmann(differences)
    assert found.estimate == pytest.approx(np.median(walsh))
    # The 2.5 % quantile of the signed-rank statistic at n = 20 is 53 (R: qsignrank(0.025, 20)).
    assert found.low == walsh[53 - 1]
    assert found.high == walsh[210 - 53]


def test_hodges_lehmann_without_enough_pairs_has_no_limits():
    found = hodges_lehmann(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found.estimate == 3.0
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def changes(before, after, arm_codes, **options):
    cohort = trial(
        arm_codes,
        [
            marker("TK1", "serum", "baseline", before, kind="continuous", **options),
            marker("TK1", "serum", "C1D15", after, kind="continuous", **options),
        ],
    )
    return paired_change(cohort, "baseline", "progression", ["C1D15"])


def test_change_is_on_the_transformed_scale_by_arm_and_in_all():
    before, after = [100, 200, 400, 50, 80], [50, 100, None, 100, UNREADABLE]
    table = changes(before, after, [1, 1, 1, 0, 0], transform="log2").set_index("arm")
    assert list(table.index) == [CONTROL, EXPERIMENTAL, "all"]
    assert table["pairs"].tolist() == [1, 2, 3]
    # Walsh averages of -1, -1, 1: -1, -1, -1, 0, 0, 1.
    assert table["median_change"].tolist() == pytest.approx([1.0, -1.0, -0.5])
    assert (table["from"] + table["to"]).unique().tolist() == ["baselineC1D15"]


def test_below_the_limit_is_the_limit_over_root_two_and_twice_below_is_no_change():
    table = changes([40, 40, 40, "<20"], ["<20", 40, 40, "<20"], [1] * 4)
    row = table[table["arm"] == EXPERIMENTAL].iloc[0]
    # Differences 20/√2 - 40, 0, 0, 0: the median of the Walsh averages is 0; one non-zero difference.
    assert row["pairs"] == 4
    assert row["median_change"] == 0
    assert row["p_wilcoxon"] == 1.0
    table = changes([40], ["<20"], [1])
    assert table["median_change"].iloc[0] == pytest.approx(20 / np.sqrt(2) - 40)


def test_mostly_censored_values_give_pairs_and_no_size():
    table = changes(["<20", "<20", "<20", 30], ["<20", "<20", 40, 30], [1] * 4)
    row = table[table["arm"] == EXPERIMENTAL].iloc[0]
    assert row["pairs"] == 4
    assert np.isnan(row["median_change"])
    assert np.isnan(row["p_wilcoxon"])


def test_two_assays_are_never_compared():
    markers = [
        marker("TK1", "serum", timepoint, values, kind="continuous", assay=assay)
        for timepoint, assay, values in (
            ("baseline", "A", [1.0, 2.0]),
            ("baseline", "B", [10.0, 20.0]),
            ("progression", "B", [11.0, 22.0]),
        )
    ]
    table = paired_change(trial([1, 1], markers), "baseline", "progression")
    assert table["median_change"].tolist() == pytest.approx([1.5, 1.5])
    markers.append(marker("TK1", "serum", "progression", [1.0, 3.0], "continuous", assay="A"))
    table = paired_change(trial([1, 1], markers), "baseline", "progression")
    assert table["biomarker"].unique().tolist() == ["TK1 (A)", "TK1 (B)"]


def test_float_noise_does_not_order_ties():
    """0.3 - 0.1 and 0.4 - 0.2 differ in the last bit; both are a change of 0.2."""
    before = [0.1, 0.2, 0.3, 1.1, 1.0]
    after = [0.3, 0.4, 0.5, 1.0, 1.2]
    row = changes(before, after, [1] * 5).iloc[0]
    exact = signed_rank_p(np.array([0.2, 0.2, 0.2, -0.1, 0.2]))
    assert row["p_wilcoxon"] == exact


def test_small_units_do_not_round_the_changes_away():
    """Molar concentrations of a few picomoles: the same test as of the numbers in picomoles."""
    before, after = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    row = changes([1e-12 * x for x in before], [1e-12 * x for x in after], [1] * 6).iloc[0]
    expected = changes(before, after, [1] * 6).iloc[0]
    assert row["p_wilcoxon"] == expected["p_wilcoxon"] == 2 / 2**6
    assert row["median_change"] * 1e12 == pytest.approx(expected["median_change"])


def test_logarithm_of_zero_is_no_value():
    table = changes([0, 10, 20], [10, 20, 40], [1] * 3, transform="log2")
    assert table[table["arm"] == "all"]["pairs"].tolist() == [2]


def test_q_values_are_within_specimen_timepoints_and_arm():
    random = np.random.default_rng(3)
    n = 12
    markers = []
    for name, shift in (("A", 2.0), ("B", 0.0), ("C", 1.0)):
        start = random.normal(size=n)
        markers.append(marker(name, "serum", "baseline", start, kind="continuous"))
        later = start + shift + random.normal(size=n)
        markers.append(marker(name, "serum", "progression", later, kind="continuous"))
    table = paired_change(trial([0, 1] * 6, markers), "baseline", "progression")
    assert len(table) == 9
    for _, family in table.groupby("arm"):
        expected = stats.false_discovery_control(family["p_wilcoxon"])
        assert family["q_value"].tolist() == pytest.approx(expected)


def test_toxicity_stops_are_left_out_at_progression_only():
    markers = [
        marker("TK1", "serum", timepoint, [1.0, 2.0], kind="continuous")
        for timepoint in ("baseline", "C1D15", "progression")
    ]
    cohort = trial([1, 1], markers, off_treatment_reason=["toxicity", "progression"])
    table = paired_change(cohort, "baseline", "progression", ["C1D15"])
    found = table[table["arm"] == "all"].set_index("to")["pairs"].to_dict()
    assert found == {"C1D15": 2, "progression": 1}


def test_derived_changes_and_binary_markers_are_not_changes_of_their_own():
    markers = [
        marker(name, "serum", timepoint, [1.0, 2.0], kind=kind)
        for name, kind in (("ratio:TK1:C1D15", "continuous"), ("gene:RB1", "binary"))
        for timepoint in ("baseline", "progression")
    ]
    assert paired_change(trial([0, 1], markers), "baseline", "progression").empty


def test_single_arm_study_has_all_and_empty_study_a_header():
    markers = [
        marker("TK1", "serum", timepoint, [1.0, 2.0], kind="continuous")
        for timepoint in ("baseline", "progression")
    ]
    table = paired_change(trial([None, None], markers), "baseline", "progression")
    assert table["arm"].tolist() == ["all"]
    nothing = paired_change(trial([0, 1], []), "baseline", "progression", ["C1D15"])
    pd.testing.assert_frame_equal(nothing, pd.DataFrame(columns=COLUMNS))
