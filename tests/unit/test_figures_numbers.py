"""The numbers beside each figure are those that are drawn, and those of the tables."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from figures_inputs import (
    ALONE,
    ARMS,
    make_cohort,
    make_curves,
    make_predictions,
    make_risks,
    make_rugs,
    make_screen,
    make_values,
    texts_drawn,
    with_genes,
    with_tissue,
)
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from reference_answers import FOLDER, answers, trial
from sksurv.metrics import cumulative_dynamic_auc
from sksurv.util import Surv
from test_figures_all import (
    CONTRAST,
    GENES,
    JUDGED,
    RATES,
    changed,
    compared,
    course_means,
    followed,
    known,
    make_acquired,
    make_benefit,
    make_curves_of_decisions,
    make_flow,
    make_intrinsic,
    make_inventory,
    make_locked,
    make_pairs,
    make_rates,
    make_stability,
    make_subgroups,
    measured,
)
from test_figures_all import make_performance as make_judged

from correlatives.binary.rates import clopper_pearson
from correlatives.cohort import BELOW, MEASURED, MISSING, Markers
from correlatives.figures import (
    acquired,
    agreement,
    alluvial,
    benefit,
    calibration,
    concordance,
    continuous,
    decision_curve,
    dossier,
    evidence,
    flow,
    forest_predictive,
    forest_subgroups,
    inventory,
    km,
    km_landmark,
    marker_correlation,
    nomogram,
    oncoprint,
    pairs_flow,
    performance_models,
    prognostic_predictive,
    response_rates,
    roc,
    slopes,
    spaghetti,
    stability,
    swimmer,
    volcano,
    waterfall,
)
from correlatives.figures.courses import change_in_words, round_numbers
from correlatives.figures.markers import distinct_names, rank
from correlatives.figures.style import arm_styles, format_interval, format_number
from correlatives.pairing import not_at_progression, sample_months
from correlatives.resistance.acquired import acquired as acquired_alterations
from correlatives.resistance.change import paired_change
from correlatives.resistance.dynamics import dynamics
from correlatives.resistance.evidence_lines import BASELINE, evidence_lines
from correlatives.response.evaluation import COEFFICIENTS, PERMUTATIONS, Share, judge
from correlatives.response.performance import horizon_weights
from correlatives.survival.kaplan_meier import KaplanMeier
from correlatives.time_units import DAYS_A_MONTH


def words(drawn):
    return [text.get_text() for text, _ in texts_drawn(drawn.figure)]


def lines_called(figure, name):
    return [line for axes in figure.axes for line in axes.lines if line.get_gid() == name]


# ------------------------------------------------------------------------------------ Kaplan–Meier


def test_curves_are_those_of_the_estimate():
    cohort = make_cohort(60)
    drawn = km.draw(cohort, "PFS", contrast=CONTRAST)
    for label in ARMS.values():
        subjects = cohort.subjects[cohort.subjects["arm"] == label]
        expected = KaplanMeier(subjects["PFS_months"], subjects["PFS_event"])
        rows = drawn.source[(drawn.source["panel"] == "curve") & (drawn.source["arm"] == label)]
        assert rows["months"].iloc[0] == 0
        np.testing.assert_allclose(rows["months"][1:], expected.times)
        np.testing.assert_allclose(rows["survival"][1:], expected.survival)
        np.testing.assert_allclose(rows["low"][1:], expected.low)
        (line,) = lines_called(drawn.figure, f"curve-{label}")
        np.testing.assert_allclose(line.get_xdata(), rows["months"])
        np.testing.assert_allclose(line.get_ydata(), rows["survival"])
        assert rows["events"].iloc[-1] == subjects["PFS_event"].sum()
        at_risk = drawn.source[
            (drawn.source["panel"] == "at risk") & (drawn.source["arm"] == label)
        ]
        for month, n, events in at_risk[["months", "at_risk", "events"]].itertuples(index=False):
            assert n == (subjects["PFS_months"] >= month).sum()
            assert events == ((subjects["PFS_months"] < month) & (subjects["PFS_event"] == 1)).sum()
            assert f"{n:.0f} ({events:.0f})" in words(drawn)


def test_the_risk_table_adds_up_where_times_tie():
    """Everything is counted just before the tick: at risk + events + censored = n, as R's survfit has it."""
    cohort = make_cohort(60)
    cohort.subjects["PFS_months"] = np.ceil(cohort.subjects["PFS_months"])
    drawn = km.draw(cohort, "PFS")
    rows = drawn.source[drawn.source["panel"] == "at risk"]
    tied = 0
    for label in ARMS.values():
        part = cohort.subjects[cohort.subjects["arm"] == label]
        time, event = part["PFS_months"], part["PFS_event"]
        for row in rows[rows["arm"] == label].itertuples():
            assert row.at_risk + row.events + row.censored == len(part)
            assert row.events == ((time < row.months) & (event == 1)).sum()
            tied += int((time == row.months).sum())
    assert tied
    assert rows["events"].groupby(rows["arm"]).first().tolist() == [0, 0]
    assert "At risk (events before)" in words(drawn)
    assert "just before" in drawn.caption


def test_the_duration_of_response_runs_from_the_response():
    cohort = make_cohort(60)
    cohort.subjects[["DOR_months", "DOR_event"]] = cohort.subjects[["PFS_months", "PFS_event"]]
    cohort.subjects.loc[:19, "DOR_months"] = np.nan
    cohort.study["endpoints"] = {"DOR": {"type": "duration_of_response", "of": "ORR"}}
    drawn = km.draw(cohort, "DOR")
    assert "Months from first response" in words(drawn)
    assert "40 responders" in drawn.caption
    assert "no response" in drawn.caption
    assert "Months from randomisation" in words(km.draw(cohort, "PFS"))


def test_the_hazard_ratio_says_whether_it_is_stratified():
    drawn = km.draw(make_cohort(60), "PFS", contrast=CONTRAST)
    assert "Cox model stratified as randomised" in drawn.caption
    assert "stratified HR 0.71" in " ".join(words(drawn)).replace("Stratified", "stratified")
    plain = km.draw(make_cohort(60), "PFS", contrast=CONTRAST.assign(p_logrank_stratified=np.nan))
    assert "Cox model, not stratified" in plain.caption
    assert "tratified HR" not in " ".join(words(plain))


def test_a_long_arm_is_wrapped_and_not_cut():
    arms = {
        "control": "placebo / 0.2 mg estrogen",
        "experimental": "1.0 mg estrogen / 5.0 mg estrogen",
    }
    drawn = km.draw(make_cohort(60, arms=arms), "PFS", contrast=CONTRAST)
    text = " ".join(" ".join(words(drawn)).split())
    assert "…" not in text
    assert text.count("1.0 mg estrogen / 5.0 mg estrogen") == 2


def test_the_comparison_is_that_of_the_table():
    drawn = km.draw(make_cohort(60), "PFS", contrast=CONTRAST)
    text = " ".join(words(drawn))
    assert "Stratified HR 0.71 (0.48–1.05)" in text
    assert "Stratified log-rank p = 0.090" in text
    assert "0.71 (0.48–1.05)" in drawn.caption
    assert "Two-sided log-rank p = 0.087, stratified = 0.090." in drawn.caption
    plain = " ".join(words(km.draw(make_cohort(60), "PFS", contrast=CONTRAST.iloc[:0])))
    assert "HR " not in plain


def test_medians_of_the_table_are_printed():
    by_arm = pd.DataFrame(
        {
            "endpoint": "PFS",
            "arm": list(ARMS.values()),
            "median": [7.84, np.nan],
            "median_low": [6.11, 9.0],
            "median_high": [np.nan, np.nan],
        }
    )
    drawn = km.draw(make_cohort(60), "PFS", by_arm=by_arm)
    assert "median 7.8 (6.1–NR) mo" in " ".join(words(drawn))
    assert "median NR (9.0–NR) mo" in " ".join(words(drawn))


def test_subjects_without_an_outcome_are_counted():
    cohort = make_cohort(40)
    cohort.subjects.loc[:2, "PFS_months"] = np.nan
    cohort.subjects.loc[3, "in_population"] = False
    drawn = km.draw(cohort, "PFS")
    assert "3 of 39 subjects of the primary population have no time or event" in drawn.caption


def test_an_arm_without_events_and_one_without_subjects():
    cohort = make_cohort(40)
    experimental = cohort.subjects["arm_code"] == 1
    cohort.subjects.loc[experimental, "PFS_event"] = 0
    drawn = km.draw(cohort, "PFS", contrast=CONTRAST.assign(hr=np.nan))
    assert "median NR" in " ".join(words(drawn))
    cohort.subjects.loc[experimental, "PFS_months"] = np.nan
    drawn = km.draw(cohort, "PFS")
    assert set(drawn.source["arm"]) == {ARMS["control"]}


def test_historical_values_are_drawn():
    stated = pd.DataFrame(
        {
            "endpoint": ["PFS", "ORR"],
            "measure": ["median_months", "rate"],
            "historical": [6.0, 0.3],
            "source": ["Haley 2021", ""],
        }
    )
    drawn = km.draw(make_cohort(30, arms=ALONE), "PFS", historical=stated)
    rows = drawn.source[drawn.source["panel"] == "historical"]
    assert rows[["months", "survival"]].to_numpy().tolist() == [[6.0, 0.5]]
    assert "Haley 2021" in drawn.caption
    curve = pd.DataFrame({"months": [0, 6], "survival": [1, 0.5], "label": "EMILIA"})
    drawn = km.draw(make_cohort(30, arms=ALONE), "PFS", historical=curve)
    assert (drawn.source["panel"] == "historical").sum() == 2


# ----------------------------------------------------------------------------------------- forests


def test_subgroups_are_those_of_the_table():
    table = make_subgroups()
    drawn = forest_subgroups.draw(table, "PFS", arms=ARMS)
    pd.testing.assert_frame_equal(drawn.source, table)
    points = [float(line.get_xdata()[0]) for line in lines_called(drawn.figure, "estimate")]
    np.testing.assert_allclose(points, table["hr"].dropna())
    assert "20 / 30" in words(drawn)
    assert "30 subjects, 20 events" in drawn.caption


def test_a_table_of_several_endpoints_is_filtered():
    survival = make_subgroups()
    response = make_subgroups(effect="odds_ratio").assign(endpoint="ORR")
    both = pd.concat([survival, response], ignore_index=True)
    drawn = forest_subgroups.draw(both, "ORR", arms=ARMS)
    assert set(drawn.source["endpoint"]) == {"ORR"}
    assert "Odds ratio, 95 % limits" in " ".join(words(drawn))
    assert "OR (95 % CI)" in words(drawn)


def test_confirmatory_markers_come_first_then_the_smallest_p():
    table = make_screen(40)
    ordered, rule = rank(table, ("p_randomisation", "p_interaction_lrt"))
    assert list(ordered["family"][:2]) == ["confirmatory"] * 2
    p = ordered["p_randomisation"].to_numpy()[2:]
    known = p[np.isfinite(p)]
    assert (np.diff(known) >= 0).all()
    assert np.isnan(p[len(known) :]).all()
    assert "randomisation p" in rule
    shuffled = table.sample(frac=1, random_state=1)
    assert list(rank(shuffled, ("p_randomisation",))[0]["biomarker"]) == list(ordered["biomarker"])


