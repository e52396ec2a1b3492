"""The mixed model over all visits: closed forms, robust limits, days since the last dose, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, marker, sample, trial

from correlatives.resistance.longitudinal import (
    BEFORE_FIRST_DOSE,
    BY_DOSING,
    CHANGE,
    COLUMNS,
    DIFFERENCE,
    DOSING,
    MEAN,
    OVERALL,
    dosing_classes,
    fit_mixed_model,
    longitudinal,
)

VISITS = ("baseline", "C1D15", "C2D1", "progression")
ON, OFF, LONG_OFF = (label for _, label in DOSING)


def study(values, arm, transform="none", **options):
    """One serum marker, a row of values a visit."""
    markers = [
        marker("TK1", "serum", visit, row, kind="continuous", transform=transform)
        for visit, row in zip(VISITS, values, strict=False)
    ]
    cohort = trial(arm, markers, **options)
    cohort.study["timepoints"] = list(VISITS)
    return cohort


def simulated(n=60, seed=3, effect=(-1.5, 0.0, 0.0), noise=(0.1, 0.3, 0.5, 1.0)):
    """Visits that vary more and more; the arms differ at C1D15."""
    random = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    own = random.normal(size=n)
    change = np.array([[0.0, *effect]]).T * arm
    values = 5 + own + change + random.normal(size=(4, n)) * np.array(noise)[:, None]
    return values, arm.tolist()


def rows(table, quantity, **wanted):
    found = table[table["quantity"] == quantity]
    for column, value in wanted.items():
        found = found[found[column] == value]
    return found


def test_balanced_data_have_the_closed_form():
    """Complete data and one later visit: the difference is that of the later means less ρ times that at baseline.

    With one intercept at baseline, generalised least squares adjusts the later mean of each arm by its regression
    on the baseline, whose slope under a random intercept is ρ, the correlation of the fitted model.
    """
    random = np.random.default_rng(1)
    n = 40
    arm = np.arange(n) % 2
    base = random.normal(size=n)
    later = 0.7 * base + 0.5 * arm + random.normal(size=n)
    value = np.column_stack([base, later]).ravel()
    visit = np.tile([0, 1], n)
    both = np.repeat(arm, 2)
    design = np.column_stack([np.ones(2 * n), visit, visit * both])
    fit = fit_mixed_model(value, design, np.repeat(np.arange(n), 2))
    rho = fit.between / (fit.between + fit.within)
    gap = [x[arm == 1].mean() - x[arm == 0].mean() for x in (base, later)]
    assert fit.coefficients[2] == pytest.approx(gap[1] - rho * gap[0], abs=1e-8)
    assert fit.coefficients[0] == pytest.approx(base.mean(), abs=1e-8)


def test_the_covariance_is_the_sandwich_of_mancl_and_derouen():
    """Worked out subject by subject with dense inverses, on unbalanced data."""
    random = np.random.default_rng(2)
    subject = np.repeat(np.arange(30), [3, 2, 3] * 10)
    visit = np.concatenate([[0, 1, 2], [0, 2], [0, 1, 2]] * 10)
    arm = subject % 2
    value = random.normal(size=30)[subject] + random.normal(size=len(subject)) * (1 + visit)
    design = np.column_stack(
        [np.ones(len(subject)), visit == 1, visit == 2, (visit == 2) & (arm == 1)]
    ).astype(float)
    fit = fit_mixed_model(value, design, subject)
    parts = [np.flatnonzero(subject == one) for one in range(30)]
    # The ratio of the variances is the model's; its scale cancels.
    inverse = [np.linalg.inv(fit.within * np.eye(len(rows)) + fit.between) for rows in parts]
    bread = np.linalg.inv(
        sum(design[rows].T @ v @ design[rows] for rows, v in zip(parts, inverse, strict=True))
    )
    meat = np.zeros((4, 4))
    for rows, v in zip(parts, inverse, strict=True):
        leverage = design[rows] @ bread @ design[rows].T @ v
        residual = value[rows] - design[rows] @ fit.coefficients
        score = design[rows].T @ v @ np.linalg.solve(np.eye(len(rows)) - leverage, residual)
        meat += np.outer(score, score)
    assert fit.covariance == pytest.approx(bread @ meat @ bread, rel=1e-6)


def test_the_restricted_maximum_is_statsmodels_whatever_the_order_and_offset():
    from statsmodels.regression.mixed_linear_model import MixedLM

    for seed in range(4):
        random = np.random.default_rng(seed)
        subject = np.repeat(np.arange(30), 4)[random.random(120) < 0.8]
        visit = random.integers(0, 3, len(subject))
        design = np.column_stack([np.ones(len(subject)), visit == 1, visit == 2]).astype(float)
        own = random.normal(size=30) * (1.0 + seed)
        value = own[subject] + design @ [1.0, 0.5, -0.5] + random.normal(size=len(subject))
        fit = fit_mixed_model(value, design, subject)
        peer = MixedLM(value, design, groups=subject).fit(reml=True)
        assert fit.coefficients == pytest.approx(peer.fe_params, abs=1e-5)
        assert fit.between / fit.within == pytest.approx(peer.cov_re[0, 0] / peer.scale, rel=1e-3)
        order = random.permutation(len(subject))
        moved = fit_mixed_model(1e7 + value[order], design[order], subject[order])
        assert moved.coefficients - [1e7, 0, 0] == pytest.approx(fit.coefficients, abs=1e-6)
        assert moved.covariance == pytest.approx(fit.covariance, rel=1e-5, abs=1e-9)


def test_degrees_of_freedom_are_those_of_two_equal_arms():
    """20 + 20 subjects, one later visit: a comparison of two means of 20, which has 38 and loses some to the baseline."""
    random = np.random.default_rng(3)
    value = np.repeat(random.normal(size=40), 2) + random.normal(size=80)
    visit, arm = np.tile([0.0, 1.0], 40), np.repeat(np.arange(40) % 2, 2)
    design = np.column_stack([np.ones(80), visit, visit * arm])
    freedom = fit_mixed_model(value, design, np.repeat(np.arange(40), 2)).freedom(np.eye(3)[2])
    assert 35 < freedom <= 38


def test_robust_limits_hold_their_level_where_visits_vary_differently():
    """46 subjects, no difference between the arms, later visits vary more: the model's own errors are wrong."""
    random = np.random.default_rng(4)
    n, trials = 46, 60
    arm = np.repeat(np.arange(n) % 3 == 0, 4)
    visit = np.tile(np.arange(4), n)
    subject = np.repeat(np.arange(n), 4)
    design = np.column_stack(
        [np.ones(4 * n)] + [visit == v for v in (1, 2, 3)] + [(visit == v) & arm for v in (1, 2, 3)]
    ).astype(float)
    deviation = np.array([0.1, 0.3, 0.8, 1.2])[visit] * np.where(arm, 2.0, 0.7)
    rejected = 0
    for _ in range(trials):
        value = np.repeat(random.normal(size=n), 4) + deviation * random.normal(size=4 * n)
        rejected += fit_mixed_model(value, design, subject).joint_p([4, 5, 6]) < 0.05
    # 9 or more of 60 has a probability below 0.005 at 0.05; model-based errors reject 18 (0.31 of trials).
    assert rejected < 9


