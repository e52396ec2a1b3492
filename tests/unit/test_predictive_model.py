"""The interaction model of every marker: numbers of R, the contract's words, and what cannot be estimated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx
from scipy.special import chdtrc
from threadpoolctl import threadpool_info, threadpool_limits

from correlatives.binary.logistic import fit_logistic
from correlatives.cohort import Cohort
from correlatives.markers import ABOVE, BELOW, Markers
from correlatives.predictive import model, screen
from correlatives.predictive.model import (
    COLUMNS,
    GATHERING,
    PROGNOSTIC_COLUMNS,
    DomainFits,
    fit_domain,
    fit_models,
    fit_prognostic_models,
)
from correlatives.predictive.rows import FACTOR, LONG_TAIL, marker_rows
from correlatives.survival.cox import fit_cox, proportional_hazards

REFERENCE = Path(__file__).parents[1] / "reference"
SHARED = Path(__file__).parents[2].parent / "shared"
RATIOS = [
    "marker_effect_control",
    "marker_effect_experimental",
    "treatment_effect_at_low",
    "treatment_effect_at_high",
    "interaction_ratio",
]


def pbc() -> tuple[object, pd.DataFrame]:
    """R's pbc trial and R's answers (survival 3.5-3, `coxph(Surv ~ arm * scale(marker))`)."""
    data = pd.read_csv(REFERENCE / "predictive_pbc.csv", dtype={"id": str})
    answers = pd.read_csv(REFERENCE / "predictive_pbc_screen.csv").set_index("marker")
    markers = markers_of(
        data["id"].to_numpy(dtype=object),
        {name: data[name].to_numpy(dtype=float) for name in answers.index},
        kind="continuous",
    )
    cohort = cohort_of(
        markers,
        arm=data["arm"].to_numpy(),
        endpoints={"OS": (data["time"].to_numpy(float), data["death"].to_numpy(float))},
    )
    return cohort, answers


def test_interactions_agree_with_r():
    """To R's own convergence (1e-9 of the log-likelihood moves coefficients by about 3e-8)."""
    cohort, answers = pbc()
    table = screen(cohort, "OS", randomisations=0).set_index("biomarker").loc[answers.index]
    assert np.log(table["interaction_ratio"]).to_numpy() == approx(
        answers["inter_coef"].to_numpy(), rel=1e-6, abs=1e-7
    )
    for ours, theirs in (
        ("p_interaction_lrt", "p_lr"),
        ("p_ph", "zph_inter_p"),
        ("q_value", "p_lr_BH"),
    ):
        assert table[ours].to_numpy() == approx(answers[theirs].to_numpy(), rel=1e-6)
    assert (table["n"] == answers["n"]).all()
    assert (table["events"] == answers["events"]).all()
    assert (table["contrast"] == "1 SD").all()


def with_limits(fit, events, coefficients, differing):
    """First coefficient, limits by Student's t: the fewer of events − coefficients and 1½ subjects differing."""
    from scipy import stats

    freedom = min(events - coefficients, 1.5 * differing)
    return np.array(fit.interval(0, deviance=stats.t.ppf(0.975, freedom) ** 2))


def test_a_row_is_what_single_models_say():
    """Every number of a continuous row, from one fit at a time, with strata and covariates."""
    cohort = trial(markers=2, strata=3, interaction=0.4)
    row = fit_models(cohort, "PFS", cohort.markers, ["age", "ecog"]).iloc[0]
    s = cohort.subjects
    time, event = s["PFS_months"].to_numpy(), s["PFS_event"].to_numpy()
    arm, strata = s["arm_code"].to_numpy(), s["stratum"].to_numpy()
    x = cohort.markers.value[0]
    m = (x - x.mean()) / x.std(ddof=1)
    more = [s["age"], (s["ecog"] == "1").astype(float)]

    def fit(*columns, keep=slice(None)):
        design = np.column_stack([*columns, *more])[keep]
        return fit_cox(time[keep], event[keep], design, strata[keep])

    joint = fit(arm * m, arm, m)
    quartiles = np.quantile(m, [0.25, 0.75])
    whole = (event.sum(), 5, len(x) - 1)
    expected = {
        "treatment_effect_at_low": (fit(arm, m, arm * (m - quartiles[0])), *whole),
        "treatment_effect_at_high": (fit(arm, m, arm * (m - quartiles[1])), *whole),
        "interaction_ratio": (joint, *whole),
    }
    for code, name in enumerate(["control", "experimental"]):
        own = arm == code
        rests_on = (event[own].sum(), 3, own.sum() - 1)
        expected[f"marker_effect_{name}"] = (fit(m, keep=own), *rests_on)
    for name, (fitted, *rests_on) in expected.items():
        found = row[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=float)
        assert np.log(found) == approx(with_limits(fitted, *rests_on), rel=1e-6, abs=1e-8), name
    assert row["p_interaction_lrt"] == approx(joint.test(0).p, rel=1e-6)
    assert row["p_prognostic"] == approx(fit(m, arm).test(0).p, rel=1e-6)
    assert row["p_ph"] == approx(proportional_hazards(joint).terms[0].p, rel=1e-6)
    assert row["method"] == "Cox, Efron, stratified, profile limits"
    assert row["note"] == ""


