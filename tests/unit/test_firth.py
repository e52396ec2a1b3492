"""Firth's penalty compiled, against the careful code, R's answers and firthmodels."""

import numba
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher
from pytest import approx
from reference_answers import answers, leukaemia, table, trial

from correlatives import compiled_firth, lanes
from correlatives.binary.logistic import fit_logistic_many
from correlatives.firth import fit_firth_cox, fit_firth_logistic
from correlatives.predictive import compiled_proportionality, compiled_scores
from correlatives.survival.cox import fit_cox_many


def simulated(seed, n, p, *, tied=False, strata=0, covariates=0, missing=0.0):
    """Interaction models of normal, heavy-tailed, rare binary and offset markers."""
    random = np.random.default_rng(seed)
    markers = random.normal(size=(p, n))
    markers[1::4] = np.exp(1.5 * markers[1::4])
    markers[2::4] = markers[2::4] > 1.2
    markers[3::4] = 50.0 + 7.0 * markers[3::4]
    arm = (random.random(n) < 0.5).astype(float)
    hazard = np.exp(0.5 * markers[0] - 0.4 * arm)
    time, censored = random.exponential(1 / hazard), random.exponential(2.0, n)
    event = (time <= censored).astype(float)
    time = np.minimum(time, censored)
    columns = [markers, arm, *random.normal(size=(covariates, n)), arm * markers]
    return {
        "time": np.ceil(6 * time) if tied else time,
        "event": event,
        "y": (random.random(n) < 1 / (1 + np.exp(0.3 - hazard))).astype(float),
        "designs": np.stack([np.broadcast_to(part, (p, n)) for part in columns], axis=2),
        "include": random.random((p, n)) >= missing if missing else None,
        "strata": random.integers(0, strata, n) if strata else None,
    }


def both(data, model, **options):
    """Compiled and careful fits of the same data."""
    if model == "cox":
        parts = [data[name] for name in ("time", "event", "designs", "include", "strata")]
        return fit_firth_cox(*parts, **options), fit_cox_many(*parts, firth=True)
    designs = data["designs"]
    if data["strata"] is not None:
        p, n, _ = designs.shape
        codes = np.arange(1, data["strata"].max() + 1)
        member = np.broadcast_to(data["strata"][:, None] == codes, (p, n, len(codes)))
        designs = np.concatenate([designs[:, :, :-1], member, designs[:, :, -1:]], axis=2)
    parts = data["y"], designs, data["include"]
    return fit_firth_logistic(*parts, **options), fit_logistic_many(*parts, firth=True)


CASES = {
    "46 subjects": {"n": 46},
    "tied": {"n": 46, "tied": True},
    "strata and covariates": {"n": 80, "strata": 3, "covariates": 2},
    "everything": {"n": 60, "tied": True, "strata": 2, "covariates": 1, "missing": 0.2},
    "132 subjects": {"n": 132, "missing": 0.05},
}


