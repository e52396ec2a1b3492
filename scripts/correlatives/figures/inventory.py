"""Samples expected, received, assayed and usable, by timepoint, assay and arm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DOUBLE,
    LARGE,
    NORMAL,
    SMALL,
    TALLEST,
    Drawn,
    arm_styles,
    canvas,
    caption,
    format_percent,
    new_figure,
    no_data,
    place,
    rst_escape,
    shorten,
    styled,
    text_width,
)
from correlatives.tables.dictionary import in_words

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

COLUMNS = ("timepoint", "specimen", "assay", "arm", "expected", "received", "assayed", "usable")
COUNTS = COLUMNS[4:]

ROW = 0.165


@styled
def draw(
    inventory: pd.DataFrame,
    *,
    arms: Mapping[str, str],
    progression: Collection[str] = ("progression",),
    simulated: bool = False,
) -> Drawn:
    """Draw the sample inventory: a row a timepoint and assay, four numbers an arm.

    Parameters
    ----------
    inventory : pd.DataFrame
        ``check/inventory.tsv``.
    arms : mapping
        ``{"control": label, "experimental": label}``, or ``{"all": label}``; other arms of the table come after.
    progression : collection of str
        Timepoints around progression, at which samples of those who progressed count.
    simulated : bool

    Returns
    -------
    Drawn
        Source: the rows drawn, in order.
    """
    title = "Samples: expected, received, assayed, usable."
    if not len(inventory):
        return no_data(
            "no samples are expected or recorded", title=title, columns=COLUMNS, simulated=simulated
        )
    table = inventory.fillna({"assay": "", "arm": "", "timepoint": "", "specimen": ""})
    table[list(COUNTS)] = table[list(COUNTS)].apply(pd.to_numeric, errors="coerce")
    labels = [label for label in arms.values() if (table["arm"] == label).any()]
    labels += [label for label in dict.fromkeys(table["arm"]) if label not in labels]
    styles = arm_styles(arms)
    kinds = list(dict.fromkeys(zip(table["specimen"], table["assay"], strict=True)))
    times = list(dict.fromkeys(table["timepoint"]))
    counts = table.groupby(["specimen", "assay", "timepoint", "arm"], sort=False)[list(COUNTS)].sum(
        min_count=1
    )
    lines: list[tuple[str, tuple[str, str, str] | None]] = []
    for specimen, assay in kinds:
        rows = [
            (time if time else "other visits", (specimen, assay, time))
            for time in times
            if any((specimen, assay, time, label) in counts.index for label in labels)
        ]
        lines.append((", ".join(in_words(name) for name in (specimen, assay) if name), None))
        lines += rows
    most = int((TALLEST - 1.0) / ROW)
    cut = lines[:most]
    body = ROW * len(cut)
    longest = max(text_width(text, NORMAL, "bold") for text, key in cut if key is None)
    # A little more than the longest name, lest rounding cut its last letters.
    left, head, foot = min(max(longest + 0.18, 1.2), 2.4), 0.42, 0.10
    figure, _ = new_figure(DOUBLE, head + body + foot, simulated=simulated)
    page = canvas(figure)
    block = (DOUBLE - left - 0.06) / len(labels)
    for i, (text, key) in enumerate(cut):
        page.text(
            0.06 if key is None else 0.16,
            foot + body - (i + 0.5) * ROW,
            shorten(text, left - 0.14, NORMAL, "bold")
            if key is None
            else shorten(text, left - 0.22, NORMAL),
            va="center",
            fontsize=NORMAL,
            fontweight="bold" if key is None else "normal",
        )
    for j, label in enumerate(labels):
        _draw_arm(figure, page, cut, counts, label, left + j * block, block - 0.08, foot, styles)
    drawn = pd.DataFrame(
        [
            {
                "timepoint": key[2],
                "specimen": key[0],
                "assay": key[1],
                "arm": label,
                **{name: counts.loc[(*key, label), name] for name in COUNTS},
            }
            for _, key in cut
            if key is not None
            for label in labels
            if (*key, label) in counts.index
        ],
        columns=list(COLUMNS),
    )
    totals = "; ".join(
        f"{rst_escape(label or 'arm unknown')}: "
        f"{drawn.loc[drawn['arm'] == label, 'usable'].sum():.0f} usable of "
        f"{drawn.loc[drawn['arm'] == label, 'expected'].sum():.0f} expected"
        for label in labels
    )
    late = " (at progression: of those who progressed)" if set(times) & set(progression) else ""
    return Drawn(
        figure,
        drawn,
        caption(
            title,
            f"{totals}, summed over the rows.",
            f"Expected: subjects of the arm who should have had the sample; received: a sample is recorded{late}; assayed: with a result, or failed quality control; usable: with a result that passed it. Percentages and shades are of the number expected.",
            f"{len(lines) - len(cut)} further rows are in the table only."
            if len(lines) > len(cut)
            else "",
            "The figure does not show why samples are missing, nor whether those with samples differ from those "
            "without.",
            simulated=simulated,
        ),
    )


def _draw_arm(
    figure: object,
    page: object,
    lines: list[tuple[str, tuple[str, str, str] | None]],
    counts: pd.DataFrame,
    label: str,
    left: float,
    width: float,
    bottom: float,
    styles: Mapping[str, object],
) -> None:
    """Draw one arm's four columns."""
    import seaborn
    from matplotlib.colors import LinearSegmentedColormap

    body = ROW * len(lines)
    shares = np.full((len(lines), len(COUNTS)), np.nan)
    words = np.full(shares.shape, "", dtype=object)
    for i, (_, key) in enumerate(lines):
        if key is None or (*key, label) not in counts.index:
            continue
        numbers = counts.loc[(*key, label), list(COUNTS)].to_numpy(dtype=float)
        for j, number in enumerate(numbers):
            if np.isnan(number):
                continue
            share = number / numbers[0] if numbers[0] > 0 else np.nan
            shares[i, j] = min(share, 1.0) if np.isfinite(share) else 0.0
            detail = (
                f" ({format_percent(share)})" if j and np.isfinite(share) and width > 2.0 else ""
            )
            words[i, j] = f"{number:.0f}{detail}"
    axes = place(figure, left, bottom, width, body)  # type: ignore[arg-type]
    seaborn.heatmap(
        pd.DataFrame(shares),
        ax=axes,
        cmap=LinearSegmentedColormap.from_list("share", ["#FFFFFF", "#9CC3DB"]),
        vmin=0,
        vmax=1,
        annot=words,
        fmt="",
        annot_kws={"fontsize": SMALL, "color": BLACK},
        cbar=False,
        linewidths=0.4,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
    )
    axes.set_xlabel("")
    axes.set_ylabel("")
    colour = getattr(styles.get(label), "colour", BLACK)
    page.text(  # type: ignore[attr-defined]
        left,
        bottom + body + 0.21,
        shorten(label or "arm unknown", width, LARGE, "bold"),
        fontsize=LARGE,
        fontweight="bold",
        color=colour,
    )
    for j, name in enumerate(COUNTS):
        page.text(  # type: ignore[attr-defined]
            left + (j + 0.5) * width / len(COUNTS),
            bottom + body + 0.06,
            shorten(name, width / len(COUNTS), SMALL),
            ha="center",
            fontsize=SMALL,
        )
