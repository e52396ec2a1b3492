"""Correction for the number of markers looked at, over all domains of an endpoint.

A family is the markers that the dictionary puts there (confirmatory or exploratory) × the endpoint, if enough of
their values differ (`correlatives.multiplicity.LEAST_CARRIERS`): decided without arm and outcome. Prespecified cuts count as members of
their own. Confirmatory: family-wise p by the largest statistic in each draw of the randomisation (maxT).
All: Benjamini–Hochberg within the family. All endpoints can make one family (`adjust_together`): the draws are the
same for every endpoint, so that the largest statistic of a draw is the largest over endpoints too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from correlatives.multiplicity import FEW_CARRIERS, benjamini_hochberg
from correlatives.predictive.model import COLUMNS, POWER, PROGNOSTIC_COLUMNS, DomainFits
from correlatives.predictive.randomisation import family_wise_p

CONFIRMATORY = "confirmatory"


def adjust_together(
    fits: Mapping[str, Sequence[DomainFits | pd.DataFrame]], *, alpha: float = 0.05
) -> dict[str, pd.DataFrame]:
    """Adjust all endpoints' tables within families that span the endpoints.

    Parameters
    ----------
    fits : mapping from endpoint to sequence of DomainFits or pd.DataFrame
    alpha : float
        See `adjust`.

    Returns
    -------
    dict from endpoint to pd.DataFrame
        As `adjust` gives them.

    Raises
    ------
    ValueError
        If the endpoints were tested with different numbers of draws.
    """
    return {
        endpoint: adjust(
            own,
            alpha=alpha,
            others=[part for name, parts in fits.items() if name != endpoint for part in parts],
        )
        for endpoint, own in fits.items()
    }


def adjust(
    fits: Sequence[DomainFits | pd.DataFrame],
    *,
    alpha: float = 0.05,
    others: Sequence[DomainFits | pd.DataFrame] = (),
) -> pd.DataFrame:
    """Gather the fits of one endpoint over domains, and adjust within families.

    Parameters
    ----------
    fits : sequence of DomainFits or pd.DataFrame
        From `fit_domain`, or `fit_models` or `fit_prognostic_models`.
    alpha : float
        Family-wise level at which the minimum detectable ratio of a confirmatory family is stated.
    others : sequence of DomainFits or pd.DataFrame
        Fits of other endpoints whose markers are in the same families, but not in the table.

    Returns
    -------
    pd.DataFrame
        Columns ``COLUMNS`` (or ``PROGNOSTIC_COLUMNS``), confirmatory family first, smallest p first,
        then by name. `q_value` comes from p_randomisation where the table has it, else from
        p_interaction_lrt (p_prognostic with one arm); `method` says which, and how large the family was.
    """
    tables = [part.table if isinstance(part, DomainFits) else part for part in fits]
    filled = [table for table in tables if len(table)]
    if not filled:
        prognostic = any("marker_effect" in table.columns for table in tables)
        return pd.DataFrame(columns=PROGNOSTIC_COLUMNS if prognostic else COLUMNS)
    table = pd.concat(filled, ignore_index=True)
    prognostic = "marker_effect" in table.columns
    if prognostic:
        source = "p_prognostic"
    elif table["p_randomisation"].notna().any():
        source = "p_randomisation"
    else:
        source = "p_interaction_lrt"
    p = table[source].to_numpy(dtype=float)
    inside = table["in_family"].to_numpy(dtype=bool)
    method = table["method"].to_numpy(dtype=object).copy()
    note = table["note"].to_numpy(dtype=object).copy()
    q_value = np.full(len(table), np.nan)
    companions = [part.table if isinstance(part, DomainFits) else part for part in others]
    for family in sorted(set(table["family"])):
        members = np.flatnonzero((table["family"] == family).to_numpy() & inside & np.isfinite(p))
        elsewhere = [
            part.loc[(part["family"] == family) & part["in_family"].astype(bool), source].dropna()
            for part in companions
            if len(part)
        ]
        pooled = np.concatenate([p[members], *(part.to_numpy(dtype=float) for part in elsewhere)])
        q_value[members] = benjamini_hochberg(pooled)[: len(members)]
        _extend(method, members, f"; Benjamini–Hochberg on {source}, {_size(len(pooled), others)}")
    table["q_value"] = q_value
    if not prognostic:
        _family_wise(table, fits, others, inside, alpha, method)
    bare = np.array([not said for said in note], dtype=bool)
    note[~inside & bare] = FEW_CARRIERS
    _extend(note, np.flatnonzero(~inside & ~bare), f"; {FEW_CARRIERS}")
    table["method"], table["note"] = method, note
    order = pd.DataFrame(
        {
            "family": (table["family"] != CONFIRMATORY).astype(int),
            "p": table[source].astype(float).fillna(2.0),
            "biomarker": table["biomarker"],
            "specimen": table["specimen"],
            "timepoint": table["timepoint"],
            "kind": table["kind"].map({"binary": 1}).fillna(0),
        }
    ).sort_values(["family", "p", "biomarker", "specimen", "timepoint", "kind"], kind="stable")
    columns = PROGNOSTIC_COLUMNS if prognostic else COLUMNS
    return table.loc[order.index, columns].reset_index(drop=True)


def _extend(words: np.ndarray, rows: np.ndarray, more: str) -> None:
    """Put more words behind those of some rows, in place; equal words are one object, for wide assays' sake."""
    longer: dict[str, str] = {}
    for row in rows:
        words[row] = longer.setdefault(words[row], words[row] + more)


