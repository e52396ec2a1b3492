"""The penalised fits against R's glmnet, scikit-learn and scikit-survival."""

import json

import numpy as np
import pandas as pd
import pytest
from pytest import approx
from reference_answers import FOLDER, answers, column, trial

from correlatives.response.coordinate_descent import COX, LOGISTIC, held_out_losses
from correlatives.response.elastic_net import Outcome, cross_validated, fit_elastic_net

#: Coefficients move by this where R's convergence criterion is tightened to 1e-14 and beyond.
CLOSE = 2e-7


def cox_example():
    """R's CoxExample of glmnet: 1,000 subjects, 30 columns, no ties."""
    data = pd.read_csv(FOLDER / "data" / "glmnet_cox_example.csv.gz")
    columns = data.filter(regex="^V").to_numpy()
    return columns, Outcome(data["status"].to_numpy(float), data["time"].to_numpy(float))


def coefficients(table, keys):
    """Return rows of R's coefficient table as (penalties, columns)."""
    return np.array([[row[key] for row in table] for key in keys])


def gbsg():
    """Return the columns of R's fits, and an outcome in which no censored time ties with an event."""
    data = trial("gbsg")
    names = answers("glmnet_gbsg.json")["columns"]
    columns = np.column_stack([column(data, name) for name in names])
    time = data["time"].to_numpy(float) + 0.5 * (data["event"].to_numpy() == 0)
    return data, names, columns, Outcome(data["event"].to_numpy(float), time)


@pytest.mark.parametrize("alpha", [1, 0.5])
def test_paths_are_those_of_glmnet(alpha):
    """R's default convergence criterion, 1e-7, leaves 2e-7 of a coefficient."""
    columns, outcome = cox_example()
    reference = answers("glmnet_ref.json")[f"CoxExample_alpha{alpha}"]
    path = fit_elastic_net(columns, outcome, alpha=alpha, tolerance=1e-16)
    assert path.penalty == approx(np.array(reference["lambda"]), rel=1e-8)
    some = [index - 1 for index in reference["lambda_index"]]
    theirs = coefficients(reference["coef"], [f"s{index}" for index in some])
    assert path.coefficient[some] == approx(theirs, abs=1e-6)
    null = outcome.loss(np.zeros(len(columns)))
    assert 2 * null == approx(reference["nulldev"], rel=1e-10)
    explained = 1 - (-path.loglik) / null
    assert explained == approx(np.array(reference["dev_ratio"]), abs=1e-6)
    assert (path.coefficient != 0).sum(axis=1).tolist() == reference["df"]


@pytest.mark.parametrize("alpha", [1, 0.5])
def test_cross_validation_with_fixed_folds_is_that_of_glmnet(alpha):
    """Without penalties given, glmnet fits each fold along a path of its own, and interpolates coefficients in λ."""
    columns, outcome = cox_example()
    reference = answers("glmnet_ref.json")[f"CoxExample_cv_alpha{alpha}"]
    fold, penalties = np.array(reference["foldid"]), np.array(reference["lambda"])
    raw, events = [], []
    for number in range(1, 6):
        inside = fold != number
        part = outcome.of(inside)
        path = fit_elastic_net(columns[inside], part, alpha=alpha, tolerance=1e-16)
        between = np.array(
            [
                np.interp(penalties, path.penalty[::-1], coefficient[::-1])
                for coefficient in path.coefficient.T
            ]
        )
        eta = columns @ between
        events.append(outcome.event[~inside].sum())
        losses = [outcome.loss(e) - part.loss(e[inside]) for e in eta.T]
        raw.append(2 * np.array(losses) / events[-1])
    deviance = np.average(raw, axis=0, weights=events)
    # deviances of 13.6 by fits that differ by 1e-6 in 30 coefficients
    assert deviance == approx(np.array(reference["cvm"]), abs=5e-6)
    assert penalties[np.argmin(deviance)] == reference["lambda_min"]
    # fits at the penalties themselves are at most that far from the interpolated ones, and choose the same
    exact = cross_validated(columns, outcome, fold, penalties=penalties, alpha=alpha)
    assert exact.deviance == approx(np.array(reference["cvm"]), abs=3e-3)
    assert exact.penalty[exact.best] == approx(reference["lambda_min"], rel=1e-8)


