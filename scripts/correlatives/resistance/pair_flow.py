"""From the subjects to the pairs that can be read, and what was set aside on the way."""

from __future__ import annotations

import numpy as np
import pandas as pd

from correlatives.cohort import Cohort
from correlatives.markers import MISSING
from correlatives.pairing import (
    NO_PROGRESSION,
    TISSUE,
    TISSUE_NAME,
    is_alteration,
    not_at_progression,
    of_specimen,
    sample_months,
    specimens,
    without_sample,
)
from correlatives.resistance.pairs import arm_masks, gene_pairs
from correlatives.tables.alterations import CLASSES
from correlatives.tables.words import words

COLUMNS = ["specimen", "arm", "step", "reason", "n"]

CALL_COLUMNS = ["gene", "specimen", "timepoint", "arm", "reason", "used", "calls", "subjects"]

#: Genes whose variants in plasma are often those of blood cells.
HAEMATOPOIESIS = ("TP53", "ATM", "CHEK2", "DNMT3A", "TET2")

#: Specimens that hold the DNA of blood cells beside that of the tumour.
WITH_BLOOD_CELLS = ("plasma", "serum", "blood")


def pair_flow(cohort: Cohort, from_: str, to: str, *, at_progression: bool = True) -> pd.DataFrame:
    """Count subjects from the study to the pairs: ``resistance/pairs.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside.

    Returns
    -------
    pd.DataFrame
        A row a specimen that was looked at for alterations, arm, step and reason. An empty `reason` is who
        remains after the step, any other who was left out at it, so that what remains is what remained before less
        what was left out. Steps: ``subjects``; ``{from} sample``; ``{to} sample`` (without one: progressed and not sampled,
        or not known to have progressed); ``at progression`` (the later sample was taken when treatment stopped for
        another reason, or too long before progression); ``evaluable`` (readable in both samples at one gene or more).
    """
    alterations = cohort.markers.where(is_alteration(cohort.markers))
    n = len(cohort.subjects)
    progressed = np.zeros(n, dtype=bool)
    if "progression_seen" in cohort.subjects:
        progressed = cohort.subjects["progression_seen"].eq("yes").to_numpy(dtype=bool)
    pairs = {
        pair.specimen: pair for pair in gene_pairs(cohort, from_, to, at_progression=at_progression)
    }
    rows = []
    for specimen in specimens(alterations):
        if not (of_specimen(alterations, specimen, to).state != MISSING).any():
            continue
        first, last = (without_sample(cohort, alterations, specimen, when) for when in (from_, to))
        if at_progression:
            known = np.where(progressed, "progressed, ", f"{NO_PROGRESSION}, ").astype(object)
            last = np.where(last == f"no {to} sample", known + last, last)
        aside = np.full(n, "", dtype=object)
        if at_progression:
            aside = not_at_progression(cohort, sample_months(cohort, specimen, to))
        readable = np.zeros(n, dtype=bool)
        if specimen in pairs:
            readable = pairs[specimen].evaluable.any(axis=0)
        steps = [
            (f"{from_} sample", first),
            (f"{to} sample", last),
            ("at progression", aside),
            ("evaluable", np.where(readable, "", "no gene readable in both samples")),
        ]
        for label, mask in arm_masks(cohort):
            remaining = mask.copy()
            rows.append((specimen, label, "subjects", "", int(remaining.sum())))
            for step, reason in steps:
                if step == "at progression" and not at_progression:
                    continue
                gone = remaining & (reason != "")
                counts = pd.Series(reason[gone], dtype=object).value_counts(sort=False)
                rows += [
                    (specimen, label, step, str(word), int(counts[word]))
                    for word in sorted(counts.index)
                ]
                remaining = remaining & ~gone
                rows.append((specimen, label, step, "", int(remaining.sum())))
    return pd.DataFrame(rows, columns=COLUMNS)


def calls_by_use(cohort: Cohort, from_: str, to: str) -> pd.DataFrame:
    """Count the calls that were set aside, and those that are flagged: ``resistance/calls_set_aside.tsv``.

    Parameters
    ----------
    cohort : Cohort
    from_, to : str
        Analysis timepoints whose samples are looked at.

    Returns
    -------
    pd.DataFrame
        A row a gene, specimen, timepoint, arm and reason: ``germline`` and ``clonal haematopoiesis`` (the laboratory's
        word), ``significance`` (benign, or not one that counts), ``failed quality control`` are set aside
        (`used` no); ``possible clonal haematopoiesis`` (TP53, ATM, CHEK2, DNMT3A, TET2 in blood with no origin
        stated, that is without a matched sample of blood cells) is flagged and used (`used` yes): it cannot be told from the tumour's.
    """
    calls = cohort.calls
    calls = calls[calls["timepoint"].isin([from_, to])]
    if calls.empty:
        return pd.DataFrame(columns=CALL_COLUMNS)
    origin = words(calls["origin"])
    counted = calls["counted"].fillna(False).astype(bool)
    failed = (
        calls["run_id"]
        .map(cohort.samples.drop_duplicates("run_id").set_index("run_id")["qc"])
        .eq("fail")
    )
    flagged = (
        counted
        & (origin == "")
        & calls["gene"].isin(HAEMATOPOIESIS)
        & calls["kind"].isin(CLASSES["mutation"])
        & calls["specimen"].isin(WITH_BLOOD_CELLS)
    )
    reason = np.select(
        [
            failed,
            origin == "germline",
            origin == "chip",
            ~counted,
            flagged,
        ],
        [
            "failed quality control",
            "germline",
            "clonal haematopoiesis",
            "significance",
            "possible clonal haematopoiesis",
        ],
        default="",
    )
    arm = cohort.subjects.set_index("subject_id")["arm"]
    table = calls.assign(
        reason=reason,
        arm=calls["subject_id"].map(arm),
        used=np.where(flagged & (reason == "possible clonal haematopoiesis"), "yes", "no"),
        specimen=calls["specimen"].where(~calls["specimen"].isin(TISSUE), TISSUE_NAME),
    )
    table = table[table["reason"] != ""]
    keys = ["gene", "specimen", "timepoint", "arm", "reason", "used"]
    counts = table.groupby(keys, sort=True)["subject_id"].agg(calls="size", subjects="nunique")
    return counts.reset_index()[CALL_COLUMNS]