def test_treatment_effect_at_marker_levels_of_a_binary_row_is_fitted_within_them():
    rng = np.random.default_rng(4)
    cohort = trial(n=400, markers=1, seed=4)
    positive = (rng.random(400) < 0.4).astype(float)
    markers = markers_of(cohort.markers.subjects, {"gene:PIK3CA": positive})
    row = fit_models(cohort, "PFS", markers).iloc[0]
    s = cohort.subjects
    for level, name in ((0, "low"), (1, "high")):
        keep = positive == level
        alone = fit_cox(
            s["PFS_months"][keep], s["PFS_event"][keep], s["arm_code"][keep].to_numpy(float)
        )
        found = row[[f"treatment_effect_at_{name}{limit}" for limit in ("", "_low", "_high")]]
        assert np.log(found.to_numpy(dtype=float)) == approx(np.array(alone.interval(0)), rel=1e-6)
    assert row["contrast"] == "positive v negative"
    assert row["prevalence"] == positive.mean()
    assert row["method"] == "Cox, Efron, profile limits"


def test_logistic_strata_are_fixed_effects_and_one_without_contrast_drops_out():
    import statsmodels.api as sm

    cohort = trial(n=200, markers=1, strata=3, seed=3)
    subjects = cohort.subjects.copy()
    # a fourth stratum in which nobody responded would make its intercept infinite
    alike = np.arange(200) % 10 == 0
    subjects.loc[alike, "stratum"] = 3
    subjects.loc[alike, "ORR"] = 0.0
    cohort = type(cohort)(
        cohort.study, subjects, cohort.markers, *([cohort.samples] * 3), cohort.pathways
    )
    row = fit_models(cohort, "ORR", cohort.markers).iloc[0]
    x = cohort.markers.value[0]
    m = x / x.std(ddof=1)
    keep = ~alike
    arm = subjects["arm_code"].to_numpy(dtype=float)
    dummies = (subjects["stratum"].to_numpy()[:, None] == [1, 2]).astype(float)
    design = sm.add_constant(np.column_stack([arm * m, arm, m, dummies])[keep])
    y = subjects["ORR"].to_numpy()[keep]
    alone = fit_logistic(y, design[:, 1:], firth=True)
    found = row[["interaction_ratio", "interaction_ratio_low", "interaction_ratio_high"]]
    assert np.log(found.to_numpy(dtype=float)) == approx(np.array(alone.interval(1)), rel=1e-6)
    # the test is the one that papers print
    full, null = (
        sm.Logit(y, part).fit(disp=0, tol=1e-12) for part in (design, design[:, [0, *range(2, 6)]])
    )
    assert row["p_interaction_lrt"] == approx(chdtrc(1, 2 * (full.llf - null.llf)), rel=1e-6)
    assert row["n"] == 200
    assert row["method"] == "Firth logistic, stratified, profile penalised limits"
    assert row["effect_measure"] == "odds_ratio"


