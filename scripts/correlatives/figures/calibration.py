"""Whether predicted probabilities of response are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.predictions import counts, measured, model_styles, of_response
from correlatives.figures.style import (
    DIM,
    DOUBLE,
    LARGE,
    RULE,
    SINGLE,
    SMALL,
    Drawn,
    caption,
    constrain,
    finite,
    format_interval,
    new_figure,
    no_data,
    rst_escape,
    styled,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("panel", "model", "predicted", "observed", "low", "high", "n", "responders")

#: Subjects in a group at least, and groups at most.
GROUP = 12
GROUPS = 5

#: Probabilities of which the central 95 % differ by less have no shape: they are one group, and nothing is smoothed.
NARROW = 0.1

#: Share of the subjects in each window of the smooth line.
WINDOW = 0.75

#: Printed in the panel: metric's names in the table, and what it is called.
PRINTED = (
    (("brier", "brier_score"), "Brier"),
    (("calibration_intercept", "intercept"), "intercept"),
    (("calibration_slope", "slope"), "slope"),
)


@styled
def draw(
    predictions: pd.DataFrame,
    endpoint: str,
    *,
    performance: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw observed against predicted response, a panel a model.

    Parameters
    ----------
    predictions : pd.DataFrame
        As for ``roc.draw``.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: metrics ``brier``, ``calibration_intercept``, ``calibration_slope`` printed.
    simulated : bool

    Returns
    -------
    Drawn
        Source: panel (group, smooth), model, predicted, observed with Wilson limits, n, responders.
    """
    title = f"{rst_escape(endpoint)}: calibration of the response models."
    known = of_response(predictions)
    if not len(known):
        return no_data(
            f"{endpoint} has no predicted probabilities",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    styles = model_styles(known)
    n_columns = min(len(styles), 3)
    n_rows = -(-len(styles) // 3)
    width = SINGLE if len(styles) == 1 else DOUBLE
    figure, top = new_figure(width, (3.1 if n_columns < 3 else 2.75) * n_rows, simulated=simulated)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    rows: list[dict[str, object]] = []
    alike: list[str] = []
    for axes, (model, (colour, line, marker)) in zip(panels, styles.items(), strict=False):
        means = (
            known[known["model"] == model]
            .groupby("subject", sort=True)
            .agg(probability=("probability", "mean"), outcome=("outcome", "first"))
        )
        if hardly_differ(means["probability"].to_numpy(dtype=float)):
            alike.append(model)
        rows += _draw_panel(axes, model, means, colour, line, marker)
        room = min(width / n_columns - 0.75, 1.9)
        axes.set_title("\n".join(wrap(model, room, LARGE, weight="bold")))
        printed = [
            f"{name} {value if value != '–' else 'not estimable'}"
            for names, name in PRINTED
            if (value := _metric(performance, endpoint, model, names))
        ]
        axes.set_xlabel(
            "Predicted probability" + "".join(f"\n{text}" for text in printed),
            linespacing=1.3,
            fontsize=LARGE if not printed else SMALL,
        )
    for axes in panels[len(styles) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("Observed share of responders")
    constrain(figure, top)
    return Drawn(
        figure,
        pd.DataFrame(rows, columns=list(COLUMNS)),
        caption(
            title,
            f"{counts(known)}.",
            "Every subject's probability is the mean over repeats of predictions by models that had not seen the "
            f"subject. Points: groups of equal size (at most {GROUPS}, of at least {GROUP} subjects where there are "
            "as many), with Wilson 95 % limits; line: locally weighted regression; ticks: subjects, responders "
            "above and others below; diagonal: perfect calibration. Brier score, calibration intercept (0 is "
            "right) and slope (1 is right; less is overfitted) with 95 % limits as in the performance table, "
            "which allow for what refitting on other subjects would change (Nadeau & Bengio 2003).",
            f"Predictions hardly differ for: {', '.join(rst_escape(name) for name in alike)}. The central 95 % of them lie "
            f"within {NARROW}: such a model tells subjects hardly apart, and its calibration is one number, the mean "
            "predicted against the share of responders. That is no evidence that biomarkers harm: a model that found no "
            "signal predicts everybody's average."
            if alike
            else "",
            "The figure does not show calibration in another hospital's patients; with groups this small, points "
            "wander around the diagonal by chance.",
            simulated=simulated,
        ),
    )


def hardly_differ(probability: np.ndarray) -> bool:
    """Whether the central 95 % of the predictions are too close for a shape."""
    low, high = np.quantile(probability, [0.025, 0.975])
    return bool(high - low <= NARROW)


def _metric(
    performance: pd.DataFrame | None, endpoint: str, model: str, names: tuple[str, ...]
) -> str:
    """Return a metric with its limits, all with the same decimals: two, or as many as tell the limits apart."""
    values = measured(performance, endpoint, model, names)
    if values is None:
        return ""
    if not all(finite(value) for value in values) or max(map(abs, values)) >= 1000:
        return format_interval(*values)
    gap = values[2] - values[1]
    digits = next((d for d in (2, 3) if gap >= 5 * 10.0**-d), 4)
    estimate, low, high = (
        # Adding 0 makes a rounded −0 a 0.
        f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
        for value in map(float, values)
    )
    dash = " to " if "−" in low + high else "–"
    return f"{estimate} ({low}{dash}{high})"


def _draw_panel(
    axes: Axes, model: str, means: pd.DataFrame, colour: str, line: object, marker: str
) -> list[dict[str, object]]:
    """Draw one model, and return the numbers drawn."""
    from statsmodels.stats.proportion import proportion_confint

    means = means.sort_values("probability", kind="stable")
    p = means["probability"].to_numpy(dtype=float)
    y = means["outcome"].to_numpy(dtype=float)
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.6, zorder=0)
    rows: list[dict[str, object]] = []
    alike = hardly_differ(p)
    n_groups = 1 if alike else int(np.clip(len(p) // GROUP, 1, GROUPS))
    for part in np.array_split(np.arange(len(p)), n_groups):
        responders, n = int(y[part].sum()), len(part)
        low, high = proportion_confint(responders, n, method="wilson")
        centre, observed = float(p[part].mean()), responders / n
        axes.plot([centre, centre], [low, high], color=colour, linewidth=0.8)
        axes.plot(centre, observed, marker=marker, markersize=4, color=colour, gid="group")
        rows.append(
            {
                "panel": "group",
                "model": model,
                "predicted": centre,
                "observed": observed,
                "low": float(low),
                "high": float(high),
                "n": n,
                "responders": responders,
            }
        )
    if alike:
        axes.text(
            0.5,
            0.9,
            f"predictions hardly differ\n({p[0]:.2f} to {p[-1]:.2f})",
            ha="center",
            va="center",
            fontsize=SMALL,
            color=DIM,
        )
    elif len(p) >= GROUP:
        grid = np.linspace(p[0], p[-1], 41)
        smooth = np.clip(lowess(p, y, grid), 0, 1)
        axes.plot(grid, smooth, color=colour, linestyle=line, linewidth=1.0, zorder=1)
        rows += [
            {"panel": "smooth", "model": model, "predicted": x, "observed": s}
            for x, s in zip(grid, smooth, strict=True)
        ]
    for value, base, end in ((1, 1.03, 1.07), (0, -0.03, -0.07)):
        axes.vlines(p[y == value], base, end, color=DIM, linewidth=0.3)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.08, 1.08)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_aspect("equal")
    return rows


def lowess(x: np.ndarray, y: np.ndarray, at: np.ndarray, window: float = WINDOW) -> np.ndarray:
    """Return a locally weighted straight line (tricube weights, no robustness steps) at the points `at`.

    statsmodels' own is not used because it divides by zero where many predictions are equal.

    Parameters
    ----------
    x, y : np.ndarray, shape (n,)
        Predicted probability and outcome.
    at : np.ndarray, shape (m,)
        Where the line is wanted.
    window : float
        Share of the points in each window.

    References
    ----------
    Cleveland WS. JASA 1979;74:829-836.
    """
    k = max(2, int(np.ceil(window * len(x))))
    out = np.empty(len(at))
    for i, centre in enumerate(at):
        distance = np.abs(x - centre)
        width = max(np.partition(distance, k - 1)[k - 1], 1e-9) * 1.000001
        weight = np.clip(1 - (distance / width) ** 3, 0, None) ** 3
        total = weight.sum()
        mean_x, mean_y = weight @ x / total, weight @ y / total
        spread = weight @ (x - mean_x) ** 2
        slope = weight @ ((x - mean_x) * (y - mean_y)) / spread if spread > 1e-12 * total else 0.0
        out[i] = mean_y + slope * (centre - mean_x)
    return out
