"""Values as the models take them."""

import numpy as np
from pytest import approx

from correlatives.markers import ABOVE, BELOW, INFO, MEASURED, MISSING, NUMBERS, Markers
from correlatives.tables.limits import analysis_values


def markers(values, states, **info):
    values = np.atleast_2d(np.asarray(values, dtype=float))
    entry = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan) | {"kind": "continuous"} | info
    import pandas as pd

    return Markers(
        np.array([str(i) for i in range(values.shape[1])], dtype=object),
        pd.DataFrame([entry] * len(values)),
        values,
        np.atleast_2d(np.asarray(states, dtype=np.uint8)),
    )


def test_few_values_below_stand_at_the_limit_over_root_two():
    """One of ten: 10 %."""
    found = analysis_values(
        markers([20.0] + [40.0] * 9, [BELOW] + [MEASURED] * 9, transform="log2")
    )
    assert found.value[0, 0] == approx(np.log2(20 / np.sqrt(2)))
    assert found.value[0, 1] == approx(np.log2(40))
    assert found.fraction_censored[0] == approx(0.1)
    assert found.note[0] == "10 % of values beyond a limit: at the limit over √2"
    assert found.kind[0] == "continuous"


def test_what_was_not_detected_without_a_stated_limit_stands_at_zero_and_says_so():
    found = analysis_values(markers([0.0, 0.0] + [40.0] * 8, [BELOW] * 2 + [MEASURED] * 8))
    assert found.value[0, :2].tolist() == [0, 0]
    assert found.note[0] == (
        "20 % of values beyond a limit: at 0 where no limit is stated, without imputation"
    )
    mixed = analysis_values(markers([0.0, 2.0] + [40.0] * 18, [BELOW] * 2 + [MEASURED] * 18))
    assert mixed.value[0, :2].tolist() == [0, approx(2 / np.sqrt(2))]
    assert mixed.note[0] == (
        "10 % of values beyond a limit: at the limit over √2, and at 0 where no limit is stated"
    )


def test_a_note_on_the_limit_does_not_speak_of_values_that_the_transform_left_out():
    found = analysis_values(
        markers([0.0, 0.0] + [40.0] * 8, [BELOW] * 2 + [MEASURED] * 8, transform="log2")
    )
    assert not found.usable[0, :2].any()
    assert found.note[0] == "2 value(s) that log2 cannot take are left out"
    assert found.fraction_censored[0] == approx(0.2)


def test_a_negative_limit_stands_as_it_is_and_says_so():
    found = analysis_values(markers([-1.0] + [40.0] * 9, [BELOW] + [MEASURED] * 9))
    assert found.value[0, 0] == -1
    assert found.note[0] == "10 % of values beyond a limit: at the limit"


def test_the_limit_of_allele_fractions_is_told_with_where_it_comes_from():
    burden = {"biomarker": "max_vaf", "domain": "alterations"}
    states = [BELOW] + [MEASURED] * 9
    assay = analysis_values(markers([0.005] + [0.2] * 9, states, **burden))
    assert assay.note[0] == (
        "10 % of values beyond a limit: at the limit over √2 (of nothing found; the limit is the assay's "
        "lod_vaf in the coverage table)"
    )
    stated = analysis_values(markers([0.01] + [0.2] * 9, states, **burden, lloq=0.01))
    assert stated.note[0] == (
        "10 % of values beyond a limit: at the limit over √2 (the limit is the dictionary's lloq)"
    )
    neither = analysis_values(markers([0.0] + [0.2] * 9, states, **burden))
    assert neither.value[0, 0] == 0
    assert neither.note[0] == (
        "10 % of values beyond a limit: at 0 where no limit is stated (neither lod_vaf in the coverage "
        "table nor the dictionary's lloq)"
    )


def test_values_above_stand_at_the_limit():
    found = analysis_values(markers([1000.0] + [40.0] * 9, [ABOVE] + [MEASURED] * 9))
    assert found.value[0, 0] == 1000


def test_shares_of_15_to_50_per_cent_say_that_nothing_was_imputed():
    """Half is still values; missing subjects are not counted."""
    found = analysis_values(
        markers([20, 20, 40, 60, np.nan], [BELOW, BELOW, MEASURED, MEASURED, MISSING])
    )
    assert found.fraction_censored[0] == 0.5
    assert "without imputation" in found.note[0]
    assert found.kind[0] == "continuous"
    assert not found.usable[0, 4]
    assert np.isnan(found.value[0, 4])


def test_most_below_is_detected_v_not():
    found = analysis_values(
        markers([20, 20, 40, np.nan], [BELOW, BELOW, MEASURED, MISSING], transform="log10")
    )
    np.testing.assert_array_equal(found.value[0], [0, 0, 1, np.nan])
    assert found.kind[0] == "binary"
    assert found.words[0] == "detected v not detected"
    assert found.info["kind"].tolist() == ["binary"]


def test_most_above_is_above_v_not():
    found = analysis_values(markers([9, 9, 4], [ABOVE, ABOVE, MEASURED]))
    np.testing.assert_array_equal(found.value[0], [1, 1, 0])


def test_what_a_transform_cannot_take_is_not_usable():
    for transform, values in (
        ("log2", [0, 1, 2]),
        ("logit", [1, 0.5, 0.2]),
        ("sqrt", [-1, 1, 4]),
    ):
        found = analysis_values(markers(values, [MEASURED] * 3, transform=transform))
        assert found.usable[0].tolist() == [False, True, True]
        assert found.note[0] == f"1 value(s) that {transform} cannot take are left out"


def test_log_ratios_go_under_their_limit_on_their_own_scale():
    found = analysis_values(
        markers([-1.0] + [0.5] * 9, [BELOW] + [MEASURED] * 9, biomarker="ratio:TK1:C1D15")
    )
    assert found.value[0, 0] == approx(-1 - np.log(2) / 2)
    assert found.note[0] == "10 % of values beyond a limit: at the limit over √2"


def test_log_ratios_whose_first_value_was_below_its_limit_go_over_theirs():
    """Under 20 at first, 40 later: ln(40) − ln(20 / √2)."""
    states = [BELOW, ABOVE] + [MEASURED] * 18
    both = analysis_values(
        markers([-1.0, np.log(2)] + [0.5] * 18, states, biomarker="ratio:TK1:C1D15")
    )
    assert both.value[0, 1] == approx(np.log(40 / (20 / np.sqrt(2))))
    assert both.note[0] == "10 % of values beyond a limit: at the limit over √2 or times √2"
    above = markers([np.log(2)] + [0.5] * 9, [ABOVE] + [MEASURED] * 9, biomarker="ratio:TK1:C1D15")
    assert analysis_values(above).note[0] == "10 % of values beyond a limit: at the limit times √2"


def test_levels_are_left_alone_and_index_selects():
    both = markers([[0, 1, 2], [1, 0, 1]], [[MEASURED] * 3] * 2, kind="ordinal")
    found = analysis_values(both, [1])
    np.testing.assert_array_equal(found.value, [[1, 0, 1]])
    assert found.fraction_censored.tolist() == [0]
    assert analysis_values(both, np.array([False, True])).value.shape == (1, 3)
    assert analysis_values(both.where([False, False])).value.shape == (0, 3)