def test_an_unpenalised_arm_ridge_and_strata_are_those_of_glmnet():
    data, names, columns, outcome = gbsg()
    reference = answers("glmnet_gbsg.json")
    free = reference["unpenalised_arm"]
    path = fit_elastic_net(
        columns,
        outcome,
        alpha=1,
        penalty_factor=np.array([name != "arm" for name in names], dtype=float),
        tolerance=1e-20,
    )
    assert path.penalty == approx(np.array(free["lambda"]), rel=1e-7)
    some = np.array(free["which"], dtype=int)
    assert path.coefficient[some] == approx(np.array(free["coef"]), abs=CLOSE)
    ridge = reference["ridge"]
    path = fit_elastic_net(columns, outcome, ridge["lambda"], alpha=0, tolerance=1e-20)
    assert path.coefficient == approx(np.array(ridge["coef"]), abs=CLOSE)
    strata = reference["stratified"]
    kept = np.array(names) != "meno"
    stratified = Outcome(outcome.event, outcome.time, data["meno"].to_numpy())
    path = fit_elastic_net(columns[:, kept], stratified, strata["lambda"], alpha=1, tolerance=1e-20)
    assert path.coefficient == approx(np.array(strata["coef"]), abs=CLOSE)


def test_cross_validation_with_an_elastic_net_is_that_of_glmnet():
    data, _, columns, outcome = gbsg()
    reference = answers("glmnet_gbsg.json")["cv"]
    judged = cross_validated(
        columns,
        outcome,
        np.arange(len(data)) % 5,
        penalties=reference["lambda"],
        alpha=reference["alpha"],
        tolerance=1e-20,
    )
    assert judged.deviance == approx(np.array(reference["cvm"]), abs=1e-7)
    assert judged.error == approx(np.array(reference["cvsd"]), abs=1e-7)


def test_ties_of_events_with_censored_times_are_in_the_risk_set():
    """R's earlier answers on gbsg as it is: glmnet 4.1 leaves some tied censored subjects out of risk sets.

    Unpenalised, coxph (Breslow) finds -0.363898751 for the arm, glmnet -0.363811430. Ridge differs by less than 1e-3 in
    consequence. Its stratified fit ended before it had converged (by up to 0.06): ours has to be at least as good.
    """
    data, names, columns, _ = gbsg()
    outcome = Outcome(data["event"].to_numpy(float), data["time"].to_numpy(float))
    arm = fit_elastic_net(columns[:, :1], outcome, [0.0], tolerance=1e-20)
    assert arm.coefficient[0, 0] == approx(-0.363898751423, abs=1e-9)
    reference = answers("glmnet_ref.json")
    ridge = reference["gbsg_ridge"]
    path = fit_elastic_net(columns, outcome, ridge["lambda"], alpha=0)
    assert path.coefficient == approx(coefficients(ridge["coef"], ["s0", "s1", "s2"]), abs=1e-3)
    strata = reference["gbsg_stratified_meno"]
    kept = np.array(names) != "meno"
    x = columns[:, kept]
    stratified = Outcome(outcome.event, outcome.time, data["meno"].to_numpy())
    ours = fit_elastic_net(x, stratified, strata["lambda"], alpha=1).coefficient
    theirs = coefficients(strata["coef"], ["s0", "s1", "s2"])
    for penalty, one, other in zip(strata["lambda"], ours, theirs, strict=True):
        objective = [
            stratified.loss(x @ beta) / len(x) + penalty * np.abs(beta * x.std(axis=0)).sum()
            for beta in (one, other)
        ]
        assert objective[0] <= objective[1]


def test_logistic_elastic_net_is_that_of_glmnet_and_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    data, _, columns, _ = gbsg()
    reference = answers("glmnet_gbsg.json")["logistic"]
    outcome = Outcome((data["rfstime"] > 900).to_numpy(float))
    path = fit_elastic_net(columns, outcome, reference["lambda"], alpha=0.5, tolerance=1e-20)
    theirs = np.array(reference["coef"])
    assert path.intercept == approx(theirs[:, 0], abs=CLOSE)
    assert path.coefficient == approx(theirs[:, 1:], abs=CLOSE)
    scaled = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    peer = LogisticRegression(
        l1_ratio=0.5, solver="saga", C=1 / (0.03 * len(data)), tol=1e-10, max_iter=100_000
    ).fit(scaled, outcome.event)
    ours = fit_elastic_net(scaled, outcome, [0.03], tolerance=1e-20)
    # saga's own stopping rule leaves about 1e-8
    assert ours.coefficient[0] == approx(peer.coef_[0], abs=1e-6)


