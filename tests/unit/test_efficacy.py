import numpy as np
import pandas as pd
import pytest
from pytest import approx
from reference_answers import answers, table, trial

from correlatives import efficacy
from correlatives.binary.logistic import fit_logistic
from correlatives.cohort import EMPTY, Cohort, Markers
from correlatives.markers import INFO, MEASURED, MISSING
from correlatives.survival.cox import fit_cox
from correlatives.survival.kaplan_meier import KaplanMeier

DAYS = 30.4375
CURVES = answers("km_logrank_rmst.json")["gbsg"]
TIME = {"type": "time_to_event"}


def cohort_of(subjects, endpoints, *, strata=(), randomised=True, markers=None):
    subjects = subjects.reset_index(drop=True)
    subjects["subject_id"] = [f"{i:04d}" for i in range(len(subjects))]
    if "in_population" not in subjects:
        subjects["in_population"] = True
    arms = {"control": "none", "experimental": "hormone"} if randomised else {"all": "hormone"}
    if not randomised:
        subjects["arm_code"] = np.nan
    subjects["stratum"] = subjects.groupby(list(strata), sort=True).ngroup() if len(strata) else 0
    study = {
        "design": "randomised" if randomised else "single_arm",
        "arms": arms,
        "strata": list(strata),
        "endpoints": endpoints,
        "baseline": "baseline",
    }
    ids = subjects["subject_id"].to_numpy(dtype=object)
    empty = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
    return Cohort(
        study=study,
        subjects=subjects,
        markers=Markers.empty(ids) if markers is None else markers(ids),
        **empty,
    )


@pytest.fixture(scope="module")
def gbsg():
    """German breast cancer study: recurrence-free survival with and without hormones, strata menopause."""
    data = trial("gbsg")
    return pd.DataFrame(
        {
            "arm_code": data["arm"].astype(float),
            "RFS_months": data["time"] / DAYS,
            "RFS_event": data["event"].astype(float),
            "meno": np.where(data["meno"] == 1, "post", "pre"),
            "age": data["age"].astype(float),
            "grade": data["grade"].astype(float),
        }
    )


@pytest.fixture(scope="module")
def arthritis():
    data = table("data/arthritis_arm.csv")
    return pd.DataFrame(
        {
            "arm_code": data["arm"].astype(float),
            "ORR": data["resp"].astype(float),
            "sex": data["Sex"],
            "age": data["Age"].astype(float),
        }
    )


def test_survival_by_arm_agrees_with_r(gbsg):
    cohort = cohort_of(gbsg, {"RFS": {**TIME, "rmst_horizon_months": 36}})
    result = efficacy.survival_by_arm(cohort)
    assert list(result.columns) == efficacy.SURVIVAL_BY_ARM
    assert result["arm"].tolist() == ["none", "hormone"]
    for row, label in zip(result.itertuples(), ("0", "1"), strict=True):
        answer = CURVES["curves"][label]
        assert (row.n, row.events) == (answer["n"], answer["events"])
        limits = [
            np.nan if v == "NA" else v / DAYS
            for v in (answer["log-log"][k] for k in ("median", "lower", "upper"))
        ]
        assert [row.median, row.median_low, row.median_high] == approx(limits, nan_ok=True)
        assert row.rmst == approx(answer["rmst"]["1095.75"][0] / DAYS)
        assert row.followup_median == approx(answer["followup"][0] / DAYS)


