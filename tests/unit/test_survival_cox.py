import itertools

import numpy as np
import pytest
from pytest import approx
from reference_answers import answers, column, leukaemia, table, trial

from correlatives.survival.cox import Fit, fit_cox, fit_cox_many, proportional_hazards

STRATA = {"gbsg": "meno", "colon_os": "extent", "veteran": "celltype", "ovarian": "resid.ds"}

# R was run to 1e-13 on the log-likelihood; what is left is rounding in either program.
TIGHT = 1e-9


@pytest.mark.parametrize("name", STRATA)
def test_every_model_agrees_with_coxph(name):
    """Six models a marker, Efron and Breslow, with and without strata; `survival` 3.5-3."""
    data = trial(name)
    strata = data[STRATA[name]].to_numpy()
    fitted = 0
    for (_, model, ties), rows in table(f"cox_{name}.csv").groupby(["marker", "model", "ties"]):
        design = np.column_stack([column(data, term) for term in rows["id"]])
        known = np.isfinite(design).all(axis=1)
        fit = fit_cox(
            data["time"][known],
            data["event"][known],
            design[known],
            strata[known] if "strata" in model else None,
            ties=ties,
        )
        first = rows.iloc[0]
        assert (fit.n, fit.events, fit.converged) == (first["n"], first["nevent"], True)
        assert fit.coefficients == approx(rows["coef"].to_numpy(), rel=1e-8, abs=1e-12)
        assert fit.standard_errors == approx(rows["se"].to_numpy(), rel=TIGHT)
        assert (fit.loglik_null, fit.loglik) == approx(
            (first["loglik0"], first["loglik"]), rel=1e-12
        )
        for kind, answer in (("lrt", "lr"), ("wald", "wald"), ("score", "score")):
            assert fit.model_test(kind).statistic == approx(first[answer], rel=TIGHT, abs=TIGHT)
        if np.isfinite(first["int_lr"]):
            assert fit.test(-1).statistic == approx(first["int_lr"], rel=1e-6, abs=TIGHT)
            assert fit.test(-1, "score").statistic == approx(
                first["int_score"], rel=TIGHT, abs=TIGHT
            )
        fitted += 1
    assert fitted > 20


@pytest.mark.parametrize("name", ["gbsg", "colon_os", "pbc"])
def test_screen_and_proportional_hazards_agree_with_r(name):
    data = trial(name)
    arm, time, event = (data[part].to_numpy(float) for part in ("arm", "time", "event"))
    rows = table("screen_interaction.csv").query("dataset == @name")
    markers = np.array([data[m].to_numpy(float) for m in rows["marker"]])
    scaled = (rows["scaling"] == "zscore").to_numpy()
    centre = np.nanmean(markers, axis=1, keepdims=True)
    markers[scaled] = ((markers - centre) / np.nanstd(markers, axis=1, ddof=1, keepdims=True))[
        scaled
    ]
    include = np.isfinite(markers)
    designs = np.stack([np.broadcast_to(arm, markers.shape), markers, arm * markers], axis=-1)
    many = fit_cox_many(time, event, designs, include)
    assert many.n.tolist() == rows["n"].tolist()
    assert many.events.tolist() == rows["events"].tolist()
    assert many.coefficients[:, 2] == approx(rows["inter_coef"].to_numpy(), rel=1e-8)
    assert many.standard_errors[:, 2] == approx(rows["inter_se"].to_numpy(), rel=TIGHT)
    assert many.test(2).statistic == approx(rows["lr"].to_numpy(), rel=1e-6)
    assert many.test(2, "score").statistic == approx(rows["score"].to_numpy(), rel=TIGHT)
    for i, row in enumerate(rows.itertuples()):
        kept = include[i]
        single = fit_cox(time[kept], event[kept], designs[i][kept])
        assert single.coefficients == approx(many.coefficients[i], rel=TIGHT)
        test = proportional_hazards(single)
        assert test.terms[2].p == approx(row.zph_inter_p, rel=1e-8)
        assert test.overall.p == approx(row.zph_global_p, rel=1e-8)


