import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest import approx
from reference_answers import column, table, trial

from correlatives.marker_models import place_cache
from correlatives.survival.cox import fit_cox_many
from correlatives.survival.engine import fit_interactions, fit_markers

STRATA = {"gbsg": "meno", "colon_os": "extent", "veteran": "celltype", "ovarian": "resid.ds"}


def designs(arm, markers, covariates, *, interaction):
    """Columns as the engine has them: marker, arm, covariates, arm × marker."""
    columns = [markers, arm, *covariates.T, *([arm * markers] if interaction else [])]
    return np.stack([np.broadcast_to(part, markers.shape) for part in columns], axis=-1)


def simulated(seed, n, p, *, tied=False, strata=0, covariates=0, missing=0.0):
    """Markers of several shapes: normal, heavy-tailed, binary, with an offset."""
    random = np.random.default_rng(seed)
    markers = random.normal(size=(p, n))
    markers[1::4] = np.exp(1.5 * markers[1::4])
    markers[2::4] = markers[2::4] > 0.8
    markers[3::4] = 50.0 + 7.0 * markers[3::4]
    arm = (random.random(n) < 0.5).astype(float)
    hazard = np.exp(0.5 * markers[0] - 0.4 * arm)
    time, censored = random.exponential(1 / hazard), random.exponential(2.0, n)
    event = (time <= censored).astype(float)
    time = np.minimum(time, censored)
    return {
        "time": np.ceil(6 * time) if tied else time,
        "event": event,
        "arm": arm,
        "markers": markers,
        "include": random.random((p, n)) >= missing if missing else None,
        "strata": random.integers(0, strata, n) if strata else None,
        "covariates": random.normal(size=(n, covariates)) * 3 + 1 if covariates else None,
    }


CASES = {
    "plain": {"n": 120},
    "tied": {"n": 120, "tied": True},
    "strata": {"n": 120, "strata": 3},
    "covariates": {"n": 120, "covariates": 3},
    "missing": {"n": 120, "missing": 0.2},
    "everything": {"n": 150, "tied": True, "strata": 2, "covariates": 2, "missing": 0.1},
    "small": {"n": 46, "tied": True, "missing": 0.1},
    "six covariates": {"n": 200, "tied": True, "covariates": 6},
}


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
    covariates = np.zeros((len(data["time"]), 0))
    if data["covariates"] is not None:
        covariates = data["covariates"]
    parts = data["arm"], data["markers"], covariates
    rest = data["include"], data["strata"]
    null = fit_cox_many(data["time"], data["event"], designs(*parts, interaction=False), *rest)
    full = fit_cox_many(data["time"], data["event"], designs(*parts, interaction=True), *rest)
    same(found.null, null)
    same(found.full, full)
    assert found.fast.mean() > 0.6
    for test, answer in ((found.lrt, full.test(-1)), (found.prognostic, null.test(0))):
        assert test.statistic == approx(answer.statistic, abs=1e-8, nan_ok=True)
        assert test.p == approx(answer.p, rel=1e-7, nan_ok=True)
    expected = full.interval(-1)
    assert found.interaction.low == approx(expected.low, rel=1e-7, abs=1e-8, nan_ok=True)
    assert found.interaction.high == approx(expected.high, rel=1e-7, abs=1e-8, nan_ok=True)
    for level, effect in zip(levels, found.treatment, strict=True):
        moved = designs(data["arm"], data["markers"] - level[:, None], covariates, interaction=True)
        answer = fit_cox_many(data["time"], data["event"], moved, *rest).interval(1)
        for side, limit in zip(effect, answer, strict=True):
            assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("case", CASES)
def test_one_marker_at_a_time_agrees_with_the_careful_fit(case):
    data = simulated(4, p=32, **CASES[case])
    data.pop("arm")
    found = fit_markers(**data, limits=0.9)
    columns = [data["markers"]]
    if data["covariates"] is not None:
        columns += [np.broadcast_to(part, data["markers"].shape) for part in data["covariates"].T]
    careful = fit_cox_many(
        data["time"], data["event"], np.stack(columns, -1), data["include"], data["strata"]
    )
    same(found.fits, careful)
    assert found.lrt.statistic == approx(careful.test(0).statistic, abs=1e-8, nan_ok=True)
    for side, limit in zip(found.effect, careful.interval(0, 0.9), strict=True):
        assert side == approx(limit, rel=1e-7, abs=1e-8, nan_ok=True)


