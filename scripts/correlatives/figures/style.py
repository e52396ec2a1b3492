"""One style for every figure: sizes, colours, text, files.

Sizes are those of most journals (columns of 89 and 183 mm, no text under 6 pt), colours those of Okabe
and Ito (2008, jfly.uni-koeln.de/color), which people with any colour vision tell apart; arms differ in line
style and marker too. Files are the same byte for byte whenever the numbers are the same.
"""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

#: Inches in a millimetre, and in a point.
MM = 1 / 25.4
POINT = 1 / 72

#: Widths of a journal's columns, and the tallest figure that still leaves room for its caption, in inches.
SINGLE = 89 * MM
DOUBLE = 183 * MM
TALLEST = 240 * MM

#: Text sizes in points. Nothing is smaller than SMALL.
SMALL = 6.0
NORMAL = 6.5
LARGE = 7.0

#: Okabe and Ito's colours.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"

#: Greys: text that steps back, lines of reference, shades behind data.
DIM = "#555555"
RULE = "#999999"
SHADE = "#E6E6E6"

STAMP = "Simulated data"
STAMP_HEIGHT = 0.15

#: Dots a inch of the PNG, and of every measurement made while drawing.
DPI = 300

RC: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": NORMAL,
    "axes.labelsize": LARGE,
    "axes.titlesize": LARGE,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelpad": 3.0,
    "xtick.labelsize": NORMAL,
    "ytick.labelsize": NORMAL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": NORMAL,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.borderaxespad": 0.2,
    "legend.title_fontsize": NORMAL,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.4,
    "patch.linewidth": 0.5,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "savefig.bbox": None,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "correlatives",
    # A marker may be called "$x$": names are never read as formulas.
    "text.parse_math": False,
    "text.usetex": False,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "path.simplify": False,
}

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style, whatever the reader's own settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)
        # A name in a script that DejaVu Sans lacks shows boxes in the PNG; in the SVG it stays text.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def styled(draw: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a function that draws, so that it does so in this style."""

    @functools.wraps(draw)
    def inside(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with drawing():
            return draw(*args, **kwargs)

    return inside


# ---------------------------------------------------------------------------------------------- files


@dataclass(frozen=True)
class Drawn:
    """A figure, the numbers behind it, and its caption.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Laid out; nothing moves when it is written.
    source : pd.DataFrame
        The numbers behind every panel (column ``panel`` where there are several). No subject identifiers
        unless they were asked for.
    caption : str
        reStructuredText, a paragraph a line.
    pages : tuple of matplotlib.figure.Figure
        Further pages of the PDF; SVG and PNG have the first.
    """

    figure: Figure
    source: pd.DataFrame
    caption: str
    pages: tuple[Figure, ...] = ()

    def write(self, stem: str | Path, names: Mapping[str, str] | None = None) -> list[Path]:
        """Write ``stem``.pdf, .svg, .png (300 dots an inch), .csv (source) and .rst (caption).

        The same figure gives the same bytes: no dates, no random identifiers.

        Parameters
        ----------
        stem : str or Path
        names : mapping, optional
            Endpoint -> its long name, which the caption gives of those that it speaks of.

        Returns
        -------
        list of Path
            In that order.
        """
        stem = Path(stem)
        stem.parent.mkdir(parents=True, exist_ok=True)
        pdf, svg, png, csv, rst = (
            stem.with_name(f"{stem.name}.{ending}")
            for ending in ("pdf", "svg", "png", "csv", "rst")
        )
        with drawing():
            undated = {"CreationDate": None, "ModDate": None}
            with PdfPages(pdf, metadata=undated) as document:
                for page in (self.figure, *self.pages):
                    document.savefig(page)
            self.figure.savefig(svg, metadata={"Date": None})
            self.figure.savefig(png, metadata={"Software": None})
        csv.write_text(
            spreadsheet_safe(self.source).to_csv(index=False, lineterminator="\n"), "utf-8"
        )
        rst.write_text(spelled_out(self.caption, names or {}), "utf-8")
        return [pdf, svg, png, csv, rst]


def spreadsheet_safe(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with an apostrophe before text that a spreadsheet would take for a formula.

    Only text is touched (``=``, ``+``, ``-``, ``@``, tab or carriage return first, and not a plain number);
    numbers keep their sign.
    """

    def guard(cell: object) -> object:
        if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
            return cell
        try:
            float(cell)
        except ValueError:
            return f"'{cell}"
        return cell

    safe = table.copy()
    for position in range(safe.shape[1]):
        column = safe.iloc[:, position]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            name = safe.columns[position]
            safe[name] = column.astype(object).map(guard)
    return safe


# ------------------------------------------------------------------------------------------- captions

#: What has a meaning in reStructuredText, or in the template language that reads report captions.
_MARKUP = frozenset("\\*`|_:<>[]{}%#")


def rst_escape(text: object) -> str:
    """Return text that reStructuredText shows as it is: names of markers, arms and endpoints.

    Line breaks become spaces, and the brackets of Jinja templates are taken apart (Snakemake renders captions
    as templates first).
    """
    words = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in _MARKUP else letter for letter in words)


def caption(title: str, *sentences: str, simulated: bool) -> str:
    """Return a caption: the words "Simulated data" where they belong, a title, and paragraphs.

    Every sentence is reStructuredText already (names in it through ``rst_escape``). Empty ones are left out.
    """
    parts = ["**Simulated data.**"] if simulated else []
    parts += [f"**{title}**"] + [sentence for sentence in sentences if sentence]
    return "\n\n".join(parts) + "\n"


def spelled_out(text: str, names: Mapping[str, str]) -> str:
    """Return a caption with the long names of the endpoints that it speaks of, in a last paragraph."""
    said = [
        f"{rst_escape(name)}: {rst_escape(long)}"
        for name, long in names.items()
        if long != name and re.search(rf"(?<!\w){re.escape(rst_escape(name))}(?![\w\\])", text)
    ]
    return text.rstrip("\n") + "\n" + (f"\n{'; '.join(said)}.\n" if said else "")


# --------------------------------------------------------------------------------------------- figures


def new_figure(width: float, height: float, *, simulated: bool) -> tuple[Figure, float]:
    """Return an empty figure, with the words "Simulated data" in its top margin where they belong.

    Parameters
    ----------
    width, height : float
        Inches, the top margin not counted.
    simulated : bool
        Whether the data are simulated.

    Returns
    -------
    figure : Figure
    top : float
        Where the space for drawing ends, in inches from the figure's bottom (= `height`).
    """
    margin = STAMP_HEIGHT if simulated else 0.03
    figure = Figure(figsize=(width, height + margin))
    FigureCanvasAgg(figure)
    if simulated:
        figure.text(
            1 - 0.04 / width,
            1 - 0.03 / (height + margin),
            STAMP,
            ha="right",
            va="top",
            fontsize=SMALL,
            color=DIM,
            style="italic",
            gid="simulated",
        )
    return figure, height


def constrain(figure: Figure, top: float) -> None:
    """Let matplotlib place the axes, below `top` inches, so that nothing overlaps; then fix them."""
    height = figure.get_size_inches()[1]
    figure.set_layout_engine(
        "constrained", rect=(0.0, 0.0, 1.0, top / height), w_pad=0.04, h_pad=0.04
    )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place given in inches from the figure's lower left corner."""
    total_width, total_height = figure.get_size_inches()
    box = (left / total_width, bottom / total_height, width / total_width, height / total_height)
    return figure.add_axes(box)


def canvas(figure: Figure) -> Axes:
    """Return axes without marks that cover the figure, with inches as coordinates."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1), zorder=-1)
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    return axes


def no_data(
    why: str,
    *,
    title: str,
    columns: Sequence[str],
    simulated: bool,
    width: float = SINGLE,
) -> Drawn:
    """Return a panel that says why there is nothing to draw (plain text), and a table without rows."""
    figure, top = new_figure(width, 1.1, simulated=simulated)
    text = "\n".join(wrap(f"No data: {why}", width - 0.4, NORMAL, lines=5))
    figure.text(
        0.5, top / 2 / figure.get_size_inches()[1], text, ha="center", va="center", color=DIM
    )
    return Drawn(
        figure,
        pd.DataFrame({column: [] for column in columns}),
        caption(title, f"No data: {rst_escape(why)}.", simulated=simulated),
    )


# ------------------------------------------------------------------------------------------------ arms


class ArmStyle(NamedTuple):
    """How an arm looks in every figure."""

    colour: str
    line: Any
    marker: str


_STYLES = {
    "control": ArmStyle(BLUE, (0, (4, 1.4)), "s"),
    "experimental": ArmStyle(VERMILLION, "-", "o"),
    "all": ArmStyle("#333333", "-", "o"),
}
_OTHERS = (ArmStyle(GREEN, (0, (1, 1)), "^"), ArmStyle(PURPLE, "-.", "D"))


def arm_styles(arms: Mapping[str, str]) -> dict[str, ArmStyle]:
    """Return arm label -> style, control first, for ``{"control": ..., "experimental": ...}`` or ``{"all": ...}``."""
    roles = sorted(arms, key=lambda role: list(_STYLES).index(role) if role in _STYLES else 9)
    return {arms[role]: _STYLES.get(role, _OTHERS[i % 2]) for i, role in enumerate(roles)}


# ------------------------------------------------------------------------------------------------ text

_RULER = RendererAgg(10, 10, 720)


@functools.lru_cache(maxsize=4096)
def _advance(letter: str, weight: str) -> float:
    """Return how far a letter of one point moves the pen, in inches."""
    font = FontProperties(family=["DejaVu Sans"], size=10, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        eight = _RULER.get_text_width_height_descent(letter * 8, font, False)[0]
    return eight / 8 / 720 / 10


def text_width(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """Return the width of one line of text, in inches: its letters' advances, without kerning.

    Letter by letter, because laying out whole lines to find how much of them fits took most of the time of a
    figure.
    """
    return size * sum(_advance(letter, weight) for letter in text)


def shorten(text: str, room: float, size: float = NORMAL, weight: str = "normal") -> str:
    """Return the text, its end replaced by … where it is wider than `room` inches."""
    text = " ".join(text.split())
    if text_width(text, size, weight) <= room:
        return text
    left = room - text_width("…", size, weight)
    kept = 0
    for letter in text:
        left -= size * _advance(letter, weight)
        if left < 0:
            break
        kept += 1
    return text[:kept].rstrip() + "…"


def wrap(
    text: str, room: float, size: float = NORMAL, *, lines: int = 2, weight: str = "normal"
) -> list[str]:
    """Return the text broken into at most `lines` lines of at most `room` inches; what is left over ends in ….

    A no-break space is none to break at, unless what it holds together is longer than a line.
    """
    out: list[str] = []
    words = [
        word
        for held in re.split(r"[ \t\n]+", str(text).strip())
        for word in ([held] if text_width(held, size, weight) <= room else held.split())
    ]
    while words and len(out) < lines:
        if len(out) == lines - 1:
            out.append(shorten(" ".join(words), room, size, weight))
            break
        line = words.pop(0)
        if text_width(line, size, weight) > room:
            # A word that is too long by itself breaks where the line ends.
            fits = line
            while len(fits) > 1 and text_width(fits, size, weight) > room:
                fits = fits[:-1]
            words.insert(0, line[len(fits) :])
            line = fits
        else:
            while words and text_width(f"{line} {words[0]}", size, weight) <= room:
                line = f"{line} {words.pop(0)}"
        out.append(line)
    return out or [""]


def finite(value: object) -> bool:
    """Return whether a cell of a table is a finite number."""
    return (
        isinstance(value, (int, float, np.number))
        and not isinstance(value, bool)
        and math.isfinite(float(value))
    )


#: A lower limit of a ratio below this is written <0.001.
LEAST_SHOWN = 0.001

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def format_number(value: object, digits: int = 2, *, missing: str = "–") -> str:
    """Return a number with `digits` decimals and a true minus sign; `missing` where there is none.

    Numbers of 10 and more have a decimal less a power of ten; those too large or small for that two significant digits.
    """
    if not finite(value):
        if isinstance(value, (float, np.floating)) and math.isinf(value):
            return "∞" if value > 0 else "−∞"
        return missing
    number = float(value)  # type: ignore[arg-type]
    if abs(number) >= 1000 or (number != 0 and abs(number) < 0.5 * 10**-digits and digits > 0):
        if abs(number) >= 1000:
            shown = f"{number:.0f}" if abs(number) < 1e4 else f"{float(f'{number:.1e}'):,.0f}"
        else:
            shown = f"{number:.2g}"
        if "e" in shown or abs(number) >= 1e7:
            mantissa, power = f"{number:.1e}".split("e")
            shown = f"{mantissa}×10{str(int(power)).translate(_RAISED)}"
    else:
        size = max(abs(float(f"{number:.{digits + 1}g}")), 1.0)
        shown = f"{number:.{max(digits - int(math.log10(size)), 0)}f}"
        if float(shown) == 0:
            shown = shown.lstrip("-")
    return shown.replace("-", "−")


def format_interval(
    estimate: object, low: object, high: object, digits: int = 2, *, missing: str = "–"
) -> str:
    """Return ``0.62 (0.41–0.94)``; what is missing is `missing`, nothing at all is –."""
    if not finite(estimate) and not finite(low) and not finite(high):
        return "–"
    if missing == "–" and pd.isna(low) and pd.isna(high):
        return f"{format_number(estimate, digits)} (no limits)"
    # A limit next to 0 on the scale of ratios needs no digits of its own.
    close = digits > 1 and finite(estimate) and float(estimate) >= LEAST_SHOWN  # type: ignore[arg-type]
    ends = [
        f"<{LEAST_SHOWN:g}"
        if close and finite(end) and 0 < float(end) < LEAST_SHOWN  # type: ignore[arg-type]
        else format_number(end, digits, missing=missing)
        for end in (low, high)
    ]
    dash = " to " if any(end.startswith("−") for end in ends) else "–"
    return f"{format_number(estimate, digits, missing=missing)} ({dash.join(ends)})"


def open_ended(estimate: float, low: float, high: float) -> tuple[float, float, float]:
    """Return a ratio with its limits, 0 or ∞ for one that there is not beside one that there is."""
    if pd.isna(low) == pd.isna(high):
        return estimate, low, high
    return estimate, 0.0 if pd.isna(low) else low, np.inf if pd.isna(high) else high


def format_percent(value: object, digits: int = 0) -> str:
    """Return a share in per cent, e.g. ``37 %``."""
    return "–" if not finite(value) else f"{format_number(100 * float(value), digits)} %"  # type: ignore[arg-type]


def format_p(value: object) -> str:
    """Return a p-value as journals print it: two digits, three below 0.1, ``<0.001`` below that."""
    if not finite(value):
        return "–"
    p = float(value)  # type: ignore[arg-type]
    if p < 0.001:
        return "<0.001"
    if p < 0.0995:
        return f"{p:.3f}"
    return f"{min(p, 0.99):.2f}" if p < 0.995 else ">0.99"


def p_equals(value: object) -> str:
    """Return ``= 0.03``, ``< 0.001`` or ``> 0.99``, to stand after a test's name."""
    shown = format_p(value)
    return f"{shown[0]} {shown[1:]}" if shown[0] in "<>" else f"= {shown}"


# ------------------------------------------------------------------------------------------------ axes


def log_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers within a range of ratios, at most about `most`, for a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [
            step * 10.0**power
            for power in decades
            for step in steps
            if low * 0.999 <= step * 10.0**power <= high * 1.001
        ]
        if 2 <= len(ticks) <= most:
            return ticks
    stride = max(1, math.ceil(len(ticks) / most))
    return [tick for tick in ticks if round(math.log10(tick)) % stride == 0] or ticks[:most]


def ratio_axis(axis: Axis, low: float, high: float, most: int = 6) -> None:
    """Give a logarithmic axis plain round numbers (0.25, 0.5, 1, 2), without formulas."""
    axis.set_major_locator(FixedLocator(log_ticks(low, high, most)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def ratio_limits(
    estimates: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> tuple[float, float]:
    """Return the ends of a logarithmic axis that holds every estimate and most of the limits, and 1.

    A few very wide intervals (a marker with three carriers) must not squeeze the others: limits count up to a
    factor of four beyond the outermost estimate; what is beyond is drawn as an arrow.
    """
    centres = np.array([e for e in estimates if finite(e) and e > 0], dtype=float)
    ends = np.array([e for e in (*lows, *highs) if finite(e) and e > 0], dtype=float)
    if centres.size == 0:
        return 0.25, 4.0
    # One estimate near a boundary must not either: at most a factor of 50 from 1.
    centres = np.clip(centres, 1 / 50, 50)
    first, last = min(centres.min(), 0.8), max(centres.max(), 1.25)
    if ends.size:
        first = min(first, max(ends.min(), first / 4))
        last = max(last, min(ends.max(), last * 4))
    return float(first / 1.12), float(last * 1.12)


def month_ticks(longest: float, most: int = 8) -> np.ndarray:
    """Return round numbers of months from 0 to at most `longest`, for a time axis and its risk table."""
    steps = (1, 2, 3, 6, 12, 24, 36, 60, 120, 240)
    step = next((s for s in steps if longest / s <= most), steps[-1])
    if longest < 1:
        return np.array([0.0, 1.0])
    return np.arange(0, longest + 1e-9, step, dtype=float)
