"""Survival from the landmark by early change and arm: never from baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from correlatives.figures.km import NAMES
from correlatives.figures.small_curves import (
    HEAD,
    LEFTS,
    STEP,
    WIDTH,
    draw_curve,
    panel,
    write_below,
    write_key,
)
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    LARGE,
    SMALL,
    Drawn,
    arm_styles,
    canvas,
    caption,
    finite,
    format_interval,
    format_number,
    new_figure,
    no_data,
    p_equals,
    rst_escape,
    shorten,
    styled,
)
from correlatives.pairing import sample_months
from correlatives.resistance.dynamics import TOLERANCE_MONTHS, change_markers
from correlatives.resistance.pairs import arm_masks
from correlatives.survival.kaplan_meier import KaplanMeier
from correlatives.tables.dictionary import levels_of

if TYPE_CHECKING:
    from correlatives.cohort import Cohort

#: Changes drawn at most, two a line.
MOST = 8

#: Subjects of an arm that a level needs for a curve, and both levels of one arm for a panel.
LEAST = 5

#: Inches: a line of panels, and a panel.
LINE, PANEL = 1.88, 0.86

#: What the solid line is, by the kind of change.
SOLID = {"clearance": "cleared", "change": "changed", "ratio": "low ratio"}

#: The sides of a ratio to baseline, and what they are called where there is little room.
BRIEF = {"ratio below the arm's median": "low ratio", "ratio at or above it": "high ratio"}

#: Colour of a level of the change is the arm's, or black; its dashes and line width.
LOW, HIGH = ("-", 1.1), ((0, (3, 1.2)), 0.9)

COLUMNS = ["biomarker", "specimen", "timepoint", "landmark", "arm", "level", *STEP]


class Change(NamedTuple):
    """An early change that divides the subjects at its landmark.

    Attributes
    ----------
    biomarker, specimen, timepoint : str
        As in ``resistance/dynamics.tsv``.
    landmark : float
        Months from randomisation.
    low : np.ndarray of float, shape (n,)
        1 cleared, or ratio below the arm's median; 0 the others; NaN who is not in the analysis.
    words : tuple of str
        What 1 and 0 mean.
    cuts : dict
        Arm -> its median ratio to baseline; empty for a clearance.
    title : str
    """

    biomarker: str
    specimen: str
    timepoint: str
    landmark: float
    low: np.ndarray
    words: tuple[str, str]
    cuts: dict[str, float]
    title: str


@styled
def draw(
    cohort: Cohort, endpoint: str, dynamics: pd.DataFrame, *, simulated: bool = False
) -> Drawn:
    """Draw a panel an arm for every early change: those who cleared it, or fell most, against the others.

    Parameters
    ----------
    cohort : Cohort
        With the derived markers of early change.
    endpoint : str
        A time to event.
    dynamics : pd.DataFrame
        ``resistance/dynamics.tsv``: landmarks, hazard ratios and tests printed. None is computed here.
    simulated : bool

    Returns
    -------
    Drawn
        Source: every step of every curve, in months from the landmark; at_risk just before, events and censored at
        that time.
    """
    name = NAMES.get(endpoint, f"{endpoint}: event-free")
    title = f"{rst_escape(name)} from the landmark, by early change and arm."
    part = cohort.analysed()
    table = dynamics[dynamics["endpoint"] == endpoint]
    found = _changes(part, endpoint, table)
    shown = found[:MOST]
    if not shown:
        return no_data(
            f"no early change divides the subjects with {endpoint} beyond the landmark "
            f"(at least {LEAST} of an arm on either side)",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    time = part.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = part.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    styles = arm_styles(cohort.arms)
    masks = arm_masks(part)
    across = 4 // max(len(masks), 1) if len(masks) <= 2 else 1
    lines = -(-len(shown) // across)
    figure, top = new_figure(DOUBLE, HEAD + LINE * lines + 0.06, simulated=simulated)
    page = canvas(figure)
    handles = [Line2D([], [], color=style.colour) for style in styles.values()]
    handles.append(Line2D([], [], color=BLACK, linestyle=HIGH[0], linewidth=HIGH[1]))
    kinds = {change.biomarker.split(":")[0].removeprefix("vaf_") for change in shown}
    solid = " or ".join(word for kind, word in SOLID.items() if kind in kinds)
    names = [shorten(f"{label}: {solid}", 2.6, SMALL) for label in styles]
    write_key(page, handles, [*names, "the others"], top, name, "the landmark")
    longest = max(float((time - c.landmark)[np.isfinite(c.low)].max()) for c in shown)
    by_key = table.set_index(["biomarker", "specimen", "timepoint", "arm"])
    rows: list[dict[str, Any]] = []
    few: list[str] = []
    for k, change in enumerate(shown):
        ceiling = top - HEAD - LINE * (k // across)
        bottom = ceiling - 0.58 - PANEL
        first = len(masks) * (k % across)
        left = LEFTS[first]
        room = len(masks) * (WIDTH + 0.2) - 0.1
        if k == len(shown) - 1:
            room = DOUBLE - left  # nothing is beside the last
        page.text(
            left - 0.36,
            ceiling - 0.01,
            shorten(change.title, room, LARGE, "bold"),
            fontsize=LARGE,
            fontweight="bold",
            va="top",
        )
        page.text(
            left - 0.36,
            ceiling - 0.14,
            shorten(_of_all(change, by_key), room + 0.3, SMALL),
            fontsize=SMALL,
            color=DIM,
            va="top",
        )
        for j, (label, mask) in enumerate(masks):
            axes = panel(figure, LEFTS[first + j], bottom, PANEL, longest, numbered=j == 0)
            here = mask & np.isfinite(change.low)
            words = _of_arm(
                change,
                by_key,
                label,
                "all" if len(masks) == 1 else label,
                int(here.sum()),
                int(event[here].sum()),
            )
            for line, text in enumerate(words):
                page.text(
                    LEFTS[first + j],
                    bottom + PANEL + 0.17 - 0.105 * line,
                    shorten(text, WIDTH + 0.08, SMALL),
                    fontsize=SMALL,
                    va="center_baseline",
                    color=styles[label].colour,
                )
            for i, (level, (dashes, width)) in enumerate(((1, LOW), (0, HIGH))):
                member = here & (change.low == level)
                colour = styles[label].colour if level else BLACK
                if member.sum() < LEAST:
                    word = change.words[1 - level]
                    brief = f"{member.sum()} {BRIEF.get(word, word)} (not drawn)"
                    write_below(page, axes, i, shorten(brief, WIDTH, SMALL), colour)
                    said = f"{member.sum()} {'with a ' if word in BRIEF else ''}{word}"
                    few.append(f"{rst_escape(change.title)}, {rst_escape(label)}: {said}")
                    continue
                curve = KaplanMeier(time[member] - change.landmark, event[member])
                of = (*change[:4], label, change.words[1 - level])
                rows += [
                    dict(zip(COLUMNS, of, strict=False)) | step
                    for step in draw_curve(
                        page, axes, curve, i, colour=colour, line=dashes, width=width
                    )
                ]
    drawn = table[table["timepoint"].isin({c.timepoint for c in shown})]
    # A single arm's rows are those of all subjects.
    table_arms = {label: label if len(styles) > 1 else "all" for label in styles}
    excluded = drawn[drawn["arm"].isin(table_arms.values())].drop_duplicates(["timepoint", "arm"])
    start = "randomisation" if cohort.randomised else "the start"
    landmarks = "; ".join(
        f"{rst_escape(timepoint)}: landmark {format_number(lines['landmark'].iloc[0])} months after {start}, left out "
        "before it "
        + ", ".join(
            (f"{rst_escape(arm)} " if len(styles) > 1 else "") + f"{int(n)}"
            for arm, n in zip(lines["arm"], lines["excluded_before_landmark"], strict=True)
        )
        for timepoint, lines in excluded.groupby("timepoint", sort=False)
    )
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=COLUMNS),
        caption(
            title,
            f"{landmarks} (an event, or the end of follow-up, by then). Every panel says its subjects and events.",
            "Time runs from the landmark, by which the samples of the timepoint had been drawn; counted from baseline, any change "
            "would look protective, since who has the sample has lived to give it. Solid: cleared (there at baseline, not "
            "found at the timepoint), a change that was given as such, or a ratio to baseline below the arm's median; dashed: the others. The median "
            "serves the drawing only.",
            "Hazard ratios (95 % profile limits, within the arm) are those of the table: cleared against not cleared, or per "
            "doubling of the ratio; above each pair the likelihood-ratio p of arm × change, not adjusted for the number of "
            "changes looked at.",
            f"Shown are {len(shown)} of {len(found)} changes that leave at least {LEAST} subjects of an arm on either side: those of "
            "confirmatory biomarkers first, then prespecified ones, tumour DNA, and those of a pathway."
            if len(found) > len(shown)
            else "",
            f"Not drawn are levels with fewer than {LEAST} subjects of an arm: {'; '.join(few)}."
            if few
            else "",
            "The figure does not show an effect of the change: it may mark a disease that fares better under any treatment.",
            simulated=simulated,
        ),
    )


def _changes(cohort: Cohort, endpoint: str, table: pd.DataFrame) -> list[Change]:
    """Return the changes that divide the subjects, the foremost first."""
    if not len(table) or f"{endpoint}_months" not in cohort.subjects:
        return []
    time = cohort.subjects[f"{endpoint}_months"].to_numpy(dtype=float)
    event = cohort.subjects[f"{endpoint}_event"].to_numpy(dtype=float)
    known = np.isfinite(time) & np.isfinite(event)
    baseline = str(cohort.study.get("baseline", "baseline"))
    names = cohort.markers.info[["biomarker", "label", "family", "prespecified", "pathway"]]
    named = names.drop_duplicates("biomarker").set_index("biomarker")
    masks = arm_masks(cohort)
    found: list[tuple[tuple[object, ...], Change]] = []
    for position, timepoint in enumerate(dict.fromkeys(table["timepoint"].astype(str))):
        landmark = float(table.loc[table["timepoint"] == timepoint, "landmark"].iloc[0])
        if not np.isfinite(landmark):
            continue
        markers = change_markers(cohort.markers, timepoint, baseline)
        for row, (biomarker, specimen) in enumerate(
            zip(markers.info["biomarker"].astype(str), markers.info["specimen"], strict=True)
        ):
            if (markers.info[["biomarker", "specimen"]] == [biomarker, specimen]).all(
                axis=1
            ).sum() > 1:
                continue  # measured by several assays: the table has them apart
            kind, base = biomarker.split(":", 1)[0], biomarker.split(":", 1)[1].rsplit(":", 1)[0]
            gene = f"gene:{base}"
            of = biomarker if kind == "change" else base
            if kind == "vaf_ratio" or (kind == "clearance" and gene in named.index):
                of = gene
            info = named.loc[of] if of in named.index else None
            drawn = sample_months(cohort, specimen, timepoint)
            value = markers.value[row]
            with np.errstate(invalid="ignore"):
                include = known & np.isfinite(value) & (time > landmark + TOLERANCE_MONTHS)
                include &= ~(drawn > landmark + TOLERANCE_MONTHS)
            if not include.any():
                continue
            label = base if info is None or of == gene else str(info["label"] or base)
            cuts: dict[str, float] = {}
            if kind == "clearance":
                low = value == 1
                words = ("cleared", "not cleared")
                title = f"Clearance of {label} by {timepoint}"
            elif kind == "change":
                # as the laboratory gave it: the positive level of two
                low = value == 1
                title = label
                levels = levels_of(str(markers.info["levels"].iloc[row]))
                words = (levels[1], levels[0]) if len(levels) == 2 else ("changed", "not changed")
            else:
                low = np.zeros(len(value), dtype=bool)
                for arm, mask in masks:
                    here = include & mask
                    if here.any():
                        middle = float(np.median(value[here]))
                        low |= here & (value < middle)
                        cuts[arm] = float(2.0**middle)
                words = tuple(BRIEF)
                title = f"{label}, {timepoint} over {baseline}"
            sides = [
                min((include & mask & low).sum(), (include & mask & ~low).sum())
                for _, mask in masks
            ]
            if max(sides, default=0) < LEAST:
                continue
            order = (
                info is None or info["family"] != "confirmatory",
                info is None or info["prespecified"] != "yes",
                base not in ("tumour_fraction", "max_vaf"),
                info is None or not info["pathway"],
                position,
                biomarker,
                specimen,
            )
            split = np.where(include, low.astype(float), np.nan)
            found.append(
                (
                    order,
                    Change(
                        biomarker, str(specimen), timepoint, landmark, split, words, cuts, title
                    ),
                )
            )
    return [change for _, change in sorted(found, key=lambda pair: pair[0])]


def _of_all(change: Change, by_key: pd.DataFrame) -> str:
    """Return what is written over a pair of panels: specimen, split, and the test of arm × change."""
    split = "median split; HR per doubling" if change.cuts else " v ".join(change.words)
    words = f"{change.specimen.replace('_', ' ')}; {split}"
    key = (change.biomarker, change.specimen, change.timepoint, "all")
    if key in by_key.index and finite(by_key.loc[key, "p_interaction_lrt"]):
        words += f"; arm × change p {p_equals(by_key.loc[key, 'p_interaction_lrt'])}"
    return words


def _of_arm(
    change: Change, by_key: pd.DataFrame, arm: str, row: str, n: int, events: int
) -> tuple[str, str]:
    """Return what is written over a panel: subjects, events and the median; the table's hazard ratio."""
    words = f"n {n}, {events} events"
    if arm in change.cuts:
        words += f"; median {format_number(change.cuts[arm])}"
    key = (change.biomarker, change.specimen, change.timepoint, row)
    if key not in by_key.index or not finite(by_key.loc[key, "hr"]):
        return words, "HR not estimable"
    ratio = np.array([by_key.loc[key, f"hr{end}"] for end in ("", "_low", "_high")], dtype=float)
    return words, f"HR {format_interval(*ratio)}"
