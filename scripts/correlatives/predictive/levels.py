"""Low and high of a marker, for curves: its own levels, its prespecified cut, or else the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, Markers
from correlatives.intervals import Interval
from correlatives.predictive.continuous import own_scale
from correlatives.predictive.model import of_analysed
from correlatives.predictive.rows import marker_rows


@dataclass(frozen=True)
class Split:
    """A marker in two levels.

    Attributes
    ----------
    biomarker, specimen, timepoint : str
    high : np.ndarray, shape (n,)
        1 high, 0 low, NaN not evaluable, of the primary population.
    low_words, high_words : str
        What the levels are called.
    by : str
        "level", "prespecified cut" or "median".
    effect_low, effect_high : Interval
        Treatment effect in each level as predictive/{endpoint}.tsv has it; NaN for a median, which is in no table.
    """

    biomarker: str
    specimen: str
    timepoint: str
    high: np.ndarray
    low_words: str
    high_words: str
    by: str
    effect_low: Interval
    effect_high: Interval


def split_markers(cohort: Cohort, markers: Markers, table: pd.DataFrame) -> list[Split]:
    """Split the confirmatory markers of a table, in its order.

    Parameters
    ----------
    cohort : Cohort
    markers : Markers
        Markers of the cohort's subjects, those of the table among them.
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.

    Returns
    -------
    list of Split
        Without markers that have one level only.
    """
    key = ["biomarker", "specimen", "timepoint"]
    _, markers = of_analysed(cohort, markers)
    confirmatory = table[table["family"].eq("confirmatory")]
    splits = []
    for _, line in confirmatory[key].drop_duplicates().iterrows():
        names = line.astype(str)
        of_marker = markers.where((markers.info[key].astype(str) == names).all(axis=1).to_numpy())
        if not len(of_marker):
            continue
        rows = marker_rows(of_marker)
        nothing = Interval(np.nan, np.nan, np.nan)
        effects = [nothing, nothing]
        binary = np.flatnonzero(rows.binary)
        if len(binary):
            row = binary[0]
            high = rows.value[row]
            words = str(rows.contrast[row]).split(" v ", 1)
            by = "prespecified cut" if len(rows) > 1 else "level"
            same = (confirmatory[key].astype(str) == names).all(axis=1)
            entry = confirmatory[same & confirmatory["kind"].eq("binary")].iloc[0]
            effects = [
                Interval(
                    *(entry[f"treatment_effect_at_{at}{end}"] for end in ("", "_low", "_high"))
                )
                for at in ("low", "high")
            ]
        else:
            value = rows.value[0]
            known = np.isfinite(value)
            if not known.any():
                continue
            median = float(np.median(value[known]))
            shown = float(own_scale(median, rows.info["transform"].iloc[0]))
            # where half or more have the lowest value, the others are high
            strict = not (value[known] < median).any()
            compared = value > median if strict else value >= median
            high = np.where(known, compared.astype(float), np.nan)
            words = [
                f"{'>' if strict else '≥'} {shown:.3g}".replace("-", "−"),
                f"{'≤' if strict else '<'} {shown:.3g}".replace("-", "−"),
            ]
            by = "median"
        if len(np.unique(high[np.isfinite(high)])) < 2:
            continue
        splits.append(Split(*names, high, words[-1], words[0], by, *effects))
    return splits