@pytest.mark.parametrize("model", ["cox", "logistic"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_careful_fit(case, model):
    """To 1e-8 of a standard error; nearly every marker stays in the fast lane."""
    data = simulated(4, p=24, **CASES[case])
    fast, careful = both(data, model, columns=(-1, 1))
    assert fast.fast.mean() > 0.9
    assert (fast.converged == careful.converged).all()
    assert (fast.aliased == careful.aliased).all()
    assert fast.note.tolist() == careful.note.tolist()
    assert fast.loglik == approx(careful.loglik, rel=1e-11)
    errors = np.nan_to_num(careful.standard_errors, nan=1.0)
    assert fast.coefficients / errors == approx(
        careful.coefficients / errors, abs=1e-8, nan_ok=True
    )
    scale = errors[:, :, None] * errors[:, None, :]
    assert fast.covariance / scale == approx(careful.covariance / scale, abs=1e-8, nan_ok=True)
    for column, interval, test in zip((-1, 1), fast.intervals, fast.tests, strict=True):
        expected = careful.interval(column)
        for one, other in zip(interval, expected, strict=True):
            unit = errors[:, column]
            assert one / unit == approx(other / unit, abs=1e-8, nan_ok=True)
        statistic = careful.test(column).statistic
        assert test.statistic == approx(statistic, rel=1e-8, abs=1e-9, nan_ok=True)
        assert test.p == approx(careful.test(column).p, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    "case",
    ["ovarian_arm_ecog", "ovarian_arm_age", "leukemia_arm", "ovarian_monotone", "gbsg_arm_node"],
)
def test_cox_agrees_with_reference(case):
    """Efron ties; the reference's own optimiser stopped within 1e-6 of the estimates."""
    if case == "leukemia_arm":
        time, event, design = leukaemia()
        design = design[:, None]
    else:
        data = trial(
            {"gbsg_arm_node": "gbsg", "ovarian_monotone": "ovarian_separated"}.get(case, "ovarian")
        )
        time, event, arm = data["time"], data["event"], data["arm"]
        if case == "gbsg_arm_node":
            other = np.log1p(data["nodes"])
        else:
            name = {"ovarian_arm_ecog": "ecog.ps", "ovarian_arm_age": "age"}.get(case, "mk")
            other = data[name] - (1 if name == "ecog.ps" else 0)
        columns = [arm, other]
        if case in ("ovarian_arm_ecog", "gbsg_arm_node"):
            columns.append(arm * other)
        design = np.column_stack(columns)
    answer = answers("binary.json")["firth_cox_byhand"]["efron"][case]
    fit = fit_firth_cox(time, event, design[None], columns=range(design.shape[1]))
    assert fit.fast.all()
    assert fit.loglik[0] == approx(answer["penalized_loglik"], rel=1e-11)
    for j, term in enumerate(answer["coefficients"]):
        assert fit.coefficients[0, j] == approx(term["coef"], rel=1e-6)
        assert np.sqrt(fit.covariance[0, j, j]) == approx(term["se"], rel=1e-6)
        limits = fit.intervals[j].low[0], fit.intervals[j].high[0]
        assert limits == approx((term["profile_lower"], term["profile_upper"]), rel=1e-7)
        assert fit.tests[j].statistic[0] == approx(term["plr_chisq"], rel=1e-8)


def test_cox_agrees_with_firthmodels_without_ties():
    """Its Breslow ties are Efron's where no times are tied; limits and likelihood ratio too."""
    from firthmodels import FirthCoxPH

    data = table("data/ovarian_separated.csv").drop_duplicates("futime")
    design = data[["rx", "mk"]].to_numpy(float)
    time, event = data["futime"].to_numpy(float), data["fustat"].to_numpy(bool)
    theirs = FirthCoxPH(backend="numpy", gtol=1e-9, xtol=1e-9).fit(design, (event, time))
    theirs.lrt()
    ours = fit_firth_cox(time, event, design[None], columns=(0, 1))
    assert ours.fast.all()
    assert ours.coefficients[0] == approx(theirs.coef_, rel=1e-8)
    assert ours.loglik[0] == approx(theirs.loglik_, rel=1e-10)
    limits = theirs.conf_int(method="pl")
    for j in range(2):
        assert (ours.intervals[j].low[0], ours.intervals[j].high[0]) == approx(limits[j], rel=1e-6)
        assert ours.tests[j].p[0] == approx(theirs.lrt_pvalues_[j], rel=1e-6)


def test_logistic_agrees_with_firthmodels():
    from firthmodels import FirthLogisticRegression

    data = table("data/endometrial.csv")
    design, y = data[["NV", "PI", "EH"]].to_numpy(float), data["HG"].to_numpy(float)
    theirs = FirthLogisticRegression(backend="numpy").fit(design, y)
    ours = fit_firth_logistic(y, design[None], columns=(1, 2, 3))
    assert ours.fast.all()
    assert ours.coefficients[0] == approx([theirs.intercept_, *theirs.coef_], rel=1e-5)
    limits = theirs.conf_int(method="pl")
    for j in range(3):
        found = ours.intervals[j].low[0], ours.intervals[j].high[0]
        assert found == approx(limits[j], rel=1e-4)


@pytest.mark.parametrize("model", ["cox", "logistic"])
def test_awkward_markers_are_answered_or_refused_as_carefully(model):
    """Constant, aliased, separated, one carrier, far offsets, nobody: 26 markers of 46 subjects."""
    data = table("data/edge_n46.csv")
    names = [name for name in table("edge_cases_n46.csv")["marker"].unique() if name != "inf_value"]
    markers = np.array([data[name].to_numpy(float) for name in names])
    include = np.isfinite(markers)
    arm = data["arm"].to_numpy(float)
    filled = np.where(include, markers, 0.0)
    designs = np.stack([filled, np.broadcast_to(arm, filled.shape), filled * arm], axis=2)
    parts = {
        "time": data["time"],
        "event": data["event"],
        "y": data["event"].to_numpy(float),
        "designs": designs,
        "include": include,
        "strata": None,
    }
    fast, careful = both(parts, model)
    assert (fast.converged == careful.converged).all()
    assert (fast.aliased == careful.aliased).all()
    assert fast.note.tolist() == careful.note.tolist()
    assert (np.isnan(fast.coefficients) == np.isnan(careful.coefficients)).all()
    assert not fast.converged[names.index("all_na")]
    assert fast.aliased[names.index("constant")].any()
    unit = np.nan_to_num(careful.standard_errors[:, -1], nan=1.0)
    for one, other in zip(fast.intervals[0], careful.interval(-1), strict=True):
        assert one / unit == approx(other / unit, abs=1e-7, nan_ok=True)


def test_answers_do_not_depend_on_blocks_or_threads():
    """To the last bit."""
    data = simulated(6, n=46, p=200, tied=True, missing=0.1)
    for model in ("cox", "logistic"):
        parts = (
            ("time", "event", "designs", "include")
            if model == "cox"
            else ("y", "designs", "include")
        )
        fit = fit_firth_cox if model == "cox" else fit_firth_logistic
        whole = fit(*(data[name] for name in parts))
        threaded = fit(*(data[name] for name in parts), threads=3)
        rows = np.arange(77, 90)
        some = fit(
            *(data[name][rows] if name in ("designs", "include") else data[name] for name in parts)
        )
        for one, other in ((threaded, slice(None)), (some, rows)):
            assert np.array_equal(one.coefficients, whole.coefficients[other], equal_nan=True)
            for mine, theirs in zip(one.intervals[0], whole.intervals[0], strict=True):
                assert np.array_equal(mine, theirs[other], equal_nan=True)
            assert np.array_equal(one.tests[0].p, whole.tests[0].p[other], equal_nan=True)


def test_wrong_input_is_refused():
    data = simulated(8, n=30, p=3)
    with pytest.raises(ValueError, match="y must be"):
        fit_firth_logistic(data["y"] + 0.5, data["designs"])
    with pytest.raises(ValueError, match="strata"):
        fit_firth_cox(data["time"], data["event"], data["designs"], None, np.zeros(4))
    wrong = data["designs"].copy()
    wrong[1, 4, 0] = np.nan
    with pytest.raises(ValueError, match="design 1 has a missing or infinite value"):
        fit_firth_cox(data["time"], data["event"], wrong)


@pytest.mark.parametrize(
    "module", [compiled_firth, lanes, compiled_scores, compiled_proportionality]
)
def test_the_compiler_may_not_reorder_sums(module):
    """Else the last bits of an answer depend on what was compiled before it: on the order of the jobs of a first run."""
    compiled = {
        name: part for name, part in vars(module).items() if isinstance(part, CPUDispatcher)
    }
    assert compiled
    assert not [name for name, part in compiled.items() if part.targetoptions.get("fastmath")]


def test_lanes_are_of_arrays_without_gaps():
    """The address of a lane is counted from the first element: a strided array would be read wrongly."""

    @numba.njit
    def first(values):
        return lanes.sum_of(lanes.load(values, 0))

    values = np.arange(2.0 * lanes.WIDTH)
    assert first(values) == sum(range(lanes.WIDTH))
    with pytest.raises(numba.errors.TypingError, match="without gaps"):
        first(values[::2])