def test_contrasts_are_the_contracts_words():
    rng = np.random.default_rng(1)
    n = 120
    positive = rng.exponential(10, n) + 1
    values = {
        "plain": positive,
        "two": positive,
        "ten": positive,
        "ordinal": rng.integers(0, 4, n).astype(float),
        "mutated": rng.integers(0, 2, n).astype(float),
        "subtype": rng.integers(0, 2, n).astype(float),
    }
    entries = {
        "two": {"transform": "log2", "cutpoint": 8.0, "cut_rule": ">="},
        "ten": {"transform": "log10"},
        "ordinal": {"kind": "ordinal", "levels": "0<1+<2+<3+"},
        "subtype": {"levels": "other<HER2-enriched", "positive": "HER2-enriched"},
    }
    source = trial(n, 1)
    markers = markers_of(source.markers.subjects, values, entries)
    table = fit_models(source, "PFS", markers)
    assert list(zip(table["biomarker"], table["kind"], table["contrast"], strict=True)) == [
        ("plain", "continuous", "1 SD"),
        ("two", "continuous", "doubling"),
        ("two", "binary", ">=8 v <8"),
        ("ten", "continuous", "tenfold"),
        ("ordinal", "ordinal", "1 level"),
        ("mutated", "binary", "positive v negative"),
        ("subtype", "binary", "HER2-enriched v other"),
    ]
    ratio = np.log(table.set_index("contrast")["interaction_ratio"])
    assert ratio["tenfold"] == approx(ratio["doubling"] * np.log2(10), rel=1e-6)
    detectable = np.log(table.set_index("contrast")["minimum_detectable_ratio"])
    assert detectable["tenfold"] == approx(detectable["doubling"] * np.log2(10), rel=1e-6)


def test_the_standard_deviation_is_that_of_the_subjects_in_the_row():
    cohort = trial(n=80, markers=1)
    value = cohort.markers.value[0].copy()
    value[:20] = np.nan
    subjects = cohort.subjects.copy()
    subjects.loc[20:29, "PFS_months"] = np.nan
    value[20:30] = 1e3
    markers = markers_of(cohort.markers.subjects, {"m": value})
    cohort = type(cohort)(cohort.study, subjects, markers, *([cohort.samples] * 3), cohort.pathways)
    row = fit_models(cohort, "PFS", markers).iloc[0]
    kept = subjects.iloc[30:]
    m = value[30:] / value[30:].std(ddof=1)
    arm = kept["arm_code"].to_numpy()
    joint = fit_cox(kept["PFS_months"], kept["PFS_event"], np.column_stack([arm * m, arm, m]))
    assert row["n"] == 50
    assert np.log(row["interaction_ratio"]) == approx(joint.coefficients[0], rel=1e-6)


def test_a_value_below_a_limit_is_on_one_side_of_a_cut_or_not_evaluable():
    cohort = trial(n=60, markers=1)
    value = np.linspace(1, 60, 60)
    state = np.ones(60, dtype=np.uint8)
    state[:5], value[:5] = BELOW, 10.0
    state[5:9], value[5:9] = BELOW, 30.0
    state[55:], value[55:] = ABOVE, 55.0
    base = markers_of(
        cohort.markers.subjects, {"m": value}, {"m": {"cutpoint": 20.0, "cut_rule": ">"}}
    )
    markers = Markers(base.subjects, base.info, value[None], state[None])
    whole, cut = fit_models(cohort, "PFS", markers).to_dict("records")
    assert cut["contrast"] == ">20 v <=20"
    assert cut["n"] == 56, "below 30 may be on either side of 20"
    assert cut["prevalence"] == approx(np.mean(np.delete(value, slice(5, 9)) > 20))
    assert whole["n"] == 60
    assert whole["fraction_censored"] == approx(14 / 60)


def test_few_events_in_a_cell_take_firths_penalty():
    """The interaction of a rare marker agrees with a single penalised fit, and says so."""
    cohort = trial(n=132, markers=1)
    positive = np.zeros(132)
    positive[::9] = 1
    row = fit_models(
        cohort, "PFS", markers_of(cohort.markers.subjects, {"gene:ERBB2": positive})
    ).iloc[0]
    s = cohort.subjects
    arm = s["arm_code"].to_numpy()
    alone = fit_cox(
        s["PFS_months"],
        s["PFS_event"],
        np.column_stack([positive * arm, arm, positive]),
        firth=True,
    )
    found = row[["interaction_ratio", "interaction_ratio_low", "interaction_ratio_high"]]
    rests_on = (s["PFS_event"].sum(), 3, positive.sum())
    assert np.log(found.to_numpy(dtype=float)) == approx(with_limits(alone, *rests_on), rel=1e-5)
    plain = fit_cox(
        s["PFS_months"], s["PFS_event"], np.column_stack([positive * arm, arm, positive])
    )
    assert row["p_interaction_lrt"] == approx(plain.test(0).p, rel=1e-5)
    assert row["p_ph"] == approx(proportional_hazards(plain).terms[0].p, rel=1e-6)
    assert row["method"].startswith("Firth Cox, Efron, profile penalised limits")


