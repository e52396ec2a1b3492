"""Sequencing of the simulated trial: what tumours acquire and lose, and what the panels see of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from correlatives.simulation.genes import (
    ACQUIRED,
    LESIONS,
    PATHWAYS,
    PLASMA_AMPLIFICATIONS,
    PLASMA_LIMIT,
    PLASMA_MUTATIONS,
    TISSUE_LIMIT,
    UNCERTAIN,
)
from correlatives.simulation.patients import DAYS_A_MONTH, Course, People, lesion, stream
from correlatives.simulation.rates import rate

COPY_NUMBER = np.array([item.kind in ("amplification", "deletion") for item in LESIONS])
#: Genes of whose variants of blood cells and germline plasma has its share.
NOT_TUMOUR = (
    ("DNMT3A", "p.R882H", "chip"),
    ("TET2", "p.Q1084*", "chip"),
    ("TP53", "p.G245S", "chip"),
    ("BRCA2", "p.S1982fs", "germline"),
    ("CHEK2", "p.T367fs", "germline"),
)


@dataclass(frozen=True)
class Progressed:
    """What the tumours carry at progression: shape (n,) each; `genome` (n, lesions)."""

    rb1: np.ndarray
    pik3ca: np.ndarray
    erbb2_lost: np.ndarray
    genome: np.ndarray


def make_progressed(
    seed: int, people: People, course: Course, size: dict[str, float]
) -> Progressed:
    """Let tumours acquire and lose lesions in proportion to the time on treatment until progression."""
    rng = stream(seed, "acquired")
    n = len(people)
    months = np.where(
        np.isfinite(course.progression),
        np.maximum(np.minimum(course.off_treatment, course.progression), 0) / DAYS_A_MONTH,
        0.0,
    )
    chance = 1 - np.exp(-size["rb1_acquired_per_month"] * months)
    rb1 = (rng.random(n) < chance) & (people.arm == 1)
    pik3ca = rng.random(n) < 1 - np.exp(-size["pik3ca_acquired_per_month"] * months)
    pik3ca &= ~people.genome[:, lesion("PIK3CA", "snv")]
    amplified = lesion("ERBB2", "amplification")
    lost = (rng.random(n) < size["erbb2_amplification_lost"]) & people.genome[:, amplified]
    lost &= np.isfinite(course.progression)
    genome = people.genome.copy()
    genome[lost, amplified] = False
    genome[lost, lesion("CDK12", "amplification")] = False
    return Progressed(rb1, pik3ca, lost, genome)


def make_alterations(
    seed: int,
    people: People,
    progressed: Progressed,
    samples: pd.DataFrame,
    runs: pd.DataFrame,
    fraction: np.ndarray,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the calls of the plasma panel (VAF in per cent) and of the tissue panel (VAF as a fraction).

    Parameters
    ----------
    fraction : np.ndarray, shape (samples,)
        Tumour fraction of the blood at each sample's visit.
    """
    purity = samples["tumour_cell_pct"].to_numpy() / 100
    traits = _traits(seed, people)
    plasma = _calls(seed, "ctdna_panel", people, progressed, samples, runs, fraction, traits)
    tissue = _calls(seed, "tissue_panel", people, progressed, samples, runs, purity, traits)
    plasma["vaf"] = np.round(100 * plasma["vaf"], 2)
    tissue["vaf"] = np.round(tissue["vaf"], 3)
    return plasma, tissue


@dataclass(frozen=True)
class _Traits:
    """A tumour's own variants: shape (n, lesions); of acquired lesions a dict of shape (n,)."""

    variant: np.ndarray
    clonal: np.ndarray
    copies: np.ndarray
    acquired_variant: dict[str, np.ndarray]
    acquired_clonal: dict[str, np.ndarray]


