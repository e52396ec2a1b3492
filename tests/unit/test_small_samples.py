"""Where models carry Firth's penalty, and how far limits reach."""

import numpy as np
import pytest
from biomarker_cohorts import trial
from pytest import approx

from correlatives.firth import fit_firth_cox, fit_firth_logistic
from correlatives.likelihood import normal_quantile
from correlatives.predictive.model import outcome_of, small_sample_rules
from correlatives.predictive.small_samples import deviance_at_limits, needs_penalty
from correlatives.survival.cox import fit_cox_many
from correlatives.survival.engine import fit_interactions, fit_markers


def test_the_penalty_goes_by_events_before_anything_is_fitted():
    events, cells = np.array([29, 30, 200, 200]), np.array([np.inf, np.inf, 9, 10])
    assert needs_penalty(True, events, 3, cells).tolist() == [True, False, True, False]
    assert needs_penalty(True, events, 6, cells).tolist() == [True, True, True, False]
    assert needs_penalty(False, events, 3, cells).all()


def test_limits_reach_by_students_t_with_what_the_interaction_rests_on():
    """Quantiles of t: 2.2622 with 9 degrees of freedom, 2.0484 with 28, 12.7062 with 1; 1.9600 of the normal."""
    events, differing = np.array([31, 31, 3, 100_000]), np.array([6, 45, 40, 100_000])
    fallen = deviance_at_limits(True, events, 3, differing)
    assert np.sqrt(fallen) == approx([2.26216, 2.04841, 12.70620, 1.95998], abs=2e-5)
    assert np.sqrt(deviance_at_limits(False, events, 3, differing)) == approx(1.959964)


def test_limits_of_a_handful_of_carriers_lie_nearer_in_logistic_models_alone():
    """3.84146, the quantile of chi-square, times 2/3, 5/6, 29/30 and 1."""
    ten = np.full(4, 10)
    cells = np.array([1, 2, 10, np.inf])
    fallen = deviance_at_limits(False, ten, 3, ten, cells)
    assert fallen == approx([2.56097, 3.20122, 3.71341, 3.84146], abs=1e-5)
    assert deviance_at_limits(True, ten, 3, ten, cells) == approx(
        deviance_at_limits(True, ten, 3, ten)
    )


def test_the_fewest_subjects_of_a_level_in_an_arm_say_how_near():
    cohort = trial(n=60, markers=1, seed=2)
    outcome = outcome_of(cohort, "ORR")
    # two carriers in the control arm, six in the experimental one, and the same numbers as a count of 0 and 1
    value = np.zeros(60)
    value[np.flatnonzero(outcome.arm == 0)[:2]] = 1.0
    value[np.flatnonzero(outcome.arm == 1)[:6]] = 1.0
    both, everyone = np.stack([value, value]), np.ones((2, 60), dtype=bool)
    _, fallen = small_sample_rules(
        outcome, both, everyone, np.array([True, False]), interaction=True
    )
    assert fallen == approx([3.84146 * 5 / 6, 3.84146], abs=1e-5)
    # the effect of a marker alone has no cells
    _, fallen = small_sample_rules(
        outcome, both, everyone, np.array([True, False]), interaction=False
    )
    assert fallen == approx([3.84146, 3.84146], abs=1e-5)


@pytest.mark.parametrize("strata", [False, True])
def test_every_marker_can_have_limits_of_its_own(strata):
    rng = np.random.default_rng(8)
    n, p = 90, 6
    time, event = rng.exponential(1.0, n).round(1) + 0.1, (rng.random(n) < 0.7).astype(float)
    arm, marker = (rng.random(n) < 0.5).astype(float), rng.standard_normal((p, n))
    codes = rng.integers(0, 2, n) if strata else None
    levels = np.array([0.8, 0.9, 0.95, 0.99, 0.999, 0.5])
    deviance = np.array([normal_quantile(level) ** 2 for level in levels])
    at = [np.full(p, 0.5)]
    own = fit_interactions(
        time, event, arm, marker, None, codes, limits=0.95, deviance=deviance, levels=at
    )
    alone = fit_markers(time, event, marker, None, codes, limits=0.95, deviance=deviance)
    designs = np.stack([marker, np.broadcast_to(arm, marker.shape), marker * arm], axis=2)
    careful = fit_cox_many(time, event, designs, None, codes)
    with_own = careful.interval(2, deviance=deviance)
    for j, level in enumerate(levels):
        one = slice(j, j + 1)
        same = fit_interactions(
            time, event, arm, marker[one], None, codes, limits=level, levels=[at[0][one]]
        )
        single = fit_markers(time, event, marker[one], None, codes, limits=level)
        of_level = careful.interval(2, level)
        for side in ("low", "high"):
            expected = getattr(same.interaction, side)[0]
            assert getattr(own.interaction, side)[j] == approx(expected, rel=1e-9)
            assert getattr(with_own, side)[j] == approx(expected, rel=1e-8)
            assert getattr(of_level, side)[j] == approx(expected, rel=1e-8)
            assert getattr(own.treatment[0], side)[j] == approx(
                getattr(same.treatment[0], side)[0], rel=1e-9
            )
            assert getattr(alone.effect, side)[j] == approx(
                getattr(single.effect, side)[0], rel=1e-9
            )


def test_penalised_limits_too():
    rng = np.random.default_rng(9)
    n = 60
    time, event = rng.exponential(1.0, n), (rng.random(n) < 0.6).astype(float)
    designs = rng.standard_normal((4, n, 2))
    levels = np.array([0.8, 0.9, 0.95, 0.99])
    deviance = np.array([normal_quantile(level) ** 2 for level in levels])
    for fit, y in (
        (lambda *a, **k: fit_firth_cox(time, *a, **k), event),
        (fit_firth_logistic, event),
    ):
        own = fit(y, designs, deviance=deviance).intervals[0]
        for j, level in enumerate(levels):
            single = fit(y, designs[j : j + 1], limits=level).intervals[0]
            assert (own.low[j], own.high[j]) == approx((single.low[0], single.high[0]), rel=1e-9)