def test_what_cannot_be_estimated_is_empty_and_says_why():
    cohort = trial(n=60, markers=1)
    arm = cohort.subjects["arm_code"].to_numpy()
    n = len(arm)
    only_new = np.where(arm == 1, np.arange(n) % 2, 0.0)
    markers = markers_of(
        cohort.markers.subjects,
        {
            "constant": np.ones(n),
            "absent": np.full(n, np.nan),
            "only_new": only_new,
            "arm": arm.copy(),
            "one": (np.arange(n) == 7).astype(float),
        },
        kind="binary",
    )
    table = fit_models(cohort, "PFS", markers, randomisations=99).set_index("biomarker")
    assert table["interaction_ratio"].isna().all()
    assert table["p_interaction_lrt"].isna().all()
    assert (table["p_randomisation"] == 1).all()
    assert table["minimum_detectable_ratio"].isna().all()
    assert table["note"].str.contains("interaction: ").all()
    assert "control arm have the same value" in table.loc["only_new", "note"]
    assert "no evaluable subject" in table.loc["absent", "note"]
    assert np.isfinite(table.loc["only_new", "marker_effect_experimental"])
    assert not table["in_family"][["constant", "absent", "one"]].any()


def one_carrier() -> tuple[Cohort, np.ndarray]:
    """A trial, and a marker of the first control subject with an event, and of eight subjects of the other arm."""
    cohort = trial(n=60, markers=1, seed=4)
    s = cohort.subjects
    carrier = np.zeros(len(s))
    carrier[s["PFS_months"].where((s["arm_code"] == 0) & (s["PFS_event"] == 1)).argmin()] = 1
    carrier[np.flatnonzero(s["arm_code"] == 1)[:8]] = 1
    return cohort, carrier


def test_a_limit_beyond_every_ratio_is_refused_and_says_so():
    """Of one carrier the penalty alone ends the interval: at a ratio of ten to the sixteenth."""
    cohort, carrier = one_carrier()
    s = cohort.subjects
    row = fit_models(cohort, "PFS", markers_of(cohort.markers.subjects, {"rare": carrier})).iloc[0]
    for arm, name in enumerate(("control", "experimental")):
        within = (s["arm_code"] == arm).to_numpy()
        fit = fit_cox(
            s["PFS_months"][within], s["PFS_event"][within], carrier[within, None], firth=True
        )
        expected = with_limits(fit, s["PFS_event"][within].sum(), 1, carrier[within].sum())
        found = [row[f"marker_effect_{name}{end}"] for end in ("", "_low", "_high")]
        if name == "control":
            assert expected[2] > np.log(1e15)
            assert found[0] == approx(np.exp(expected[0]), rel=1e-5)
            assert np.isnan(found[2])
            assert "marker effect, control arm: no finite upper limit" in row["note"]
        else:
            assert np.log(found) == approx(expected, rel=1e-5)
            assert "experimental arm" not in row["note"]


def test_a_limit_below_every_ratio_is_refused_too():
    """The same marker turned round: its carriers are the others."""
    cohort, carrier = one_carrier()
    both = {"rare": carrier, "others": 1 - carrier}
    table = fit_models(cohort, "PFS", markers_of(cohort.markers.subjects, both))
    rare, others = (table[table["biomarker"].eq(name)].iloc[0] for name in both)
    assert others["marker_effect_control"] == approx(1 / rare["marker_effect_control"], rel=1e-5)
    assert np.isnan(others["marker_effect_control_low"])
    assert others["marker_effect_control_high"] == approx(
        1 / rare["marker_effect_control_low"], rel=1e-4
    )
    assert "marker effect, control arm: no finite lower limit" in others["note"]