def test_a_forest_draws_the_rows_that_it_says():
    table = make_screen(40)
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS, top=12)
    assert len(drawn.source) == 12
    assert list(drawn.source.columns) == list(table.columns)
    assert "12 of 40 tests" in drawn.caption
    # the size of the family is counted where its adjusted p-values are, not in what is drawn
    heading = "family of 38 tests, 10 of 38 rows shown; adjusted: false discovery rate (q)"
    assert f"Exploratory ({heading})" in words(drawn)
    assert "Confirmatory (family of 2 tests; adjusted: family-wise)" in words(drawn)
    ratios = drawn.source["interaction_ratio"]
    for name, ratio in zip(drawn.source["biomarker"], ratios, strict=True):
        assert name in words(drawn)
        if np.isfinite(ratio):
            assert any(text.startswith(f"{ratio:.2f} (") for text in words(drawn))
    interaction = drawn.figure.axes[2]
    points = [line.get_xdata()[0] for line in interaction.lines if line.get_gid() == "estimate"]
    np.testing.assert_allclose(points, ratios.dropna())
    assert "randomisation test" in drawn.caption


FEW = "not in its family: fewer than 5 subjects differ from the most common value"


def test_what_two_carriers_give_is_counted_and_not_drawn():
    table = make_screen(12)
    rare = table["biomarker"] == "marker 3"
    table.loc[rare, ["q_value", "p_fwer"]] = np.nan
    table.loc[rare, "note"] = f"interaction: Firth's penalty, no finite maximum; {FEW}"
    table.loc[rare, ["interaction_ratio", "interaction_ratio_low"]] = [77.25, 3.8e-06]
    table.loc[rare, "minimum_detectable_ratio"] = 439.24
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS)
    shown = " ".join(words(drawn))
    assert "marker 3" in shown
    assert f"{table.loc[rare, 'events'].item()} / {table.loc[rare, 'n'].item()}" in shown
    assert "too few carriers:" in shown
    assert "not estimated" in shown
    assert "77.2" not in shown
    assert "439" not in shown
    points = [
        line.get_xdata()[0] for line in drawn.figure.axes[2].lines if line.get_gid() == "estimate"
    ]
    assert len(points) == table.loc[~rare, "interaction_ratio"].notna().sum()
    assert "in no family" in drawn.caption
    for module in (volcano, prognostic_predictive):
        other = module.draw(table, "PFS")
        assert "marker 3" not in set(other.source["biomarker"])
        assert "1 test is not drawn: fewer than 5 subjects" in other.caption


def test_an_exploratory_marker_of_two_carriers_takes_no_results_place():
    table = make_screen(12)
    rare = table["biomarker"] == "marker 3"
    table.loc[rare, ["q_value", "p_fwer"]] = np.nan
    table.loc[rare, ["p_randomisation", "note"]] = [1e-4, FEW]
    shown = forest_predictive.draw(table, "PFS", arms=ARMS).source["biomarker"].tolist()
    assert shown[-1] == "marker 3"
    assert sorted(shown) == sorted(table["biomarker"])
    assert "marker 3" not in set(
        forest_predictive.draw(table, "PFS", arms=ARMS, top=11).source["biomarker"]
    )
    # of a confirmatory family every member is told
    confirmed = table.assign(family=np.where(rare, "confirmatory", table["family"]))
    shown = forest_predictive.draw(confirmed, "PFS", arms=ARMS, top=3).source["biomarker"]
    assert "marker 3" in set(shown)


def test_names_of_usual_length_are_not_cut_beside_wide_limits():
    table = make_screen(20).assign(specimen="archival_tissue", contrast="positive v negative")
    table["interaction_ratio"] = 1.36
    table["interaction_ratio_low"], table["interaction_ratio_high"] = 0.11, 932.14
    table["treatment_effect_at_high"], table["treatment_effect_at_high_high"] = 25.0, 437.76
    labels = dict.fromkeys(table["biomarker"], "Neutrophil to lymphocyte ratio")
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS, labels=labels)
    shown = words(drawn)
    assert "Neutrophil to lymphocyte ratio" in shown
    assert "positive v negative; archival tissue" in shown
    assert not [text for text in shown if text.endswith("…")]


def test_responses_are_not_called_events():
    screen = make_screen(6).assign(effect_measure="odds_ratio")
    drawn = forest_predictive.draw(screen, "ORR", arms=ARMS)
    assert "Resp. /" in words(drawn)
    assert "Responders (resp.) and subjects" in drawn.caption
    assert "vents" not in drawn.caption
    response = make_subgroups(effect="odds_ratio").assign(endpoint="ORR")
    drawn = forest_subgroups.draw(response, "ORR", arms=ARMS)
    assert "30 subjects, 20 responders" in drawn.caption
    assert "responders/n" in words(drawn)
    assert not [text for text in [*words(drawn), drawn.caption] if "vents" in text]


def test_texts_on_either_side_of_one_stand_on_one_line():
    drawn = forest_subgroups.draw(
        make_subgroups(levels=4), "PFS", arms={"control": "nap", "experimental": "axe"}
    )
    sides = [t for t in drawn.figure.axes[0].texts if t.get_text().endswith(" better")]
    assert len(sides) == 2
    assert {t.get_va() for t in sides} == {"baseline"}
    assert len({t.get_position()[1] for t in sides}) == 1


def test_the_caption_names_the_models_that_were_fitted():
    table = make_screen(6).assign(method="Cox, Efron, stratified, profile limits")
    caption = forest_predictive.draw(table, "PFS", arms=ARMS).caption
    assert "(Cox model, Efron's ties, stratified as randomised; arm + marker" in caption
    table.loc[:1, "method"] = "Firth Cox, Efron, profile penalised limits"
    table.loc[2:, "method"] = "Cox, Efron, 30 imputations beyond limits, Rubin's rules, Wald limits"
    caption = forest_predictive.draw(table, "PFS", arms=ARMS).caption
    assert (
        "Efron's ties, with Firth's penalty in 2 of the 6 rows, values beyond limits imputed in 4"
        in caption
    )
    assert "stratified" not in caption
    every = table.assign(
        method="Firth logistic, profile penalised limits", effect_measure="odds_ratio"
    )
    caption = forest_predictive.draw(every, "ORR", arms=ARMS).caption
    assert "(logistic model, with Firth's penalty; arm + marker" in caption


def test_correlations_have_one_decimal_however_small():
    values = make_values(6)
    drawn = marker_correlation.draw(*values)
    written = [w for w in words(drawn) if re.fullmatch(r"[−-]?[01](\.\d+)?", w)]
    assert written
    assert {len(w.lstrip("−")) for w in written if w not in ("−1", "1", "0")} == {3}
    assert "−0.0" not in written


def test_windows_are_said_to_be_as_large_as_they_are():
    curves = make_curves(3)
    stepp = curves["analysis"].eq("stepp") & curves["value"].notna()
    curves.loc[stepp, "n"] = 48
    assert "windows of 48 subjects (at least 48 that share at most 36 with" in (
        continuous.draw(curves, "PFS", arms=ARMS).caption
    )
    # equal values stay together, so that windows may be larger than they were made for
    first = curves["biomarker"].eq("marker 0") & stepp
    curves.loc[first, "method"] = (
        "Cox, Efron, profile limits; windows of at least 39 that share at most 29"
    )
    curves.loc[curves.index[first][0], "n"] = 61
    caption = continuous.draw(curves, "PFS", arms=ARMS).caption
    assert "windows of 48 to 61 subjects (at least 39 to 48 that share at most 29 to 36" in caption


def test_a_limit_beyond_the_axis_ends_in_an_arrow():
    table = make_screen(6)
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS)
    arrows = [line for line in drawn.figure.axes[2].lines if line.get_marker() == ">"]
    assert arrows
    assert any("∞" in text for text in words(drawn))


def test_a_ratio_with_one_limit_is_open_at_the_other_end():
    """A table leaves a limit beyond every ratio empty; a line that ends at the estimate would look like a narrow interval."""
    table = make_screen(3).iloc[[0, 1]].assign(p_randomisation=[0.01, 0.02])
    names = ["interaction_ratio", "interaction_ratio_low", "interaction_ratio_high"]
    table[names] = [[1.5, 0.7, np.nan], [0.8, np.nan, 1.6]]
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS)
    assert {"1.50 (0.70–∞)", "0.80 (0.00–1.60)"} <= set(words(drawn))
    arrows = [line.get_marker() for line in drawn.figure.axes[2].lines if line.get_marker() in "<>"]
    assert sorted(arrows) == ["<", ">"]


def test_a_detectable_ratio_beyond_every_effect_is_said_to_be_that():
    table = make_screen(3)
    table["minimum_detectable_ratio"] = [99.5, 543.77, 1 / 543.77]
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS)
    assert words(drawn).count("detectable >100") == 2
    assert "detectable 99.5" in words(drawn)
    # the numbers themselves are in the file beside the figure
    assert sorted(drawn.source["minimum_detectable_ratio"])[1:] == [99.5, 543.77]


def test_labels_of_the_dictionary_are_used():
    drawn = forest_predictive.draw(make_screen(2), "PFS", arms=ARMS, labels={"marker 0": "TK1 *x*"})
    assert "TK1 *x*" in words(drawn)
    assert sorted(drawn.source["biomarker"]) == ["marker 0", "marker 1"]


def test_a_marker_of_two_specimens_has_two_labels():
    labels = {("marker 0", "plasma"): "in plasma", ("marker 0", "biopsy"): "in a biopsy"}
    table = make_screen(2).assign(p_randomisation=0.01)
    drawn = forest_predictive.draw(table, "PFS", arms=ARMS, labels=labels)
    assert "in plasma" in words(drawn)
    assert "in a biopsy" not in words(drawn)
    assert "in plasma" in words(volcano.draw(table, "PFS", labels=labels))


def test_the_volcano_has_every_test_once():
    table = make_screen(50)
    drawn = volcano.draw(table, "PFS", named=5)
    known = table["p_randomisation"].notna()
    assert len(drawn.source) == known.sum()
    assert drawn.source["named"].sum() == 5
    axes = drawn.figure.axes[0]
    offsets = np.vstack([c.get_offsets() for c in axes.collections if len(c.get_offsets())])
    assert len(offsets) == known.sum()
    expected = -np.log10(drawn.source["p"])
    np.testing.assert_allclose(np.sort(offsets[:, 1]), np.sort(expected))
    assert "10 could not be estimated" not in drawn.caption
    assert f"{known.sum()} of 50 tests" in drawn.caption


def test_the_volcano_names_what_its_caption_says():
    table = make_screen(50)
    table.loc[0, ["p_randomisation", "p_fwer"]] = [0.6, 0.9]
    table.loc[1, ["p_randomisation", "p_fwer"]] = [0.1, 0.2]
    table["q_value"] = table["q_value"].where(table["q_value"].isna(), 0.5)
    drawn = volcano.draw(table, "PFS", named=4)
    named = drawn.source[drawn.source["named"]]
    assert "marker 0" not in set(named["biomarker"])
    assert "marker 1" in set(named["biomarker"])
    exploratory = drawn.source[drawn.source["family"] == "exploratory"].sort_values("p")
    assert set(named["biomarker"]) - {"marker 1"} == set(exploratory["biomarker"][:3])
    assert "confirmatory markers with p of at most 0.2" in drawn.caption

    def key(figure):
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert not any("≤" in text for text in key(drawn.figure))
    assert "filled are 0 of 2 confirmatory and 0 of" in drawn.caption
    table.loc[2, "q_value"] = 0.01
    assert "exploratory, q ≤ 0.05" in key(volcano.draw(table, "PFS").figure)
    table.loc[1, "p_fwer"] = 0.03
    keys = key(volcano.draw(table, "PFS").figure)
    assert "confirmatory, family-wise p ≤ 0.05" in keys
    assert len(keys) == len(set(keys))


def test_rates_are_those_of_the_table():
    drawn = response_rates.draw(make_rates(), arms=ARMS)
    assert "12 / 30" in words(drawn)
    assert "40 (23–59) %" in words(drawn)
    pd.testing.assert_frame_equal(drawn.source, make_rates())