def test_awkward_markers_agree_with_r_or_are_refused():
    """26 markers of 46 subjects; where R warns of an infinite coefficient there is no number here."""
    data = table("data/edge_n46.csv")
    seen = {}
    for row in table("edge_cases_n46.csv").itertuples():
        if row.marker in ("inf_value", "huge_offset"):
            continue  # refused by either program, and got wrong by R: tests of their own
        marker = data[row.marker].to_numpy(float)
        design = np.column_stack([data["arm"], marker, data["arm"] * marker])
        fit = Fit(
            fit_cox_many(data["time"], data["event"], design[None], np.isfinite(marker)[None])
        )
        seen[row.marker] = fit
        if row.marker == "all_na":
            assert not fit.converged
            assert np.isnan(fit.coefficients).all()
            continue
        infinite = "infinite" in str(row.warnings) or row.marker == "perfect_monotone"
        assert fit.converged is not infinite, row.marker
        assert fit.separated is infinite, row.marker
        if infinite:
            assert np.isnan(fit.coefficients).all()
            assert np.isnan(fit.covariance).all()
            assert "no finite maximum" in fit.note
        else:
            answer = np.array([row.b_arm, row.b_marker, row.b_inter])
            assert np.isnan(fit.coefficients).tolist() == np.isnan(answer).tolist(), row.marker
            assert fit.coefficients == approx(answer, rel=1e-8, nan_ok=True), row.marker
        # The supremum of the likelihood is known to the rounding of an exponential tail.
        assert fit.loglik == approx(row.loglik, rel=1e-7)
        if np.isfinite(row.lr_inter) and not np.isnan(row.b_inter):
            assert fit.test(2).statistic == approx(row.lr_inter, rel=1e-6, abs=1e-7), row.marker
    assert seen["constant"].aliased.tolist() == [False, True, True]
    assert seen["equals_arm"].aliased.tolist() == [False, True, True]
    assert seen["duplicate_of_normal"].coefficients == approx(seen["normal"].coefficients)
    # Scale changes the unit of the coefficient and nothing else.
    assert seen["huge_scale"].coefficients[2] * 1e8 == approx(seen["normal"].coefficients[2])
    assert seen["huge_scale"].loglik == approx(seen["normal"].loglik, rel=1e-13)


def test_offset_of_a_million_changes_nothing():
    """R's tight fit returns a log hazard ratio of 1379 for the arm here."""
    data = table("data/edge_n46.csv")

    def interaction(marker):
        return fit_cox(
            data["time"],
            data["event"],
            np.column_stack([data["arm"], marker, data["arm"] * marker]),
        )

    plain, shifted = interaction(data["normal"]), interaction(data["huge_offset"])
    assert shifted.coefficients[1:] == approx(plain.coefficients[1:], rel=1e-8)
    assert shifted.interval(2) == approx(plain.interval(2), rel=1e-6)
    # A double at a million keeps ten decimals of the marker.
    assert shifted.loglik == approx(plain.loglik, rel=1e-10)


def test_infinite_value_is_refused():
    data = table("data/edge_n46.csv")
    with pytest.raises(ValueError, match="missing or infinite"):
        fit_cox(data["time"], data["event"], data["inf_value"])


def test_profile_limits_are_where_the_profile_has_fallen():
    """The definition, with the other coefficients maximised by a general optimiser."""
    from scipy.optimize import minimize

    data = trial("veteran")
    time, event = data["time"].to_numpy(float), data["event"].to_numpy(float)
    design = np.column_stack([data["arm"], data["karno"] / 10, data["arm"] * data["karno"] / 10])
    fit = fit_cox(time, event, design)

    def minus_loglik(beta):
        eta = design @ beta
        total = 0.0
        for t in np.unique(time[event == 1]):
            dying, risk = (time == t) & (event == 1), time >= t
            total += eta[dying].sum()
            weights, gone = np.exp(eta[risk]).sum(), np.exp(eta[dying]).sum()
            count = dying.sum()
            total -= sum(np.log(weights - i / count * gone) for i in range(count))
        return -total

    assert -minus_loglik(fit.coefficients) == approx(fit.loglik, rel=1e-12)
    for j in range(3):
        interval = fit.interval(j)
        assert interval.estimate == fit.coefficients[j]
        others = [i for i in range(3) if i != j]
        for limit in (interval.low, interval.high):

            def constrained(rest, limit=limit, others=others, j=j):
                beta = np.empty(3)
                beta[j], beta[others] = limit, rest
                return minus_loglik(beta)

            best = minimize(constrained, fit.coefficients[others], tol=1e-10)
            # 3.841459 is the 95th percentile of chi-square; the optimiser stops within 1e-6 of it.
            assert 2 * (fit.loglik + best.fun) == approx(3.841458820694124, abs=1e-5)