def test_a_single_arm_refuses_such_limits_too():
    cohort, carrier = one_carrier()
    keep = (cohort.subjects["arm_code"] == 0).to_numpy()
    s = cohort.subjects[keep]
    alone = cohort_of(
        markers_of(s["subject_id"].to_numpy(), {"rare": carrier[keep]}),
        arm=None,
        endpoints={"PFS": (s["PFS_months"].to_numpy(), s["PFS_event"].to_numpy())},
    )
    row = fit_prognostic_models(alone, "PFS", alone.markers).iloc[0]
    assert np.isfinite(row["marker_effect"])
    assert np.isnan(row["marker_effect_high"])
    assert "marker effect: no finite upper limit" in row["note"]


def test_awkward_markers_agree_with_r_or_are_refused():
    """edge_cases_n46.csv: constant, separated, huge, tiny, tied, infinite offsets."""
    path = SHARED / "reference/r"
    if not path.is_dir():
        pytest.skip("the reference answers are not here")
    data = pd.read_csv(path / "data/edge_n46.csv")
    answers = pd.read_csv(path / "edge_cases_n46.csv")
    answers = answers[answers["control"] == "tight"].set_index("marker")
    names = [name for name in data.columns[3:] if np.isfinite(data[name].dropna()).all()]
    markers = markers_of(
        identifiers(len(data)),
        {name: data[name].to_numpy(dtype=float) for name in names},
        kind="continuous",
    )
    cohort = cohort_of(
        markers,
        arm=data["arm"].to_numpy(),
        endpoints={"OS": (data["time"].to_numpy(float), data["event"].to_numpy(float))},
    )
    table = fit_models(cohort, "OS", markers, randomisations=99).set_index("biomarker")
    assert np.isfinite(table["p_randomisation"]).all()
    given = answers.loc[names]
    # R itself did not reach the maximum for a large offset, nor where there is none
    well = given.index[given["b_inter"].abs().between(1e-12, 1e9) & (given["se_inter"] > 0)]
    well = well.difference(["huge_offset", "binary_no_events_in_pos_arm1", "perfect_monotone"])
    assert len(well) > 10
    assert table.loc[well, "p_interaction_lrt"].to_numpy() == approx(
        given.loc[well, "p_lr"].to_numpy(), rel=1e-5
    )
    for name in ("constant", "all_na", "rare_1", "binary_only_in_arm1", "equals_arm"):
        assert np.isnan(table.loc[name, "interaction_ratio"])
        assert table.loc[name, "note"]
    for name in ("binary_no_events_in_pos_arm1", "perfect_monotone"):
        assert table.loc[name, "method"].startswith("Firth")
        assert np.isfinite(table.loc[name, "interaction_ratio"])
    assert np.log(table.loc["huge_offset", "interaction_ratio"]) == approx(
        np.log(table.loc["normal", "interaction_ratio"]), rel=1e-4
    )


def test_byar_prostate_reproduces_its_known_interactions():
    """High v low oestrogen dose on death: ratio 0.485 and p 0.008 for bone metastases; age p 0.001."""
    path = SHARED / "data/byar_prostate/prostate.csv"
    if not path.is_file():
        pytest.skip("the data are not here")
    data = pd.read_csv(path, dtype={"pid": str})
    arm = data["fac_rx"].isin(["1.0 mg estrogen", "5.0 mg estrogen"]).astype(float).to_numpy()
    markers = markers_of(
        data["pid"].to_numpy(dtype=object),
        {"bone": data["fac_bm"].to_numpy(float), "age": data["num_age"].to_numpy(float)},
    )
    time = data["time"].to_numpy(float)
    cohort = cohort_of(markers, arm=arm, endpoints={"OS": (time, data["event"].to_numpy(float))})
    table = fit_models(cohort, "OS", markers, randomisations=999).set_index("biomarker")
    assert table.loc["bone", "interaction_ratio"] == approx(0.485, abs=5e-4)
    assert table.loc["bone", "p_interaction_lrt"] == approx(0.008, abs=1e-3)
    assert table.loc["age", "p_interaction_lrt"] == approx(0.001, abs=5e-4)
    assert (table["p_randomisation"] < 0.02).all()


