import numpy as np
import pytest
from pytest import approx
from reference_answers import answers, column, table

from correlatives.binary.logistic import fit_logistic, fit_logistic_many

REFERENCE = answers("binary.json")
DATA = {
    "arthritis": "arthritis_arm",
    "colon": "colon_y5_binary",
    "veteran": "veteran_y90_binary",
    "endometrial": "endometrial",
}


def model(case, formula):
    """Return response and design of an R formula with +, * and I(prior/10)."""
    data = table(f"data/{DATA[case.split('_')[0]]}.csv")
    if "prior" in data:
        data["I(prior/10)"] = data["prior"] / 10
    response, right = (part.strip() for part in formula.split("~"))
    terms = []
    for term in (part.strip() for part in right.split("+")):
        main = [part.strip() for part in term.split("*")]
        terms += main + ([":".join(main)] if len(main) > 1 else [])
    terms.sort(key=lambda term: ":" in term)
    design = np.column_stack([column(data, term) for term in terms])
    known = np.isfinite(design).all(axis=1) & data[response].notna().to_numpy()
    return data.loc[known, response].to_numpy(float), design[known]


@pytest.mark.parametrize("case", REFERENCE["logistic"])
def test_agrees_with_glm(case):
    """R's default stops at 1e-8 of the deviance, which leaves coefficients and errors 2e-7."""
    answer = REFERENCE["logistic"][case]
    y, design = model(case, answer["formula"])
    fit = fit_logistic(y, design)
    assert fit.n == answer["n"]
    assert fit.loglik == approx(answer["loglik"], rel=1e-10)
    assert -2 * fit.loglik_null == approx(answer["null_deviance"], rel=1e-10)
    for j, term in enumerate(answer["coefficients"]):
        assert fit.coefficients[j] == approx(term["coef"], rel=1e-6)
        assert fit.standard_errors[j] == approx(term["se"], rel=1e-6)
        assert fit.test(j, "wald").p == approx(term["p"], rel=1e-5)
        # R draws a spline through the profile; the next test checks the definition.
        limits = np.exp(fit.interval(j)[1:])
        assert limits == approx([term["profile_lower"], term["profile_upper"]], rel=1e-2)
    if "interaction" in answer:
        assert fit.test(-1).statistic == approx(answer["interaction"]["lr"], rel=1e-6)
        assert fit.test(-1, "score").statistic == approx(answer["interaction"]["score"], rel=1e-6)


def test_profile_limits_are_where_the_profile_has_fallen():
    import statsmodels.api as sm

    y, design = model("arthritis", "resp ~ arm * Age")
    fit = fit_logistic(y, design)
    full = np.column_stack([np.ones(len(y)), design])
    for j in range(1, 4):
        for limit in fit.interval(j)[1:]:
            others = np.delete(full, j, axis=1)
            held = sm.GLM(y, others, family=sm.families.Binomial(), offset=limit * full[:, j])
            drop = 2 * (fit.loglik - held.fit(tol=1e-12).llf)
            assert drop == approx(3.841458820694124, rel=1e-8)


@pytest.mark.parametrize("case", REFERENCE["firth_logistic"])
def test_firth_agrees_with_brglm2(case):
    answer = REFERENCE["firth_logistic"][case]
    y, design = model(case, answer["formula"])
    fit = fit_logistic(y, design, firth=True)
    assert fit.converged
    assert fit.loglik == approx(answer["penalized_loglik"], rel=1e-12)
    for j, term in enumerate(answer["coefficients"]):
        assert fit.coefficients[j] == approx(term["brglm2_coef"], rel=1e-10)
        assert fit.standard_errors[j] == approx(term["brglm2_se"], rel=1e-10)
        limits = (term["profile_lower"], term["profile_upper"])
        assert fit.interval(j)[1:] == approx(limits, rel=1e-8)
        assert fit.test(j).statistic == approx(term["plr_chisq"], rel=1e-9)


def test_firth_agrees_with_firthmodels():
    """It stops at a gradient of 1e-4 by default; at less its step-halving gives up."""
    from firthmodels import FirthLogisticRegression

    y, design = model("endometrial", "HG ~ NV + PI + EH")
    assert fit_logistic(y, design).separated
    theirs = FirthLogisticRegression(backend="numpy").fit(design, y)
    ours = fit_logistic(y, design, firth=True)
    assert ours.coefficients[0] == approx(float(np.ravel(theirs.intercept_)[0]), rel=1e-4)
    assert ours.coefficients[1:] == approx(np.ravel(theirs.coef_), rel=1e-4)


def test_separation_is_never_a_number_and_its_finite_side_is():
    y, design = model("endometrial", "HG ~ NV + PI + EH")
    fit = fit_logistic(y, design)
    assert not fit.converged
    assert np.isnan(fit.coefficients).all()
    assert "no finite maximum" in fit.note
    vascular = fit.interval(1)
    assert np.isnan(vascular.high)
    assert np.isfinite(vascular.low)
    # The likelihood ratio stays valid: Wald would say p = 0.99.
    assert fit.test(1).p < 0.01
    assert np.isnan(fit.test(1, "wald").p)


def test_exact_separation_is_found_by_linear_programming():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 2))
    y = (x.sum(axis=1) > 0).astype(float)
    many = fit_logistic_many(y, x[None])
    assert many.separated[0]
    likelihood, *_ = many._model.build(np.array([0]))
    assert likelihood.separates(0) is not None
    y = (rng.random(40) < 0.5).astype(float)
    likelihood, *_ = fit_logistic_many(y, x[None])._model.build(np.array([0]))
    assert likelihood.separates(0) is None


def test_many_markers_with_missing_values_are_fitted_as_one_by_one():
    rng = np.random.default_rng(6)
    n, p = 70, 9
    y, arm = (rng.random(n) < 0.4).astype(float), rng.integers(0, 2, n)
    markers, include = rng.normal(1e6, 1, size=(p, n)), rng.random((p, n)) < 0.8
    markers[~include] = np.nan
    designs = np.stack([np.broadcast_to(arm, (p, n)), markers, arm * (markers - 1e6)], axis=-1)
    many, firth = (fit_logistic_many(y, designs, include, firth=how) for how in (False, True))
    for i in range(p):
        kept = include[i]
        for block, how in ((many, False), (firth, True)):
            one = fit_logistic(y[kept], designs[i][kept], firth=how)
            # The offset of a million leaves ten digits of the marker.
            assert block.coefficients[i][1:] == approx(one.coefficients[1:], rel=1e-6)
            assert block.loglik[i] == approx(one.loglik, rel=1e-9)
            assert block.expected()[i][kept] == approx(one.expected(), rel=1e-7)


def test_columns_without_information_are_aliased():
    y = np.array([0, 1, 0, 1, 1, 0.0])
    arm = np.array([0, 0, 0, 1, 1, 1.0])
    fit = fit_logistic(y, np.column_stack([arm, np.full(6, 3.0), 1 - arm]))
    assert fit.aliased.tolist() == [False, False, True, True]
    assert np.isfinite(fit.coefficients[:2]).all()
    assert np.isnan(fit.coefficients[2:]).all()
    assert fit.model_test().df == 1


def test_wrong_responses_are_refused():
    with pytest.raises(ValueError, match="0 and 1"):
        fit_logistic([0, 1, 2], np.ones(3))
    with pytest.raises(ValueError, match="missing or infinite"):
        fit_logistic([0, 1, 1], [1.0, np.nan, 2.0])
    assert "alike" in fit_logistic([1, 1, 1], [1.0, 3.0, 2.0]).note
