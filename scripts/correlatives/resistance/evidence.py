"""All that is known of each gene and pathway, side by side: blood and tissue apart.

A cell states direction, size, limits and how many subjects; the summary puts the lines into words. A
line is said to point somewhere by its interval; a difference between arms only if it stands after adjustment for time
on treatment and for the number of genes looked at, a baseline marker × arm only by its adjusted p-value. Where limits
exclude no effect and the test does not bear it, the words say so. No line is a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from correlatives.binary.rates import clopper_pearson
from correlatives.cohort import Cohort
from correlatives.pairing import TISSUE, TISSUE_NAME
from correlatives.resistance.intrinsic import EARLY
from correlatives.resistance.longitudinal import DIFFERENCE
from correlatives.resistance.pairs import pathway_order, pathways_of_genes, reading_order
from correlatives.tables.limits import LOG_RATIOS
from correlatives.tables.outcomes import progression_endpoint

#: What is reported of each gene in blood and in tissue, in the order of a patient's course.
LINES = (
    "baseline_interaction_pfs",
    "baseline_interaction_early_progression",
    "early_change",
    "course_difference",
    "early_change_survival",
    "acquired_experimental",
    "acquired_control",
    "acquired_difference",
    "lost",
)

PLACES = ("blood", "tissue")

COLUMNS = [
    "level",
    "name",
    "pathway",
    *(f"{line}_{place}" for line in LINES for place in PLACES),
    "concordance",
    "summary",
]

#: Words for a ratio or difference whose limits are both below no effect, both above, or on either side.
BENEFIT = ("more benefit", "less benefit", "no clear difference in benefit")
CHANGE = ("fell", "rose", "did not clearly change")
SURVIVAL = ("longer", "shorter", "no clear difference in")
COURSE = ("lower", "higher", "not clearly different")
OFTEN = (
    "less often in the experimental arm",
    "more often in the experimental arm",
    "no clear difference between the arms",
)

#: False discovery rate below which a difference between arms is called one.
FALSE_DISCOVERY_RATE = 0.05


def evidence(
    cohort: Cohort,
    *,
    acquired: pd.DataFrame,
    acquired_by_arm: pd.DataFrame,
    paired_change: pd.DataFrame,
    dynamics: pd.DataFrame,
    concordance: pd.DataFrame,
    predictive: pd.DataFrame | None = None,
    intrinsic: pd.DataFrame | None = None,
    longitudinal: pd.DataFrame | None = None,
    to: str = "progression",
    endpoint: str | None = None,
    drug: str = "",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Put the lines of evidence of every gene and pathway side by side: ``resistance/evidence.tsv``.

    Parameters
    ----------
    cohort : Cohort
    acquired, acquired_by_arm, paired_change, dynamics, concordance : pd.DataFrame
        The tables of this package.
    predictive : pd.DataFrame, optional
        ``predictive/{endpoint}.tsv`` of progression-free survival, for baseline marker × arm.
    intrinsic, longitudinal : pd.DataFrame, optional
        Tables of this package: baseline marker × arm on early progression, and the arms' difference over the visits.
    to : str
        The timepoint of progression: other changes are early ones.
    endpoint : str, optional
        Endpoint of the landmark analysis quoted: that of progression.
    drug : str
        The drug that resistance is asked about; the experimental arm's name by default.
    alpha : float
        Level of the adjusted p-value of baseline marker × arm (configuration: ``predictive.alpha``).

    Returns
    -------
    pd.DataFrame
        Genes and pathways of the pathways table and of what was looked at; a pathway's cells also quote its
        other biomarkers (the dictionary's `pathway`), a gene's those of its name. Empty cells: no such data.
    """
    endpoint = endpoint or progression_endpoint(cohort.study["endpoints"])
    roles = cohort.arms
    experimental = str(roles.get("experimental", next(iter(roles.values()), "")))
    control = str(roles.get("control", ""))
    names = names_in_order(cohort, acquired)
    if not names:
        return pd.DataFrame(columns=COLUMNS)
    of_gene = pathways_of_genes(cohort)
    quoted = quoted_markers(cohort)
    speaking = {
        (level, name): [
            f"{level}:{name.replace(' ', ':') if level == 'gene' else name}",
            *quoted.get((level, name), []),
        ]
        for level, name in names
    }
    # Of a wide assay's markers few speak for a gene or a pathway, and each found is a table of its own.
    wanted = {marker for markers in speaking.values() for marker in markers}
    pairs, arms = _by(acquired, "level", "name"), _by(acquired_by_arm, "level", "name")
    at_baseline = _by(_interactions(predictive, cohort, wanted), "biomarker")
    on_early = _by(_on_early_progression(intrinsic, wanted), "biomarker")
    courses = _by(_differences(longitudinal, wanted), "biomarker")
    changed = _by(_early(paired_change, to, (experimental, control), wanted), "biomarker")
    followed = _by(_from_landmark(dynamics, endpoint), "subject")
    rows = []
    for level, name in names:
        markers = speaking[level, name]
        subjects = list(dict.fromkeys([name, *markers])) if level == "gene" else markers
        row = dict.fromkeys(COLUMNS, "")
        row["level"], row["name"] = level, name
        of_name = of_gene.get(name.split(" ")[0], [])
        row["pathway"] = name if level == "pathway" else ", ".join(of_name)
        said = []
        for place in PLACES:
            held = pairs.get((level, name, place), acquired.iloc[:0])
            by_arm = arms.get((level, name, place), acquired_by_arm.iloc[:0])
            interactions = _of_markers(at_baseline, markers, place)
            cells = {
                "baseline_interaction_pfs": _interaction(interactions, alpha),
                "baseline_interaction_early_progression": _interaction(
                    _of_markers(on_early, markers, place), alpha, "odds"
                ),
                "course_difference": _course(_of_markers(courses, markers, place), experimental),
                "early_change": _early_change(_of_markers(changed, markers, place)),
                "early_change_survival": _landmark(
                    _of_markers(followed, subjects, place), endpoint
                ),
                "acquired_experimental": _gained(held, experimental),
                "acquired_control": _gained(held, control) if cohort.randomised else "",
                "acquired_difference": _difference(by_arm),
                "lost": _lost(held),
            }
            row |= {f"{line}_{place}": text for line, text in cells.items()}
            said += _words(held, by_arm, experimental, control, drug or experimental)
            said += _words_of_interaction(interactions, alpha)
        if level == "gene":
            row["concordance"] = _concordance(concordance, name)
        row["summary"] = " ".join(said) if said else "Not looked at in pairs of samples."
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def names_in_order(cohort: Cohort, acquired: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (level, name) of what the pathways table or the pairs know, in reading order."""
    found = [("pathway", name) for name in pathway_order(cohort)]
    found += [("gene", name) for name in pathways_of_genes(cohort)]
    found += list(zip(acquired["level"], acquired["name"], strict=True))
    found = list(dict.fromkeys((str(level), str(name)) for level, name in found))
    order = reading_order(cohort, [level for level, _ in found], [name for _, name in found])
    return [found[i] for i in order]


def quoted_markers(cohort: Cohort) -> dict[tuple[str, str], list[str]]:
    """Return the other biomarkers that speak for a pathway (dictionary) or a gene (same name)."""
    info = cohort.markers.info
    found: dict[tuple[str, str], list[str]] = {}
    for biomarker, pathway in zip(info["biomarker"], info["pathway"], strict=True):
        biomarker = str(biomarker)
        if biomarker.startswith(("gene:", "pathway:", "ratio:", "vaf_ratio:", "clear")):
            continue
        keys = [("gene", biomarker)]
        if pd.notna(pathway) and str(pathway):
            keys.append(("pathway", str(pathway)))
        for key in keys:
            listed = found.setdefault(key, [])
            if biomarker not in listed:
                listed.append(biomarker)
    return found


def _place(specimens: pd.Series) -> pd.Series:
    return specimens.isin([*TISSUE, TISSUE_NAME]).map({True: "tissue", False: "blood"})


def _by(table: pd.DataFrame, *keys: str) -> dict[tuple[str, ...], pd.DataFrame]:
    """Split a table by its keys and by blood and tissue."""
    if table.empty:
        return {}
    place = _place(table["specimen"]).rename("_place")
    return dict(list(table.groupby([*(table[key] for key in keys), place], sort=False)))


def _of_markers(
    pieces: dict[tuple[str, ...], pd.DataFrame], markers: list[str], place: str
) -> pd.DataFrame:
    """Return the rows of the markers, in their order; empty if there are none."""
    found = [pieces[name, place] for name in markers if (name, place) in pieces]
    return pd.concat(found) if found else pd.DataFrame()


def _number(value: float) -> str:
    """Three significant digits, as a reader would write them."""
    return f"{value:.3g}" if np.isfinite(value) else "not estimable"


def _limits(low: float, high: float) -> str:
    return f"({_number(low)} to {_number(high)})"


def _direction(low: float, high: float, null: float, words: tuple[str, str, str]) -> str:
    """Say which side of no effect both limits are on: (below, above, neither or not known)."""
    if high < null:
        return words[0]
    return words[1] if low > null else words[2]


def _joined(cells: Iterable[str]) -> str:
    return "; ".join(cell for cell in cells if cell)


def _interactions(
    predictive: pd.DataFrame | None, cohort: Cohort, wanted: set[str]
) -> pd.DataFrame:
    """Return the baseline markers whose interaction with the arm was estimated."""
    if predictive is None or predictive.empty or "interaction_ratio" not in predictive:
        return pd.DataFrame()
    keep = np.isfinite(predictive["interaction_ratio"].astype(float))
    keep &= ~predictive["specimen"].eq("clinical") & predictive["biomarker"].isin(wanted)
    if "timepoint" in predictive:
        keep &= predictive["timepoint"].eq(cohort.study.get("baseline", "baseline"))
    return predictive[keep]


def _on_early_progression(intrinsic: pd.DataFrame | None, wanted: set[str]) -> pd.DataFrame:
    """Return the rows of early progression whose interaction with the arm was estimated."""
    if intrinsic is None or intrinsic.empty or "interaction_ratio" not in intrinsic:
        return pd.DataFrame()
    keep = intrinsic["endpoint"].eq(EARLY) & intrinsic["biomarker"].isin(wanted)
    return intrinsic[keep & np.isfinite(intrinsic["interaction_ratio"].astype(float))]


def _differences(longitudinal: pd.DataFrame | None, wanted: set[str]) -> pd.DataFrame:
    """Return the estimated differences between the arms at each visit."""
    if longitudinal is None or longitudinal.empty:
        return pd.DataFrame()
    keep = longitudinal["quantity"].eq(DIFFERENCE) & longitudinal["biomarker"].isin(wanted)
    return longitudinal[keep & np.isfinite(longitudinal["estimate"].astype(float))]


def _course(rows: pd.DataFrame, experimental: str) -> str:
    """Difference between the arms' changes from baseline, visit by visit."""
    return _joined(
        f"{name} {_direction(low, high, 0, COURSE)} under {experimental} at {timepoint}: "
        f"{_number(estimate)} {_limits(low, high)}{f' {scale}' if scale else ''}, n {n:.0f}"
        for name, timepoint, estimate, low, high, scale, n in _tuples(
            rows,
            *("biomarker", "timepoint", "estimate", "estimate_low", "estimate_high"),
            *("scale", "n"),
        )
    )


def _test(line: Mapping[str, Any], alpha: float) -> tuple[bool, str]:
    """Say whether a baseline marker × arm may be claimed, and its p-values in words.

    The claim rests on the p-value adjusted within the row's family: family-wise where the row has that (confirmatory),
    else by false discovery rate.
    """
    drawn, likelihood, family_wise, q = (
        float(line.get(name, np.nan))
        for name in ("p_randomisation", "p_interaction_lrt", "p_fwer", "q_value")
    )
    p = f"p {_number(drawn)}" if np.isfinite(drawn) else f"likelihood-ratio p {_number(likelihood)}"
    if np.isfinite(family_wise):
        return family_wise <= alpha, f"{p}, family-wise p {_number(family_wise)}"
    return q <= alpha, f"{p}, q {_number(q)}"


def _interaction(rows: pd.DataFrame, alpha: float = 0.05, ratio_of: str = "hazard") -> str:
    """Baseline marker × arm: above 1 the drug helps less where the marker is present or higher."""
    cells = []
    for line in rows.to_dict("records"):
        ratio, low, high = (float(line[f"interaction_ratio{end}"]) for end in ("", "_low", "_high"))
        claimed, test = _test(line, alpha)
        if claimed:
            direction = BENEFIT[int(ratio > 1)]
        else:
            direction = _direction(low, high, 1, BENEFIT)
            direction += " by unadjusted limits alone" if low > 1 or high < 1 else ""
        cells.append(
            f"{direction} with {line['biomarker']} ({line['specimen']}): ratio of {ratio_of} ratios "
            f"{_number(ratio)} {_limits(low, high)}, {line['contrast']}, n {line['n']:.0f}, "
            f"{line['events']:.0f} events, {test}"
        )
    return _joined(cells)


def _words_of_interaction(rows: pd.DataFrame, alpha: float) -> list[str]:
    """Say of each marker and specimen what its test bears, or that only its limits exclude 1."""
    said: dict[tuple[str, str], str] = {}
    for line in rows.to_dict("records"):
        ratio, low, high = (float(line[f"interaction_ratio{end}"]) for end in ("", "_low", "_high"))
        claimed, test = _test(line, alpha)
        if not (claimed or low > 1 or high < 1):
            continue
        # A marker and its cut-point may say the same: the first that is claimed, else the first.
        key = (str(line["biomarker"]), str(line["specimen"]))
        if key in said and not (claimed and "alone" in said[key]):
            continue
        where = f"At baseline ({key[1].replace('_', ' ')}), "
        benefit = f"{BENEFIT[int(ratio > 1)]} where it is present or higher"
        if claimed:
            said[key] = f"{where}{key[0]} × arm: {benefit} ({test})."
        else:
            said[key] = (
                f"{where}{key[0]} × arm: {benefit} by unadjusted limits alone, which its test does not bear ({test})."
            )
    return list(said.values())


def _early(paired: pd.DataFrame, to: str, arms: tuple[str, str], wanted: set[str]) -> pd.DataFrame:
    """Return the changes to the early timepoints in each arm (single-arm: in all)."""
    if paired.empty:
        return paired
    labels = [arm for arm in arms if arm] if paired["arm"].isin(arms).any() else ["all"]
    known = np.isfinite(paired["median_change"].astype(float)) & paired["biomarker"].isin(wanted)
    return paired[known & paired["to"].ne(to) & paired["arm"].isin(labels)]


def _early_change(rows: pd.DataFrame) -> str:
    """Change to the early timepoints, on the transformed scale."""
    return _joined(
        f"{name} {_direction(low, high, 0, CHANGE)} by {later} under {arm}: {_number(change)} "
        f"{_limits(low, high)}, {pairs:.0f} pairs"
        for name, later, arm, change, low, high, pairs in _tuples(
            rows,
            *("biomarker", "to", "arm", "median_change", "median_change_low"),
            *("median_change_high", "pairs"),
        )
    )


def _from_landmark(dynamics: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Return the estimates of both arms together, with what changed as ``subject``."""
    if dynamics.empty:
        return dynamics
    known = np.isfinite(dynamics["hr"].astype(float))
    rows = dynamics[known & dynamics["endpoint"].eq(endpoint) & dynamics["arm"].eq("all")]
    changed = rows["biomarker"].astype(str).str.replace(r"^[a-z_]+:", "", regex=True)
    return rows.assign(subject=changed.str.replace(r":[^:]+$", "", regex=True))


def _landmark(rows: pd.DataFrame, endpoint: str) -> str:
    """Survival from the landmark by early change."""
    return _joined(
        f"{_direction(low, high, 1, SURVIVAL)} {endpoint} with "
        f"{'higher ' if name.startswith(LOG_RATIOS) else ''}{name}: hazard ratio "
        f"{_number(ratio)} {_limits(low, high)}{_per(name)} from month {_number(landmark)}, n {n:.0f}"
        for name, ratio, low, high, landmark, n in _tuples(
            rows, *("biomarker", "hr", "hr_low", "hr_high", "landmark", "n_at_landmark")
        )
    )


def _per(name: str) -> str:
    """Say what the hazard ratio of a change is per, beside its name's own words."""
    return " per doubling" if name.startswith(LOG_RATIOS) else ""


def _gained(held: pd.DataFrame, arm: str) -> str:
    rows = held[held["arm"].eq(arm)] if len(held) else held
    return _joined(
        f"gained in {gained:.0f} of {evaluable:.0f} ({specimen}): {100 * rate:.1f} % "
        f"({100 * low:.1f} to {100 * high:.1f})"
        if evaluable
        else f"none of {pairs:.0f} pairs evaluable ({specimen})"
        for gained, evaluable, specimen, rate, low, high, pairs in _tuples(
            rows,
            *("gained", "evaluable", "specimen", "rate_gained", "rate_gained_low"),
            *("rate_gained_high", "pairs"),
        )
    )


def _difference(by_arm: pd.DataFrame) -> str:
    return _joined(
        f"{_direction(low, high, 0, OFTEN)} ({specimen}): {100 * difference:+.1f} points ({100 * low:+.1f} to "
        f"{100 * high:+.1f}), {a:.0f}/{b:.0f} v {c:.0f}/{d:.0f}"
        + (f", p adjusted for time on treatment {_number(p)}" if np.isfinite(p) else "")
        for specimen, difference, low, high, a, b, c, d, p in _tuples(
            by_arm,
            *("specimen", "rate_difference", "rate_difference_low", "rate_difference_high"),
            *("gained_experimental", "evaluable_experimental"),
            *("gained_control", "evaluable_control", "p_adjusted"),
        )
        if np.isfinite(difference)
    )


def _lost(held: pd.DataFrame) -> str:
    return _joined(
        f"lost in {lost:.0f} of {lost + kept:.0f} who had it under {arm} ({specimen})"
        for lost, kept, arm, specimen in _tuples(held, "lost", "kept", "arm", "specimen")
        if lost + kept
    )


def _concordance(table: pd.DataFrame, name: str) -> str:
    rows = table[table["name"].eq(name)] if len(table) else table
    return _joined(
        f"plasma found {both:.0f} of {both + tissue_only:.0f} tissue-positive and {plasma_only:.0f} of "
        f"{plasma_only + neither:.0f} tissue-negative, kappa {_number(kappa)} {_limits(low, high)}"
        for both, tissue_only, plasma_only, neither, kappa, low, high in _tuples(
            rows,
            *("both", "tissue_only", "plasma_only", "neither"),
            *("kappa", "kappa_low", "kappa_high"),
        )
    )


def _words(
    held: pd.DataFrame,
    by_arm: pd.DataFrame,
    experimental: str,
    control: str,
    drug: str,
) -> list[str]:
    """Say in words what the pairs of one specimen show."""
    said = []
    for specimen in dict.fromkeys(held["specimen"]) if len(held) else []:
        rows = held[held["specimen"].eq(specimen)]
        evaluable, gained = int(rows["evaluable"].sum()), int(rows["gained"].sum())
        if not evaluable:
            said.append(f"No evaluable pair in {specimen}.")
            continue
        if not gained:
            said.append(f"Gained in none of {evaluable} pairs in {specimen}.")
        elif not len(by_arm):
            said.append(f"Gained in {gained} of {evaluable} pairs in {specimen}.")
        else:
            said += _words_between_arms(
                by_arm[by_arm["specimen"].eq(specimen)], specimen, experimental, control, drug
            )
        lost = _lost_more_often(rows)
        if lost:
            where = "in both arms " if len(lost) == len(rows) > 1 else ""
            said.append(f"Lost more often than gained {where}in {specimen}: {'; '.join(lost)}.")
    return said


def _lost_more_often(rows: pd.DataFrame) -> list[str]:
    """Name the arms in which the limits of the share lost, of the pairs that changed, exclude one half."""
    said: list[str] = []
    for arm, lost, gained in _tuples(rows, "arm", "lost", "gained"):
        share = clopper_pearson(lost, lost + gained) if lost + gained else None
        if share is not None and share.low > 0.5:
            size, low, high = (f"{100 * part:.3g}" for part in share)
            changed = "" if said else ", of the pairs that changed"
            said.append(
                f"{arm} {lost:.0f} lost and {gained:.0f} gained ({size} %, limits {low} to {high}{changed})"
            )
    return said


def _words_between_arms(
    rows: pd.DataFrame, specimen: str, experimental: str, control: str, drug: str
) -> list[str]:
    said = []
    for a, b, c, d, low, high, p, q in _tuples(
        rows,
        *("gained_experimental", "evaluable_experimental", "gained_control", "evaluable_control"),
        *("rate_difference_low", "rate_difference_high", "p_adjusted", "q_value"),
    ):
        counts = (
            f"Gained in {a:.0f} of {b:.0f} under {experimental} and {c:.0f} of {d:.0f} under "
            f"{control} in {specimen}"
        )
        if low > 0 and q < FALSE_DISCOVERY_RATE:
            adjusted = (
                "also after adjustment for time on treatment"
                if np.isfinite(p)
                else ("not adjusted for time on treatment, which is not known")
            )
            said.append(
                f"{counts}: more often with {drug}, {adjusted}; consistent with acquired resistance to it."
            )
        elif low > 0 and np.isnan(q):
            said.append(
                f"{counts}: more often with {drug}, but this could not be adjusted for time on treatment."
            )
        elif low > 0:
            said.append(
                f"{counts}: more often with {drug}, but this does not stand after adjustment for time on "
                "treatment and for the number looked at."
            )
        elif high < 0:
            said.append(f"{counts}: less often with {drug}.")
        else:
            said.append(f"{counts}: the limits of the difference include no difference.")
    return said


def _tuples(table: pd.DataFrame, *columns: str) -> Iterable[tuple]:
    if table.empty:
        return []
    return list(zip(*(table[column] for column in columns), strict=True))
