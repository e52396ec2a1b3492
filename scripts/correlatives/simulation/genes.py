"""Genes of the simulated trial: alterations of the tumour, panels, expression signatures.

Frequencies are those of ``published_checks`` for HER2-positive metastatic disease; ``prior`` where none is known.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

import pandas as pd


def symbols(text: str) -> list[str]:
    """Return the gene symbols of a text."""
    return text.split()


class Lesion(NamedTuple):
    """An alteration that a tumour may carry at baseline.

    `prevalence` is a probability, `variants` are written as the laboratory writes them, `source` says
    where the probability is from. `only` restricts it to hormone-receptor positive subjects.
    """

    gene: str
    kind: str
    prevalence: float
    variants: tuple[str, ...]
    source: str
    only_hr_positive: bool = False


LESIONS: tuple[Lesion, ...] = (
    Lesion(
        "PIK3CA", "snv", 0.30, ("p.H1047R", "p.E545K", "p.E542K", "p.H1047L", "p.N345K"), "30 %"
    ),
    Lesion("TP53", "snv", 0.48, ("p.R175H", "p.R248Q", "p.R273H", "p.Y220C", "p.R213*"), "60 %"),
    Lesion("TP53", "indel", 0.12, ("p.P152Rfs*18", "p.V143fs"), "with snv 60 %"),
    Lesion("ERBB2", "snv", 0.06, ("p.L755S", "p.V777L", "p.S310F"), "6 %"),
    Lesion("PTEN", "snv", 0.03, ("p.R130*", "p.R233*"), "with indel 5 %"),
    Lesion("PTEN", "indel", 0.02, ("p.T319fs", "p.K267fs"), "with snv 5 %"),
    Lesion("AKT1", "snv", 0.02, ("p.E17K",), "2 %"),
    Lesion("ESR1", "snv", 0.08, ("p.D538G", "p.Y537S"), "8 % of HR+", only_hr_positive=True),
    Lesion("RB1", "snv", 0.02, ("p.R320*", "p.R552*"), "with indel 3 %"),
    Lesion("RB1", "indel", 0.01, ("p.K289fs", "p.L343fs"), "with snv 3 %"),
    Lesion("FAT1", "indel", 0.03, ("p.S2682fs", "p.P1032fs"), "3 %"),
    Lesion("NF1", "indel", 0.05, ("p.Y2285fs", "p.I679fs"), "5 %"),
    Lesion("KRAS", "snv", 0.02, ("p.G12D", "p.G12V"), "RAS 3 %"),
    Lesion("NRAS", "snv", 0.01, ("p.Q61R", "p.Q61K"), "RAS 3 %"),
    Lesion("ERBB2", "amplification", 0.92, ("amplification",), "rate her2_amplified"),
    Lesion("CDK12", "amplification", 0.50, ("amplification",), "common; prior; if ERBB2 is"),
    Lesion("CCND1", "amplification", 0.12, ("amplification",), "12 %"),
    Lesion("MYC", "amplification", 0.15, ("amplification",), "15 %"),
    Lesion("FGFR1", "amplification", 0.10, ("amplification",), "10 %"),
    Lesion("CCNE1", "amplification", 0.08, ("amplification",), "8 %"),
    Lesion("AURKA", "amplification", 0.05, ("amplification",), "5 %"),
    Lesion("CDK6", "amplification", 0.02, ("amplification",), "2 %"),
    Lesion("EGFR", "amplification", 0.02, ("amplification",), "prior"),
    Lesion("PTEN", "deletion", 0.08, ("deletion",), "prior: with IHC loss 20 %"),
    Lesion("RB1", "deletion", 0.02, ("deletion",), "prior"),
)

#: Variants of RB1 and PIK3CA that come up on treatment: they differ from the baseline ones.
ACQUIRED = {
    "RB1": ("p.Q257*", "p.N519fs", "p.F755fs", "p.R661W"),
    "PIK3CA": ("p.E545K", "p.H1047R", "p.E726K", "p.Q546K"),
}

#: Variants of unknown significance, one in ten samples.
UNCERTAIN = (
    ("FAT1", "p.A1024T"),
    ("NF1", "p.S665F"),
    ("ATM", "p.L2332P"),
    ("BRCA2", "p.K2729N"),
    ("FGFR2", "p.S57L"),
    ("ERBB2", "p.I655V"),
)

#: Genes of which a plasma panel sees mutations; version 2 adds to version 1.
PLASMA_MUTATIONS = {
    "v1": symbols(
        "PIK3CA TP53 ERBB2 PTEN AKT1 ESR1 RB1 KRAS NRAS DNMT3A TET2 ATM BRCA2 CHEK2 FGFR2"
    ),
    "v2": symbols(
        "PIK3CA TP53 ERBB2 PTEN AKT1 ESR1 RB1 KRAS NRAS DNMT3A TET2 ATM BRCA2 CHEK2 FGFR2 "
        "FAT1 NF1 CDK6 CCND1 MYC FGFR1 CCNE1 EGFR"
    ),
}
#: Amplifications it sees: version 1 is blind to those of CDK12, CDK6, AURKA and CCNE1.
PLASMA_AMPLIFICATIONS = {
    "v1": symbols("ERBB2 CCND1 MYC FGFR1 EGFR"),
    "v2": symbols("ERBB2 CCND1 MYC FGFR1 EGFR CCNE1 CDK12 CDK6 AURKA"),
}
#: Limit of detection of a mutation in plasma, as a fraction of reads.
PLASMA_LIMIT = {"v1": 0.003, "v2": 0.0015}
TISSUE_LIMIT = 0.02

#: (gene, kind) -> pathway and direction; an amplified RB1 is not RB loss.
PATHWAYS: tuple[tuple[str, str, str, str], ...] = (
    *((gene, kind, "RB", "loss") for gene in ("RB1",) for kind in ("snv", "indel", "deletion")),
    ("FAT1", "indel", "RB", "loss"),
    ("FAT1", "deletion", "RB", "loss"),
    ("CDK6", "amplification", "RB", "gain"),
    ("CCND1", "amplification", "RB", "gain"),
    ("CCNE1", "amplification", "cyclin E", "gain"),
    ("AURKA", "amplification", "cyclin E", "gain"),
    ("FGFR1", "amplification", "RTK/RAS", "gain"),
    ("FGFR2", "snv", "RTK/RAS", "gain"),
    ("EGFR", "amplification", "RTK/RAS", "gain"),
    ("KRAS", "snv", "RTK/RAS", "gain"),
    ("NRAS", "snv", "RTK/RAS", "gain"),
    ("NF1", "snv", "RTK/RAS", "loss"),
    ("NF1", "indel", "RTK/RAS", "loss"),
    ("PIK3CA", "snv", "PI3K", "gain"),
    ("AKT1", "snv", "PI3K", "gain"),
    *(("PTEN", kind, "PI3K", "loss") for kind in ("snv", "indel", "deletion")),
    ("ERBB2", "snv", "HER2", "gain"),
    ("ERBB2", "amplification", "HER2", "gain"),
    ("CDK12", "amplification", "HER2", "gain"),
)

PAM50 = symbols(
    "ACTR3B ANLN BAG1 BCL2 BIRC5 BLVRA CCNB1 CCNE1 CDC20 CDC6 CDH3 CENPF CEP55 CXXC5 EGFR ERBB2 ESR1 "
    "EXO1 FGFR4 FOXA1 FOXC1 GPR160 GRB7 KIF2C KRT14 KRT17 KRT5 MAPT MDM2 MELK MIA MKI67 MLPH MMP11 "
    "MYBL2 MYC NAT1 NDC80 NUF2 ORC6 PGR PHGDH PTTG1 RRM2 SFRP1 SLC39A6 TMEM45B TYMS UBE2C UBE2T"
)

#: Expression signatures: selections of the published lists (Hallmark sets of MSigDB; Malorni 2016 for the
#: genes that E2F drives when RB is lost; the co-amplified genes of 17q12), enough for a simulation.
SIGNATURES: dict[str, list[str]] = {
    "E2F_targets": symbols(
        "ATAD2 AURKB BIRC5 BRCA1 BUB1B CCNE1 CDC20 CDC25A CDK1 CDKN3 CENPE CHEK1 DNMT1 E2F8 EZH2 GINS1 "
        "HELLS KIF4A LIG1 MAD2L1 MCM2 MCM3 MCM4 MCM5 MCM6 MCM7 MKI67 MYBL2 ORC6 PCNA PLK1 PLK4 POLA2 "
        "POLD1 PTTG1 RAD51AP1 RFC2 RFC3 RPA2 RRM2 SMC4 SPC25 STMN1 TIMELESS TOP2A TRIP13 UBE2T UNG"
    ),
    "RBsig": symbols(
        "ANLN ASPM AURKA BUB1 CCNA2 CCNB1 CDC6 CDC45 CDCA5 CDCA8 CENPA CENPF CEP55 CLSPN DLGAP5 DTL "
        "E2F1 E2F2 ESPL1 EXO1 FAM83D FOXM1 GINS2 KIF11 KIF18B KIF2C KIF20A MCM10 MELK NCAPG NDC80 NUF2 "
        "NUSAP1 RAD51 RAD54L TPX2 TTK UBE2C UHRF1"
    ),
    "G2M_checkpoint": symbols(
        "AURKA BUB1 BUB3 CCNB2 CCNF CDC20 CDC25B CDC27 CDK1 CENPA CENPE CENPF CKS1B CKS2 ESPL1 EXO1 "
        "FBXO5 HMMR INCENP KIF11 KIF15 KIF22 KIF23 KIF4A MAD2L1 NDC80 NEK2 NUSAP1 PLK1 PRC1 RACGAP1 "
        "STIL SMC2 TACC3 TOP2A TPX2 TTK UBE2C"
    ),
    "cyclin_E": symbols("CCNE1 CCNE2 CDK2 CDC25A FBXW7 SKP2 E2F1 E2F3"),
    "HER2_amplicon": symbols("ERBB2 GRB7 STARD3 PGAP3 MIEN1 TCAP PNMT MED1 CDK12 ORMDL3 PSMD3"),
    "luminal": symbols(
        "ESR1 PGR FOXA1 GATA3 BCL2 NAT1 MAPT SLC39A6 MLPH XBP1 AR TFF1 TFF3 AGR2 KRT18 KRT8 SCUBE2 "
        "BAG1 CXXC5 GPR160 TMEM45B BLVRA"
    ),
    "basal": symbols("KRT5 KRT14 KRT17 FOXC1 MIA CDH3 SFRP1 EGFR PHGDH ACTR3B"),
    "T_effector": symbols("CD8A GZMA GZMB PRF1 IFNG CXCL9 CXCL10 CD3E TBX21 EOMES"),
}

#: Signature -> pathway it speaks for.
SIGNATURE_PATHWAYS = {
    "E2F_targets": "RB",
    "RBsig": "RB",
    "cyclin_E": "cyclin E",
    "HER2_amplicon": "HER2",
}

#: Signature -> where its list comes from.
SIGNATURE_SOURCES = {
    "E2F_targets": "a selection of MSigDB Hallmark E2F targets (Liberzon 2015, CC BY 4.0)",
    "RBsig": "a selection after Malorni 2016: genes that E2F1 and E2F2 drive when RB is lost",
    "G2M_checkpoint": "a selection of MSigDB Hallmark G2M checkpoint (Liberzon 2015, CC BY 4.0)",
    "cyclin_E": "cyclin E, its partners and its regulators",
    "HER2_amplicon": "genes of 17q12-21 that are amplified with ERBB2",
    "luminal": "luminal genes of breast tumours",
    "basal": "basal genes of breast tumours",
    "T_effector": "genes of effector T cells",
}

#: Genes of negative weight in a signature of luminal against basal, by correlation as intrinsic subtypes are.
LUMINAL_AGAINST_BASAL = "luminal_v_basal"


def signature_table() -> pd.DataFrame:
    """Return the gene lists: ``config/signatures.tsv`` holds these rows."""
    rows = [
        (name, gene, 1, "rank", SIGNATURE_PATHWAYS.get(name, ""), SIGNATURE_SOURCES[name])
        for name, members in SIGNATURES.items()
        for gene in members
    ]
    rows += [
        (LUMINAL_AGAINST_BASAL, gene, weight, "correlation", "", "the two lists above, like PAM50")
        for name, weight in (("luminal", 1), ("basal", -1))
        for gene in SIGNATURES[name]
    ]
    return pd.DataFrame(rows, columns=["signature", "gene", "weight", "score", "pathway", "source"])


#: Genes named in a hypothesis that is in none of the lists.
OTHER_GENES = symbols("RB1 CDKN2A CDK4 CDK6 CCND1 CCND2 CCND3 TK1 PTEN AKT1 FGFR1 NF1")


def expression_genes(count: int) -> list[str]:
    """Return `count` gene symbols: those with planted effects, the signatures', PAM50's, then placeholders.

    Raises
    ------
    ValueError
        If `count` leaves no room for those with planted effects and three genes of each signature.
    """
    leading = ["CCNE1", "ERBB2", "RB1", *chain(*(members[:3] for members in SIGNATURES.values()))]
    leading = list(dict.fromkeys(leading))
    if count < len(leading):
        raise ValueError(f"genes={count}: at least {len(leading)} are needed for the signatures")
    named = list(dict.fromkeys([*leading, *PAM50, *chain(*SIGNATURES.values()), *OTHER_GENES]))
    placeholders = (f"GENE{index:04d}" for index in range(1, count - len(named) + 1))
    return [*named, *placeholders][:count]


class Cytokine(NamedTuple):
    """A cytokine of the multiplex: median and limit in pg/mL, spread of its natural logarithm."""

    name: str
    median: float
    sd_ln: float
    lloq: float


#: Medians and limits are priors; shares below the limit run from none to two thirds.
CYTOKINES: tuple[Cytokine, ...] = (
    Cytokine("IL6", 4.0, 1.1, 0.7),
    Cytokine("IL8", 12.0, 0.8, 1.0),
    Cytokine("IL10", 1.5, 0.9, 0.6),
    Cytokine("IL1B", 0.6, 0.9, 0.5),
    Cytokine("IL2", 0.8, 0.9, 0.9),
    Cytokine("IL4", 0.3, 0.8, 0.4),
    Cytokine("IL12p70", 0.9, 0.9, 0.5),
    Cytokine("IL13", 1.2, 0.9, 1.4),
    Cytokine("IL17A", 2.0, 0.9, 0.8),
    Cytokine("IFNG", 5.0, 1.0, 1.2),
    Cytokine("TNFA", 8.0, 0.6, 0.8),
    Cytokine("CCL2", 210.0, 0.5, 10.0),
    Cytokine("CCL3", 25.0, 0.7, 6.0),
    Cytokine("CCL4", 80.0, 0.6, 8.0),
    Cytokine("CXCL10", 320.0, 0.7, 12.0),
    Cytokine("VEGFA", 90.0, 0.8, 15.0),
    Cytokine("GCSF", 14.0, 0.9, 6.0),
    Cytokine("GMCSF", 0.9, 0.9, 0.8),
    Cytokine("TGFB1", 8200.0, 0.5, 500.0),
    Cytokine("PDGFBB", 1500.0, 0.6, 60.0),
)
