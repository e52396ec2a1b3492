"""Alterations of every subject at two timepoints, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from correlatives.cohort import MISSING, NOT_EVALUABLE
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    LARGE,
    NORMAL,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    Drawn,
    arm_styles,
    canvas,
    caption,
    format_percent,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
    text_width,
)
from correlatives.pairing import (
    TISSUE,
    TISSUE_NAME,
    not_at_progression,
    of_specimen,
    sample_months,
    specimens,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from correlatives.cohort import Cohort, Markers

COLUMNS = ("timepoint", "arm", "order", "gene", "state", "kinds")

#: What is known of a gene in a subject at a timepoint.
NO_SAMPLE, UNREADABLE, WILD_TYPE, ALTERED = range(4)
STATES = ("no sample", "not evaluable", "wild type", "altered")


class Glyph(NamedTuple):
    """Part of a cell's height that a kind of alteration fills, and its colour."""

    low: float
    high: float
    colour: str


#: Copy number fills the cell; the others are bars at different heights, so that each shows beside the others.
GLYPHS = {
    "amplification": Glyph(0.0, 1.0, PURPLE),
    "deletion": Glyph(0.0, 1.0, SKY),
    "snv": Glyph(0.36, 0.64, GREEN),
    "indel": Glyph(0.04, 0.30, BLACK),
    "fusion": Glyph(0.70, 0.96, ORANGE),
    "kind not stated": Glyph(0.36, 0.64, DIM),
}

PALE = "#E8E8E8"
GREY = "#B4B4B4"

#: Inches: a gene's row, the narrowest cell with air between it and the next, a column of counts.
ROW = 0.135
WITH_AIR = 0.035
COUNTS = 0.40

#: Over cells narrower than this (inches) hatching cannot be seen, and takes a viewer minutes to draw.
HATCHED = 0.012
HATCH = "////////"