def test_rows_are_means_changes_and_differences_on_the_scale_of_the_transform():
    values, arm = simulated()
    table = longitudinal(study((2.0**values).tolist(), arm, "log2"), "baseline", "progression")
    assert table["scale"].unique().tolist() == ["log2"]
    means = rows(table, MEAN)
    assert means["timepoint"].tolist() == ["baseline", *VISITS[1:], *VISITS[1:]]
    assert means["arm"].tolist() == ["all", *[CONTROL] * 3, *[EXPERIMENTAL] * 3]
    (base,) = rows(table, MEAN, timepoint="baseline")["estimate"]
    for label in (CONTROL, EXPERIMENTAL):
        mean = rows(table, MEAN, arm=label)["estimate"].to_numpy()
        change = rows(table, CHANGE, arm=label)["estimate"].to_numpy()
        assert mean - base == pytest.approx(change)
    difference = rows(table, DIFFERENCE).set_index("timepoint")
    control, experimental = (
        rows(table, CHANGE, arm=label).set_index("timepoint")["estimate"]
        for label in (CONTROL, EXPERIMENTAL)
    )
    assert difference["estimate"].tolist() == pytest.approx((experimental - control).tolist())
    assert difference.loc["C1D15", "estimate_high"] < -1.2
    assert (difference["estimate_low"] < difference["estimate"]).all()
    assert difference.loc["C1D15", "p_t"] < 1e-6 < difference.loc["C2D1", "p_t"]
    (overall,) = rows(table, OVERALL).to_dict("records")
    assert overall["p_f"] < 1e-6
    assert (overall["subjects"], overall["observations"]) == (60, 240)
    assert table["converged"].all()