def test_the_odds_ratio_is_called_what_it_is():
    pooled = response_rates.draw(make_rates(), RATES, arms=ARMS)
    assert "Mantel–Haenszel over the randomisation strata" in pooled.caption
    assert "CMH" in " ".join(words(pooled))
    plain = response_rates.draw(make_rates(), RATES.assign(p_cmh=np.nan), arms=ARMS)
    assert "conditional maximum likelihood with exact limits, not stratified" in plain.caption
    assert "CMH" not in plain.caption + " ".join(words(plain))
    table = make_subgroups(effect="odds_ratio")
    assert "Mantel and Haenszel" in forest_subgroups.draw(table, "PFS", arms=ARMS).caption
    assert "Haenszel" not in forest_subgroups.draw(make_subgroups(), "PFS", arms=ARMS).caption


def test_a_kind_with_the_counts_of_its_gene_has_no_row_of_its_own():
    within, between = make_acquired(genes=3)
    rows = within[within["name"] == "G2"]
    other = rows.assign(name="G2 deletion", gained=0, absent=22)
    other["gained"] = [2, 0]
    mutation = rows.assign(name="G2 mutation", kept=0, absent=rows["absent"] + rows["kept"])
    within = pd.concat([within, mutation, other], ignore_index=True)
    drawn = acquired.draw(within, between, arms=ARMS)
    assert {"G2", "G2 deletion"} <= set(drawn.source["name"])
    assert "G2 mutation" not in set(drawn.source["name"])
    assert "all of its genes could be read" in drawn.caption
    assert "tests gained against lost" in drawn.caption


# ---------------------------------------------------------------------------------------- subjects


def test_bars_fall_and_count_those_without_a_measurement():
    cohort = make_cohort(60)
    drawn = waterfall.draw(cohort)
    change = cohort.subjects["best_change_pct"]
    assert len(drawn.source) == change.notna().sum()
    assert sorted(drawn.source["best_change_pct"]) == sorted(change.dropna())
    for _, part in drawn.source.groupby("arm"):
        assert (part["best_change_pct"].diff().dropna() <= 0).all()
        assert list(part["order"]) == list(range(1, len(part) + 1))
    missing = int(change.isna().sum())
    assert f"{missing} subjects without a measurement" in drawn.caption
    heights = [p.get_height() for axes in drawn.figure.axes for p in axes.patches]
    expected = np.minimum(drawn.source["best_change_pct"], waterfall.TALLEST_BAR)
    np.testing.assert_allclose(heights, expected)


@pytest.mark.parametrize("module", [waterfall, swimmer, oncoprint])
def test_identifiers_are_shown_only_when_asked_for(module, tmp_path):
    cohort = with_genes(make_cohort(20, course=True), ["RB1", "TP53"])
    hidden = module.draw(cohort).write(tmp_path / "hidden")
    for path in hidden:
        assert b"SUBJ-" not in path.read_bytes()
    asked = module.draw(cohort, subject_level=True)
    assert asked.source["subject_id"].str.startswith("SUBJ-").all()
    assert any(text.startswith("SUBJ") for text in words(asked))


def test_the_course_of_a_subject_is_what_happened():
    cohort = make_cohort(2, course=True)
    cohort.subjects["first_dose_day"] = [0.0, 30.4375]
    cohort.subjects["event_reason"] = ["", "progression"]
    cohort.subjects[["PFS_event", "OS_event"]] = [[0.0, 0.0], [1.0, 1.0]]
    cohort.subjects[["PFS_months", "OS_months"]] = [[4.0, 4.0], [5.0, 9.0]]
    cohort.subjects["best_overall_response"] = ["SD", "PR"]
    cohort.course.loc[cohort.course["what"] == "assessment", "name"] = ["SD", "PR"]
    cohort.course.loc[cohort.course["what"] == "dose", "stop_day"] = 30.0
    seen = swimmer.events(cohort).set_index(["subject_id", "what"])["months"]
    until = swimmer.events(cohort).set_index(["subject_id", "what"])["until_months"]
    assert seen[("SUBJ-0000", "without progression at last contact")] == 4.0
    assert ("SUBJ-0000", "death") not in seen
    assert seen[("SUBJ-0001", "progression")] == 5.0
    assert seen[("SUBJ-0001", "death")] == until[("SUBJ-0001", "follow-up")] == 9.0
    # Study day 43 is 42 days after the first dose, which came a month after randomisation.
    assert seen[("SUBJ-0001", "partial response")] == pytest.approx(1 + 42 / 30.4375)
    assert ("SUBJ-0000", "partial response") not in seen
    assert until[("SUBJ-0000", "treatment")] == pytest.approx(30 / 30.4375)


def test_no_event_of_a_subject_is_drawn_as_none():
    """Without overall survival a PFS event that was a death is the death; one of unknown kind is said to be so."""
    cohort = make_cohort(6)
    subjects = cohort.subjects.drop(columns=["OS_months", "OS_event"])
    subjects["PFS_months"] = [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    subjects["PFS_event"] = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]
    subjects["event_reason"] = ["progression", "death", "", "toxicity", "", "death"]
    drawn = swimmer.draw(dataclasses.replace(cohort, subjects=subjects), subject_level=True)
    seen = drawn.source[drawn.source["what"] != "follow-up"].sort_values("subject_id")
    assert seen["what"].tolist() == [
        "progression",
        "death",
        "PFS event",
        "PFS event",
        "without progression at last contact",
        "death",
    ]
    assert seen["months"].tolist() == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert "1 progressions and 2 deaths, and 2 events of PFS" in drawn.caption
    assert "to the end of PFS" in drawn.caption
    assert "last contact" not in drawn.caption
    assert "no overall survival" in drawn.caption
    assert "PFS event" in words(drawn)


def test_the_course_speaks_only_of_what_the_study_has():
    cohort = make_cohort(6)
    subjects = cohort.subjects.drop(columns=["PFS_months", "PFS_event", "event_reason"])
    subjects["OS_event"] = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    said = swimmer.draw(dataclasses.replace(cohort, subjects=subjects)).caption
    assert "3 of 3 subjects; 4 deaths." in said
    assert "Arrows: no death recorded at the end of the line." in said
    for absent in ("progression", "dose", "treatment", "response"):
        assert absent not in said
    subjects["OS_event"] = 1.0
    assert "Arrows" not in swimmer.draw(dataclasses.replace(cohort, subjects=subjects)).caption
    said = swimmer.draw(make_cohort(20, course=True)).caption
    assert "progressions and" in said
    assert "neither progression nor death" in said
    assert "interruptions and reductions of dose" in said


def test_the_numbers_of_the_course_are_not_cut_by_the_names_of_arms():
    arms = {
        "control": "placebo / 0.2 mg estrogen",
        "experimental": "1.0 mg estrogen / 5.0 mg estrogen",
    }
    shown = words(swimmer.draw(make_cohort(502, arms=arms)))
    assert "1.0 mg estrogen / 5.0 mg estrogen\n(n = 251 of 251, 84 drawn)" in shown
    assert "placebo / 0.2 mg estrogen\n(n = 251 of 251, 84 drawn)" in shown
    assert "T-DM1 (n = 10 of 10)" in words(swimmer.draw(make_cohort(20)))


def test_a_pfs_event_on_the_day_of_death_is_that_death():
    cohort = make_cohort(2)
    subjects = cohort.subjects.assign(event_reason="", PFS_event=1.0, OS_event=1.0)
    subjects["PFS_months"], subjects["OS_months"] = [4.0, 4.0], [4.0, 9.0]
    seen = swimmer.events(dataclasses.replace(cohort, subjects=subjects))
    seen = seen[seen["what"] != "follow-up"].set_index(["subject_id", "what"])["months"]
    assert seen.to_dict() == {
        ("SUBJ-0000", "death"): 4.0,
        ("SUBJ-0001", "PFS event"): 4.0,
        ("SUBJ-0001", "death"): 9.0,
    }


def test_not_evaluable_is_neither_wild_type_nor_no_sample():
    cohort = with_genes(make_cohort(30), ["RB1", "TP53"])
    drawn = oncoprint.draw(cohort)
    markers = cohort.markers
    for biomarker, time in (("gene:RB1", "baseline"), ("gene:TP53", "progression")):
        one = markers.select(biomarker=biomarker, timepoint=time)
        rows = drawn.source[
            (drawn.source["gene"] == biomarker[5:]) & (drawn.source["timepoint"] == time)
        ]
        counts = rows["state"].value_counts()
        assert counts.get("not evaluable", 0) == (one.state == 4).sum()
        assert counts.get("altered", 0) == (one.value == 1).sum()
        assert counts.get("wild type", 0) == (one.value == 0).sum()
        # A subject without any sample is not drawn at all.
        assert counts.get("no sample", 0) <= (one.state == 0).sum()
        for label in ARMS.values():
            part = rows[rows["arm"] == label]
            altered, read = (
                (part["state"] == "altered").sum(),
                part["state"].isin(["altered", "wild type"]).sum(),
            )
            assert f"{altered}/{read}" in words(drawn)
    assert (drawn.source.loc[drawn.source["state"] == "altered", "kinds"] != "").all()
    assert (drawn.source.loc[drawn.source["state"] != "altered", "kinds"] == "").all()


def test_a_sample_that_was_not_taken_at_progression_is_in_no_share():
    """As in the pairs: in the oncoprint and in the dossier's rows of every visit."""
    cohort = with_genes(make_cohort(30), ["RB1", "TP53"])
    never = np.arange(30) % 3 == 0
    subjects = cohort.subjects.assign(
        progression_seen=np.where(never, "no", "yes"),
        progression_months=np.where(never, np.nan, cohort.subjects["PFS_months"]),
    )
    cohort = dataclasses.replace(cohort, subjects=subjects)
    markers = cohort.markers.select(biomarker="gene:RB1")
    tables = {
        name: pd.DataFrame(columns=["endpoint"])
        for name in ("acquired", "acquired_by_arm", "paired_change", "dynamics", "concordance")
    }
    tables["acquired"] = acquired_alterations(cohort, "baseline", "progression")
    for believed in (False, True):
        of = {"at_progression": not believed}
        drawn = oncoprint.draw(cohort, **of)
        lines = evidence_lines(cohort, **tables, **of, endpoint="PFS")
        altered = lines[(lines["line"] == "altered") & (lines["marker"] == "gene:RB1")]
        altered = altered.set_index(["timepoint", "arm"])
        for row, time in enumerate(markers.info["timepoint"]):
            for code, label in enumerate(ARMS.values()):
                counted = subjects["arm_code"].eq(code).to_numpy()
                if time == "progression" and not believed:
                    counted = counted & ~never
                read = int((np.isfinite(markers.value[row]) & counted).sum())
                found = int(((markers.value[row] == 1) & counted).sum())
                seen = drawn.source.query("gene == 'RB1' and timepoint == @time and arm == @label")
                states = seen["state"].value_counts()
                assert states.get("altered", 0) == found
                assert states.get("altered", 0) + states.get("wild type", 0) == read
                assert f"{found}/{read}" in words(drawn)
                line = altered.loc[(time, label)]
                assert line["n"] == read
                assert line["estimate"] == pytest.approx(found / read)
                assert line["of"] == int(((markers.state[row] != MISSING) & counted).sum())
        left = int(((markers.state[1] != MISSING) & never).sum())
        said = f"The progression samples of {left} subjects were not taken at progression"
        assert (said in drawn.caption) == (not believed)
        assert left > 0


