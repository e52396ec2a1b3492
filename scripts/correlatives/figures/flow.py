"""Who was in the study, who was left out at each step, and who is in each analysis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    NORMAL,
    SMALL,
    TALLEST,
    Drawn,
    canvas,
    caption,
    new_figure,
    no_data,
    rst_escape,
    styled,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

COLUMNS = ("part", "step", "unit", "arm", "reason", "n")

#: How the names of steps that are analyses begin.
ANALYSES = ("analysis: ", "resistance: ", "efficacy: ", "predictive: ", "response: ")

#: Inches.
LINE = 0.115
PAD = 0.05
GAP = 0.13
TRUNK = 3.3
SIDE = 3.45


@dataclass
class Step:
    """A step of the flow: how many remain, and how many were left out, by arm."""

    name: str
    remaining: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """The name as a heading."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def before(self) -> dict[str, int]:
        """Who came into the step, by arm; arms of nobody are left out."""
        arms = [*self.remaining, *(arm for counts in self.left_out.values() for arm in counts)]
        return {
            arm: n
            for arm in dict.fromkeys(arms)
            if (
                n := self.remaining.get(arm, 0) + sum(c.get(arm, 0) for c in self.left_out.values())
            )
        }


@dataclass
class Box:
    """Text in a frame: a bold title and lines."""

    title: list[str]
    lines: list[str]

    @property
    def height(self) -> float:
        """Height in inches."""
        return (len(self.title) + len(self.lines)) * LINE + 2 * PAD