def test_survival_contrast_agrees_with_r(gbsg):
    cohort = cohort_of(gbsg, {"RFS": {**TIME, "rmst_horizon_months": 36}}, strata=["meno"])
    result = efficacy.survival_contrast(cohort)
    assert list(result.columns) == efficacy.SURVIVAL_CONTRAST
    row = result.iloc[0]
    assert (row["n"], row["events"], row["rmst_horizon"]) == (686, 299, 36)
    assert row["p_logrank"] == approx(CURVES["logrank"]["plain_rho0"]["p"])
    assert row["p_logrank_stratified"] == approx(CURVES["logrank"]["stratified_rho0"]["p"])
    difference = CURVES["rmst_diff"]["1095.75"]
    assert row[
        ["rmst_difference", "rmst_difference_low", "rmst_difference_high"]
    ].to_list() == approx(
        [difference[part] / DAYS for part in ("group2_minus_group1", "lower", "upper")]
    )
    fit = fit_cox(gbsg["RFS_months"], gbsg["RFS_event"], gbsg["arm_code"], gbsg["meno"])
    assert row[["hr", "hr_low", "hr_high"]].to_list() == approx(np.exp(fit.interval(0)).tolist())
    assert 0 < row["p_ph"] < 1
    plain = efficacy.survival_contrast(cohort_of(gbsg, {"RFS": TIME})).iloc[0]
    assert np.isnan(plain["p_logrank_stratified"])
    longest = gbsg.groupby("arm_code")["RFS_months"].max().min()
    assert plain["rmst_horizon"] == longest


def test_missing_outcomes_and_other_populations_are_left_out(gbsg):
    subjects = gbsg.copy()
    subjects.loc[:9, "RFS_months"] = np.nan
    subjects["in_population"] = np.arange(len(subjects)) < 500
    row = efficacy.survival_contrast(cohort_of(subjects, {"RFS": TIME})).iloc[0]
    assert row["n"] == 490


def test_milestones_stated_and_by_default(gbsg):
    stated = cohort_of(gbsg, {"RFS": {**TIME, "milestones_months": [60, 12, 200]}})
    result = efficacy.milestones(stated)
    assert list(result.columns) == efficacy.MILESTONES
    assert result["months"].tolist() == [12, 60, 200] * 2
    control = result[result["arm"] == "none"].set_index("months")
    answer = {round(l["time"] / DAYS): l for l in CURVES["curves"]["0"]["log-log"]["landmark"]}  # noqa: E741
    for month in (12, 60):
        row = control.loc[month]
        assert row["survival"] == approx(answer[month]["surv"])
        assert row["survival_low"] == approx(answer[month]["lower"])
        assert row["survival_high"] == approx(answer[month]["upper"])
        assert row["at_risk"] == answer[month]["n_risk"]
    assert np.isnan(control.loc[200, "survival"])
    assert control.loc[200, "at_risk"] == 0
    default = efficacy.milestones(cohort_of(gbsg, {"RFS": TIME}))
    assert default["months"].tolist() == [6, 12, 18, 24, 30, 36] * 2


def test_milestone_before_any_event_has_no_limits():
    subjects = pd.DataFrame(
        {"arm_code": [0.0, 0.0, 1.0, 1.0], "OS_months": [8.0, 9, 7, 13], "OS_event": [1.0, 1, 0, 1]}
    )
    result = efficacy.milestones(cohort_of(subjects, {"OS": TIME}))
    assert result["survival"].tolist()[0] == 1
    assert np.isnan(result.loc[0, ["survival_low", "survival_high"]].astype(float)).all()


def test_milestones_at_a_tie_and_beyond_follow_up():
    """At risk is counted just before the time, survival just after it (by hand)."""
    subjects = pd.DataFrame(
        {
            "arm_code": [0.0, 0.0, 0.0, 0.0, 1.0, 1.0],
            "OS_months": [6.0, 6, 9, 12, 6, 10],
            "OS_event": [1.0, 0, 1, 1, 1, 0],
        }
    )
    result = efficacy.milestones(
        cohort_of(subjects, {"OS": {**TIME, "milestones_months": [6, 24]}})
    )
    assert result["at_risk"].tolist() == [4, 0, 2, 0]
    # The control arm's last subject had the event: 0 for good. The other arm's was censored: nobody knows.
    assert result["survival"].tolist()[:3] == [0.75, 0.0, 0.5]
    assert np.isnan(result["survival"].iloc[3])
    assert result["survival_high"].isna().tolist() == [False, True, False, True]