def test_a_call_that_does_not_count_is_not_drawn():
    cohort = with_genes(make_cohort(30), ["RB1", "TP53"])
    calls = cohort.calls.assign(counted=False)
    cohort = type(cohort)(**{**cohort.__dict__, "calls": calls})
    kinds = oncoprint.draw(cohort).source["kinds"]
    assert set(kinds) == {"", "kind not stated"}


def test_only_the_genes_altered_most_are_drawn():
    cohort = with_genes(make_cohort(40), [f"G{i}" for i in range(30)])
    drawn = oncoprint.draw(cohort, top=7)
    assert drawn.source["gene"].nunique() == 7
    assert "23 further genes" in drawn.caption
    chosen = oncoprint.draw(cohort, genes=["G3", "G1", "absent"])
    assert list(chosen.source["gene"].unique()) == ["G3", "G1"]


def test_kinds_of_a_gene_are_not_genes():
    cohort = with_genes(make_cohort(20), ["RB1", "RB1:deletion"])
    assert set(oncoprint.draw(cohort).source["gene"]) == {"RB1"}


def test_a_gene_looked_at_in_nobody_crashes_nothing():
    cohort = with_genes(make_cohort(10), ["RB1"])
    nobody = np.zeros_like(cohort.markers.state)
    markers = Markers(cohort.markers.subjects, cohort.markers.info, cohort.markers.value, nobody)
    cohort = type(cohort)(**{**cohort.__dict__, "markers": markers})
    assert "No data" in oncoprint.draw(cohort).caption


# ------------------------------------------------------------------------------------------- study


def test_the_flow_adds_up_and_tells_trunk_from_analyses():
    table = make_flow(analyses=3)
    drawn = flow.draw(table, arms=ARMS)
    assert set(drawn.source.loc[drawn.source["part"] == "trunk", "step"]) == {
        *("in the files", "arms", "population")
    }
    trunk, analyses = flow.split(flow.read_steps(table), None)
    assert [step.name for step in analyses] == [f"analysis: PFS, domain {i}" for i in range(3)]
    assert sum(trunk[-1].remaining.values()) == 48
    assert all(sum(step.before.values()) == 48 for step in analyses)
    assert "n = 60 subjects" in words(drawn)
    assert "60 subjects at the start, 12 left out on the way, 48 at the end" in drawn.caption
    assert drawn.source["n"].sum() == table["n"].sum()


def test_the_flow_claims_no_more_than_it_draws():
    table = make_flow(analyses=2)
    drawn = flow.draw(table, arms=ARMS)
    assert "Boxes at the side" in drawn.caption
    assert "The 2 boxes at the bottom" in drawn.caption
    assert "of any gene" in drawn.caption
    assert "first endpoint" not in drawn.caption
    more = table[table["step"] == "analysis: PFS, domain 0"].assign(step="analysis: OS")
    both = flow.draw(pd.concat([table, more]), arms=ARMS)
    assert "shown for the first endpoint (PFS); the table has all" in both.caption
    assert "Pairs of" not in both.caption
    pairs = more.assign(step="resistance: pairs, blood, quantities")
    paired = flow.draw(pd.concat([table, pairs]), arms=ARMS)
    assert "of quantities: some biomarker has a result in both by the same assay." in paired.caption
    whole = table[(table["step"] == "in the files") & (table["reason"] == "")]
    assert "Boxes" not in flow.draw(whole, arms=ARMS).caption


def test_analyses_without_telling_names_are_found_by_their_numbers():
    table = make_flow(analyses=3)
    table["step"] = table["step"].str.replace("analysis: ", "")
    trunk, analyses = flow.split(flow.read_steps(table), None)
    assert [step.name for step in trunk] == ["in the files", "arms", "population"]
    assert len(analyses) == 3
    trunk, analyses = flow.split(flow.read_steps(table), ["PFS, domain 1"])
    assert [step.name for step in analyses] == ["PFS, domain 1"]


LEVELS = ["confined to bed", "in bed < 50% daytime", "in bed > 50% daytime", "normal activity"]


@pytest.mark.parametrize(
    ("effects", "where"),
    [
        ((0.40, 0.45, 0.40, 0.0), "beside"),
        ((8.00, 8.30, 8.00, 0.0), "below"),
        ((0.15, 0.15, 0.15, 0.1), "beside"),
    ],
)
def test_every_level_of_an_input_has_its_points_in_the_nomogram(effects, where):
    model = make_locked(2, survival=True)
    scaled = {"if_missing": 0.0, "centre": 0.0, "scale": 1.0}
    item = {"name": "clinical:performance", "table": "subjects", "column": "performance"}
    item |= {"label": "Performance", "kind": "words", "words": LEVELS}
    item["terms"] = [
        {"is": "word", "word": word, "coefficient": effect, **scaled}
        for word, effect in zip(LEVELS, effects, strict=True)
    ]
    model["inputs"] = [item, *model["inputs"]]
    drawn = nomogram.draw(model)
    points = drawn.source.query("label == 'Performance'").set_index("value")["points"]
    shown = [" ".join(text.split()) for text in words(drawn)]
    (said,) = [text for text in shown if "normal activity: 0" in text]
    for part in said.split("; "):
        names, _, number = part.rpartition(": ")
        for name in names.split(" / "):
            assert f"{points.pop(name):.0f}" == number
    assert set(points.index) <= {"missing"}
    (text,) = [t for t, _ in texts_drawn(drawn.figure) if "normal activity: 0" in t.get_text()]
    assert text.get_verticalalignment() == {"beside": "center", "below": "top"}[where]


def test_levels_that_have_room_stand_below_their_ticks():
    model = make_locked(2, survival=True)
    (site,) = [item for item in model["inputs"] if item["name"] == "clinical:site"]
    site["words"] = ["A", "B", "C"]
    site["terms"][0]["coefficient"] = 2.0
    shown = words(nomogram.draw(model))
    assert {"A / B", "C"} <= set(shown)
    assert not any("A / B:" in text for text in shown)


def test_the_inventory_speaks_of_progression_only_where_samples_were_due_then():
    table = make_inventory()
    assert "progress" not in inventory.draw(table, arms=ARMS).caption
    late = "received: a sample is recorded (at progression: of those who progressed)"
    named = inventory.draw(table, arms=ARMS, progression=["visit 2"])
    assert late in named.caption
    usual = table.replace({"timepoint": {"visit 2": "progression"}})
    assert late in inventory.draw(usual, arms=ARMS).caption


def test_no_name_of_the_inventory_is_cut():
    table = make_inventory().replace(
        {"panel": "tissue_panel", "plasma": "archival_tissue", "immunohistochemistry": "rnaseq"}
    )
    assert "archival tissue, tissue panel" in words(inventory.draw(table, arms=ARMS))


def test_assays_have_their_names_of_print():
    table = make_inventory().replace({"panel": "ctdna_panel", "immunohistochemistry": "rnaseq"})
    shown = " ".join(words(inventory.draw(table, arms=ARMS)))
    assert "ctDNA panel" in shown
    assert "RNA-seq" in shown


def test_reasons_beyond_the_room_are_counted_in_words():
    step = flow.Step("analysis: PFS")
    step.left_out |= {f"reason {i}": {"A": i + 1} for i in range(4)}
    lines = flow._reasons(step, ["A", "B"], 2, 3.0)
    assert lines == ["reason 3: 4 (A\u00a04)", "reason 2: 3 (A\u00a03)", "2 other reasons: 3"]
    assert flow._reasons(step, ["A", "B"], 3, 3.0)[-1] == "another reason: 1"


def test_the_inventory_prints_numbers_and_shares():
    table = make_inventory().astype(dict.fromkeys(inventory.COUNTS, str))
    table.loc[0, "usable"] = ""
    drawn = inventory.draw(table, arms=ARMS)
    assert "28 (93 %)" in words(drawn)
    assert drawn.source["expected"].sum() == 30 * len(table)
    assert np.isnan(drawn.source["usable"].iloc[0])


# ------------------------------------------------------------------------------------------ models


