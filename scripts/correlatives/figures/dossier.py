"""A page a gene and pathway with everything known of it, and an index before them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from correlatives.figures.alluvial import FATES
from correlatives.figures.courses import change_in_words
from correlatives.figures.evidence import choose
from correlatives.figures.markers import Labels
from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    LARGE,
    NORMAL,
    RULE,
    SMALL,
    Drawn,
    arm_styles,
    canvas,
    caption,
    finite,
    format_interval,
    format_p,
    format_percent,
    new_figure,
    no_data,
    open_ended,
    place,
    ratio_axis,
    ratio_limits,
    shorten,
    styled,
    text_width,
    wrap,
)
from correlatives.resistance.evidence_lines import (
    ALTERED,
    BASELINE,
    CHANGE,
    CLEARED,
    COURSE,
    EARLY_PROGRESSION,
    GAINED,
    LANDMARK,
    LATE_CHANGE,
    RATIO,
)
from correlatives.tables.dictionary import in_words, marker_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from correlatives.figures.style import ArmStyle

#: Size of a page, and its margin, in inches.
WIDTH, HEIGHT, MARGIN = DOUBLE, 9.7, 0.1

#: Inches: a line of text, a row of a forest, a bar of pairs, the heading of a section.
LINE, ROW, BAR, HEADING = 0.112, 0.128, 0.17, 0.24

#: Genes and pathways with a page, rows of each forest, alterations, and lines of words at most.
MOST, FOREST, ALTERATIONS, WORDS = 60, 14, 9, 6

#: Rows that each forest has in any case, and inches for its foot and what comes below.
LEAST, REST = 3, 1.75

#: Where the markers' names stand, in inches, and lines of the arms' names over the alterations.
MARKER, HEAD = 1.12, 2

#: A marker in the words of the evidence table.
QUOTED = re.compile(r"At baseline \((?P<specimen>[^)]+)\), (?P<name>.+?) × arm")

#: Size of the title in points, and specimens shown at most.
TITLE, SPECIMENS = 11.0, 5

#: Lines of evidence as a page calls them.
SHORT = {
    BASELINE: "baseline × arm",
    EARLY_PROGRESSION: "baseline × arm, early",
    LANDMARK: "from the landmark",
    LATE_CHANGE: "at progression",
    COURSE: "course, between arms",
}

COLUMNS = (
    "page",
    "level",
    "name",
    "section",
    "line",
    "specimen",
    "marker",
    "timepoint",
    "arm",
    "per",
    "measure",
    "estimate",
    "estimate_low",
    "estimate_high",
    "n",
    "of",
    "p",
    "q",
    "kept",
    "gained",
    "lost",
    "absent",
)


@dataclass(frozen=True)
class Tables:
    """What the pages are made of.

    Attributes
    ----------
    lines : pd.DataFrame
        `resistance.evidence_lines.evidence_lines`.
    acquired, acquired_by_arm, acquired_by_timing, alterations, concordance, lead_time, evidence, calls_set_aside : pd.DataFrame
        The tables of ``resistance/``.
    """

    lines: pd.DataFrame
    acquired: pd.DataFrame
    acquired_by_arm: pd.DataFrame
    acquired_by_timing: pd.DataFrame
    alterations: pd.DataFrame
    concordance: pd.DataFrame
    lead_time: pd.DataFrame
    evidence: pd.DataFrame
    calls_set_aside: pd.DataFrame


@styled
def draw(
    tables: Tables,
    *,
    arms: Mapping[str, str],
    labels: Labels | None = None,
    drug: str = "",
    early_months: float | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the index and the pages.

    Parameters
    ----------
    tables : Tables
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``.
    labels : mapping, optional
        (biomarker, specimen) -> what it is called.
    drug : str
        The drug that resistance is asked about.
    early_months : float, optional
        Landmark of early progression.
    simulated : bool

    Returns
    -------
    Drawn
        The index is `figure`, the pages are `pages`. Source: every number on the pages, and those for which a page
        had no room.
    """
    title = "Dossier: everything known of each gene and pathway."
    shown, hidden = choose(tables.lines, MOST)
    if not shown:
        return no_data(
            "no gene or pathway was looked at in any analysis of resistance",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    styles = arm_styles(arms)
    # Kinds of estimates that the study has.
    measures = [kind for kind in (RATIO, CHANGE) if (tables.lines["measure"] == kind).any()]
    parts = [_of_name(tables, level, name) for level, name in shown]
    pages = tuple(
        _draw_page(
            part,
            level,
            name,
            position + 2,
            len(shown) + 1,
            styles,
            measures,
            labels or {},
            early_months,
            simulated,
        )
        for position, ((level, name), part) in enumerate(zip(shown, parts, strict=True))
    )
    source = [
        _numbers(part).assign(page=position + 2, level=level, name=name)
        for position, ((level, name), part) in enumerate(zip(shown, parts, strict=True))
    ]
    return Drawn(
        _draw_index(shown, parts, styles, drug, hidden, simulated),
        pd.concat(source, ignore_index=True).reindex(columns=list(COLUMNS)),
        caption(
            title,
            f"The PDF has {len(shown) + 1} pages: an index (shown here), then one page a pathway and gene: the pathways, their genes, "
            "and other genes gained in a pair"
            + (f" ({hidden} more have no page)" if hidden else "")
            + ".",
            "A page puts together what became of the alteration in pairs of samples, by specimen and arm; baseline markers × arm "
            "and survival from the landmark by early change, as ratios; changes of the other biomarkers of that gene or pathway; each "
            "alteration; tissue against plasma; early and late progressors; molecular before imaging progression; calls set aside.",
            "Every number has its own denominator, on the page and in the table beside. Limits are 95 %; p-values are not adjusted "
            "unless called q; those of baseline markers × arm are of the randomisation test where there were draws.",
            "The figure does not show a verdict: see the statistical methods for what each analysis can say.",
            simulated=simulated,
        ),
        pages=pages,
    )


def _of_name(tables: Tables, level: str, name: str) -> Tables:
    """Return the rows of one gene or pathway."""

    def named(table: pd.DataFrame) -> pd.DataFrame:
        return table[(table["level"] == level) & (table["name"] == name)]

    def of_gene(table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
        return table[table[column] == value] if level == "gene" else table.iloc[:0]

    return Tables(
        lines=named(tables.lines),
        acquired=named(tables.acquired),
        acquired_by_arm=named(tables.acquired_by_arm),
        acquired_by_timing=named(tables.acquired_by_timing),
        alterations=tables.alterations[tables.alterations["gene"] == name]
        if level == "gene"
        else tables.alterations[
            tables.alterations["pathway"]
            .fillna("")
            .astype(str)
            .str.split(", ")
            .map(lambda listed: name in listed)
        ],
        concordance=of_gene(tables.concordance, "name", name),
        lead_time=tables.lead_time[tables.lead_time["marker"] == f"{level}:{name}"],
        evidence=named(tables.evidence),
        calls_set_aside=of_gene(tables.calls_set_aside, "gene", name),
    )


def _numbers(part: Tables) -> pd.DataFrame:
    """Return the numbers of a page."""
    pairs = part.acquired.assign(
        section="pairs", n=part.acquired["evaluable"], of=part.acquired["pairs"]
    )
    found = part.alterations.assign(
        section="alteration",
        marker=part.alterations["gene"].astype(str)
        + " "
        + part.alterations["alteration"].astype(str),
        n=part.alterations["evaluable"],
    )
    lead = part.lead_time.assign(
        section="lead time, days",
        estimate=part.lead_time["median"],
        estimate_low=part.lead_time["median_low"],
        estimate_high=part.lead_time["median_high"],
    )
    frames = [part.lines.assign(section="estimate"), pairs, found, lead]
    frames = [frame.reindex(columns=list(COLUMNS)).astype(object) for frame in frames if len(frame)]
    return pd.concat(frames) if frames else pd.DataFrame(columns=list(COLUMNS))


# ---------------------------------------------------------------------------------------------- a page


class _Page:
    """A page that is written from the top down."""

    def __init__(self, simulated: bool) -> None:
        self.figure, self.y = new_figure(WIDTH, HEIGHT, simulated=simulated)
        self.axes = canvas(self.figure)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:  # noqa: ANN401
        """Write a line, its middle at `y`."""
        style.setdefault("fontsize", SMALL)
        self.axes.text(x, y, text, va="center_baseline", **style)

    def heading(self, text: str, x: float = MARGIN, end: float = WIDTH - MARGIN) -> None:
        """Write a section's heading with a line under it."""
        self.text(
            x,
            self.y - 0.1,
            shorten(text, end - x, LARGE, "bold"),
            fontsize=LARGE,
            fontweight="bold",
        )
        self.axes.plot([x, end], [self.y - 0.18] * 2, color=BLACK, linewidth=0.5)
        self.y -= HEADING

    def line(self, text: str, x: float, room: float, *, lines: int = 1, **style: Any) -> None:  # noqa: ANN401
        """Write wrapped text and move down."""
        for part in wrap(text, room, SMALL, lines=lines):
            self.text(x, self.y - LINE / 2, part, **style)
            self.y -= LINE


def _draw_page(
    part: Tables,
    level: str,
    name: str,
    number: int,
    of: int,
    styles: Mapping[str, ArmStyle],
    measures: Sequence[str],
    labels: Labels,
    early_months: float | None,
    simulated: bool,
) -> Figure:
    """Draw one gene or pathway."""
    page = _Page(simulated)
    page.text(
        MARGIN,
        page.y - 0.13,
        shorten(name, 5.2, TITLE, "bold"),
        fontsize=TITLE,
        fontweight="bold",
        style="italic" if level == "gene" else "normal",
    )
    page.text(WIDTH - MARGIN, page.y - 0.16, f"page {number} of {of}", ha="right", color=DIM)
    pathway = str(part.lines["pathway"].iloc[0]) if len(part.lines) else ""
    what = "Pathway" if level == "pathway" else f"Gene{f' of pathway {pathway}' if pathway else ''}"
    page.text(MARGIN, page.y - 0.31, shorten(what, 5.2, NORMAL), fontsize=NORMAL, color=DIM)
    page.y -= 0.42
    _write_words(page, part, labels)
    _draw_pairs(page, part, styles)
    _write_visits(page, part.lines, styles)
    for measure in measures:
        _draw_forest(page, part.lines, measure, styles, labels)
    _write_rest(page, part, styles, early_months)
    return page.figure


def _write_words(page: _Page, part: Tables, labels: Labels) -> None:
    """Write the summary of the evidence table, markers by their labels."""

    def called(quoted: re.Match[str]) -> str:
        specimen = quoted.group("specimen")
        name = marker_called(quoted.group("name"), specimen.replace(" ", "_"), labels)
        return f"At baseline ({specimen}), {name} × arm"

    said = [
        QUOTED.sub(called, text)
        for text in part.evidence["summary"]
        if isinstance(text, str) and text
    ]
    if said:
        page.line(" ".join(said), MARGIN, WIDTH - 2 * MARGIN, lines=WORDS)
        page.y -= 0.06


def _draw_pairs(page: _Page, part: Tables, styles: Mapping[str, ArmStyle]) -> None:
    """Draw what became of the alteration: a bar a specimen and arm, and what tests say beside."""
    from matplotlib.patches import Rectangle

    page.heading("In pairs of samples")
    rows = part.acquired[part.acquired["arm"].isin(styles)]
    if not len(rows):
        page.line("Not looked at in pairs of samples.", MARGIN, 5.0, color=DIM)
        page.y -= 0.06
        return
    x, width = 1.75, 1.75
    key = x
    for fate, colour in FATES.items():
        words = "not evaluable" if fate == "not_evaluable" else fate
        page.axes.add_patch(
            Rectangle(
                (key, page.y - 0.085),
                0.07,
                0.07,
                facecolor=colour,
                edgecolor=RULE,
                linewidth=0.3,
                hatch="////////" if fate == "not_evaluable" else None,
            )
        )
        page.text(key + 0.1, page.y - 0.05, words, color=DIM)
        key += 0.22 + text_width(words, SMALL)
    page.y -= 0.15
    for specimen in list(dict.fromkeys(rows["specimen"]))[:SPECIMENS]:
        for _, line in rows[rows["specimen"] == specimen].iterrows():
            style = styles[line["arm"]]
            middle = page.y - BAR / 2
            where = str(specimen).replace("_", " ")
            page.text(MARGIN, middle, shorten(where, 0.55, SMALL))
            page.text(
                MARGIN + 0.58, middle, shorten(str(line["arm"]), 1.02, SMALL), color=style.colour
            )
            counts = {f: int(line[f]) for f in FATES if f != "not_evaluable"}
            counts["not_evaluable"] = int(line["pairs"] - line["evaluable"])
            total = max(sum(counts.values()), 1)
            start = x
            for fate, n in counts.items():
                size = width * n / total
                if n:
                    page.axes.add_patch(
                        Rectangle(
                            (start, middle - 0.055),
                            size,
                            0.11,
                            facecolor=FATES[fate],
                            edgecolor=RULE if fate == "not_evaluable" else "white",
                            linewidth=0.3,
                            hatch="////////" if fate == "not_evaluable" else None,
                            gid=fate,
                        )
                    )
                start += size
            rate = [line[f"rate_gained{end}"] for end in ("", "_low", "_high")]
            shares = [100 * r if finite(r) else np.nan for r in rate]
            had = counts["lost"] + counts["kept"]
            words = (
                f"gained {counts['gained']} of {int(line['evaluable'])}: {format_interval(*shares, digits=0)} %; "
                f"lost {counts['lost']} of {had}; of {int(line['pairs'])} pairs"
                if line["evaluable"]
                else f"none of {int(line['pairs'])} pairs could be read"
            )
            if finite(line["p_mcnemar_exact"]) and line["evaluable"]:
                words += f"; McNemar p {format_p(line['p_mcnemar_exact'])}"
            page.text(
                x + width + 0.1,
                middle,
                shorten(words, WIDTH - MARGIN - x - width - 0.1, SMALL),
            )
            page.y -= BAR
        between = part.acquired_by_arm[part.acquired_by_arm["specimen"] == specimen]
        if len(between):
            line = between.iloc[0]
            ends = [line[f"rate_difference{end}"] for end in ("", "_low", "_high")]
            shown = [100 * e if finite(e) else np.nan for e in ends]
            page.line(
                f"arms compared: {format_interval(*shown, digits=0)} points; Fisher p {format_p(line['p_fisher'])}, "
                f"Boschloo p {format_p(line['p_boschloo'])}, adjusted for time on treatment p {format_p(line['p_adjusted'])}, "
                f"q {format_p(line['q_value'])}",
                x + width + 0.1,
                WIDTH - MARGIN - x - width - 0.1,
                lines=2,
                color=DIM,
            )
            page.y -= 0.03
    page.y -= 0.06


def _write_visits(page: _Page, lines: pd.DataFrame, styles: Mapping[str, ArmStyle]) -> None:
    """Write how many were altered of those read at every visit, a row a specimen and arm."""
    rows = lines[(lines["line"] == ALTERED) & lines["arm"].isin(styles)]
    if not len(rows):
        return
    page.heading("Altered, of those that could be read, at each visit")
    times = list(dict.fromkeys(rows["timepoint"]))
    left = MARGIN + 1.7
    width = min(0.95, (WIDTH - MARGIN - left) / len(times))
    for k, time in enumerate(times):
        page.text(
            left + width * (k + 0.5),
            page.y - LINE / 2,
            shorten(str(time), width - 0.05, SMALL),
            ha="center",
            color=DIM,
        )
    page.y -= LINE
    indexed = rows.set_index(["specimen", "arm", "timepoint"])
    for specimen in list(dict.fromkeys(rows["specimen"]))[:SPECIMENS]:
        for arm, style in styles.items():
            page.text(
                MARGIN, page.y - LINE / 2, shorten(str(specimen).replace("_", " "), 0.78, SMALL)
            )
            page.text(
                MARGIN + 0.8, page.y - LINE / 2, shorten(arm, 0.88, SMALL), color=style.colour
            )
            for k, time in enumerate(times):
                if (specimen, arm, time) not in indexed.index:
                    continue
                line = indexed.loc[(specimen, arm, time)]
                altered = round(line["estimate"] * line["n"]) if line["n"] else 0
                share = f" ({format_percent(line['estimate'])})" if line["n"] else ""
                page.text(
                    left + width * (k + 0.5),
                    page.y - LINE / 2,
                    f"{altered}/{int(line['n'])}{share}",
                    ha="center",
                    color=style.colour if altered else DIM,
                )
            page.y -= LINE
    page.y -= 0.06


def _draw_forest(
    page: _Page,
    lines: pd.DataFrame,
    measure: str,
    styles: Mapping[str, ArmStyle],
    labels: Labels,
) -> None:
    """Draw the estimates of one kind with their limits, on one axis."""
    page.heading(
        "Ratios: baseline markers; survival from the landmark by early change (ratio: per doubling)"
        if measure == RATIO
        else "Changes of its biomarkers (each drawn on its own scale)"
    )
    rows = lines[(lines["measure"] == measure) & np.isfinite(lines["estimate"].astype(float))]
    if not len(rows):
        words = ["No estimates.", *_not_estimated(lines[lines["measure"] == measure], labels)]
        page.line(" ".join(words), MARGIN, WIDTH - 2 * MARGIN, lines=2, color=DIM)
        page.y -= 0.06
        return
    own = rows.assign(other=~rows["own"].astype(bool)).sort_values("other", kind="stable")
    others = lines[(lines["measure"] == CHANGE) & lines["estimate"].notna()]
    below = REST + (HEADING + 0.45 + ROW * min(len(others), LEAST) if measure == RATIO else 0)
    shown = own.iloc[: min(FOREST, max(LEAST, int((page.y - below) / ROW)))]
    height = ROW * len(shown)
    left, width = 4.14, 0.96
    axes = place(page.figure, left, page.y - height, width, height)
    axes.set_facecolor("none")
    axes.set_ylim(0, height)
    columns = ["estimate", "estimate_low", "estimate_high"]
    if measure == RATIO:
        shown = shown.copy()
        shown[columns] = [open_ended(*ratio) for ratio in shown[columns].to_numpy(dtype=float)]
    values = [shown[column].to_numpy(dtype=float) for column in columns]
    if measure == RATIO:
        ends = ratio_limits(*map(list, values))
        axes.set_xscale("log")
        axes.set_xlim(*ends)
        ratio_axis(axes.xaxis, *ends, most=5)
    else:
        # Scales differ: the largest limit of a biomarker and specimen is the end of its own.
        own_scale = np.nanmax(np.abs(np.array(values)), axis=0, initial=0.0)
        largest = (
            pd.Series(own_scale)
            .groupby([shown["marker"].to_numpy(), shown["specimen"].to_numpy()])
            .transform("max")
        )
        unit = np.where(largest > 0, largest, 1.0)
        shown = shown.assign(
            **{
                f"drawn{end}": v / unit
                for end, v in zip(("", "_low", "_high"), values, strict=True)
            }
        )
        ends = (-1.06, 1.06)
        axes.set_xlim(*ends)
        axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", labelsize=SMALL, pad=1.5)
    axes.axvline(1.0 if measure == RATIO else 0.0, color=RULE, linewidth=0.6, zorder=0)
    previous = ""
    for i, (_, line) in enumerate(shown.iterrows()):
        y = height - ROW * (i + 0.5)
        style = styles.get(str(line["arm"]))
        colour = style.colour if style else BLACK
        _draw_interval(axes, line, y, ends, colour, style.marker if style else "D")
        middle = page.y - ROW * (i + 0.5)
        kind = str(line["line"])
        if kind != previous:
            page.text(MARGIN, middle, shorten(SHORT.get(kind, kind), 1.1, SMALL), color=DIM)
            previous = kind
        page.text(MARGIN + MARKER, middle, _marker(line, labels, 1.94))
        who = "both arms" if line["arm"] == "all" and len(styles) > 1 else str(line["arm"])
        if line["arm"] == "all" and len(styles) == 1:
            who = ""
        page.text(MARGIN + 3.13, middle, shorten(who, 0.88, SMALL), color=colour)
        numbers = [float(line[f"estimate{end}"]) for end in ("", "_low", "_high")]
        written = (
            format_interval(*numbers)
            if measure == RATIO
            else change_in_words(str(line["transform"]), numbers)
        )
        page.text(left + width + 0.08, middle, shorten(written, 1.22, SMALL))
        p = f"p {format_p(line['p'])}" if finite(line["p"]) else ""
        page.text(WIDTH - MARGIN, middle, f"n {int(line['n'])}  {p}", ha="right", color=DIM)
    page.y -= height + 0.2
    hidden = len(rows) - len(shown)
    words = [f"{hidden} more are in the table (dossier.csv)."] if hidden else []
    words += _not_estimated(lines[lines["measure"] == measure], labels)
    if words:
        page.line(" ".join(words), MARGIN, WIDTH - 2 * MARGIN, lines=2, color=DIM)
    page.y -= 0.06


def _not_estimated(lines: pd.DataFrame, labels: Labels) -> list[str]:
    """Say which estimates of the alteration itself there are not, with the subjects looked at."""
    unknown = lines[lines["own"].astype(bool) & ~np.isfinite(lines["estimate"].astype(float))]
    texts = [
        f"{SHORT.get(line.line, line.line)}, {_marker(pd.Series(line._asdict()), labels)} (n {int(line.n)})"
        for line in unknown.itertuples()
        if line.arm == "all"
    ]
    return [f"Not estimated for want of subjects: {'; '.join(texts)}."] if texts else []


def marker_called(name: str, specimen: str, labels: Labels) -> str:
    """Return what a marker is called in a specimen; tissue is where the block or the biopsy has it."""
    places = [specimen, *(("archival_tissue", "biopsy") if specimen == "tissue" else ())]
    known = (labels.get((name, place_of)) for place_of in places)
    return next(filter(None, known), "") or marker_label(name)


def _marker(line: pd.Series, labels: Labels, room: float = np.inf) -> str:
    """Return a marker, where and when it was measured.

    Where that has no room the label without the specimen, else the marker's name in words.
    """
    name, specimen = str(line["marker"]), str(line["specimen"])
    called = "own alteration" if line["own"] else marker_called(name, specimen, labels)
    plain = in_words(name.removeprefix("signature:")) + " signature" * name.startswith("signature:")
    per = line["per"] if isinstance(line["per"], str) and " v " in line["per"] else ""
    per = per.replace(CLEARED, "cleared").replace(">=", "≥").replace("<=", "≤")
    rest = (
        line["timepoint"] if isinstance(line["timepoint"], str) else "",
        per.replace("positive v negative", ""),
    )
    place_of = specimen.replace("archival_tissue", "tissue")
    names = (
        [(called, place_of)] if line["own"] else [(called, place_of), (called,), (plain, place_of)]
    )
    texts = [", ".join(filter(None, (*first, *rest))) for first in names]
    return next((t for t in texts if text_width(t, SMALL) <= room), shorten(texts[-1], room, SMALL))


def _draw_interval(
    axes: Axes, line: pd.Series, y: float, ends: tuple[float, float], colour: str, marker: str
) -> None:
    """Draw an estimate and its limits, cut where the axis ends."""
    column = "drawn" if "drawn" in line else "estimate"
    estimate, low, high = (float(line[f"{column}{end}"]) for end in ("", "_low", "_high"))
    low = low if np.isfinite(low) else (estimate if not np.isinf(low) else ends[0])
    high = high if np.isfinite(high) else (estimate if not np.isinf(high) else ends[1])
    axes.plot(
        np.clip([low, high], *ends), [y, y], color=colour, linewidth=0.8, solid_capstyle="butt"
    )
    for beyond, x, arrow in ((low < ends[0], ends[0], "<"), (high > ends[1], ends[1], ">")):
        if beyond:
            axes.plot(
                x, y, marker=arrow, markersize=2.5, color=colour, clip_on=False, markeredgewidth=0
            )
    if ends[0] <= estimate <= ends[1]:
        axes.plot(estimate, y, marker=marker, markersize=2.8, color=colour, gid="estimate")


def _write_rest(
    page: _Page, part: Tables, styles: Mapping[str, ArmStyle], early_months: float | None
) -> None:
    """Write the alterations on the left, and tissue against plasma, timing and calls on the right."""
    top = page.y
    half = WIDTH / 2 - 0.1
    page.heading("Alterations in pairs (+ gained, − lost, = kept)", end=half)
    found = part.alterations[part.alterations["arm"].isin(styles)]
    found = found[(found[["gained", "lost", "kept"]].sum(axis=1)) > 0]
    # One change may be two kinds (an indel, and a mutation whose kind is not stated).
    key = ["gene", "alteration", "kind", "specimen"]
    names = found.groupby(key, sort=False)[["gained", "lost", "kept"]].sum()
    order = names.assign(moved=names["gained"] + names["lost"]).sort_values(
        ["moved", "kept"], ascending=False, kind="stable"
    )
    by_arm = found.set_index([*key, "arm"])
    room = max(1, min(ALTERATIONS, int((page.y - 0.25) / LINE) - HEAD + 1))
    x = half
    for arm, style in reversed(styles.items() if len(order) else ()):
        # A long name ends above its column's numbers.
        for up, text in enumerate(reversed(wrap(arm, 0.72, SMALL))):
            page.text(x, page.y - LINE * (HEAD - up - 0.5), text, ha="right", color=style.colour)
        x -= 0.78
    page.y -= LINE * HEAD if len(order) else 0
    if not len(order):
        page.line("None that counts.", MARGIN, half - MARGIN, color=DIM)
    for place_in in order.index[:room]:
        gene, alteration, kind, specimen = place_in
        change = f"{alteration} ({kind})" if kind not in ("mutation", alteration) else alteration
        label = f"{gene} {change}, {str(specimen).replace('_', ' ')}"
        page.text(
            MARGIN,
            page.y - LINE / 2,
            shorten(label, half - MARGIN - 0.78 * len(styles) - 0.02, SMALL),
        )
        x = half
        for arm, style in reversed(styles.items()):
            if (*place_in, arm) in by_arm.index:
                line = by_arm.loc[(*place_in, arm)]
                text = f"+{int(line['gained'])} −{int(line['lost'])} ={int(line['kept'])}"
                page.text(x, page.y - LINE / 2, text, ha="right", color=style.colour)
            x -= 0.78
        page.y -= LINE
    if len(order) > room:
        page.line(f"{len(order) - room} more are in the table.", MARGIN, half - MARGIN, color=DIM)
    page.y = top
    x, wide = WIDTH / 2 + 0.1, WIDTH / 2 - 0.2
    page.heading("Where and when", x=x)
    said: list[tuple[str, str]] = []
    for _, line in part.concordance.iterrows():
        shares = [
            f"{word} {format_percent(line[rate])}"
            for word, rate in (("positive agreement", "ppa"), ("negative", "npa"))
            if finite(line[rate])
        ]
        said.append(
            (
                f"Tissue and plasma at baseline: both {int(line['both'])}, tissue only {int(line['tissue_only'])}, plasma only "
                f"{int(line['plasma_only'])}, neither {int(line['neither'])}"
                + (f" ({', '.join(shares)})" if shares else ""),
                BLACK,
            )
        )
    when = f" (up to month {early_months:g})" if early_months is not None else ""
    for _, line in part.acquired_by_timing[part.acquired_by_timing["arm"].isin(styles)].iterrows():
        if line["evaluable_early"] + line["evaluable_late"]:
            said.append(
                (
                    f"{str(line['specimen']).replace('_', ' ')}: gained in {int(line['gained_early'])} of {int(line['evaluable_early'])} early{when} and "
                    f"{int(line['gained_late'])} of {int(line['evaluable_late'])} late progressors",
                    styles[line["arm"]].colour,
                )
            )
    for _, line in part.lead_time[part.lead_time["arm"].isin(styles)].iterrows():
        if line["n"]:
            ends = [line[f"median{end}"] for end in ("", "_low", "_high")]
            shown = format_interval(*ends, digits=0) if finite(ends[1]) else f"{ends[0]:.0f}"
            said.append(
                (
                    f"{line['specimen']}: median {shown.replace('-', '−')} days in blood before imaging, n {int(line['n'])}",
                    styles[line["arm"]].colour,
                )
            )
    aside = part.calls_set_aside
    if len(aside):
        unused = aside[aside["used"].astype(str) == "no"]
        reasons = unused.groupby("reason", sort=False)["calls"].sum()
        said += [(f"Calls set aside for {reason}: {int(n)}", DIM) for reason, n in reasons.items()]
    if not said:
        said = [("Nothing further.", DIM)]
    for text, colour in said:
        if page.y < 0.22:
            page.line("More is in the tables.", x, wide, color=DIM)
            break
        page.line(text, x, wide, lines=2, color=colour)


# ------------------------------------------------------------------------------------------- the index


def _draw_index(
    shown: Sequence[tuple[str, str]],
    parts: Sequence[Tables],
    styles: Mapping[str, ArmStyle],
    drug: str,
    hidden: int,
    simulated: bool,
) -> Figure:
    """Draw the first page: what has a page, and what was gained."""
    step = min(0.15, (HEIGHT - 1.0) / len(shown))
    figure, top = new_figure(WIDTH, step * len(shown) + 0.85, simulated=simulated)
    axes = canvas(figure)

    def write(x: float, y: float, text: str, **style: Any) -> None:  # noqa: ANN401
        style.setdefault("fontsize", SMALL)
        axes.text(x, y, text, va="center_baseline", **style)

    title = f"Resistance to {drug}: dossier" if drug else "Resistance: dossier"
    write(MARGIN, top - 0.14, shorten(title, 5.5, TITLE, "bold"), fontsize=TITLE, fontweight="bold")
    start = top - 0.62
    gained = pd.concat([part.lines[part.lines["line"] == GAINED] for part in parts])
    places = [p for p in ("blood", "tissue") if (gained["place"] == p).any()]
    columns = [(place, arm) for place in places for arm in styles]
    left = 2.6
    width = (WIDTH - MARGIN - left - 0.95) / max(len(columns), 1)
    for k, (place_of, arm) in enumerate(columns):
        x = left + width * (k + 0.5)
        words = wrap(arm, width - 0.05, SMALL)
        write(x, start + 0.32, f"gained, {place_of}", ha="center", fontweight="bold")
        for up, line in enumerate(reversed(words)):
            write(x, start + 0.1 + 0.11 * up, line, ha="center", color=styles[arm].colour)
    for x, text in ((MARGIN, "Page"), (MARGIN + 0.4, "Gene or pathway"), (1.95, "Pathway")):
        write(x, start + 0.1, text, fontweight="bold")
    write(WIDTH - MARGIN, start + 0.22, "limits exclude", ha="right", fontweight="bold")
    write(WIDTH - MARGIN, start + 0.1, "no effect, of all", ha="right", fontweight="bold")
    axes.plot([MARGIN, WIDTH - MARGIN], [start, start], color=BLACK, linewidth=0.6)
    for i, ((level, name), part) in enumerate(zip(shown, parts, strict=True)):
        y = start - step * (i + 0.5) - 0.02
        write(MARGIN + 0.2, y, f"{i + 2}", ha="right", color=DIM)
        write(
            MARGIN + 0.4,
            y,
            shorten(name, 1.4, SMALL),
            fontweight="bold" if level == "pathway" else "normal",
            style="italic" if level == "gene" else "normal",
        )
        pathway = str(part.lines["pathway"].iloc[0]) if level == "gene" and len(part.lines) else ""
        write(1.95, y, shorten(pathway, 0.65, SMALL), color=DIM)
        for k, (place_of, arm) in enumerate(columns):
            here = part.lines[
                (part.lines["line"] == GAINED)
                & (part.lines["place"] == place_of)
                & (part.lines["arm"] == arm)
            ]
            text = "; ".join(
                f"{round(line.estimate * line.n)}/{int(line.n)}" if line.n else "not read"
                for line in here.itertuples()
            )
            write(
                left + width * (k + 0.5),
                y,
                shorten(text or "–", width - 0.04, SMALL),
                ha="center",
                color=styles[arm].colour if text and not text.startswith("0/") else DIM,
            )
        known = part.lines[part.lines["null"].notna() & part.lines["estimate"].notna()]
        off = (known["estimate_low"] > known["null"]) | (known["estimate_high"] < known["null"])
        write(
            WIDTH - MARGIN,
            y,
            f"{int(off.sum())} of {len(known)}" if len(known) else "–",
            ha="right",
        )
    if hidden:
        write(MARGIN, 0.1, f"{hidden} more genes have no page.", color=DIM)
    return figure
