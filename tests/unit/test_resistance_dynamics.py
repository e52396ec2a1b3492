"""Early change and survival from the landmark: who is left out, and what a naive analysis would say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, UNREADABLE, marker, sample, trial

from correlatives.markers import BELOW, MEASURED
from correlatives.resistance.dynamics import COLUMNS, change_markers, dynamics, window_ends
from correlatives.survival.cox import fit_cox

INSPIRE = Path(__file__).parents[2].parent / "shared" / "data" / "inspire_ctdna"
RATIO = "ratio:TK1:C1D15"


def study(n=80, seed=1, **options):
    """Two arms; the ratio is prognostic in the experimental one; every draw on day 15."""
    random = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    ratio = random.normal(size=n)
    months = random.exponential(6.0 * np.exp(-0.6 * ratio * arm))
    event = (random.random(n) < 0.8).astype(float)
    values = [r if m > 0.5 else None for r, m in zip(ratio, months, strict=True)]
    return trial(
        arm.tolist(),
        [marker(RATIO, "serum", "C1D15", values, kind="continuous")],
        samples=[sample(f"{i + 1:03d}", "serum", "C1D15", 14 / 30.4375) for i in range(n)],
        PFS_months=months,
        PFS_event=event,
        **options,
    )


def test_windows_of_the_configuration():
    timepoints = {
        "C1D15": {"visits": ["C1D15"], "window_days": [12, 19]},
        "progression": {"around": "progression", "window_days": [-28, 28]},
        "C2D1": {"visits": ["C2D1"]},
        "C3D1": None,
    }
    assert window_ends(timepoints) == {"C1D15": 19.0}


def test_denominators_by_hand():
    """Window until day 19: landmark 18 days after randomisation, 0.591 months.

    Experimental: an event at 0.3 (with a marker), censored at 0.5, exactly at the landmark, three beyond, of
    whom one has no marker. Control: one beyond.
    """
    landmark = 18 / 30.4375
    cohort = trial(
        [1, 1, 1, 1, 1, 1, 0],
        [marker(RATIO, "serum", "C1D15", [1.0, 2.0, 3.0, 4.0, 5.0, None, 1.0], kind="continuous")],
        PFS_months=[0.3, 0.5, landmark, 2.0, 3.0, 4.0, 5.0],
        PFS_event=[1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    )
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19}).set_index("arm")
    assert table["landmark"].tolist() == pytest.approx([landmark] * 3)
    assert table["n_at_landmark"].to_dict() == {CONTROL: 1, EXPERIMENTAL: 2, "all": 3}
    assert table["excluded_before_landmark"].to_dict() == {CONTROL: 0, EXPERIMENTAL: 3, "all": 3}


def test_a_late_start_of_treatment_moves_the_landmark():
    cohort = study(first_dose_day=[3.0] + [0.0] * 79)
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19})
    starts_late = np.isfinite(cohort.markers.value[0, 0])
    assert table["landmark"].iloc[0] == pytest.approx((21 if starts_late else 18) / 30.4375)


def test_a_timepoint_has_one_landmark_whatever_the_marker():
    """The subject who started on day 3 has one of the two markers only."""
    cohort = trial(
        [1, 1],
        [
            marker(RATIO, "serum", "C1D15", [1.0, 2.0], kind="continuous"),
            marker("ratio:ECD:C1D15", "serum", "C1D15", [None, 2.0], kind="continuous"),
        ],
        PFS_months=[5.0, 6.0],
        PFS_event=1.0,
        first_dose_day=[3.0, 0.0],
    )
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19})
    assert table["landmark"].unique() == pytest.approx([21 / 30.4375])


def test_without_a_window_the_latest_draw_is_the_landmark():
    table = dynamics(study(), ["C1D15"])
    assert table["landmark"].iloc[0] == pytest.approx(14 / 30.4375)


def test_without_window_and_dates_there_is_no_landmark_and_no_estimate():
    cohort = trial(
        [0, 1] * 5,
        [marker(RATIO, "serum", "C1D15", list(range(10)), kind="continuous")],
        PFS_months=np.arange(1.0, 11.0),
        PFS_event=1.0,
    )
    table = dynamics(cohort, ["C1D15"])
    assert table["landmark"].isna().all()
    assert table["n_at_landmark"].tolist() == [0, 0, 0]
    assert table["hr"].isna().all()


def test_a_sample_drawn_after_the_landmark_is_not_used():
    late = [sample("001", "serum", "C1D15", 3.0)]
    cohort = trial(
        [1, 1],
        [marker(RATIO, "serum", "C1D15", [1.0, 2.0], kind="continuous")],
        samples=late,
        PFS_months=[5.0, 6.0],
        PFS_event=1.0,
    )
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19}).set_index("arm")
    assert table.loc[EXPERIMENTAL, "n_at_landmark"] == 1


def test_the_naive_analysis_cannot_be_asked_for():
    with pytest.raises(ValueError, match="landmark"):
        dynamics(study(), ["baseline"])
    # A window that ends before randomisation gives no landmark either.
    assert dynamics(study(), ["C1D15"], {"C1D15": -3})["hr"].isna().all()


def test_estimates_are_those_of_the_models_at_the_landmark():
    cohort = study()
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19}).set_index("arm")
    time = cohort.subjects["PFS_months"].to_numpy()
    event = cohort.subjects["PFS_event"].to_numpy()
    arm = cohort.subjects["arm_code"].to_numpy()
    ratio = cohort.markers.value[0] / np.log(2)  # per doubling
    use = (time > 18 / 30.4375) & np.isfinite(ratio)
    inside = use & (arm == 1)
    fit = fit_cox(time[inside], event[inside], ratio[inside])
    row = table.loc[EXPERIMENTAL]
    assert tuple(row[["hr", "hr_low", "hr_high"]]) == pytest.approx(tuple(np.exp(fit.interval(0))))
    assert row["p_lrt"] == pytest.approx(fit.model_test().p, rel=1e-6)
    assert np.isnan(row["p_interaction_lrt"])
    both = fit_cox(time[use], event[use], ratio[use], strata=arm[use])
    full = fit_cox(
        time[use], event[use], np.column_stack([ratio, ratio * arm])[use], strata=arm[use]
    )
    assert table.loc["all", "hr"] == pytest.approx(np.exp(both.coefficients[0]))
    assert table.loc["all", "p_interaction_lrt"] == pytest.approx(full.test(1).p, rel=1e-6)
    assert full.loglik > both.loglik


def test_strata_of_randomisation_are_strata_of_the_model():
    cohort = study(stratum=(np.arange(80) // 2) % 2)
    plain = dynamics(cohort, ["C1D15"], {"C1D15": 19})
    cohort.study["strata"] = ["site"]
    stratified = dynamics(cohort, ["C1D15"], {"C1D15": 19})
    assert (plain["hr"] != stratified["hr"]).all()


def test_a_change_that_separates_the_events_has_a_finite_estimate():
    """Cleared in all who did not progress: Firth's penalty."""
    n = 20
    cleared = [0.0] * 10 + [1.0] * 10
    cohort = trial(
        [1] * n,
        [
            marker("gene:PIK3CA", "plasma", "baseline", [1] * n),
            marker("gene:PIK3CA", "plasma", "C1D15", [1 - c for c in cleared]),
        ],
        PFS_months=np.r_[np.linspace(1, 5, 10), np.linspace(6, 12, 10)],
        PFS_event=np.r_[np.ones(10), np.zeros(10)],
    )
    row = dynamics(cohort, ["C1D15"], {"C1D15": 19}).set_index("arm").loc[EXPERIMENTAL]
    assert row["biomarker"] == "clearance:PIK3CA:C1D15"
    assert 0 < row["hr_low"] < row["hr"] < row["hr_high"] < 1
    assert row["p_lrt"] < 0.01


