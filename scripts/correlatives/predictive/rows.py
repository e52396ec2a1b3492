"""Which rows a table of markers has: each marker, and its prespecified cut; with what unit and values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.imputation import censored_normal, expected_within
from correlatives.markers import ABOVE, BELOW, Markers
from correlatives.multiplicity import LEAST_CARRIERS
from correlatives.predictive.carriers import subjects_differing
from correlatives.tables.dictionary import levels_of, positives_of
from correlatives.tables.limits import AnalysisValues, analysis_values
from correlatives.tables.shape import long_tails

#: Measured values that a censored fit needs.
LEAST_MEASURED = 10

#: What the note says of a continuous marker whose limits in a Cox model cover too seldom (0.92 to 0.95 of log-normal
#: ones, and 0.94 to 0.97 in logistic models with Firth's penalty: docs/calibration.md).
LONG_TAIL = "long right tail without a transform: its limits may be too narrow (consider log2)"

#: Said of rows whose marker the strata decide.
FACTOR = (
    "a stratification factor: effects are stratified by it, the randomisation test's model is not"
)

#: What the note says of values that stand at their expected value.
EXPECTED = ": at their expected value by a censored normal fit"

#: What the other side of a cut is called.
COMPLEMENT = {">=": "<", ">": "<=", "<=": ">", "<": ">="}

#: Contrast of a marker on a logarithmic scale.
LOGARITHMIC = {"log2": "doubling", "log10": "tenfold"}


@dataclass(frozen=True)
class Rows:
    """Rows of a table: p markers or cuts × N subjects.

    Attributes
    ----------
    info : pd.DataFrame, p rows
        Columns of ``Markers.info``; `kind` is binary for cuts and for markers that are analysed as
        detected v not; `family` and `prespecified` are filled.
    value : np.ndarray, shape (p, N)
        As analysed: transformed, 0/1 for binary rows; NaN where not evaluable.
    outside : np.ndarray of bool, shape (p, N)
        Below or above a limit of quantification.
    contrast : np.ndarray of str, shape (p,)
        What an effect is per.
    binary, per_deviation, in_family : np.ndarray of bool, shape (p,)
        Two levels; effect per standard deviation; enough variation to be in its family.
    note : np.ndarray of str, shape (p,)
        How values beyond limits were handled, if at all.
    bounds : np.ndarray of object, shape (p,)
        For rows whose values beyond limits are imputed (`censored`), their lower and upper bounds, each of shape (N,)
        on the scale of `value`, NaN for the others; None for other rows.
    """

    info: pd.DataFrame
    value: np.ndarray
    outside: np.ndarray
    contrast: np.ndarray
    binary: np.ndarray
    per_deviation: np.ndarray
    in_family: np.ndarray
    note: np.ndarray
    bounds: np.ndarray

    def __len__(self) -> int:
        return len(self.info)

    @property
    def long_tailed(self) -> np.ndarray:
        """Continuous markers with a long right tail and no transform, shape (p,)."""
        untransformed = self.info["transform"].fillna("").isin(["", "none"])
        plain = (untransformed & self.info["kind"].eq("continuous")).to_numpy(dtype=bool)
        tailed = np.zeros(len(self), dtype=bool)
        tailed[plain] = long_tails(self.value[plain])
        return tailed

    def take(self, which: np.ndarray) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.info.iloc[which].reset_index(drop=True),
            self.value[which],
            self.outside[which],
            self.contrast[which],
            self.binary[which],
            self.per_deviation[which],
            self.in_family[which],
            self.note[which],
            self.bounds[which],
        )


def marker_rows(markers: Markers) -> Rows:
    """Make the rows of a table from markers.

    Where 15 to 50 % of a marker's values are beyond a limit, they stand at their expected value by a normal
    distribution fitted to all of the marker's values: a number that knows neither arm nor outcome, so that a randomisation
    test of it holds its level. `censored` draws them for the models.

    Parameters
    ----------
    markers : Markers
        On their own scales.

    Returns
    -------
    Rows
        A continuous or count marker with a cut-point is followed by its cut.
    """
    analysed = _at_expected(analysis_values(markers, imputing=True))
    p = len(markers)
    info = markers.info.reset_index(drop=True).copy()
    kind = np.array(analysed.kind, dtype=object)
    outside = np.isin(markers.state, (BELOW, ABOVE))
    binary = kind == "binary"
    contrast = np.array(
        [
            _contrast(row, how, text)
            for row, how, text in zip(info.itertuples(), kind, analysed.words, strict=True)
        ],
        dtype=object,
    )
    transform = info["transform"].fillna("").to_numpy(dtype=object)
    per_deviation = np.array(
        [
            how in ("continuous", "count") and scale not in LOGARITHMIC
            for how, scale in zip(kind, transform, strict=True)
        ],
        dtype=bool,
    )
    info["kind"] = kind
    info["family"] = info["family"].fillna("").replace("", "exploratory")
    info["prespecified"] = info["prespecified"].fillna("").replace("", "no")
    cut = np.flatnonzero(
        np.isfinite(info["cutpoint"].to_numpy(dtype=float))
        & markers.info["kind"].isin(["continuous", "count"]).to_numpy(dtype=bool)
    )
    cuts = [_cut(markers, int(row)) for row in cut]
    value = np.vstack([analysed.value, *(values[None] for values, _ in cuts)])
    every = Rows(
        info=pd.concat([info, info.iloc[cut].assign(kind="binary")], ignore_index=True),
        value=value,
        outside=np.vstack([outside, outside[cut]]),
        contrast=np.concatenate([contrast, np.array([words for _, words in cuts], dtype=object)]),
        binary=np.concatenate([binary, np.ones(len(cut), dtype=bool)]),
        per_deviation=np.concatenate([per_deviation, np.zeros(len(cut), dtype=bool)]),
        in_family=subjects_differing(value) >= LEAST_CARRIERS,
        note=np.concatenate(
            [np.array(analysed.note, dtype=object), np.full(len(cut), "", dtype=object)]
        ),
        bounds=np.concatenate([analysed.bounds, np.full(len(cut), None, dtype=object)]),
    )
    order = np.argsort(np.concatenate([np.arange(p), cut + 0.5]), kind="stable")
    return every.take(order)


def _at_expected(analysed: AnalysisValues) -> AnalysisValues:
    """Put values beyond limits that have bounds at their expected value; where few are measured, leave them."""
    rows = np.flatnonzero([bound is not None for bound in analysed.bounds])
    if not len(rows):
        return analysed
    low, high = (np.array([analysed.bounds[row][side] for row in rows]) for side in (0, 1))
    value, bounded = analysed.value[rows], ~np.isnan(low)
    mean, deviation = censored_normal(np.where(bounded, np.nan, value), low, high)
    measured = (np.isfinite(value) & ~bounded).sum(axis=1)
    fitted = np.isfinite(mean) & (measured >= LEAST_MEASURED)
    for i, row in enumerate(rows):
        if fitted[i]:
            here = bounded[i]
            value[i, here] = expected_within(mean[i], deviation[i], low[i, here], high[i, here])
            analysed.note[row] += EXPECTED
        else:
            analysed.bounds[row] = None
            analysed.note[row] += (
                f": at the limit or the limit over √2, too few measured values to impute (fewer than {LEAST_MEASURED})"
            )
    analysed.value[rows] = value
    return analysed


def _contrast(row: tuple, kind: str, words: str) -> str:
    """Say what an effect of a marker is per."""
    if words:
        return words
    if kind == "binary":
        levels = levels_of(row.levels) if isinstance(row.levels, str) else []
        positive = positives_of(row.positive) if isinstance(row.positive, str) else []
        if len(levels) == 2:
            return f"{levels[1]} v {levels[0]}"
        return f"{'/'.join(positive)} v other" if _is_a_word(positive) else "positive v negative"
    if kind == "ordinal":
        return "1 level"
    return LOGARITHMIC.get(row.transform, "1 SD")


def _is_a_word(positive: list[str]) -> bool:
    """Whether the dictionary's positive values say more than that they are positive."""
    plain = {"1", "y", "yes", "true", "positive", "pos", "detected", "mutated", "altered"}
    return bool(positive) and not {word.casefold() for word in positive} & plain


