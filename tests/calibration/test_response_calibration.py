"""The simulations of the response models in small; `make response-calibration` runs them in full.

Monte Carlo bounds: twelve trials of 46 subjects with nineteen permuted outcomes each hold about 240 discriminations of noise,
each with a standard deviation of 0.11, so that their mean has a standard error of about 0.01.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pytest import approx

sys.path.insert(0, str(Path(__file__).parent))

from response_models import COLUMNS, benefit, cells, document, leaky, limits, noise, summary

TRIALS = 12


@pytest.mark.parametrize("survival", [False, True])
def test_noise_is_not_predicted_by_any_penalised_model(survival):
    table = summary("noise", [noise(46, survival)(number) for number in range(TRIALS)])
    permuted = table[table["what"] == "its mean over permuted outcomes"]
    assert len(permuted) == 4
    assert permuted["value"].to_numpy() == approx(0.5, abs=0.035)
    p = table[table["what"] == "p of permutation: mean"]["value"]
    # a uniform p has a standard deviation of 0.29: 0.083 over twelve trials
    assert p.to_numpy() == approx(0.525, abs=0.3)


def test_the_simulation_notices_a_leak():
    found = [value for number in range(6) for _, _, value in leaky(46)(number)]
    assert np.mean(found) > 0.75


def test_limits_hold_more_often_than_those_with_models_fixed():
    trials = [limits(46, False, 0.0, markers=100, repeats=2)(number) for number in range(12)]
    table = summary("limits", trials).set_index(["what", "model"])["value"]
    # twelve trials at 0.95 or more: at most three misses with probability 0.998
    assert (table["limits hold the truth"] >= 9 / 12).all()
    assert (table["limits with models fixed hold it"] <= table["limits hold the truth"]).all()


def test_an_interaction_is_found():
    found = {what: value for what, _, value in benefit(132, False, 3.0, markers=30)(1)}
    assert found["p at most 0.05"] == 1.0
    assert found["c-for-benefit"] > 0.5


def test_the_page_shows_every_number():
    names = [cell.name for cell in cells(100)]
    assert len(names) == len(set(names))
    trials = [
        [("discrimination of noise", "clinical", 0.4 + 0.01 * i), ("p of permutation", "clinical", (i + 1) / 20)]
        for i in range(20)
    ]  # fmt: skip
    table = summary("noise", trials)
    assert list(table.columns) == COLUMNS
    by_what = table.set_index("what")["value"]
    assert by_what["discrimination of noise"] == approx(0.495)
    assert by_what["p of permutation: mean"] == approx(0.525)
    assert by_what["p of permutation: share at most 0.05"] == approx(0.05)
    # evenly spread over the possible values
    assert by_what["p of permutation: test of uniformity"] == approx(1.0)
    page = document(table, "# Title")
    assert page.startswith("# Title")
    assert "| noise | discrimination of noise | clinical | 20 | 0.495 (" in page
    assert page.count("| noise |") == len(table)
    assert isinstance(table, pd.DataFrame)
