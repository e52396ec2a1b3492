"""The compiled test of proportional hazards against R's cox.zph, and against the one that takes a fit at a time."""

import numpy as np
import pytest
from pytest import approx
from reference_answers import column, table, trial

from correlatives.predictive.proportionality import column_proportionality
from correlatives.survival.cox import fit_cox, fit_cox_many, proportional_hazards


@pytest.mark.parametrize("name", ["gbsg", "colon_os", "pbc"])
def test_agrees_with_cox_zph(name):
    data = trial(name)
    rows = table("screen_interaction.csv").query("dataset == @name and scaling == 'raw'")
    markers = np.array([column(data, marker) for marker in rows["marker"]])
    include = np.isfinite(markers)
    arm, time, event = (data[part].to_numpy(float) for part in ("arm", "time", "event"))
    designs = np.stack([np.broadcast_to(arm, markers.shape), markers, arm * markers], axis=-1)
    fits = fit_cox_many(time, event, designs, include)
    p = column_proportionality(
        time, event, designs, include, None, fits.coefficients, fits.covariance
    )
    assert p == approx(rows["zph_inter_p"].to_numpy(), rel=1e-8)


CASES = {
    "plain": {},
    "tied": {"tied": True},
    "strata": {"strata": 3},
    "everything": {"tied": True, "strata": 2, "covariates": 3, "missing": 0.2},
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_one_fit_at_a_time(case):
    options = {"tied": False, "strata": 1, "covariates": 0, "missing": 0.0} | CASES[case]
    random = np.random.default_rng(11)
    p, n = 12, 90
    markers = random.normal(size=(p, n))
    markers[1::3] = np.exp(1.5 * markers[1::3])
    markers[2::3] = 1e4 + 300.0 * (markers[2::3] > 0.6)
    arm = (random.random(n) < 0.5).astype(float)
    strata = random.integers(0, options["strata"], n)
    time, censored = random.weibull(1.3, n), random.exponential(2.0, n)
    event = (time <= censored).astype(float)
    time = np.minimum(time, censored)
    time = np.ceil(6 * time) if options["tied"] else time
    include = random.random((p, n)) >= options["missing"]
    covariates = random.normal(size=(n, options["covariates"]))
    columns = [markers, arm, *covariates.T, arm * markers]
    designs = np.stack([np.broadcast_to(part, (p, n)) for part in columns], axis=-1)
    designs[~include] = np.nan
    fits = fit_cox_many(time, event, designs, include, strata)
    for tested in (0, -1):
        found, again = (
            column_proportionality(
                time,
                event,
                designs,
                include,
                strata,
                fits.coefficients,
                fits.covariance,
                tested,
                threads=threads,
            )
            for threads in (1, 2)
        )
        assert np.array_equal(found, again)
        for marker, kept in enumerate(include):
            fit = fit_cox(time[kept], event[kept], designs[marker][kept], strata[kept])
            answer = proportional_hazards(fit).terms[tested].p
            assert found[marker] == approx(answer, rel=1e-8), marker


def test_markers_without_a_fit_or_a_clock_have_no_test():
    time, event = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]), np.array([1.0, 1, 0, 1, 1, 0, 1, 1])
    marker = np.array([1.0, 3, 2, 5, 4, 1, 2, 2])
    designs = np.stack([marker, np.ones(8), time], axis=0)[:, :, None]
    include = np.ones((3, 8), dtype=bool)
    fits = fit_cox_many(time, event, designs, include)
    assert fits.aliased[1, 0]
    assert fits.separated[2]
    p = column_proportionality(
        time, event, designs, include, None, fits.coefficients, fits.covariance
    )
    alone = proportional_hazards(fit_cox(time, event, marker)).terms[0].p
    assert p[0] == approx(alone, rel=1e-8)
    assert np.isnan(p[1:]).all()
    # one event time: the clock stands still
    at_once = np.where(event == 1, 2.0, 9.0)
    fits = fit_cox_many(at_once, event, designs[:1], include[:1])
    assert fits.converged.all()
    assert np.isnan(
        column_proportionality(
            at_once, event, designs[:1], include[:1], None, fits.coefficients, fits.covariance
        )
    ).all()
    # an aliased column plays no part
    twice = np.stack([marker, 2 * marker, (time % 2)], axis=-1)[None]
    fits = fit_cox_many(time, event, twice, include[:1])
    assert fits.aliased[0].tolist() == [False, True, False]
    p = column_proportionality(
        time, event, twice, include[:1], None, fits.coefficients, fits.covariance
    )
    assert p[0] == approx(proportional_hazards(fit_cox(time, event, twice[0])).terms[2].p, rel=1e-8)
