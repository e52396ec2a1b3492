"""Whether tissue and plasma agree less with little tumour DNA or much time between the samples, and in their numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.markers import ABOVE, BELOW, MEASURED
from correlatives.pairing import (
    BLOOD,
    TISSUE,
    TISSUE_NAME,
    of_specimen,
    quantities,
    sample_months,
)
from correlatives.resistance.concordance import COLUMNS as AGREEMENT
from correlatives.resistance.concordance import Compared, agreement, compared_genes
from correlatives.resistance.pairs import pathway_order
from correlatives.tables.limits import analysis_values
from correlatives.tables.nomenclature import log2_copy_ratio
from correlatives.tables.words import words
from correlatives.time_units import DAYS_A_MONTH

COLUMNS = ["name", "by", "class", *AGREEMENT[1:], "note"]

CONTINUOUS_COLUMNS = [
    "pathway",
    "tissue_marker",
    "blood_marker",
    "blood_specimen",
    "pairs",
    "spearman",
    "spearman_low",
    "spearman_high",
    "p_spearman",
    "scale",
    "bias",
    "bias_low",
    "bias_high",
    "agreement_low",
    "agreement_high",
    "note",
]

#: What the classes are of.
FRACTION, INTERVAL = "tumour fraction", "interval between the samples"

#: Tumour fractions at and above this are high (PALOMA-3, and the usual bound for copy-number calls from plasma).
HIGH_FRACTION = 0.10

#: Days between the samples, up to which a pair is in each class.
INTERVALS = ((42.0, "up to 6 weeks"), (365.25, "6 weeks to 1 year"), (np.inf, "over 1 year"))
NOT_KNOWN = "not known"

#: Name of the row in which the genes are taken together.
ALL_GENES = "all genes"

#: Pairs needed for a correlation with limits, and for limits of agreement.
LEAST_PAIRS = 5

Z_95 = 1.959963984540054


def concordance_by_class(
    cohort: Cohort,
    timepoint: str,
    *,
    min_tumour_fraction: float = 0.01,
    if_missing: str = "evaluable",
    plasma: str = "plasma",
) -> pd.DataFrame:
    """Compare tissue with plasma within classes of pairs: ``resistance/concordance_by_class.tsv``.

    Parameters
    ----------
    cohort : Cohort
    timepoint : str
        Analysis timepoint of both samples, the baseline.
    min_tumour_fraction : float
        Below it a negative plasma sample cannot be read (configuration: ``evaluable.min_tumour_fraction``).
    if_missing : str
        Whether a negative one without a tumour fraction can, ``evaluable`` or ``not_evaluable`` (configuration: the same).
    plasma : str
        Specimen compared with the tissue.

    Returns
    -------
    pd.DataFrame
        As ``resistance/concordance.tsv``, by the plasma sample's tumour fraction and by the days between the
        samples (an archival block counts from its age, where the samples table states it), for each gene and
        for all genes together (pairs are then gene × subject, limits take the subject as the unit, and
        kappa has none). Below the limit of the tumour fraction (and without one, if that is not evaluable) only positive calls can be
        read, so that there is no agreement to state: counts stand, and the note says so.
    """
    compared = compared_genes(cohort, timepoint, plasma)
    # Classes of an alteration are parts of their gene: they would count twice.
    whole = [g for g, name in enumerate(compared.name) if " " not in name]
    rows = []
    for by, classes in (
        (FRACTION, fraction_classes(cohort, timepoint, plasma, min_tumour_fraction)),
        (INTERVAL, interval_classes(cohort, timepoint, plasma)),
    ):
        for label, member in classes:
            readable_negative = not label.startswith("below") and not (
                by == FRACTION and label == NOT_KNOWN and if_missing == "not_evaluable"
            )
            note = "" if readable_negative else "only positive calls in plasma can be read"
            rows.append(_together(compared, whole, by, label, member, readable_negative, note))
            for g, name in enumerate(compared.name):
                cells = compared.cells(g, member)
                if sum(cells):
                    rows.append(_row(name, by, label, cells, readable_negative, note))
    rows = [row for row in rows if row[3]]
    return pd.DataFrame(rows, columns=COLUMNS)


def fraction_classes(
    cohort: Cohort, timepoint: str, plasma: str, least: float
) -> list[tuple[str, np.ndarray]]:
    """Return classes of the plasma sample's tumour fraction and the subjects in each."""
    n = len(cohort.subjects)
    markers = cohort.markers.select(
        timepoint=timepoint, specimen=plasma, biomarker="tumour_fraction"
    )
    fraction = np.full(n, np.nan)
    for value, state in zip(markers.value, markers.state, strict=True):
        known = np.isin(state, (MEASURED, BELOW, ABOVE))
        # Of several methods the first that has a result; a value below its limit is below every class.
        here = np.where(state == BELOW, np.minimum(value, np.nextafter(least, 0)), value)
        fraction = np.where(np.isnan(fraction) & known, here, fraction)
    with np.errstate(invalid="ignore"):
        return [
            (f"below {100 * least:g} %", fraction < least),
            (
                f"{100 * least:g} to {100 * HIGH_FRACTION:g} %",
                (fraction >= least) & (fraction < HIGH_FRACTION),
            ),
            (f"{100 * HIGH_FRACTION:g} % or more", fraction >= max(HIGH_FRACTION, least)),
            (NOT_KNOWN, np.isnan(fraction)),
        ]