def test_one_sided_profile_limit_where_the_other_side_is_infinite():
    data = table("data/edge_n46.csv")
    marker = data["binary_no_events_in_pos_arm1"]
    fit = fit_cox(
        data["time"], data["event"], np.column_stack([data["arm"], marker, data["arm"] * marker])
    )
    interval = fit.interval(2)
    assert np.isnan(interval.estimate)
    assert np.isnan(interval.low)
    assert interval.high == approx(-1.3119, abs=1e-4)
    # At the limit the likelihood is 1.92 below its supremum.
    held = fit_cox_with_offset(data, marker, interval.high)
    assert 2 * (fit.loglik - held) == approx(3.841459, abs=1e-5)


def fit_cox_with_offset(data, marker, interaction):
    """Maximise over arm and marker with the interaction held, by brute force."""
    from scipy.optimize import minimize

    time, event = data["time"].to_numpy(), data["event"].to_numpy()
    arm, marker = data["arm"].to_numpy(), marker.to_numpy()

    def minus(beta):
        eta = beta[0] * arm + beta[1] * marker + interaction * arm * marker
        total = 0.0
        for t in np.unique(time[event == 1]):
            dying, risk = (time == t) & (event == 1), time >= t
            gone, weights, count = np.exp(eta[dying]).sum(), np.exp(eta[risk]).sum(), dying.sum()
            total -= eta[dying].sum() - sum(
                np.log(weights - i / count * gone) for i in range(count)
            )
        return total

    return -minimize(minus, [0.0, 0.0], tol=1e-10).fun


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize(
    "case",
    ["ovarian_arm_ecog", "ovarian_arm_age", "leukemia_arm", "ovarian_monotone", "gbsg_arm_node"],
)
def test_firth_agrees_with_reference(case, ties):
    """Penalised log-likelihoods and limits to 1e-8; the reference's own optimiser stopped within 1e-6 of the estimates."""
    if case == "leukemia_arm":
        time, event, design = leukaemia()
        design = design[:, None]
    elif case == "gbsg_arm_node":
        data = trial("gbsg")
        nodes = np.log1p(data["nodes"])
        time, event = data["time"], data["event"]
        design = np.column_stack([data["arm"], nodes, data["arm"] * nodes])
    else:
        data = trial("ovarian_separated" if case == "ovarian_monotone" else "ovarian")
        time, event, arm = data["time"], data["event"], data["arm"]
        poor = data["ecog.ps"] - 1
        design = {
            "ovarian_arm_ecog": lambda: np.column_stack([arm, poor, arm * poor]),
            "ovarian_arm_age": lambda: np.column_stack([arm, data["age"]]),
            "ovarian_monotone": lambda: np.column_stack([arm, data["mk"]]),
        }[case]()
    answer = answers("binary.json")["firth_cox_byhand"][ties][case]
    fit = fit_cox(time, event, design, firth=True, ties=ties)
    assert fit.converged
    assert fit.loglik == approx(answer["penalized_loglik"], rel=1e-11)
    for j, term in enumerate(answer["coefficients"]):
        assert fit.coefficients[j] == approx(term["coef"], rel=1e-6)
        assert fit.standard_errors[j] == approx(term["se"], rel=1e-6)
        interval = fit.interval(j)
        assert (interval.low, interval.high) == approx(
            (term["profile_lower"], term["profile_upper"]), rel=1e-7
        )
        assert fit.test(j).statistic == approx(term["plr_chisq"], rel=1e-8)


def test_firth_breslow_agrees_with_firthmodels():
    """An independent implementation; its Cox knows Breslow ties only."""
    from firthmodels import FirthCoxPH

    data = trial("ovarian_separated")
    design = data[["arm", "mk"]].to_numpy(float)
    theirs = FirthCoxPH(backend="numpy", gtol=1e-8, xtol=1e-8)
    theirs.fit(design, (data["event"].to_numpy(bool), data["time"].to_numpy(float)))
    ours = fit_cox(data["time"], data["event"], design, firth=True, ties="breslow")
    assert ours.coefficients == approx(theirs.coef_, rel=1e-6)
    assert ours.loglik == approx(theirs.loglik_, rel=1e-9)
    assert fit_cox(data["time"], data["event"], design).separated


