"""Cohorts made by hand, for the tests of marker models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import INFO, MEASURED, MISSING, NUMBERS, Markers


def markers_of(
    subjects: np.ndarray,
    values: Mapping[str, np.ndarray],
    entries: Mapping[str, Mapping[str, object]] | None = None,
    **common: object,
) -> Markers:
    """Markers with baseline values; `entries` and `common` fill columns of info."""
    rows = []
    for name, value in values.items():
        two = set(np.unique(value[np.isfinite(value)])) <= {0.0, 1.0}
        row = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan)
        row |= {
            "biomarker": name,
            "label": name,
            "specimen": "plasma",
            "timepoint": "baseline",
            "kind": "binary" if two else "continuous",
            "transform": "none",
            "family": "exploratory",
            "prespecified": "no",
            "domain": "blood",
        }
        row |= common | dict((entries or {}).get(name, {}))
        rows.append(row)
    info = pd.DataFrame(rows, columns=list(INFO))
    value = np.array(list(values.values()), dtype=float).reshape(len(values), len(subjects))
    state = np.where(np.isfinite(value), MEASURED, MISSING).astype(np.uint8)
    return Markers(subjects, info, value, state)


def cohort_of(
    markers: Markers,
    *,
    arm: np.ndarray | None,
    endpoints: Mapping[str, tuple[np.ndarray, np.ndarray] | np.ndarray],
    strata: np.ndarray | None = None,
    in_population: np.ndarray | None = None,
    **columns: np.ndarray,
) -> Cohort:
    """A cohort: endpoints are (time, event) or 0/1 responses; arm None makes a single-arm study."""
    n = len(markers.subjects)
    subjects = pd.DataFrame(
        {
            "subject_id": markers.subjects,
            "arm": "treated" if arm is None else np.where(np.asarray(arm) == 1, "new", "old"),
            "arm_code": np.nan if arm is None else np.asarray(arm, dtype=float),
            "stratum": np.zeros(n, dtype=int) if strata is None else strata,
            "in_population": True if in_population is None else in_population,
        }
    )
    configured = {}
    for name, outcome in endpoints.items():
        if isinstance(outcome, tuple):
            subjects[f"{name}_months"], subjects[f"{name}_event"] = outcome
            configured[name] = {"type": "time_to_event"}
        else:
            subjects[name] = outcome
            configured[name] = {"type": "response", "responders": ["CR", "PR"]}
    for name, value in columns.items():
        subjects[name] = value
    arms = {"all": "treated"} if arm is None else {"control": "old", "experimental": "new"}
    empty = pd.DataFrame({"subject_id": pd.Series([], dtype=object)})
    study = {
        "title": "made by hand",
        "design": "single_arm" if arm is None else "randomised",
        "arms": arms,
        "strata": [],
        "endpoints": configured,
        "simulated": True,
        "baseline": "baseline",
        "population": "randomised",
        "id": "hand",
    }
    return Cohort(study, subjects, markers, empty, empty, empty, pd.DataFrame())


def identifiers(n: int) -> np.ndarray:
    """Return n subject identifiers."""
    return np.array([f"S{number:04d}" for number in range(n)], dtype=object)


def trial(
    n: int = 132,
    markers: int = 20,
    seed: int = 1,
    strata: int = 1,
    interaction: float = 0.0,
    hazard_ratio: float = 0.7,
) -> Cohort:
    """A randomised trial with normal markers; the first interacts with the arm (log ratio per SD)."""
    rng = np.random.default_rng(seed)
    arm = np.zeros(n)
    arm[rng.permutation(n)[: n // 2]] = 1
    x = rng.standard_normal((markers, n))
    log_hazard = np.log(hazard_ratio) * arm + interaction * arm * x[0]
    time = rng.exponential(10 * np.exp(-log_hazard))
    censored = rng.uniform(5, 30, n)
    response = rng.random(n) < 1 / (1 + np.exp(0.5 + log_hazard))
    subjects = identifiers(n)
    return cohort_of(
        markers_of(subjects, {f"marker {j}": x[j] for j in range(markers)}),
        arm=arm,
        endpoints={
            "PFS": (np.minimum(time, censored), (time <= censored).astype(float)),
            "ORR": response.astype(float),
        },
        strata=rng.integers(0, strata, n),
        age=rng.normal(60, 8, n),
        ecog=np.where(rng.random(n) < 0.5, "0", "1"),
    )
