"""Whether predicted probabilities of response, or of an event by the horizon, are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.predictions import Known, known_outcomes, measured, model_styles
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
from correlatives.response.performance import GROUP, GROUPS, groups_by_prediction, observed_risk

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("panel", "model", "predicted", "observed", "low", "high", "n")

#: Probabilities of which the central 95 % differ by less have no shape: they are one group, and nothing is smoothed.
NARROW = 0.1
CENTRAL = (0.025, 0.975)

#: Share of the subjects in each window of the smooth line.
WINDOW = 0.75

#: Printed in the panel: metric's name in the table, and what it is called.
PRINTED = {
    "brier": "Brier",
    "calibration_intercept": "intercept",
    "calibration_slope": "slope",
}


@styled
def draw(
    predictions: pd.DataFrame,
    endpoint: str,
    *,
    performance: pd.DataFrame | None = None,
    simulated: bool = False,
) -> Drawn:
    """Draw what was observed against what was predicted, a panel a model.

    Parameters
    ----------
    predictions : pd.DataFrame
        As for ``roc.draw``.
    endpoint : str
    performance : pd.DataFrame, optional
        ``response/performance.tsv``: metrics ``brier``, ``calibration_intercept``, ``calibration_slope`` printed, of
        a time to event those ``_at_{months}_months``.
    simulated : bool

    Returns
    -------
    Drawn
        Source: panel (group; smooth, of a response), model, predicted, observed with limits, n, and responders or
        events (by the horizon).
    """
    title = f"{rst_escape(endpoint)}: calibration of the response models."
    known = known_outcomes(predictions)
    columns = [*COLUMNS, "events" if known.survival else "responders"]
    if not len(known.rows):
        return no_data(
            f"{endpoint} has no predicted probabilities",
            title=title,
            columns=columns,
            simulated=simulated,
        )
    by = f" by {known.months:g} months" if known.survival else ""
    styles = model_styles(known.rows)
    n_columns = min(len(styles), 3)
    n_rows = -(-len(styles) // 3)
    width = SINGLE if len(styles) == 1 else DOUBLE
    figure, top = new_figure(width, (3.1 if n_columns < 3 else 2.75) * n_rows, simulated=simulated)
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    rows: list[dict[str, object]] = []
    alike: list[str] = []
    for axes, (model, (colour, line, marker)) in zip(panels, styles.items(), strict=False):
        part = known.rows[known.rows["model"] == model]
        means = part.drop_duplicates("subject").set_index("subject").sort_index()
        means["probability"] = part.groupby("subject")["probability"].mean()
        if hardly_differ(means["probability"].to_numpy(dtype=float)):
            alike.append(model)
        rows += _draw_panel(axes, model, means, known, colour, line, marker)
        room = min(width / n_columns - 0.75, 1.9)
        axes.set_title("\n".join(wrap(model, room, LARGE, weight="bold")))
        printed = [
            f"{name} {value if value != '–' else 'not estimable'}"
            for metric, name in PRINTED.items()
            if (
                value := _metric(
                    performance, endpoint, model, f"{metric}{known.behind}", list(styles)
                )
            )
        ]
        axes.set_xlabel(
            (f"Predicted risk{by}" if known.survival else "Predicted probability")
            + "".join(f"\n{text}" for text in printed),
            linespacing=1.3,
            fontsize=LARGE if not printed else SMALL,
        )
    for axes in panels[len(styles) :]:
        axes.set_visible(False)
    for axes in panels[: len(styles) : n_columns]:
        axes.set_ylabel(f"Observed risk{by}" if known.survival else "Observed share of responders")
    constrain(figure, top)
    source = pd.DataFrame(rows).rename(columns={"events": columns[-1]})[columns]
    return Drawn(
        figure,
        source,
        caption(
            title,
            f"{known.counted()}.",
            f"Risk: the probability of an event by {known.months:g} months."
            if known.survival
            else "",
            "Every subject's probability is the mean over repeats of predictions by models that had not seen the "
            f"subject. Points: groups of equal size (at most {GROUPS}, of at least {GROUP} subjects where there are "
            f"as many){_how(known)}; diagonal: perfect calibration. Brier score, calibration intercept (0 is "
            "right) and slope (1 is right; less is overfitted) with 95 % limits as in the performance table, "
            "which allow for what refitting on other subjects would change (Nadeau & Bengio 2003)"
            + (
                f"; they are of the status at {known.months:g} months, weighted by the inverse probability of being "
                "uncensored."
                if known.survival
                else "."
            ),
            _not_drawn(source, known),
            f"Predictions hardly differ for: {', '.join(rst_escape(name) for name in alike)}. The central 95 % of them lie "
            f"within {NARROW}: such a model tells subjects hardly apart, and its calibration is one number, the mean "
            f"predicted against the {'observed risk' if known.survival else 'share of responders'}. That is no evidence "
            "that biomarkers harm: a model that found no signal predicts everybody's average."
            if alike
            else "",
            "The figure does not show calibration in another hospital's patients; with groups this small, points "
            "wander around the diagonal by chance.",
            simulated=simulated,
        ),
    )


def hardly_differ(probability: np.ndarray) -> bool:
    """Whether the central 95 % of the predictions are too close for a shape."""
    low, high = np.quantile(probability, CENTRAL)
    return bool(high - low <= NARROW)


def _how(known: Known) -> str:
    """Say how what was observed was estimated, and what the ticks are."""
    if not known.survival:
        return (
            ", with Wilson 95 % limits; line: locally weighted regression; ticks: subjects, responders above and others "
            "below"
        )
    return (
        f"; observed risk: one minus the Kaplan–Meier estimate at {known.months:g} months in the group, which uses those "
        "censored before for as long as they were followed, with log-log 95 % limits; ticks: subjects, with the event "
        "by then above, followed for longer without it below"
        + (", censored before not shown" if known.censored else "")
    )


def _not_drawn(source: pd.DataFrame, known: Known) -> str:
    """Say how many groups have no point or no limits, and why; empty where all have both."""
    if not known.survival:
        return ""
    groups = source[source["panel"] == "group"]
    missing = int(groups["observed"].isna().sum())
    bare = int(groups["observed"].isin((0.0, 1.0)).sum())
    return " ".join(
        said
        for number, said in (
            (
                missing,
                f"Groups without a point: {missing} (nobody in them was followed for {known.months:g} months).",
            ),
            (
                bare,
                f"Groups without limits: {bare} (nobody, or everybody, in them had the event by then, and log-log limits "
                "have no width there).",
            ),
        )
        if number
    )


def _metric(
    performance: pd.DataFrame | None, endpoint: str, model: str, name: str, models: list[str]
) -> str:
    """Return a metric with its limits, all models' with the same decimals: two, or as many as tell limits apart."""
    values = measured(performance, endpoint, model, name)
    if values is None:
        return ""
    if not all(finite(value) for value in values) or max(map(abs, values)) >= 1000:
        return format_interval(*values)
    every = [measured(performance, endpoint, other, name) for other in models]
    gaps = [high - low for _, low, high in filter(None, every) if finite(low) and finite(high)]
    gap = min(gaps)
    digits = next((d for d in (2, 3) if gap >= 5 * 10.0**-d), 4)
    estimate, low, high = (
        # Adding 0 makes a rounded −0 a 0.
        f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
        for value in map(float, values)
    )
    dash = " to " if "−" in low + high else "–"
    return f"{estimate} ({low}{dash}{high})"