@pytest.mark.parametrize("tied", [False, True])
def test_more_columns_than_subjects_agree_with_scikit_survival(tied):
    from sksurv.linear_model import CoxnetSurvivalAnalysis
    from sksurv.util import Surv

    rng = np.random.default_rng(3)
    columns = rng.standard_normal((80, 300))
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    time = rng.exponential(np.exp(-columns[:, 0])) + 0.01
    time = np.ceil(time * 5) / 5 if tied else time
    event = (rng.random(80) < 0.7).astype(float)
    outcome = Outcome(event, time)
    largest = fit_elastic_net(columns, outcome, count=2).penalty[0]
    penalties = largest * np.geomspace(0.9, 0.1, 8)
    path = fit_elastic_net(columns, outcome, penalties, tolerance=1e-16)
    peer = CoxnetSurvivalAnalysis(l1_ratio=0.5, alphas=penalties, tol=1e-14, max_iter=1_000_000)
    peer.fit(columns, Surv.from_arrays(event > 0, time))
    # its coordinate descent stops at about 1e-4 of a coefficient for the smallest penalties
    assert approx(peer.coef_, abs=2e-4) == path.coefficient.T


@pytest.mark.parametrize("survival", [False, True])
def test_solutions_meet_the_conditions_of_an_optimum(survival):
    """The gradient equals the penalty's slope where there is a coefficient, and is within it elsewhere."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((70, 400))
    x[:, 1] = x[:, 0] + 0.1 * rng.standard_normal(70)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    event = (rng.random(70) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(float)
    outcome = Outcome(event, np.ceil(rng.exponential(size=70) * 8) if survival else None)
    path = fit_elastic_net(x, outcome, count=30, smallest=0.05, tolerance=1e-18)
    assert len(path.penalty) >= 20
    for penalty, beta, eta in zip(path.penalty, path.coefficient, path.predictor(x).T, strict=True):
        step = 1e-6
        used = np.flatnonzero(beta)
        for j in [*used[:5], *range(3)]:
            slope = (outcome.loss(eta + step * x[:, j]) - outcome.loss(eta - step * x[:, j])) / (
                2 * step * len(x)
            )
            if beta[j]:
                assert slope == approx(
                    -penalty * (0.5 * np.sign(beta[j]) + 0.5 * beta[j]), abs=1e-6
                )
            else:
                assert abs(slope) <= penalty * 0.5 + 1e-6


def test_at_the_strongest_penalty_nothing_is_left():
    columns, outcome = cox_example()
    largest = fit_elastic_net(columns, outcome, count=3).penalty[0]
    path = fit_elastic_net(columns, outcome, [1.001 * largest, 0.98 * largest])
    assert (path.coefficient != 0).sum(axis=1).tolist() == [0, 1]


def test_held_out_loss_is_all_less_those_learnt_from():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((50, 3))
    event = (rng.random(50) < 0.6).astype(float)
    inside = rng.random(50) < 0.7
    betas = rng.standard_normal((2, 3))
    outcome = Outcome(event, np.ceil(rng.exponential(size=50) * 6), rng.integers(0, 2, 50))
    order = outcome.order()
    here = outcome.of(order)
    found = held_out_losses(
        COX,
        np.ascontiguousarray(x[order].T),
        here.event,
        *here.ends(),
        inside[order],
        betas,
    )
    expected = [
        outcome.loss(x @ beta) - outcome.of(inside).loss((x @ beta)[inside]) for beta in betas
    ]
    assert found == approx(expected)
    none = np.zeros(0, dtype=np.int64)
    found = held_out_losses(LOGISTIC, np.ascontiguousarray(x.T), event, none, none, inside, betas)
    expected = [Outcome(event[~inside]).loss((x @ beta)[~inside]) for beta in betas]
    assert found == approx(expected)


def test_null_residuals_are_martingale_residuals():
    """Aalen's example by hand: two tied events of four at risk, then one of one."""
    outcome = Outcome(np.array([1.0, 1.0, 0.0, 1.0]), np.array([2.0, 2.0, 3.0, 5.0]))
    assert outcome.null_residual() == approx([0.5, 0.5, -0.5, 1 - 0.5 - 1.0])
    assert Outcome(np.array([1.0, 0.0])).null_residual() == approx([0.5, -0.5])


def test_reference_answers_say_how_they_were_made():
    assert "glmnet 4.1-6" in json.dumps(answers("glmnet_gbsg.json")["note"])
