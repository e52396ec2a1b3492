"""Change as a time-dependent covariate: follow-up cut by hand, and the partial likelihood written out."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, marker, sample, trial
from scipy.optimize import minimize_scalar

from correlatives.resistance.time_dependent import (
    COLUMNS,
    Intervals,
    fit_counting_process,
    follow_up,
    time_dependent,
)
from correlatives.survival.cox import fit_cox


def test_follow_up_is_cut_at_the_draws():
    """0: two draws; 1: the second only; 2: progressed before the first; 3: second draw on the day of progression; 4: no time."""
    drawn = np.array([[0.5, 0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0, 1.0]])
    value = np.array([[2.0, np.nan, 3.0, 4.0, 1.0], [5.0, 6.0, 7.0, 8.0, 1.0]])
    pieces = follow_up(
        drawn, value, np.array([3.0, 2.0, 0.4, 1.0, np.nan]), np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    )
    rows = list(
        zip(pieces.subject, pieces.start, pieces.stop, pieces.event, pieces.value, strict=True)
    )
    assert rows == [
        (0, 0.5, 1.0, 0.0, 2.0),
        (0, 1.0, 3.0, 1.0, 5.0),
        (1, 1.0, 2.0, 0.0, 6.0),
        (3, 0.5, 1.0, 1.0, 4.0),
    ]


def simulated(seed, n=60, ties=False):
    random = np.random.default_rng(seed)
    time = random.exponential(5.0, n) + 0.6
    if ties:
        time = np.ceil(time)
    event = (random.random(n) < 0.75).astype(float)
    drawn = np.array([np.full(n, 0.5), random.uniform(0.8, 3.0, n)])
    value = random.normal(size=(2, n))
    return follow_up(drawn, value, time, event)


def partial_loglik(pieces, beta):
    """Efron's partial likelihood of one covariate, over the risk set of each event time."""
    total = 0.0
    for t in np.unique(pieces.stop[pieces.event == 1]):
        at_risk = (pieces.start < t) & (pieces.stop >= t)
        died = (pieces.stop == t) & (pieces.event == 1)
        risk, dead = np.exp(beta * pieces.value[at_risk]).sum(), np.exp(beta * pieces.value[died])
        d = int(died.sum())
        total += beta * pieces.value[died].sum()
        total -= sum(np.log(risk - k / d * dead.sum()) for k in range(d))
    return total