@styled
def draw(
    flow: pd.DataFrame,
    *,
    arms: Mapping[str, str],
    unit: str = "subject",
    branches: Sequence[str] | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw the flow of subjects (or samples) in the manner of CONSORT.

    Parameters
    ----------
    flow : pd.DataFrame
        ``check/flow.tsv``: step, unit, arm, reason (empty: those who remain), n.
    arms : mapping
        ``{"control": label, "experimental": label}`` or ``{"all": label}``: their order; other arms come after.
    unit : str
        ``subject`` or ``sample``.
    branches : sequence of str, optional
        Steps that are analyses, each starting from the trunk's end. Without them they are those whose names begin
        with one of ``ANALYSES``, or, if none does, the last steps that all start from the same numbers.
    simulated : bool

    Returns
    -------
    Drawn
        Source: part (trunk, analysis), step, unit, arm, reason, n: all rows of the unit.
    """
    title = f"Flow of {unit}s."
    table = flow[flow["unit"] == unit]
    if not len(table):
        return no_data(
            f"no {unit} was counted",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    steps = read_steps(table)
    trunk, analyses = split(steps, branches)
    order = list(arms.values())
    # Fewer reasons are spelled out where a page is too short for all of them.
    for most in (12, 6, 3, 1, 0):
        boxes = [_trunk_box(step, order, unit) for step in trunk]
        sides = [_side_box(step, order, most) for step in trunk]
        cells = [_analysis_box(step, order, min(most, 4)) for step in analyses]
        rows = [cells[i : i + 3] for i in range(0, len(cells), 3)]
        height = _height(boxes, sides, rows)
        if height < TALLEST - 0.2:
            break
    figure, top = new_figure(DOUBLE, height, simulated=simulated)
    page = canvas(figure)
    y = top - 0.05
    centre = 0.06 + TRUNK / 2
    for i, (box, side) in enumerate(zip(boxes, sides, strict=True)):
        if side is not None:
            middle = y - GAP / 2 - side.height / 2
            end = y - GAP - side.height
            _arrow(page, (centre, y), (DOUBLE - 0.06 - SIDE, middle), across=True)
            _draw_box(page, side, DOUBLE - 0.06 - SIDE, middle + side.height / 2, SIDE, "#F6F6F6")
            _arrow(page, (centre, y), (centre, end))
            y = end
        elif i:
            _arrow(page, (centre, y), (centre, y - GAP))
            y -= GAP
        _draw_box(page, box, 0.06, y, TRUNK, "white")
        y -= box.height
    if rows:
        _draw_analyses(page, rows, centre, y)
    left_out = sum(sum(c.values()) for step in trunk for c in step.left_out.values())
    final = trunk[-1].remaining
    counts = "; ".join(
        f"{rst_escape(_named(arm))}: {final.get(arm, 0)}" for arm in _arms(final, order)
    )
    in_trunk = {step.name for step in trunk}
    source = table.assign(
        part=["trunk" if step in in_trunk else "analysis" for step in table["step"]],
        reason=table["reason"].fillna(""),
    )
    return Drawn(
        figure,
        source[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            f"{sum(trunk[0].before.values())} {unit}s at the start, {left_out} left out on the way, "
            f"{sum(final.values())} at the end ({counts}).",
            "Boxes at the side: those left out, by reason and arm. What remains at each step is what remained before "
            "less what was left out."
            if any(side is not None for side in sides)
            else "",
            f"{_number_of(analyses)} at the bottom each start from all who remain in the last step. {_domains(analyses)}"
            if analyses
            else "",
            f"The figure does not show when {unit}s were left out, nor whether they differ from those who remain.",
            simulated=simulated,
        ),
    )


def read_steps(table: pd.DataFrame) -> list[Step]:
    """Return the steps of one unit, in the table's order."""
    steps: dict[str, Step] = {}
    reasons = table["reason"].fillna("").astype(str)
    arm_names = table["arm"].fillna("").astype(str)
    for name, arm, reason, n in zip(table["step"], arm_names, reasons, table["n"], strict=True):
        step = steps.setdefault(str(name), Step(str(name)))
        counts = step.left_out.setdefault(reason, {}) if reason else step.remaining
        counts[arm] = counts.get(arm, 0) + int(n)
    return list(steps.values())


def split(steps: list[Step], branches: Sequence[str] | None) -> tuple[list[Step], list[Step]]:
    """Return the trunk and the analyses.

    Without names, and without names that tell, the trunk ends at the first step whose numbers every later step
    starts from.
    """
    if branches is None:
        branches = [step.name for step in steps if step.name.startswith(ANALYSES)]
    if branches:
        names = set(branches)
        trunk = [step for step in steps if step.name not in names]
        return trunk, [step for step in steps if step.name in names]
    for last in range(len(steps)):
        remains = {arm: n for arm, n in steps[last].remaining.items() if n}
        later = steps[last + 1 :]
        if all(step.before == remains for step in later) and len(later) > 1:
            return steps[: last + 1], later
    return steps, []


def _number_of(analyses: Sequence[Step]) -> str:
    return "The box" if len(analyses) == 1 else f"The {len(analyses)} boxes"


def _domains(analyses: Sequence[Step]) -> str:
    """Say what the steps of an endpoint by biomarker domain count, and of which endpoint they are shown."""
    parts = [
        step.name.removeprefix(ANALYSES[0]).split(", ", 1)
        for step in analyses
        if step.name.startswith(ANALYSES[0])
    ]
    endpoints = list(dict.fromkeys(part[0] for part in parts if len(part) > 1))
    paired = (
        " Pairs of alterations: both samples were looked at for alterations, whether a gene could be read or not; of quantities: some "
        "biomarker has a result in both by the same assay."
        if any(step.name.startswith("resistance: pairs, ") for step in analyses)
        else ""
    )
    if not endpoints:
        return paired.strip()
    words = (
        "In a domain of biomarkers are the subjects with an evaluable result of any of its markers at baseline (of "
        "alterations: of any gene); single markers and genes have fewer."
    )
    if len(endpoints) == 1 and any(part[0] != endpoints[0] for part in parts):
        words += f" The domains are shown for the first endpoint ({rst_escape(endpoints[0])}); the table has all."
    return words + paired


def _named(arm: str) -> str:
    return arm or "arm unknown"


def _arms(counts: Mapping[str, int], order: Sequence[str]) -> list[str]:
    """Return the arms that have anybody: those of the study in order, others, the unknown one."""
    present = [arm for arm, n in counts.items() if n]
    return [arm for arm in order if arm in present] + sorted(
        (a for a in present if a not in order), key=lambda a: (not a, a)
    )


def _by_arm(counts: Mapping[str, int], order: Sequence[str]) -> str:
    """Return counts by arm in words; nothing where there is one arm only in all the study."""
    listed = _arms(counts, order)
    if len(order) == 1 and listed == list(order):
        return ""
    # An arm and its number stay on one line.
    return ", ".join(
        f"{_named(arm)} {counts[arm]}".replace(" ", "\N{NO-BREAK SPACE}") for arm in listed
    )


def _trunk_box(step: Step, order: Sequence[str], unit: str) -> Box:
    total = sum(step.remaining.values())
    by_arm = _by_arm(step.remaining, order)
    lines = [f"n = {total}" + (f" {unit}s" if total != 1 else f" {unit}")]
    if by_arm:
        lines += wrap(by_arm, TRUNK - 2 * PAD, SMALL, lines=3)
    return Box(wrap(step.shown, TRUNK - 2 * PAD, NORMAL, weight="bold"), lines)


def _reasons(step: Step, order: Sequence[str], most: int, room: float) -> list[str]:
    """Return the reasons in words, the commonest first; those beyond `most` as one."""
    totals = sorted(
        ((sum(c.values()), reason, c) for reason, c in step.left_out.items() if sum(c.values())),
        key=lambda item: (-item[0], item[1]),
    )
    lines = []
    for total, reason, counts in totals[:most]:
        by_arm = _by_arm(counts, order)
        lines += wrap(f"{reason}: {total}" + (f" ({by_arm})" if by_arm else ""), room, SMALL)
    rest = totals[most:]
    if rest and most:
        others = f"{len(rest)} other reasons" if len(rest) > 1 else "another reason"
        lines.append(f"{others}: {sum(item[0] for item in rest)}")
    return lines


def _side_box(step: Step, order: Sequence[str], most: int) -> Box | None:
    total = sum(sum(counts.values()) for counts in step.left_out.values())
    if not total:
        return None
    return Box([f"Left out: {total}"], _reasons(step, order, most, SIDE - 2 * PAD))


CELL = (DOUBLE - 0.12 - 2 * GAP) / 3


def _analysis_box(step: Step, order: Sequence[str], most: int) -> Box:
    room = CELL - 2 * PAD
    total = sum(step.remaining.values())
    by_arm = _by_arm(step.remaining, order)
    lines = wrap(f"n = {total}" + (f" ({by_arm})" if by_arm else ""), room, SMALL)
    left_out = sum(sum(counts.values()) for counts in step.left_out.values())
    if left_out:
        lines.append(f"Not in it: {left_out}")
        lines += _reasons(step, order, most, room)
    return Box(wrap(step.shown, room, NORMAL, weight="bold"), lines)


def _height(
    boxes: Sequence[Box], sides: Sequence[Box | None], rows: Sequence[Sequence[Box]]
) -> float:
    """Height of all of it, in inches."""
    height = 0.1
    for i, (box, side) in enumerate(zip(boxes, sides, strict=True)):
        height += box.height + (side.height + GAP if side is not None else GAP * bool(i))
    if rows:
        height += 2 * GAP
        height += sum(max(box.height for box in row) + GAP * 0.6 for row in rows)
    return height + 0.05


def _draw_box(page: Axes, box: Box, left: float, top: float, width: float, face: str) -> None:
    """Draw a framed box whose upper edge is at `top`."""
    from matplotlib.patches import Rectangle

    page.add_patch(
        Rectangle(
            (left, top - box.height),
            width,
            box.height,
            facecolor=face,
            edgecolor=BLACK,
            linewidth=0.6,
        )
    )
    y = top - PAD
    for texts, size, weight, colour in (
        (box.title, NORMAL, "bold", BLACK),
        (box.lines, SMALL, "normal", BLACK),
    ):
        for text in texts:
            page.text(
                left + PAD,
                y - LINE / 2,
                text,
                va="center_baseline",
                fontsize=size,
                fontweight=weight,
                color=colour,
            )
            y -= LINE


def _arrow(
    page: Axes, start: tuple[float, float], end: tuple[float, float], *, across: bool = False
) -> None:
    """Draw an arrow; `across` goes sideways at the height of its end."""
    if across:
        start = (start[0], end[1])
    page.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": DIM,
            "linewidth": 0.6,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 6,
        },
    )


def _draw_analyses(page: Axes, rows: Sequence[Sequence[Box]], centre: float, y: float) -> None:
    """Draw the analyses in rows of three under the trunk, joined to it by a bracket."""
    lefts = [0.06 + i * (CELL + GAP) for i in range(3)]
    bar = y - GAP
    page.plot([centre, centre], [y, bar], color=DIM, linewidth=0.6)
    ends = [left + CELL / 2 for left in lefts[: len(rows[0])]]
    page.plot([min([*ends, centre]), max([*ends, centre])], [bar, bar], color=DIM, linewidth=0.6)
    for end in ends:
        _arrow(page, (end, bar), (end, bar - GAP))
    y = bar - GAP
    for row in rows:
        tallest = max(box.height for box in row)
        for box, left in zip(row, lefts, strict=False):
            framed = Box(box.title, box.lines + [""] * round((tallest - box.height) / LINE))
            _draw_box(page, framed, left, y, CELL, "white")
        y -= tallest + GAP * 0.6