def interval_classes(cohort: Cohort, timepoint: str, plasma: str) -> list[tuple[str, np.ndarray]]:
    """Return classes of the days between the two samples and the subjects in each."""
    tissue = sample_months(cohort, TISSUE_NAME, timepoint) * DAYS_A_MONTH
    if "block_age_years" in cohort.samples:
        blocks = cohort.samples[
            cohort.samples["timepoint"].eq(timepoint)
            & cohort.samples["specimen"].eq("archival_tissue")
            & cohort.samples["chosen"].fillna(False).astype(bool)
        ].drop_duplicates("subject_id")
        age = pd.to_numeric(blocks["block_age_years"]).astype(float)
        age.index = blocks["subject_id"].to_numpy()
        biopsied = cohort.samples.loc[
            cohort.samples["timepoint"].eq(timepoint) & cohort.samples["specimen"].eq("biopsy"),
            "subject_id",
        ]
        age = age.drop(index=[s for s in biopsied if s in age.index])
        tissue = tissue - np.nan_to_num(
            age.reindex(cohort.subjects["subject_id"]).to_numpy(dtype=float) * 365.25
        )
    days = np.abs(sample_months(cohort, plasma, timepoint) * DAYS_A_MONTH - tissue)
    classes, lower = [], -1.0
    with np.errstate(invalid="ignore"):
        for limit, label in INTERVALS:
            classes.append((label, (days > lower) & (days <= limit)))
            lower = limit
    return [*classes, (NOT_KNOWN, np.isnan(days))]


def _row(
    name: str, by: str, label: str, cells: list[int], readable_negative: bool, note: str
) -> tuple:
    result = agreement(*cells) if readable_negative else None
    numbers = [*result.ppa, *result.npa, *result.kappa] if result else [np.nan] * 9
    return (name, by, label, sum(cells), *cells, *numbers, note)


def _together(
    compared: Compared,
    genes: list[int],
    by: str,
    label: str,
    member: np.ndarray,
    readable_negative: bool,
    note: str,
) -> tuple:
    """Return the row of all genes together, with limits that take the subject as the unit."""
    readable, tissue, plasma = (part[genes][:, member] for part in compared[1:])
    counts = [
        (readable & (tissue == t) & (plasma == p)).sum(axis=0)
        for t, p in ((True, True), (True, False), (False, True), (False, False))
    ]
    cells = [int(count.sum()) for count in counts]
    if not readable_negative:
        return (ALL_GENES, by, label, sum(cells), *cells, *[np.nan] * 9, note)
    both, tissue_only, plasma_only, neither = counts
    ppa = clustered_rate(both, both + tissue_only)
    npa = clustered_rate(neither, plasma_only + neither)
    kappa = agreement(*cells).kappa.estimate
    return (ALL_GENES, by, label, sum(cells), *cells, *ppa, *npa, kappa, np.nan, np.nan, note)


