"""Would missing markers change the answer: complete cases beside multiple imputation of what is missing.

The main tables analyse complete cases. Here the markers that are missing are imputed by chained equations from the outcome
(event and Nelson–Aalen's cumulative hazard, or response), the arm and their products, covariates, strata and the markers
that go with them most. This assumes that what is missing is missing at random given these.

References
----------
White IR, Royston P. Statistics in Medicine 2009;28:1982-1998.
van Buuren S, Boshuizen HC, Knook DL. Statistics in Medicine 1999;18:681-694 (which columns).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort, Markers
from correlatives.imputation import IMPUTATIONS, Variable, impute
from correlatives.markers import KEY
from correlatives.predictive.censored import (
    imputation_columns,
    pool_as_fitted,
    scale_imputed,
    seed_of,
)
from correlatives.predictive.model import (
    Outcome,
    of_analysed,
    outcome_of,
)
from correlatives.predictive.rows import LEAST_MEASURED, Rows, marker_rows
from correlatives.predictive.small_samples import limits_that_exist

#: Markers looked at: confirmatory first, then exploratory, by p.
MOST = 20

#: Markers beside a marker in its regression, and the rank correlation that they need.
BESIDE, RELATED = 3, 0.3

#: Subjects with both markers that such a correlation needs.
LEAST_PAIRS = 20

#: Values in each arm below which what is imputed there would be the prior's.
LEAST_IN_ARM = 5

_EFFECTS = {
    True: ("marker_effect_control", "marker_effect_experimental", "interaction_ratio"),
    False: ("marker_effect",),
}
_P = {True: "p_interaction_lrt", False: "p_prognostic"}

METHODS = {
    "complete_cases": "as in the main table",
    "multiple_imputation": f"{IMPUTATIONS} imputations, Rubin's rules, Wald limits",
}


def columns_of(randomised: bool) -> list[str]:
    """Return the columns of {predictive,prognostic}/sensitivity_{endpoint}.tsv."""
    effects = [name + end for name in _EFFECTS[randomised] for end in ("", "_low", "_high")]
    return [
        *KEY,
        "kind",
        "family",
        "contrast",
        "effect_measure",
        "analysis",  # complete_cases, multiple_imputation
        "n",
        "events",
        "n_imputed",
        *effects,
        _P[randomised],
        "missing_information",
        "method",
        "note",
    ]


def choose_missing(table: pd.DataFrame, subjects: int, most: int = MOST) -> pd.DataFrame:
    """Return the rows of markers that some subjects lack, without cuts, confirmatory ones first, in the table's order.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``, which is in the order of the p-values, or the one of a single arm.
    subjects : int
        Subjects with the endpoint and the covariates.
    most : int
        Rows at most.
    """
    # of a marker and its cut the marker comes first in `kind`
    order = table.assign(two=table["kind"].eq("binary")).sort_values("two", kind="stable")
    single = ~order.duplicated(KEY)
    rows = table.loc[order.index[single].sort_values()]
    rows = rows[rows["n"].lt(subjects) & rows["n"].gt(0)]
    return rows.head(most).reset_index(drop=True)


def sensitivity(
    cohort: Cohort,
    endpoint: str,
    markers: Markers,
    table: pd.DataFrame,
    covariates: list[str] | tuple[str, ...] = (),
    *,
    seed: int,
    most: int = MOST,
) -> pd.DataFrame:
    """Set complete cases beside multiple imputation, for the markers that `choose_missing` picks.

    Parameters
    ----------
    cohort : Cohort
        The primary population is analysed.
    endpoint : str
    markers : Markers
        Markers of the cohort's subjects, those of the table among them.
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv`` or ``prognostic/{endpoint}.tsv``.
    covariates : sequence of str
        Those of the table's models.
    seed : int
        Of the study.
    most : int
        Markers at most.

    Returns
    -------
    pd.DataFrame
        `columns_of`, two rows a marker. Effects are per the same unit in both.
    """
    columns = columns_of(cohort.randomised)
    cohort, markers = of_analysed(cohort, markers)
    outcome = outcome_of(cohort, endpoint, covariates)
    chosen = choose_missing(table, int(outcome.kept.sum()), most)
    found = marker_rows(markers)
    places = {}
    for row, key in enumerate(found.info[KEY].astype(str).itertuples(index=False, name=None)):
        places.setdefault(key, row)
    keys = [tuple(key) for key in chosen[KEY].astype(str).to_numpy()]
    present = np.array([key in places for key in keys], dtype=bool)
    chosen = chosen[present].reset_index(drop=True)
    if not len(chosen):
        return pd.DataFrame(columns=columns)
    rows = found.take(np.array([places[key] for key in keys if key in places]))
    imputed = _imputed(outcome, rows, chosen, endpoint, seed, cohort.randomised)
    complete = chosen.assign(
        analysis="complete_cases", n_imputed=0, method=METHODS["complete_cases"]
    )
    both = pd.concat([complete, imputed], keys=[0, 1]).sort_index(level=1, kind="stable")
    return both.reset_index(drop=True).reindex(columns=columns)


def variables_of(outcome: Outcome, rows: Rows) -> list[Variable]:
    """Return the rows as variables to impute, each with the markers that go with it most beside it."""
    from scipy.stats import spearmanr

    value = rows.value[:, outcome.kept]
    variables = []
    for row in range(len(rows)):
        low, high = np.full((2, value.shape[1]), np.nan)
        if rows.bounds[row] is not None:
            low, high = (bound[outcome.kept] for bound in rows.bounds[row])
        related = []
        for other in range(len(rows)):
            both = np.isfinite(value[row]) & np.isfinite(value[other])
            pair = value[row, both], value[other, both]
            if other == row or both.sum() < LEAST_PAIRS or min(np.ptp(x) for x in pair) == 0:
                continue
            size = abs(float(spearmanr(*pair).statistic))
            if size >= RELATED:
                related.append((-size, other))
        kind = "normal"
        if rows.binary[row]:
            kind = "binary"
        elif rows.info["kind"].iloc[row] in ("ordinal", "count") and rows.bounds[row] is None:
            kind = "matched"
        variables.append(
            Variable(
                np.where(np.isnan(low), value[row], np.nan),
                kind,
                low,
                high,
                [other for _, other in sorted(related)[:BESIDE]],
            )
        )
    return variables


def _imputed(
    outcome: Outcome, rows: Rows, chosen: pd.DataFrame, endpoint: str, seed: int, arms: bool
) -> pd.DataFrame:
    """Rows of the imputed analysis."""
    known = np.isfinite(rows.value[:, outcome.kept])
    out = chosen.copy()
    out["analysis"], out["method"] = "multiple_imputation", METHODS["multiple_imputation"]
    out["n_imputed"] = (~known).sum(axis=1)
    out["n"], out["events"] = known.shape[1], int(outcome.event.sum())
    out["note"] = ""
    numbers = [name + end for name in _EFFECTS[arms] for end in ("", "_low", "_high")]
    numbers += [_P[arms], "missing_information"]
    out[numbers] = np.nan
    value = rows.value[:, outcome.kept]
    enough = known.sum(axis=1) >= LEAST_MEASURED
    enough &= np.array([len(np.unique(v[k])) > 1 for v, k in zip(value, known, strict=True)])
    out.loc[~enough, "note"] = f"fewer than {LEAST_MEASURED} values, or all alike: not imputed"
    if arms:
        in_arms = [known[:, outcome.arm == code].sum(axis=1) for code in (0, 1)]
        few = enough & (np.min(in_arms, axis=0) < LEAST_IN_ARM)
        out.loc[few, "note"] = f"fewer than {LEAST_IN_ARM} values in an arm: not imputed"
        enough &= ~few
    if not enough.any():
        return out
    rows, known = rows.take(np.flatnonzero(enough)), known[enough]
    drawn = impute(
        variables_of(outcome, rows), imputation_columns(outcome), seed_of(seed, "missing", endpoint)
    )
    # per the unit of complete cases
    unit = scale_imputed(
        np.where(known[:, None, :], drawn, np.nan), rows.per_deviation, rows.binary
    ).unit
    scaled = scale_imputed(drawn / unit[:, None, None], np.zeros(len(rows), bool), rows.binary)
    penalised = chosen["method"].astype(str).str.startswith("Firth").to_numpy()[enough]
    at = np.flatnonzero(enough)
    pooled = pool_as_fitted(outcome, scaled, penalised, arms=arms)
    pooled = pooled[numbers]
    limits, without = limits_that_exist(pooled)
    out.loc[at, numbers] = pooled.assign(**limits).to_numpy()
    out.loc[at, "note"] = ["; ".join(said) for said in without]
    lacking = ~np.isfinite(pooled["missing_information"].to_numpy(dtype=float))
    out.loc[at[lacking], "note"] = "no finite maximum in some imputation"
    out.loc[at[penalised], "method"] = "Firth, " + METHODS["multiple_imputation"]
    return out
