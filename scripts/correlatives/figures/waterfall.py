"""Best change of tumour size, subject by subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    LARGE,
    NORMAL,
    ORANGE,
    PURPLE,
    RULE,
    SKY,
    SMALL,
    Drawn,
    arm_styles,
    caption,
    constrain,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
)

if TYPE_CHECKING:
    from correlatives.cohort import Cohort

COLUMNS = ("arm", "order", "best_change_pct", "best_overall_response")

#: Best overall response -> colour; arms' colours are not among them.
RESPONSES = {
    "CR": GREEN,
    "PR": SKY,
    "SD": "#BBBBBB",
    "PD": ORANGE,
    "NE": PURPLE,
    "not recorded": "white",
}

#: RECIST 1.1: partial response at 30 % less than baseline, progression at 20 % more than the smallest sum.
SHRUNK, GROWN = -30.0, 20.0

#: Bars that grow beyond are cut here, and marked.
TALLEST_BAR = 150.0


@styled
def draw(cohort: Cohort, *, subject_level: bool = False, simulated: bool = False) -> Drawn:
    """Draw a bar a subject of the primary population, the worst change first, by arm.

    Parameters
    ----------
    cohort : Cohort
        With ``best_change_pct`` and ``best_overall_response``.
    subject_level : bool
        Whether subject identifiers may be shown and written; else subjects are numbered in the order drawn.
    simulated : bool

    Returns
    -------
    Drawn
        Source: arm, order (or subject_id), best_change_pct, best_overall_response.
    """
    title = "Best change of the sum of target lesions."
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    subjects = cohort.analysed().subjects
    change = subjects["best_change_pct"].astype(float)
    if not change.notna().any():
        return no_data(
            "no subject has a best change of tumour size",
            title=title,
            columns=columns,
            simulated=simulated,
        )
    styles = arm_styles(cohort.arms)
    groups = {}
    for label in styles:
        here = subjects["arm"].eq(label) if cohort.randomised else pd.Series(True, subjects.index)
        part = subjects[here & change.notna()]
        order = np.lexsort((part["subject_id"].astype(str), -part["best_change_pct"].astype(float)))
        groups[label] = (part.iloc[order], int(here.sum()))
    figure, top = new_figure(DOUBLE, 2.9, simulated=simulated)
    # Subjects have bars of one width: an arm's panel is as wide as it has subjects.
    widths = [
        max(len(part), 0.25 * max(len(g) for g, _ in groups.values()))
        for part, _ in groups.values()
    ]
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False, width_ratios=widths)[0]
    lowest, highest = min(change.min(), SHRUNK * 1.2), max(change.max(), GROWN * 1.5)
    highest = min(highest, TALLEST_BAR)
    rows = []
    used = set()
    for axes, (label, (part, total)) in zip(panels, groups.items(), strict=True):
        values = part["best_change_pct"].to_numpy(dtype=float)
        response = [_response(value) for value in part["best_overall_response"]]
        used |= set(response)
        x = np.arange(1, len(values) + 1)
        axes.bar(
            x,
            np.minimum(values, highest),
            width=0.82,
            color=[RESPONSES[word] for word in response],
            edgecolor=BLACK if len(values) < 150 else "none",
            linewidth=0.25,
        )
        # A change of nothing has no bar to see.
        axes.plot(x[values == 0], values[values == 0], "_", color=DIM, markersize=3)
        cut = values > highest
        axes.plot(
            x[cut],
            np.full(cut.sum(), highest),
            marker="^",
            linestyle="none",
            markersize=3,
            color=BLACK,
        )
        axes.axhline(0, color=BLACK, linewidth=0.5)
        for level in (SHRUNK, GROWN):
            axes.axhline(level, color=RULE, linewidth=0.6, linestyle=(0, (3, 2)), zorder=0)
        axes.set_xlim(0, len(values) + 1)
        axes.set_ylim(lowest * 1.06, highest * 1.06)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        missing = total - len(values)
        note = f"n = {len(values)} of {total}" + (
            f"; {missing} without a measurement" if missing else ""
        )
        room = (DOUBLE - 0.5) * widths[list(groups).index(label)] / sum(widths) - 0.15
        axes.set_title(f"{shorten(label, room, LARGE, 'bold')}", color=styles[label].colour, pad=10)
        axes.text(
            0,
            1.01,
            shorten(note, room, SMALL),
            transform=axes.transAxes,
            fontsize=SMALL,
            va="bottom",
            color=DIM,
        )
        if subject_level and len(values) <= 80:
            axes.set_xticks(
                x, [shorten(str(s), 0.6, SMALL) for s in part["subject_id"]], rotation=90
            )
            axes.tick_params(axis="x", labelsize=SMALL, length=0)
        for i, (value, word) in enumerate(zip(values, part["best_overall_response"], strict=True)):
            row = {"arm": label, "order": i + 1, "best_change_pct": value}
            row["best_overall_response"] = word if _response(word) != "not recorded" else ""
            if subject_level:
                row["subject_id"] = part["subject_id"].iloc[i]
            rows.append(row)
    panels[0].set_ylabel("Best change from baseline (%)")
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter

    panels[0].yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}".replace("-", "−")))
    figure.legend(
        handles=[
            Patch(facecolor=colour, edgecolor=BLACK, linewidth=0.3, label=word)
            for word, colour in RESPONSES.items()
            if word in used
        ],
        loc="outside lower center",
        ncols=len(used),
        title="Best overall response",
        fontsize=NORMAL,
        handlelength=1.0,
    )
    constrain(figure, top)
    counts = "; ".join(
        f"{rst_escape(label)}: {len(part)} of {total} subjects"
        for label, (part, total) in groups.items()
    )
    missing = sum(total - len(part) for part, total in groups.values())
    over = int((change > highest).sum())
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=columns),
        caption(
            title,
            f"{counts}."
            + (
                f" {missing} {'subject' if missing == 1 else 'subjects'} without a measurement after baseline "
                f"{'is' if missing == 1 else 'are'} not shown, among them any who progressed or died before the first one."
                if missing
                else ""
            ),
            "A bar is a subject's best percentage change of the sum of target lesions; lines at −30 % and +20 %. "
            "Colours: best overall response as recorded, which counts new and non-target lesions too: CR, complete response; PR, partial response; SD, stable disease; "
            "PD, progressive disease; NE, not evaluable."
            + (f" {over} bars above {highest:g} % are cut (triangles)." if over else ""),
            f"The figure does not {'compare the arms by a test, and does not ' if len(groups) > 1 else ''}"
            "show how long a change lasted.",
            simulated=simulated,
        ),
    )


def _response(word: object) -> str:
    """Return a key of ``RESPONSES``."""
    return word if isinstance(word, str) and word in RESPONSES else "not recorded"