def clustered_rate(successes: np.ndarray, totals: np.ndarray) -> Interval:
    """Estimate a rate of which each subject contributes several trials.

    Parameters
    ----------
    successes, totals : np.ndarray of int, shape (n,)

    Returns
    -------
    Interval
        Ratio estimate; limits on the logit scale with the variance between subjects and Student's t. NaN limits
        with one subject, and where all subjects' rates are alike (all are 0 or 1, say): then the variance says nothing.

    References
    ----------
    Rao JNK, Scott AJ. Biometrics 1992;48:577-585.
    """
    here = totals > 0
    x, n = successes[here].astype(float), totals[here].astype(float)
    if not len(n):
        return Interval(np.nan, np.nan, np.nan)
    rate, subjects = float(x.sum() / n.sum()), len(n)
    if subjects < 2 or np.ptp(x / n) == 0:
        return Interval(rate, np.nan, np.nan)
    from scipy.special import expit, logit
    from scipy.stats import t

    variance = subjects / (subjects - 1) * ((x - rate * n) ** 2).sum() / n.sum() ** 2
    half = t.ppf(0.975, subjects - 1) * np.sqrt(variance) / (rate * (1.0 - rate))
    return Interval(rate, float(expit(logit(rate) - half)), float(expit(logit(rate) + half)))


def concordance_continuous(cohort: Cohort, timepoint: str) -> pd.DataFrame:
    """Compare numbers from tissue with numbers from blood: ``resistance/concordance_continuous.tsv``.

    Parameters
    ----------
    cohort : Cohort
    timepoint : str
        Analysis timepoint of both samples, the baseline.

    Returns
    -------
    pd.DataFrame
        Pairs of a tissue and a blood quantity of one pathway (the dictionary's), of one name, or the copy
        number of one gene (``copy_number:ERBB2``; calls state it, so its pairs are subjects in whom both found
        it): Spearman's correlation with limits (Fisher's z, Bonett and Wright's variance). `bias` is blood minus
        tissue with limits (t) and `agreement_low`, `agreement_high` Bland and Altman's limits of agreement, on
        `scale` (none where all differences are alike), only where both are the same quantity on the same scale; copy numbers are log2 ratios
        to two copies, whatever scale the laboratory wrote. Fewer than five pairs have their number only.

    References
    ----------
    Bonett DG, Wright TA. Psychometrika 2000;65:23-28. Bland JM, Altman DG. Lancet 1986;1:307-310.
    """
    pathways = pathway_order(cohort)
    tissue = compared_quantities(cohort, TISSUE_NAME, timepoint)
    rows = []
    for specimen in BLOOD:
        for blood in compared_quantities(cohort, specimen, timepoint):
            for other in tissue:
                same_name = blood["name"] == other["name"]
                shared = blood["pathway"] if blood["pathway"] == other["pathway"] else ""
                copies = blood["name"].startswith("copy_number:")
                if copies != other["name"].startswith("copy_number:"):
                    copies = False
                if not (same_name or (shared and not copies)):
                    continue
                comparable = same_name and blood["scale"] == other["scale"]
                rows.append(
                    (
                        shared,
                        other["name"],
                        blood["name"],
                        specimen,
                        *_association(
                            other["value"], blood["value"], blood["scale"] if comparable else None
                        ),
                        "; ".join(
                            dict.fromkeys(
                                f"{where}: {part['note']}"
                                for where, part in (("tissue", other), (specimen, blood))
                                if part["note"]
                            )
                        ),
                    )
                )
    rows = [row for row in rows if row[4]]
    rank = {name: place for place, name in enumerate(pathways)}
    rows.sort(key=lambda row: (rank.get(row[0], len(rank)), row[2], row[1], row[3]))
    return pd.DataFrame(rows, columns=CONTINUOUS_COLUMNS)


