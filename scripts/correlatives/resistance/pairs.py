"""Who has a sample before treatment and one at progression, and at which genes both can be read.

A pair is evaluable at a gene only where both samples are: looked at by the assay, passed its quality
control, with enough tumour in it (or a positive call, which proves itself). The cohort's marker
states say so; nothing is guessed here.

Blood pairs are within a specimen (plasma with plasma). Tissue is rarely sampled twice in the same
way: the baseline is usually the archival block and the later sample a biopsy, so both are read as
``tissue``, the biopsy's result where there is one, else the archival block's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import MEASURED, MISSING, NOT_EVALUABLE, Markers

#: Average days in a month, as in the contract.
DAYS_A_MONTH = 30.4375

#: Tumour specimens, the one nearest to the treatment first.
TISSUE = ("biopsy", "archival_tissue")

#: Name of the merged tumour specimen.
TISSUE_NAME = "tissue"

#: Specimens from a vein, in the order in which they are reported.
BLOOD = ("plasma", "serum", "blood", "pbmc")

#: Reasons to stop treatment that are not progression, and how they are found in a form's own words.
NOT_PROGRESSION = {
    "toxicity": r"toxic|adverse|\bae\b",
    "withdrawal": r"withdr",
    "loss to follow-up": r"\blost\b|loss to",
    "end of study": r"end[ _]of[ _]study",
}

#: Names of a timepoint that is at progression even if its window does not say so.
PROGRESSION_NAMES = ("progression", "pd", "eot", "end of treatment")

#: A sample this many days before progression is still one at progression (the contract's window).
PROGRESSION_WINDOW_DAYS = 28.0

#: Columns of the flow of subjects into pairs, those of ``check/flow.tsv``.
FLOW_COLUMNS = ["step", "unit", "arm", "reason", "n"]


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


def specimens(markers: Markers) -> list[str]:
    """Return the specimens of these markers: blood first, the tumour specimens merged as ``tissue``."""
    found = set(markers.info["specimen"])
    listed = [specimen for specimen in BLOOD if specimen in found]
    listed += sorted(found - set(BLOOD) - set(TISSUE) - {"clinical"})
    return listed + [TISSUE_NAME] * bool(found & set(TISSUE))


def of_specimen(markers: Markers, specimen: str, timepoint: str) -> Markers:
    """Return the markers of a specimen at a timepoint, one row a biomarker and assay, sorted by name.

    For ``tissue``, each subject's result at each biomarker is the biopsy's where it has one, else that
    of the archival block; a failed biopsy does not hide an archival result.
    """
    wanted = TISSUE if specimen == TISSUE_NAME else (specimen,)
    parts = [markers.select(timepoint=timepoint, specimen=name) for name in wanted]
    merged = Markers.concatenate(parts)
    names, first = np.unique(names_with_assay(merged), return_index=True)
    value = np.full((len(names), len(markers.subjects)), np.nan)
    state = np.full(value.shape, MISSING, dtype=np.uint8)
    for part in parts:
        rows = np.searchsorted(names, names_with_assay(part))
        has_result = (part.state != MISSING) & (part.state != NOT_EVALUABLE)
        had_result = (state[rows] != MISSING) & (state[rows] != NOT_EVALUABLE)
        better = ~had_result & (has_result | (state[rows] == MISSING))
        value[rows] = np.where(better, part.value, value[rows])
        state[rows] = np.where(better, part.state, state[rows])
    info = merged.info.iloc[first].reset_index(drop=True)
    if specimen == TISSUE_NAME:
        info = info.assign(specimen=TISSUE_NAME)
    return Markers(markers.subjects, info, value, state)


def names_with_assay(markers: Markers) -> np.ndarray:
    """Return each marker's name and assay as one text, shape (p,): two assays are never compared.

    Alterations stand for whatever assays looked for them.
    """
    name = markers.info["biomarker"].astype(str)
    assay = markers.info["assay"].fillna("").astype(str).mask(is_alteration(markers), "")
    return (name + "\t" + assay).to_numpy(dtype=str)


def is_alteration(markers: Markers) -> np.ndarray:
    """Whether each marker says if a gene or pathway is altered, shape (p,)."""
    return (
        markers.info["biomarker"].astype(str).str.startswith(("gene:", "pathway:")).to_numpy(bool)
    )


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


def sample_months(cohort: Cohort, specimen: str, timepoint: str) -> np.ndarray:
    """Return when each subject's sample was taken, in months from randomisation; NaN where unknown.

    The chosen sample's date; of several, the earliest.
    """
    wanted = TISSUE if specimen == TISSUE_NAME else (specimen,)
    samples = cohort.samples
    here = samples[samples["timepoint"].eq(timepoint) & samples["specimen"].isin(wanted)]
    here = here.assign(
        months=pd.to_numeric(here["months"], errors="coerce").astype(float),
        rank=here["specimen"].map({name: position for position, name in enumerate(wanted)}),
        unchosen=~here["chosen"].fillna(False).astype(bool),
    ).dropna(subset=["months"])
    first = here.sort_values(["unchosen", "rank", "months", "sample_id"]).drop_duplicates(
        "subject_id"
    )
    found = first.set_index("subject_id")["months"]
    return found.reindex(cohort.subjects["subject_id"]).to_numpy(dtype=float)


def months_on_treatment(cohort: Cohort, months: np.ndarray) -> np.ndarray:
    """Turn months from randomisation into months from the first dose."""
    if "first_dose_day" not in cohort.subjects:
        return months
    start = pd.to_numeric(cohort.subjects["first_dose_day"], errors="coerce").fillna(0.0)
    return months - start.to_numpy(dtype=float) / DAYS_A_MONTH


def means_progression(timepoints: Mapping[str, Mapping[str, Any] | None], to: str) -> bool:
    """Whether a timepoint is that of progression: its window says so, or its name.

    Parameters
    ----------
    timepoints : mapping
        Configuration: ``timepoints``.
    to : str
        Configuration: ``resistance.to``.
    """
    rule = timepoints.get(to) or {}
    return rule.get("around") == "progression" or to.casefold() in PROGRESSION_NAMES


def not_at_progression(cohort: Cohort, months: np.ndarray) -> np.ndarray:
    """Return why a later sample was not taken at progression; "" where it was.

    A subject who stopped for toxicity (or withdrew, was lost, or reached the end of the study) without
    progression has no sample at progression, whatever its label; nor has one who progressed
    more than 28 days after that sample.

    Parameters
    ----------
    cohort : Cohort
    months : np.ndarray of float, shape (n,)
        When the later sample was taken, from randomisation; NaN where unknown.

    Returns
    -------
    np.ndarray of str, shape (n,)
    """
    subjects = cohort.subjects
    n = len(subjects)
    reasons = np.full(n, "", dtype=object)
    if "off_treatment_reason" in subjects:
        words = subjects["off_treatment_reason"].astype("string").fillna("").str.casefold()
        for reason, pattern in NOT_PROGRESSION.items():
            named = words.str.contains(pattern, regex=True).to_numpy(dtype=bool)
            reasons[named & (reasons == "")] = f"stopped for {reason}, not progression"
    progressed = (
        subjects["progression_months"].to_numpy(dtype=float)
        if "progression_months" in subjects
        else np.full(n, np.nan)
    )
    with np.errstate(invalid="ignore"):
        too_early = (progressed - months) * DAYS_A_MONTH > PROGRESSION_WINDOW_DAYS
    reasons[~(np.isnan(progressed) | too_early)] = ""
    return reasons


def gene_pairs(cohort: Cohort, from_: str, to: str, *, at_progression: bool = True) -> list[Pairs]:
    """Return the pairs of every specimen that was looked at for alterations at both timepoints.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints (configuration: ``resistance.from`` and ``resistance.to``).
    at_progression : bool
        Whether `to` means progression, so that samples of subjects who stopped for another reason are
        set aside (`not_at_progression`).

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
        paired = (before.state != MISSING).any(axis=0) & (after.state != MISSING).any(axis=0)
        if at_progression:
            paired &= not_at_progression(cohort, drawn) == ""
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


