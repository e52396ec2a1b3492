"""The randomisation test: its formula, what it must not depend on, and its level."""

import numpy as np
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx

from correlatives.predictive.carriers import subjects_differing
from correlatives.predictive.compiled_scores import row_medians
from correlatives.predictive.model import fit_domain, minimum_detectable_ratio
from correlatives.predictive.randomisation import (
    ArmDraws,
    FarTail,
    draw_arms,
    family_wise_p,
    is_wide,
    randomisation_test,
)


def one_by_one(residual, weight, marker, arm, strata, drawn, logistic):
    """The formula of the design, subject by subject, for one marker."""

    def parts(a):
        z = a * marker

        def tilde(x):
            out = np.zeros_like(x)
            for g in np.unique(strata):
                rows = strata == g
                total = weight[rows].sum()
                out[rows] = x[rows] - ((weight * x)[rows].sum() / total if total > 0 else 0.0)
            return out

        x = {"a": tilde(a), "m": tilde(marker), "z": tilde(z)}
        u = {name: (residual * value).sum() for name, value in x.items()}
        i = {p + q: (weight * x[p] * x[q]).sum() for p in x for q in x}
        square = np.array([[i["aa"], i["am"]], [i["am"], i["mm"]]])
        gamma = np.linalg.solve(square, [i["az"], i["mz"]])
        score = u["z"] - gamma @ [u["a"], u["m"]]
        v = i["zz"] - gamma @ [i["az"], i["mz"]]
        v_r = (residual**2 * (x["z"] - gamma[0] * x["a"] - gamma[1] * x["m"]) ** 2).sum()
        if v < 1e-8 * i["mm"]:  # a draw with all carriers in one arm
            return 0.0, 0.0, 0.0
        return score, v, v_r

    observed = parts(arm)
    every = [parts(a) for a in drawn.astype(float)]
    middle = np.median([v for _, v, _ in every])

    _, times = np.unique(marker[weight > 0], return_counts=True)
    c = times.sum() - times.max()
    share = min(0.5, 2.5 / c)

    def studentised(s, v, v_r):
        variance = share * v + (1 - share) * v_r if logistic else v + 0.2 * max(middle - v, 0.0)
        return s / np.sqrt(variance) if v > 0 else 0.0

    score, v, v_r = observed
    larger, smaller = max(v, v_r), min(v, v_r)
    variance = v + 0.2 * max(middle - v, 0.0)
    if logistic:
        variance = (1 + share) / 2 * larger + (1 - share) / 2 * smaller
    z0 = score / np.sqrt(variance) * np.sqrt(1 - 0.5 / c)
    if logistic:
        z0 *= np.sqrt(1 - 1 / ((weight > 0).sum() - len(np.unique(strata)) - 1))
    z = np.array([studentised(*draw) for draw in every])
    p = (1 + (np.abs(z) >= abs(z0) - 1e-9 * (1 + abs(z0))).sum()) / (len(z) + 1)
    return z0, p, observed[1], np.abs(z)


