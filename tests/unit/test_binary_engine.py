import numpy as np
import pytest
from pytest import approx
from reference_answers import answers, column, table

from correlatives.binary.engine import fit_interactions, fit_markers, fitted_probabilities
from correlatives.binary.logistic import fit_logistic_many, without_alike_strata

REFERENCE = answers("binary.json")["logistic"]
DATA = {"arthritis": "arthritis_arm", "colon": "colon_y5_binary", "veteran": "veteran_y90_binary"}


def simulated(seed, n, p, *, strata=0, covariates=0, missing=0.0, alike=False, rate=0.4):
    """Markers of several shapes: normal, heavy-tailed, binary, with an offset."""
    random = np.random.default_rng(seed)
    markers = random.normal(size=(p, n))
    markers[1::4] = np.exp(1.2 * markers[1::4])
    markers[2::4] = markers[2::4] > 0.8
    markers[3::4] = 50.0 + 7.0 * markers[3::4]
    arm = (random.random(n) < 0.5).astype(float)
    codes = random.integers(0, max(strata, 1), n)
    logit = np.log(rate / (1 - rate)) + 0.7 * markers[0] - 0.5 * arm + 0.3 * codes
    y = (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    if alike:
        y[codes == 0] = 1.0
    return {
        "y": y,
        "arm": arm,
        "markers": markers,
        "include": random.random((p, n)) >= missing if missing else None,
        "strata": codes if strata else None,
        "covariates": random.normal(size=(n, covariates)) * 3 + 1 if covariates else None,
    }


CASES = {
    "plain": {"n": 120},
    "strata": {"n": 120, "strata": 3},
    "one covariate": {"n": 120, "covariates": 1},
    "covariates": {"n": 150, "covariates": 3},
    "missing": {"n": 120, "missing": 0.2},
    "everything": {"n": 200, "strata": 2, "covariates": 3, "missing": 0.1},
    "first stratum all alike": {"n": 150, "strata": 3, "alike": True, "missing": 0.1},
    "strata now and then empty": {"n": 60, "strata": 6, "missing": 0.3},
    "small": {"n": 46, "missing": 0.1},
    "rare": {"n": 132, "rate": 0.12},
}


def careful_fits(data, markers, *, interaction):
    """Fit as `fit_logistic_many` does, strata as indicators."""
    n = len(data["y"])
    columns = [markers]
    if "arm" in data:
        columns.append(data["arm"])
    if data["covariates"] is not None:
        columns += list(data["covariates"].T)
    if interaction:
        columns.append(data["arm"] * markers)
    include = data["include"]
    if data["strata"] is not None:
        codes = np.unique(data["strata"])
        columns += [data["strata"] == code for code in codes[1:]]
        everybody = np.ones(markers.shape, bool) if include is None else include
        include = without_alike_strata(data["y"], data["strata"], everybody)
    stacked = np.stack([np.broadcast_to(part, (len(markers), n)) for part in columns], axis=-1)
    return fit_logistic_many(data["y"], stacked.astype(float), include)


def same(found, careful):
    """Every number of two sets of fits, and where there is none."""
    for name in ("converged", "separated", "aliased", "n", "events"):
        assert (getattr(found, name) == getattr(careful, name)).all(), name
    assert found.note.tolist() == careful.note.tolist()
    assert found.loglik == approx(careful.loglik, rel=1e-12, nan_ok=True)
    assert found.loglik_null == approx(careful.loglik_null, rel=1e-12, nan_ok=True)
    # relative to the coefficient or, where that is next to 0, to its standard error
    error = np.nan_to_num(careful.standard_errors)
    assert (np.isnan(found.coefficients) == np.isnan(careful.coefficients)).all()
    away = np.nan_to_num(np.abs(found.coefficients - careful.coefficients))
    assert (away <= 1e-8 * np.nan_to_num(np.abs(careful.coefficients)) + 1e-10 * error).all()
    unit = np.where(error > 0, error, 1.0)
    scaled = unit[:, :, None] * unit[:, None, :]
    assert found.covariance / scaled == approx(careful.covariance / scaled, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_careful_fit(case):
    data = simulated(3, p=48, **CASES[case])
    levels = np.quantile(data["markers"], [0.25, 0.75], axis=1)
    found = fit_interactions(**data, limits=0.95, levels=levels)
    null = careful_fits(data, data["markers"], interaction=False)
    full = careful_fits(data, data["markers"], interaction=True)
    same(found.null, null)
    same(found.full, full)
    assert found.fast.mean() > 0.6
    ratio = 3 + (0 if data["covariates"] is None else data["covariates"].shape[1])
    for test, answer in ((found.lrt, full.test(ratio)), (found.prognostic, null.test(1))):
        assert test.statistic == approx(answer.statistic, abs=1e-8, nan_ok=True)
        assert test.p == approx(answer.p, rel=1e-7, nan_ok=True)
    for side, limit in zip(found.interaction, full.interval(ratio), strict=True):
        assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)
    for level, effect in zip(levels, found.treatment, strict=True):
        moved = careful_fits(data, data["markers"] - level[:, None], interaction=True)
        for side, limit in zip(effect, moved.interval(2), strict=True):
            assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("case", CASES)
def test_one_marker_at_a_time_agrees_with_the_careful_fit(case):
    data = simulated(4, p=32, **CASES[case])
    data.pop("arm")
    found = fit_markers(**data, limits=0.9)
    careful = careful_fits(data, data["markers"], interaction=False)
    same(found.fits, careful)
    assert found.lrt.statistic == approx(careful.test(1).statistic, abs=1e-8, nan_ok=True)
    for side, limit in zip(found.effect, careful.interval(1, 0.9), strict=True):
        assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("case", REFERENCE)
def test_agrees_with_glm(case):
    """R's default stops at 1e-8 of the deviance, which leaves coefficients and errors 2e-7."""
    answer = REFERENCE[case]
    response, right = (part.strip() for part in answer["formula"].split("~"))
    parts = [part.strip() for part in right.split("+")]
    crossed = next(part for part in parts if "*" in part)
    arm, marker = (part.strip() for part in crossed.split("*"))
    assert arm == "arm"
    others = [part for part in parts if part != crossed]
    data = table(f"data/{DATA[case.split('_')[0]]}.csv")
    if "prior" in data:
        data["I(prior/10)"] = data["prior"] / 10
    needed = [response, arm, marker, *others]
    data = data[data[needed].notna().all(axis=1)]
    found = fit_interactions(
        data[response],
        data["arm"],
        column(data, marker)[None],
        covariates=np.column_stack([column(data, part) for part in others]) if others else None,
    )
    assert found.fast.all()
    names = ["(Intercept)", marker, "arm", *others, f"arm:{marker}"]
    expected = {term["id"]: term for term in answer["coefficients"]}
    assert sorted(expected) == sorted(names)
    for j, name in enumerate(names):
        assert found.full.coefficients[0, j] == approx(expected[name]["coef"], rel=1e-6)
        assert found.full.standard_errors[0, j] == approx(expected[name]["se"], rel=1e-6)
    assert found.full.loglik[0] == approx(answer["loglik"], rel=1e-10)
    assert -2 * found.full.loglik_null[0] == approx(answer["null_deviance"], rel=1e-10)
    if "interaction" in answer:
        assert found.lrt.statistic[0] == approx(answer["interaction"]["lr"], rel=1e-6)


def test_markers_without_a_maximum_leave_the_fast_lane():
    """Separated, constant, aliased and outlying markers are refused, or answered, as in the careful fit."""
    random = np.random.default_rng(8)
    data = simulated(8, n=60, p=12)
    y, arm = data["y"], data["arm"]
    data["markers"][:9] = [
        y,  # separates
        y * (arm == 1),  # separates in one arm
        np.where(arm == 1, random.normal(size=60) + 9 * y, random.normal(size=60)),
        np.ones(60),
        arm,
        np.where(np.arange(60) == 3, 1e9, random.normal(size=60)),
        1e12 + random.normal(size=60),
        1e-7 * random.normal(size=60),
        (np.arange(60) == np.flatnonzero(y == 1)[0]).astype(float),  # one carrier, who responds
    ]
    found = fit_interactions(**data, limits=0.95)
    same(found.null, careful_fits(data, data["markers"], interaction=False))
    full = careful_fits(data, data["markers"], interaction=True)
    same(found.full, full)
    assert found.full.separated[[0, 1, 2, 8]].all()
    assert np.isnan(found.interaction.estimate[[0, 1, 2, 3, 4, 8]]).all()
    assert not found.fast[[0, 1, 2, 3, 4, 6, 8]].any()
    assert found.fast[[7, 9, 10, 11]].all()
    assert found.full.aliased[3].tolist() == [False, True, False, True]
    for side, limit in zip(found.interaction, full.interval(3), strict=True):
        assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("strata", [None, np.arange(60) % 4])
def test_probabilities_are_those_of_the_careful_fit(strata):
    random = np.random.default_rng(8)
    n, p = 60, 13
    y, shared = (random.random(n) < 0.4).astype(float), random.normal(size=(n, 2))
    markers, include = random.normal(50, 1, size=(p, n)), random.random((p, n)) < 0.8
    markers[9] = 1.0  # constant
    markers[10] = np.where(y == 1, 2.0, random.uniform(size=n))  # separates
    markers[11] = 3 * shared[:, 0]  # repeats a column
    markers[12] += 1e7
    include[12] = True
    if strata is not None:
        y[strata == 1] = 0.0
    probability, found, about = fitted_probabilities(
        y, np.where(include, markers, np.nan), include, strata, shared
    )
    assert found.tolist() == [j != 10 for j in range(p)]
    expected = include if strata is None else include & (strata != 1)
    assert (about == expected).all()
    assert (probability[found][~about[found]] == 0).all()
    assert np.isnan(probability[~found]).all()
    data = {"y": y, "covariates": shared, "include": include, "strata": strata}
    careful = careful_fits(data, np.where(include, markers, 0.0), interaction=False).expected()
    assert probability[found] == approx(careful[found], rel=1e-7, abs=1e-12)


def test_degenerate_data():
    none = fit_interactions([0.0, 1.0], [0, 1], np.zeros((0, 2)), limits=0.95)
    assert len(none.full) == 0
    for y in (np.zeros(6), np.ones(6)):
        alike = fit_interactions(y, [0, 1, 0, 1, 0, 1], np.arange(12.0).reshape(2, 6), limits=0.9)
        assert np.isnan(alike.full.coefficients).all()
        assert np.isnan(alike.lrt.p).all()
        assert not alike.fast.any()
        assert (alike.full.note != "").all()


def test_wrong_input_is_refused():
    data = simulated(6, n=40, p=20)
    data["markers"][7, 3] = np.nan
    with pytest.raises(ValueError, match="marker 7 has a missing or infinite value"):
        fit_interactions(**data)
    data["include"] = np.isfinite(data["markers"])
    assert fit_interactions(**data).full.n[7] == 39
    with pytest.raises(ValueError, match="y must be a vector of 0 and 1"):
        fit_interactions(**{**data, "y": data["y"] + 1})
    with pytest.raises(ValueError, match="arm must be 0"):
        fit_interactions(**{**data, "arm": data["arm"] + 1})