def test_firth_score_is_the_gradient_of_the_penalised_likelihood_with_ties_and_strata():
    rng = np.random.default_rng(5)
    n = 40
    time, event = rng.integers(1, 8, n).astype(float), (rng.random(n) < 0.7).astype(float)
    design, strata = rng.normal(size=(n, 2)), rng.integers(0, 3, n)
    for ties in ("efron", "breslow"):
        many = fit_cox_many(time, event, design[None], None, strata, firth=True, ties=ties)
        likelihood, *_ = many._model.build(np.array([0]))
        at = np.array([[0.3, -0.5]])
        value = likelihood.evaluate(at)
        for j in range(2):
            shift = np.zeros((1, 2))
            shift[0, j] = 1e-5
            ahead, behind = likelihood.evaluate(at + shift), likelihood.evaluate(at - shift)
            slope = (ahead.loglik - behind.loglik) / 2e-5
            assert value.score[0, j] == approx(slope[0], rel=1e-6)


def test_single_carrier_with_the_first_event_converges_under_firth():
    """Fisher scoring swings for ever here; the penalty's own curvature is needed."""
    rng = np.random.default_rng(11)
    n = 132
    time = np.sort(rng.exponential(size=n))
    event, arm = (rng.random(n) < 0.6).astype(float), rng.integers(0, 2, n).astype(float)
    event[0] = arm[0] = 1.0
    carrier = np.zeros(n)
    carrier[[0, 40, 90]] = 1.0
    arm[[40, 90]] = 0.0
    fit = fit_cox(time, event, np.column_stack([arm, carrier, arm * carrier]), firth=True)
    assert fit.converged
    assert np.isfinite([*fit.interval(1), *fit.interval(2)]).all()


def test_exact_separation_is_found_by_linear_programming():
    """Bryson & Johnson's condition holds along a direction that is no column."""
    rng = np.random.default_rng(3)
    n = 30
    time = np.arange(n, 0, -1.0)
    event = np.ones(n)
    first = rng.normal(size=n)
    second = np.arange(n) * 0.1 + first  # second - first rises as time falls
    many = fit_cox_many(time, event, np.column_stack([first, second])[None])
    assert many.separated[0]
    likelihood, *_ = many._model.build(np.array([0]))
    direction = likelihood.separates(0)
    assert direction is not None
    assert likelihood.recedes(direction[None])[0]
    mixed, *_ = fit_cox_many(time, event, rng.normal(size=(1, n, 2)))._model.build(np.array([0]))
    assert mixed.separates(0) is None


def test_rows_left_out_are_as_if_never_there():
    rng = np.random.default_rng(8)
    n, p = 60, 12
    time, event = rng.integers(1, 15, n).astype(float), (rng.random(n) < 0.7).astype(int)
    arm, strata = rng.integers(0, 2, n), rng.choice(["x", "y"], n)
    markers, include = rng.normal(size=(p, n)), rng.random((p, n)) < 0.7
    markers[~include] = np.nan
    designs = np.stack([np.broadcast_to(arm, (p, n)), markers, arm * markers], axis=-1)
    many = fit_cox_many(time, event, designs, include, strata)
    profile = many.interval(2)
    expected = many.expected()
    for i in range(p):
        kept = include[i]
        one = fit_cox(time[kept], event[kept], designs[i][kept], strata[kept])
        assert many.coefficients[i] == approx(one.coefficients, rel=1e-9)
        assert many.covariance[i] == approx(one.covariance, rel=1e-8)
        assert many.loglik[i] == approx(one.loglik, rel=1e-12)
        assert [part[i] for part in profile] == approx(one.interval(2), rel=1e-7)
        assert expected[i][kept] == approx(one.expected(), rel=1e-8)
        assert (expected[i][~kept] == 0).all()
        # Martingale residuals sum to nothing.
        assert expected[i].sum() == approx(event[kept].sum(), rel=1e-9)


def test_blocks_do_not_change_answers(monkeypatch):
    rng = np.random.default_rng(2)
    n, p = 50, 40
    time, event = rng.exponential(size=n), (rng.random(n) < 0.6).astype(int)
    designs = rng.normal(size=(p, n, 2))
    whole = fit_cox_many(time, event, designs)
    monkeypatch.setattr("correlatives.likelihood.BLOCK", n * 7)
    parts = fit_cox_many(time, event, designs)
    assert parts.coefficients == approx(whole.coefficients, rel=1e-10)


def test_times_equal_but_for_rounding_are_tied():
    time, event, arm = leukaemia()
    third = time / 3
    jitter = np.where(np.arange(len(time)) % 2, 1 + 2e-16, 1 - 1e-16)
    assert fit_cox(third * jitter, event, arm).coefficients == approx(
        fit_cox(time, event, arm).coefficients, rel=1e-12
    )


