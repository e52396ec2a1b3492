"""Tissue against plasma: a published table to the printed digit."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import UNREADABLE, marker, trial
from scipy import stats

from correlatives.resistance.concordance import COLUMNS, agreement, concordance


def test_published_check_4_her2_in_ctdna_against_tissue():
    """Guan (PMC7375665), n = 96: TP 37, FP 2, FN 11, TN 46."""
    tissue = [1] * 48 + [0] * 48
    plasma = [1] * 37 + [0] * 11 + [1] * 2 + [0] * 46
    cohort = trial(
        [None] * 96,
        [
            marker("gene:ERBB2", "archival_tissue", "baseline", tissue),
            marker("gene:ERBB2", "plasma", "baseline", plasma),
        ],
    )
    (row,) = concordance(cohort, "baseline").to_dict("records")
    cells = [row[c] for c in ("both", "tissue_only", "plasma_only", "neither")]
    assert cells == [37, 11, 2, 46]
    assert row["name"] == "ERBB2"
    assert row["pairs"] == 96
    assert f"{100 * row['ppa']:.1f}" == "77.1"
    assert f"{100 * row['npa']:.1f}" == "95.8"
    assert f"{row['kappa']:.3f}" == "0.729"
    # The counts are the paper's: its accuracy, predictive values and χ² follow from them.
    both, tissue_only, plasma_only, neither = cells
    assert f"{100 * (both + neither) / 96:.1f}" == "86.5"
    assert f"{100 * both / (both + plasma_only):.1f}" == "94.9"
    assert f"{100 * neither / (neither + tissue_only):.1f}" == "80.7"
    table = [[both, tissue_only], [plasma_only, neither]]
    assert f"{stats.chi2_contingency(table, correction=False).statistic:.3f}" == "52.901"


def test_kappa_limits_agree_with_statsmodels():
    from statsmodels.stats.inter_rater import cohens_kappa

    for cells in ((37, 11, 2, 46), (3, 5, 1, 60), (10, 2, 3, 4)):
        both, tissue_only, plasma_only, neither = cells
        expected = cohens_kappa([[both, tissue_only], [plasma_only, neither]])
        found = agreement(*cells).kappa
        assert found.estimate == pytest.approx(expected.kappa, rel=1e-12)
        assert found.low == pytest.approx(max(-1, expected.kappa_low), rel=1e-9)
        assert found.high == pytest.approx(min(1, expected.kappa_upp), rel=1e-9)


def test_agreement_says_nothing_where_nothing_can_be_said():
    nobody_positive = agreement(0, 0, 0, 20)
    assert np.isnan(nobody_positive.ppa.estimate)
    assert nobody_positive.npa.estimate == 1.0
    assert np.isnan(nobody_positive.kappa.estimate)
    perfect = agreement(5, 0, 0, 15).kappa
    assert perfect.estimate == 1.0
    assert np.isnan(perfect.low)
    assert np.isnan(agreement(0, 0, 0, 0).kappa.estimate)
    none = agreement(0, 2, 2, 0).kappa
    assert none.estimate == -1
    assert np.isnan(none[1:]).all()


def test_only_subjects_readable_in_both_are_compared():
    cohort = trial(
        [0, 0, 1, 1],
        [
            marker("gene:RB1", "archival_tissue", "baseline", [1, 0, 1, UNREADABLE]),
            marker("gene:RB1", "plasma", "baseline", [1, None, UNREADABLE, 0]),
            marker("gene:NF1", "plasma", "baseline", [1, 1, 1, 1]),
        ],
    )
    (row,) = concordance(cohort, "baseline").to_dict("records")
    assert [row[c] for c in ("pairs", "both", "tissue_only", "plasma_only", "neither")] == [
        *(1, 1, 0, 0, 0)
    ]


def test_without_data_there_is_a_header():
    pd.testing.assert_frame_equal(
        concordance(trial([0, 1], []), "baseline"), pd.DataFrame(columns=COLUMNS)
    )