def test_single_arm_has_rates_and_curves_and_no_contrast(gbsg, arthritis):
    endpoints = {
        "RFS": {**TIME, "historical": {"value": 50.0, "unit": "months", "source": "stated"}},
        "ORR": {
            "type": "response",
            "historical": {"value": 0.3, "unit": "fraction", "source": "stated"},
        },
    }
    treated = gbsg[gbsg["arm_code"] == 1].reset_index(drop=True)
    treated["ORR"] = pd.Series([1.0] * 6 + [0.0] * 12)
    cohort = cohort_of(treated, endpoints, randomised=False)
    arms = efficacy.survival_by_arm(cohort)
    assert arms["arm"].tolist() == ["hormone"]
    assert arms["n"].tolist() == [246]
    response = efficacy.response_by_arm(cohort).iloc[0]
    assert (response["responders"], response["n"]) == (6, 18)
    # Haley 2021's 33 % (13-59).
    assert [round(100 * response[part]) for part in ("rate", "rate_low", "rate_high")] == [
        33,
        13,
        59,
    ]
    assert not len(efficacy.survival_contrast(cohort))
    assert not len(efficacy.response_contrast(cohort))
    assert not len(efficacy.subgroups(cohort, "RFS", ["meno"]))
    result = efficacy.historical(cohort).set_index("endpoint")
    assert list(result.columns) == efficacy.HISTORICAL[1:]
    assert result.loc["ORR", "p_binomial_exact"] == approx(0.798, abs=1e-3)
    expected = np.log(2) / 50 * treated["RFS_months"].sum()
    assert result.loc["RFS", "events_expected"] == approx(expected)
    assert result.loc["RFS", "measure"] == "median_months"
    statistic = (94 - expected) ** 2 / expected
    from scipy.stats import chi2

    assert result.loc["RFS", "p_logrank_one_sample"] == approx(chi2.sf(statistic, 1))
    assert not len(efficacy.historical(cohort_of(gbsg, endpoints)))


def test_response_by_arm_with_duration(arthritis):
    subjects = arthritis.copy()
    responders = subjects["ORR"] == 1
    subjects["DOR_months"] = np.where(responders, np.arange(len(subjects)) % 9 + 1.0, np.nan)
    subjects["DOR_event"] = np.where(responders, 1.0, np.nan)
    subjects.loc[0, "ORR"] = np.nan
    endpoints = {
        "ORR": {"type": "response", "responders": ["CR", "PR"]},
        "DOR": {"type": "duration_of_response", "of": "ORR"},
    }
    cohort = cohort_of(subjects, endpoints)
    result = efficacy.response_by_arm(cohort)
    assert list(result.columns) == efficacy.RESPONSE_BY_ARM
    assert result["n"].sum() == len(subjects) - 1
    inside = (subjects["arm_code"] == 0) & (subjects["ORR"] == 1)
    median = KaplanMeier(subjects["DOR_months"][inside], subjects["DOR_event"][inside]).median()
    assert result.loc[
        0, ["duration_median", "duration_median_low", "duration_median_high"]
    ].to_list() == approx(list(median))
    assert efficacy.survival_by_arm(cohort)["endpoint"].tolist() == ["DOR", "DOR"]
    # Responders are not randomised groups.
    assert not len(efficacy.survival_contrast(cohort))


