"""One engine, one number: the same ratio in every table and figure that shows it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import trial
from figures_inputs import make_screen, texts_drawn
from pytest import approx

from correlatives.cohort import Markers, clinical_markers
from correlatives.efficacy import evaluable, subgroups, survival_contrast
from correlatives.figures import (
    forest_predictive,
    forest_prognostic,
    forest_subgroups,
    marker_km,
    prognostic_predictive,
    volcano,
)
from correlatives.figures.style import format_interval, format_number
from correlatives.markers import BELOW, KEY, MISSING
from correlatives.predictive import screen
from correlatives.predictive.continuous import explore
from correlatives.predictive.levels import split_markers
from correlatives.predictive.sensitivity import sensitivity
from correlatives.resistance.evidence import _interaction
from correlatives.survival.cox import fit_cox

ARMS = {"control": "old", "experimental": "new"}
RATIO = ["interaction_ratio", "interaction_ratio_low", "interaction_ratio_high"]
LEVELS = [
    f"treatment_effect_at_{at}{end}" for at in ("low", "high") for end in ("", "_low", "_high")
]


@pytest.fixture(scope="module")
def made():
    """A trial with a cut, a clinical marker, values below a limit and missing ones; and its table."""
    cohort = trial(n=240, markers=4, seed=11, strata=2, interaction=-0.5)
    rng = np.random.default_rng(4)
    cohort.subjects["visceral"] = np.where(rng.uniform(size=240) < 0.5, "yes", "no")
    markers = Markers.concatenate([cohort.markers, clinical_markers(cohort, ["visceral"])])
    markers.info["family"] = [*["confirmatory"] * 3, "exploratory", "exploratory"]
    markers.info["cutpoint"] = [0.0, np.nan, np.nan, np.nan, np.nan]
    limit = np.quantile(markers.value[1], 0.3)
    below = markers.value[1] < limit
    markers.value[1, below], markers.state[1, below] = limit, BELOW
    missing = rng.uniform(size=240) < 0.2
    markers.value[2, missing], markers.state[2, missing] = np.nan, MISSING
    cohort = dataclasses.replace(cohort, markers=markers)
    cohort.study.update(columns=["visceral"], strata=["site"])
    return cohort, screen(cohort, "PFS", markers, randomisations=99)


def same(found, table, columns):
    """The columns of two tables of the same markers, row by row."""
    key = [*KEY, "kind"]
    both = found.merge(table[[*key, *columns]], on=key, suffixes=("", "_table"))
    assert len(both) == len(found) > 0
    for column in columns:
        np.testing.assert_array_equal(both[column], both[f"{column}_table"])


def test_the_table_is_the_single_fit(made):
    cohort, table = made
    subjects = cohort.subjects
    arm = subjects["arm_code"].to_numpy(dtype=float)
    x = cohort.markers.value[0]
    x = (x - x.mean()) / x.std(ddof=1)
    fit = fit_cox(
        subjects["PFS_months"],
        subjects["PFS_event"],
        np.column_stack([arm, x, arm * x]),
        subjects["stratum"].to_numpy(),
    )
    line = table[table["biomarker"].eq("marker 0") & table["kind"].eq("continuous")].iloc[0]
    # limits of the table reach by Student's t (small_samples), those of a single fit by the normal distribution
    assert np.exp(fit.coefficients[2]) == approx(line["interaction_ratio"], rel=1e-8)
    assert fit.test(2, "lrt").p == approx(line["p_interaction_lrt"], rel=1e-8)


def test_figures_show_the_tables_numbers(made):
    _, table = made
    overall = forest_predictive.Overall(240, 200, 0.7, 0.5, 0.9)
    forest = forest_predictive.draw(table, "PFS", arms=ARMS, overall=overall)
    same(forest.source.iloc[1:], table, [*RATIO, *LEVELS, "p_randomisation"])
    printed = [text.get_text() for text, _ in texts_drawn(forest.figure)]
    for _, line in table.iterrows():
        numbers = line[[*RATIO, *LEVELS]].to_numpy(dtype=float)
        for interval in numbers.reshape(3, 3):
            assert format_interval(*interval) in printed
    assert format_interval(0.7, 0.5, 0.9) in printed
    assert forest.source["treatment_effect"].iloc[0] == 0.7
    cloud = volcano.draw(table, "PFS").source
    same(cloud, table, RATIO[:1])
    plane = prognostic_predictive.draw(table, "PFS").source
    same(plane, table, [*RATIO[:1], "marker_effect_control"])


def test_curves_by_marker_and_arm_print_the_effect_within_the_level(made):
    cohort, table = made
    drawn = marker_km.draw(cohort, "PFS", split_markers(cohort, cohort.markers, table))
    printed = " ".join(text.get_text() for text, _ in texts_drawn(drawn.figure))
    line = table[table["biomarker"].eq("marker 0") & table["kind"].eq("binary")].iloc[0]
    for interval in line[LEVELS].to_numpy(dtype=float).reshape(2, 3):
        assert f"HR {format_interval(*interval)}" in printed


def test_the_closer_look_at_continuous_markers_starts_from_the_table(made):
    cohort, table = made
    found = explore(
        cohort, "PFS", cohort.markers, table, randomisations=19, seed=1, resamples=3, most=2
    )
    for name in ("marker 0", "marker 1"):  # measured throughout; partly imputed
        part = found[found["biomarker"].eq(name)]
        row = table[table["biomarker"].eq(name) & table["kind"].eq("continuous")].iloc[0]
        if not len(part):
            continue
        line = part[part["analysis"].eq("linear")]
        log, value = np.log(line["effect"].to_numpy()), line["value"].to_numpy()
        slope = (log[-1] - log[0]) / (value[-1] - value[0])
        # the unit: between the marker's quartiles the table's effects are a known number of units apart
        low, high = np.log(
            row[["treatment_effect_at_low", "treatment_effect_at_high"]].astype(float)
        )
        assert np.sign(slope) == np.sign(np.log(row["interaction_ratio"]))
        assert np.interp([low, high], np.sort(log), np.sort(log)) == approx([low, high])
        if name == "marker 0":
            unit = cohort.markers.value[0].std(ddof=1)
            assert np.exp(slope * unit) == approx(row["interaction_ratio"], rel=1e-8)
    assert "marker 0" in set(found["biomarker"])
    cut = found[found["analysis"].eq("prespecified_cut")].iloc[0]
    row = table[table["biomarker"].eq("marker 0") & table["kind"].eq("binary")].iloc[0]
    assert cut[["effect", "effect_low", "effect_high"]].tolist() == row[RATIO].tolist()


def test_the_efficacy_tables_have_the_clinical_markers_and_everybodys_numbers(made):
    cohort, table = made
    by_level = subgroups(cohort, "PFS", ["visceral"]).set_index("level")
    line = table[table["biomarker"].eq("visceral")].iloc[0]
    for level, at in (("no", "low"), ("yes", "high")):
        found = by_level.loc[level, ["hr", "hr_low", "hr_high"]].to_numpy(dtype=float)
        columns = [f"treatment_effect_at_{at}{end}" for end in ("", "_low", "_high")]
        assert found == approx(line[columns].to_numpy(dtype=float), rel=1e-8)
    assert by_level.loc["yes", "p_interaction_lrt"] == approx(line["p_interaction_lrt"], rel=1e-8)
    whole = subgroups(cohort, "PFS", []).iloc[0]
    everybody = evaluable(cohort).iloc[0]
    contrast = survival_contrast(cohort).iloc[0]
    for end in ("", "_low", "_high"):
        assert whole[f"hr{end}"] == everybody[f"treatment_effect{end}"]
        assert whole[f"hr{end}"] == approx(contrast[f"hr{end}"], rel=1e-12)
    drawn = forest_subgroups.draw(
        subgroups(cohort, "PFS", ["visceral"]).assign(endpoint="PFS"), "PFS", arms=ARMS
    )
    assert drawn.source["hr"].tolist() == subgroups(cohort, "PFS", ["visceral"])["hr"].tolist()


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_subgroups_of_few_events_have_the_likelihood_of_the_biomarkers(endpoint):
    cohort = trial(n=60, markers=1, seed=13)
    cohort.subjects["visceral"] = np.where(np.arange(60) % 3 == 0, "yes", "no")
    marker = clinical_markers(cohort, ["visceral"])
    line = screen(dataclasses.replace(cohort, markers=marker), endpoint, marker).iloc[0]
    assert line["method"].startswith("Firth")
    found = subgroups(cohort, endpoint, ["visceral"]).set_index("level")
    name = "hr" if endpoint == "PFS" else "odds_ratio"
    for level, at in (("no", "low"), ("yes", "high")):
        numbers = found.loc[level, [f"{name}{end}" for end in ("", "_low", "_high")]]
        columns = [f"treatment_effect_at_{at}{end}" for end in ("", "_low", "_high")]
        assert numbers.to_numpy(dtype=float) == approx(
            line[columns].to_numpy(dtype=float), rel=1e-6
        )
    assert found.loc["yes", "p_interaction_lrt"] == approx(line["p_interaction_lrt"], rel=1e-6)
    assert ("Firth" in found.loc["no", "method"]) == (endpoint == "ORR")


def test_the_evidence_and_the_sensitivity_analysis_quote_the_table(made):
    cohort, table = made
    row = table[table["biomarker"].eq("marker 3")]
    assert f"{row['interaction_ratio'].iloc[0]:.2f}" in _interaction(row)
    found = sensitivity(cohort, "PFS", cohort.markers, table, seed=1)
    complete = found[found["analysis"].eq("complete_cases")]
    assert list(complete["biomarker"]) == ["marker 2"]
    same(complete, table, [*RATIO, "marker_effect_control", "marker_effect_experimental"])


def words(figure):
    return [text.get_text() for text, _ in texts_drawn(figure)]


def test_the_forest_prints_treatment_effects_what_was_detectable_and_everybody():
    table = make_screen(5)
    overall = forest_predictive.Overall(132, 99, 0.54, 0.35, 0.82)
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS, overall=overall)
    said = words(drawn.figure)
    assert "All subjects" in said
    assert "0.54 (0.35–0.82)" in said
    assert "99 / 132" in said
    for _, line in drawn.source.iloc[1:].iterrows():
        if np.isfinite(line["treatment_effect_at_low"]):
            assert any(t.startswith(f"{line['treatment_effect_at_low']:.2f} (") for t in said)
        if np.isfinite(line["minimum_detectable_ratio"]):
            assert f"detectable {line['minimum_detectable_ratio']:.2f}" in said
    assert list(drawn.source["biomarker"][:1]) == ["all"]
    assert "all 132 subjects" in drawn.caption
    # rows of one line keep the estimates
    crowded = forest_predictive.draw(make_screen(60), "PFS", arms=ARMS, top=45)
    line = crowded.source.iloc[0]
    short = ", ".join(format_number(line[f"treatment_effect_at_{at}"]) for at in ("low", "high"))
    assert short in words(crowded.figure)


def test_one_arm():
    cohort = trial(n=80, markers=3, seed=12)
    cohort.study.update(design="single_arm", arms={"all": "treated"})
    cohort.subjects["arm_code"] = np.nan
    table = screen(cohort, "PFS", cohort.markers)
    drawn = forest_prognostic.draw(table, "PFS")
    same(drawn.source, table, ["marker_effect", "marker_effect_low", "marker_effect_high"])
    assert isinstance(drawn.source, pd.DataFrame)