def _cut(markers: Markers, row: int) -> tuple[np.ndarray, str]:
    """Values 0/1 of a prespecified cut, on the marker's own scale, and its contrast in words.

    A value known only to be below (or above) a limit is on a known side of the cut only if the whole
    range it may lie in is; else it is not evaluable for the cut.
    """
    entry = markers.info.iloc[row]
    cutpoint = float(entry["cutpoint"])
    rule = entry["cut_rule"] if entry["cut_rule"] in COMPLEMENT else ">="
    value, state = markers.value[row], markers.state[row]
    compare = {
        ">=": np.greater_equal,
        ">": np.greater,
        "<=": np.less_equal,
        "<": np.less,
    }[rule]
    with np.errstate(invalid="ignore"):
        inside = compare(value, cutpoint).astype(float)
        unknown = ((state == BELOW) & (value > cutpoint)) | ((state == ABOVE) & (value < cutpoint))
        # below a limit that is the cut itself: below the cut; above such a limit: above it
        inside[(state == BELOW) & (value == cutpoint)] = float(rule in ("<=", "<"))
        inside[(state == ABOVE) & (value == cutpoint)] = float(rule in (">=", ">"))
    inside[~np.isfinite(value) | unknown] = np.nan
    return inside, f"{rule}{cutpoint:g} v {COMPLEMENT[rule]}{cutpoint:g}"
