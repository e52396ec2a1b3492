"""Values as the models take them."""

import numpy as np
import pandas as pd
import pytest
from pytest import approx

from correlatives.markers import (
    ABOVE,
    BELOW,
    INFO,
    MEASURED,
    MISSING,
    NOT_EVALUABLE,
    NUMBERS,
    Markers,
)
from correlatives.tables.derive import ratios
from correlatives.tables.dictionary import Dictionary
from correlatives.tables.limits import analysis_values


def markers(values, states, **info):
    values = np.atleast_2d(np.asarray(values, dtype=float))
    entry = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan) | {"kind": "continuous"} | info
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


@pytest.mark.parametrize(
    ("unit", "step"),
    [
        ("log2 TPM", 0.5),
        ("Log2(CPM + 1)", 0.5),
        ("NPX", 0.5),
        ("log10 copies/mL", np.log10(2) / 2),
        ("ln ratio", np.log(2) / 2),
    ],
)
def test_on_a_scale_of_logarithms_a_value_stands_half_a_doubling_under_its_limit(unit, step):
    """A limit of 3 on a log2 scale over √2 would be 2.12: at two thirds of a doubling more."""
    for limit in (3.0, -1.0):
        found = analysis_values(markers([limit] + [5.0] * 9, [BELOW] + [MEASURED] * 9, unit=unit))
        assert found.value[0, 0] == approx(limit - step)
        assert found.note[0] == "10 % of values beyond a limit: at the limit over √2"
    # above an upper limit at the limit: only ratios know that they are beyond by a factor
    above = analysis_values(markers([9.0] + [5.0] * 9, [ABOVE] + [MEASURED] * 9, unit=unit))
    assert above.value[0, 0] == 9.0
    assert above.note[0] == "10 % of values beyond a limit: at the limit"
    unstated = analysis_values(markers([0.0] + [5.0] * 9, [BELOW] + [MEASURED] * 9, unit=unit))
    assert unstated.value[0, 0] == 0
    assert "at 0 where no limit is stated" in unstated.note[0]
    # what is below a limit may be below 0, though nothing was measured there
    states = [BELOW] * 3 + [MEASURED] * 7
    low, _ = analysis_values(
        markers([1.0] * 3 + [5.0] * 7, states, unit=unit), imputing=True
    ).bounds[0]
    assert low[0] == -np.inf


def test_a_unit_that_only_begins_like_a_logarithm_is_none():
    for unit in ("ng/mL", "lnkat", "log2x", "", "NPXs"):
        found = analysis_values(markers([3.0] + [5.0] * 9, [BELOW] + [MEASURED] * 9, unit=unit))
        assert found.value[0, 0] == approx(3 / np.sqrt(2))


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


def two_visits(first, later, **info):
    """Return a biomarker at baseline and at C1D15."""
    both = markers([first, later], [[MEASURED] * len(first)] * 2, biomarker="X", **info)
    both.info["timepoint"] = ["baseline", "C1D15"]
    return both


def derived(given):
    return ratios(given, "baseline", ["C1D15"], set(), Dictionary(pd.DataFrame()))


def test_the_ratio_of_values_that_are_logarithms_already_is_their_difference():
    """From 1 to 3 on a log2 scale is fourfold, from −2 to −1 twofold; ln(3 / 1) was threefold, and −2 had no ratio."""
    for unit, scale in (("NPX", 1.0), ("log2 TPM", 1.0), ("log10 copies/mL", np.log10(2))):
        given = two_visits(np.array([1.0, -2.0]) * scale, np.array([3.0, -1.0]) * scale, unit=unit)
        (block,) = derived(given)
        assert block.value[0] == approx(np.log([4.0, 2.0]))
        assert (block.state == MEASURED).all()
    (plain,) = derived(two_visits([1.0, 2.0], [4.0, 4.0], unit="ng/mL"))
    assert plain.value[0] == approx(np.log([4.0, 2.0]))


def test_a_score_with_values_below_zero_has_no_ratio():
    """Two of three subjects would have had one, by the luck of their signs."""
    assert derived(two_visits([1.0, 2.0, -0.5], [4.0, 4.0, 1.0], unit="score")) == []
    (kept,) = derived(two_visits([1.0, 2.0, 0.0], [4.0, 4.0, 1.0], unit="score"))
    assert kept.state[0].tolist() == [MEASURED, MEASURED, NOT_EVALUABLE]
