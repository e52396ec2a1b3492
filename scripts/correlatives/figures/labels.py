"""Names beside points, so that no name hides another, nor a point that matters.

adjustText was tried: it left names on their own points and over the axis, so the place that costs least is searched, name by
name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from correlatives.figures.style import DIM, SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.text import Text

#: Distances from the point that are tried, in inches, and directions at each.
DISTANCES = (0.06, 0.09, 0.13, 0.18, 0.24, 0.31, 0.39, 0.48, 0.58, 0.7, 0.85)
DIRECTIONS = 24

#: What a place costs beside its distance in inches: a point of a crowd under the name, any other point under it, a line to a name that
#: crosses another, or another point.
IN_CROWD, HIDDEN, CROSSED, PASSED = 0.012, 10.0, 1.0, 0.5

#: How far a large marker reaches from its centre, in inches.
REACH = 0.04


def write_beside(
    axes: Axes,
    names: Sequence[str],
    at: np.ndarray,
    points: np.ndarray,
    *,
    crowd: np.ndarray | None = None,
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
    crowd : np.ndarray of bool, shape (n,), optional
        Points so many and alike that a name may lie over some of them rather than far away.
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
    many = np.zeros(len(every), dtype=bool) if crowd is None else crowd
    cost_of = np.where(many, IN_CROWD, HIDDEN)
    single = every[~many]
    frame = axes.get_window_extent(renderer)
    taken: list[tuple[float, float, float, float]] = []
    leaders: list[np.ndarray] = []
    written = []
    for name, (px, py) in zip(names, axes.transData.transform(at), strict=True):
        text = axes.text(
            0, 0, name, fontsize=size, ha="left", va="bottom", transform=None, zorder=5
        )
        box = text.get_window_extent(renderer)
        width, height = box.width + 2, box.height + 2
        air = REACH * inch
        others = single[np.hypot(*(single - (px, py)).T) > air]
        best: tuple[float, float, float] | None = None
        for distance in DISTANCES:
            if best is not None and distance > best[0]:
                break
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
                leader = _leader(px, py, (x0, y0, x1, y1))
                if any(_crosses(leader, b) for b in taken):
                    continue
                if any(_crosses(other, (x0, y0, x1, y1)) for other in leaders):
                    continue
                hidden = (
                    (every[:, 0] > x0 - air)
                    & (every[:, 0] < x1 + air)
                    & (every[:, 1] > y0 - air)
                    & (every[:, 1] < y1 + air)
                )
                cost = distance + float(cost_of[hidden].sum())
                cost += CROSSED * sum(_meet(leader, other) for other in leaders)
                if len(others):
                    gaps = np.hypot(*(others[:, None] - leader[None]).transpose(2, 0, 1))
                    cost += PASSED * float((gaps.min(axis=1) < air).sum())
                if best is None or cost < best[0]:
                    best = (cost, x0, y0)
        if best is None:
            text.remove()
            continue
        _, x0, y0 = best
        taken.append((x0, y0, x0 + width, y0 + height))
        invert = axes.transAxes.inverted()
        text.set_transform(axes.transAxes)
        text.set_position(invert.transform((x0 + 1, y0 + 1)))
        # Lines of a name end on the side of its point.
        text.set_multialignment("right" if x0 + width / 2 < px else "left")
        # Lines of reference and points of a crowd do not run through a name.
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.8})
        leader = _leader(px, py, (x0, y0, x0 + width, y0 + height))
        if np.hypot(*(leader[-1] - (px, py))) > 0.05 * inch:
            leaders.append(leader)
            # Over the other points, or nobody could follow it through a cloud; not over its own.
            away = np.hypot(*(leader - (px, py)).T) > 0.025 * inch
            ends = invert.transform(leader[away][[0, -1]])
            axes.plot(
                ends[:, 0],
                ends[:, 1],
                transform=axes.transAxes,
                color=DIM,
                linewidth=0.5,
                zorder=4,
            )
        written.append(text)
    return written


def _leader(x: float, y: float, box: tuple[float, float, float, float]) -> np.ndarray:
    """Return places along the line from a point to the nearest edge of a name's box, shape (20, 2)."""
    end = (np.clip(x, box[0], box[2]), np.clip(y, box[1], box[3]))
    return np.linspace((x, y), end, 20)


def _crosses(leader: np.ndarray, box: tuple[float, float, float, float]) -> bool:
    """Return whether a line runs through a box."""
    x, y = leader.T
    return bool(((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])).any())


def _meet(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two lines, given by places along them, cross."""
    (a, b), (c, d) = one[[0, -1]], other[[0, -1]]

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
