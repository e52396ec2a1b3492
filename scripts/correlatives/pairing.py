"""Which subjects have a sample before treatment and one at progression: the pairs.

The flow of the cohort counts them and the analyses of resistance use them, so both ask here.

Blood pairs are within a specimen (plasma with plasma). Tissue is rarely sampled twice in the same
way: the baseline is usually the archival block and the later sample a biopsy, so both are read as
``tissue``, the biopsy's result where there is one, else the archival block's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, NOT_EVALUABLE, Markers
from correlatives.tables.limits import LOG_RATIOS
from correlatives.time_units import DAYS_A_MONTH

if TYPE_CHECKING:
    from correlatives.cohort import Cohort

#: Tumour specimens, the one nearest to the treatment first.
TISSUE = ("biopsy", "archival_tissue")

#: Name of the merged tumour specimen.
TISSUE_NAME = "tissue"

#: Specimens from a vein, in the order in which they are reported.
BLOOD = ("plasma", "serum", "blood", "pbmc")

#: States that are a result.
RESULTS = (MEASURED, BELOW, ABOVE)

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

#: Times in months name a day to within rounding.
HALF_A_DAY = 0.5

#: What pairs are of, as the flow calls it.
ALTERATIONS, QUANTITIES = "alterations", "quantities"

#: Reasons that a sample is none at progression, beside those of ``NOT_PROGRESSION``.
NO_PROGRESSION = "no progression seen"
TOO_EARLY = f"progressed more than {PROGRESSION_WINDOW_DAYS:g} days after the progression sample"


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


def is_quantity(markers: Markers) -> np.ndarray:
    """Whether each marker is measured on a scale and is not yet a change, shape (p,)."""
    return (
        markers.info["kind"].isin(["continuous", "count"]).to_numpy(bool)
        & ~markers.info["biomarker"].astype(str).str.startswith(LOG_RATIOS).to_numpy(bool)
        & ~markers.info["specimen"].eq("clinical").to_numpy(bool)
    )


def quantities(markers: Markers) -> Markers:
    """Return the markers that are measured on a scale and are not yet a change."""
    return markers.where(is_quantity(markers))


def _measured_at_both(
    markers: Markers, specimen: str, from_: str, to: str
) -> tuple[Markers, np.ndarray]:
    """Return a specimen's quantities that one assay measured at both timepoints, and who has both results, shape (n,).

    Only these are copied: a wide assay at one of the timepoints is large, and of no use.
    """
    wanted = TISSUE if specimen == TISSUE_NAME else (specimen,)
    info = markers.info
    kept = info["specimen"].isin(wanted) & info["timepoint"].isin([from_, to])
    at_the_end = info.loc[kept & info["timepoint"].eq(to), "biomarker"]
    part = quantities(markers.where(kept & info["biomarker"].isin(set(at_the_end))))
    names = names_with_assay(part)
    late = part.info["timepoint"].eq(to).to_numpy(bool)
    common = np.intersect1d(names[~late], names[late])
    here = np.isin(names, common)
    part, place, late = part.where(here), np.searchsorted(common, names[here]), late[here]
    both = np.ones((len(common), len(markers.subjects)), dtype=bool)
    for when in (late, ~late):
        there = np.zeros_like(both)
        for name in wanted:
            # a name is once in a specimen at a timepoint; of tissue, the biopsy's result or the archival block's
            one = when & part.info["specimen"].eq(name).to_numpy(bool)
            there[place[one]] |= np.isin(part.state[one], RESULTS)
        both &= there
    return part, both.any(axis=0)


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
    progression has no sample at progression, whatever its label; nor has one in whom no table tells of a progression
    though progression-free survival is known (censored, or with an event of another cause such as death);
    nor one who progressed more than 28 days after that sample. Where it is not known whether a subject
    progressed, the label is believed.

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
        too_early = (progressed - months) * DAYS_A_MONTH > PROGRESSION_WINDOW_DAYS + HALF_A_DAY
    if "progression_seen" in subjects:
        unseen = subjects["progression_seen"].eq("no").to_numpy(dtype=bool)
        reasons[unseen & (reasons == "")] = NO_PROGRESSION
    # They did progress, whatever they had stopped for.
    reasons[too_early] = TOO_EARLY
    reasons[~(np.isnan(progressed) | too_early)] = ""
    return reasons


def without_sample(cohort: Cohort, markers: Markers, specimen: str, timepoint: str) -> np.ndarray:
    """Return why each subject has no sample of a specimen at a timepoint; "" where there is one.

    A sample counts if any of the markers was looked for in it, in vain or not, and it passed quality control: of
    alterations, that of the runs that looked for them.

    Returns
    -------
    np.ndarray of str, shape (n,)
    """
    runs = cohort.samples
    runs = runs[runs["timepoint"].eq(timepoint)]
    if is_alteration(markers).all():
        runs = runs[~runs["sequenced"].eq(False).to_numpy(dtype=bool)]
    there, sound = np.zeros((2, len(cohort.subjects)), dtype=bool)
    for name in TISSUE if specimen == TISSUE_NAME else (specimen,):
        looked_at = markers.select(timepoint=timepoint, specimen=name).state != MISSING
        mine = runs[runs["specimen"].eq(name)]
        all_failed = mine["qc"].eq("fail").groupby(mine["subject_id"]).all()
        failed = cohort.subjects["subject_id"].isin(all_failed.index[all_failed]).to_numpy()
        there |= looked_at.any(axis=0)
        sound |= looked_at.any(axis=0) & ~failed
    return np.where(
        ~there,
        f"no {timepoint} sample",
        np.where(sound, "", f"{timepoint} sample failed quality control"),
    ).astype(object)


def unpaired(
    cohort: Cohort,
    markers: Markers,
    specimen: str,
    from_: str,
    to: str,
    *,
    at_progression: bool = True,
) -> np.ndarray:
    """Return why each subject has no pair of samples of a specimen; "" where there is one.

    A pair is a sample at either timepoint that counts (`without_sample`), the later one at progression
    (`not_at_progression`). At how many genes it can be read is another matter.

    Parameters
    ----------
    cohort : Cohort
    markers : Markers
        What the samples were looked at for.
    specimen : str
        A specimen of blood, or ``tissue``.
    from_, to : str
        Analysis timepoints.
    at_progression : bool
        Whether `to` means progression, so that samples of subjects who stopped for another reason are
        set aside (`not_at_progression`).

    Returns
    -------
    np.ndarray of str, shape (n,)
    """
    first, last = (without_sample(cohort, markers, specimen, when) for when in (from_, to))
    reasons = np.full(len(cohort.subjects), "", dtype=object)
    if at_progression:
        reasons = not_at_progression(cohort, sample_months(cohort, specimen, to))
    reasons = np.where(last == "", reasons, last)
    reasons = np.where(first == "", reasons, first)
    reasons[(first == f"no {from_} sample") & (last == f"no {to} sample")] = "no sample"
    return reasons


def unpaired_by_specimen(
    cohort: Cohort, from_: str, to: str, *, at_progression: bool = True
) -> dict[tuple[str, str], np.ndarray]:
    """Return why each subject has no pair, of every specimen that was looked at in anybody at the later timepoint.

    Returns
    -------
    dict
        (specimen, `ALTERATIONS`) -> `unpaired` of what was looked at for alterations, the pairs of
        ``resistance/acquired.tsv``; (specimen, `QUANTITIES`) -> that of what was measured, the pairs of
        ``resistance/paired_change.tsv``: a quantity has a result in both samples by the same assay. Samples of assays
        that were used at one of the timepoints only do not count.
    """
    alterations = cohort.markers.where(is_alteration(cohort.markers))
    looked_at = set(specimens(alterations))
    found = {}
    for specimen in specimens(cohort.markers):
        if (
            specimen in looked_at
            and (of_specimen(alterations, specimen, to).state != MISSING).any()
        ):
            found[specimen, ALTERATIONS] = unpaired(
                cohort, alterations, specimen, from_, to, at_progression=at_progression
            )
        measured, both = _measured_at_both(cohort.markers, specimen, from_, to)
        if (of_specimen(measured, specimen, to).state != MISSING).any():
            reasons = unpaired(cohort, measured, specimen, from_, to, at_progression=at_progression)
            reasons[(reasons == "") & ~both] = "nothing measured in both by the same assay"
            found[specimen, QUANTITIES] = reasons
    return found