def _size(size: int, others: Sequence[DomainFits | pd.DataFrame]) -> str:
    """Say how large a family is."""
    return f"family of {size}" + (" over all endpoints" if others else "")


def _family_wise(
    table: pd.DataFrame,
    fits: Sequence[DomainFits | pd.DataFrame],
    others: Sequence[DomainFits | pd.DataFrame],
    inside: np.ndarray,
    alpha: float,
    method: np.ndarray,
) -> None:
    """Fill p_fwer of the confirmatory family, and state its detectable ratio at its own critical value."""
    members = np.flatnonzero((table["family"] == CONFIRMATORY).to_numpy() & inside)
    parts = [
        part.maxima[CONFIRMATORY].to_numpy(dtype=float)
        for part in [*fits, *others]
        if isinstance(part, DomainFits) and CONFIRMATORY in part.maxima.columns
    ]
    if not len(members) or not parts or not len(parts[0]):
        return
    if len({len(part) for part in parts}) > 1:
        raise ValueError("the markers of a family were tested with different numbers of draws")
    from scipy.special import ndtri

    maxima = np.max(parts, axis=0)
    size = len(members) + sum(
        int(((part.table["family"] == CONFIRMATORY) & part.table["in_family"].astype(bool)).sum())
        for part in others
        if isinstance(part, DomainFits) and len(part.table)
    )
    z = table["score_z"].to_numpy(dtype=float)[members]
    p_fwer = table["p_fwer"].to_numpy(dtype=float).copy()
    p_fwer[members] = family_wise_p(z, maxima)
    table["p_fwer"] = p_fwer
    critical = float(np.quantile(maxima, 1.0 - alpha, method="higher"))
    marginal = float(ndtri(1.0 - alpha / 2.0))
    power = float(ndtri(POWER))
    ratio = table["minimum_detectable_ratio"].to_numpy(dtype=float).copy()
    ratio[members] = np.exp(
        np.log(ratio[members]) * (max(critical, marginal) + power) / (marginal + power)
    )
    table["minimum_detectable_ratio"] = ratio
    _extend(
        method,
        members,
        f"; maxT over {len(maxima)} draws, {_size(size, others)}; minimum detectable ratio at its critical |Z| "
        f"{max(critical, marginal):.2f}, not {marginal:.2f}",
    )