def test_the_curve_is_that_of_its_definition():
    outcome = np.array([1, 0, 1, 1, 0, 0])
    probability = np.array([0.9, 0.8, 0.7, 0.7, 0.7, 0.1])
    x, y = roc.roc_curve(outcome, probability)
    np.testing.assert_allclose(x, [0, 0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(y, [0, 1 / 3, 1 / 3, 1, 1])
    sklearn = pytest.importorskip("sklearn.metrics")
    predictions = make_predictions(80, repeats=1, models=("m",))
    ours = roc.roc_curve(
        predictions["outcome"].to_numpy(float), predictions["probability"].to_numpy(float)
    )
    area = np.trapezoid(ours[1], ours[0])
    expected = sklearn.roc_auc_score(predictions["outcome"], predictions["probability"])
    assert area == pytest.approx(expected, abs=1e-12)


def test_metrics_are_those_of_the_table():
    performance = pd.DataFrame(
        [
            ("ORR", "clinical", metric, value, value - 0.1, value + 0.1)
            for metric, value in (("auc", 0.71), ("brier", 0.21), ("calibration_slope", 0.83))
        ],
        columns=["endpoint", "model", "metric", "estimate", "low", "high"],
    )
    predictions = make_predictions()
    assert "clinical: AUC 0.71 (0.61–0.81)" in words(
        roc.draw(predictions, "ORR", performance=performance)
    )
    text = " ".join(words(calibration.draw(predictions, "ORR", performance=performance)))
    assert "Brier 0.21 (0.11–0.31)" in text
    assert "slope 0.83 (0.73–0.93)" in text
    assert "intercept" not in text


def make_performance(rows):
    columns = ["endpoint", "model", "metric", "estimate", "low", "high"]
    return pd.DataFrame([("ORR", *row) for row in rows], columns=columns)


def test_an_area_below_one_half_is_explained():
    predictions = make_predictions()
    below = make_performance([("clinical + biomarkers", "auc", 0.45, 0.41, 0.49)])
    drawn = roc.draw(predictions, "ORR", performance=below)
    assert "below 0.5 for: clinical + biomarkers" in drawn.caption
    assert "no evidence that biomarkers harm" in drawn.caption
    around = make_performance([("clinical + biomarkers", "auc", 0.48, 0.41, 0.53)])
    drawn = roc.draw(predictions, "ORR", performance=around)
    assert "harm" not in drawn.caption
    assert "refitting on other subjects" in drawn.caption


def test_predictions_that_hardly_differ_are_one_group():
    predictions = make_predictions(60, models=("m", "n"))
    flat = predictions["model"] == "n"
    predictions.loc[flat, "probability"] = 0.44 + predictions.loc[flat, "probability"] / 50
    drawn = calibration.draw(predictions, "ORR")
    rows = drawn.source[drawn.source["model"] == "n"]
    assert rows["panel"].tolist() == ["group"]
    assert rows["n"].tolist() == [60]
    assert any("predictions hardly differ" in text for text in words(drawn))
    assert "hardly differ for: n." in drawn.caption
    assert "hardly differ for" not in calibration.draw(predictions[~flat], "ORR").caption


def test_what_is_said_of_predictions_that_hardly_differ_is_the_rule_they_meet():
    """Two subjects far from all others do not stretch the limits that are printed."""
    predictions = make_predictions(100, models=("n",))
    predictions["probability"] = 0.44 + predictions["probability"] / 50
    predictions.loc[predictions["subject"].isin([1, 2]), "probability"] = [0.1, 0.9] * 3
    (said,) = [t for t in words(calibration.draw(predictions, "ORR")) if "hardly differ" in t]
    low, high = map(float, re.search(r"95 % in ([\d.]+) to ([\d.]+)", said).groups())
    assert high - low <= calibration.NARROW
    assert 0.44 <= low <= high <= 0.46


def test_decimals_of_a_metric_are_those_of_all_models():
    performance = make_performance(
        [
            ("clinical", "brier", 0.2494, 0.2212, 0.2776),
            ("clinical + biomarkers", "brier", 0.2491, 0.2249, 0.2723),
        ]
    )
    text = " ".join(words(calibration.draw(make_predictions(), "ORR", performance=performance)))
    assert "Brier 0.249 (0.221–0.278)" in text
    assert "Brier 0.249 (0.225–0.272)" in text


def test_counts_of_groups_are_said_in_words():
    by_quantile, metrics = make_benefit(1, survival=False)
    caption = benefit.draw(by_quantile, metrics, "PFS").caption
    assert "in one group" in caption
    assert "1 groups" not in caption
    one = stability.draw(make_stability(1), "PFS", "clinical + biomarkers", survival=True)
    assert "1 predictor was chosen" in one.caption
    assert "goes with earlier events" in one.caption
    other = stability.draw(make_stability(2), "PFS", "clinical + biomarkers", survival=False)
    assert "goes with more responses" in other.caption


def test_the_p_of_the_benefit_figure_stands_with_the_score_that_it_tests():
    drawn = benefit.draw(*make_benefit(4, survival=True), "PFS")
    label = drawn.figure.axes[0].get_xlabel().split("\n")
    assert label[1:] == [
        "c-for-benefit 0.53 (0.31–0.75)",
        "score Z 2.40, re-randomisation p = 0.004 (999 draws)",
    ]
    assert "999 draws of the arms anew" in drawn.caption
    assert "the smallest that these allow is 0.001." in drawn.caption
    by_quantile, metrics = make_benefit(4, survival=True)
    untested = metrics.assign(p_randomisation=np.nan, randomisations=0)
    drawn = benefit.draw(by_quantile, untested, "PFS")
    assert drawn.figure.axes[0].get_xlabel().endswith("score Z 2.40")
    assert "it was not tested" in drawn.caption
    assert "draws" not in drawn.caption


def test_the_benefit_figure_names_the_colours_of_the_arms():
    by_quantile, metrics = make_benefit(1, survival=False)
    for observed, word in ((0.2, "orange: experimental"), (-0.2, "blue: control")):
        drawn = benefit.draw(by_quantile.assign(observed=observed), metrics, "PFS")
        point = next(line for line in drawn.figure.axes[0].lines if line.get_gid() == "group")
        side = word.split(": ")[1]
        assert point.get_color() == arm_styles(ARMS)[ARMS[side]].colour
        assert word in drawn.caption


def test_decision_curves_say_that_their_predictions_are_single_repeats():
    caption = decision_curve.draw(make_curves_of_decisions(JUDGED, survival=True), "PFS").caption
    assert "Each repeat of the cross-validation has a curve by its own predictions" in caption
    assert "mean prediction over the repeats" in caption


def test_the_effect_of_all_subjects_names_its_tables_and_model():
    overall = forest_predictive.Overall(132, 58, 2.69, 1.33, 5.55)
    screen = make_screen(4)
    plain = screen.assign(effect_measure="odds_ratio", method="Firth logistic, profile limits")
    stratified = plain.assign(method="Firth logistic, stratified, profile limits")

    def said(table, endpoint):
        caption = forest_predictive.draw(table, endpoint, arms=ARMS, overall=overall).caption
        line = next(line for line in caption.splitlines() if "Large diamond" in line)
        assert "efficacy/evaluable.tsv" in line
        return line

    assert "with Firth's penalty and an indicator of each randomisation stratum" in said(
        stratified, "ORR"
    )
    assert "not the Mantel–Haenszel one" in said(stratified, "ORR")
    assert "not the conditional one" in said(plain, "ORR")
    times = screen.assign(effect_measure="hazard_ratio", method="Cox, Efron, profile limits")
    assert "Cox model of the arm (Efron's ties)" in said(times, "PFS")
    assert "logistic" not in said(times, "PFS")


def test_predictors_names_of_usual_length_are_whole():
    table = make_stability(3, "archival_tissue:x")
    labels = {("x", "archival_tissue"): "PI3K pathway altered, tumour"}
    drawn = stability.draw(table, "PFS", "clinical + biomarkers", survival=True, labels=labels)
    assert "PI3K pathway altered, tumour (archival tissue)" in words(drawn)


def test_curves_that_leave_the_figure_are_told():
    curves = make_curves_of_decisions(JUDGED, survival=True)
    assert "Curves are cut at a net benefit of" in decision_curve.draw(curves, "PFS").caption
    above = curves.assign(net_benefit_all=curves["net_benefit_all"].clip(lower=0))
    assert "are cut" not in decision_curve.draw(above, "PFS").caption


def test_titles_of_panels_have_one_size():
    performance = make_judged(JUDGED, survival=True)
    drawn = performance_models.draw(performance, "PFS")
    assert len({axes.title.get_fontsize() for axes in drawn.figure.axes}) == 1
    assert "smaller is better" in drawn.caption


def test_a_waterfall_with_everybody_leaves_nobody_out():
    cohort = make_cohort(30)
    complete = cohort.subjects.assign(best_change_pct=cohort.subjects["best_change_pct"].fillna(5))
    drawn = waterfall.draw(dataclasses.replace(cohort, subjects=complete))
    assert "without a measurement" not in drawn.caption
    assert "CR, complete response" in drawn.caption
    assert "compare the arms" in drawn.caption
    alone = waterfall.draw(make_cohort(30, arms=ALONE))
    assert "arms" not in alone.caption


def test_estimate_and_limits_have_the_same_decimals():
    performance = make_performance(
        [
            ("clinical", "calibration_intercept", 0.003155, -0.000888, 0.0071874),
            ("clinical", "brier", 0.24892, 0.24792, 0.24999),
            ("clinical", "calibration_slope", 0.61446, -0.50209, 2.07895),
        ]
    )
    text = " ".join(words(calibration.draw(make_predictions(), "ORR", performance=performance)))
    assert "intercept 0.003 (−0.001 to 0.007)" in text
    assert "Brier 0.2489 (0.2479–0.2500)" in text
    assert "slope 0.61 (−0.50 to 2.08)" in text


def test_groups_of_a_calibration_hold_everybody_once():
    predictions = make_predictions(47, models=("m",))
    drawn = calibration.draw(predictions, "ORR")
    groups = drawn.source[drawn.source["panel"] == "group"]
    assert groups["n"].sum() == 47
    outcome = predictions.drop_duplicates("subject")["outcome"]
    assert groups["responders"].sum() == outcome.sum()
    assert groups["n"].max() - groups["n"].min() <= 1
    points = lines_called(drawn.figure, "group")
    np.testing.assert_allclose([p.get_ydata()[0] for p in points], groups["observed"])
    assert ((groups["low"] <= groups["observed"]) & (groups["observed"] <= groups["high"])).all()


def test_the_smooth_line_is_exact_for_a_line_and_bears_ties():
    x = np.linspace(0, 1, 20)
    np.testing.assert_allclose(calibration.lowess(x, 2 * x, x), 2 * x, atol=1e-9)
    tied = np.r_[np.full(15, 0.3), 0.7]
    smooth = calibration.lowess(tied, np.r_[np.ones(5), np.zeros(11)], np.array([0.3, 0.7]))
    assert np.isfinite(smooth).all()
    assert smooth[0] == pytest.approx(1 / 3)


def test_one_outcome_only_has_no_curve():
    predictions = make_predictions().assign(outcome=1)
    assert "No data" in roc.draw(predictions, "ORR").caption
    assert len(calibration.draw(predictions, "ORR").source)


def judged_risks(predictions):
    """Return the tables of the workflow of these predictions."""
    models = list(dict.fromkeys(predictions["model"]))
    share = Share(
        predictions, pd.DataFrame(columns=COEFFICIENTS), pd.DataFrame(columns=PERMUTATIONS)
    )
    sizes = pd.DataFrame({"model": models, "candidate_parameters": 2})
    return judge("PFS", sizes, share)


@pytest.mark.parametrize("censored", [12, 25])
def test_groups_of_risks_are_those_of_the_calibration_curve(censored):
    predictions = make_risks(97, models=("clinical", "m"), censored=censored)
    tables = judged_risks(predictions)
    drawn = calibration.draw(predictions, "PFS", performance=tables.performance)
    assert (drawn.source["panel"] == "group").all()
    expected = tables.calibration_curve.query("arm == 'all'").reset_index(drop=True)
    same = ["model", "predicted", "observed", "low", "high", "n", "events"]
    pd.testing.assert_frame_equal(drawn.source[same], expected[same], check_dtype=False, rtol=1e-12)
    points = lines_called(drawn.figure, "group")
    np.testing.assert_allclose([p.get_ydata()[0] for p in points], expected["observed"])
    np.testing.assert_allclose([p.get_xdata()[0] for p in points], expected["predicted"])
    shown = " ".join(words(drawn))
    assert "Predicted risk by 6 months" in shown
    assert "Observed risk by 6 months" in shown
    brier = tables.performance.query("model == 'm' and metric == 'brier_at_6_months'").iloc[0]
    assert f"Brier {brier['estimate']:.2f} (" in shown
    assert "Kaplan–Meier estimate at 6 months" in drawn.caption


def test_a_response_is_grouped_as_in_its_calibration_curve():
    predictions = make_risks(61, models=("m",)).assign(time_months=np.nan, horizon_months=np.nan)
    table = judged_risks(predictions).calibration_curve.query("arm == 'all'")
    drawn = calibration.draw(predictions, "ORR").source.query("panel == 'group'")
    same = ["predicted", "observed", "low", "high", "n"]
    pd.testing.assert_frame_equal(
        drawn[same], table[same].reset_index(drop=True), check_dtype=False, rtol=1e-12
    )
    assert drawn["responders"].tolist() == table["events"].tolist()


def test_those_censored_before_the_horizon_are_counted_and_have_no_tick():
    predictions = make_risks(80, models=("m",), censored=12)
    subjects = predictions.drop_duplicates("subject")
    early = subjects["time_months"] <= 6
    had, lost = (
        int((early & (subjects["outcome"] == 1)).sum()),
        int((early & (subjects["outcome"] == 0)).sum()),
    )
    assert lost > 5
    drawn = calibration.draw(predictions, "PFS")
    said = f"80 subjects: {had} with the event by 6 months, {80 - had - lost} followed for longer"
    for caption in (drawn.caption, roc.draw(predictions, "PFS").caption):
        assert f"{said} without it, {lost} censored before" in " ".join(caption.split())
    ticks = [c for c in drawn.figure.axes[0].collections if isinstance(c, LineCollection)]
    assert [len(c.get_segments()) for c in ticks] == [had, 80 - had - lost]


def test_a_group_followed_by_nobody_has_no_point_and_the_caption_says_so():
    predictions = make_risks(60, models=("m",))
    risk = predictions.groupby("subject")["probability"].mean().sort_values(kind="stable")
    first, last = risk.index[:12], risk.index[-12:]
    gone, had = (predictions["subject"].isin(who) for who in (first, last))
    predictions.loc[gone, ["outcome", "time_months"]] = [0.0, 2.0]
    predictions.loc[had, ["outcome", "time_months"]] = [1.0, 3.0]
    drawn = calibration.draw(predictions, "PFS")
    assert len(drawn.source) == 5
    assert drawn.source.iloc[0][["observed", "low", "high"]].isna().all()
    assert drawn.source.iloc[4]["observed"] == 1
    assert len(lines_called(drawn.figure, "group")) == 4
    assert "Groups without a point: 1 (" in drawn.caption
    assert "Groups without limits: 1 (" in drawn.caption


def test_the_area_under_a_curve_of_risks_is_the_auc_of_the_table():
    predictions = make_risks(120, repeats=2, censored=15)
    one = predictions.drop_duplicates("subject")
    time, event = one["time_months"].to_numpy(), one["outcome"].to_numpy()
    surv = Surv.from_arrays(event == 1, time)
    drawn = roc.draw(predictions, "PFS")
    performance = judged_risks(predictions).performance.set_index(["model", "metric"])
    for model, curve in drawn.source.groupby("model"):
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        expected = performance.loc[(model, "auc_at_6_months"), "estimate"]
        assert area == pytest.approx(expected, abs=1e-12)
        assert curve["false_positive_rate"].is_monotonic_increasing
        assert curve["true_positive_rate"].is_monotonic_increasing
    # held out all together, it is that of others
    for (model, repeat), part in predictions.groupby(["model", "repeat"]):
        together = roc.draw(part.assign(fold=1, repeat=1), "PFS").source
        area = np.trapezoid(together["true_positive_rate"], together["false_positive_rate"])
        [theirs], _ = cumulative_dynamic_auc(surv, surv, part["predictor"].to_numpy(), [6.0])
        assert area == pytest.approx(theirs, abs=1e-12), (model, repeat)
    # without its weights the area is another
    risk = part["predictor"].to_numpy()
    known_then = (time > 6) | (event == 1)
    plain = roc.roc_curve(((time <= 6) & (event == 1))[known_then].astype(float), risk[known_then])
    assert abs(np.trapezoid(plain[1], plain[0]) - area) > 0.001


def test_a_crowd_of_repeats_is_one_line_a_model_with_ties_as_slopes():
    predictions = make_risks(90, repeats=20).assign(time_months=np.nan, horizon_months=np.nan)
    predictions["predictor"] = predictions["predictor"].round(1)
    drawn = roc.draw(predictions, "ORR")
    assert len(drawn.figure.axes[0].lines) == 1 + predictions["model"].nunique()
    performance = judged_risks(predictions).performance.set_index(["model", "metric"])
    for model, curve in drawn.source.groupby("model"):
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        assert area == pytest.approx(performance.loc[(model, "auc"), "estimate"], abs=1e-12)


def test_a_fold_without_one_of_the_outcomes_adds_no_curve():
    predictions = make_predictions(40, repeats=1, models=("m",))
    first = predictions["outcome"].eq(1).idxmax()
    alone = predictions.assign(fold=np.where(predictions.index == first, 2, 1))
    left = roc.draw(predictions.drop(index=first), "ORR").source
    pd.testing.assert_frame_equal(roc.draw(alone, "ORR").source, left)


@pytest.mark.parametrize("model", ["m3", "m1"])
def test_the_area_under_a_weighted_curve_is_that_of_riskregression(model):
    data = trial("gbsg")
    time, event = data["time"].to_numpy(float), data["event"].to_numpy(float)
    risk = pd.read_csv(FOLDER / "data" / "gbsg_tdroc_predictions.csv")[f"lp_{model}"].to_numpy()
    rows = [row for row in answers("td_roc.json")["gbsg_auc"] if row["model"] == model]
    assert len(rows) == 4
    for row in rows:
        status = ((time <= row["times"]) & (event == 1)).astype(float)
        x, y = roc.roc_curve(status, risk, horizon_weights(time, event, row["times"]))
        assert np.trapezoid(y, x) == pytest.approx(row["AUC"], abs=1e-12)


def test_the_auc_printed_is_that_at_the_horizon():
    predictions = make_risks()
    rows = [
        ("clinical", "auc_at_6_months", 0.71, 0.61, 0.81),
        ("clinical", "auc", 0.11, 0.1, 0.12),
        ("clinical", "c_index_ipcw", 0.22, 0.2, 0.3),
        ("clinical + biomarkers", "auc_at_6_months", 0.45, 0.41, 0.49),
    ]
    drawn = roc.draw(predictions, "PFS", performance=make_performance(rows).assign(endpoint="PFS"))
    assert "clinical: AUC 0.71 (0.61–0.81)" in words(drawn)
    assert "1 − specificity at 6 months" in words(drawn)
    assert "below 0.5 for: clinical + biomarkers" in drawn.caption


def test_one_status_at_the_horizon_has_no_curve():
    drawn = roc.draw(make_risks(months=1000.0), "PFS")
    assert "status at 1000 months" in drawn.caption
    assert len(drawn.source) == 0


def test_survival_models_have_no_probabilities():
    predictions = make_predictions().assign(probability=np.nan)
    drawn = roc.draw(predictions, "PFS")
    assert re.search("no predicted probabilities", drawn.caption)


# -------------------------------------------------------------------------------------- resistance


def test_the_alluvial_accounts_for_every_pair():
    within = make_acquired()[0]
    drawn = alluvial.draw(within, arms=ARMS)
    rows = drawn.source
    assert set(rows["level"]) == {"pathway"}
    fates = ["kept", "gained", "lost", "absent", "not_evaluable"]
    assert (rows[fates].sum(axis=1) == rows["pairs"]).all()
    assert (rows["not_evaluable"] == 5).all()
    given = within[within["level"] == "pathway"].set_index(["name", "arm"])
    for row in rows.itertuples():
        assert row.gained == given.loc[(row.name, row.arm), "gained"]
    ribbons = [
        patch
        for axes in drawn.figure.axes
        for patch in axes.patches
        if patch.get_gid() in ("kept", "gained", "lost", "absent")
    ]
    assert len(ribbons) == (rows[fates[:4]] > 0).to_numpy().sum()
    # A ribbon is as thick as its share of the pairs.
    unit = (1 - 2 * alluvial.GAP) / 30
    first = next(p for p in ribbons if p.get_gid() == "absent").get_path().vertices
    assert first[0][1] - first[-2][1] == pytest.approx(unit * rows["absent"].iloc[0])


def test_without_pathways_the_alluvial_shows_the_genes_that_changed():
    within = make_acquired()[0].query("level == 'gene'").copy()
    within.loc[within["name"] == "G5", "lost"] = 9
    drawn = alluvial.draw(within, arms=ARMS, top=3)
    assert drawn.source["name"].iloc[0] == "G5"
    assert drawn.source["name"].nunique() == 3
    assert "7 more are in the table only" in drawn.caption
    assert "no pathway could be read" in drawn.caption


def test_slopes_are_the_pairs_of_the_table():
    cohort, changes = followed(60, "two", 5)
    drawn = slopes.draw(cohort, changes)
    at_end = changes[changes["to"] == "progression"].set_index(["biomarker", "specimen", "arm"])
    counts = drawn.source.groupby(["biomarker", "specimen", "arm"]).size()
    assert len(counts) == 2 * drawn.source["biomarker"].nunique() == 10
    for key, n in counts.items():
        assert n == at_end.loc[key, "pairs"]
    # The confirmatory one comes first.
    assert drawn.source["biomarker"].iloc[0] == "quantity 1"
    text = " ".join(words(drawn))
    line = at_end.loc[("quantity 0", "plasma", ARMS["control"])]
    shown = format_interval(
        *(2.0 ** line[f"median_change{end}"] for end in ("", "_low", "_high"))
    ).split(" ")
    assert f"×{shown[0]}" in text
    assert shown[1] in text


def test_values_below_a_limit_have_their_own_symbol():
    cohort, changes = followed(60, "two", 5)
    drawn = slopes.draw(cohort, changes)
    below = (drawn.source[["limit_from", "limit_to"]] == "below").to_numpy().sum()
    assert below > 0
    symbols = lines_called(drawn.figure, "below")
    assert sum(len(line.get_xdata()) for line in symbols) == below
    assert {line.get_marker() for line in symbols if len(line.get_xdata())} == {"v"}
    assert "subject_id" not in drawn.source
    shown = slopes.draw(cohort, changes, subject_level=True)
    assert set(shown.source["subject_id"]) <= set(cohort.subjects["subject_id"])


def test_a_sample_when_treatment_stopped_for_toxicity_is_no_slope():
    cohort, _ = followed(60, "two", 2)
    stopped = cohort.subjects.assign(off_treatment_reason="toxicity", progression_months=np.nan)
    cohort = dataclasses.replace(cohort, subjects=stopped)
    drawn = slopes.draw(cohort, paired_change(cohort, "baseline", "progression"))
    assert len(drawn.source) == 0
    assert "No data: " in drawn.caption


@pytest.mark.parametrize(
    ("transform", "change", "words"),
    [
        ("log2", (1.0, 0.0, 2.0), "×2.00 (1.00–4.00)"),
        ("log10", (-1.0, np.nan, np.nan), "×0.10 (no limits)"),
        ("none", (-3.21, -5.0, 1.0), "−3.2 (−5.0 to 1.0)"),
        ("none", (0.04, -0.01, 0.09), "+0.040 (−0.010 to 0.090)"),
        ("sqrt", (0.5, 0.25, 1.0), "√ +0.50 (0.25–1.00)"),
    ],
)
def test_a_change_is_written_as_its_scale_asks(transform, change, words):
    assert change_in_words(transform, change) == words


def test_the_course_shows_every_value_and_the_means_of_the_model():
    cohort, _ = followed(60, "two", 5)
    means = course_means(60, "two", 5)
    drawn = spaghetti.draw(cohort, means, drug="Palbociclib")
    values = drawn.source[drawn.source["what"] == "subject"]
    one = cohort.markers.where((cohort.markers.info["biomarker"] == "quantity 0").to_numpy())
    here = values[values["biomarker"] == "quantity 0"]
    # samples called progression that were taken at another time are set aside
    elsewhere = not_at_progression(cohort, sample_months(cohort, "plasma", "progression")) != ""
    at_end = (one.info["timepoint"] == "progression").to_numpy()
    shown = ~(at_end[:, None] & elsewhere)
    assert (one.state[~shown] != MISSING).any()
    assert len(here) == ((one.state != MISSING) & shown).sum()
    assert (here["limit"] == "below").sum() == ((one.state == BELOW) & shown).sum()
    # log2: the mean at the baseline is one for both arms, 2 ** 0.4.
    model = drawn.source.query("what == 'model' and biomarker == 'quantity 0'")
    baseline = model[model["timepoint"] == "baseline"]
    assert len(baseline) == 2
    assert baseline["value"].tolist() == pytest.approx([2**0.4] * 2)
    assert baseline["value_low"].tolist() == pytest.approx([2**0.2] * 2)
    assert len(model) == 8
    # Drawn 15 to 19 days after the first dose, which is day 1.
    assert here[here["timepoint"] == "C1D15"]["day"].between(16, 20).all()
    assert "subject_id" not in drawn.source


def test_days_on_the_drug_are_those_of_the_dose_intervals():
    cohort, _ = followed(60, "two", 2)
    drawn = spaghetti.draw(cohort, None, drug="palbociclib")
    shaded = drawn.source[drawn.source["what"] == "drug"]
    assert set(shaded["arm"]) == {ARMS["experimental"]}
    days = sorted(set(shaded["day"]))
    assert days[0] == 5
    assert set(days) <= set(range(5, 19)) | set(range(26, 40))
    assert (shaded["share_on_drug"] == 1).all()
    assert (
        "No dose intervals of trastuzumab are known"
        in spaghetti.draw(cohort, None, drug="trastuzumab").caption
    )


def test_study_days_have_no_day_zero():
    cohort, _ = followed(60, "two", 2)
    early = cohort.samples.assign(months=cohort.samples["months"] - 2 / DAYS_A_MONTH)
    drawn = spaghetti.draw(dataclasses.replace(cohort, samples=early), None, drug="")
    days = drawn.source.loc[drawn.source["timepoint"] == "baseline", "day"].dropna()
    assert {-2.0, -1.0, 1.0} <= set(np.round(days, 6))
    assert 0.0 not in set(np.round(days, 6))


def test_landmark_curves_are_of_the_subjects_in_the_table():
    cohort, table = changed(120, "two", 2)
    drawn = km_landmark.draw(cohort, "PFS", table)
    key = ["biomarker", "specimen", "timepoint", "arm"]
    known = table[table["endpoint"] == "PFS"].set_index(key)
    start = drawn.source[drawn.source["months"] == 0].groupby(key)["at_risk"].sum()
    assert len(start) == 8
    for place, n in start.items():
        assert n == known.loc[place, "n_at_landmark"]
    # From the landmark: times are those of the subjects less the landmark.
    later = drawn.source.loc[drawn.source["months"] > 0, "months"] + known["landmark"].iloc[0]
    times = cohort.subjects["PFS_months"].to_numpy(dtype=float)
    assert np.abs(later.to_numpy()[:, None] - times).min(axis=1).max() < 1e-9
    excluded = known["excluded_before_landmark"].xs(ARMS["control"], level="arm").iloc[0]
    assert excluded > 0
    assert f"{ARMS['control']} {excluded}" in drawn.caption
    line = known.loc[("ratio:marker 0:C1D15", "plasma", "C1D15", ARMS["control"])]
    printed = format_interval(*(line[f"hr{end}"] for end in ("", "_low", "_high")))
    assert f"HR {printed}" in words(drawn)
    assert any("HR per doubling" in text for text in words(drawn))
    # The median printed is a ratio, not its logarithm.
    ratio = next(
        cohort.markers.value[i]
        for i, name in enumerate(cohort.markers.info["biomarker"])
        if name == "ratio:marker 0:C1D15"
    )
    here = (cohort.subjects["arm_code"] == 0) & (times > line["landmark"]) & np.isfinite(ratio)
    here &= ~(sample_months(cohort, "plasma", "C1D15") > line["landmark"])
    assert here.sum() == line["n_at_landmark"]
    assert any(
        text.endswith(f"median {format_number(np.exp(np.median(ratio[here])))}")
        for text in words(drawn)
    )


def test_a_level_too_small_in_one_arm_is_counted_and_not_drawn(monkeypatch):
    """Seven of the control arm cleared the highest VAF; the other level, and both of the other arm, are larger."""
    cohort, table = changed(120, "two", 2)
    whole = km_landmark.draw(cohort, "PFS", table)
    assert "Not drawn" not in whole.caption
    monkeypatch.setattr(km_landmark, "LEAST", 8)
    drawn = km_landmark.draw(cohort, "PFS", table)
    small = (whole.source["biomarker"] == "clearance:max_vaf:C1D15") & (
        whole.source["level"] == "cleared"
    )
    small &= whole.source["arm"] == ARMS["control"]
    assert whole.source.loc[small, "at_risk"].iloc[0] == 7
    pd.testing.assert_frame_equal(drawn.source, whole.source[~small].reset_index(drop=True))
    assert "fewer than 8 subjects of an arm: " in drawn.caption
    assert f"by C1D15, {ARMS['control']}: 7 cleared." in drawn.caption
    assert words(drawn).count("7 cleared (not drawn)") == 1
    monkeypatch.setattr(km_landmark, "LEAST", 20)
    drawn = km_landmark.draw(cohort, "PFS", table)
    assert [
        text for text in words(drawn) if re.fullmatch(r"\d+ (low|high) ratio \(not drawn\)", text)
    ]
    assert re.search(r": \d+ with a ratio below the arm's median", drawn.caption)
    assert not [text for text in words(drawn) if text.endswith("…")]
    # Two levels of one arm are enough for the pair of panels, and none is drawn for less.
    monkeypatch.setattr(km_landmark, "LEAST", 22)
    assert km_landmark.draw(cohort, "PFS", table).source.empty


def test_the_landmark_figure_of_a_single_arm_counts_the_excluded():
    cohort, table = changed(60, "one", 3)
    drawn = km_landmark.draw(cohort, "PFS", table)
    n = int(table["excluded_before_landmark"].iloc[0])
    assert f"left out before it {n} (" in drawn.caption
    assert any(text.startswith("HR ") for text in words(drawn))
    assert any("HR per doubling" in text for text in words(drawn))


def test_the_matrix_of_tissue_and_plasma_is_the_table():
    table, by_class = compared(46, ("TP53", "RB1", "KRAS"))
    drawn = concordance.draw(table, by_class)
    rows = drawn.source[drawn.source["by"] == "gene"]
    cells = ["both", "tissue_only", "plasma_only", "neither"]
    assert (rows[cells].sum(axis=1) == rows["pairs"]).all()
    pd.testing.assert_frame_equal(
        rows[["name", *cells]].sort_values("name").reset_index(drop=True),
        table[["name", *cells]].sort_values("name").reset_index(drop=True),
        check_dtype=False,
    )
    patches = [p for axes in drawn.figure.axes for p in axes.patches if p.get_gid() == "cell"]
    assert len(patches) == 4 * len(drawn.source)
    assert (drawn.source["by"] == "tumour fraction").any()


def test_agreement_is_that_of_the_table():
    cohort, table = measured(60, 2)
    drawn = agreement.draw(cohort, table)
    line = table[table["tissue_marker"] == table["blood_marker"]].iloc[0]
    rows = drawn.source[drawn.source["tissue_marker"] == line["tissue_marker"]]
    rows = rows[rows["blood_marker"] == line["blood_marker"]]
    assert len(rows) == line["pairs"]
    assert (rows["blood"] - rows["tissue"]).mean() == pytest.approx(line["bias"])
    (drawn_bias,) = lines_called(drawn.figure, "bias")
    assert drawn_bias.get_ydata()[0] == pytest.approx(line["bias"])
    assert f"bias {format_interval(line['bias'], line['bias_low'], line['bias_high'])}" in words(
        drawn
    )
    rho = format_interval(*(line[f"spearman{end}"] for end in ("", "_low", "_high")))
    assert f"n {int(line['pairs'])}, ρ {rho}" in words(drawn)


def test_axes_of_continuous_markers_have_numbers_in_their_lower_half_and_a_word():
    curves = make_curves(3)
    root = curves["biomarker"].eq("marker 0") & curves["analysis"].ne("spline")
    for column in ("value", "value_low", "value_high"):
        curves.loc[curves["biomarker"].eq("marker 0"), column] = (
            np.abs(curves.loc[curves["biomarker"].eq("marker 0"), column]) / 8
        )
    curves.loc[curves["biomarker"].eq("marker 0"), "transform"] = "sqrt"
    assert root.any()
    drawn = continuous.draw(curves, "PFS", arms=ARMS, values=make_rugs(3))
    by_label = {axes.get_xlabel(): axes for axes in drawn.figure.axes}
    axes = by_label["ng/mL"]
    places = axes.get_xticks()
    middle = np.mean(axes.get_xlim())
    assert (places < middle).any()
    assert (places > middle).any()
    assert "value (its unit is not given)" in by_label


def test_values_beyond_a_limit_are_told_from_measured_ones():
    drawn = continuous.draw(make_curves(3), "PFS", arms=ARMS, values=make_rugs(3))
    ticks = drawn.source["analysis"].value_counts()
    assert (ticks["value"], ticks["value_beyond_limit"]) == (330, 12)
    assert "12 beyond a limit" in words(drawn)
    assert "Green ticks" in drawn.caption
    measured = {key: (value, np.zeros(0)) for key, (value, _) in make_rugs(3).items()}
    drawn = continuous.draw(make_curves(3), "PFS", arms=ARMS, values=measured)
    assert "Green ticks" not in drawn.caption


def test_a_marker_of_two_tests_is_named_with_the_test_that_is_named():
    rows = pd.DataFrame(
        {
            "biomarker": ["TK1", "TK1", "RB1"],
            "specimen": "serum",
            "contrast": ["doubling", ">=200 v <200", "positive v negative"],
        }
    )
    wanted = np.array([True, False, True])
    assert distinct_names(rows, None, wanted) == ["TK1, per doubling", "RB1"]
    # two biomarkers of one label are told apart too, also where one of them is not named
    rows["biomarker"] = ["TK1", "TK1:rna", "RB1"]
    labels = {"TK1": "Thymidine kinase", "TK1:rna": "Thymidine kinase"}
    assert distinct_names(rows, labels, wanted) == ["Thymidine kinase, per doubling", "RB1"]


def test_the_flow_into_pairs_counts_everybody():
    table = make_pairs(ARMS)
    drawn = pairs_flow.draw(table, arms=ARMS)
    for _, part in drawn.source.groupby(["specimen", "arm"]):
        left = part[part["reason"] == ""]["n"]
        assert left.iloc[0] - part[part["reason"] != ""]["n"].sum() == left.iloc[-1]
    text = words(drawn)
    assert text.count("60") == 4
    # Nine reasons do not fit: what has no room is added up, and none is lost.
    assert any(line == "other reasons: 4" for line in text)


def test_cells_of_evidence_say_what_the_tables_say():
    _, numbers, tables = known(46, "two", tuple(GENES))
    drawn = evidence.draw(tables.lines, arms=ARMS)
    cells = drawn.source.set_index(["name", "line", "place", "arm"])
    baseline = "baseline marker × arm"
    first, second = GENES[:2]
    # The limits of the first gene's interaction lie above 1; the second has no estimate, which is not no effect.
    assert cells.loc[(first, baseline, "blood", "all"), "direction"] == "above"
    assert cells.loc[(second, baseline, "blood", "all"), "state"] == "no estimate"
    assert cells.loc[(GENES[2], baseline, "tissue", "all"), "direction"] == "unclear"
    held = numbers["acquired"].query("level == 'gene'").set_index(["name", "specimen", "arm"])
    for gene in GENES[:3]:
        for arm in ARMS.values():
            cell = cells.loc[(gene, "gained", "blood", arm)]
            assert cell["n"] == held.loc[(gene, "plasma", arm), "evaluable"]
            assert cell["estimate"] == held.loc[(gene, "plasma", arm), "rate_gained"]
    up = [line for line in drawn.figure.axes[0].lines if line.get_gid() == "above"]
    assert len(up) == (drawn.source["direction"] == "above").sum() > 0


def test_the_p_of_a_baseline_marker_is_that_of_the_test_a_claim_rests_on():
    """Of the randomisation test, as in the summary's words; without draws of the likelihood ratio."""
    cohort, numbers, _ = known(46, "two", tuple(GENES))
    drawn = make_intrinsic(GENES).assign(p_randomisation=0.21)
    drawn.loc[drawn["biomarker"].eq(f"gene:{GENES[0]}"), "p_randomisation"] = np.nan
    lines = evidence_lines(cohort, **numbers, intrinsic=drawn)
    p = lines[lines["line"].eq(BASELINE)].groupby("marker")["p"].agg(set)
    assert p[f"gene:{GENES[0]}"] == {0.04}
    assert p[f"gene:{GENES[2]}"] == {0.21}


def test_a_gene_that_could_not_be_read_is_hatched_and_not_a_rate_of_nothing():
    lines = known(46, "two", tuple(GENES))[2].lines
    gone = (lines["line"] == "gained") & (lines["name"] == GENES[0])
    ends = ["estimate", "estimate_low", "estimate_high"]
    lines = lines.copy()
    lines.loc[gone, ends] = np.nan
    lines.loc[gone, "n"] = 0
    drawn = evidence.draw(lines, arms=ARMS)
    cells = drawn.source.query("name == @GENES[0] and line == 'gained'")
    assert set(cells["state"]) == {"not evaluable"}
    patches = [p for p in drawn.figure.axes[0].patches if p.get_gid() == "not evaluable"]
    assert len(patches) == len(cells) == 2


def test_lines_of_evidence_count_who_had_and_who_lost():
    cohort, numbers, tables = known(46, "two", tuple(GENES))
    held = numbers["acquired"].query("level == 'gene' and lost + kept > 0")
    lost = tables.lines.query("level == 'gene' and line == 'lost'")
    assert len(lost) == len(held) > 0
    for row, line in zip(
        held.sort_values(["name", "arm"]).itertuples(),
        lost.sort_values(["name", "arm"]).itertuples(),
        strict=True,
    ):
        assert (line.name, line.arm, line.n) == (row.name, row.arm, row.lost + row.kept)
        low, high = clopper_pearson(row.lost, row.lost + row.kept)[1:]
        assert (line.estimate_low, line.estimate_high) == pytest.approx((low, high))
    gene = cohort.markers.select(
        biomarker=f"gene:{GENES[0]}", specimen="plasma", timepoint="baseline"
    )
    seen = tables.lines.query(
        "name == @GENES[0] and line == 'altered' and specimen == 'plasma' and timepoint == 'baseline'"
    )
    assert seen["n"].sum() == (gene.state == MEASURED).sum()
    assert (seen["estimate"] * seen["n"]).sum() == pytest.approx(np.nansum(gene.value))
    assert seen["of"].sum() == (gene.state != MISSING).sum()


def test_the_dossier_calls_markers_by_their_labels():
    _, _, tables = known(46, "two", tuple(GENES))
    gene = GENES[0]
    lines = tables.lines[tables.lines["name"].eq(gene) & tables.lines["line"].eq(BASELINE)].iloc[:1]
    others = pd.concat(
        [
            lines.assign(own=False, marker="HER2_ECD", specimen="serum", per=per, timepoint="")
            for per in ("1 SD", ">=15 v <15")
        ]
        + [
            lines.assign(
                own=False, marker="signature:RBsig", specimen="archival_tissue", per="1 SD"
            ),
            lines.assign(own=False, marker="TK1", specimen="tissue", per="1 SD"),
        ]
    )
    words = f"At baseline (archival tissue), gene:{gene} × arm: less benefit where it is present or higher (p 0.001, q 0.01)."
    tables = dataclasses.replace(
        tables,
        lines=pd.concat([tables.lines, others], ignore_index=True),
        evidence=tables.evidence.assign(summary=words),
    )
    labels = {
        ("HER2_ECD", "serum"): "Serum HER2 ectodomain",
        ("signature:RBsig", "archival_tissue"): "RB loss, from " + "very " * 9 + "many genes",
        ("TK1", "serum"): "Thymidine kinase 1 activity",
    }
    drawn = dossier.draw(tables, arms=ARMS, labels=labels)
    number = drawn.source.query("name == @gene")["page"].iloc[0]
    shown = [text.get_text() for text, _ in texts_drawn(drawn.pages[number - 2])]
    said = " ".join(shown)
    assert "Serum HER2 ectodomain, serum" in shown
    assert "Serum HER2 ectodomain, serum, ≥15 v <15" in shown
    # a label without room gives way to the name in words, and a protein's is no gene's
    assert any(text.startswith("RBsig signature, tissue") for text in shown)
    assert any(text.startswith("TK1, tissue") for text in shown)
    assert f"At baseline (archival tissue), {gene} altered × arm: less benefit" in said
    for raw in ("gene:", "signature:", "_", ">="):
        assert raw not in said
    # arms are named in full
    assert "T-DM1 + palbociclib" in shown


def test_the_dossier_has_a_page_for_each_and_every_number_in_its_table(tmp_path):
    _, numbers, tables = known(46, "two", tuple(GENES))
    drawn = dossier.draw(tables, arms=ARMS, drug="palbociclib")
    pdf = drawn.write(tmp_path / "dossier")[0].read_bytes()
    assert len(re.findall(rb"/Type /Page\b", pdf)) == len(drawn.pages) + 1
    assert f"The PDF has {len(drawn.pages) + 1} pages" in drawn.caption
    assert set(drawn.source["page"]) == set(range(2, len(drawn.pages) + 2))
    pairs = drawn.source.query("section == 'pairs'").set_index(["name", "specimen", "arm"])
    for row in numbers["acquired"].itertuples():
        if (row.name, row.specimen, row.arm) in pairs.index:
            line = pairs.loc[(row.name, row.specimen, row.arm)]
            assert (line["gained"], line["kept"], line["n"]) == (
                row.gained,
                row.kept,
                row.evaluable,
            )
    number = drawn.source.query("name == @GENES[0]")["page"].iloc[0]
    shown = [text.get_text() for text, _ in texts_drawn(drawn.pages[number - 2])]
    assert GENES[0] in shown
    row = numbers["acquired"].query("name == @GENES[0]").iloc[0]
    assert any(f"gained {row['gained']} of {row['evaluable']}: " in text for text in shown)
    # A gene's name is never a file's.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"dossier.{ending}" for ending in ("csv", "pdf", "png", "rst", "svg")
    ]


def test_of_many_swimmers_every_kth_is_drawn_and_all_are_in_the_table():
    cohort = make_cohort(600, course=True)
    drawn = swimmer.draw(cohort)
    assert "75 of 300 (T-DM1)" in drawn.caption
    assert "T-DM1: 300 of 300 subjects" in drawn.caption
    assert drawn.source.groupby("arm")["order"].max().tolist() == [300, 300]
    few = swimmer.draw(make_cohort(120, course=True))
    assert "every k-th" not in few.caption


def test_the_oncoprint_shows_tissue_where_that_is_asked_for_or_all_there_is():
    cohort = with_tissue(make_cohort(40), ["RB1", "TP53"])
    asked = oncoprint.draw(cohort, specimen="tissue")
    block = cohort.markers.select(biomarker="gene:RB1", specimen="archival_tissue")
    rows = asked.source.query("gene == 'RB1' and timepoint == 'baseline'")
    assert (rows["state"] == "altered").sum() == np.nansum(block.value)
    assert (rows["state"] == "not evaluable").sum() == (block.state == 4).sum()
    only = dataclasses.replace(cohort, markers=cohort.markers.select(specimen="archival_tissue"))
    pd.testing.assert_frame_equal(oncoprint.draw(only).source, asked.source)
    assert "Alterations in plasma" in oncoprint.draw(cohort).caption
    # Drawn once: where the tissue is all there is, the other figure says that this one shows it.
    pd.testing.assert_frame_equal(oncoprint.draw_tissue(cohort).source, asked.source)
    again = oncoprint.draw_tissue(only)
    assert again.source.empty
    assert "the figure oncoprint shows the tissue already" in again.caption


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.36, [0, 0.03, 0.1, 0.2, 0.3]),
        (0.05, 0.36, [0.05, 0.1, 0.2, 0.3]),
        (-1.0, 320.0, [0, 30, 100, 200, 300]),
        (4.0, 49.0, [5, 10, 20, 30]),
        (30.0, 40.0, [30, 32.5, 35, 37.5, 40]),
    ],
)
def test_square_root_axes_have_numbers_in_both_halves(low, high, expected):
    """Shares as variant allele fractions have them, counts, and a range too narrow to be bent."""
    ends = np.sign([low, high]) * np.sqrt(np.abs([low, high]))
    ticks = round_numbers("sqrt", *ends)
    places = (np.sqrt(ticks) - ends[0]) / (ends[1] - ends[0])
    assert ((places >= -1e-9) & (places <= 1 + 1e-9)).all()
    assert (places < 0.5).any()
    assert (places > 0.5).any()
    assert np.diff(places).min() > 0.1
    assert ticks == pytest.approx(expected)


