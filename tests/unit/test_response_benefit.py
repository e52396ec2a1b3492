"""Treatment benefit: the cross-fitted arm × marker score, and how it is judged."""

from dataclasses import replace

import numpy as np
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of
from pytest import approx

from correlatives.figures import benefit
from correlatives.response.benefit import (
    BENEFIT,
    BY_QUANTILE,
    arm_residual,
    by_quantile,
    c_for_benefit,
    score_z,
    treatment_benefit,
)
from correlatives.response.blocks import Blocks
from correlatives.response.elastic_net import Outcome
from correlatives.response.evaluation import task_of


def trial_with(interaction, n=160, seed=4):
    """A trial in which marker t0 carries the benefit, and an arm effect and a prognostic marker beside it."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    values = {f"t{j}": rng.standard_normal(n) for j in range(30)}
    eta = 0.8 * (arm - 0.5) + 0.6 * values["t1"] + interaction * (arm - 0.5) * values["t0"]
    time = rng.exponential(8 * np.exp(eta))
    censored = rng.uniform(8, 40, n)
    return cohort_of(
        markers_of(identifiers(n), values),
        arm=arm,
        endpoints={
            "ORR": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float),
            "PFS": (np.minimum(time, censored), (time <= censored).astype(float)),
        },
        age=rng.normal(60, 8, n),
    )


@pytest.mark.parametrize("endpoint", ["ORR", "PFS"])
def test_a_planted_benefit_is_found(endpoint):
    task = task_of(trial_with(2.5), endpoint, ["age"], forest=False)
    stratum = np.arange(len(task.arm)) % 3
    found = treatment_benefit(task, stratum, seed=1, repeats=3, randomisations=19)
    assert list(found.table.columns) == BENEFIT
    table = found.table.set_index("metric")
    assert table.loc["score_z", "p_randomisation"] == approx(1 / 20)
    assert table.loc["c_for_benefit", "estimate"] > 0.55
    groups = found.by_quantile
    assert list(groups.columns) == BY_QUANTILE
    assert groups["observed"].iloc[-1] > groups["observed"].iloc[0] + 0.3
    known = groups[groups["note"] == ""]
    assert len(known) >= 3
    assert (known["low"] <= known["observed"]).all()
    assert groups["predicted"].is_monotonic_increasing
    assert groups[["n_control", "n_experimental"]].to_numpy().sum() == len(task.arm)
    again = treatment_benefit(task, stratum, seed=1, repeats=3, randomisations=19)
    assert again.table.equals(found.table)


def test_every_prediction_is_by_a_model_that_did_not_see_the_subject():
    """Other outcomes of one subject move the predictions of others, not its own in the fold it was held out in."""
    task = task_of(trial_with(2.5, n=80), "PFS", [], forest=False)
    shared = {"seed": 1, "repeats": 1, "randomisations": 0}
    stratum = np.zeros(len(task.arm), dtype=int)
    before = treatment_benefit(task, stratum, **shared).predictions
    time = task.outcome.time.copy()
    time[5] += 3.0
    moved = replace(task, outcome=Outcome(task.outcome.event, time))
    after = treatment_benefit(moved, stratum, **shared).predictions
    assert (before["fold"] == after["fold"]).all()
    held = before["fold"] == before["fold"][5]
    assert (before["benefit"][held] == after["benefit"][held]).all()
    assert (before["benefit"][~held] != after["benefit"][~held]).any()


def test_c_for_benefit_by_hand():
    """Pairs by rank: predicted 1, 2, 3; observed benefit 0, 1, -1."""
    arm = np.array([0, 0, 0, 1, 1, 1])
    benefit = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    outcome = Outcome(np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0]))
    blocks = Blocks(np.zeros((1, 6), dtype=int))
    ratio = c_for_benefit(outcome, arm, blocks, benefit[None])
    # of three pairs of pairs that differ in observed benefit only (0, 1) is predicted in the right order
    assert ratio.bottom[0] == 3
    assert ratio.estimate == approx(1 / 3)
    time = np.array([2.0, 1.0, 9.0, 2.0, 5.0, 3.0])
    event = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 1.0])
    # experimental: outlives a tied event (1), outlives (1), dies before one who is censored later (-1)
    ratio = c_for_benefit(Outcome(event, time), arm, blocks, benefit[None])
    assert ratio.bottom[0] == 2
    assert ratio.estimate == 0.0


def test_the_score_knows_which_way_benefit_goes():
    rng = np.random.default_rng(3)
    arm = np.arange(400) % 2
    marker = rng.standard_normal(400)
    fold = np.arange(400) // 2 % 5
    better = (rng.random(400) < 1 / (1 + np.exp(-2 * (arm - 0.5) * marker))).astype(float)
    assert score_z(Outcome(better), arm, fold, marker) > 3
    assert score_z(Outcome(better), arm, fold, -marker) < -3
    time = rng.exponential(np.exp(2 * (arm - 0.5) * marker))
    assert score_z(Outcome(np.ones(400), time), arm, fold, marker) > 3
    # the same prediction for everybody, or differing by fold and arm only, says nothing
    assert score_z(Outcome(better), arm, fold, 3.0 * fold + arm) == 0.0


def test_residuals_of_the_arm_alone_add_up_to_nothing_in_each_arm():
    rng = np.random.default_rng(0)
    arm = np.arange(60) % 2
    event, time = (rng.random(60) < 0.6).astype(float), rng.exponential(size=60) + arm
    for outcome in (Outcome(event), Outcome(event, time)):
        residual = arm_residual(outcome, arm)
        for side in (0, 1):
            assert residual[arm == side].sum() == approx(0, abs=1e-12)


def test_groups_in_which_an_arm_has_no_event_have_no_limits():
    task = task_of(trial_with(0.0, n=60), "PFS", [], forest=False)
    event = task.outcome.event.copy()
    event[task.arm == 1] = 0.0
    task = replace(task, outcome=Outcome(event, np.full(60, task.months + 1.0)))
    table = by_quantile(task, np.arange(60.0))
    assert table["low"].isna().all()
    assert table["note"].str.contains("no event").all()
    short = replace(task, outcome=Outcome(event, np.full(60, task.months / 2)))
    assert by_quantile(short, np.arange(60.0))["observed"].isna().all()


def test_benefit_needs_randomised_arms_and_outcomes_in_each():
    task = task_of(trial_with(0.0, n=60), "ORR", [], forest=False)
    with pytest.raises(ValueError, match="two randomised arms"):
        treatment_benefit(
            replace(task, arm=np.full(len(task.arm), np.nan)), np.zeros(60, dtype=int), seed=1
        )
    event = np.where(task.arm == 1, 0.0, task.outcome.event)
    event[np.flatnonzero(task.arm == 1)[:2]] = 1.0
    refused = treatment_benefit(
        replace(task, outcome=Outcome(event)), np.zeros(60, dtype=int), seed=1
    )
    assert refused.by_quantile.empty
    assert refused.table["estimate"].isna().all()
    assert set(refused.table["note"]) == {
        "2 subjects of an arm with or without a response are fewer than the 5 folds: no benefit is predicted"
    }
    assert "fewer than the 5 folds" in refused.notes[-1]
    drawn = benefit.draw(refused.by_quantile, refused.table, "ORR")
    assert "No data: 2 subjects of an arm with or without a response are fewer" in drawn.caption
