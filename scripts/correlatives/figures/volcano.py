"""All interaction tests of an endpoint at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from correlatives.figures.labels import write_beside
from correlatives.figures.markers import (
    MANY,
    MEASURES,
    THRESHOLD,
    Labels,
    adjusted_interaction,
    distinct_names,
    interaction_test,
    is_confirmatory,
    rank,
    too_few,
    too_few_left_out,
)
from correlatives.figures.style import (
    BLACK,
    DIM,
    ORANGE,
    PURPLE,
    RULE,
    SINGLE,
    SMALL,
    Drawn,
    caption,
    constrain,
    format_number,
    new_figure,
    no_data,
    ratio_axis,
    rst_escape,
    styled,
    wrap,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Confirmatory markers have their names written up to this p; others lie in the cloud at the bottom, and lines to their
#: names would cross it.
NAMED = 0.2


@styled
def draw(
    table: pd.DataFrame,
    endpoint: str,
    *,
    labels: Labels | None = None,
    named: int = 8,
    simulated: bool = False,
) -> Drawn:
    """Draw the ratio of effects against its p-value, a point a test.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.
    endpoint : str
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    named : int
        Markers whose names are written: confirmatory ones with p of at most `NAMED`, then the exploratory ones of
        the smallest p.
    simulated : bool

    Returns
    -------
    Drawn
        Source: biomarker, specimen, timepoint, kind, family, contrast, interaction_ratio, p, adjusted,
        named (whether its name is written), of the tests drawn.
    """
    title = f"{rst_escape(endpoint)}: all tests of interaction with treatment."
    columns = [
        "biomarker",
        "specimen",
        "timepoint",
        "kind",
        "family",
        "contrast",
        "interaction_ratio",
        "p",
        "adjusted",
        "named",
    ]
    p_column = interaction_test(table)
    by_randomisation = p_column == "p_randomisation"
    known = (
        ~too_few(table)
        & np.isfinite(table["interaction_ratio"].astype(float))
        & (table["interaction_ratio"].astype(float) > 0)
        & (table[p_column].astype(float) > 0)
    )
    if not known.any():
        return no_data(
            f"no interaction could be estimated for {endpoint}",
            title=title,
            columns=columns,
            simulated=simulated,
        )
    drawn, _ = rank(table[known], (p_column,))
    confirmatory = is_confirmatory(drawn)
    source = drawn[columns[:7]].assign(
        p=drawn[p_column].astype(float),
        adjusted=adjusted_interaction(drawn),
        named=False,
    )
    source = source.reset_index(drop=True)
    worth = ~is_confirmatory(source) | (source["p"] <= NAMED)
    source.loc[source.index[worth][:named], "named"] = True
    words, _, _ = MEASURES.get(str(drawn["effect_measure"].iloc[0]), MEASURES["hazard_ratio"])

    figure, top = new_figure(SINGLE, 3.1, simulated=simulated)
    axes = figure.add_subplot()
    x = source["interaction_ratio"].to_numpy(dtype=float)
    # A ratio of a marker that two subjects carry must not squeeze the others.
    extent = float(np.clip(np.exp(np.abs(np.log(x)).max()), 1.6, 50)) * 1.12
    inside = np.clip(x, 1 / extent, extent)
    y = -np.log10(source["p"].to_numpy(dtype=float))
    groups = _draw_points(axes, source, inside, y)
    axes.set_xscale("log")
    axes.set_xlim(1 / extent / 1.06, extent * 1.06)
    ratio_axis(axes.xaxis, 1 / extent, extent, most=7)
    axes.set_ylim(-0.04 * max(y.max(), 1.0), max(y.max(), 1.0) * 1.12)
    axes.axvline(1, color=RULE, linewidth=0.6, zorder=0)
    axes.set_xlabel(f"Interaction: ratio of {words}s")
    test = "randomisation test" if by_randomisation else "likelihood-ratio test"
    axes.set_ylabel(f"−log10 p, {test}")
    figure.legend(
        *zip(*groups, strict=True),
        loc="outside lower center",
        ncols=2,
        columnspacing=1.0,
        handletextpad=0.2,
        handlelength=1.2,
        fontsize=SMALL,
    )
    constrain(figure, top)
    mask = source["named"].to_numpy()
    points = np.column_stack([inside, y])
    names = ["\n".join(wrap(n, 1.1, SMALL, lines=3)) for n in distinct_names(source, labels, mask)]
    crowd = ~is_confirmatory(source).to_numpy() & ~mask if len(source) > MANY else None
    write_beside(axes, names, points[mask], points, crowd=crowd)
    beyond = int((x != inside).sum())
    floor = (
        f" Points at the top edge share the smallest p that the number of draws allows ({source['p'].min():.2g})."
        if by_randomisation and (source["p"] == source["p"].min()).sum() > 1
        else ""
    )
    n_tests = len(table)
    return Drawn(
        figure,
        source,
        caption(
            title,
            f"{len(source)} of {n_tests} tests ({n_tests - len(source) - int(too_few(table).sum())} could not be estimated), of at most "
            f"{format_number(table['n'].astype(float).max(), 0)} subjects and "
            f"{format_number(table['events'].astype(float).max(), 0)} events: {int(confirmatory.sum())} confirmatory "
            f"and {int((~confirmatory).sum())} exploratory.",
            f"Across: ratio of the {words} at a higher to that at a lower marker, per unit of the marker; up: "
            f"−log10 of the p of the {test}.{floor} Filled: adjusted p (family-wise; for exploratory markers the "
            f"false discovery rate, q) of at most {THRESHOLD}; {_filled(source)}. Names: confirmatory markers with p of at most "
            f"{NAMED}, then the exploratory markers of the smallest p, {int(source['named'].sum())} names in all; a name "
            "is no claim.",
            too_few_left_out(table),
            f"{beyond} {'ratio is' if beyond == 1 else 'ratios are'} beyond the axis and drawn at its edge."
            if beyond
            else "",
            ""
            if by_randomisation
            else "The likelihood-ratio test does not hold its level in trials of this size.",
            "Units differ between markers (a standard deviation, a doubling, positive against negative), so "
            "distances across cannot be compared between them. The figure does not show intervals, nor what the study "
            "could have seen.",
            simulated=simulated,
        ),
    )


def _draw_points(
    axes: Axes, source: pd.DataFrame, x: np.ndarray, y: np.ndarray
) -> list[tuple[object, str]]:
    """Draw the points by family and kind, and return what the key says of them."""
    confirmatory = is_confirmatory(source).to_numpy()
    binary = source["kind"].eq("binary").to_numpy()
    claimed = (source["adjusted"] <= THRESHOLD).to_numpy()
    many = len(source) > MANY
    groups: list[tuple[object, str]] = []
    for flag, family, colour in (
        (False, "exploratory", PURPLE),
        (True, "confirmatory", ORANGE),
    ):
        for two, kind, marker in ((False, "per unit", "o"), (True, "positive v negative", "D")):
            here = (confirmatory == flag) & (binary == two)
            if not here.any():
                continue
            for filled in (False, True):
                part = here & (claimed == filled)
                axes.scatter(
                    x[part],
                    y[part],
                    s=(18 if flag else 5 if many else 10),
                    marker=marker,
                    facecolors=colour if filled else "white",
                    edgecolors=BLACK if flag else colour if filled else DIM,
                    linewidths=0.5 if flag else 0.3,
                    alpha=0.5 if many and not filled and not flag else 1.0,
                    rasterized=many and not flag,
                    zorder=3 if flag else 2 + filled * 0.5,
                    clip_on=False,  # at the edge, whole
                )
            sample = _sample(marker, "white", BLACK if flag else DIM, 4.5 if flag else 3.5)
            groups.append((sample, f"{family}, {kind}"))
        if (claimed & (confirmatory == flag)).any():
            adjusted = "family-wise p" if flag else "q"
            filled_sample = _sample("o", colour, BLACK if flag else colour, 4)
            groups.append((filled_sample, f"{family}, {adjusted} ≤ {THRESHOLD}"))
    return groups


def _filled(source: pd.DataFrame) -> str:
    """Say how many points of each family are filled."""
    confirmatory = is_confirmatory(source)
    claimed = source["adjusted"] <= THRESHOLD
    parts = [
        f"{int((claimed & members).sum())} of {int(members.sum())} {family}"
        for family, members in (("confirmatory", confirmatory), ("exploratory", ~confirmatory))
        if members.any()
    ]
    return f"filled are {' and '.join(parts)}"


def _sample(marker: str, face: str, edge: str, size: float) -> Line2D:
    """Return a point for the key."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=size,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=0.5,
    )
