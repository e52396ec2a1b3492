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
    sizes = [cost.Size(*size) for size in (*cost.SIZES, *cost.CHECKS)]
    planted = {key: np.arange(2.0, 2.0 + 1 + len(terms)) for key, terms in cost.TERMS.items()}
    table = pd.DataFrame(
        [
            (size.subjects, size.markers, size.draws, *key, value)
            for size in sizes
            for key, value in cost.forecast(size, planted).items()
        ],
        columns=["subjects", "markers", "draws", "job", "quantity", "value"],
    )
    found = cost.fitted(table[: len(cost.SIZES) * len(planted)])
    for key, values in planted.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6, err_msg=str(key))
    # what is checked on is not fitted on: other numbers there change no forecast
    other = table.assign(
        value=table["value"].where(table.index < len(cost.SIZES) * len(planted), 7)
    )
    for text, same in ((cost.document(table), True), (cost.document(other), False)):
        head, _, *lines = text.splitlines()
        assert all(" × ".join(f"{n:,}" for n in size) in head for size in cost.CHECKS)
        for line, key in zip(lines, planted, strict=False):
            cells = [cell.strip() for cell in line.split("|")[4:-1]]
            expected = [f"{cost.forecast(cost.Size(*c), planted)[key]:,.0f}" for c in cost.CHECKS]
            assert cells[::2] == expected, line
            assert cells[1::2] == (expected if same else ["7"] * len(expected)), line


def test_a_run_made_elsewhere_is_read_from_its_logs(cost: ModuleType, tmp_path: Path):
    logs = tmp_path / "logs"
    for number, pattern in enumerate(cost.LOGS.values(), start=1):
        log = logs / pattern.replace("*", "-1").replace("[!fs]", "draw")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"Took {number}.5 core seconds and at most {number}00 MiB of memory.\n")
    block = logs / "predictive/fit_blood-2.log"
    block.write_text("Took 10.0 core seconds and at most 50 MiB of memory.\n")
    rows = pd.DataFrame(cost.taken(cost.Size(140, 10, 5), tmp_path)).set_index(["job", "quantity"])
    fits = list(cost.LOGS).index("fit") + 1
    assert rows.loc[("fit", "cpu_s"), "value"] == fits + 10.5
    assert rows.loc[("fit", "memory_mib"), "value"] == fits * 100
    block.write_text("killed\n")
    with pytest.raises(SystemExit, match="did not end"):
        cost.taken(cost.Size(140, 10, 5), tmp_path)