def _traits(seed: int, people: People) -> _Traits:
    """Draw which variant it is, in what share of the cells, in how many copies."""
    rng = stream(seed, "variants")
    shape = people.genome.shape
    variant = np.column_stack(
        [
            np.array(item.variants, dtype=object)[rng.integers(0, len(item.variants), shape[0])]
            for item in LESIONS
        ]
    )
    clonal = np.where(rng.random(shape) < 0.8, 1.0, 0.4) * rng.uniform(0.8, 1.0, shape)
    copies = np.round(rng.gamma(4.0, 2.0, shape) + 5)
    deletion = np.array([item.kind == "deletion" for item in LESIONS])
    names = {
        gene: np.array(variants, dtype=object)[rng.integers(0, len(variants), shape[0])]
        for gene, variants in ACQUIRED.items()
    }
    return _Traits(
        variant=variant,
        clonal=clonal,
        copies=np.where(deletion, 0.0, copies),
        acquired_variant=names,
        acquired_clonal={gene: rng.uniform(0.2, 0.8, shape[0]) for gene in ACQUIRED},
    )


def covers(assay: str, version: str, gene: str, kind: str) -> bool:
    """Whether a panel looks at a gene for a kind of alteration."""
    if assay == "tissue_panel":
        return True
    if kind in ("snv", "indel"):
        return gene in PLASMA_MUTATIONS[version]
    return kind == "amplification" and gene in PLASMA_AMPLIFICATIONS[version]


def _calls(
    seed: int,
    assay: str,
    people: People,
    progressed: Progressed,
    samples: pd.DataFrame,
    runs: pd.DataFrame,
    share: np.ndarray,
    traits: _Traits,
) -> pd.DataFrame:
    """Return the calls of one panel; `share` is the share of tumour DNA in each sample, shape (samples,)."""
    rng = stream(seed, f"calls of {assay}")
    plasma = assay == "ctdna_panel"
    of = runs[(runs["assay"] == assay) & (runs["qc"] == "pass")].reset_index(drop=True)
    who, row = of["who"].to_numpy(), of["row"].to_numpy()
    late = samples["visit"].to_numpy()[row] == "progression"
    content = share[row]
    version = of["version"].to_numpy()
    limit = (
        np.where(version == "v1", PLASMA_LIMIT["v1"], PLASMA_LIMIT["v2"])
        if plasma
        else np.full(len(of), TISSUE_LIMIT)
    )
    carried = np.where(late[:, None], progressed.genome[who], people.genome[who])
    noise = np.exp(0.15 * rng.standard_normal(carried.shape))
    vaf = np.clip(content[:, None] * traits.clonal[who] / 2 * noise, 0, 0.98)
    # Copy number shows only where there is enough tumour: half the time at 1 % in plasma, 12 % in tissue.
    half, steepness = (0.010, 4.0) if plasma else (0.12, 6.0)
    shows = (1 / (1 + (content / half) ** -steepness))[:, None]
    luck = rng.random(carried.shape)
    looked_at = np.array(
        [[covers(assay, v, item.gene, item.kind) for item in LESIONS] for v in ("v1", "v2")]
    )[(version == "v2").astype(int)]
    carried = carried & looked_at
    found = carried & np.where(COPY_NUMBER, luck < shows, vaf >= limit[:, None])
    unsure = carried & COPY_NUMBER & ~found & (luck < shows + 0.05) & plasma

    r, c = np.nonzero(found | unsure)
    copies = traits.copies[who[r], c]
    # The plasma laboratory reports fold change over the genome, which dilution shrinks towards one.
    amount = 1 + content[r] * (copies / 2 - 1) if plasma else copies
    parts = [
        pd.DataFrame(
            {
                "run_id": of["run_id"].to_numpy()[r],
                "gene": np.array([item.gene for item in LESIONS], dtype=object)[c],
                "alteration": traits.variant[who[r], c],
                "kind": np.array([item.kind for item in LESIONS], dtype=object)[c],
                "result": np.where(found[r, c], "detected", "equivocal"),
                "significance": "pathogenic",
                "vaf": np.where(COPY_NUMBER[c], np.nan, vaf[r, c]),
                "copy_number": np.where(COPY_NUMBER[c], np.round(amount, 2), np.nan),
                "copy_number_scale": np.where(
                    COPY_NUMBER[c], "fold" if plasma else "absolute", None
                ),
                "origin": "tumour",
            }
        )
    ]

    def mutations(
        seen: np.ndarray, gene: str, variant: np.ndarray | str, size: np.ndarray, **more: object
    ) -> None:
        """Note a point mutation of the runs where `seen`, shape (runs,)."""
        if not seen.any():
            return
        at = np.flatnonzero(seen)
        pick = variant[at] if isinstance(variant, np.ndarray) else variant
        call = {"kind": "snv", "result": "detected", "significance": "pathogenic", **more}
        call = {k: v[at] if isinstance(v, np.ndarray) else v for k, v in call.items()}
        head = {"run_id": of["run_id"].to_numpy()[at], "gene": gene, "alteration": pick}
        table = pd.DataFrame({**head, **call, "vaf": size[at]})
        shifted = table["alteration"].str.contains("fs")
        parts.append(table.assign(kind=table["kind"].mask(shifted, "indel")))

    for gene, acquired in (("RB1", progressed.rb1), ("PIK3CA", progressed.pik3ca)):
        size = content * traits.acquired_clonal[gene][who] / 2
        seen = acquired[who] & late & (size >= limit)
        mutations(seen, gene, traits.acquired_variant[gene][who], size, origin="tumour")
    pick = rng.integers(0, len(UNCERTAIN), len(of))
    uncertain = (rng.random(len(of)) < 0.10) & (content > 0.02)
    for place, (gene, variant) in enumerate(UNCERTAIN):
        within = np.array([covers(assay, v, gene, "snv") for v in version], dtype=bool)
        seen = uncertain & (pick == place) & within
        mutations(seen, gene, variant, content * 0.4, significance="vus", origin="tumour")
    for gene, variant, origin in NOT_TUMOUR:
        carrier, size, known = _not_tumour(seed, people, gene, origin)
        wobble = np.exp(0.1 * rng.standard_normal(len(of)))
        seen = carrier[who] & (plasma | (origin == "germline"))
        told = np.where(known[who], origin, None)
        mutations(
            seen, gene, variant, size[who] * wobble, significance="likely_pathogenic", origin=told
        )
    return pd.concat(parts, ignore_index=True).sort_values(
        ["run_id", "gene", "kind", "alteration"], kind="stable", ignore_index=True
    )