def test_clearance_is_of_who_had_something_to_clear():
    """Altered at baseline: subjects 1 to 3; the third's early sample cannot be read."""
    cohort = trial(
        [1] * 5,
        [
            marker("gene:PIK3CA", "plasma", "baseline", [1, 1, 1, 0, UNREADABLE]),
            marker("gene:PIK3CA", "plasma", "C1D15", [0, 1, UNREADABLE, 0, 1]),
            marker("max_vaf", "plasma", "baseline", [0.2, 0.1, "<0.01", 0.1, None], "continuous"),
            marker("max_vaf", "plasma", "C1D15", ["<0.01", 0.2, 0.1, "<0.01", 0.1], "continuous"),
        ],
    )
    found = change_markers(cohort.markers, "C1D15", "baseline")
    values = dict(zip(found.info["biomarker"], found.value.tolist(), strict=True))
    assert values["clearance:PIK3CA:C1D15"] == pytest.approx([1, 0, *[np.nan] * 3], nan_ok=True)
    assert values["clearance:max_vaf:C1D15"] == pytest.approx(
        [1, 0, np.nan, 1, np.nan], nan_ok=True
    )


def test_nothing_found_is_one_clearance():
    """The highest and the mean allele fraction are gone together: one test, not two of the same subjects."""
    both = ([0.2, 0.1, 0.3], ["<0.01", 0.2, 0.1])
    names = ("max_vaf", "mean_vaf")
    burdens = [
        marker(name, "plasma", when, values, "continuous")
        for name in names
        for when, values in zip(("baseline", "C1D15"), both, strict=True)
    ]
    burdens += [
        marker(f"ratio:{n}:C1D15", "plasma", "C1D15", [-1, 1, 0], "continuous") for n in names
    ]
    found = change_markers(trial([1] * 3, burdens).markers, "C1D15", "baseline")
    assert found.info["biomarker"].tolist() == [
        "clearance:max_vaf:C1D15",
        "ratio:max_vaf:C1D15",
        "ratio:mean_vaf:C1D15",
    ]
    # A mean that stands alone is followed.
    alone = [one for one in burdens if "mean" in one[0]["biomarker"]]
    found = change_markers(trial([1] * 3, alone).markers, "C1D15", "baseline")
    assert found.info["biomarker"].tolist()[0] == "clearance:mean_vaf:C1D15"