@styled
def draw(
    cohort: Cohort,
    *,
    specimen: str | None = None,
    from_: str = "baseline",
    to: str = "progression",
    at_progression: bool = True,
    genes: Sequence[str] | None = None,
    top: int = 25,
    subject_level: bool = False,
    simulated: bool = False,
) -> Drawn:
    """Draw genes × subjects, grouped by arm, at both timepoints; a subject has the same place in both.

    One collection a glyph is drawn here rather than with a library: marsilea's oncoprint adds an artist for each
    cell in Python (36,000 at 600 subjects), and reads "not evaluable" as "no alteration".

    Parameters
    ----------
    cohort : Cohort
        With markers ``gene:*`` of the specimen at both timepoints, and calls.
    specimen : str, optional
        A specimen of blood, or ``tissue`` (the biopsy's result, else the archival block's); the first that was
        looked at by default, blood before tissue.
    from_, to : str
        Analysis timepoints.
    at_progression : bool
        Whether samples at `to` of subjects who stopped without progression are set aside, as in the pairs.
    genes : sequence of str, optional
        Genes to draw, in order; else the `top` ones altered most often.
    top : int
    subject_level : bool
        Whether subject identifiers may be shown and written; else subjects are numbered in the order drawn.
    simulated : bool

    Returns
    -------
    Drawn
        Source: timepoint, arm, order (or subject_id), gene, state, kinds.
    """
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    part = cohort.analysed()
    times = (from_, to)
    looked_at = _looked_at(part, times)
    if specimen is None:
        specimen = _foremost(looked_at)
    title = _title(specimen, from_, to)
    found = {time: of_specimen(looked_at, specimen, time) for time in times}
    names = sorted({name[5:] for markers in found.values() for name in markers.info["biomarker"]})
    states = {time: _states(found[time], names) for time in times}
    aside = np.zeros(len(part.subjects), dtype=bool)
    if at_progression:
        aside = not_at_progression(part, sample_months(part, specimen, to)) != ""
    aside &= (states[to] != NO_SAMPLE).any(axis=0)
    states[to][:, aside] = NO_SAMPLE
    sampled = np.zeros(len(part.subjects), dtype=bool)
    for state in states.values():
        sampled |= (state != NO_SAMPLE).any(axis=0)
    altered = sum((state == ALTERED).sum(axis=1) for state in states.values())
    if not sampled.any():
        return no_data(
            f"no {specimen} sample at {from_} or {to} was looked at for alterations",
            title=title,
            columns=columns,
            simulated=simulated,
            width=DOUBLE,
        )
    if genes is None:
        rank = np.lexsort((np.array(names, dtype=str), -altered))
        order = [i for i in rank if altered[i] > 0][:top] or list(rank[:top])
    else:
        order = [names.index(gene) for gene in genes if gene in names]
    shown = [names[i] for i in order]
    states = {time: state[order] for time, state in states.items()}
    kinds = {time: _kinds(part, specimen, time, shown) for time in times}
    for subject in part.subjects["subject_id"][aside]:
        kinds[to].pop(subject, None)
    styles = arm_styles(cohort.arms)
    arm = (
        part.subjects["arm"].to_numpy(dtype=object)
        if cohort.randomised
        else np.full(len(part.subjects), next(iter(styles)), dtype=object)
    )
    groups = {label: _sorted(np.flatnonzero(sampled & (arm == label)), states) for label in styles}

    width, left = DOUBLE, min(max(text_width(g, SMALL) for g in shown) + 0.12, 1.2)
    n_shown = sum(map(len, groups.values()))
    air = 0.10
    panel = (width - left - 2 * len(groups) * COUNTS - 0.22) / 2
    cell = (panel - air * (len(groups) - 1)) / max(n_shown, 1)
    cell = min(cell, 0.14)
    head, foot = 0.52, 0.36
    below = 0.42 if subject_level and cell >= 0.085 else 0.05
    body = ROW * len(shown)
    figure, top_edge = new_figure(width, head + body + below + foot, simulated=simulated)
    page = canvas(figure)
    bottom = foot + below
    for i, gene in enumerate(shown):
        page.text(
            left - 0.05,
            bottom + body - (i + 0.5) * ROW,
            shorten(gene, left - 0.1, SMALL),
            ha="right",
            va="center_baseline",
            fontsize=SMALL,
            style="italic",
        )
    rows: list[dict[str, object]] = []
    x = left
    ids = part.subjects["subject_id"].to_numpy(dtype=object)
    for time in times:
        page.text(x, top_edge - 0.02, _heading(time), va="top", fontsize=LARGE, fontweight="bold")
        for j, (label, members) in enumerate(groups.items()):
            style = styles[label]
            stretch = max(cell * len(members), 0.05)
            axes = place(figure, x, bottom, stretch, body)
            readable = states[time][:, members]
            _draw_cells(axes, readable, [kinds[time].get(ids[m], {}) for m in members], shown, cell)
            page.fill_between(
                [x, x + stretch],
                bottom + body + 0.03,
                bottom + body + 0.07,
                color=style.colour,
                linewidth=0,
            )
            room = stretch + COUNTS * (j == len(groups) - 1) + 0.02
            n_sampled = int((readable != NO_SAMPLE).any(axis=0).sum())
            for line, text in enumerate((label, f"n = {n_sampled} of {len(members)}")):
                page.text(
                    x,
                    bottom + body + 0.20 - 0.11 * line,
                    shorten(text, room, SMALL),
                    fontsize=SMALL,
                    color=style.colour,
                )
            if below > 0.1:
                axes.set_xticks(
                    np.arange(len(members)) + 0.5,
                    [shorten(str(ids[m]), below - 0.05, SMALL) for m in members],
                    rotation=90,
                    fontsize=SMALL,
                )
                axes.tick_params(axis="x", length=0, pad=1)
            x += stretch + air * (j < len(groups) - 1)
            rows += _source(
                time,
                label,
                shown,
                readable,
                [kinds[time].get(ids[m], {}) for m in members],
                ids[members],
                subject_level,
            )
        for label, members in groups.items():
            _write_counts(page, x, bottom + body, states[time][:, members], styles[label].colour)
            x += COUNTS
        x += 0.14
    _write_key(figure, rows)
    hidden = int((altered > 0).sum()) - int((altered[order] > 0).sum())
    unsampled = int((~sampled).sum())
    rates = "; ".join(
        f"{rst_escape(label)}: {len(members)} subjects" for label, members in groups.items()
    )
    readable_share = {
        time: float((states[time] > UNREADABLE).sum() / max((states[time] != NO_SAMPLE).sum(), 1))
        for time in times
    }
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=columns),
        caption(
            title,
            f"{rates} with a sample at either timepoint; {unsampled} subjects of the primary population without "
            "one are not shown. A subject has the same place in both panels."
            + (
                f" The {rst_escape(to)} samples of {int(aside.sum())} subjects were not taken at progression (the flow into pairs "
                "says why) and are left out."
                if aside.any()
                else ""
            ),
            "Numbers: subjects altered over subjects in whom the gene could be read, by arm, in the arm's colour. Grey and "
            "hatched: a sample that could not be read at this gene (not looked at, too little tumour DNA, failed), "
            "which is not wild type (pale); white: no sample. An alteration found counts as read in any sample, so shares are "
            "too high where many could not be read. Of the cells with a sample "
            f"{format_percent(readable_share[from_])} were readable at {rst_escape(from_)} and "
            f"{format_percent(readable_share[to])} at {rst_escape(to)}.",
            f"{len(shown)} genes, by the number of alterations; {hidden} further genes with alterations are not shown.",
            "The figure does not show allele fractions, nor variants that do not count as alterations; those who have "
            "a progression sample are not a random part of those who progressed.",
            simulated=simulated,
        ),
    )