def test_denominators_and_toxicity_stops_by_hand():
    """30 + 30 subjects; 4 of the control arm miss C2D1; 2 stopped for toxicity have no progression sample."""
    values, arm = simulated()
    listed = values.tolist()
    for subject in (0, 2, 4, 6):
        listed[2][subject] = None
    reason = ["toxicity" if subject in (1, 3) else "" for subject in range(60)]
    cohort = study(listed, arm, off_treatment_reason=reason)
    n = rows(longitudinal(cohort, "baseline", "progression"), MEAN).set_index(["timepoint", "arm"])[
        "n"
    ]
    assert n["baseline", "all"] == 60
    assert n["C2D1", CONTROL] == 26
    assert n["progression", EXPERIMENTAL] == 28
    every = longitudinal(cohort, "baseline", "progression", at_progression=False)
    assert rows(every, MEAN).set_index(["timepoint", "arm"])["n"]["progression", EXPERIMENTAL] == 30


def dosed(days, drug="palbociclib"):
    """Doses on days 5 to 18 and 26 to 39 of every subject; a sample of each on the day given."""
    ids = [f"{i + 1:03d}" for i in range(len(days))]
    cohort = trial(
        [1] * (len(days) - 1) + [0],
        [],
        samples=[
            sample(s, "serum", "C2D1", 1.0) | {"day": d} for s, d in zip(ids, days, strict=True)
        ],
    )
    course = pd.DataFrame(
        [
            {"subject_id": s, "what": "dose", "name": "Palbociclib", "start_day": a, "stop_day": b}
            for s in ids
            for a, b in ((5.0, 18.0), (26.0, 39.0))
        ]
    )
    object.__setattr__(cohort, "course", course)
    return dosing_classes(cohort, "serum", "C2D1", drug).tolist()


def test_days_since_the_last_dose_are_counted_from_the_doses():
    """The dose of a draw's own day is taken after it: day 5 is before the first, day 19 and 20 are on, day 26 off."""
    found = dosed([5.0, 6.0, 19.0, 20.0, 21.0, 25.0, 26.0, 27.0, 60.0, np.nan, 15.0])
    assert found == [
        *(BEFORE_FIRST_DOSE, ON, ON, ON, OFF, OFF, LONG_OFF, ON, LONG_OFF),
        *("", ""),  # no day known; the control arm
    ]


def test_before_the_first_dose_no_other_count_holds():
    """The sample's own count is of another drug's dose: the doses table has this one's first after the draw."""
    cohort = trial(
        [1],
        [],
        samples=[sample("001", "serum", "C2D1", 1.0) | {"day": 5.0, "days_since_last_dose": 4.0}],
    )
    course = pd.DataFrame(
        [
            {
                "subject_id": "001",
                "what": "dose",
                "name": "palbociclib",
                "start_day": 5.0,
                "stop_day": 18.0,
            }
        ]
    )
    object.__setattr__(cohort, "course", course)
    assert dosing_classes(cohort, "serum", "C2D1", "palbociclib").tolist() == [BEFORE_FIRST_DOSE]


def test_without_doses_the_samples_say_how_long_ago_the_last_one_was():
    samples = [
        sample(f"00{i + 1}", "serum", "C2D1", 1.0) | {"days_since_last_dose": days}
        for i, days in enumerate((1.0, 4.0, 9.0, np.nan))
    ]
    cohort = trial([1] * 4, [], samples=samples)
    assert dosing_classes(cohort, "serum", "C2D1", "palbociclib").tolist() == [
        ON,
        OFF,
        LONG_OFF,
        "",
    ]