def test_all_is_stratified_by_arm_and_lies_between_the_arms():
    """Two packages, one number; with strata shared by the arms it lay outside theirs here (small strata)."""
    from statsmodels.duration.hazard_regression import PHReg

    random = np.random.default_rng(40)
    n = 40
    arm, stratum = np.arange(n) % 2, np.arange(n) // 2 % 4
    cleared = (random.random(n) < 0.3).astype(float)
    months = 1 + random.exponential(6.0 * np.exp(-0.8 * stratum * (1 - arm)))
    cohort = trial(
        arm.tolist(),
        [
            marker("gene:PIK3CA", "plasma", "baseline", [1] * n),
            marker("gene:PIK3CA", "plasma", "C1D15", (1 - cleared).tolist()),
        ],
        PFS_months=months,
        PFS_event=1.0,
        stratum=stratum,
    )
    cohort.study["strata"] = ["site"]
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19}).set_index("arm")
    for label, use in ((CONTROL, arm == 0), (EXPERIMENTAL, arm == 1), ("all", arm >= 0)):
        fit = PHReg(
            months[use],
            cleared[use, None],
            status=np.ones(use.sum()),
            strata=(2 * stratum + arm)[use],
            ties="efron",
        )
        assert table.loc[label, "hr"] == pytest.approx(
            np.exp(fit.fit(disp=False).params[0]), rel=1e-4
        )
    arms = table.loc[[CONTROL, EXPERIMENTAL], "hr"]
    assert arms.min() < table.loc["all", "hr"] < arms.max()


def test_a_ratio_mostly_beyond_its_limit_is_no_quantity():
    ratio = marker(RATIO, "serum", "C1D15", [0.5, -2.0, -2.0, -2.0], "continuous")
    cohort = trial([1] * 4, [ratio])
    cohort.markers.state[0, 1:] = BELOW
    assert len(change_markers(cohort.markers, "C1D15", "baseline")) == 0
    cohort.markers.state[0, 2:] = MEASURED
    (value,) = change_markers(cohort.markers, "C1D15", "baseline").value
    assert value == pytest.approx(np.array([0.5, -2.0 - np.log(2) / 2, -2.0, -2.0]) / np.log(2))