@styled
def draw_tissue(
    cohort: Cohort,
    *,
    from_: str = "baseline",
    to: str = "progression",
    at_progression: bool = True,
    subject_level: bool = False,
    simulated: bool = False,
) -> Drawn:
    """Draw the tissue, unless `draw` has drawn it, since no blood was looked at: then say so.

    Parameters and result as of `draw`.
    """
    if _foremost(_looked_at(cohort.analysed(), (from_, to))) == TISSUE_NAME:
        return no_data(
            "no blood was looked at for alterations, so the figure oncoprint shows the tissue already",
            title=_title(TISSUE_NAME, from_, to),
            columns=["subject_id", *COLUMNS] if subject_level else list(COLUMNS),
            simulated=simulated,
            width=DOUBLE,
        )
    return draw(
        cohort,
        specimen=TISSUE_NAME,
        from_=from_,
        to=to,
        at_progression=at_progression,
        subject_level=subject_level,
        simulated=simulated,
    )


def _looked_at(cohort: Cohort, times: Sequence[str]) -> Markers:
    """Return the markers of whole genes: gene:RB1, but not gene:RB1:deletion, which is part of it."""
    whole = [
        name.startswith("gene:") and ":" not in name[5:]
        for name in cohort.markers.info["biomarker"].astype(str)
    ]
    return cohort.markers.where(np.array(whole, dtype=bool)).select(timepoint=list(times))


def _foremost(looked_at: Markers) -> str:
    """Return the first specimen that was looked at, blood before tissue; plasma if none was."""
    return next(iter(specimens(looked_at)), "plasma")


def _title(specimen: str, from_: str, to: str) -> str:
    return f"Alterations in {rst_escape(specimen)} at {rst_escape(from_)} and {rst_escape(to)}."


def _heading(time: str) -> str:
    """Return a timepoint's name as a heading."""
    return shorten(time[:1].upper() + time[1:], 2.5, LARGE, "bold")


def _states(markers: Markers, names: Sequence[str]) -> np.ndarray:
    """Return the state of every gene in every subject, shape (genes, subjects)."""
    out = np.full((len(names), len(markers.subjects)), NO_SAMPLE)
    row = {name: i for i, name in enumerate(names)}
    for biomarker, value, state in zip(
        markers.info["biomarker"], markers.value, markers.state, strict=True
    ):
        coded = np.where(value > 0, ALTERED, WILD_TYPE)
        coded = np.where(state == NOT_EVALUABLE, UNREADABLE, coded)
        out[row[biomarker[5:]]] = np.where(state == MISSING, NO_SAMPLE, coded)
    return out


