"""Is a marker prognostic, predictive, both or neither: a plane of its two effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
    BLUE,
    DIM,
    PURPLE,
    RULE,
    SINGLE,
    SMALL,
    VERMILLION,
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
from correlatives.predictive.multiplicity import benjamini_hochberg

#: What a marker is -> colour and form.
CALLS = {
    "neither": (DIM, "o"),
    "prognostic": (BLUE, "s"),
    "predictive": (VERMILLION, "^"),
    "prognostic and predictive": (PURPLE, "D"),
}

COLUMNS = [
    "biomarker",
    "specimen",
    "timepoint",
    "kind",
    "family",
    "contrast",
    "marker_effect_control",
    "interaction_ratio",
    "adjusted_prognostic",
    "adjusted_interaction",
    "called",
    "named",
]


@styled
def draw(
    table: pd.DataFrame,
    endpoint: str,
    *,
    labels: Labels | None = None,
    named: int = 8,
    simulated: bool = False,
) -> Drawn:
    """Draw the marker's effect in the control arm against its interaction with the arm.

    Parameters
    ----------
    table : pd.DataFrame
        ``predictive/{endpoint}.tsv``.
    endpoint : str
    labels : mapping, optional
        Biomarker, or (biomarker, specimen), -> the label of the dictionary.
    named : int
        Markers whose names are written: those with a call first, then confirmatory ones, then by p.
    simulated : bool

    Returns
    -------
    Drawn
        Source: `COLUMNS` of the tests drawn.
    """
    title = f"{rst_escape(endpoint)}: prognostic and predictive markers."
    p_column = interaction_test(table)
    effects = ["marker_effect_control", "interaction_ratio"]
    few = too_few(table)
    known = (
        ~few
        & np.isfinite(table[effects].astype(float)).all(axis=1)
        & (table[effects].astype(float) > 0).all(axis=1)
    )
    if not known.any():
        return no_data(
            f"no marker has both effects for {endpoint}",
            title=title,
            columns=COLUMNS,
            simulated=simulated,
        )
    confirmatory = is_confirmatory(table)
    prognostic = pd.Series(np.nan, index=table.index)
    for member in (True, False):
        part = confirmatory == member
        prognostic[part] = benjamini_hochberg(table.loc[part, "p_prognostic"].to_numpy(dtype=float))
    source = table.assign(
        adjusted_prognostic=prognostic,
        adjusted_interaction=adjusted_interaction(table),
    )
    source, _ = rank(source[known], (p_column,))
    first = source["adjusted_prognostic"].le(THRESHOLD).to_numpy()
    second = source["adjusted_interaction"].le(THRESHOLD).to_numpy()
    called = np.select(
        [first & second, second, first],
        ["prognostic and predictive", "predictive", "prognostic"],
        default="neither",
    )
    source = source.assign(called=called, named=False)[COLUMNS]
    order = np.argsort(
        np.select([second, first, is_confirmatory(source).to_numpy()], [0, 1, 2], default=3),
        kind="stable",
    )[:named]
    source.iloc[order, source.columns.get_loc("named")] = True
    source = source.reset_index(drop=True)
    words, short, _ = MEASURES.get(str(table["effect_measure"].iloc[0]), MEASURES["hazard_ratio"])

    figure, top = new_figure(SINGLE, 3.2, simulated=simulated)
    axes = figure.add_subplot()
    ends, points = [], []
    for column in effects:
        value = source[column].to_numpy(dtype=float)
        # a ratio of a marker that two subjects carry must not squeeze the others
        farthest = float(np.quantile(np.abs(np.log(value)), 0.995))
        end = float(np.clip(np.exp(farthest) * 1.25, 1.6, 50))
        ends.append(end)
        points.append(np.clip(value, 1 / end, end))
    x, y = points
    beyond = int(
        sum(
            ((source[c].astype(float) > e) | (source[c].astype(float) < 1 / e)).to_numpy()
            for c, e in zip(effects, ends, strict=True)
        )
        .astype(bool)
        .sum()
    )
    axes.axhline(1, color=RULE, linewidth=0.6, zorder=0)
    axes.axvline(1, color=RULE, linewidth=0.6, zorder=0)
    confirmed = is_confirmatory(source).to_numpy()
    for rank_, (name, (colour, form)) in enumerate(CALLS.items()):
        here = (source["called"] == name).to_numpy()
        for flag in (False, True):
            part = here & (confirmed == flag)
            axes.scatter(
                x[part],
                y[part],
                s=18 if flag else 7,
                marker=form,
                facecolors="white" if name == "neither" else colour,
                edgecolors=BLACK if flag else colour,
                linewidths=0.6 if flag else 0.3,
                alpha=0.5 if name == "neither" and not flag and len(source) > 200 else 1.0,
                rasterized=len(source) > MANY and name == "neither" and not flag,
                zorder=2 + rank_ * 0.2 + flag,
                clip_on=False,  # at the edge, whole
                label=f"{name} ({int(here.sum()):,})" if not flag else None,
            )
    for axis, scale, end in (
        (axes.xaxis, axes.set_xscale, ends[0]),
        (axes.yaxis, axes.set_yscale, ends[1]),
    ):
        scale("log")
        ratio_axis(axis, 1 / end, end, most=7)
    axes.set_xlim(1 / ends[0] / 1.06, ends[0] * 1.06)
    axes.set_ylim(1 / ends[1] / 1.06, ends[1] * 1.06)
    axes.set_xlabel(f"Prognostic: {words} of the marker in the control arm")
    axes.set_ylabel(f"Predictive: ratio of {words}s (interaction)")
    figure.legend(
        loc="outside lower center",
        ncols=2,
        columnspacing=1.0,
        handletextpad=0.2,
        handlelength=1.2,
        fontsize=SMALL,
    )
    constrain(figure, top)
    mask = source["named"].to_numpy()
    at = np.column_stack([x, y])
    names = ["\n".join(wrap(n, 1.1, SMALL, lines=3)) for n in distinct_names(source, labels, mask)]
    crowd = (source["called"] == "neither").to_numpy() & ~confirmed & ~mask
    write_beside(axes, names, at[mask], at, crowd=crowd if len(source) > 200 else None)
    counts = source["called"].value_counts()
    test = "randomisation test" if p_column == "p_randomisation" else "likelihood-ratio test"
    return Drawn(
        figure,
        source,
        caption(
            title,
            f"{len(source)} of {len(table)} tests ({len(table) - len(source) - few.sum()} lack one of the effects), of at most "
            f"{format_number(table['n'].astype(float).max(), 0)} subjects and "
            f"{format_number(table['events'].astype(float).max(), 0)} events: "
            + ", ".join(f"{counts.get(name, 0)} {name}" for name in CALLS)
            + ".",
            too_few_left_out(table),
            f"Across: {words} ({short}) per unit of the marker in the control arm. Up: ratio of that in the experimental to "
            f"that in the control arm. Colour and form: what the marker's own tests say at an adjusted p of at most "
            f"{THRESHOLD}. Predictive: {test} of the interaction, family-wise for confirmatory markers, false "
            "discovery rate for exploratory ones. Prognostic: likelihood-ratio test of the marker beside the arm, both "
            "arms together, false discovery rate within the family. Large, black edge: confirmatory. "
            f"Tests with a name beside them ({int(mask.sum())}, of at most {named}) are those with a call first, "
            "then confirmatory markers, by p; a name is no claim.",
            f"{beyond} {'marker is' if beyond == 1 else 'markers are'} beyond an axis and drawn at its edge."
            if beyond
            else "",
            "The two estimates share the control arm, so that chance alone slopes the cloud downwards: its direction is "
            "no finding. Units differ between markers. The figure does not show intervals; a marker called "
            "neither may be either.",
            simulated=simulated,
        ),
    )
