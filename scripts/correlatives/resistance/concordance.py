"""Whether plasma finds what the tissue has: agreement gene by gene before treatment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from correlatives.binary.contrasts import cohen_kappa
from correlatives.binary.rates import clopper_pearson
from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.markers import MEASURED
from correlatives.pairing import TISSUE_NAME, is_alteration, of_specimen
from correlatives.resistance.pairs import level_and_name, reading_order

COLUMNS = [
    "name",
    "pairs",
    "both",
    "tissue_only",
    "plasma_only",
    "neither",
    "ppa",
    "ppa_low",
    "ppa_high",
    "npa",
    "npa_low",
    "npa_high",
    "kappa",
    "kappa_low",
    "kappa_high",
]

NOT_ESTIMABLE = Interval(np.nan, np.nan, np.nan)


class Agreement(NamedTuple):
    """Positive and negative percent agreement of plasma with tissue, and Cohen's kappa."""

    ppa: Interval
    npa: Interval
    kappa: Interval


def concordance(cohort: Cohort, timepoint: str, plasma: str = "plasma") -> pd.DataFrame:
    """Compare tissue with plasma, gene by gene: ``resistance/concordance.tsv``.

    Parameters
    ----------
    cohort : Cohort
    timepoint : str
        Analysis timepoint of both samples, the baseline.
    plasma : str
        Specimen compared with the tissue.

    Returns
    -------
    pd.DataFrame
        Genes that both were looked at for; `pairs` are the subjects in whom both can be read at
        that gene. `ppa` is the share of tissue-positive subjects who are positive in plasma, `npa` of
        the negative (Clopper–Pearson limits): tissue is the reference, not the truth.
    """
    compared = compared_genes(cohort, timepoint, plasma)
    rows = []
    for g, name in enumerate(compared.name):
        cells = compared.cells(g)
        if sum(cells):
            result = agreement(*cells)
            rows.append((name, sum(cells), *cells, *result.ppa, *result.npa, *result.kappa))
    return pd.DataFrame(rows, columns=COLUMNS)


class Compared(NamedTuple):
    """Genes looked at in both tissue and plasma, in reading order.

    Attributes
    ----------
    name : list of str, length g
    readable, in_tissue, in_plasma : np.ndarray of bool, shape (g, n)
    """

    name: list[str]
    readable: np.ndarray
    in_tissue: np.ndarray
    in_plasma: np.ndarray

    def cells(self, gene: int, subjects: np.ndarray | slice = slice(None)) -> list[int]:
        """Count subjects positive in both, in tissue only, in plasma only, in neither."""
        readable, tissue, plasma = (part[gene, subjects] for part in self[1:])
        return [
            int((readable & (tissue == t) & (plasma == p)).sum())
            for t, p in ((True, True), (True, False), (False, True), (False, False))
        ]


def compared_genes(cohort: Cohort, timepoint: str, plasma: str) -> Compared:
    """Return what tissue and plasma say of every gene that both were looked at for."""
    genes = cohort.markers.where(
        is_alteration(cohort.markers)
        & cohort.markers.info["biomarker"].astype(str).str.startswith("gene:").to_numpy(bool)
    )
    tissue = of_specimen(genes, TISSUE_NAME, timepoint)
    blood = of_specimen(genes, plasma, timepoint)
    names, first, second = np.intersect1d(
        tissue.info["biomarker"].to_numpy(dtype=str),
        blood.info["biomarker"].to_numpy(dtype=str),
        return_indices=True,
    )
    readable = (tissue.state[first] == MEASURED) & (blood.state[second] == MEASURED)
    labels = [level_and_name(name)[1] for name in names]
    order = reading_order(cohort, ["gene"] * len(labels), labels)
    return Compared(
        [labels[g] for g in order],
        readable[order],
        (tissue.value[first] == 1)[order],
        (blood.value[second] == 1)[order],
    )


def agreement(both: int, tissue_only: int, plasma_only: int, neither: int) -> Agreement:
    """Return percent agreement and kappa of a 2 × 2 table of pairs.

    Parameters
    ----------
    both, tissue_only, plasma_only, neither : int
        Subjects positive in both, in one, in none.

    Returns
    -------
    Agreement
        Shares with Clopper–Pearson limits, NaN where nobody is positive (negative) in tissue. Kappa with
        large-sample limits; NaN where tissue or plasma always says the same, limits NaN where all
        agree, or none does.

    References
    ----------
    Fleiss JL, Cohen J, Everitt BS. Psychological Bulletin 1969;72:323-327.
    """
    positive, negative = both + tissue_only, plasma_only + neither
    ppa = clopper_pearson(both, positive) if positive else NOT_ESTIMABLE
    npa = clopper_pearson(neither, negative) if negative else NOT_ESTIMABLE
    kappa = NOT_ESTIMABLE
    found = both + plasma_only
    if positive and negative and 0 < found < positive + negative:
        kappa = cohen_kappa([[both, tissue_only], [plasma_only, neither]])
        if not (tissue_only + plasma_only and both + neither):
            # Without a disagreement (or an agreement) the large-sample variance is 0: it says nothing of the limits.
            kappa = Interval(kappa.estimate, np.nan, np.nan)
    return Agreement(ppa, npa, kappa)
