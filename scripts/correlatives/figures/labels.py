"""Names beside points, so that no name hides a point or another name.

adjustText was tried: it left names on their own points and over the axis, so places are searched in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from correlatives.figures.style import RULE, SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text

#: Distances from the point that are tried, in inches, and directions at each.
DISTANCES = (0.06, 0.12, 0.2, 0.3, 0.42, 0.56, 0.72, 0.9)
DIRECTIONS = 16


def write_beside(
    axes: Axes,
    names: Sequence[str],
    at: np.ndarray,
    points: np.ndarray,
    *,
    size: float = SMALL,
) -> list[Text]:
    """Write names next to their points.

    Parameters
    ----------
    axes : Axes
        Laid out already: what moves afterwards overlaps again.
    names : sequence of str, length k
    at : np.ndarray, shape (k, 2)
        The named points, in data coordinates.
    points : np.ndarray, shape (n, 2)
        All points that no name should hide.
    size : float
        Text size in points.

    Returns
    -------
    list of Text
        Names for which a place was found, none over another; where points are so dense that every place hides some,
        the place that hides fewest.
    """
    figure = axes.figure
    inch = figure.dpi
    renderer = figure.canvas.get_renderer()
    every = axes.transData.transform(points)
    frame = axes.get_window_extent(renderer)
    taken: list[tuple[float, float, float, float]] = []
    written = []
    for name, (px, py) in zip(names, axes.transData.transform(at), strict=True):
        text = axes.text(
            0, 0, name, fontsize=size, ha="left", va="bottom", transform=None, zorder=5
        )
        box = text.get_window_extent(renderer)
        width, height = box.width + 2, box.height + 2
        best: tuple[float, float, float] | None = None
        for distance in DISTANCES:
            for step in range(DIRECTIONS):
                angle = 2 * np.pi * step / DIRECTIONS
                # a side of the box, or its corner, is that far from the point
                across, up = np.cos(angle), np.sin(angle)
                cx = px + across * distance * inch + np.clip(1.5 * across, -1, 1) * width / 2
                cy = py + up * distance * inch + np.clip(1.5 * up, -1, 1) * height / 2
                x0, y0, x1, y1 = cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2
                if x0 < frame.x0 + 3 or x1 > frame.x1 or y0 < frame.y0 + 3 or y1 > frame.y1:
                    continue
                if any(x0 < b[2] and x1 > b[0] and y0 < b[3] and y1 > b[1] for b in taken):
                    continue
                air = 0.04 * inch  # a large marker reaches this far from its centre
                hidden = (
                    (every[:, 0] > x0 - air)
                    & (every[:, 0] < x1 + air)
                    & (every[:, 1] > y0 - air)
                    & (every[:, 1] < y1 + air)
                ).sum()
                cost = float(hidden) * 10 + distance
                if best is None or cost < best[0]:
                    best = (cost, x0, y0)
            if best is not None and best[0] < 10:
                break
        if best is None:
            text.remove()
            continue
        _, x0, y0 = best
        taken.append((x0, y0, x0 + width, y0 + height))
        invert = axes.transAxes.inverted()
        text.set_transform(axes.transAxes)
        text.set_position(invert.transform((x0 + 1, y0 + 1)))
        nearest = (np.clip(px, x0, x0 + width), np.clip(py, y0, y0 + height))
        if np.hypot(nearest[0] - px, nearest[1] - py) > 0.05 * inch:
            ends = invert.transform([(px, py), nearest])
            axes.plot(
                ends[:, 0],
                ends[:, 1],
                transform=axes.transAxes,
                color=RULE,
                linewidth=0.4,
                zorder=1,
            )
        written.append(text)
    return written
