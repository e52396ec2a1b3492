"""Continuous markers of an endpoint, looked at closely: line, spline, windows and cuts in one table."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, Markers
from correlatives.markers import KEY
from correlatives.predictive.censored import METHOD, impute_beyond
from correlatives.predictive.cutpoint import RESAMPLES, SelectedCut, maximally_selected
from correlatives.predictive.model import Outcome, of_analysed, outcome_of
from correlatives.predictive.randomisation import draw_arms
from correlatives.predictive.rows import marker_rows
from correlatives.predictive.spline import (
    GRID,
    SHOWN,
    linear_curve,
    restricted,
    spline_curve,
)
from correlatives.predictive.stepp import Stepp, stepp

#: Columns of predictive/continuous_{endpoint}.tsv.
COLUMNS = [
    "biomarker",
    "specimen",
    "timepoint",
    "family",
    "transform",
    "unit",
    "effect_measure",
    "analysis",  # linear, spline, stepp, prespecified_cut, selected_cut
    "quantity",  # treatment_effect, interaction_ratio
    "value",  # of the marker, on its own scale: grid, median of the window, cut
    "value_low",  # ends of the window, or limits of the selected cut (bootstrap)
    "value_high",
    "n",
    "events",
    "effect",
    "effect_low",
    "effect_high",
    "p_nonlinear_interaction_lrt",
    "p_stepp_randomisation",
    "p_maximally_selected_randomisation",
    "method",
    "note",
]

#: Markers looked at: confirmatory first, then exploratory, by p.
MOST = 8


def own_scale(value: np.ndarray | float, transform: object) -> np.ndarray:
    """Return values of the scale of analysis on the marker's own."""
    value = np.asarray(value, dtype=float)
    if transform == "log2":
        return np.exp2(value)
    if transform == "log10":
        return 10.0**value
    if transform == "sqrt":
        return value**2
    if transform == "logit":
        return 1.0 / (1.0 + np.exp(-value))
    return value


def analysis_scale(value: np.ndarray | float, transform: object) -> np.ndarray:
    """Return values of the marker's own scale on that of analysis; NaN or infinite where there is none."""
    value = np.asarray(value, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if transform == "log2":
            return np.log2(value)
        if transform == "log10":
            return np.log10(value)
        if transform == "sqrt":
            return np.sqrt(value)
        if transform == "logit":
            return np.log(value / (1.0 - value))
    return value


def choose_markers(table: pd.DataFrame, most: int = MOST) -> pd.DataFrame:
    """Return the rows of continuous markers that are looked at closely.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.
    most : int
        Markers at most.

    Returns
    -------
    pd.DataFrame
        Rows of continuous and count markers whose interaction could be estimated: confirmatory ones by
        randomisation p (by the likelihood ratio's where there is none), then exploratory ones.
    """
    rows = table[table["kind"].isin(["continuous", "count"]) & table["interaction_ratio"].notna()]
    p = rows["p_randomisation"].astype(float)
    if not p.notna().any():
        p = rows["p_interaction_lrt"].astype(float)
    order = pd.DataFrame(
        {
            "family": rows["family"].ne("confirmatory"),
            "p": p,
            "biomarker": rows["biomarker"].astype(str),
            "specimen": rows["specimen"].astype(str),
        }
    ).sort_values(["family", "p", "biomarker", "specimen"], kind="stable")
    return rows.loc[order.index].head(most).reset_index(drop=True)


def explore(
    cohort: Cohort,
    endpoint: str,
    markers: Markers,
    table: pd.DataFrame,
    covariates: Sequence[str] = (),
    *,
    randomisations: int,
    seed: int,
    resamples: int = RESAMPLES,
    most: int = MOST,
) -> pd.DataFrame:
    """Look closely at the continuous markers that `choose_markers` picks.

    Parameters
    ----------
    cohort : Cohort
        A randomised study; the primary population is analysed.
    endpoint : str
        Endpoint of the configuration.
    markers : Markers
        Markers of the cohort's subjects (all of them, or those of the primary population).
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.
    covariates : sequence of str
        Those of the table's models.
    randomisations : int
        Draws of the randomisation tests: the first of those that the table rests on.
    seed : int
        Seed of the study.
    resamples : int
        Bootstrap samples of the selected cut.
    most : int
        Markers at most.

    Returns
    -------
    pd.DataFrame
        ``COLUMNS``, markers in the order of `choose_markers`; a p stands in every row of its analysis.
    """
    chosen = choose_markers(table, most)
    cohort, markers = of_analysed(cohort, markers)
    outcome = outcome_of(cohort, endpoint, covariates)
    everyone = cohort.subjects
    drawn = draw_arms(
        everyone["arm_code"].to_numpy(dtype=float),
        everyone["stratum"].to_numpy(dtype=int),
        everyone["subject_id"].to_numpy(dtype=object),
        randomisations if len(chosen) else 0,
        seed,
    )[:, outcome.kept]
    parts = []
    for _, line in chosen.iterrows():
        same = (markers.info[KEY].astype(str) == line[KEY].astype(str)).all(axis=1)
        rows = marker_rows(markers.where(same.to_numpy()))
        rows = rows.take(np.flatnonzero(~rows.binary)[:1])
        value = rows.value[0, outcome.kept]
        mask = np.isfinite(value)
        cuts = table[
            (table[KEY].astype(str) == line[KEY].astype(str)).all(axis=1)
            & table["kind"].eq("binary")
        ]
        entry = rows.info.iloc[0]
        name = "\x1f".join([str(seed), endpoint, *line[KEY].astype(str)])
        own_seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
        # the imputations of the table, where its numbers come from them
        several = METHOD in str(line["method"])
        modelled = impute_beyond(outcome, rows, 0, endpoint, seed) if several else value[None]
        part = _one(
            restricted(outcome, mask),
            value[mask],
            modelled[:, mask],
            drawn[:, mask],
            str(entry["transform"]),
            own_seed,
            resamples,
        )
        if len(cuts):
            part.append(_prespecified(cuts.iloc[0], float(entry["cutpoint"])))
        unit = "" if pd.isna(entry["unit"]) else str(entry["unit"])
        parts.append(
            pd.DataFrame(part).assign(
                **{name: line[name] for name in (*KEY, "family", "effect_measure")},
                transform=entry["transform"],
                unit=unit,
            )
        )
    if not parts:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)