@pytest.mark.parametrize("name", STRATA)
def test_interaction_models_agree_with_coxph(name):
    """With and without strata and covariates, Efron; `survival` 3.5-3 fitted to 1e-13."""
    data = trial(name)
    strata = data[STRATA[name]].to_numpy()
    answers = table(f"cox_{name}.csv").query("ties == 'efron'")
    fitted = 0
    for (marker, model), rows in answers.groupby(["marker", "model"]):
        if "interaction" not in model:
            continue
        values = column(data, marker)
        others = [name for name in rows["id"] if name not in ("arm", marker, f"arm:{marker}")]
        covariates = np.column_stack([column(data, part) for part in ("arm", *others)])[:, 1:]
        known = np.isfinite(values) & np.isfinite(covariates).all(axis=1)
        fits = fit_interactions(
            data["time"][known],
            data["event"][known],
            data["arm"][known],
            values[None, known],
            strata=strata[known] if "strata" in model else None,
            covariates=covariates[known],
        )
        ids = [marker, "arm", *others, f"arm:{marker}"]
        expected = rows.set_index("id").loc[ids]
        assert fits.full.coefficients[0] == approx(expected["coef"].to_numpy(), rel=1e-8, abs=1e-12)
        assert fits.full.standard_errors[0] == approx(expected["se"].to_numpy(), rel=1e-8)
        assert fits.full.loglik[0] == approx(rows["loglik"].iloc[0], rel=1e-12)
        assert fits.full.loglik_null[0] == approx(rows["loglik0"].iloc[0], rel=1e-12)
        assert fits.lrt.statistic[0] == approx(rows["int_lr"].iloc[0], rel=1e-6, abs=1e-9)
        fitted += 1
    assert fitted >= 5


@pytest.mark.parametrize("name", ["gbsg", "colon_os", "pbc"])
def test_screen_agrees_with_r(name):
    data = trial(name)
    rows = table("screen_interaction.csv").query("dataset == @name")
    markers = np.array([data[m].to_numpy(float) for m in rows["marker"]])
    scaled = (rows["scaling"] == "zscore").to_numpy()
    centre = np.nanmean(markers, axis=1, keepdims=True)
    spread = np.nanstd(markers, axis=1, ddof=1, keepdims=True)
    markers[scaled] = ((markers - centre) / spread)[scaled]
    fits = fit_interactions(data["time"], data["event"], data["arm"], markers, np.isfinite(markers))
    assert fits.full.n.tolist() == rows["n"].tolist()
    assert fits.full.coefficients[:, -1] == approx(rows["inter_coef"].to_numpy(), rel=1e-8)
    assert fits.full.standard_errors[:, -1] == approx(rows["inter_se"].to_numpy(), rel=1e-8)
    assert fits.lrt.statistic == approx(rows["lr"].to_numpy(), rel=1e-6)


def test_awkward_markers_leave_the_fast_lane():
    """26 markers of 46 subjects: every one answered, or refused, as in the careful fit."""
    data = table("data/edge_n46.csv")
    names = [name for name in table("edge_cases_n46.csv")["marker"].unique() if name != "inf_value"]
    markers = np.array([data[name].to_numpy(float) for name in names])
    include = np.isfinite(markers)
    arm = data["arm"].to_numpy(float)
    found = fit_interactions(data["time"], data["event"], arm, markers, include, limits=0.95)
    nobody = np.zeros((len(arm), 0))
    for fits, interaction in ((found.null, False), (found.full, True)):
        filled = np.where(include, markers, 0.0)
        careful = fit_cox_many(
            data["time"],
            data["event"],
            designs(arm, filled, nobody, interaction=interaction),
            include,
        )
        same(fits, careful)
    fast = dict(zip(names, found.fast, strict=True))
    assert fast["normal"]
    assert fast["huge_scale"]
    assert not any(fast[name] for name in ("constant", "equals_arm", "perfect_monotone", "all_na"))
    assert found.full.aliased[names.index("constant")].tolist() == [True, False, True]


def test_degenerate_data():
    none = fit_interactions([1.0, 2.0], [1, 1], [0, 1], np.zeros((0, 2)), limits=0.95)
    assert len(none.full) == 0
    nobody = fit_interactions([1.0, 2.0, 3.0], [0, 0, 0], [0, 1, 0], np.ones((2, 3)), limits=0.9)
    assert np.isnan(nobody.full.coefficients).all()
    assert not nobody.fast.any()
    assert (nobody.full.note != "").all()


def test_wrong_input_is_refused():
    data = simulated(6, n=40, p=20)
    data["markers"][7, 3] = np.nan
    with pytest.raises(ValueError, match="marker 7 has a missing or infinite value"):
        fit_interactions(**data)
    data["include"] = np.isfinite(data["markers"])
    assert fit_interactions(**data).full.n[7] == 39
    with pytest.raises(ValueError, match="arm must be 0"):
        fit_interactions(**{**data, "arm": data["arm"] + 1})
    with pytest.raises(ValueError, match="markers have shape"):
        fit_interactions(**{**data, "markers": data["markers"][:, 1:]})
    with pytest.raises(ValueError, match="covariates"):
        fit_interactions(**data | {"covariates": np.full(40, np.nan)})


def test_numba_is_imported_only_when_a_model_is_fitted():
    scripts = Path(__file__).parents[2] / "scripts"
    code = (
        f"import sys; sys.path.insert(0, {str(scripts)!r})\n"
        "import correlatives.survival.engine\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compiled_code_goes_elsewhere_where_the_source_is_read_only(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert place_cache(tmp_path) is None
    # a file where the folder should be refuses even the superuser
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    (sealed / "__pycache__").write_text("")
    folder = place_cache(sealed)
    assert folder is not None
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    assert place_cache(sealed) is None  # now said by the environment