def pairs_flow(cohort: Cohort, from_: str, to: str, *, at_progression: bool = True) -> pd.DataFrame:
    """Return how the subjects of each arm become pairs, a specimen at a time.

    Returns
    -------
    pd.DataFrame
        step, unit, arm, reason, n, as ``check/flow.tsv``: the rows of a step with a reason were left
        out, the one without remains; all of an arm's rows add up to its subjects.
    """
    alterations = cohort.markers.where(is_alteration(cohort.markers))
    rows = []
    for specimen in specimens(alterations):
        has = {
            timepoint: (of_specimen(alterations, specimen, timepoint).state != MISSING).any(axis=0)
            for timepoint in (from_, to)
        }
        reason = np.full(len(cohort.subjects), "", dtype=object)
        if at_progression:
            reason = not_at_progression(cohort, sample_months(cohort, specimen, to))
        reason[~has[to]] = f"no {to} sample"
        reason[~has[from_]] = f"no {from_} sample"
        reason[~has[from_] & ~has[to]] = "no sample"
        for label, mask in arm_masks(cohort):
            counts = pd.Series(reason[mask]).value_counts()
            rows += [
                (f"resistance: {specimen} pairs", "subject", label, why, int(counts[why]))
                for why in sorted(set(counts.index) - {""})
            ]
            rows.append(
                (f"resistance: {specimen} pairs", "subject", label, "", int(counts.get("", 0)))
            )
    return pd.DataFrame(rows, columns=FLOW_COLUMNS)
