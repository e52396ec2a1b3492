"""Penalised models, what is learnt before them, and nested resampling."""

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx

from correlatives.response.blocks import Blocks, concordance
from correlatives.response.design_matrix import candidate_predictors
from correlatives.response.elastic_net import Outcome
from correlatives.response.evaluation import (
    PERFORMANCE,
    PREDICTIONS,
    SAMPLE_SIZE,
    TABLES,
    evaluate,
    judged,
    models_table,
    resampled,
    task_of,
    together,
)
from correlatives.response.models import Model, models_of
from correlatives.response.nested_cv import deal, resample
from correlatives.response.performance import response_pairs
from correlatives.response.preparation import Design, Preparation


def design_of(value, always=0, discrete=None):
    p = value.shape[1]
    return Design(
        [f"m{j}" for j in range(p)],
        value,
        np.zeros(p, dtype=bool) if discrete is None else discrete,
        np.arange(p) < always,
    )


def test_preparation_learns_from_the_training_rows_only():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((60, 40)) * 5 + 100
    value[:, 5] = rng.random(60) < 0.4
    value[rng.random((60, 40)) < 0.15] = np.nan
    discrete = np.arange(40) == 5
    rows = rng.random(60) < 0.7
    outcome = (rng.random(60) < 0.4).astype(float)
    residual = np.where(rows, outcome - outcome[rows].mean(), 0.0)
    everyone = np.arange(60)

    def prepared(value):
        preparation = Preparation(design_of(value, 3, discrete), selected=10)
        learnt = preparation.learn(rows, residual)
        chosen = preparation.choose(learnt)
        return learnt, chosen, preparation.filled(learnt, chosen, everyone)

    learnt, chosen, columns = prepared(value)
    for place, j in enumerate(chosen):
        known = value[rows, j][np.isfinite(value[rows, j])]
        ordered = np.sort(known)
        middle = ordered[(len(ordered) - 1) // 2] if discrete[j] else np.median(known)
        assert learnt.median[j] == middle
        filled = np.where(np.isfinite(value[:, j]), value[:, j], middle)
        expected = (filled - filled[rows].mean()) / filled[rows].std()
        assert columns[place] == approx(expected, rel=1e-9, abs=1e-9)
    assert chosen[:3].tolist() == [0, 1, 2]
    assert len(chosen) == 13
    score = np.abs(columns @ residual)
    assert (np.diff(score[3:]) <= 1e-9).all(), "markers by their univariate score"
    # held-out rows may hold anything
    other = value.copy()
    other[~rows] = rng.standard_normal(((~rows).sum(), 40)) * 5 + 100
    again, chosen_again, columns_again = prepared(other)
    assert (chosen_again == chosen).all()
    assert (again.median == learnt.median).all()
    assert columns_again[:, rows] == approx(columns[:, rows], abs=1e-9)


def test_columns_without_information_are_not_chosen():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((50, 5))
    value[:, 0] = 7.1
    value[:, 1] = np.nan
    value[:, 2] = np.arange(50) == 3
    value[:, 3] += 1e9
    preparation = Preparation(design_of(value))
    learnt = preparation.learn(np.ones(50, dtype=bool), rng.standard_normal(50))
    assert sorted(preparation.choose(learnt)) == [3, 4]
    assert (learnt.scale[:3] == 0).all()
    only = preparation.choose(learnt, np.arange(5) == 4)
    assert only.tolist() == [4]


def test_folds_are_balanced_over_arm_and_outcome():
    groups = np.random.default_rng(5).integers(0, 4, 47)
    fold = deal(groups, 5, np.random.default_rng(1))
    assert np.ptp(np.bincount(fold, minlength=5)) <= 1
    for group in range(4):
        assert np.ptp(np.bincount(fold[groups == group], minlength=5)) <= 1


def repeats_of(design, outcome, groups, seed, numbers):
    """Run some repeats of the fullest penalised model."""
    preparation = Preparation(design)
    model = Model("all", np.ones(len(design.names), dtype=bool))
    return [
        resample(preparation, [model], outcome, groups, seed=[seed, number]) for number in numbers
    ]


def noise_trials(trials, make):
    """Mean and standard error of the out-of-fold AUC of pure noise, 46 subjects × 300 markers."""
    found = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        value = rng.standard_normal((46, 300))
        outcome = (rng.permutation(46) < 17).astype(float)
        design = make(value, outcome)
        groups = (2 * rng.integers(0, 2, 46) + outcome).astype(int)
        runs = repeats_of(design, Outcome(outcome), groups, seed, [0, 1])
        blocks = Blocks(np.stack([run.fold for run in runs]))
        predictor = np.stack([run.predictor["all"] for run in runs])
        found.append(concordance(response_pairs(outcome), blocks, predictor).estimate)
    return np.mean(found), np.std(found) / np.sqrt(trials)


def test_noise_is_not_predicted():
    mean, error = noise_trials(40, lambda value, outcome: design_of(value))
    assert error < 0.03
    assert abs(mean - 0.5) < 3 * error


def test_the_test_of_noise_notices_a_leak():
    """Markers chosen with the outcome of everyone, before the folds."""

    def leaky(value, outcome):
        score = np.abs((outcome - outcome.mean()) @ value)
        return design_of(value[:, np.argsort(-score)[:20]])

    mean, error = noise_trials(10, leaky)
    assert mean - 0.5 > 6 * error


def test_a_few_clinical_factors_are_not_drowned_by_noise():
    """Beside 500 biomarkers that know nothing, a clinical factor keeps most of what it foretells."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        value = rng.standard_normal((120, 504))
        outcome = (rng.random(120) < 1 / (1 + np.exp(-1.2 * value[:, 0]))).astype(float)
        design = design_of(value, always=4)
        models = models_of(design, forest=False)
        run = resample(
            Preparation(design), models, Outcome(outcome), outcome.astype(int), seed=[seed]
        )
        blocks = Blocks(run.fold[None])
        found.append(
            [
                concordance(response_pairs(outcome), blocks, run.predictor[m.name][None]).estimate
                for m in models
            ]
        )
    clinical, both = np.mean(found, axis=0)
    assert clinical > 0.72
    assert both > clinical - 0.05


def responding(n=160, seed=2, effect=1.5):
    """A trial in which a marker and a clinical column carry response, and PFS."""
    source = trial(n=n, markers=60, seed=seed)
    rng = np.random.default_rng(seed)
    x = source.markers.value.copy()
    visceral = (rng.random(n) < 0.5).astype(float)
    score = effect * x[0] + 0.8 * (visceral - 0.5)
    lost = rng.random(n) < 0.15
    x[:, lost] = np.nan
    values = {f"m{j}": x[j] for j in range(60)}
    time = rng.exponential(10 * np.exp(score))
    censored = rng.uniform(10, 40, n)
    response = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(float)
    response[0] = np.nan
    return cohort_of(
        markers_of(source.markers.subjects, values, specimen="archival_tissue"),
        arm=source.subjects["arm_code"].to_numpy(),
        endpoints={
            "ORR": response,
            "PFS": (np.minimum(time, censored), (time <= censored).astype(float)),
        },
        visceral=np.where(visceral == 1, "yes", "no"),
        age=rng.normal(60, 8, n),
    )


@pytest.mark.parametrize("endpoint", ["ORR", "PFS"])
def test_evaluation_finds_what_was_planted(endpoint):
    cohort = responding()
    result = evaluate(cohort, endpoint, ["visceral", "age"], seed=1, repeats=3)
    metric = "auc" if endpoint == "ORR" else "c_index_ipcw"
    table = result.performance.set_index(["model", "metric"])
    assert list(result.performance.columns) == PERFORMANCE
    assert table.loc[("clinical + biomarkers", metric), "estimate"] > 0.7
    gain = table.loc[("clinical + biomarkers", f"{metric}_gain")]
    assert gain["low"] > 0
    assert gain["estimate"] == approx(
        table.loc[("clinical + biomarkers", metric), "estimate"]
        - table.loc[("clinical", metric), "estimate"]
    )
    assert (result.performance["low"] <= result.performance["estimate"]).all()
    assert (result.performance["estimate"] <= result.performance["high"]).all()
    n = 159 if endpoint == "ORR" else 160
    assert (result.performance["n"] == n).all()
    if endpoint == "ORR":
        assert 0.3 < table.loc[("clinical + biomarkers", "calibration_slope"), "estimate"] < 3
        assert abs(table.loc[("clinical + biomarkers", "calibration_intercept"), "estimate"]) < 0.5
        assert any("1 subject is without ORR" in note for note in result.notes)
    assert list(result.predictions.columns) == PREDICTIONS
    assert len(result.predictions) == n * 3 * 3
    size = result.sample_size.set_index("model")
    assert list(result.sample_size.columns) == SAMPLE_SIZE
    assert size.loc["clinical", "candidate_parameters"] == 2
    assert size.loc["clinical + biomarkers", "candidate_parameters"] == 63
    assert size.loc["clinical + biomarkers", "n_required"] > n
    assert any("too small to trust" in note for note in result.notes)
    again = evaluate(cohort, endpoint, ["visceral", "age"], seed=1, repeats=3)
    pd.testing.assert_frame_equal(again.performance, result.performance)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


def test_without_clinical_columns_there_is_no_gain():
    result = evaluate(responding(n=80), "ORR", repeats=1)
    assert set(result.performance["model"]) == {"biomarkers", "biomarkers (random forest)"}
    assert not result.performance["metric"].str.contains("gain").any()


def test_too_few_events_are_refused_in_words():
    cohort = responding(n=60)
    subjects = cohort.subjects.copy()
    subjects["ORR"] = (np.arange(60) < 6).astype(float)
    few = type(cohort)(
        cohort.study, subjects, cohort.markers, *([cohort.samples] * 3), cohort.pathways
    )
    result = evaluate(few, "ORR", ["age"])
    assert result.performance.empty
    assert list(result.performance.columns) == PERFORMANCE
    assert list(result.sample_size.columns) == SAMPLE_SIZE
    assert result.notes == [
        "ORR: 6 responders or non-responders are fewer than 10; no model is fitted."
    ]


def test_candidates_are_clinical_columns_baseline_markers_and_lost_samples():
    n = 30
    rng = np.random.default_rng(0)
    lost = np.arange(n) < 5
    values = {
        "TK1": np.where(lost, np.nan, rng.exponential(10, n) + 1),
        "CTC": np.where(lost, np.nan, rng.exponential(10, n)),
        "gene:TP53": (np.arange(n) % 2).astype(float),
    }
    markers = markers_of(identifiers(n), values, {"TK1": {"transform": "log2"}})
    later = markers_of(identifiers(n), {"TK1": values["TK1"]}, timepoint="progression")
    cohort = cohort_of(
        type(markers).concatenate([markers, later]),
        arm=np.arange(n) % 2,
        endpoints={"ORR": np.arange(n) % 2.0},
        hr_status=np.where(np.arange(n) % 3 == 0, "negative", "positive"),
        ecog=np.arange(n) % 2.0,
    )
    design = candidate_predictors(cohort, ["hr_status", "ecog"], np.ones(n, dtype=bool))
    assert design.names == [
        "clinical:hr_status=positive",
        "clinical:ecog",
        "plasma:TK1",
        "plasma:CTC",
        "plasma:gene:TP53",
        "missing:plasma:TK1",
    ]
    assert design.always.tolist() == [True, True, False, False, False, False]
    assert design.value[10, 2] == approx(np.log2(values["TK1"][10]))
    with pytest.raises(KeyError, match=r"response\.clinical"):
        candidate_predictors(cohort, ["weight"], np.ones(n, dtype=bool))


@pytest.mark.parametrize(("lost", "indicator"), [(0, 0), (1, 0), (4, 0), (5, 1), (55, 1), (56, 0)])
def test_a_value_missing_in_a_handful_of_subjects_is_imputed_only(lost, indicator):
    # of 65 subjects, 5 have no outcome and miss the age: they are in no model and count for none
    rng = np.random.default_rng(4)
    n = 65
    age = rng.normal(60, 8, n)
    age[:lost] = np.nan
    age[60:] = np.nan
    response = (rng.random(n) < 0.5).astype(float)
    response[60:] = np.nan
    cohort = cohort_of(
        markers_of(identifiers(n), {"TK1": rng.exponential(10, n) + 1}),
        arm=np.arange(n) % 2,
        endpoints={"ORR": response},
        age=age,
    )
    task = task_of(cohort, "ORR", ["age"], forest=False)
    names = ["clinical:age", "plasma:TK1", *["missing:clinical:age"] * indicator]
    assert task.design.names == names
    assert models_table(task)["candidate_parameters"].tolist()[0] == 1 + indicator
    fitted = resampled(task, seed=1, repeats=range(2), permutations=range(0))
    # every subject is predicted, with an imputed age or without
    predicted = fitted.predictions.query("model == 'clinical'")
    assert len(predicted) == 2 * 60
    assert np.isfinite(predicted[["predictor", "probability"]].to_numpy()).all()


def test_constants_say_what_a_training_set_did_to_its_columns():
    rng = np.random.default_rng(3)
    value = np.column_stack(
        [rng.normal(50, 9, 40), rng.integers(0, 2, 40), rng.normal(3, 1, 40)]
    ).astype(float)
    value[[1, 5, 7], 0] = np.nan
    value[[2, 5], 1] = np.nan
    design = Design(["a", "b", "c"], value, np.array([False, True, False]), np.zeros(3, dtype=bool))
    training = rng.random(40) < 0.8
    preparation = Preparation(design)
    learnt = preparation.learn(training, rng.standard_normal(40) * training)
    chosen = preparation.choose(learnt)
    columns = preparation.filled(learnt, chosen, np.arange(40)).T
    imputed, centre, scale = preparation.constants(training, chosen)
    by_hand = (np.where(np.isnan(value), 0, value)[:, chosen] - centre) / scale
    missing = np.isnan(value)[:, chosen]
    by_hand = np.where(missing, (imputed - centre) / scale, by_hand)
    assert columns == approx(by_hand, abs=1e-12)
    # a new subject may miss what no subject here misses
    assert imputed[list(chosen).index(2)] == np.median(value[training, 2])
    binary = list(chosen).index(1)
    assert imputed[binary] in (0.0, 1.0)


def blood_and_tissue(n=90, seed=5):
    """A trial with markers of two specimens, of which one sample each was lost here and there."""
    rng = np.random.default_rng(seed)
    names = identifiers(n)
    arm = np.arange(n) % 2

    def matrix(prefix, lost):
        return {f"{prefix}{j}": np.where(lost, np.nan, rng.standard_normal(n)) for j in range(12)}

    blood = markers_of(names, matrix("b", rng.random(n) < 0.1), specimen="plasma")
    tissue = markers_of(names, matrix("t", rng.random(n) < 0.2), specimen="archival_tissue")
    score = 1.6 * np.nan_to_num(tissue.value[0])
    time = rng.exponential(8 * np.exp(-score))
    censored = rng.uniform(6, 30, n)
    return cohort_of(
        type(blood).concatenate([blood, tissue]),
        arm=arm,
        endpoints={
            "ORR": (rng.random(n) < 1 / (1 + np.exp(-score))).astype(float),
            "PFS": (np.minimum(time, censored), (time <= censored).astype(float)),
        },
        age=rng.normal(60, 8, n),
    )


def test_the_value_of_each_specimen_is_seen():
    cohort = blood_and_tissue()
    task = task_of(cohort, "ORR", ["age"], forest=False)
    members = {
        model.name: {
            name for name, kept in zip(task.design.names, model.members, strict=True) if kept
        }
        for model in task.models
    }
    assert list(members) == [
        "clinical",
        "clinical + blood",
        "clinical + tissue",
        "clinical + biomarkers",
    ]
    assert members["clinical"] == {"clinical:age"}
    blood = {name for name in task.design.names if "plasma:b" in name}
    tissue = {name for name in task.design.names if "archival_tissue:t" in name}
    assert {"missing:plasma:b0", "missing:archival_tissue:t0"} <= blood | tissue
    assert members["clinical + blood"] == {"clinical:age"} | blood
    assert members["clinical + tissue"] == {"clinical:age"} | tissue
    assert members["clinical + biomarkers"] == {"clinical:age"} | blood | tissue
    assert models_table(task)["candidate_parameters"].tolist() == [1, 14, 14, 27]
    auc = (
        evaluate(cohort, "ORR", ["age"], repeats=3, forest=False)
        .performance.query("metric == 'auc'")
        .set_index("model")["estimate"]
    )
    assert auc["clinical + tissue"] > auc["clinical + blood"] + 0.15


@pytest.mark.parametrize("endpoint", ["ORR", "PFS"])
def test_how_the_work_is_split_does_not_matter(endpoint):
    task = task_of(blood_and_tissue(), endpoint, ["age"])

    def shared(jobs):
        return together(
            [
                resampled(
                    task,
                    seed=11,
                    repeats=range(job, 4, jobs),
                    permutations=range(job, 5, jobs),
                )
                for job in range(jobs)
            ]
        )

    alone, split = shared(1), shared(3)
    for name in ("predictions", "coefficients", "permutations"):
        pd.testing.assert_frame_equal(getattr(alone, name), getattr(split, name), check_exact=True)
    one, other = judged(task, alone), judged(task, split)
    for name, columns in TABLES.items():
        table = getattr(one, name)
        assert list(table.columns) == columns
        assert len(table)
        pd.testing.assert_frame_equal(table, getattr(other, name), check_exact=True)


@pytest.mark.parametrize("endpoint", ["ORR", "PFS"])
def test_tables_hang_together(endpoint):
    result = evaluate(
        blood_and_tissue(), endpoint, ["age"], repeats=2, permutations=19, forest=False
    )
    performance = result.performance.set_index(["model", "metric"])["estimate"]
    behind = "" if endpoint == "ORR" else "_at_8_months"
    months = result.calibration_by_arm["horizon_months"].unique()
    if endpoint == "PFS":
        assert len(months) == 1
        behind = f"_at_{months[0]:g}_months"
        assert performance["clinical + tissue", f"auc{behind}"] > 0.6
    assert performance["clinical + tissue", f"brier{behind}"] < 0.25
    gain = (
        performance["clinical + tissue", f"brier{behind}"]
        - performance["clinical", f"brier{behind}"]
    )
    assert performance["clinical + tissue", f"brier{behind}_gain"] == approx(gain)
    # the planted marker: found always, in the right direction
    stable = result.stability.query("model == 'clinical + tissue'").iloc[0]
    assert stable["predictor"] == "archival_tissue:t0"
    assert stable["selected"] == 1
    assert stable["fits"] == 10
    assert stable["positive"] == 1
    p = result.permutation.set_index("model")
    assert p.loc["clinical + tissue", "p_permutation"] == approx(1 / 20)
    assert (p["permutations"] == 19).all()
    arms = result.calibration_by_arm.query("model == 'clinical + tissue'").set_index("arm")
    assert arms.loc["all", "n"] == arms.loc["control", "n"] + arms.loc["experimental", "n"]
    curve = result.calibration_curve.query("model == 'clinical + tissue'")
    for arm, rows in curve.groupby("arm"):
        assert rows["n"].sum() == arms.loc[arm, "n"]
        assert rows["predicted"].is_monotonic_increasing
    assert np.average(
        curve.query("arm == 'all'")["predicted"], weights=curve.query("arm == 'all'")["n"]
    ) == approx(arms.loc["all", "predicted"])
    decisions = result.decision_curve.query("model == 'clinical + tissue'")
    low = decisions.iloc[0]
    # at a threshold of 1 % everybody is above it
    assert low["net_benefit"] == approx(low["net_benefit_all"], abs=0.02)
    assert result.sample_size["note"].str.contains("too small to trust").any()