def _kinds(
    cohort: Cohort, specimen: str, time: str, genes: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Return subject -> gene -> kinds of the alterations that count, in the order of the alphabet."""
    calls = cohort.calls
    if not len(calls):
        return {}
    keep = (
        calls["specimen"].isin(TISSUE if specimen == TISSUE_NAME else [specimen])
        & (calls["timepoint"] == time)
        & calls["gene"].isin(list(genes))
        & calls["counted"].fillna(False).astype(bool)
        & calls["chosen"].fillna(False).astype(bool)
    )
    out: dict[str, dict[str, list[str]]] = {}
    counted = calls.loc[keep, ["subject_id", "gene", "kind"]].sort_values("kind", kind="stable")
    for subject, gene, kind in counted.itertuples(index=False):
        kinds = out.setdefault(subject, {}).setdefault(gene, [])
        name = kind if kind in GLYPHS else "kind not stated"
        if name not in kinds:
            kinds.append(name)
    return out


def _sorted(members: np.ndarray, states: dict[str, np.ndarray]) -> np.ndarray:
    """Return an arm's subjects so that those altered in the first gene come first, then in the second, ..."""
    keys = [
        row
        for state in reversed(list(states.values()))
        for row in np.vstack(
            [
                -(state == ALTERED).astype(int)[:, members],
                -(state[:1] != NO_SAMPLE).astype(int)[:, members],
            ]
        )[::-1]
    ]
    return members[np.lexsort(keys)] if len(members) and keys else members


def _draw_cells(
    axes: Axes,
    states: np.ndarray,
    kinds: Sequence[dict[str, list[str]]],
    genes: Sequence[str],
    cell: float,
) -> None:
    """Draw one arm at one timepoint: backgrounds, then the alterations on them."""
    from matplotlib.collections import PolyCollection

    n_genes, n_subjects = states.shape
    axes.set_xlim(0, max(n_subjects, 1))
    axes.set_ylim(n_genes, 0)
    axes.set_yticks([])
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    side = 0.08 if cell >= WITH_AIR else 0.0

    def boxes(where: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Return rectangles; neighbours without air between them are one."""
        corners = []
        for i in range(n_genes):
            row = np.r_[False, where[i], False].astype(int)
            starts, ends = np.flatnonzero(np.diff(row) == 1), np.flatnonzero(np.diff(row) == -1)
            if side:
                starts = np.flatnonzero(where[i])
                ends = starts + 1
            # Heights count from the cell's bottom; the axis points down.
            y0, y1 = i + 0.08 + 0.84 * (1 - high), i + 0.08 + 0.84 * (1 - low)
            for a, b in zip(starts, ends, strict=True):
                corners.append([(a + side, y0), (b - side, y0), (b - side, y1), (a + side, y1)])
        return np.array(corners).reshape(-1, 4, 2)

    axes.add_collection(
        PolyCollection(
            boxes((states == WILD_TYPE) | (states == ALTERED)), facecolors=PALE, linewidths=0
        )
    )
    unreadable = boxes(states == UNREADABLE)
    if len(unreadable):
        axes.add_collection(
            PolyCollection(
                unreadable,
                facecolors=GREY,
                edgecolors="white",
                linewidths=0,
                hatch=HATCH if cell >= HATCHED else None,
            )
        )
    for kind, glyph in GLYPHS.items():
        where = np.zeros(states.shape, dtype=bool)
        for j, of_subject in enumerate(kinds):
            for i, gene in enumerate(genes):
                if states[i, j] == ALTERED:
                    where[i, j] = kind in (of_subject.get(gene) or ["kind not stated"])
        if where.any():
            axes.add_collection(
                PolyCollection(
                    boxes(where, glyph.low, glyph.high),
                    facecolors=glyph.colour,
                    linewidths=0,
                    gid=kind,
                )
            )


def _write_counts(page: Axes, x: float, top: float, states: np.ndarray, colour: str) -> None:
    """Write altered over readable for every gene."""
    for i, row in enumerate(states):
        page.text(
            x + COUNTS - 0.03,
            top - (i + 0.5) * ROW,
            f"{(row == ALTERED).sum()}/{(row > UNREADABLE).sum()}",
            ha="right",
            va="center_baseline",
            fontsize=SMALL,
            color=colour,
        )


def _source(
    time: str,
    label: str,
    genes: Sequence[str],
    states: np.ndarray,
    kinds: Sequence[dict[str, list[str]]],
    ids: np.ndarray,
    subject_level: bool,
) -> list[dict[str, object]]:
    """Return one arm at one timepoint as rows of the source table."""
    rows = []
    for j in range(states.shape[1]):
        for i, gene in enumerate(genes):
            altered = states[i, j] == ALTERED
            row: dict[str, object] = {
                "timepoint": time,
                "arm": label,
                "order": j + 1,
                "gene": gene,
                "state": STATES[states[i, j]],
                "kinds": ";".join(kinds[j].get(gene) or ["kind not stated"]) if altered else "",
            }
            if subject_level:
                row["subject_id"] = ids[j]
            rows.append(row)
    return rows


def _write_key(figure: object, rows: Sequence[dict[str, object]]) -> None:
    """Explain what occurs."""
    from matplotlib.patches import Patch

    kinds = {kind for row in rows for kind in str(row["kinds"]).split(";") if kind}
    names = {"snv": "substitution", "indel": "insertion or deletion of bases"}
    handles = [
        Patch(facecolor=glyph.colour, linewidth=0, label=names.get(kind, kind))
        for kind, glyph in GLYPHS.items()
        if kind in kinds
    ]
    handles += [
        Patch(facecolor=PALE, linewidth=0, label="wild type"),
        Patch(facecolor=GREY, edgecolor="white", linewidth=0, hatch=HATCH, label="not evaluable"),
        Patch(facecolor="white", edgecolor=GREY, linewidth=0.4, label="no sample"),
    ]
    figure.legend(  # type: ignore[attr-defined]
        handles=handles,
        loc="lower center",
        ncols=5,
        fontsize=NORMAL,
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.2,
        handletextpad=0.4,
        borderaxespad=0.1,
        labelspacing=0.25,
    )
