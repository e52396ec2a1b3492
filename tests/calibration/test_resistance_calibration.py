"""The calibration of the resistance analyses in small: nothing is acquired because of the drug.

Monte Carlo bounds: of 12 genes in 40 trials a size of 0.05 is at most 0.08 with a probability of 0.998, were they
independent; a share of trials of 0.05 is at most 7 of 40 with 0.999.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from resistance import (
    PAIR_MEASURES,
    VISIT_MEASURES,
    Pairs,
    Visits,
    document,
    measure_pairs,
    measure_visits,
)

TRIALS = 40
HIGHEST_SIZE, HIGHEST_SHARE = 0.08, 7 / 40


def test_false_calls_alone_are_no_acquisition():
    found = measure_pairs(Pairs(30, 30, 1.0, 0.0, 0.04), TRIALS, 1)
    for name in ("mcnemar_exact", "mcnemar_corrected", "fisher", "boschloo", "adjusted"):
        assert found[name] <= HIGHEST_SIZE, name
    assert found["any_claim"] <= HIGHEST_SHARE
    assert found["difference_coverage"] >= 0.92


def test_acquisition_by_time_in_both_arms_is_not_called_the_drugs_doing():
    """The experimental arm stays three times as long: unadjusted tests reject, the adjusted one holds its level."""
    found = measure_pairs(Pairs(40, 40, 3.0, 0.04, 0.0), TRIALS, 2)
    assert found["adjusted"] <= HIGHEST_SIZE
    assert found["boschloo"] > 2 * HIGHEST_SIZE
    assert found["any_q"] <= HIGHEST_SHARE
    assert found["any_claim"] <= HIGHEST_SHARE


@pytest.mark.parametrize("spread", ["fading", "arms"])
def test_visits_that_vary_as_they_like_hold_the_level(spread):
    found = measure_visits(Visits(25, 20, spread), TRIALS, 3)
    for name in ("difference_early", "difference_late", "arm_by_time"):
        assert found[name] <= HIGHEST_SHARE, name
    assert found["coverage_late"] >= 1 - HIGHEST_SHARE


def test_the_page_shows_every_measure():
    pairs = pd.DataFrame([measure_pairs(Pairs(15, 15, 1.0, 0.0, 0.04), 3, 4)])
    visits = pd.DataFrame([measure_visits(Visits(15, 15, "alike"), 3, 4)])
    page = document(pairs, visits)
    for name in (*PAIR_MEASURES, *VISIT_MEASURES):
        assert f" {name.replace('_', ' ')} |" in page
    assert np.isfinite(pairs["adjusted"]).all()