def test_markers_called_the_same_are_told_apart():
    rows = pd.DataFrame(
        {
            "biomarker": ["TK1", "TK1", "gene:CCNE1", "gene:CCNE1", "RB"],
            "specimen": ["serum", "serum", "plasma", "archival_tissue", "biopsy"],
            "contrast": [
                "doubling",
                ">=200 v <200",
                "positive v negative",
                "positive v negative",
                "",
            ],
        }
    )
    assert distinct_names(rows, {"gene:CCNE1": "CCNE1 altered"}) == [
        "TK1, per doubling",
        "TK1, ≥200 v <200",
        "CCNE1 altered, plasma",
        "CCNE1 altered, archival tissue",
        "RB",
    ]
    without = rows.drop(columns="contrast").iloc[2:]
    assert distinct_names(without, None)[0] == "gene:CCNE1, plasma"


@pytest.mark.parametrize(
    ("predictor", "name"),
    [
        ("clinical:visceral=yes", "Visceral disease: yes"),
        ("missing:clinical:prior_lines", "Prior lines missing"),
        ("serum:TK1", "Thymidine kinase 1 (serum)"),
        ("archival_tissue:gene:ESR1:mutation", "ESR1 mutation (archival tissue)"),
        ("plasma:gene:RB1", "RB1 altered, plasma"),
    ],
)
def test_predictors_are_called_as_in_the_dictionary(predictor, name):
    labels = {
        ("visceral", "clinical"): "Visceral disease",
        ("TK1", "serum"): "Thymidine kinase 1",
        ("gene:RB1", "plasma"): "RB1 altered, plasma",
    }
    assert stability.named(predictor, labels) == name