def test_one_change_in_all_subjects_says_nothing():
    cohort = study()
    cohort.markers.value[:] = np.where(np.isfinite(cohort.markers.value), 1.0, np.nan)
    assert dynamics(cohort, ["C1D15"], {"C1D15": 19})["hr"].isna().all()


def test_single_arm_study_has_all_only_and_no_interaction():
    cohort = trial(
        [None] * 10,
        [marker(RATIO, "serum", "C1D15", [1, 3, 2, 5, 4, 6, 9, 7, 8, 0], kind="continuous")],
        PFS_months=np.arange(1.0, 11.0),
        PFS_event=1.0,
    )
    table = dynamics(cohort, ["C1D15"], {"C1D15": 19})
    assert table["arm"].tolist() == ["all"]
    assert table["hr"].notna().all()
    assert table["p_interaction_lrt"].isna().all()


def test_without_data_there_is_a_header():
    nothing = trial([0, 1], [], PFS_months=[1.0, 2.0], PFS_event=1.0)
    pd.testing.assert_frame_equal(dynamics(nothing, ["C1D15"]), pd.DataFrame(columns=COLUMNS))
    pd.testing.assert_frame_equal(dynamics(nothing, []), pd.DataFrame(columns=COLUMNS))


def test_a_change_given_as_such_is_followed_from_its_landmark():
    """Of its own timepoint only, and never from baseline."""
    months = [0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    values = [1, 0, 1, 0, 1, 0, 1, 0]
    given = marker("change:ctDNA:C1D15", "plasma", "C1D15", values)
    other = marker("change:ctDNA:C2D1", "plasma", "C2D1", values)
    early = marker("change:TK1:C1D15", "serum", "baseline", values)
    cohort = trial([None] * 8, [given, other, early], PFS_months=months, PFS_event=1.0)
    found = change_markers(cohort.markers, "C1D15", "baseline").info["biomarker"]
    assert found.tolist() == ["change:ctDNA:C1D15"]
    (row,) = dynamics(cohort, ["C1D15"], {"C1D15": 19}).to_dict("records")
    assert row["landmark"] == pytest.approx(18 / 30.4375)
    assert (row["n_at_landmark"], row["excluded_before_landmark"]) == (7, 1)
    late = np.array(months) > row["landmark"]
    fit = fit_cox(np.array(months)[late], np.ones(7), np.array(values, dtype=float)[late])
    assert row["hr"] == pytest.approx(np.exp(fit.coefficients[0]))


def test_inspire_excludes_who_had_died_and_differs_from_the_naive_answer():
    """Bratman 2020, ctDNA change to cycle 3 (nine weeks) in 73 of 94: naive it looks more protective."""
    if not INSPIRE.exists():
        pytest.skip("the INSPIRE data are not beside this repository")
    data = pd.read_csv(INSPIRE / "pembrolizumab.csv")
    decreased = data["change_ctdna_group"].map(
        {"Decrease from baseline": 1.0, "Increase from baseline": 0.0}
    )
    values = [None if np.isnan(v) else v for v in decreased]
    cohort = trial(
        [None] * len(data),
        [marker("change:ctdna:C3", "plasma", "C3", values)],
        PFS_months=data["pfs_time"].to_numpy(),
        PFS_event=data["pfs_status"].to_numpy(dtype=float),
    )
    (row,) = dynamics(cohort, ["C3"], {"C3": 64}).to_dict("records")
    landmark = 63 / 30.4375
    time = data["pfs_time"].to_numpy()
    assert row["landmark"] == pytest.approx(landmark)
    assert row["excluded_before_landmark"] == (time <= landmark).sum()
    assert row["n_at_landmark"] == ((time > landmark) & decreased.notna()).sum()
    known = decreased.notna().to_numpy()
    naive = fit_cox(time[known], data["pfs_status"].to_numpy(float)[known], decreased[known])
    assert row["excluded_before_landmark"] > 0
    assert abs(np.log(row["hr"])) < abs(naive.coefficients[0])
