"""Agreement by tumour fraction and interval, and of numbers: counted by hand, and against published data."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import UNREADABLE, call, marker, sample, trial
from scipy import stats

from correlatives.resistance.concordance_by_class import (
    ALL_GENES,
    COLUMNS,
    CONTINUOUS_COLUMNS,
    clustered_rate,
    concordance_by_class,
    concordance_continuous,
    spearman,
)

#: Peak expiratory flow of 17 subjects by two meters (Bland & Altman, Lancet 1986;1:307-310, first measurements).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def genes(**values):
    """Markers of genes, tissue and plasma: gene=(tissue, plasma)."""
    found = []
    for gene, (tissue, plasma) in values.items():
        found.append(marker(f"gene:{gene}", "archival_tissue", "baseline", tissue))
        found.append(marker(f"gene:{gene}", "plasma", "baseline", plasma))
    return found


def test_classes_of_the_tumour_fraction_by_hand():
    """Two subjects under the limit (one found), three between 1 and 10 %, two above, one not known."""
    cohort = trial(
        [1] * 8,
        [
            *genes(TP53=([1, 1, 1, 1, 0, 1, 0, 1], [1, UNREADABLE, 1, 0, 0, 1, 1, 1])),
            marker(
                "tumour_fraction",
                "plasma",
                "baseline",
                [0.002, "<0.01", 0.02, 0.05, 0.099, 0.1, 0.5, None],
                "continuous",
            ),
        ],
    )
    table = concordance_by_class(cohort, "baseline", min_tumour_fraction=0.01)
    rows = table[table["name"].eq("TP53") & table["by"].eq("tumour fraction")].set_index("class")
    cells = rows[["pairs", "both", "tissue_only", "plasma_only", "neither"]]
    assert cells.loc["below 1 %"].tolist() == [1, 1, 0, 0, 0]
    assert cells.loc["1 to 10 %"].tolist() == [3, 1, 1, 0, 1]
    assert cells.loc["10 % or more"].tolist() == [2, 1, 0, 1, 0]
    assert cells.loc["not known"].tolist() == [1, 1, 0, 0, 0]
    # A negative under the limit cannot be read: agreement of the positives alone would be perfect by design.
    assert np.isnan(rows.loc["below 1 %", "ppa"])
    assert "only positive calls" in rows.loc["below 1 %", "note"]
    assert rows.loc["1 to 10 %", "ppa"] == 0.5
    assert rows.loc["not known", "ppa"] == 1.0
    table = concordance_by_class(cohort, "baseline", if_missing="not_evaluable")
    unknown = table[table["class"].eq("not known") & table["by"].eq("tumour fraction")]
    assert unknown["ppa"].isna().all()
    assert unknown["note"].str.contains("only positive calls").all()


def test_classes_of_the_interval_by_hand():
    """Plasma on day 0: tissue on the day, 40 days and a year before, a block two years old, and without a date."""
    plasma = [sample(f"00{i}", "plasma", "baseline", 0.0) for i in range(1, 6)]
    tissue = [
        sample(f"00{i}", "archival_tissue", "baseline", months)
        for i, months in ((1, 0.0), (2, -40 / 30.4375), (3, -364 / 30.4375), (4, 0.0))
    ]
    cohort = trial([1] * 5, genes(TP53=([1] * 5, [1, 0, 1, 1, 1])), samples=plasma + tissue)
    cohort.samples["block_age_years"] = [np.nan] * 8 + [2.0]
    table = concordance_by_class(cohort, "baseline")
    rows = table[table["name"].eq("TP53") & table["by"].str.startswith("interval")].set_index(
        "class"
    )
    assert rows["pairs"].to_dict() == {
        "up to 6 weeks": 2,
        "6 weeks to 1 year": 1,
        "over 1 year": 1,
        "not known": 1,
    }
    assert rows.loc["up to 6 weeks", "tissue_only"] == 1


def test_all_genes_together_count_gene_by_subject():
    """A gene's classes are parts of it and do not count again."""
    cohort = trial(
        [1] * 4,
        [
            *genes(TP53=([1, 1, 0, 0], [1, 0, 0, 0]), RB1=([1, 0, 0, 0], [1, 0, 0, UNREADABLE])),
            marker("gene:TP53:mutation", "archival_tissue", "baseline", [1, 1, 0, 0]),
            marker("gene:TP53:mutation", "plasma", "baseline", [1, 0, 0, 0]),
        ],
    )
    table = concordance_by_class(cohort, "baseline")
    (row,) = table[table["name"].eq(ALL_GENES) & table["by"].eq("tumour fraction")].to_dict(
        "records"
    )
    assert [row[c] for c in ("pairs", "both", "tissue_only", "plasma_only", "neither")] == [
        7,
        2,
        1,
        0,
        4,
    ]
    assert row["ppa"] == pytest.approx(2 / 3)
    assert row["ppa_low"] < row["ppa"] < row["ppa_high"]
    assert np.isnan(row["kappa_low"])


