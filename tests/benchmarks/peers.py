"""Other programs on the data of `engine.py`: the interaction model of a few markers, in a process of their own.

They may be in an environment of their own (`make bench-peers`), so that they do not touch the workflow's.

python tests/benchmarks/peers.py PROGRAM data.npz MARKERS      prints microseconds a marker, wall and CPU
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

#: Exit code that says that a program is not installed.
ABSENT = 3

Fit = Callable[[np.ndarray], object]


def columns(data: dict[str, np.ndarray], marker: np.ndarray) -> np.ndarray:
    """Arm, marker, covariates if any, arm × marker."""
    arm = data["arm"]
    others = data["covariates"].T if "covariates" in data else []
    return np.column_stack([arm, marker, *others, arm * marker])


def survival(data: dict[str, np.ndarray]) -> Fit:
    """`coxph_fit_raw` of the PyPI package survival, without its formula interface."""
    from survival import _survival

    status = data["event"].astype(np.int32)
    strata = {"strata": data["strata"].astype(np.int32)} if "strata" in data else {}
    return lambda marker: _survival.coxph_fit_raw(
        data["time"], status, columns(data, marker), method="efron", resid=False, **strata
    )


def statsmodels(data: dict[str, np.ndarray]) -> Fit:
    """PHReg with Efron's ties."""
    from statsmodels.duration.hazard_regression import PHReg

    return lambda marker: PHReg(
        data["time"],
        columns(data, marker),
        data["event"],
        ties="efron",
        strata=data.get("strata"),
    ).fit()


def lifelines(data: dict[str, np.ndarray]) -> Fit:
    """CoxPHFitter with its data frame."""
    import pandas as pd
    from lifelines import CoxPHFitter

    strata = ["strata"] if "strata" in data else None

    def fit(marker: np.ndarray) -> object:
        frame = pd.DataFrame(columns(data, marker)).add_prefix("x")
        frame = frame.assign(time=data["time"], event=data["event"])
        if strata:
            frame["strata"] = data["strata"]
        return CoxPHFitter().fit(frame, "time", "event", strata=strata)

    return fit


PROGRAMS = {part.__name__: part for part in (survival, statsmodels, lifelines)}


def main(program: str, data: str, markers: int) -> None:
    """Time a program, after one fit that is not counted."""
    warnings.simplefilter("ignore")
    with np.load(data) as stored:
        trial = dict(stored)
    try:
        fit = PROGRAMS[program](trial)
    except ImportError:
        sys.exit(ABSENT)
    few = trial["markers"][: markers + 1]
    fit(few[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for marker in few[1:]:
        fit(marker)
    count = len(few) - 1
    print(
        (time.perf_counter() - wall) / count * 1e6,
        (time.process_time() - cpu) / count * 1e6,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("data")
    parser.add_argument("markers", type=int)
    main(**vars(parser.parse_args()))
