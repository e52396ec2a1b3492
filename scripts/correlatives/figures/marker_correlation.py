"""How markers go together: a heatmap of rank correlations, ordered by clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap

from correlatives.figures.style import (
    BLACK,
    BLUE,
    DIM,
    DOUBLE,
    LARGE,
    SHADE,
    SMALL,
    VERMILLION,
    Drawn,
    caption,
    new_figure,
    no_data,
    place,
    shorten,
    styled,
)
from correlatives.markers import KEY

#: Markers drawn at most.
MOST = 30

#: How they are picked, in words.
RULE = (
    "Confirmatory ones first, then those with the smallest randomisation p of an interaction with any endpoint, "
    f"{MOST} at most."
)

#: Subjects with both markers, below which a correlation is not given.
LEAST_PAIRS = 10

#: Inches: a marker's cell at most, room for its name, for the tree and the bar.
CELL, NAME, TREE = 0.165, 1.75, 0.5

#: Markers whose correlations are written too, at most, and the side of such a cell.
WRITTEN, CELL_WRITTEN = 12, 0.26

COLUMNS = ["marker", "other", "n", "spearman", "position", "other_position"]


def choose(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of the markers drawn, by `RULE`, of the endpoints' predictive/{endpoint}.tsv."""
    ordered = pd.concat(tables).sort_values(["family", "p_randomisation", *KEY], kind="stable")
    return ordered.drop_duplicates(KEY).head(MOST)


def rank_correlations(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spearman's correlations of rows over the columns where both are finite.

    Parameters
    ----------
    value : np.ndarray, shape (p, n)

    Returns
    -------
    correlation : np.ndarray, shape (p, p)
        NaN with fewer than `LEAST_PAIRS` pairs or where a marker does not vary.
    pairs : np.ndarray of int, shape (p, p)
    """
    from scipy.stats import rankdata

    p = len(value)
    correlation, pairs = np.full((p, p), np.nan), np.zeros((p, p), dtype=int)
    for i in range(p):
        for j in range(i, p):
            both = np.isfinite(value[i]) & np.isfinite(value[j])
            pairs[i, j] = pairs[j, i] = both.sum()
            if both.sum() < LEAST_PAIRS:
                continue
            one, other = (rankdata(value[row, both]) - (both.sum() + 1) / 2 for row in (i, j))
            size = np.sqrt((one**2).sum() * (other**2).sum())
            if size > 0:
                correlation[i, j] = correlation[j, i] = float((one * other).sum() / size)
    return correlation, pairs


@styled
def draw(
    names: list[str],
    value: np.ndarray,
    *,
    confirmatory: np.ndarray | None = None,
    rule: str = "",
    simulated: bool = False,
) -> Drawn:
    """Draw the correlations of markers, those that go together side by side.

    Parameters
    ----------
    names : list of str
        Of the markers.
    value : np.ndarray, shape (p, n)
        Values; NaN where not evaluable.
    confirmatory : np.ndarray of bool, shape (p,), optional
        Whose names are black.
    rule : str
        How the markers were picked (reStructuredText).
    simulated : bool

    Returns
    -------
    Drawn
        Source: a row a pair: marker, other, n, spearman, and their places in the figure.
    """
    title = "Correlation of markers at baseline."
    names, value = list(names)[:MOST], np.asarray(value, dtype=float)[:MOST]
    if len(names) < 2:
        return no_data(
            "fewer than two markers to correlate",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
            width=DOUBLE,
        )
    from scipy.cluster.hierarchy import dendrogram, linkage
    from scipy.spatial.distance import squareform

    correlation, pairs = rank_correlations(value)
    distance = 1.0 - np.abs(np.nan_to_num(correlation))
    np.fill_diagonal(distance, 0.0)
    tree = dendrogram(linkage(squareform(distance, checks=False), method="average"), no_plot=True)
    order = np.array(tree["leaves"])
    p = len(names)
    written = p <= WRITTEN
    cell = min(CELL_WRITTEN if written else CELL, (DOUBLE - NAME - TREE - 0.75) / p)
    side = cell * p
    bottom = NAME
    figure, _ = new_figure(DOUBLE, bottom + side + TREE + 0.12, simulated=simulated)
    left = NAME + 0.05
    axes = place(figure, left, bottom, side, side)
    colours = LinearSegmentedColormap.from_list("correlation", [BLUE, "white", VERMILLION])
    colours = colours.with_extremes(bad=SHADE)
    shown = correlation[np.ix_(order, order)]
    picture = axes.pcolormesh(
        np.arange(p + 1),
        np.arange(p + 1),
        np.ma.masked_invalid(shown),
        cmap=colours,
        vmin=-1,
        vmax=1,
        edgecolors="white",
        linewidth=0.3,
    )
    axes.set_ylim(p, 0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    sure = np.zeros(p, dtype=bool) if confirmatory is None else np.asarray(confirmatory)[:MOST]
    labels = [shorten(names[i], NAME - 0.1, SMALL) for i in order]
    middle = np.arange(p) + 0.5
    axes.set_xticks(middle, labels, rotation=90, fontsize=SMALL)
    axes.set_yticks(middle, labels, fontsize=SMALL)
    axes.tick_params(length=0, pad=2)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for i, tick in zip(order, ticks, strict=True):
            tick.set_color(BLACK if sure[i] else DIM)
    if written:
        for i in range(p):
            for j in range(p):
                if np.isfinite(shown[i, j]) and i != j:
                    text = f"{shown[i, j]:.1f}".replace("-0.0", "0.0").replace("-", "−")
                    axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=SMALL)
    branches = place(figure, left, bottom + side + 0.03, side, TREE)
    for xs, ys in zip(tree["icoord"], tree["dcoord"], strict=True):
        branches.plot(np.array(xs) / 10, ys, color=DIM, linewidth=0.6, clip_on=False)
    branches.set_xlim(0, p)
    branches.set_ylim(0, max(1.0, float(np.max(tree["dcoord"]))))
    branches.set_axis_off()
    bar = place(figure, left + side + 0.15, bottom + side - min(1.2, side), 0.09, min(1.2, side))
    figure.colorbar(picture, cax=bar, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_yticklabels(["−1", "−0.5", "0", "0.5", "1"], fontsize=SMALL)
    bar.set_title("Spearman", fontsize=LARGE, fontweight="normal", loc="left", pad=4)
    places = np.argsort(order)
    source = pd.DataFrame(
        [
            (names[i], names[j], pairs[i, j], correlation[i, j], places[i] + 1, places[j] + 1)
            for i in range(p)
            for j in range(i, p)
        ],
        columns=COLUMNS,
    )
    off = pairs[~np.eye(p, dtype=bool)]
    return Drawn(
        figure,
        source,
        caption(
            title,
            f"{p} markers. {rule}",
            f"Spearman's correlation over the subjects with both markers ({off.min()}–{off.max()} a pair, both arms "
            f"together); grey: fewer than {LEAST_PAIRS}, or a marker that does not vary. Order and tree: average linkage of "
            "1 − the absolute correlation, its height from 0 to 1. Names in black: confirmatory.",
            "No test is made and outcomes play no part, except that exploratory markers were picked by their p: markers "
            "that go together are not independent findings. The figure does not show what causes a correlation, nor "
            "whether it holds within an arm.",
            simulated=simulated,
        ),
    )