def test_marker_known_only_after_the_first_event_is_told_apart_from_constant():
    """Subjects censored before any event are in no risk set: their values say nothing."""
    time = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    event = np.array([0, 1, 1, 0, 1, 1])
    marker = np.array([9.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    fit = fit_cox(time, event, marker)
    assert fit.aliased.tolist() == [True]
    assert np.isnan(fit.coefficients).all()


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([1.0, np.nan], [1, 0], "missing or infinite"),
        ([1.0, 2.0], [1, 2], "other than 0 and 1"),
        ([1.0], [1, 0], "one length"),
    ],
)
def test_wrong_outcomes_are_refused(time, event, message):
    with pytest.raises(ValueError, match=message):
        fit_cox(time, event, np.ones(len(time)))


def test_nothing_to_fit_is_not_a_number():
    time, arm = np.arange(1.0, 9.0), np.tile([0.0, 1.0], 4)
    fit = fit_cox(time, np.zeros(8), arm)
    assert not fit.converged
    assert "no event" in fit.note
    for value in itertools.chain(fit.coefficients, fit.interval(0), fit.test(0)):
        assert np.isnan(value)
    zph = proportional_hazards(fit)
    assert np.isnan(zph.overall.p)


def test_two_thousand_markers_are_fitted_together():
    rng = np.random.default_rng(1)
    n, p = 132, 2000
    time, event = rng.exponential(size=n), (rng.random(n) < 0.6).astype(int)
    arm, markers = rng.integers(0, 2, n), rng.normal(size=(p, n))
    designs = np.stack([np.broadcast_to(arm, (p, n)), markers, arm * markers], axis=-1)
    many = fit_cox_many(time, event, designs)
    assert many.converged.all()
    last = fit_cox(time, event, designs[-1])
    assert many.coefficients[-1] == approx(last.coefficients, rel=1e-10)


def test_sums_scaled_as_they_run_are_the_plain_sums(monkeypatch):
    rng = np.random.default_rng(3)
    n, p = 40, 20
    time, event = np.round(rng.exponential(size=n) * 10) + 1, (rng.random(n) < 0.6).astype(int)
    designs, include = rng.normal(size=(p, n, 3)), rng.random((p, n)) < 0.8
    for firth in (False, True):
        many = fit_cox_many(time, event, designs, include, rng.integers(0, 3, n), firth=firth)
        likelihood, *_ = many._model.build(np.arange(p))
        at = rng.normal(size=(p, 3))
        plain, expected = likelihood.evaluate(at), likelihood.expected(at)
        with monkeypatch.context() as scaled:
            scaled.setattr("correlatives.survival.cox.WIDEST_SPAN", -1.0)
            careful = likelihood.evaluate(at)
            assert careful.loglik == approx(plain.loglik, rel=1e-12)
            assert careful.score == approx(plain.score, rel=1e-9, abs=1e-12)
            assert careful.information == approx(plain.information, rel=1e-9, abs=1e-12)
            assert likelihood.expected(at) == approx(expected, rel=1e-9, abs=1e-14)


def test_limits_far_out_on_an_outlier_are_found():
    """Predictors span more than a double's exponent long before the profile has fallen."""
    rng = np.random.default_rng(1)
    n, p = 20, 60
    time, event = rng.exponential(size=n), (rng.random(n) < 0.3).astype(int)
    markers = np.exp(2.5 * rng.normal(size=(p, n)))
    many = fit_cox_many(time, event, markers[:, :, None])
    limits = many.interval(0)
    found = many.converged
    assert found.sum() > p / 2
    assert (limits.low[found] < limits.estimate[found]).all()
    assert (limits.estimate[found] < limits.high[found]).all()


@pytest.mark.parametrize("seed", [1, 76, 101, 103, 114])
def test_a_first_stratum_without_events_does_not_stop_a_fit_that_diverges(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 40))
    strata = rng.integers(0, 3, n)
    time = rng.integers(1, 9, n).astype(float)
    event = ((strata > 0) & (rng.random(n) < 0.3)).astype(float)
    rng.random((2, n))
    x = rng.normal(0, 1, (n, 3))
    fit = fit_cox(time, event, x, strata)
    rest = strata > 0  # the stratum without events says nothing
    alone = fit_cox(time[rest], event[rest], x[rest], strata[rest])
    assert fit.separated == alone.separated
    assert fit.loglik == pytest.approx(alone.loglik, abs=1e-5)
