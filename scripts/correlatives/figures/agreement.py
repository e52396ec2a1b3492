"""Numbers measured in tissue against numbers measured in blood: scatter, and limits of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    NORMAL,
    RULE,
    SMALL,
    Drawn,
    canvas,
    caption,
    finite,
    format_interval,
    format_number,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
    wrap,
)
from correlatives.pairing import TISSUE_NAME
from correlatives.resistance.concordance_by_class import LEAST_PAIRS, compared_quantities

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from correlatives.cohort import Cohort

COLUMNS = ("tissue_marker", "blood_marker", "blood_specimen", "order", "tissue", "blood", "scale")

#: Panels in a line, lines on a page, and inches: a line of panels, a panel.
ACROSS, DOWN = 4, 4
LINE, PANEL = 2.0, 1.12

POINTS = "#3A3A3A"


@styled
def draw(
    cohort: Cohort,
    continuous: pd.DataFrame,
    *,
    timepoint: str = "baseline",
    subject_level: bool = False,
    simulated: bool = False,
) -> Drawn:
    """Draw a scatter plot a pair of quantities, and Bland and Altman's where both are the same quantity.

    Parameters
    ----------
    cohort : Cohort
    continuous : pd.DataFrame
        ``resistance/concordance_continuous.tsv``: the estimates printed. None is computed here.
    timepoint : str
        Analysis timepoint of both samples.
    subject_level : bool
        Whether subject identifiers may be written.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the two values of every point, on the scale of the analysis.
    """
    title = "Quantities in tissue and in blood of the same subjects."
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    part = cohort.analysed()
    table = continuous[continuous["pairs"] >= LEAST_PAIRS].reset_index(drop=True)
    # The same quantity on one scale first, since only there agreement means anything; then by pairs.
    comparable = table["bias"].notna().to_numpy() if len(table) else np.zeros(0, dtype=bool)
    order = np.lexsort((-table["pairs"].to_numpy(), ~comparable)) if len(table) else []
    panels: list[tuple[pd.Series, bool]] = []
    chosen = 0
    for i in order:
        needed = [False, True] if comparable[i] else [False]
        if len(panels) + len(needed) > ACROSS * DOWN:
            break
        chosen += 1
        panels += [(table.loc[i], bland) for bland in needed]
    if not panels:
        return no_data(
            f"no quantity of a pathway was measured in tissue and in blood of {LEAST_PAIRS} subjects or more at {timepoint}",
            title=title,
            columns=columns,
            simulated=simulated,
            width=DOUBLE,
        )
    values = {
        (specimen, quantity["name"]): quantity
        for specimen in [TISSUE_NAME, *dict.fromkeys(table["blood_specimen"])]
        for quantity in compared_quantities(part, specimen, timepoint)
    }
    lines = -(-len(panels) // ACROSS)
    figure, top = new_figure(DOUBLE, LINE * lines + 0.04, simulated=simulated)
    page = canvas(figure)
    pitch = DOUBLE / ACROSS
    ids = part.subjects["subject_id"].to_numpy(dtype=object)
    rows: list[dict[str, object]] = []
    for k, (line, bland) in enumerate(panels):
        left = pitch * (k % ACROSS)
        ceiling = top - LINE * (k // ACROSS)
        axes = place(figure, left + 0.46, ceiling - 0.46 - PANEL, pitch - 0.58, PANEL)
        tissue = values[TISSUE_NAME, line["tissue_marker"]]
        blood = values[line["blood_specimen"], line["blood_marker"]]
        both = np.flatnonzero(np.isfinite(tissue["value"]) & np.isfinite(blood["value"]))
        x, y = tissue["value"][both], blood["value"][both]
        place_of_blood = str(line["blood_specimen"])
        names = [tissue["label"], blood["label"]]
        # the caption says to what the ratios of copies are
        scales = [q["scale"].removesuffix(" to two copies") for q in (tissue, blood)]
        if bland:
            _draw_agreement(axes, x, y, line)
            heading = f"{names[1]}: {place_of_blood} − tissue"
            detail = f"bias {format_interval(line['bias'], line['bias_low'], line['bias_high'])}"
            labels = ("mean of the two", "difference")
        else:
            _draw_scatter(axes, x, y, identity=bool(finite(line["bias"])))
            heading = names[1] if names[0] == names[1] else f"{names[1]} v {names[0]}"
            rho = [line[f"spearman{end}"] for end in ("", "_low", "_high")]
            detail = f"n {int(line['pairs'])}, ρ {format_interval(*rho)}"
            places = zip(("tissue", place_of_blood), scales, strict=True)
            labels = tuple(", ".join(filter(None, each)) for each in places)
            found = sorted(zip(x, y, ids[both], strict=True), key=lambda p: (p[0], p[1]))
            rows += [
                {
                    "subject_id": subject,
                    "tissue_marker": line["tissue_marker"],
                    "blood_marker": line["blood_marker"],
                    "blood_specimen": place_of_blood,
                    "order": position + 1,
                    "tissue": a,
                    "blood": b,
                    "scale": line["scale"] if isinstance(line["scale"], str) else "",
                }
                for position, (a, b, subject) in enumerate(found)
            ]
        page.text(
            left + 0.06,
            ceiling - 0.03,
            "\n".join(wrap(heading, pitch - 0.1, NORMAL, weight="bold")),
            fontsize=NORMAL,
            fontweight="bold",
            va="top",
        )
        page.text(
            left + 0.06,
            ceiling - 0.26,
            shorten(detail, pitch - 0.1, SMALL),
            fontsize=SMALL,
            color=DIM,
            va="top",
        )
        axes.set_xlabel(shorten(labels[0], pitch - 0.5, SMALL), fontsize=SMALL, labelpad=1.5)
        axes.set_ylabel(shorten(labels[1], PANEL + 0.2, SMALL), fontsize=SMALL, labelpad=1.5)
        axes.tick_params(labelsize=SMALL, pad=1.5)
        axes.locator_params(nbins=4, steps=[1, 2, 5, 10])
    hidden = len(table) - chosen
    few = int((continuous["pairs"] < LEAST_PAIRS).sum())
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=["subject_id", *COLUMNS])[columns],
        caption(
            title,
            f"{chosen} pairs of quantities at {rst_escape(timepoint)}, {int(table['pairs'].min())} to "
            f"{int(table['pairs'].max())} subjects each (n over each panel).",
            "Quantities of one pathway, of one name, or the copy number of one gene, on the scale of the analysis. ρ: Spearman's "
            "rank correlation with 95 % limits. Where both are the same quantity on the same scale, the scatter has the line "
            "of equality and the next panel the difference against the mean (Bland and Altman): solid the bias, dashed "
            "the 95 % limits of agreement. Copy numbers are log2 ratios to two copies, known only where both samples "
            "had the call.",
            (f"{hidden} further pairs of quantities are in the table only. " if hidden else "")
            + (f"{few} with fewer than {LEAST_PAIRS} subjects are not drawn." if few else ""),
            "The figure does not show whether either measurement is right; quantities of different kinds need not be "
            "equal, only move together.",
            simulated=simulated,
        ),
    )


def _limits(values: np.ndarray) -> tuple[float, float]:
    air = 0.06 * float(np.ptp(values)) or 0.5
    return float(values.min()) - air, float(values.max()) + air


def _points(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    axes.plot(
        x,
        y,
        linestyle="none",
        marker="o",
        markersize=2.4 if len(x) < 150 else 1.6,
        markeredgewidth=0,
        color=POINTS,
        alpha=0.6,
        gid="subjects",
    )


def _draw_scatter(axes: Axes, x: np.ndarray, y: np.ndarray, *, identity: bool) -> None:
    """Draw the points, with the line of equality where it means something."""
    _points(axes, x, y)
    axes.set_xlim(*_limits(x))
    axes.set_ylim(*_limits(y))
    if identity:
        ends = _limits(np.concatenate([x, y]))
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.plot(ends, ends, color=RULE, linewidth=0.7, zorder=0)


def _draw_agreement(axes: Axes, x: np.ndarray, y: np.ndarray, line: pd.Series) -> None:
    """Draw differences against means, the bias and the limits of agreement of the table."""
    difference = y - x
    _points(axes, (x + y) / 2, difference)
    ends = [line["agreement_low"], line["agreement_high"], line["bias"]]
    known = np.array([end for end in ends if finite(end)], dtype=float)
    axes.set_xlim(*_limits((x + y) / 2))
    low, high = _limits(np.concatenate([difference, known, [0.0]]))
    # Room for the number under the lower line.
    axes.set_ylim(low - 0.1 * (high - low), high)
    axes.axhline(0, color=RULE, linewidth=0.5, zorder=0)
    axes.axhline(line["bias"], color=BLACK, linewidth=1.0, zorder=1, gid="bias")
    for end, above in (("agreement_low", False), ("agreement_high", True)):
        if finite(line[end]):
            axes.axhline(line[end], color=BLACK, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
            axes.annotate(
                format_number(line[end]),
                (1, line[end]),
                xycoords=axes.get_yaxis_transform(),
                xytext=(0, 1.5 if above else -1.5),
                textcoords="offset points",
                ha="right",
                va="bottom" if above else "top",
                fontsize=SMALL,
                annotation_clip=False,
                # The line of no difference does not run through a number.
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.2},
            )