def test_response_contrast_agrees_with_r(arthritis):
    reference = answers("binary.json")
    endpoints = {"ORR": {"type": "response"}}
    plain = efficacy.response_contrast(cohort_of(arthritis, endpoints)).iloc[0]
    assert list(plain.index) == efficacy.RESPONSE_CONTRAST
    precise = answers("fisher_precise.json")["arthritis"]
    assert plain[["odds_ratio", "odds_ratio_low", "odds_ratio_high"]].to_list() == approx(
        [precise[part] for part in ("or", "lower", "upper")]
    )
    assert plain["p_fisher"] == approx(reference["fisher_arthritis"]["p"])
    assert np.isnan(plain["p_cmh"])
    newcombe = next(a for a in reference["risk_difference"] if (a["x1"], a["n1"]) == (28, 41))
    assert plain[["difference", "difference_low", "difference_high"]].to_list() == approx(
        [newcombe[part] for part in ("diff", "mn_lower", "mn_upper")]
    )
    stratified = efficacy.response_contrast(cohort_of(arthritis, endpoints, strata=["sex"])).iloc[0]
    answer = reference["mantel_haenszel"]["arthritis_arm_resp_by_sex"]
    assert stratified["p_cmh"] == approx(answer["p"])
    assert stratified[["odds_ratio", "odds_ratio_low", "odds_ratio_high"]].to_list() == approx(
        [answer[part] for part in ("or", "lower", "upper")]
    )


def test_infinite_odds_ratio_is_empty():
    subjects = pd.DataFrame({"arm_code": [0.0] * 5 + [1.0] * 5, "ORR": [0.0] * 5 + [1.0] * 5})
    row = efficacy.response_contrast(cohort_of(subjects, {"ORR": {"type": "response"}})).iloc[0]
    assert np.isnan(row["odds_ratio"])
    assert np.isnan(row["odds_ratio_high"])
    assert row["odds_ratio_low"] > 1
    assert row["difference"] == 1


def test_subgroups_of_survival(gbsg):
    cohort = cohort_of(gbsg, {"RFS": TIME})
    result = efficacy.subgroups(cohort, "RFS", ["meno", "grade", "age"])
    assert result["level"].tolist() == ["all", "post", "pre", "1", "2", "3", "≤ 53", "> 53"]
    everybody = result.iloc[0]
    contrast = efficacy.survival_contrast(cohort).iloc[0]
    for part in ("hr", "hr_low", "hr_high"):
        assert everybody[part] == contrast[part]
    post = gbsg[gbsg["meno"] == "post"]
    fit = fit_cox(post["RFS_months"], post["RFS_event"], post["arm_code"])
    assert result.loc[1, "hr"] == approx(np.exp(fit.coefficients[0]))
    assert result.loc[1, "n_control"] + result.loc[1, "n_experimental"] == len(post)
    # R's subgroup table: log HR in age <= 53 and > 53, -0.3722 and -0.4319.
    assert np.log(result.loc[6, "hr"]) == approx(-0.372220102661282, rel=1e-8)
    assert np.log(result.loc[7, "hr"]) == approx(-0.431948141047008, rel=1e-8)
    counts = ["n_control", "n_experimental", "events_control", "events_experimental"]
    for factor in ("meno", "grade", "age"):
        assert (
            result[result["factor"] == factor][counts].sum().tolist() == everybody[counts].tolist()
        )
    arm, post = gbsg["arm_code"], (gbsg["meno"] == "post").astype(float)
    joint = fit_cox(gbsg["RFS_months"], gbsg["RFS_event"], np.column_stack([arm, post, arm * post]))
    assert result.loc[1, "p_interaction_lrt"] == approx(joint.test(2).p)
    assert result.loc[2, "p_interaction_lrt"] == result.loc[1, "p_interaction_lrt"]
    assert np.isfinite(result.loc[3, "p_interaction_lrt"])


