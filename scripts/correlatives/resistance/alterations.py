"""Which alterations were gained, lost and kept: several hits of a gene one by one.

A gene that keeps a mutation and gains another is ``kept`` in ``resistance/acquired.tsv``; here the second is gained.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.pairing import TISSUE, TISSUE_NAME
from correlatives.resistance.classes import ClassStates, classes_of, were_looked_for
from correlatives.resistance.pairs import Pairs, arm_masks, gene_pairs, pathways_of_genes
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

#: What makes an alteration the same one in two samples.
KEY = ["gene", "alteration", "class"]


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
        `evaluable`: pairs in which alterations of its class (mutation, amplification, deletion, fusion) can be read in
        the gene in both samples, as in the row of that class in ``resistance/acquired.tsv``, whatever else the panel
        is blind to, and, where the alteration was found in one of the two samples, at this alteration in the other.
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
        calls = [_calls(cohort, pair, when, genes) for when in (from_, to)]
        states = [_states(cohort, pair, when) for when in (from_, to)]
        hidden = [
            _too_little_tumour(cohort, pair, when, min_tumour_fraction) for when in (from_, to)
        ]
        every = pd.concat(calls, ignore_index=True)
        looked_for = every.groupby(KEY)["looked_for"].any()
        for gene, alteration, of_class in sorted(looked_for.index, key=_order(genes)):
            key = (gene, alteration, of_class)
            (before, seen), (after, seen_after) = (
                _read(states[k], calls[k], key, bool(looked_for[key]), place) for k in (0, 1)
            )
            readable = seen & seen_after & pair.paired
            readable = readable & ~(before & ~after & hidden[1]) & ~(after & ~before & hidden[0])
            for label, mask in arm_masks(cohort):
                use = readable & mask
                rows.append(
                    (
                        *(gene, ", ".join(of_gene.get(gene, [])), alteration, of_class),
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


def _calls(cohort: Cohort, pair: Pairs, timepoint: str, genes: dict[str, int]) -> pd.DataFrame:
    """Return the counted calls of the samples that stand: ``KEY``, subject_id, specimen, looked_for."""
    calls = cohort.calls
    calls = calls[
        calls["timepoint"].eq(timepoint)
        & calls["specimen"].isin(_of(pair.specimen))
        & calls["gene"].isin(genes)
        & calls["counted"].fillna(False).astype(bool)
        & calls["chosen"].fillna(False).astype(bool)
    ]
    names = canonical_all(words(calls["alteration"]), words(calls["kind"]), words(calls["partner"]))
    of_class = classes_of(calls)
    return pd.DataFrame(
        {
            "gene": words(calls["gene"]),
            "alteration": np.where(names == "", of_class, names),
            "class": of_class,
            "subject_id": words(calls["subject_id"]),
            "specimen": words(calls["specimen"]),
            "looked_for": were_looked_for(calls),
        }
    )


def _states(cohort: Cohort, pair: Pairs, timepoint: str) -> dict[str, ClassStates]:
    """Return what each specimen of the pair says at a timepoint, the biopsy before the archival block."""
    return {
        specimen: ClassStates.at(cohort.markers, specimen, timepoint)
        for specimen in _of(pair.specimen)
    }


def _read(
    states: dict[str, ClassStates],
    calls: pd.DataFrame,
    key: tuple[str, str, str],
    looked_for: bool,
    place: dict[str, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Return in whom an alteration was found, and in whom its class could be read; shape (n,) each.

    Of tumour specimens the biopsy stands where it can be read.
    """
    gene, alteration, of_class = key
    mine = calls[
        (calls["gene"] == gene) & (calls["alteration"] == alteration) & (calls["class"] == of_class)
    ]
    found = np.zeros(len(place), dtype=bool)
    readable = found.copy()
    for specimen, state in states.items():
        called = np.zeros(len(place), dtype=bool)
        called[[place[who] for who in mine.loc[mine["specimen"] == specimen, "subject_id"]]] = True
        # What was found was there to be found.
        here = ~np.isnan(state.of(gene, of_class, looked_for=looked_for)) | called
        found |= called & ~readable
        readable |= here
    return found, readable


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