def _not_tumour(
    seed: int, people: People, gene: str, origin: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return who carries a variant of blood cells or germline, its VAF, and whether its origin is known."""
    rng = stream(seed, f"{origin} {gene}")
    n = len(people)
    age = people.table["age"].to_numpy()
    # Clonal haematopoiesis doubles in about fifteen years.
    factor = 2 ** ((age - 54) / 15) if origin == "chip" else np.ones(n)
    carrier = rng.random(n) < np.minimum(rate(f"{origin}_{gene}") * factor, 0.6)
    size = rng.uniform(0.005, 0.06, n) if origin == "chip" else rng.uniform(0.46, 0.54, n)
    return carrier, size, rng.random(n) < rate("matched_blood_cells")


def coverage_table() -> pd.DataFrame:
    """Return what the panels look at: ``config/coverage.tsv`` holds these rows."""
    rows = []
    for version, genes in PLASMA_MUTATIONS.items():
        for gene in genes:
            rows += [
                ("ctdna_panel", version, gene, kind, PLASMA_LIMIT[version])
                for kind in ("snv", "indel")
            ]
        rows += [
            ("ctdna_panel", version, gene, "amplification", None)
            for gene in PLASMA_AMPLIFICATIONS[version]
        ]
    genes = sorted(
        {item.gene for item in LESIONS}
        | {gene for gene, _ in UNCERTAIN}
        | {gene for gene, _, _ in NOT_TUMOUR}
    )
    for gene in genes:
        rows += [("tissue_panel", "v1", gene, kind, TISSUE_LIMIT) for kind in ("snv", "indel")]
        rows += [("tissue_panel", "v1", gene, kind, None) for kind in ("amplification", "deletion")]
    table = pd.DataFrame(rows, columns=["assay", "version", "gene", "kind", "lod_vaf"])
    return table.assign(variants=None)[["assay", "version", "gene", "kind", "variants", "lod_vaf"]]


def pathway_table() -> pd.DataFrame:
    """Return which alterations count for which pathway: ``config/pathways.tsv`` holds these rows."""
    return pd.DataFrame(PATHWAYS, columns=["gene", "kind", "pathway", "direction"])
