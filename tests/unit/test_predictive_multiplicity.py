"""Families, and what is adjusted within them."""

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import markers_of, trial
from pytest import approx
from statsmodels.stats.multitest import multipletests

from correlatives.multiplicity import benjamini_hochberg
from correlatives.predictive.model import COLUMNS, fit_domain, fit_models
from correlatives.predictive.multiplicity import adjust, adjust_together


def test_false_discovery_rate_agrees_with_statsmodels_and_skips_missing():
    p = np.random.default_rng(0).random(50) ** 2
    expected = multipletests(p, method="fdr_bh")[1]
    with_gaps = np.insert(p, [0, 10, 50], np.nan)
    q = benjamini_hochberg(with_gaps)
    assert q[np.isfinite(with_gaps)] == approx(expected)
    assert np.isnan(q[~np.isfinite(with_gaps)]).all()
    assert np.isnan(benjamini_hochberg(np.full(3, np.nan))).all()


def family_of_markers(n=100):
    cohort = trial(n=n, markers=8, seed=2)
    values = dict(zip(cohort.markers.info["biomarker"], cohort.markers.value, strict=True))
    values["rare"] = (np.arange(n) < 3).astype(float)
    entries = {name: {"family": "confirmatory"} for name in ("marker 1", "marker 2", "rare")}
    return cohort, markers_of(cohort.markers.subjects, values, entries)


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_the_critical_value_of_a_family_is_that_of_normal_statistics(endpoint):
    """Of five independent markers the largest |Z| passes 2.57 in one trial of twenty (Šidák 1967).

    1,999 draws leave a standard error of 0.03. What could have been detected is read off this scale.
    """
    cohort = trial(n=200, markers=5, seed=2)
    cohort.markers.info["family"] = "confirmatory"
    fits = fit_domain(cohort, endpoint, cohort.markers, randomisations=1999)
    critical = np.quantile(fits.maxima["confirmatory"], 0.95)
    assert critical == approx(2.569, abs=0.12)


def test_families_are_adjusted_apart_and_few_carriers_do_not_count():
    cohort, markers = family_of_markers()
    fits = fit_domain(cohort, "PFS", markers, randomisations=499)
    table = adjust([fits])
    assert list(table.columns) == COLUMNS
    assert (table["family"][:3] == "confirmatory").all()
    rare = table[table["biomarker"] == "rare"].iloc[0]
    assert np.isnan(rare["q_value"])
    assert np.isnan(rare["p_fwer"])
    assert "fewer than 5 subjects differ" in rare["note"]
    for family, size in (("confirmatory", 2), ("exploratory", 6)):
        part = table[(table["family"] == family) & table["q_value"].notna()]
        assert len(part) == size
        assert part["q_value"].to_numpy() == approx(
            multipletests(part["p_randomisation"], method="fdr_bh")[1]
        )
        assert part["method"].str.contains(f"p_randomisation, family of {size}").all()
    confirmatory = table[table["p_fwer"].notna()]
    assert set(confirmatory["biomarker"]) == {"marker 1", "marker 2"}
    assert (confirmatory["p_fwer"] >= confirmatory["p_randomisation"]).all()
    assert table["p_fwer"][table["family"] == "exploratory"].isna().all()
    marginal = fits.table.set_index("biomarker")["minimum_detectable_ratio"]
    own = table.set_index("biomarker")["minimum_detectable_ratio"]
    assert (own[["marker 1", "marker 2"]] > marginal[["marker 1", "marker 2"]]).all()
    assert own["marker 3"] == marginal["marker 3"]
    # the level is said where it is not that of the marker alone
    methods = table.set_index("biomarker")["method"]
    assert methods[["marker 1", "marker 2"]].str.contains("at its critical |Z|", regex=False).all()
    assert "critical" not in methods["marker 3"]


def test_without_randomisation_the_likelihood_ratio_is_adjusted_and_said():
    cohort, markers = family_of_markers()
    table = adjust([fit_models(cohort, "PFS", markers)])
    part = table[(table["family"] == "exploratory") & table["q_value"].notna()]
    assert part["q_value"].to_numpy() == approx(
        multipletests(part["p_interaction_lrt"], method="fdr_bh")[1]
    )
    assert part["method"].str.contains("on p_interaction_lrt").all()
    assert table["p_fwer"].isna().all()


def test_the_order_of_domains_does_not_matter():
    cohort, markers = family_of_markers()
    split = np.arange(len(markers)) % 2 == 0
    parts = [
        fit_domain(cohort, "PFS", markers.where(which), randomisations=99)
        for which in (split, ~split)
    ]
    one, two = adjust(parts), adjust(parts[::-1])
    assert one.to_csv() == two.to_csv()
    whole = adjust([fit_domain(cohort, "PFS", markers, randomisations=99)])
    # rounding differs with the number of markers that are fitted together
    pd.testing.assert_frame_equal(one, whole, rtol=1e-8)


def test_nothing_gives_a_header():
    assert list(adjust([]).columns) == COLUMNS


def test_endpoints_can_make_one_family():
    cohort, markers = family_of_markers()
    fits = {
        name: [fit_domain(cohort, name, markers, randomisations=499)] for name in ("PFS", "ORR")
    }
    together = adjust_together(fits)
    apart = {name: adjust(parts) for name, parts in fits.items()}
    maxima = np.maximum(*(fits[name][0].maxima["confirmatory"] for name in fits))
    for name, table in together.items():
        confirmatory = table["p_fwer"].notna()
        assert confirmatory.sum() == 2
        merged = table.merge(apart[name], on="biomarker", suffixes=("", "_apart"))
        inside = merged["p_fwer"].notna()
        assert (merged["p_fwer"][inside] >= merged["p_fwer_apart"][inside]).all()
        z = fits[name][0].table.set_index("biomarker")["score_z"]
        for biomarker, p in zip(
            table["biomarker"][confirmatory], table["p_fwer"][confirmatory], strict=True
        ):
            reached = (maxima >= abs(z[biomarker]) - 1e-9).sum()
            assert p == approx((1 + reached) / 500)
        assert table["method"][confirmatory].str.contains("family of 4 over all endpoints").all()
    for family in ("confirmatory", "exploratory"):
        parts = [
            table[(table["family"] == family) & table["q_value"].notna()]
            for table in together.values()
        ]
        pooled = pd.concat(parts)
        assert pooled["q_value"].to_numpy() == approx(
            multipletests(pooled["p_randomisation"], method="fdr_bh")[1]
        )
    fewer = {**fits, "ORR": [fit_domain(cohort, "ORR", markers, randomisations=99)]}
    with pytest.raises(ValueError, match="different numbers of draws"):
        adjust_together(fewer)


def test_adjusted_values_are_never_below_the_marginal_ones():
    cohort, markers = family_of_markers()
    for endpoint in ("PFS", "ORR"):
        table = adjust([fit_domain(cohort, endpoint, markers, randomisations=499)])
        for column in ("p_fwer", "q_value"):
            known = table[column].notna()
            assert known.any()
            assert (table[column][known] >= table["p_randomisation"][known]).all()