def stratified_by_a_marker(
    seed: int, interaction: float, n: int = 132, names: tuple[str, ...] = ("receptor", "other")
) -> Cohort:
    """A trial stratified by receptor and metastases, both prognostic; the receptor's marker interacts with the arm."""
    rng = np.random.default_rng(seed)
    receptor = (rng.random(n) < 0.4).astype(float)
    metastases = (rng.random(n) < 0.5).astype(float)
    strata = (2 * receptor + metastases).astype(int)
    arm = np.zeros(n)
    for stratum in range(4):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        arm[members[::2]] = 1
    log_hazard = (interaction * receptor - 0.4) * arm + 0.5 * receptor + 0.6 * metastases
    time = rng.exponential(10 * np.exp(-log_hazard))
    censored = rng.uniform(5, 30, n)
    response = rng.random(n) < 1 / (1 + np.exp(log_hazard))
    values = {"receptor": receptor, "other": rng.standard_normal(n).round(3)}
    return cohort_of(
        markers_of(identifiers(n), {name: values[name] for name in names}),
        arm=arm,
        endpoints={
            "PFS": (np.minimum(time, censored), (time <= censored).astype(float)),
            "ORR": response.astype(float),
        },
        strata=strata,
    )


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_a_stratification_factor_is_tested_as_any_marker(endpoint: str):
    """Within strata its interaction cannot be seen: with strata in the null model p was 1 whatever the data."""
    cohort = stratified_by_a_marker(3, 1.6)
    fits = fit_domain(cohort, endpoint, cohort.markers, randomisations=999, seed=1)
    table = fits.table.set_index("biomarker")
    assert table.loc["receptor", "p_randomisation"] < 0.01
    assert table.loc["receptor", "p_interaction_lrt"] < 0.01
    assert table.loc["receptor", "minimum_detectable_ratio"] > 1
    assert FACTOR in table.loc["receptor", "note"]
    assert FACTOR not in table.loc["other", "note"]
    # the other marker's answer does not depend on the factor beside it
    cohort = stratified_by_a_marker(3, 1.6, names=("other",))
    alone = fit_domain(cohort, endpoint, cohort.markers, randomisations=999, seed=1).table
    assert alone["p_randomisation"].tolist() == [table.loc["other", "p_randomisation"]]


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_the_test_of_a_stratification_factor_holds_its_level(endpoint: str):
    """Without interaction, 60 trials: more than 8 p-values at or below 0.05 have a probability of 0.005."""
    p = [
        fit_domain(cohort, endpoint, cohort.markers, randomisations=199, seed=seed)
        .table.set_index("biomarker")
        .loc["receptor", "p_randomisation"]
        for seed in range(60)
        for cohort in [stratified_by_a_marker(seed, 0.0, 60)]
    ]
    assert np.sum(np.array(p) <= 0.05) <= 8
    assert np.median(p) < 0.8


def test_only_the_primary_population_is_analysed():
    cohort = trial(n=100, markers=3)
    subjects = cohort.subjects.copy()
    subjects["in_population"] = np.arange(100) >= 20
    part = type(cohort)(
        cohort.study, subjects, cohort.markers, *([cohort.samples] * 3), cohort.pathways
    )
    whole = fit_models(part, "PFS", part.markers)
    alone = fit_models(part.analysed(), "PFS", part.analysed().markers)
    pd.testing.assert_frame_equal(whole, alone)
    assert (whole["n"] == 80).all()


def test_fits_travel_through_a_file(tmp_path):
    cohort = trial(n=60, markers=3)
    fits = fit_domain(cohort, "PFS", cohort.markers, randomisations=19)
    fits.write(tmp_path / "fits.parquet")
    again = DomainFits.read(tmp_path / "fits.parquet")
    pd.testing.assert_frame_equal(again.maxima, fits.maxima)
    pd.testing.assert_frame_equal(again.table, fits.table, check_dtype=False)


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_no_markers_give_a_table_without_rows(endpoint):
    cohort = trial(n=60, markers=1)
    nothing = cohort.markers.where([False])
    assert list(fit_models(cohort, endpoint, nothing).columns) == [*COLUMNS, *GATHERING]
    assert list(screen(cohort, endpoint, nothing).columns) == COLUMNS