def test_the_difference_is_read_by_dosing_too():
    """At C2D1 half of the experimental arm is on the drug and falls by 2; the other half is off it and does not."""
    random = np.random.default_rng(6)
    n = 80
    arm = np.arange(n) % 2
    on = np.arange(n) % 4 == 1
    base = random.normal(size=n)
    values = [base, base - 2.0 * arm, base - 2.0 * on]
    values = [(v + 0.2 * random.normal(size=n)).tolist() for v in values]
    samples = [
        sample(f"{i + 1:03d}", "serum", visit, 1.0)
        | {"days_since_last_dose": 1.0 if visit == "C1D15" or on[i] else 4.0}
        for i in range(n)
        for visit in ("C1D15", "C2D1")
    ]
    table = longitudinal(study(values, arm.tolist(), samples=samples), "baseline", "progression")
    found = rows(table, BY_DOSING).set_index("timepoint")
    assert found.index.tolist() == [ON, OFF]
    assert found.loc[ON, "estimate"] == pytest.approx(-2.0, abs=0.2)
    assert found.loc[OFF, "estimate_low"] < 0 < found.loc[OFF, "estimate_high"]
    assert found["n"].tolist() == [60, 20]


def test_what_cannot_be_fitted_is_reported():
    table = longitudinal(study(np.ones((4, 20)).tolist(), [0, 1] * 10), "baseline", "progression")
    assert not table["converged"].any()
    assert table["estimate"].isna().all()
    assert table["note"].unique().tolist() == ["all values are the same"]


def test_values_that_do_not_vary_have_no_limits_and_no_test():
    """All are at 5 at C1D15 and at C2D1, whatever the arm: the differences are 0, and nothing says how surely."""
    random = np.random.default_rng(1)
    values = random.normal(6, 1, size=(4, 24))
    values[1:3] = 5.0
    table = longitudinal(study(values.tolist(), [0, 1] * 12), "baseline", "progression")
    same = rows(table, DIFFERENCE).set_index("timepoint").loc[["C1D15", "C2D1"]]
    assert same["estimate"].tolist() == pytest.approx([0, 0], abs=1e-3)
    changed = rows(table, CHANGE).set_index(["timepoint", "arm"])
    assert (changed["estimate_low"] < changed["estimate"]).all()
    assert rows(table, OVERALL)["p_f"].isna().all()
    assert rows(table, OVERALL)["note"].str.contains("do not vary").all()
    # at baseline too: neither the mean nor the change has limits
    values[0] = 5.0
    table = longitudinal(study(values.tolist(), [0, 1] * 12), "baseline", "progression")
    still = rows(table, CHANGE, timepoint="C1D15")
    assert still[["estimate_low", "estimate_high", "p_t"]].isna().all(axis=None)
    assert still["note"].str.contains("do not vary").all()


def test_mostly_below_the_limit_is_told_and_not_modelled():
    values = [["<1"] * 15 + [2.0] * 5] * 4
    table = longitudinal(study(values, [0, 1] * 10), "baseline", "progression")
    assert table["quantity"].tolist() == [OVERALL]
    assert "75 % of values beyond a limit" in table["note"].iloc[0]
    assert not table["converged"].iloc[0]


def test_one_later_visit_needs_a_hypothesis():
    values, arm = simulated()
    cohort = study(values[:2].tolist(), arm)
    assert longitudinal(cohort, "baseline", "progression").empty
    cohort.markers.info["hypothesis"] = "pharmacodynamic"
    assert len(longitudinal(cohort, "baseline", "progression"))


def test_single_arm_study_has_means_and_changes_only():
    values, _ = simulated()
    table = longitudinal(study(values.tolist(), [None] * 60), "baseline", "progression")
    assert set(table["quantity"]) == {MEAN, CHANGE}
    assert set(table["arm"]) == {"all", EXPERIMENTAL}


def test_without_data_there_is_a_header():
    nothing = longitudinal(trial([0, 1], []), "baseline", "progression")
    pd.testing.assert_frame_equal(nothing, pd.DataFrame(columns=COLUMNS))
