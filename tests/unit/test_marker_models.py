"""What holds of the fast lane whatever the model: a marker's answer is its own, to the last bit."""

import numpy as np
import pytest
import test_binary_engine as logistic
import test_survival_engine as cox
from pytest import approx


@pytest.mark.parametrize(
    ("engine", "case"),
    [
        (cox, "plain"),
        (cox, "everything"),
        (cox, "small"),
        (logistic, "plain"),
        (logistic, "everything"),
        (logistic, "first stratum all alike"),
    ],
    ids=lambda part: part if isinstance(part, str) else part.__name__.split("_")[1],
)
def test_answers_do_not_depend_on_blocks_threads_or_order(engine, case):
    data = engine.simulated(5, p=700, **engine.CASES[case])
    # some markers share their missing subjects, and share an order of subjects when they are many
    if data["include"] is not None:
        data["include"][100:400] = data["include"][100]

    def fitted(rows, threads):
        part = {**data, "markers": data["markers"][rows]}
        if data["include"] is not None:
            part["include"] = data["include"][rows]
        levels = [np.zeros(len(rows))]
        return (
            engine.fit_interactions(**part, limits=0.95, levels=levels, threads=threads),
            engine.fit_interactions(**part, covariances=False),
        )

    whole, quickly = fitted(np.arange(700), 1)
    order = np.random.default_rng(1).permutation(700)
    for rows, threads in ((order, 1), (order, 3), (order[:90], 2), (np.arange(101, 104), 1)):
        again, quick = fitted(rows, threads)
        fast = whole.fast[rows]
        assert np.array_equal(again.fast, fast)
        for one, other in (
            (again.full.coefficients, whole.full.coefficients),
            (again.null.coefficients, whole.null.coefficients),
            (quick.full.coefficients, quickly.full.coefficients),
            (quick.lrt.statistic, quickly.lrt.statistic),
            (again.full.covariance, whole.full.covariance),
            (again.full.loglik, whole.full.loglik),
            (again.lrt.p, whole.lrt.p),
            (again.prognostic.p, whole.prognostic.p),
        ):
            assert np.array_equal(one[fast], other[rows][fast], equal_nan=True)
        for one, other in (
            (again.interaction.low, whole.interaction.low),
            (again.treatment[0].high, whole.treatment[0].high),
        ):
            if engine is cox:
                assert np.array_equal(one[fast], other[rows][fast], equal_nan=True)
            # a few limits come from the careful search, whose last digits depend on the block
            assert one == approx(
                other[rows], rel=1e-12 if engine is logistic else 1e-9, nan_ok=True
            )
        assert quick.lrt.statistic == approx(again.lrt.statistic, abs=1e-9, nan_ok=True)
