"""Which alterations were gained, lost and kept: several hits of a gene one by one.

A gene that keeps a mutation and gains another is ``kept`` in ``resistance/acquired.tsv``; here the second is gained.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import MEASURED
from correlatives.pairing import TISSUE, TISSUE_NAME, is_alteration
from correlatives.resistance.pairs import Pairs, arm_masks, gene_pairs, pathways_of_genes
from correlatives.tables.alterations import CLASSES
from correlatives.tables.nomenclature import canonical_all
from correlatives.tables.words import words

COLUMNS = [
    "gene",
    "pathway",
    "alteration",
    "kind",
    "specimen",
    "arm",
    "evaluable",
    "gained",
    "lost",
    "kept",
]


def alteration_changes(
    cohort: Cohort,
    from_: str,
    to: str,
    *,
    min_tumour_fraction: float = 0.0,
    at_progression: bool = True,
) -> pd.DataFrame:
    """Count each alteration gained, lost and kept: ``resistance/alterations.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints.
    min_tumour_fraction : float
        A sample with a stated tumour fraction below it cannot show that an alteration is not there
        (configuration: ``evaluable.min_tumour_fraction``), though another alteration of the gene may make
        the gene readable in it.
    at_progression : bool
        As in `correlatives.resistance.acquired`.

    Returns
    -------
    pd.DataFrame
        Counted alterations in one spelling (`correlatives.tables.nomenclature`), by specimen and arm.
        `evaluable`: pairs that are readable at the gene and, where the alteration was found in one of
        the two samples, at this alteration in the other.
    """
    of_gene = pathways_of_genes(cohort)
    place = {subject: index for index, subject in enumerate(cohort.subjects["subject_id"])}
    rows = []
    for pair in gene_pairs(cohort, from_, to, at_progression=at_progression):
        genes = {
            name: row
            for row, (level, name) in enumerate(zip(pair.level, pair.name, strict=True))
            if level == "gene" and " " not in name
        }
        found = [_found(cohort, pair, when, place, genes) for when in (from_, to)]
        hidden = [
            _too_little_tumour(cohort, pair, when, min_tumour_fraction) for when in (from_, to)
        ]
        for gene, alteration, kind in sorted(set(found[0]) | set(found[1]), key=_order(genes)):
            key = (gene, alteration, kind)
            n = len(place)
            before, after = (part.get(key, np.zeros(n, dtype=bool)) for part in found)
            readable = pair.evaluable[genes[gene]]
            readable = readable & ~(before & ~after & hidden[1]) & ~(after & ~before & hidden[0])
            for label, mask in arm_masks(cohort):
                use = readable & mask
                rows.append(
                    (
                        *(gene, ", ".join(of_gene.get(gene, [])), alteration, kind),
                        *(pair.specimen, label, int(use.sum())),
                        int((use & ~before & after).sum()),
                        int((use & before & ~after).sum()),
                        int((use & before & after).sum()),
                    )
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def _order(genes: dict[str, int]):  # noqa: ANN202 - a key function
    return lambda key: (genes[key[0]], key[2], key[1])


def _of(specimen: str) -> tuple[str, ...]:
    return TISSUE if specimen == TISSUE_NAME else (specimen,)


def _found(
    cohort: Cohort,
    pair: Pairs,
    timepoint: str,
    place: dict[str, int],
    genes: dict[str, int],
) -> dict[tuple[str, str, str], np.ndarray]:
    """Return (gene, alteration, kind) -> in whom it was found at the timepoint, shape (n,)."""
    calls = cohort.calls
    calls = calls[
        calls["timepoint"].eq(timepoint)
        & calls["specimen"].isin(_of(pair.specimen))
        & calls["gene"].isin(genes)
        & calls["counted"].fillna(False).astype(bool)
        & calls["chosen"].fillna(False).astype(bool)
    ]
    if pair.specimen == TISSUE_NAME:
        calls = calls[_standing(cohort, calls, timepoint)]
    kind = words(calls["kind"])
    names = canonical_all(words(calls["alteration"]), kind, words(calls["partner"]))
    # A substitution and an indel of one name are one protein change.
    kind = np.where(np.isin(kind, CLASSES["mutation"]), "mutation", kind)
    result: dict[tuple[str, str, str], np.ndarray] = {}
    for subject, gene, name, of_kind in zip(
        calls["subject_id"], calls["gene"], names, kind, strict=True
    ):
        key = (str(gene), name or of_kind, of_kind)
        result.setdefault(key, np.zeros(len(place), dtype=bool))[place[subject]] = True
    return result


def _standing(cohort: Cohort, calls: pd.DataFrame, timepoint: str) -> np.ndarray:
    """Whether each call is of the tumour specimen that stands for its gene: the biopsy if it can be read."""
    markers = cohort.markers.where(is_alteration(cohort.markers))
    biopsy = markers.select(timepoint=timepoint, specimen=TISSUE[0])
    readable = {
        (str(name).removeprefix("gene:"), subject)
        for name, states in zip(biopsy.info["biomarker"], biopsy.state, strict=True)
        for subject in biopsy.subjects[states == MEASURED]
    }
    of_biopsy = calls["specimen"].eq(TISSUE[0]).to_numpy(dtype=bool)
    stands = [key in readable for key in zip(calls["gene"], calls["subject_id"], strict=True)]
    return of_biopsy == np.array(stands, dtype=bool)


def _too_little_tumour(cohort: Cohort, pair: Pairs, timepoint: str, least: float) -> np.ndarray:
    """Whether the best sample of each subject has a stated tumour fraction below the least, shape (n,)."""
    samples = cohort.samples
    samples = samples[
        samples["timepoint"].eq(timepoint)
        & samples["specimen"].isin(_of(pair.specimen))
        & samples["chosen"].fillna(False).astype(bool)
    ]
    fraction = pd.to_numeric(samples["tumour_fraction"], errors="coerce").astype(float)
    highest = fraction.groupby(samples["subject_id"]).max()
    with np.errstate(invalid="ignore"):
        return highest.reindex(cohort.subjects["subject_id"]).to_numpy(dtype=float) < least