@pytest.mark.parametrize("ties", [False, True])
def test_the_estimate_maximises_the_partial_likelihood_written_out(ties):
    pieces = simulated(5, ties=ties)
    beta, covariance, loglik = fit_counting_process(pieces, pieces.value[:, None])
    best = minimize_scalar(
        lambda b: -partial_loglik(pieces, b),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert beta[0] == pytest.approx(best.x, abs=1e-5)
    assert loglik == pytest.approx(-best.fun, abs=1e-8)
    step = 1e-4
    curvature = (
        partial_loglik(pieces, best.x + step)
        - 2 * partial_loglik(pieces, best.x)
        + partial_loglik(pieces, best.x - step)
    ) / step**2
    assert covariance[0, 0] == pytest.approx(-1 / curvature, rel=1e-3)


def test_who_enters_on_the_day_of_an_event_is_not_at_risk_of_it():
    """Days and draws share their days; times in months are the same days but for rounding."""
    random = np.random.default_rng(8)
    n = 60
    start = random.integers(0, 6, n).astype(float)
    stop = start + random.integers(1, 8, n)
    event, value = (random.random(n) < 0.6).astype(float), random.normal(size=n)
    pieces = Intervals(np.arange(n), start, stop, event, value)
    best = minimize_scalar(
        lambda b: -partial_loglik(pieces, b),
        bounds=(-3, 3),
        method="bounded",
        options={"xatol": 1e-9},
    )
    beta, _, loglik = fit_counting_process(pieces, value[:, None])
    assert beta[0] == pytest.approx(best.x, abs=1e-5)
    assert loglik == pytest.approx(-best.fun, abs=1e-8)
    month = 30.4375
    rounded = Intervals(np.arange(n), start / month, (start + (stop - start)) / month, event, value)
    assert fit_counting_process(rounded, value[:, None])[0] == pytest.approx(beta, abs=1e-9)


def test_cutting_follow_up_where_nothing_changes_changes_nothing():
    random = np.random.default_rng(7)
    n = 50
    time, event, x = random.exponential(5, n), (random.random(n) < 0.7) * 1.0, random.normal(size=n)
    half = time / 2
    cut = Intervals(
        np.tile(np.arange(n), 2),
        np.r_[np.zeros(n), half],
        np.r_[half, time],
        np.r_[np.zeros(n), event],
        np.tile(x, 2),
    )
    beta, covariance, _ = fit_counting_process(cut, cut.value[:, None])
    whole = fit_cox(time, event, x)
    assert beta[0] == pytest.approx(whole.coefficients[0], abs=1e-6)
    assert covariance[0, 0] == pytest.approx(whole.covariance[0, 0], rel=1e-5)


def study(n=120, seed=1, **options):
    """The change at C2D1 (and not that at C1D15) is prognostic."""
    random = np.random.default_rng(seed)
    first, second = random.normal(size=(2, n))
    months = 1.0 + random.exponential(6.0 * np.exp(-0.8 * second))
    samples = [
        sample(f"{i + 1:03d}", "serum", visit, at)
        for i in range(n)
        for visit, at in (("C1D15", 0.5), ("C2D1", 0.75))
    ]
    return trial(
        (np.arange(n) % 2).tolist(),
        [
            marker("ratio:TK1:C1D15", "serum", "C1D15", first.tolist(), "continuous"),
            marker("ratio:TK1:C2D1", "serum", "C2D1", second.tolist(), "continuous"),
        ],
        samples=samples,
        PFS_months=months,
        PFS_event=1.0,
        **options,
    )


def test_the_change_is_updated_at_each_draw():
    table = time_dependent(study(), ["C1D15", "C2D1"]).set_index("arm")
    assert table["biomarker"].unique().tolist() == ["ratio:TK1"]
    row = table.loc["all"]
    assert (row["n"], row["not_at_risk"], row["intervals"], row["events"]) == (120, 0, 240, 120)
    # 0.8 per unit of the natural logarithm; the table is per doubling
    assert row["hr_low"] < 2**0.8 < row["hr_high"] < np.exp(0.8)
    assert row["hr_low"] > 1
    assert row["p_lrt"] < 1e-6
    assert 0 < row["p_interaction_lrt"] < 1
    assert table.loc[CONTROL, "n"] == table.loc[EXPERIMENTAL, "n"] == 60
    arms = table.loc[[CONTROL, EXPERIMENTAL], "hr"]
    assert arms.min() < row["hr"] < arms.max()  # stratified by arm


def test_who_progressed_before_the_first_draw_is_not_at_risk():
    cohort = study()
    cohort.subjects.loc[:9, "PFS_months"] = 0.3
    table = time_dependent(cohort, ["C1D15", "C2D1"]).set_index("arm")
    assert (table.loc["all", "n"], table.loc["all", "not_at_risk"]) == (110, 10)


def test_clearance_ends_where_all_is_found_again():
    """Every other subject cleared at C1D15; at C2D1 all are positive: the last draw holds, though nobody cleared there."""
    n = 40
    found = [
        marker("gene:PIK3CA", "plasma", "baseline", [1] * n),
        marker("gene:PIK3CA", "plasma", "C1D15", [i % 2 for i in range(n)]),
        marker("gene:PIK3CA", "plasma", "C2D1", [1] * n),
    ]
    samples = [
        sample(f"{i + 1:03d}", "plasma", visit, at)
        for i in range(n)
        for visit, at in (("C1D15", 0.5), ("C2D1", 0.75))
    ]
    months = 1.0 + np.random.default_rng(4).exponential(6.0, n)
    cohort = trial([i // 2 % 2 for i in range(n)], found, samples, PFS_months=months, PFS_event=1.0)
    row = time_dependent(cohort, ["C1D15", "C2D1"]).set_index("arm").loc["all"]
    assert row["biomarker"] == "clearance:PIK3CA"
    assert (row["n"], row["intervals"], row["events"]) == (n, 2 * n, n)
    # all events are of subjects who are positive by then: no number
    assert np.isnan(row["hr"])
    cohort.markers.value[1] = 1.0
    assert time_dependent(cohort, ["C1D15", "C2D1"]).empty  # nobody ever cleared


def test_what_cannot_be_estimated_says_why():
    cohort = study()
    cohort.subjects["PFS_event"] = 0.0
    table = time_dependent(cohort, ["C1D15"])
    assert table["note"].unique().tolist() == ["fewer than 5 events"]
    assert table["hr"].isna().all()
    separated = study()
    last = np.argsort(np.argsort(separated.subjects["PFS_months"]))
    separated.markers.value[:] = (last < 60).astype(float)
    assert "no finite maximum" in time_dependent(separated, ["C1D15"])["note"].to_list()


def test_single_arm_study_has_all_only_and_an_empty_one_a_header():
    cohort = study()
    cohort.study["design"] = "single_arm"
    assert time_dependent(cohort, ["C1D15"])["arm"].tolist() == ["all"]
    nothing = time_dependent(trial([0, 1], [], PFS_months=1.0, PFS_event=1.0), ["C1D15"])
    pd.testing.assert_frame_equal(nothing, pd.DataFrame(columns=COLUMNS))