def _draw_panel(
    axes: Axes,
    model: str,
    means: pd.DataFrame,
    known: Known,
    colour: str,
    line: object,
    marker: str,
) -> list[dict[str, object]]:
    """Draw one model, and return the numbers drawn."""
    means = means.sort_values("probability", kind="stable")
    p, status = (means[name].to_numpy(dtype=float) for name in ("probability", "status"))
    outcome = means["outcome"].to_numpy(dtype=float)
    time = means["time_months"].to_numpy(dtype=float) if known.survival else None
    rows: list[dict[str, object]] = draw_groups(
        axes, p, outcome, time, known.months, colour=colour, marker=marker
    )
    if hardly_differ(p):
        say_alike(axes, p)
    elif len(p) >= GROUP and not known.survival:
        grid = np.linspace(p[0], p[-1], 41)
        smooth = np.clip(lowess(p, status, grid), 0, 1)
        axes.plot(grid, smooth, color=colour, linestyle=line, linewidth=1.0, zorder=1)
        rows += [
            {"panel": "smooth", "predicted": x, "observed": s}
            for x, s in zip(grid, smooth, strict=True)
        ]
    for value, base, end in ((1, 1.03, 1.07), (0, -0.03, -0.07)):
        shown = (status == value) & (means["weight"].to_numpy(dtype=float) > 0)
        axes.vlines(p[shown], base, end, color=DIM, linewidth=0.3)
    frame(axes)
    return [{"model": model, **row} for row in rows]


def draw_groups(
    axes: Axes,
    predicted: np.ndarray,
    outcome: np.ndarray,
    time: np.ndarray | None = None,
    months: float = float("nan"),
    *,
    colour: str,
    marker: str = "o",
) -> list[dict[str, object]]:
    """Draw what was observed in groups of equal size by prediction, and return the numbers drawn.

    Parameters
    ----------
    axes : Axes
    predicted, outcome : np.ndarray, shape (n,)
        Probability of a response, or of an event by the horizon; 0 or 1.
    time : np.ndarray, shape (n,), optional
        Months to event or censoring.
    months : float
        Horizon of a time to event.
    colour, marker : str

    Returns
    -------
    list of dict
        panel, predicted (mean), observed with limits, n, events (responders, or events by the horizon): as in
        ``response/calibration_curve.tsv``, but one group where the predictions hardly differ.
    """
    alike = hardly_differ(predicted)
    groups = [np.arange(len(predicted))] if alike else groups_by_prediction(predicted)
    had = outcome if time is None else outcome * (time <= months)
    rows: list[dict[str, object]] = []
    for part in groups:
        centre = float(predicted[part].mean())
        observed = observed_risk(outcome[part], None if time is None else time[part], months)
        if np.isfinite([observed.low, observed.high]).all():
            axes.plot([centre] * 2, [observed.low, observed.high], color=colour, linewidth=0.8)
        if np.isfinite(observed.estimate):
            axes.plot(
                centre, observed.estimate, marker=marker, markersize=4, color=colour, gid="group"
            )
        rows.append(
            {
                "panel": "group",
                "predicted": centre,
                "observed": observed.estimate,
                "low": observed.low,
                "high": observed.high,
                "n": len(part),
                "events": int(had[part].sum()),
            }
        )
    return rows


def say_alike(axes: Axes, predicted: np.ndarray) -> None:
    """Write where the central 95 % of predictions lie that hardly differ."""
    low, high = np.quantile(predicted, CENTRAL)
    axes.text(
        0.5,
        0.9,
        f"predictions hardly differ\n(95 % in {low:.2f} to {high:.2f})",
        ha="center",
        va="center",
        fontsize=SMALL,
        color=DIM,
    )


def frame(axes: Axes) -> None:
    """Draw a square from 0 to 1 with room for the subjects' ticks, and its diagonal."""
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=0.6, zorder=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.08, 1.08)
    ticks = ([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xticks(*ticks)
    axes.set_yticks(*ticks)
    axes.set_aspect("equal")


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