def test_threads_are_not_dealt_out_twice(monkeypatch: pytest.MonkeyPatch):
    """Two threads that each call a linear algebra of two threads took ten times as long on two cores."""
    seen = []
    interactions = model._interactions

    def looked_at(*asked, **more):
        seen.append({x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"})
        return interactions(*asked, **more)

    monkeypatch.setattr(model, "_interactions", looked_at)
    cohort, _ = pbc()
    with threadpool_limits(2, user_api="blas"):
        fit_domain(cohort, "OS", cohort.markers, randomisations=9, threads=2)
        assert {x["num_threads"] for x in threadpool_info() if x["user_api"] == "blas"} == {2}
    assert seen == [{1}]


def test_one_arm_gets_main_effects_only():
    source = trial(n=90, markers=2, strata=2, seed=8)
    s = source.subjects
    cohort = cohort_of(
        source.markers,
        arm=None,
        endpoints={
            "PFS": (s["PFS_months"].to_numpy(), s["PFS_event"].to_numpy()),
            "ORR": s["ORR"].to_numpy(),
        },
        strata=s["stratum"].to_numpy(),
        age=s["age"].to_numpy(),
    )
    table = screen(cohort, "PFS", covariates=["age"]).sort_values("biomarker").reset_index()
    assert list(table.columns[1:]) == PROGNOSTIC_COLUMNS
    m = cohort.markers.value[0] / cohort.markers.value[0].std(ddof=1)
    alone = fit_cox(
        s["PFS_months"], s["PFS_event"], np.column_stack([m, s["age"]]), s["stratum"].to_numpy()
    )
    row = table.iloc[0]
    found = row[["marker_effect", "marker_effect_low", "marker_effect_high"]]
    expected = with_limits(alone, s["PFS_event"].sum(), 2, len(s) - 1)
    assert np.log(found.to_numpy(dtype=float)) == approx(expected, rel=1e-6)
    assert row["p_prognostic"] == approx(alone.test(0).p, rel=1e-6)
    assert row["p_ph"] == approx(proportional_hazards(alone).terms[0].p, rel=1e-6)
    text = table.to_csv() + screen(cohort, "ORR").to_csv()
    assert "predictive" not in text
    assert "interaction" not in text
    with pytest.raises(ValueError, match="two arms"):
        fit_models(cohort, "PFS", cohort.markers)
    assert list(fit_prognostic_models(cohort, "PFS", cohort.markers.where([False, False])).columns)


def test_a_covariate_that_does_not_exist_is_named():
    cohort = trial(n=60, markers=1)
    with pytest.raises(
        KeyError, match=r"predictive\.covariates: the subjects table has no column x"
    ):
        fit_models(cohort, "PFS", cohort.markers, ["x"])


def test_a_marker_whose_limits_may_be_too_narrow_is_said_to_be_one():
    """Log-normal and not transformed, in a Cox model: yes. Transformed, normal, counted or binary: no."""
    rng = np.random.default_rng(3)
    n = 132
    tailed = np.exp(rng.normal(size=n))
    values = {
        "tailed": tailed,
        "transformed": tailed,
        "counted": np.round(4 * tailed) + 1,
        "normal": 10 + rng.normal(size=n),
        "binary": (tailed > 2).astype(float),
        "cut": tailed,
    }
    entries = {
        "transformed": {"transform": "log2"},
        "counted": {"kind": "count"},
        "cut": {"cutpoint": 2.0, "cut_rule": ">="},
    }
    cohort = trial(n=n, seed=3)
    markers = markers_of(cohort.markers.subjects, values, entries)
    rows = marker_rows(markers)
    found = rows.info.loc[rows.long_tailed, ["biomarker", "kind"]].to_numpy().tolist()
    assert found == [["tailed", "continuous"], ["cut", "continuous"]]
    told = {
        endpoint: fit_models(cohort, endpoint, markers)["note"].str.contains(LONG_TAIL, regex=False)
        for endpoint in ("PFS", "ORR")
    }
    assert (told["PFS"].to_numpy() == rows.long_tailed).all()
    # limits of logistic models, with their penalty, hold
    assert not told["ORR"].any()
