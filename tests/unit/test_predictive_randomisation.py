"""The randomisation test: its formula, what it must not depend on, and its level."""

import numpy as np
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx

from correlatives.predictive.model import fit_domain, minimum_detectable_ratio
from correlatives.predictive.randomisation import draw_arms, family_wise_p, randomisation_test


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
    every = [parts(a) for a in drawn]
    floor = 0.0 if logistic else 0.25 * np.median([v for _, v, _ in every])

    def studentised(s, v, v_r):
        variance = max(v, v_r) if logistic else v + floor
        return s / np.sqrt(variance) if variance > 0 else 0.0

    z0 = studentised(*observed)
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
    residual, weight, _ = model._null_residuals(outcome, value, np.isfinite(value))
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