def test_the_mean_over_visits_runs_in_the_order_of_days():
    """Whatever the order in which the configuration lists the timepoints."""
    cohort, _ = followed(46, "two", 4)
    backwards = [*cohort.study["timepoints"]]
    assert len(backwards) > 3
    backwards[1:-1] = backwards[-2:0:-1]
    turned = dataclasses.replace(cohort, study=cohort.study | {"timepoints": backwards})
    drawn = spaghetti.draw(turned, course_means(46, "two", 4), drug="palbociclib")
    lines = [line for line in drawn.figure.findobj(Line2D) if line.get_gid() == "model"]
    assert lines
    for line in lines:
        assert (np.diff(line.get_xdata()) > 0).all()
    for lines in drawn.figure.findobj(LineCollection):
        if lines.get_gid() == "subjects":
            assert all((np.diff(part[:, 0]) >= 0).all() for part in lines.get_segments())


def test_a_change_given_as_such_is_drawn_by_its_levels():
    """The figure says who is excluded, and calls the curves what the laboratory called them."""
    cohort, _ = changed(60, "one", 3)
    markers = cohort.markers
    row = list(markers.info["biomarker"]).index("ratio:marker 0:C1D15")
    info = markers.info.copy()
    as_given = {
        "biomarker": "change:ctDNA:C1D15",
        "label": "Decrease of ctDNA",
        "kind": "binary",
        "levels": "Increase<Decrease",
        "timepoint": "C1D15",
    }
    for column, value in as_given.items():
        info.loc[row, column] = value
    values = markers.value.copy()
    values[row] = np.where(
        np.isfinite(values[row]), values[row] < np.nanmedian(values[row]), np.nan
    )
    given = dataclasses.replace(
        cohort, markers=dataclasses.replace(markers, info=info, value=values)
    )
    table = dynamics(given, ["C1D15"], {"C1D15": 19.0})
    drawn = km_landmark.draw(given, "PFS", table)
    own = drawn.source[drawn.source["biomarker"] == "change:ctDNA:C1D15"]
    assert set(own["level"]) == {"Increase", "Decrease"}
    known = table.set_index("biomarker").loc["change:ctDNA:C1D15"]
    assert own[own["months"] == 0]["at_risk"].sum() == known["n_at_landmark"]
    assert f"left out before it {known['excluded_before_landmark']} (" in drawn.caption
    assert any("Decrease v Increase" in text for text in words(drawn))