def test_one_trial_a_subject_has_the_binomial_variance():
    low, high = clustered_rate(np.array([1] * 12 + [0] * 8), np.ones(20, dtype=int))[1:]
    half = stats.t.ppf(0.975, 19) * np.sqrt(0.6 * 0.4 / 19) / (0.6 * 0.4)
    centre = np.log(0.6 / 0.4)
    assert (low, high) == pytest.approx(
        tuple(1 / (1 + np.exp(-(centre + np.array([-half, half])))))
    )


def test_rates_that_are_alike_in_all_subjects_have_no_limits():
    assert clustered_rate(np.array([1, 2, 1]), np.array([2, 4, 2]))[0] == 0.5
    assert np.isnan(clustered_rate(np.array([1, 2, 1]), np.array([2, 4, 2]))[1:]).all()


@pytest.mark.parametrize("n", [5, 6, 7, 9, 11, 23])
def test_a_perfect_rank_correlation_has_no_limits_whatever_its_rounding(n):
    x = np.random.default_rng(n).normal(size=n)
    for y, expected in ((np.exp(x), 1.0), (-x, -1.0)):
        r, low, high, p = spearman(x, y)
        assert r == expected
        assert np.isnan([low, high]).all()
        assert p == pytest.approx(0, abs=1e-9)


def test_limits_widen_when_a_subjects_genes_go_together():
    alone = clustered_rate(np.array([1] * 12 + [0] * 8), np.ones(20, dtype=int))
    together = clustered_rate(np.array([4] * 3 + [0] * 2), np.full(5, 4))
    assert together.estimate == alone.estimate
    assert together.low < alone.low
    assert together.high > alone.high


def test_limits_of_agreement_are_bland_and_altmans():
    cohort = trial(
        [1] * 17,
        [
            marker("PEFR", "archival_tissue", "baseline", MINI, "continuous", pathway="HER2"),
            marker("PEFR", "serum", "baseline", WRIGHT, "continuous", pathway="HER2"),
        ],
        pathways=[{"gene": "ERBB2", "kind": "amplification", "pathway": "HER2"}],
    )
    (row,) = concordance_continuous(cohort, "baseline").to_dict("records")
    # Published: mean difference -2.1, standard deviation 38.8, r of the ranks as SciPy has it.
    assert row["pairs"] == 17
    assert f"{row['bias']:.1f}" == "-2.1"
    assert (row["agreement_high"] - row["agreement_low"]) / (2 * 1.96) == pytest.approx(
        38.8, abs=0.05
    )
    assert row["spearman"] == pytest.approx(stats.spearmanr(MINI, WRIGHT).statistic)
    assert row["spearman_low"] < row["spearman"] < row["spearman_high"] < 1