def test_subgroups_of_response_with_strata(arthritis):
    cohort = cohort_of(arthritis, {"ORR": {"type": "response"}}, strata=["sex"])
    result = efficacy.subgroups(cohort, "ORR", ["sex", "age"])
    female = (arthritis["sex"] == "Female").to_numpy(float)
    design = np.column_stack([female, arthritis["arm_code"]])
    fit = fit_logistic(arthritis["ORR"], design, firth=True)
    effect = result.iloc[0][["odds_ratio", "odds_ratio_low", "odds_ratio_high"]].to_list()
    assert effect == approx(np.exp(fit.interval(2)).tolist(), rel=1e-8)
    women = arthritis[arthritis["sex"] == "Female"]
    alone = fit_logistic(women["ORR"], women["arm_code"], firth=True)
    assert result.loc[1, "odds_ratio"] == approx(np.exp(alone.coefficients[1]))
    assert "Firth" in result.loc[1, "method"]
    both = efficacy.all_subgroups(cohort, ["sex"])
    assert both["endpoint"].unique().tolist() == ["ORR"]
    assert both["hr"].isna().all()


def test_subgroup_without_a_maximum_is_firth_and_says_so(gbsg):
    subjects = gbsg.head(40).copy()
    subjects["group"] = np.where(np.arange(40) < 12, "few", "rest")
    inside = subjects["group"] == "few"
    subjects.loc[inside, "arm_code"] = np.tile([0.0, 1.0], 6)
    subjects.loc[inside, "RFS_event"] = np.tile([1.0, 0.0], 6)
    subjects["only"] = np.where(subjects["arm_code"] == 1, "a", "b")
    result = efficacy.subgroups(cohort_of(subjects, {"RFS": TIME}), "RFS", ["group", "only"])
    few = result[result["level"] == "few"].iloc[0]
    assert "Firth" in few["method"]
    assert np.isfinite([few["hr"], few["hr_low"], few["hr_high"]]).all()
    one_arm = result[result["level"] == "a"].iloc[0]
    assert np.isnan(one_arm["hr"])
    assert "one arm" in one_arm["method"]
    assert np.isnan(one_arm["p_interaction_lrt"])


def test_levels_of_a_factor():
    code, labels = efficacy.levels_of_factor(pd.Series(["b", None, "a", "b"]))
    assert (code.tolist(), labels) == ([1, -1, 0, 1], ["a", "b"])
    code, labels = efficacy.levels_of_factor(pd.Series([2.0, np.nan, 0.0]))
    assert (code.tolist(), labels) == ([1, -1, 0], ["0", "2"])
    code, labels = efficacy.levels_of_factor(pd.Series([1.0, 2, 3, 4, 5, 6, np.nan]))
    assert (code.tolist(), labels) == ([0, 0, 0, 1, 1, 1, -1], ["≤ 3.5", "> 3.5"])
    _, labels = efficacy.levels_of_factor(pd.Series([1.0, 2, 3, 4, 5, 9, 9, 9, 9, 9, 9]))
    assert labels == ["≤ 5", "> 5"]


def markers_of(measured):
    def build(ids):
        info = pd.DataFrame({column: [""] for column in INFO}, dtype=object)
        info.loc[0, ["biomarker", "specimen", "timepoint", "domain"]] = [
            "TK1",
            "serum",
            "baseline",
            "blood",
        ]
        state = np.where(measured, MEASURED, MISSING)[None].astype(np.uint8)
        return Markers(ids, info, np.where(measured, 1.0, np.nan)[None], state)

    return build


