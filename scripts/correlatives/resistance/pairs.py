"""Who has a sample before treatment and one at progression, and at which genes both can be read.

A pair is evaluable at a gene only where both samples are: looked at by the assay, passed its quality
control, with enough tumour in it (or a positive call, which proves itself). The cohort's marker
states say so; nothing is guessed here. Who is a pair at all is decided in `correlatives.pairing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import MEASURED
from correlatives.pairing import (
    is_alteration,
    names_with_assay,
    of_specimen,
    sample_months,
    specimens,
    unpaired,
)
from correlatives.time_units import DAYS_A_MONTH


@dataclass(frozen=True)
class Pairs:
    """Alterations of one specimen at two timepoints, in the same subjects.

    Attributes
    ----------
    specimen : str
        A specimen of blood, or ``tissue``.
    level, name : np.ndarray of str, shape (g,)
        ``pathway`` or ``gene``, and which. Pathways come first, in the order of the pathways table.
    paired : np.ndarray of bool, shape (n,)
        Subjects with both samples, the later one being a sample at progression.
    before, after : np.ndarray of float, shape (g, n)
        1 altered, 0 not altered, NaN not evaluable; NaN in both wherever one of them is, and
        in subjects without a pair.
    months : np.ndarray of float, shape (n,)
        Time on treatment at the later sample, from the first dose; NaN where unknown.
    """

    specimen: str
    level: np.ndarray
    name: np.ndarray
    paired: np.ndarray
    before: np.ndarray
    after: np.ndarray
    months: np.ndarray

    @property
    def evaluable(self) -> np.ndarray:
        """Whether both samples can be read at the gene, shape (g, n)."""
        return ~np.isnan(self.before)

    @property
    def gained(self) -> np.ndarray:
        """Not altered before and altered after, shape (g, n)."""
        return (self.before == 0) & (self.after == 1)

    @property
    def lost(self) -> np.ndarray:
        """Altered before and not after, shape (g, n)."""
        return (self.before == 1) & (self.after == 0)

    @property
    def kept(self) -> np.ndarray:
        """Altered in both, shape (g, n)."""
        return (self.before == 1) & (self.after == 1)

    @property
    def absent(self) -> np.ndarray:
        """Altered in neither, shape (g, n)."""
        return (self.before == 0) & (self.after == 0)


def level_and_name(biomarker: str) -> tuple[str, str]:
    """Split a marker's name: ``gene:RB1`` is (gene, RB1), ``gene:RB1:deletion`` (gene, RB1 deletion)."""
    level, name = biomarker.split(":", 1)
    return level, name.replace(":", " ") if level == "gene" else name


def pathway_order(cohort: Cohort) -> list[str]:
    """Return the pathways in the order of the pathways table: the study says which comes first."""
    named = cohort.pathways["pathway"].dropna().astype(str)
    return list(dict.fromkeys(named[named != ""]))


def pathways_of_genes(cohort: Cohort) -> dict[str, list[str]]:
    """Return each gene's pathways, in the order of the pathways table."""
    found: dict[str, list[str]] = {}
    named = cohort.pathways[["gene", "pathway"]].dropna().astype(str)
    for gene, pathway in named[(named != "").all(axis=1)].drop_duplicates().itertuples(index=False):
        found.setdefault(gene, []).append(pathway)
    return found


def reading_order(cohort: Cohort, levels: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Return the order in which rows are read: pathways, then genes by pathway, then by name."""
    rank = {pathway: position for position, pathway in enumerate(pathway_order(cohort))}
    of_gene = pathways_of_genes(cohort)

    def key(row: int) -> tuple[int, int, str]:
        if levels[row] == "pathway":
            return 0, rank.get(names[row], len(rank)), names[row]
        first = of_gene.get(names[row].split(" ")[0], [""])[0]
        return 1, rank.get(first, len(rank)), names[row]

    return np.array(sorted(range(len(names)), key=key), dtype=int)


def arm_masks(cohort: Cohort) -> list[tuple[str, np.ndarray]]:
    """Return each arm's label and its subjects, control first; of a single-arm study its one arm."""
    if not cohort.randomised:
        label = str(next(iter(cohort.arms.values()), "all"))
        return [(label, np.ones(len(cohort.subjects), dtype=bool))]
    code = cohort.subjects["arm_code"].to_numpy(dtype=float)
    return [
        (str(cohort.arms[role]), code == value)
        for value, role in enumerate(("control", "experimental"))
    ]


def months_on_treatment(cohort: Cohort, months: np.ndarray) -> np.ndarray:
    """Turn months from randomisation into months from the first dose."""
    if "first_dose_day" not in cohort.subjects:
        return months
    start = pd.to_numeric(cohort.subjects["first_dose_day"], errors="coerce").fillna(0.0)
    return months - start.to_numpy(dtype=float) / DAYS_A_MONTH


def gene_pairs(cohort: Cohort, from_: str, to: str, *, at_progression: bool = True) -> list[Pairs]:
    """Return the pairs of every specimen that was looked at for alterations at both timepoints.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints (configuration: ``resistance.from`` and ``resistance.to``).
    at_progression : bool
        Whether `to` means progression, so that samples of subjects who stopped for another reason are
        set aside (`correlatives.pairing`).

    Returns
    -------
    list of Pairs
        One a specimen, blood first; specimens without a marker at one of the timepoints have none.
    """
    alterations = cohort.markers.where(is_alteration(cohort.markers))
    found = []
    for specimen in specimens(alterations):
        before = of_specimen(alterations, specimen, from_)
        after = of_specimen(alterations, specimen, to)
        names, first, second = np.intersect1d(
            names_with_assay(before), names_with_assay(after), return_indices=True
        )
        if not len(names):
            continue
        drawn = sample_months(cohort, specimen, to)
        reasons = unpaired(cohort, alterations, specimen, from_, to, at_progression=at_progression)
        paired = reasons == ""
        readable = (
            (before.state[first] == MEASURED)
            & (after.state[second] == MEASURED)
            & ~np.isnan(before.value[first])
            & ~np.isnan(after.value[second])
            & paired
        )
        biomarkers = before.info["biomarker"].astype(str).iloc[first]
        level, name = zip(*map(level_and_name, biomarkers), strict=True)
        order = reading_order(cohort, level, name)
        if at_progression and "progression_months" in cohort.subjects:
            # A sample at progression without a date was taken about then.
            progressed = cohort.subjects["progression_months"].to_numpy(dtype=float)
            drawn = np.where(np.isnan(drawn), progressed, drawn)
        found.append(
            Pairs(
                specimen=specimen,
                level=np.array(level, dtype=object)[order],
                name=np.array(name, dtype=object)[order],
                paired=paired,
                before=np.where(readable, before.value[first], np.nan)[order],
                after=np.where(readable, after.value[second], np.nan)[order],
                months=months_on_treatment(cohort, drawn),
            )
        )
    return found