def values_analysed(
    cohort: Cohort,
    endpoint: str,
    markers: Markers,
    table: pd.DataFrame,
    covariates: Sequence[str] = (),
) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return the values that `explore` used, on the marker's own scale, sorted.

    Parameters
    ----------
    cohort, endpoint, markers, covariates
        As in `explore`.
    table : pd.DataFrame
        What `explore` returned.

    Returns
    -------
    dict
        (Biomarker, specimen) -> np.ndarray of those measured, and of those beyond a limit, at the number that stands for them.
    """
    cohort, markers = of_analysed(cohort, markers)
    kept = outcome_of(cohort, endpoint, covariates).kept
    wanted = set(zip(table["biomarker"], table["specimen"], strict=True))
    names = zip(markers.info["biomarker"], markers.info["specimen"], strict=True)
    rows = marker_rows(markers.where(np.array([name in wanted for name in names], dtype=bool)))
    found = {}
    for row in np.flatnonzero(~rows.binary):
        entry = rows.info.iloc[row]
        value, beyond = rows.value[row, kept], rows.outside[row, kept]
        measured, stood_for = (
            np.sort(own_scale(value[np.isfinite(value) & part], entry["transform"]))
            for part in (~beyond, beyond)
        )
        found[entry["biomarker"], entry["specimen"]] = measured, stood_for
    return found


def read_chosen(paths: Sequence[str], wanted: Collection[tuple[str, str, str]]) -> list[Markers]:
    """Read some markers from files, a row group at a time, so that wide assays need little memory.

    Parameters
    ----------
    paths : sequence of str
        Files that `Markers.write` wrote.
    wanted : collection of (biomarker, specimen, timepoint)

    Returns
    -------
    list of Markers
        One a file and row group that has any.
    """
    import pyarrow.parquet as pq

    keys = set(wanted)
    found = []
    for path in paths:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            names = file.read_row_group(group, columns=KEY).to_pydict()
            mask = np.array(
                [key in keys for key in zip(*(names[c] for c in KEY), strict=True)], dtype=bool
            )
            if mask.any():
                found.append(Markers.read(path, groups=[group]).where(mask))
    return found


def _one(
    outcome: Outcome,
    value: np.ndarray,
    modelled: np.ndarray,
    drawn: np.ndarray,
    transform: str,
    seed: int,
    resamples: int,
) -> list[dict[str, Any]]:
    """Rows of one marker: line and spline of its imputed values, windows and selected cut of those of the test."""
    n, events = len(value), int(outcome.event.sum())
    model = "Cox, Efron" if outcome.survival else "logistic"
    model += ", stratified" if outcome.stratified else ""
    at = np.linspace(*np.quantile(modelled, SHOWN), GRID)
    limits = METHOD if len(modelled) > 1 else "Wald limits"
    rows: list[dict[str, Any]] = []
    for name, curve in (
        ("linear", linear_curve(outcome, modelled, at)),
        ("spline", spline_curve(outcome, modelled, at)),
    ):
        with np.errstate(over="ignore"):
            effects = np.exp([curve.estimate, curve.low, curve.high])
        rows += [
            {
                "analysis": name,
                "quantity": "treatment_effect",
                "value": float(own_scale(curve.value[i], transform)),
                "n": n,
                "events": events,
                "effect": effects[0, i],
                "effect_low": effects[1, i],
                "effect_high": effects[2, i],
                "p_nonlinear_interaction_lrt": curve.p_nonlinear,
                "method": f"{_fitted_by(model, curve.firth)}, {limits}",
                "note": curve.note,
            }
            for i in range(len(at))
        ]
    rows += _window_rows(stepp(outcome, value, drawn), model, transform, n, events)
    rows.append(
        _cut_row(
            maximally_selected(outcome, value, drawn, seed, resamples), model, transform, n, events
        )
    )
    return rows


def _fitted_by(model: str, firth: bool) -> str:
    return f"Firth {model}" if firth else model


def _window_rows(
    found: Stepp, model: str, transform: str, n: int, events: int
) -> list[dict[str, Any]]:
    """Rows of the windows; one that says why if there are none."""
    if not len(found.n):
        return [
            {
                "analysis": "stepp",
                "quantity": "treatment_effect",
                "n": n,
                "events": events,
                "method": model,
                "note": f"STEPP: too few subjects for two windows of {found.size}",
            }
        ]
    with np.errstate(over="ignore"):
        effects = np.exp([found.estimate, found.estimate_low, found.estimate_high])
    return [
        {
            "analysis": "stepp",
            "quantity": "treatment_effect",
            "value": float(own_scale(found.middle[i], transform)),
            "value_low": float(own_scale(found.low[i], transform)),
            "value_high": float(own_scale(found.high[i], transform)),
            "n": int(found.n[i]),
            "events": int(found.events[i]),
            "effect": effects[0, i],
            "effect_low": effects[1, i],
            "effect_high": effects[2, i],
            "p_stepp_randomisation": found.p,
            "method": _fitted_by(model, found.firth[i])
            + f", profile limits; windows of at least {found.size} that share at most {found.overlap}",
            "note": str(found.note[i]),
        }
        for i in range(len(found.n))
    ]


def _cut_row(cut: SelectedCut, model: str, transform: str, n: int, events: int) -> dict[str, Any]:
    """Return the row of the selected cut."""
    with np.errstate(over="ignore"):
        effect, low, high = np.exp(np.asarray(cut.interaction, dtype=float))
    warning = "chosen by the data: exploratory, ratio not corrected for the choice"
    return {
        "analysis": "selected_cut",
        "quantity": "interaction_ratio",
        "value": float(own_scale(cut.cut, transform)),
        "value_low": float(own_scale(cut.low, transform)),
        "value_high": float(own_scale(cut.high, transform)),
        "n": n,
        "events": events,
        "effect": effect,
        "effect_low": low,
        "effect_high": high,
        "p_maximally_selected_randomisation": cut.p,
        "method": _fitted_by(model, cut.firth)
        + f", profile limits; best of {cut.tried} cuts, {cut.resamples} bootstrap samples",
        "note": "; ".join(part for part in (cut.note, warning) if part),
    }


def _prespecified(row: pd.Series, cutpoint: float) -> dict[str, Any]:
    """Return the row of the dictionary's cut: the numbers of the table of all markers."""
    return {
        "analysis": "prespecified_cut",
        "quantity": "interaction_ratio",
        "value": cutpoint,
        "n": row["n"],
        "events": row["events"],
        "effect": row["interaction_ratio"],
        "effect_low": row["interaction_ratio_low"],
        "effect_high": row["interaction_ratio_high"],
        "method": row["method"],
        "note": row["contrast"],
    }
