"""Low and high of a marker, for curves: its own levels, its prespecified cut, or else the median."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, Markers
from correlatives.intervals import Interval
from correlatives.markers import KEY
from correlatives.predictive.continuous import own_scale
from correlatives.predictive.model import of_analysed
from correlatives.predictive.rows import marker_rows
from correlatives.tables.dictionary import levels_of

#: Exploratory markers that are split where a study has no confirmatory one.
EXPLORATORY = 4


@dataclass(frozen=True)
class Split:
    """A marker in two levels.

    Attributes
    ----------
    biomarker, specimen, timepoint, family : str
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
    family: str
    high: np.ndarray
    low_words: str
    high_words: str
    by: str
    effect_low: Interval
    effect_high: Interval


def choose_splits(table: pd.DataFrame) -> pd.DataFrame:
    """Return the markers of a table that are split: columns ``KEY`` and family, a row a marker.

    The confirmatory ones in the order of the table; without any, the first `EXPLORATORY` exploratory ones whose
    interaction could be estimated.
    """
    rows = table[table["family"].eq("confirmatory")]
    most = None
    if not len(rows):
        rows, most = table[table["interaction_ratio"].notna()], EXPLORATORY
    return rows[[*KEY, "family"]].drop_duplicates(KEY).head(most if most else len(rows))


def split_markers(cohort: Cohort, markers: Markers, table: pd.DataFrame) -> list[Split]:
    """Split the markers of a table that `choose_splits` picks, in its order.

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
    _, markers = of_analysed(cohort, markers)
    splits = []
    for _, line in choose_splits(table).iterrows():
        names = line[KEY].astype(str)
        of_marker = markers.where((markers.info[KEY].astype(str) == names).all(axis=1).to_numpy())
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
            same = (table[KEY].astype(str) == names).all(axis=1)
            entry = table[same & table["kind"].eq("binary")].iloc[0]
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
            # where half or more share the highest value, they are high
            strict = (value[known] > median).any()
            compared = value > median if strict else value >= median
            high = np.where(known, compared.astype(float), np.nan)
            named = levels_of(str(rows.info["levels"].iloc[0] or ""))
            if rows.info["kind"].iloc[0] == "ordinal" and named:
                # codes of levels are no values: 1 may be the level 2+
                first = named[int(value[high == 1].min())]
                words = [f"≥ {first}", f"< {first}"]
            else:
                words = [
                    f"{'>' if strict else '≥'} {shown:.3g}".replace("-", "−"),
                    f"{'≤' if strict else '<'} {shown:.3g}".replace("-", "−"),
                ]
            by = "median"
        if len(np.unique(high[np.isfinite(high)])) < 2:
            continue
        splits.append(Split(*names, str(line["family"]), high, words[-1], words[0], by, *effects))
    return splits
