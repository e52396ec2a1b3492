"""Every number that speaks of a gene or pathway, one a row: what the evidence figure and the dossier draw.

``resistance/evidence.tsv`` says the same in words, a row a gene and pathway.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from correlatives.binary.rates import clopper_pearson
from correlatives.cohort import Cohort
from correlatives.intervals import Interval
from correlatives.markers import MEASURED, MISSING
from correlatives.pairing import (
    TISSUE,
    TISSUE_NAME,
    is_alteration,
    not_at_progression,
    sample_months,
)
from correlatives.resistance.dynamics import CLEARANCE
from correlatives.resistance.evidence import names_in_order, quoted_markers
from correlatives.resistance.pairs import arm_masks, pathways_of_genes
from correlatives.tables.limits import LOG_RATIOS
from correlatives.tables.outcomes import progression_endpoint

COLUMNS = [
    "level",
    "name",
    "pathway",
    "place",
    "line",
    "specimen",
    "marker",
    "own",
    "timepoint",
    "arm",
    "per",
    "measure",
    "transform",
    "estimate",
    "estimate_low",
    "estimate_high",
    "null",
    "n",
    "of",
    "p",
    "q",
]

#: Lines of evidence, in the order of a patient's course.
BASELINE, EARLY_PROGRESSION = "baseline marker × arm", "baseline marker × arm, early progression"
EARLY_CHANGE, LANDMARK = "early change", "early change, survival from the landmark"
GAINED, GAINED_DIFFERENCE, LOST = "gained", "gained, between arms", "lost"
LATE_CHANGE, COURSE = "change at progression", "course, between arms"
AGREEMENT, ALTERED = "tissue and plasma", "altered"
LINES = (
    BASELINE,
    EARLY_PROGRESSION,
    EARLY_CHANGE,
    COURSE,
    LANDMARK,
    GAINED,
    GAINED_DIFFERENCE,
    LOST,
    LATE_CHANGE,
    AGREEMENT,
    ALTERED,
)

#: What an estimate is: a ratio (no effect at 1), a change on the marker's transformed scale or a difference of rates
#: (0), a rate (no direction).
RATIO, CHANGE, DIFFERENCE, RATE = "ratio", "change", "difference of rates", "rate"
#: The contrast of a clearance.
CLEARED = "cleared v not cleared"
#: The contrast of a ratio to baseline (`correlatives.resistance.dynamics`).
DOUBLED = "doubling of the ratio"
#: The contrast of a change that was given as such.
GIVEN = "yes v no"

NOTHING = Interval(np.nan, np.nan, np.nan)
NULLS = {RATIO: 1.0, CHANGE: 0.0, DIFFERENCE: 0.0, RATE: np.nan}


def evidence_lines(
    cohort: Cohort,
    *,
    acquired: pd.DataFrame,
    acquired_by_arm: pd.DataFrame,
    paired_change: pd.DataFrame,
    dynamics: pd.DataFrame,
    concordance: pd.DataFrame,
    intrinsic: pd.DataFrame | None = None,
    longitudinal: pd.DataFrame | None = None,
    to: str = "progression",
    endpoint: str | None = None,
    at_progression: bool = True,
) -> pd.DataFrame:
    """Gather the estimates of every gene and pathway.

    Parameters
    ----------
    cohort : Cohort
    acquired, acquired_by_arm, paired_change, dynamics, concordance : pd.DataFrame
        The tables of this package.
    intrinsic, longitudinal : pd.DataFrame, optional
    to : str
        The timepoint of progression: other changes are early ones.
    endpoint : str, optional
        Endpoint of the landmark analysis: that of progression.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside, as in the pairs.

    Returns
    -------
    pd.DataFrame
        One row an estimate. `own`: the marker is the alteration itself, not another biomarker of that name or
        pathway. `n` subjects (pairs that could be read, of a rate), `of` all pairs: a rate without an estimate has
        `n` 0, its samples could not be read. `transform` is the scale of a change. `null` is where there is no effect; a rate has none. The share lost is
        of those who had the alteration, with Clopper–Pearson limits.
    """
    endpoint = endpoint or progression_endpoint(cohort.study["endpoints"]) or ""
    rows: list[dict[str, Any]] = []
    pathways = pathways_of_genes(cohort)
    quoted = quoted_markers(cohort)
    numbers = _numbers(
        cohort,
        acquired,
        acquired_by_arm,
        paired_change,
        dynamics,
        concordance,
        intrinsic,
        longitudinal,
        to,
        endpoint,
        at_progression,
    )
    by_marker: dict[str, list[dict[str, Any]]] = {}
    for row in numbers:
        by_marker.setdefault(row["marker"], []).append(row)
    for level, name in names_in_order(cohort, acquired):
        own = f"{level}:{name.replace(' ', ':') if level == 'gene' else name}"
        listed = [own, *quoted.get((level, name), [])]
        pathway = name if level == "pathway" else ", ".join(pathways.get(name.split(" ")[0], []))
        for marker in listed:
            for row in by_marker.get(marker, []):
                rows.append(
                    {"level": level, "name": name, "pathway": pathway, "own": marker == own, **row}
                )
    table = pd.DataFrame(rows, columns=COLUMNS)
    if not len(table):
        return table
    table["place"] = np.where(table["specimen"].isin([*TISSUE, TISSUE_NAME]), "tissue", "blood")
    table.loc[table["line"] == AGREEMENT, "place"] = "both"
    # A name may be a protein in blood and an expression in tissue, each with its own scale.
    info = cohort.markers.info
    tissue = info["specimen"].isin([*TISSUE, TISSUE_NAME])
    scales = dict(zip(zip(info["biomarker"], tissue, strict=True), info["transform"], strict=True))
    table["transform"] = [
        scales.get((marker, place == "tissue"), "none") if measure == CHANGE else ""
        for marker, place, measure in zip(
            table["marker"], table["place"], table["measure"], strict=True
        )
    ]
    table["null"] = table["measure"].map(NULLS)
    return table


def _numbers(
    cohort: Cohort,
    acquired: pd.DataFrame,
    acquired_by_arm: pd.DataFrame,
    paired_change: pd.DataFrame,
    dynamics: pd.DataFrame,
    concordance: pd.DataFrame,
    intrinsic: pd.DataFrame | None,
    longitudinal: pd.DataFrame | None,
    to: str,
    endpoint: str,
    at_progression: bool,
) -> list[dict[str, Any]]:
    """Return every estimate under its marker, in the order of `LINES`."""
    arms = list(cohort.arms.values()) if cohort.randomised else ["all", *cohort.arms.values()]
    out: list[dict[str, Any]] = []
    if intrinsic is not None and len(intrinsic):
        effect = "interaction_ratio" if "interaction_ratio" in intrinsic else "marker_effect"
        # A claim on marker × arm rests on the randomisation test, where there were draws.
        tests = ["p_randomisation", "p_interaction_lrt"]
        if effect == "marker_effect":
            tests = ["p_prognostic"]
        for line in _records(intrinsic):
            early = line["effect_measure"] == "odds_ratio"
            out.append(
                {
                    "line": EARLY_PROGRESSION if early else BASELINE,
                    "specimen": line["specimen"],
                    "marker": line["biomarker"],
                    "arm": "all",
                    "per": line["contrast"],
                    "measure": RATIO,
                    **_estimate(line, effect),
                    "n": line["n"],
                    "p": next((p for t in tests if np.isfinite(p := line.get(t, np.nan))), np.nan),
                    "q": line["q_value"],
                }
            )
    for line in _records(paired_change):
        if line["arm"] not in arms:
            continue
        out.append(
            {
                "line": LATE_CHANGE if line["to"] == to else EARLY_CHANGE,
                "specimen": line["specimen"],
                "marker": line["biomarker"],
                "timepoint": line["to"],
                "arm": line["arm"],
                "measure": CHANGE,
                **_estimate(line, "median_change"),
                "n": line["pairs"],
                "p": line["p_wilcoxon"],
                "q": line["q_value"],
            }
        )
    if longitudinal is not None:
        for line in _records(longitudinal[longitudinal["quantity"] == "difference"]):
            out.append(
                {
                    "line": COURSE,
                    "specimen": line["specimen"],
                    "marker": line["biomarker"],
                    "timepoint": line["timepoint"],
                    "arm": "all",
                    "measure": CHANGE,
                    **_estimate(line, "estimate"),
                    "n": line["n"],
                    "p": line["p_t"],
                    "q": line["q_value"],
                }
            )
    genes = set(cohort.markers.info["biomarker"])
    for line in _records(dynamics[dynamics["endpoint"] == endpoint]):
        # ratio:TK1:C1D15 is of TK1.
        changed = str(line["biomarker"]).split(":", 1)[1].rsplit(":", 1)[0]
        cleared = str(line["biomarker"]).startswith(CLEARANCE)
        doubled = str(line["biomarker"]).startswith(LOG_RATIOS)
        gene = str(line["biomarker"]).startswith("vaf_ratio:") or (
            cleared and f"gene:{changed}" in genes
        )
        out.append(
            {
                "line": LANDMARK,
                "specimen": line["specimen"],
                "marker": f"gene:{changed}" if gene else changed,
                "timepoint": line["timepoint"],
                "arm": line["arm"],
                "per": CLEARED if cleared else DOUBLED if doubled else GIVEN,
                "measure": RATIO,
                **_estimate(line, "hr"),
                "n": line["n_at_landmark"],
                "p": line["p_lrt"],
            }
        )
    for line in _records(acquired):
        base = {
            "specimen": line["specimen"],
            "marker": _own(line["level"], line["name"]),
            "timepoint": to,
            "arm": line["arm"],
            "measure": RATE,
            "of": line["pairs"],
        }
        out.append(
            {
                "line": GAINED,
                **base,
                **_estimate(line, "rate_gained"),
                "n": line["evaluable"],
                "p": line["p_mcnemar_exact"],
            }
        )
        had = int(line["lost"] + line["kept"])
        if had:
            lost = clopper_pearson(int(line["lost"]), had)
            out.append(
                {
                    "line": LOST,
                    **base,
                    "estimate": lost.estimate,
                    "estimate_low": lost.low,
                    "estimate_high": lost.high,
                    "n": had,
                }
            )
    for line in _records(acquired_by_arm):
        out.append(
            {
                "line": GAINED_DIFFERENCE,
                "specimen": line["specimen"],
                "marker": _own(line["level"], line["name"]),
                "timepoint": to,
                "arm": "all",
                "measure": DIFFERENCE,
                **_estimate(line, "rate_difference"),
                "n": line["evaluable_control"] + line["evaluable_experimental"],
                "p": line["p_adjusted"],
                "q": line["q_value"],
            }
        )
    for line in _records(concordance):
        out.append(
            {
                "line": AGREEMENT,
                "specimen": TISSUE_NAME,
                "marker": _own("gene", line["name"]),
                "arm": "all",
                "per": "positive in plasma of positive in tissue",
                "measure": RATE,
                **_estimate(line, "ppa"),
                "n": line["both"] + line["tissue_only"],
                "of": line["pairs"],
            }
        )
    out += _altered(cohort, to if at_progression else None)
    rank = {line: position for position, line in enumerate(LINES)}
    return sorted(out, key=lambda row: rank[row["line"]])


def _altered(cohort: Cohort, progression: str | None) -> list[dict[str, Any]]:
    """Return the share altered of the samples that could be read, by specimen, timepoint and arm.

    Of the timepoint of progression, if there is one, samples that were not taken at progression are set aside.
    """
    markers = cohort.markers.where(is_alteration(cohort.markers))
    read, there = markers.state == MEASURED, markers.state != MISSING
    late = markers.info["timepoint"].eq(progression).to_numpy(dtype=bool)
    for specimen in markers.info.loc[late, "specimen"].unique():
        aside = not_at_progression(cohort, sample_months(cohort, specimen, str(progression))) != ""
        rows = late & markers.info["specimen"].eq(specimen).to_numpy(dtype=bool)
        read[np.ix_(rows, aside)] = there[np.ix_(rows, aside)] = False
    altered = read & (markers.value > 0)
    masks = arm_masks(cohort)
    counts = [[part[:, mask].sum(axis=1) for part in (altered, read, there)] for _, mask in masks]
    rows = []
    for row, (biomarker, specimen, timepoint) in enumerate(
        markers.info[["biomarker", "specimen", "timepoint"]].itertuples(index=False)
    ):
        for (label, _), (found, n, of) in zip(masks, counts, strict=True):
            if not of[row]:
                continue
            rate = clopper_pearson(int(found[row]), int(n[row])) if n[row] else NOTHING
            rows.append(
                {
                    "line": ALTERED,
                    "specimen": specimen,
                    "marker": biomarker,
                    "timepoint": timepoint,
                    "arm": label,
                    "measure": RATE,
                    "estimate": rate.estimate,
                    "estimate_low": rate.low,
                    "estimate_high": rate.high,
                    "n": int(n[row]),
                    "of": int(of[row]),
                }
            )
    listed = {str(name): place for place, name in enumerate(cohort.study.get("timepoints", []))}
    return sorted(rows, key=lambda line: listed.get(line["timepoint"], len(listed)))


def _own(level: str, name: str) -> str:
    """Return the marker of a gene's or a pathway's alterations."""
    return f"{level}:{name.replace(' ', ':') if level == 'gene' else name}"


def _records(table: pd.DataFrame) -> Iterable[dict[str, Any]]:
    return table.to_dict("records") if len(table) else []


def _estimate(line: dict[str, Any], column: str) -> dict[str, float]:
    """Return an estimate and its limits."""
    return {f"estimate{end}": float(line[f"{column}{end}"]) for end in ("", "_low", "_high")}