def test_table_one(gbsg):
    subjects = gbsg.copy()
    subjects.loc[3, "meno"] = None
    measured = np.arange(len(subjects)) % 3 != 0
    cohort = cohort_of(subjects, {"RFS": TIME}, markers=markers_of(measured))
    result = efficacy.table_one(cohort, ["age", "meno", "grade"])
    assert list(result.columns) == efficacy.TABLE_ONE
    first = result.iloc[0]
    assert (first["all"], first["evaluable_blood"], first["control"]) == (686, measured.sum(), 440)
    age = result[result["variable"] == "age"].set_index("statistic")
    assert age.loc["median", "all"] == gbsg["age"].median()
    assert age.loc["q3", "control"] == gbsg.loc[gbsg["arm_code"] == 0, "age"].quantile(0.75)
    a, b = (gbsg.loc[gbsg["arm_code"] == code, "age"] for code in (0, 1))
    smd = abs(a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
    assert age.loc["median", "smd_arms"] == approx(smd)
    meno = result[result["variable"] == "meno"]
    assert meno[meno["statistic"] == "missing"]["all"].item() == 1
    fractions = meno[meno["statistic"] == "fraction"]
    assert fractions[
        ["all", "evaluable_blood", "control", "experimental"]
    ].sum().to_list() == approx([1] * 4)
    p, q = (gbsg.drop(3).query("arm_code == @code")["meno"].eq("pre").mean() for code in (0, 1))
    binary = abs(p - q) / np.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    assert meno["smd_arms"].iloc[0] == approx(binary)
    grade = result[result["variable"] == "grade"]
    assert (grade["statistic"] == "count").sum() == 3
    assert np.isfinite(grade["smd_evaluable_blood"].iloc[0])
    assert result[["evaluable_tissue", "smd_evaluable_tissue"]].isna().all(axis=None)


def test_table_one_of_a_single_arm_without_markers(gbsg):
    result = efficacy.table_one(cohort_of(gbsg, {"RFS": TIME}, randomised=False), ["age"])
    assert result.iloc[0]["all"] == 686
    assert result["control"].isna().all()
    assert result[["evaluable_blood", "smd_evaluable_blood"]].isna().all(axis=None)


def test_three_level_standardised_difference_is_a_mahalanobis_distance():
    """Independent of the level left out (Yang & Dalton 2012)."""
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 3, 50), rng.choice(3, 60, p=[0.5, 0.3, 0.2])
    distances = []
    for left_out in range(3):
        levels = [level for level in range(3) if level != left_out]
        parts = [(group[:, None] == levels).astype(float) for group in (first, second)]
        distances.append(efficacy.standardised_difference(*parts))
    assert distances == approx([distances[0]] * 3)


def test_without_endpoints_every_table_is_empty_with_its_columns(gbsg):
    cohort = cohort_of(gbsg[["arm_code"]].copy(), {"PFS": TIME, "ORR": {"type": "response"}})
    for name, columns in (
        ("survival_by_arm", efficacy.SURVIVAL_BY_ARM),
        ("survival_contrast", efficacy.SURVIVAL_CONTRAST),
        ("milestones", efficacy.MILESTONES),
        ("response_by_arm", efficacy.RESPONSE_BY_ARM),
        ("response_contrast", efficacy.RESPONSE_CONTRAST),
        ("historical", efficacy.HISTORICAL),
    ):
        result = getattr(efficacy, name)(cohort)
        assert not len(result)
        assert list(result.columns) == columns
    assert not len(efficacy.subgroups(cohort, "PFS", []))


def test_an_arm_without_subjects_is_described_and_not_compared(gbsg):
    subjects = gbsg[gbsg["arm_code"] == 0].copy()
    subjects["ORR"] = 0.0
    cohort = cohort_of(subjects, {"RFS": TIME, "ORR": {"type": "response"}})
    arms = efficacy.survival_by_arm(cohort)
    assert arms["n"].tolist() == [440, 0]
    assert np.isnan(arms.loc[1, "median"])
    contrast = efficacy.survival_contrast(cohort).iloc[0]
    assert np.isnan(contrast[["hr", "p_logrank", "rmst_difference"]].astype(float)).all()
    assert efficacy.milestones(cohort)["at_risk"].tolist()[-1] == 0
    assert np.isnan(efficacy.response_by_arm(cohort).loc[1, "rate"])
    response = efficacy.response_contrast(cohort).iloc[0]
    assert np.isnan(response[["difference", "odds_ratio", "p_fisher"]].astype(float)).all()


def test_nullable_numbers_are_numbers():
    code, labels = efficacy.levels_of_factor(pd.Series([1, None, 0], dtype="Int64"))
    assert (code.tolist(), labels) == ([1, -1, 0], ["0", "1"])
