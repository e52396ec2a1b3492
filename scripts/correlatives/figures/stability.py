"""Which predictors a model chooses again and again when its training subjects change."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from correlatives.figures.markers import Labels
from correlatives.figures.style import (
    GREEN,
    PURPLE,
    SHADE,
    SINGLE,
    SMALL,
    Drawn,
    caption,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
    text_width,
)
from correlatives.tables.dictionary import column_label, marker_label

COLUMNS = ("model", "predictor", "selected", "positive", "coefficient", "fits")

#: Predictors drawn at most.
TOP = 20

#: Inches: a row, names at the left, foot, head.
ROW, FOOT, HEAD, RIGHT = 0.17, 0.62, 0.08, 0.12

#: Room of the names, in inches: as much as they need between these.
LEAST, MOST = 1.0, 2.35


@styled
def draw(
    stability: pd.DataFrame,
    endpoint: str,
    model: str,
    *,
    survival: bool,
    labels: Labels | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw how often each predictor has a coefficient, and with which sign.

    Parameters
    ----------
    stability : pd.DataFrame
        ``response/stability.tsv``: endpoint, model, predictor, selected (share of the fits), positive (share of those
        with a positive coefficient), coefficient (median of those), fits.
    endpoint : str
    model : str
        The model shown.
    survival : bool
        Whether a time to event is predicted: what a positive coefficient goes with.
    labels : mapping, optional
        (biomarker, specimen) -> the label of the dictionary; columns of the subjects table have specimen ``clinical``.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn.
    """
    title = f"{rst_escape(endpoint)}: how often predictors are chosen ({rst_escape(model)})."
    own = stability[(stability["endpoint"] == endpoint) & (stability["model"] == model)]
    chosen = own[own["selected"] > 0].sort_values(
        ["selected", "predictor"], ascending=[False, True], kind="stable"
    )
    if not len(chosen):
        why = (
            f"no fit of {endpoint} has chosen a predictor"
            if len(own)
            else f"{endpoint} has no such model"
        )
        return no_data(why, title=title, columns=COLUMNS, simulated=simulated)
    shown = chosen.head(TOP)
    figure, _ = new_figure(SINGLE, HEAD + FOOT + ROW * len(shown), simulated=simulated)
    names = [named(str(name), labels or {}) for name in shown["predictor"]]
    left = float(np.clip(max(text_width(name, SMALL) for name in names) + 0.12, LEAST, MOST))
    axes = place(figure, left, FOOT, SINGLE - left - RIGHT, ROW * len(shown))
    for row, line in enumerate(shown.itertuples(index=False)):
        y = row + 0.5
        share, positive = float(line.selected), float(line.positive)
        axes.barh(y, 1, height=0.7, color=SHADE, zorder=0)
        axes.barh(y, share * positive, height=0.7, color=PURPLE)
        axes.barh(y, share * (1 - positive), left=share * positive, height=0.7, color=GREEN)
        axes.text(
            -0.02,
            y,
            shorten(names[row], left - 0.08, SMALL),
            ha="right",
            va="center",
            fontsize=SMALL,
        )
    axes.set_ylim(len(shown), 0)
    axes.set_yticks([])
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("Share of fits")
    words = {PURPLE: "with a positive coefficient", GREEN: "with a negative one"}
    figure.legend(
        handles=[Patch(color=colour, label=label) for colour, label in words.items()],
        loc="lower center",
        ncols=2,
        fontsize=SMALL,
        handlelength=1.0,
        columnspacing=1.2,
    )
    fits = int(shown["fits"].iloc[0])
    left_out = len(chosen) - len(shown)
    return Drawn(
        figure,
        shown[list(COLUMNS)].reset_index(drop=True),
        caption(
            title,
            f"{fits} fits: one each of repeated cross-validation's training sets, tuned and selected anew. Bars: share of the "
            "fits in which a predictor has a coefficient, by its sign. A positive coefficient goes with "
            f"{'earlier events' if survival else 'more responses'}. "
            f"{len(chosen)} {'predictor was' if len(chosen) == 1 else 'predictors were'} chosen at least once"
            + (f"; the {TOP} chosen most often are shown." if left_out else "."),
            "A predictor that changes its sign, or comes and goes, stands for others that carry the same information. The "
            "figure does not show that a predictor causes anything, nor how much the model would lose without it.",
            simulated=simulated,
        ),
    )


def named(predictor: str, labels: Labels) -> str:
    """Return what a predictor is called.

    ``serum:TK1`` is Thymidine kinase 1 activity (serum) if the dictionary says so, else TK1 (serum);
    ``clinical:site=B`` is Site: B, ``missing:…`` is … missing.
    """
    first, _, rest = predictor.partition(":")
    if not rest:
        return predictor
    if first == "missing":
        return f"{named(rest, labels)} missing"
    if first == "clinical":
        column, _, level = rest.partition("=")
        label = labels.get((column, first)) or column_label(column)
        return f"{label}: {level}" if level else label
    specimen = first.replace("_", " ")
    label = labels.get((rest, first)) or marker_label(rest)
    return label if specimen in label.lower() else f"{label} ({specimen})"
