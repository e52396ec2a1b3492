"""The model of cost finds the coefficients that made the numbers, and forecasts from them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def cost() -> ModuleType:
    path = ROOT / "tests/benchmarks/cost.py"
    spec = importlib.util.spec_from_file_location("cost", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["cost"] = module
    spec.loader.exec_module(module)
    return module


def test_sizes_are_counted_as_the_document_says(cost: ModuleType):
    size = cost.Size(140, 20_000, 10_000)
    assert (size.cells, size.tests, size.drawn) == pytest.approx((2.8, 60.0, 84.0))


def test_coefficients_that_made_the_numbers_are_found(cost: ModuleType):
    sizes = [cost.Size(2 * arm, markers, draws) for arm, markers, draws in cost.SIZES]
    planted = {key: np.arange(2.0, 2.0 + 1 + len(terms)) for key, terms in cost.TERMS.items()}
    table = pd.DataFrame(
        [
            (size.subjects, size.markers, size.draws, *key, value)
            for size in sizes
            for key, value in cost.forecast(size, planted).items()
        ],
        columns=["subjects", "markers", "draws", "job", "quantity", "value"],
    )
    found = cost.fitted(table)
    for key, values in planted.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, err_msg=str(key))
    text = cost.document(table)
    last = sizes[-1]
    assert f"{last.subjects} × {last.markers:,} × {last.draws:,}" in text
    for line in text.splitlines()[2 : 2 + len(planted)]:
        forecast, measured = (cell.strip() for cell in line.split("|")[-3:-1])
        assert forecast == measured, line
