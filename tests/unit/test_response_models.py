"""Penalised models, what is learnt before them, and nested resampling."""

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of, trial
from pytest import approx

from correlatives.response.design_matrix import candidate_predictors
from correlatives.response.elastic_net import (
    CoxLoss,
    LogisticLoss,
    fit_paths,
    strongest_penalty,
)
from correlatives.response.evaluation import PERFORMANCE, PREDICTIONS, SAMPLE_SIZE, evaluate
from correlatives.response.nested_cv import PENALTIES, deal, repeats_of
from correlatives.response.performance import concordance, concordance_parts, response_pairs
from correlatives.response.preparation import Design, Preparation


def training_sets(n=90, k=20, sets=4, seed=1):
    """Standardised columns of some training sets, two of them almost equal."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, k))
    x[:, 1] = x[:, 0] + 0.3 * x[:, 1]
    weight = (rng.random((sets, n)) < 0.7).astype(float)
    columns = np.empty((sets, n, k))
    for s in range(sets):
        rows = weight[s] > 0
        columns[s] = (x - x[rows].mean(axis=0)) / x[rows].std(axis=0)
    return x, columns, weight


def test_elastic_net_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    x, columns, weight = training_sets()
    outcome = (np.random.default_rng(2).random(90) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    penalties = np.full((len(weight), 1), 0.3) * PENALTIES
    intercept, beta = fit_paths(
        columns, weight, LogisticLoss(outcome), penalties, tolerance=1e-10, most_steps=20000
    )
    for s, which in ((0, 2), (1, 5), (3, 9)):
        rows = weight[s] > 0
        peer = LogisticRegression(
            l1_ratio=0.5,
            solver="saga",
            C=1 / (penalties[s, which] * rows.sum()),
            tol=1e-10,
            max_iter=100_000,
        ).fit(columns[s][rows], outcome[rows])
        # saga's own stopping rule leaves about 1e-8
        assert beta[s, :, which] == approx(peer.coef_[0], abs=1e-6)
        assert intercept[s, which] == approx(peer.intercept_[0], abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_cox_net_agrees_with_scikit_survival(tied):
    from sksurv.linear_model import CoxnetSurvivalAnalysis
    from sksurv.util import Surv

    x, columns, weight = training_sets(sets=2)
    rng = np.random.default_rng(3)
    time = rng.exponential(np.exp(-x[:, 0])) + 0.01
    time = np.ceil(time * 5) / 5 if tied else time
    event = (rng.random(90) < 0.7).astype(float)
    penalties = np.full((2, 1), 0.5) * PENALTIES
    _, beta = fit_paths(
        columns, weight, CoxLoss(time, event), penalties, tolerance=1e-10, most_steps=50000
    )
    for s in range(2):
        rows = weight[s] > 0
        peer = CoxnetSurvivalAnalysis(
            l1_ratio=0.5, alphas=penalties[s], tol=1e-14, max_iter=1_000_000
        ).fit(columns[s][rows], Surv.from_arrays(event[rows] > 0, time[rows]))
        # its coordinate descent stops at about 1e-4 of a coefficient for the smallest penalties
        assert beta[s] == approx(peer.coef_, abs=2e-4)


def test_at_the_strongest_penalty_nothing_is_left():
    _, columns, weight = training_sets()
    outcome = (np.arange(90) % 3 == 0).astype(float)
    loss = LogisticLoss(outcome)
    start = np.repeat(loss.start(weight)[:, None, None], 90, axis=1)
    gradient = np.einsum("snk,sn->sk", columns, loss.slope(start, weight)[:, :, 0])
    strongest = strongest_penalty(gradient)[:, None]
    _, beta = fit_paths(columns, weight, loss, strongest * np.array([1.001, 0.9]))
    assert (beta[:, :, 0] == 0).all()
    assert (beta[:, :, 1] != 0).any(axis=1).all()


def design_of(value, always=0, discrete=None):
    p = value.shape[1]
    return Design(
        [f"m{j}" for j in range(p)],
        value,
        np.zeros(p, dtype=bool) if discrete is None else discrete,
        np.arange(p) < always,
        p,
    )


def test_preparation_learns_from_the_training_rows_only():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((60, 40)) * 5 + 100
    value[:, 5] = rng.random(60) < 0.4
    value[rng.random((60, 40)) < 0.15] = np.nan
    discrete = np.arange(40) == 5
    training = rng.random((3, 60)) < 0.7
    outcome = (rng.random(60) < 0.4).astype(float)
    residual = np.stack([np.where(t, outcome - outcome[t].mean(), 0.0) for t in training])
    columns, chosen = Preparation(design_of(value, 3, discrete), selected=10).columns(
        training, residual
    )
    for s, rows in enumerate(training):
        for place, j in enumerate(chosen[s]):
            known = value[rows, j][np.isfinite(value[rows, j])]
            ordered = np.sort(known)
            middle = ordered[(len(ordered) - 1) // 2] if discrete[j] else np.median(known)
            filled = np.where(np.isfinite(value[:, j]), value[:, j], middle)
            expected = (filled - filled[rows].mean()) / filled[rows].std()
            assert columns[s, :, place] == approx(expected, rel=1e-9, abs=1e-9)
        assert {0, 1, 2} <= set(chosen[s])
        score = np.abs(residual[s] @ columns[s])
        assert (np.diff(score[3:]) <= 1e-9).all(), "markers by their univariate score"
    # held-out rows may hold anything
    other = value.copy()
    other[~training[0]] = rng.standard_normal(((~training[0]).sum(), 40)) * 5 + 100
    again, chosen_again = Preparation(design_of(other, 3, discrete), selected=10).columns(
        training[:1], residual[:1]
    )
    assert (chosen_again == chosen[:1]).all()
    assert again[0][training[0]] == approx(columns[0][training[0]], abs=1e-9)


def test_columns_without_information_are_not_chosen():
    rng = np.random.default_rng(0)
    value = rng.standard_normal((50, 4))
    value[:, 0] = 7.0
    value[:, 1] = np.nan
    value[:, 2] = np.arange(50) == 3
    training = np.ones((1, 50), dtype=bool)
    residual = rng.standard_normal((1, 50))
    columns, chosen = Preparation(design_of(value)).columns(training, residual)
    assert sorted(chosen[0]) == [-1, -1, -1, 3]
    assert (columns[0][:, chosen[0] == -1] == 0).all()


def test_folds_are_balanced_over_arm_and_outcome():
    groups = np.random.default_rng(5).integers(0, 4, 47)
    fold = deal(groups, 5, np.random.default_rng(1))
    assert np.ptp(np.bincount(fold, minlength=5)) <= 1
    for group in range(4):
        assert np.ptp(np.bincount(fold[groups == group], minlength=5)) <= 1


def out_of_fold_auc(runs, outcome, model="all"):
    pairs = response_pairs(outcome)
    return concordance(
        *concordance_parts(pairs, [r.fold for r in runs], [r.predictor[model] for r in runs])
    )


def noise_trials(trials, make):
    """Mean and standard error of the out-of-fold AUC of pure noise, 46 subjects × 300 markers."""
    found = []
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        value = rng.standard_normal((46, 300))
        outcome = (rng.permutation(46) < 17).astype(float)
        design = make(value, outcome)
        groups = (2 * rng.integers(0, 2, 46) + outcome).astype(int)
        runs = repeats_of({"all": design}, LogisticLoss(outcome), groups, seed=seed, numbers=[0, 1])
        found.append(out_of_fold_auc(runs, outcome))
    return np.mean(found), np.std(found) / np.sqrt(trials)


def test_noise_is_not_predicted():
    mean, error = noise_trials(25, lambda value, outcome: design_of(value))
    assert error < 0.04
    assert abs(mean - 0.5) < 3 * error


def test_the_test_of_noise_notices_a_leak():
    """Markers chosen with the outcome of everyone, before the folds."""

    def leaky(value, outcome):
        score = np.abs((outcome - outcome.mean()) @ value)
        return design_of(value[:, np.argsort(-score)[:20]])

    mean, error = noise_trials(10, leaky)
    assert mean - 0.5 > 6 * error


def test_a_repeat_does_not_depend_on_the_job_it_runs_in():
    rng = np.random.default_rng(1)
    outcome = (rng.random(60) < 0.4).astype(float)
    designs = {"all": design_of(rng.standard_normal((60, 30)))}
    together = repeats_of(
        designs, LogisticLoss(outcome), outcome.astype(int), seed=3, numbers=[0, 1]
    )
    alone = repeats_of(designs, LogisticLoss(outcome), outcome.astype(int), seed=3, numbers=[1])
    assert (together[1].predictor["all"] == alone[0].predictor["all"]).all()
    assert (together[0].fold != together[1].fold).any()


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
        assert any("1 subjects without ORR" in note for note in result.notes)
    assert list(result.predictions.columns) == PREDICTIONS
    assert len(result.predictions) == n * 3 * 2
    size = result.sample_size.set_index("model")
    assert list(result.sample_size.columns) == SAMPLE_SIZE
    assert size.loc["clinical", "candidate_parameters"] == 2
    assert size.loc["clinical + biomarkers", "candidate_parameters"] == 62
    assert size.loc["clinical + biomarkers", "n_required"] > n
    assert any("too small to trust" in note for note in result.notes)
    again = evaluate(cohort, endpoint, ["visceral", "age"], seed=1, repeats=3)
    pd.testing.assert_frame_equal(again.performance, result.performance)
    pd.testing.assert_frame_equal(again.predictions, result.predictions)


def test_without_clinical_columns_there_is_no_gain():
    result = evaluate(responding(n=80), "ORR", repeats=1)
    assert set(result.performance["model"]) == {"biomarkers"}
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
    lost = np.arange(n) < 4
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
    design = candidate_predictors(cohort, ["hr_status", "ecog"])
    assert design.names == [
        "clinical:hr_status=positive",
        "clinical:ecog",
        "plasma:TK1",
        "plasma:CTC",
        "plasma:gene:TP53",
        "missing:plasma:TK1",
    ]
    assert design.always.tolist() == [True, True, False, False, False, False]
    assert design.parameters == 5
    assert design.value[10, 2] == approx(np.log2(values["TK1"][10]))
    with pytest.raises(KeyError, match=r"response\.clinical"):
        candidate_predictors(cohort, ["weight"])


def test_constants_say_what_a_training_set_did_to_its_columns():
    rng = np.random.default_rng(3)
    value = np.column_stack(
        [rng.normal(50, 9, 40), rng.integers(0, 2, 40), rng.normal(3, 1, 40)]
    ).astype(float)
    value[[1, 5, 7], 0] = np.nan
    value[[2, 5], 1] = np.nan
    design = Design(
        ["a", "b", "c"], value, np.array([False, True, False]), np.zeros(3, dtype=bool), 3
    )
    training = rng.random(40) < 0.8
    preparation = Preparation(design)
    columns, chosen = preparation.columns(training[None], rng.standard_normal((1, 40)) * training)
    imputed, centre, scale = preparation.constants(training, chosen[0])
    by_hand = (np.where(np.isnan(value), 0, value)[:, chosen[0]] - centre) / scale
    missing = np.isnan(value)[:, chosen[0]]
    by_hand = np.where(missing, (imputed - centre) / scale, by_hand)
    assert columns[0] == approx(by_hand, abs=1e-12)
    binary = list(chosen[0]).index(1)
    assert imputed[binary] in (0.0, 1.0)