def test_differences_that_are_all_alike_have_no_limits():
    values = [2.1, 2.7, 3.3, 4.2, 5.6, 7.0]
    cohort = trial(
        [1] * 6,
        [
            marker("HER2", "archival_tissue", "baseline", values, "continuous", pathway="HER2"),
            marker(
                *("HER2", "plasma", "baseline", [v + 0.1 for v in values], "continuous"),
                pathway="HER2",
            ),
        ],
    )
    (row,) = concordance_continuous(cohort, "baseline").to_dict("records")
    assert row["bias"] == pytest.approx(0.1)
    ends = ("bias_low", "bias_high", "agreement_low", "agreement_high")
    assert all(np.isnan(row[end]) for end in ends)


def test_copy_numbers_are_compared_on_one_scale_whatever_was_written():
    """Tissue 4, 8, 16, 32, 64 copies; plasma fold changes of half of that ratio: a bias of -1 on log2."""
    tissue, plasma = [4, 8, 16, 32, 64], [1, 2, 4, 8, 16]
    calls = []
    for i, (copies, fold) in enumerate(zip(tissue, plasma, strict=True)):
        for specimen, number, scale in (
            ("archival_tissue", copies, "absolute"),
            ("plasma", fold, "fold"),
        ):
            calls.append(
                call(f"00{i + 1}", specimen, "baseline", "ERBB2")
                | {
                    "kind": "amplification",
                    "copy_number": float(number),
                    "copy_number_scale": scale,
                }
            )
    cohort = trial(
        [1] * 5,
        [],
        calls=calls,
        pathways=[{"gene": "ERBB2", "kind": "amplification", "pathway": "HER2"}],
    )
    (row,) = concordance_continuous(cohort, "baseline").to_dict("records")
    assert (row["tissue_marker"], row["blood_specimen"], row["pairs"]) == (
        "copy_number:ERBB2",
        "plasma",
        5,
    )
    assert row["scale"] == "log2 ratio to two copies"
    assert row["bias"] == pytest.approx(-1.0)
    assert row["spearman"] == pytest.approx(1.0)


def test_different_quantities_of_a_pathway_have_ranks_only():
    random = np.random.default_rng(1)
    x = random.normal(size=20)
    cohort = trial(
        [1] * 20,
        [
            marker(
                "ERBB2", "archival_tissue", "baseline", x.tolist(), "continuous", pathway="HER2"
            ),
            marker(
                "HER2_ECD",
                "serum",
                "baseline",
                (x + 0.5 * random.normal(size=20)).tolist(),
                "continuous",
                pathway="HER2",
            ),
            marker("TK1", "serum", "baseline", x.tolist(), "continuous", pathway="RB"),
        ],
    )
    (row,) = concordance_continuous(cohort, "baseline").to_dict("records")
    assert (row["tissue_marker"], row["blood_marker"]) == ("ERBB2", "HER2_ECD")
    assert 0 < row["spearman_low"] < row["spearman_high"]
    assert np.isnan(row["bias"])


def test_too_few_pairs_say_nothing():
    assert np.isnan(spearman(np.arange(4.0), np.arange(4.0))).all()
    assert np.isnan(spearman(np.ones(9), np.arange(9.0))).all()


def test_limits_of_the_rank_correlation_cover():
    random = np.random.default_rng(3)
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    inside = 0
    for _ in range(200):
        x, e = random.normal(size=(2, 40))
        _, low, high, _ = spearman(x, 0.6 * x + 0.8 * e)
        inside += low <= truth <= high
    assert inside >= 180  # 95 % less three standard errors


def test_without_data_there_is_a_header():
    cohort = trial([0, 1], [])
    pd.testing.assert_frame_equal(
        concordance_by_class(cohort, "baseline"), pd.DataFrame(columns=COLUMNS)
    )
    pd.testing.assert_frame_equal(
        concordance_continuous(cohort, "baseline"), pd.DataFrame(columns=CONTINUOUS_COLUMNS)
    )