def compared_quantities(cohort: Cohort, specimen: str, timepoint: str) -> list[dict]:
    """Return name, label, pathway, scale, value (n,) and note of a specimen's quantities: those of a pathway, or copy numbers."""
    markers = of_specimen(quantities(cohort.markers), specimen, timepoint)
    stated = markers.info["pathway"].fillna("").astype(str).ne("").to_numpy()
    markers = markers.where(stated)
    values = analysis_values(markers)
    several = markers.info["biomarker"].duplicated(keep=False).to_numpy()
    found = []
    for row, info in enumerate(markers.info.to_dict("records")):
        if values.kind[row] != info["kind"]:
            # Mostly beyond a limit: ranks would be of ties.
            continue
        name = str(info["biomarker"])
        found.append(
            {
                "name": f"{name} ({info['assay']})" if several[row] else name,
                "label": str(info["label"] or name),
                "pathway": str(info["pathway"]),
                "scale": " ".join(
                    str(part)
                    for part in (info["transform"], info["unit"])
                    if pd.notna(part) and part not in ("", "none")
                ),
                "value": np.where(values.usable[row], values.value[row], np.nan),
                "note": str(values.note[row]),
            }
        )
    return found + _copy_numbers(cohort, specimen, timepoint)


def _copy_numbers(cohort: Cohort, specimen: str, timepoint: str) -> list[dict]:
    """Return the copy numbers of each gene's calls at the timepoint, as log2 ratios to two copies."""
    calls = cohort.calls
    of = TISSUE if specimen == TISSUE_NAME else (specimen,)
    calls = calls[
        calls["timepoint"].eq(timepoint)
        & calls["specimen"].isin(of)
        & calls["kind"].isin(["amplification", "deletion"])
        & calls["chosen"].fillna(False).astype(bool)
    ]
    if calls.empty:
        return []
    ratio = log2_copy_ratio(
        pd.to_numeric(calls["copy_number"]).to_numpy(dtype=float),
        words(calls["copy_number_scale"]),
    )
    calls = calls.assign(ratio=ratio, rank=calls["specimen"].map({s: i for i, s in enumerate(of)}))
    calls = calls.dropna(subset=["ratio"]).sort_values(["rank", "sample_id"], kind="stable")
    pathway = dict(zip(cohort.pathways["gene"], cohort.pathways["pathway"], strict=True))
    found = []
    for gene, part in calls.groupby("gene", sort=True):
        # The strongest call of the specimen that comes first.
        best = part[part["rank"].eq(part.groupby("subject_id")["rank"].transform("min"))]
        size = best["ratio"].abs().groupby(best["subject_id"]).idxmax()
        value = best.loc[size].set_index("subject_id")["ratio"]
        found.append(
            {
                "name": f"copy_number:{gene}",
                "label": f"{gene} copies",
                "pathway": str(pathway.get(gene, "")),
                "scale": "log2 ratio to two copies",
                "value": value.reindex(cohort.subjects["subject_id"]).to_numpy(dtype=float),
                "note": "",
            }
        )
    return found


def _association(tissue: np.ndarray, blood: np.ndarray, scale: str | None) -> tuple:
    """Return pairs, correlation with limits and p, scale, bias with limits, limits of agreement."""
    both = np.isfinite(tissue) & np.isfinite(blood)
    x, y = tissue[both], blood[both]
    n = len(x)
    correlation = spearman(x, y)
    agree = (np.nan,) * 5
    if scale is not None and n >= LEAST_PAIRS:
        from scipy.stats import t

        difference = y - x
        mean = float(difference.mean())
        # differences that are all alike say nothing of their spread
        alike = np.ptp(difference) <= 1e-9 * np.abs([x, y]).max()
        deviation = np.nan if alike else float(difference.std(ddof=1))
        half = float(t.ppf(0.975, n - 1)) * deviation / np.sqrt(n)
        agree = (
            *(mean, mean - half, mean + half),
            *(mean - Z_95 * deviation, mean + Z_95 * deviation),
        )
    return (n, *correlation, scale if scale is not None else "", *agree)


def spearman(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Return Spearman's rank correlation with 95 % limits and its two-sided p (t approximation).

    NaN below five pairs, and where one of the two does not vary.
    """
    n = len(x)
    if n < LEAST_PAIRS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return (np.nan,) * 4
    from scipy.stats import spearmanr

    found = spearmanr(x, y)
    r = float(found.statistic)
    if abs(r) > 1.0 - 1e-12:  # 1 but for rounding
        return float(np.sign(r)), np.nan, np.nan, float(found.pvalue)
    half = Z_95 * np.sqrt((1.0 + r**2 / 2.0) / (n - 3))
    low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    return r, float(low), float(high), float(found.pvalue)