def ingredients(n=60, markers=5, seed=0):
    rng = np.random.default_rng(seed)
    arm = (rng.permutation(n) < n // 3).astype(float)
    strata = rng.integers(0, 3, n)
    marker = rng.standard_normal((markers, n)) * 3 + 40
    marker[-1] = rng.random(n) < 0.3
    weight = rng.random((markers, n))
    residual = rng.standard_normal((markers, n)) * np.sqrt(weight)
    missing = rng.random((markers, n)) < 0.2
    weight[missing], residual[missing], marker[missing] = 0.0, 0.0, np.nan
    drawn = draw_arms(arm, strata, identifiers(n), 199, seed=3)
    return residual, weight, marker, arm, strata, drawn


@pytest.mark.parametrize("logistic", [False, True])
def test_the_statistic_is_the_one_of_the_design(logistic):
    residual, weight, marker, arm, strata, drawn = ingredients()
    family = np.array([0, 0, 1, 1, -1])
    tested = randomisation_test(
        residual, weight, marker, arm, strata, drawn, logistic=logistic, family=family
    )
    z_drawn = []
    for j in range(len(marker)):
        m = np.where(weight[j] > 0, marker[j], 0.0)
        z, p, v, drawn_z = one_by_one(residual[j], weight[j], m, arm, strata, drawn, logistic)
        assert tested.z[j] == approx(z, rel=1e-8)
        assert tested.p[j] == p
        assert tested.information[j] == approx(v, rel=1e-8)
        z_drawn.append(drawn_z)
    assert tested.maxima[0] == approx(np.max(z_drawn[:2], axis=0), rel=1e-8)
    assert tested.maxima[1] == approx(np.max(z_drawn[2:4], axis=0), rel=1e-8)


def test_carriers_are_those_off_the_most_common_value():
    nan = np.nan
    value = np.array(
        [[0, 0, 1, 0, nan], [1, 1, 0, 1, 1], [1, 2, 3, 4, 5], [2, 2, 2, 3, 7], [nan] * 5, [3] * 5]
    )
    assert subjects_differing(value).tolist() == [1, 1, 4, 2, 0, 0]
    assert subjects_differing(np.empty((2, 0))).tolist() == [0, 0]


def test_draws_keep_the_totals_of_every_stratum_and_come_from_seed_and_name():
    *_, arm, strata, drawn = ingredients()
    for g in np.unique(strata):
        assert (drawn[:, strata == g].sum(axis=1) == arm[strata == g].sum()).all()
    ids = identifiers(len(arm))
    assert (drawn == draw_arms(arm, strata, ids, 199, seed=3)).all()
    assert (drawn != draw_arms(arm, strata, ids, 199, seed=4)).any()
    assert (drawn != draw_arms(arm, strata, ids, 199, seed=3, analysis="other")).any()
    order = np.random.default_rng(1).permutation(len(arm))
    shuffled = draw_arms(arm[order], strata[order], ids[order], 199, seed=3)
    assert shuffled.mean(axis=0) == approx(drawn.mean(axis=0)[order], abs=0.15)


def test_origin_scale_and_blocks_of_markers_do_not_matter():
    residual, weight, marker, arm, strata, drawn = ingredients(markers=70)
    whole = randomisation_test(residual, weight, marker, arm, strata, drawn, logistic=False)
    moved = randomisation_test(
        residual, weight, 1e4 - 20 * marker, arm, strata, drawn, logistic=False
    )
    assert moved.p == approx(whole.p)
    assert moved.z == approx(-whole.z, rel=1e-6)
    assert moved.information == approx(400 * whole.information, rel=1e-6)
    half = slice(35, 70)
    part = randomisation_test(
        residual[half], weight[half], marker[half], arm, strata, drawn, logistic=False
    )
    assert (part.p == whole.p[half]).all()


def test_the_domains_of_a_family_can_be_gathered():
    cohort = trial(n=80, markers=6)
    entries = {name: {"family": "confirmatory"} for name in ("marker 0", "marker 1", "marker 4")}
    values = dict(zip(cohort.markers.info["biomarker"], cohort.markers.value, strict=True))
    markers = markers_of(cohort.markers.subjects, values, entries)
    whole = fit_domain(cohort, "PFS", markers, randomisations=199)
    first = fit_domain(cohort, "PFS", markers.where(np.arange(6) < 3), randomisations=199)
    second = fit_domain(cohort, "PFS", markers.where(np.arange(6) >= 3), randomisations=199)
    assert (np.maximum(first.maxima, second.maxima) == whole.maxima).all().all()
    assert (
        np.concatenate([first.table["p_randomisation"], second.table["p_randomisation"]])
        == whole.table["p_randomisation"]
    ).all()


def test_family_wise_p_counts_draws_that_reach_the_statistic():
    maxima = np.array([1.0, 2.0, 3.0, 4.0])
    assert family_wise_p(np.array([-3.0, 0.0, 5.0]), maxima).tolist() == [3 / 5, 1.0, 1 / 5]


def test_a_planted_interaction_is_found_and_its_detectable_ratio_is_near_the_schoenfeld_one():
    cohort = trial(n=300, markers=20, interaction=0.6, seed=5)
    table = fit_domain(cohort, "PFS", cohort.markers, randomisations=999).table
    assert table["p_randomisation"].idxmin() == 0
    assert table["p_randomisation"][0] <= 0.005
    # per SD of a marker: about 4 / events is the variance of the interaction under 1:1 allocation
    events = table["events"][0]
    expected = np.exp((1.959964 + 0.841621) * np.sqrt(4 / events))
    assert np.log(table["minimum_detectable_ratio"][1:]).mean() == approx(np.log(expected), rel=0.1)
    assert np.isnan(minimum_detectable_ratio(np.array([0.0]), 0.05)).all()


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_the_level_is_held_under_a_strong_treatment_effect(endpoint):
    """40 trials of 46 subjects, 20 independent markers, hazard ratio 0.4: 800 marginal p-values."""
    p = []
    for seed in range(40):
        cohort = trial(n=46, markers=20, seed=100 + seed, hazard_ratio=0.4)
        p.append(fit_domain_p(cohort, endpoint))
    share = np.mean(np.concatenate(p) <= 0.05)
    # binomial standard error 0.008, a little more since markers of a trial share its outcome
    assert 0.02 < share < 0.08


def fit_domain_p(cohort, endpoint):
    """Randomisation p without the limits of the models, which the level does not need."""
    from correlatives.predictive import model

    outcome = model.outcome_of(cohort, endpoint)
    value = cohort.markers.value[:, outcome.kept]
    residual, weight, _ = model.null_residuals(outcome, value, np.isfinite(value))
    drawn = draw_arms(outcome.arm, outcome.strata, cohort.markers.subjects[outcome.kept], 199, 1)
    return randomisation_test(
        residual,
        weight,
        value,
        outcome.arm,
        outcome.strata,
        drawn,
        logistic=not outcome.survival,
    ).p


def test_subjects_without_the_marker_play_no_part():
    """Leaving them out of the study beforehand gives the same residuals, information and observed Z."""
    cohort = trial(n=90, markers=1)
    value = cohort.markers.value[0].copy()
    gone = np.arange(90) % 5 == 0
    value[gone] = np.nan
    markers = markers_of(cohort.markers.subjects, {"m": value})
    whole = fit_domain(cohort, "PFS", markers).table
    s = cohort.subjects[~gone]
    part = cohort_of(
        markers.of_subjects(~gone),
        arm=s["arm_code"].to_numpy(),
        endpoints={"PFS": (s["PFS_months"].to_numpy(), s["PFS_event"].to_numpy())},
    )
    alone = fit_domain(part, "PFS", part.markers).table
    assert whole["minimum_detectable_ratio"][0] == approx(alone["minimum_detectable_ratio"][0])
    assert whole["score_z"][0] == approx(alone["score_z"][0])


def tailed(rows=slice(None), markers=None, most=40_000, draws=999, **options):
    """The test of `ingredients` with draws that go on, for some rows."""
    residual, weight, marker, arm, strata, _ = ingredients(markers=40)
    # one strong marker, one that nothing reaches
    for j, slope in ((3, 0.6), (7, 6.0)):
        residual[j] += slope * (arm - 0.5) * np.nan_to_num(marker[j] - 40) / 3 * weight[j]
    ids = identifiers(len(arm))
    allowed = np.ones(len(marker), dtype=bool) if markers is None else markers
    tail = FarTail(
        ArmDraws(arm, strata, ids, 3), np.ones(len(arm), dtype=bool), allowed[rows], most
    )
    drawn = draw_arms(arm, strata, ids, draws, seed=3)
    parts = (residual[rows], weight[rows], marker[rows], arm, strata)
    return randomisation_test(*parts, drawn, logistic=False, far_tail=tail, **options), parts


def test_the_far_tail_is_counted_as_one_long_run_would():
    """20 exceedances: p = 20 / draws, else (exceedances + 1) / (most + 1); others rest on the first draws."""
    tested, parts = tailed()
    arm, strata = parts[3], parts[4]
    ids = identifiers(len(arm))
    long = draw_arms(arm, strata, ids, 40_000, seed=3)
    assert (long[:999] == draw_arms(arm, strata, ids, 999, seed=3)).all()
    first = randomisation_test(*parts, long[:999], logistic=False)
    went_on = tested.draws > 999
    assert went_on.any()
    assert (tested.p[~went_on] == first.p[~went_on]).all()
    assert (first.p[~went_on] >= 21 / 1000).all()
    residual, weight, marker = (part[went_on] for part in parts[:3])
    for j, (p, made) in enumerate(zip(tested.p[went_on], tested.draws[went_on], strict=True)):
        m = np.where(weight[j] > 0, marker[j], 0.0)
        z = tested.z[went_on][j]
        one = (residual[j], weight[j], m)
        # the median stays that of the first draws
        _, _, _, _, middle = statistics_of(*one, arm, strata, long[:999])
        _, _, score, v, _ = statistics_of(*one, arm, strata, long[:made])
        spread = np.sqrt(v + 0.2 * np.maximum(middle - v, 0.0))
        reached = np.abs(score) / spread >= abs(z) - 1e-9 * (1 + abs(z))
        if made < 40_000:
            assert reached.sum() == 20
            assert reached[-1]
            assert p == 20 / made
        else:
            assert reached.sum() < 20 or reached[-1]
            assert p == approx((reached.sum() + 1) / 40_001)
    assert (tested.draws == 40_000).any()
    assert (tested.p[tested.draws == 40_000] < 1e-3).all()


def statistics_of(residual, weight, marker, arm, strata, drawn):
    """Observed score and V, scores and Vs of draws, and the median of these, of one marker (all in one pass)."""
    a = np.vstack([arm[None], drawn]).astype(float)
    x = {"a": a, "m": np.broadcast_to(marker, a.shape), "z": a * marker}
    tilde = {name: value.copy() for name, value in x.items()}
    for g in np.unique(strata):
        rows = strata == g
        total = weight[rows].sum()
        for name, value in x.items():
            tilde[name][:, rows] -= (value[:, rows] @ weight[rows] / total)[:, None]
    u = {name: value @ residual for name, value in tilde.items()}
    i = {p + q: (weight * tilde[p] * tilde[q]).sum(axis=1) for p in x for q in x}
    determinant = i["aa"] * i["mm"] - i["am"] ** 2
    ga = (i["mm"] * i["az"] - i["am"] * i["mz"]) / determinant
    gm = (i["aa"] * i["mz"] - i["am"] * i["az"]) / determinant
    score, v = u["z"] - ga * u["a"] - gm * u["m"], i["zz"] - ga * i["az"] - gm * i["mz"]
    return score[0], v[0], score[1:], v[1:], np.median(v[1:])


def test_the_far_tail_does_not_depend_on_the_other_markers():
    whole, _ = tailed()
    for rows in (slice(0, 10), slice(7, 8), slice(10, 40)):
        part, _ = tailed(rows)
        assert (part.p == whole.p[rows]).all()
        assert (part.draws == whole.draws[rows]).all()
    none, _ = tailed(markers=np.zeros(40, dtype=bool))
    assert (none.draws == 999).all()
    assert none.p.min() >= 1 / 1000


def test_families_are_wide_when_one_p_value_could_not_stand_out():
    assert not is_wide(100, 9_999)
    assert is_wide(101, 9_999)
    assert not is_wide(1, 0)


@pytest.mark.parametrize("logistic", [False, True])
def test_no_answer_depends_on_the_size_of_blocks(logistic):
    residual, weight, marker, arm, strata, _ = ingredients(markers=70)
    drawn = draw_arms(arm, strata, identifiers(len(arm)), 1999, seed=3)
    family = np.arange(70) % 3 - 1
    parts = (residual, weight, marker, arm, strata, drawn)
    tests = [
        randomisation_test(*parts, logistic=logistic, family=family, markers_a_block=size)
        for size in (None, 4, 16, 33)
    ]
    for other in tests[1:]:
        assert (other.p == tests[0].p).all()
        assert other.z == approx(tests[0].z, rel=1e-12)
        assert other.maxima == approx(tests[0].maxima, rel=1e-12)
        for code in range(2):
            own = family == code
            assert (
                family_wise_p(other.z[own], other.maxima[code])
                == family_wise_p(tests[0].z[own], tests[0].maxima[code])
            ).all()


def test_family_wise_p_is_never_below_the_marginal_one():
    residual, weight, marker, arm, strata, drawn = ingredients(markers=30)
    for logistic in (False, True):
        tested = randomisation_test(
            *(residual, weight, marker, arm, strata, drawn),
            logistic=logistic,
            family=np.zeros(30, dtype=int),
        )
        assert (family_wise_p(tested.z, tested.maxima[0]) >= tested.p).all()


@pytest.mark.parametrize("columns", [1, 2, 5, 999, 1024, 1999, 10_000])
def test_medians_are_those_of_numpy(columns):
    rng = np.random.default_rng(columns)
    shape = (4, columns)
    for values in (
        rng.random(shape),
        np.sort(rng.random(shape), axis=1),  # the first values do not bracket the median
        rng.integers(0, 3, shape).astype(float),
        np.where(rng.random(shape) < 0.5, 0.0, rng.random(shape) ** 9),
    ):
        room = np.empty((4, columns + 1))
        assert (row_medians(values, room) == np.median(values, axis=1)).all()
