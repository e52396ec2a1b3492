"""The style of figures: files, text, axes."""

import os
import subprocess
import sys
from pathlib import Path

import docutils.core
import jinja2
import numpy as np
import pandas as pd
import pytest
from figures_inputs import defects, texts_drawn

from correlatives.figures import style
from correlatives.figures.labels import write_beside

REPOSITORY = Path(__file__).parents[2]


def a_figure(simulated=True):
    with style.drawing():
        figure, top = style.new_figure(style.SINGLE, 1.5, simulated=simulated)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], label="Köln $x_1$")
        axes.fill_between([0, 1], [0, 0], [0, 1], hatch="//")
        axes.set_xlabel("Ångström ≤ 5 化")
        axes.legend()
        style.constrain(figure, top)
    source = pd.DataFrame({"arm": ["=1+1", "-x", "-1.5", "B"], "n": [-1, 2, 3, 4]})
    return style.Drawn(figure, source, "caption")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the files of one figure."""
    return a_figure().write(tmp_path_factory.mktemp("figure") / "one.v1")


def test_all_files_are_written_and_the_same_every_time(written, tmp_path):
    assert [path.suffix for path in written] == [".pdf", ".svg", ".png", ".csv", ".rst"]
    assert written[0].name == "one.v1.pdf"
    drawn = a_figure()
    for again in (drawn.write(tmp_path / "two"), drawn.write(tmp_path / "three")):
        for a, b in zip(written, again, strict=True):
            assert a.read_bytes() == b.read_bytes(), a.suffix


def test_files_do_not_depend_on_the_process(written, tmp_path):
    """Hash seeds differ between interpreters; the bytes must not."""
    code = (
        "import sys; sys.path[:0] = ['scripts', 'tests/unit']; from test_figures_style import a_figure; "
        "a_figure().write(sys.argv[1])"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")],
        check=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    for path in written:
        assert path.read_bytes() == (tmp_path / f"other{path.suffix}").read_bytes(), path.suffix


def test_text_stays_text_and_files_carry_no_date(written):
    pdf, svg, png, *_ = written
    assert "Köln $x_1$" in svg.read_text("utf-8")
    assert "<dc:date>" not in svg.read_text("utf-8")
    assert b"CreationDate" not in pdf.read_bytes()
    assert b"/Type /Font" in pdf.read_bytes()
    assert b"/Subtype /Type3" not in pdf.read_bytes()
    header = png.read_bytes()
    width = int.from_bytes(header[16:20], "big")
    assert width == pytest.approx(89 / 25.4 * 300, abs=1)


def test_the_readers_own_settings_do_not_matter(written, tmp_path):
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "text.parse_math": True}):
        assert a_figure().write(tmp_path / "other")[2].read_bytes() == written[2].read_bytes()
        assert mpl.rcParams["font.size"] == 20


def test_spreadsheets_see_no_formula(tmp_path):
    table = pd.DataFrame(
        {
            "name": ["=cmd|' /C calc'!A0", "+x", "-y", "@z", "\tt", "-1.5", "+3", "RB1", None],
            "value": [-1.5, 1, 2, 3, 4, 5, 6, 7, np.nan],
        }
    )
    safe = style.spreadsheet_safe(table)
    assert list(safe["name"][:8]) == [
        *("'=cmd|' /C calc'!A0", "'+x", "'-y", "'@z", "'\tt"),
        *("-1.5", "+3", "RB1"),
    ]
    assert safe["value"].equals(table["value"])
    assert table["name"][0].startswith("=")


@pytest.mark.parametrize(
    "name",
    [
        "*TP53* `x`_ |y| \\ back",
        "{{ 7 * 7 }} {% for x in y %} {# gone #}",
        "a_ b__ [1]_ <script>alert(1)</script> http://x.y",
        ":math:`x^2` **bold** $x$ é 化",
    ],
)
def test_names_survive_templates_and_markup(name):
    text = jinja2.Template(style.rst_escape(name)).render()
    html = docutils.core.publish_parts(
        f"Word {text} word.",
        writer="html5",
        settings_overrides={"report_level": 1, "halt_level": 2},
    )["body"]
    shown = html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    assert f"Word {name} word." in shown.replace("&amp;", "&")


def test_line_breaks_in_names_do_not_end_the_paragraph():
    assert style.rst_escape("a\n\n- b\t c") == "a - b c"


def test_captions_give_the_long_names_of_their_endpoints(written, tmp_path):
    names = {
        "PFS": "Progression-free survival",
        "PFS_2": "Second *PFS*",
        "OS": "OS",
        "ORR": "Response",
    }
    drawn = style.Drawn(
        a_figure().figure,
        pd.DataFrame(),
        style.caption("PFS\\_2: all tests.", "Not of NORR, nor of OS.", simulated=True),
    )
    *_, rst = drawn.write(tmp_path / "one", names)
    assert rst.read_text("utf-8").endswith("\n\nPFS\\_2: Second \\*PFS\\*.\n")
    assert drawn.write(tmp_path / "two")[-1].read_text("utf-8") == drawn.caption
    assert style.spelled_out("**PFS and ORR.**\n", names).splitlines()[-1] == (
        "PFS: Progression-free survival; ORR: Response."
    )


def test_a_simulated_figure_says_so():
    drawn = a_figure(simulated=True)
    assert style.STAMP in [text.get_text() for text, _ in texts_drawn(drawn.figure)]
    assert style.caption("T", simulated=True).startswith("**Simulated data.**\n")
    plain = a_figure(simulated=False)
    assert style.STAMP not in [text.get_text() for text, _ in texts_drawn(plain.figure)]
    assert "imulated" not in style.caption("T", "x", simulated=False)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0004, "<0.001"),
        (0.0123, "0.012"),
        (0.0996, "0.10"),
        (0.456, "0.46"),
        (0.991, "0.99"),
        (1.0, ">0.99"),
        (0.0, "<0.001"),
        (np.nan, "–"),
        (None, "–"),
    ],
)
def test_p_values(value, shown):
    assert style.format_p(value) == shown


def test_p_in_a_sentence():
    assert style.p_equals(0.0001) == "< 0.001"
    assert style.p_equals(0.03) == "= 0.030"


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((0.62, 0.41, 0.94), "0.62 (0.41–0.94)"),
        ((-0.1, -0.2, 0.3), "−0.10 (−0.20 to 0.30)"),
        ((2.0, 1.0, np.inf), "2.00 (1.00–∞)"),
        ((2.0, np.nan, np.nan), "2.00 (no limits)"),
        ((0.01, 6.2e-6, 0.94), "0.01 (<0.001–0.94)"),
        ((0.0004, 0.0002, 0.0009), "0.0004 (0.0002–0.0009)"),
        ((35.0, 1.0, 13_456.0), "35.0 (1.00–13,000)"),
        ((35.0, 1.0, 2.34e9), "35.0 (1.00–2.3×10⁹)"),
        ((-4e-7, -0.1, 0.1), "−4.0×10⁻⁷ (−0.10 to 0.10)"),
        ((313.34, 9.996, 140_000.0), "313 (10.0–140,000)"),
        ((-12.34, -99.96, 999.7), "−12.3 (−100 to 1000)"),
        ((np.nan, np.nan, np.nan), "–"),
        ((0.004, 0.001, 0.2), "0.004 (0.001–0.20)"),
        ((-0.0001, -0.001, 0.001), "−0.0001 (−0.001 to 0.001)"),
    ],
)
def test_intervals(values, shown):
    assert style.format_interval(*values) == shown


def test_no_negative_zero():
    assert style.format_number(-0.4, 0) == "0"


@pytest.mark.parametrize(("low", "high"), [(0.2, 4), (0.9, 1.3), (0.001, 1000), (0.02, 50)])
def test_ratio_axes_have_a_few_round_numbers(low, high):
    ticks = style.log_ticks(low, high, 6)
    assert 1 <= len(ticks) <= 6
    assert all(low <= tick <= high for tick in ticks)


def test_one_wide_interval_does_not_squeeze_the_others():
    low, high = style.ratio_limits([0.7, 0.9, 1.2], [0.4, 0.5, 1e-9], [1.2, 1.5, 1e12])
    assert low > 0.1
    assert high < 8
    assert style.ratio_limits([], [], []) == (0.25, 4.0)
    assert style.ratio_limits([np.nan], [np.nan], [np.inf]) == (0.25, 4.0)


@pytest.mark.parametrize("longest", [0.3, 5, 20, 40, 130, 2000])
def test_time_axes_have_a_few_round_numbers(longest):
    ticks = style.month_ticks(longest)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= 11


def test_text_fits_its_room():
    long = "Trastuzumab_emtansine_with_a_name_that_never_ends and more words to come after it"
    assert style.text_width(style.shorten(long, 1.0)) <= 1.0
    assert style.shorten("RB1", 1.0) == "RB1"
    lines = style.wrap(long, 1.0, lines=3)
    assert len(lines) == 3
    assert all(style.text_width(line) <= 1.0 for line in lines)
    assert style.wrap("", 1.0) == [""]


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_measured_widths_are_those_drawn(weight):
    for text in ("T-DM1 + palbociclib", "0.62 (0.41–0.94)", "Ångström ≤ 5 AVAVA illi", "MMWW"):
        with style.drawing():
            figure, _ = style.new_figure(7, 1, simulated=False)
            drawn = figure.text(0, 0.5, text, fontsize=6.5, fontweight=weight)
            width = drawn.get_window_extent(figure.canvas.get_renderer()).width / figure.dpi
        assert style.text_width(text, 6.5, weight) == pytest.approx(width, rel=0.05)


def test_arms_look_the_same_in_every_figure_and_differ_in_more_than_colour():
    styles = style.arm_styles({"experimental": "B", "control": "A"})
    assert list(styles) == ["A", "B"]
    assert styles["A"].colour == style.BLUE
    assert styles["B"].colour == style.VERMILLION
    assert len({str(s.line) for s in styles.values()}) == 2
    assert len({s.marker for s in styles.values()}) == 2


def test_nothing_to_draw_is_said():
    with style.drawing():
        drawn = style.no_data("*nobody* came", title="T.", columns=["a"], simulated=True)
    assert list(drawn.source.columns) == ["a"]
    assert len(drawn.source) == 0
    assert "No data: \\*nobody\\* came." in drawn.caption
    assert not defects(drawn.figure)
    assert any("nobody" in text.get_text() for text, _ in texts_drawn(drawn.figure))


def test_defects_are_found():
    """The check that the other tests rely on sees text cut off, over other text, and too small."""
    with style.drawing():
        figure, _ = style.new_figure(2, 2, simulated=False)
        figure.text(0.9, 0.5, "far too long for this place")
        figure.text(0.2, 0.2, "one over")
        figure.text(0.22, 0.21, "another")
        figure.text(0.1, 0.8, "tiny", fontsize=4)
    found = " ".join(defects(figure))
    assert "cut off: 'far too long" in found
    assert "overlap: 'one over' and 'another'" in found
    assert "too small: 'tiny'" in found


def test_names_beside_points_hide_neither_points_nor_names():
    r = np.random.default_rng(3)
    points = r.uniform(size=(60, 2))
    with style.drawing():
        figure, top = style.new_figure(style.SINGLE, 3, simulated=False)
        axes = figure.add_subplot()
        axes.plot(*points.T, "o", markersize=2)
        style.constrain(figure, top)
        texts = write_beside(axes, [f"marker {i}" for i in range(10)], points[:10], points)
        renderer = figure.canvas.get_renderer()
        boxes = [text.get_window_extent(renderer) for text in texts]
        at = axes.transData.transform(points)
    assert len(texts) >= 9
    assert not any(box.contains(*point) for box in boxes for point in at)
    assert not defects(figure)


def test_names_lie_over_a_crowd_rather_than_far_away_but_never_over_a_point_that_matters():
    r = np.random.default_rng(4)
    points = np.r_[r.normal(0, 0.3, (12, 2)), r.normal(0, 0.5, (3000, 2))]
    crowd = np.arange(len(points)) >= 12
    names = [f"a marker, number {i}" for i in range(8)]
    reach = {}
    for given in (None, crowd):
        with style.drawing():
            figure, top = style.new_figure(style.SINGLE, 3, simulated=False)
            axes = figure.add_subplot()
            axes.plot(*points.T, "o", markersize=2)
            axes.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
            style.constrain(figure, top)
            texts = write_beside(axes, names, points[:8], points, crowd=given)
            renderer = figure.canvas.get_renderer()
            boxes = [text.get_window_extent(renderer) for text in texts]
            at = axes.transData.transform(points[:12])
        assert not any(box.contains(*point) for box in boxes for point in at)
        leaders = [line.get_xydata() for line in axes.lines[1:]]
        reach[given is not None] = sum(np.hypot(*(end - start)) for start, end in leaders)
    assert len(texts) == 8
    assert not defects(figure)
    # lines to names do not cross, and are short
    for i, (a, b) in enumerate(leaders):
        for c, d in leaders[:i]:
            one, two = b - a, d - c
            across = one[0] * two[1] - one[1] * two[0]
            s, t = np.linalg.solve(np.column_stack([one, -two]), c - a) if across else (-1, -1)
            assert not (0 < s < 1 and 0 < t < 1)
    assert reach[True] < 0.7 * reach[False]


def test_lines_do_not_break_within_what_a_no_break_space_holds_together():
    held = "T-DM1\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}palbociclib\N{NO-BREAK SPACE}27"
    text = f"no progression sample: 51 (T-DM1\N{NO-BREAK SPACE}24, {held})"
    lines = style.wrap(text, 2.2, 7.0, lines=3)
    assert len(lines) > 1
    assert any(held in line for line in lines)
    # longer than a line it breaks at its spaces after all
    assert "".join(style.wrap(held, 0.6, 7.0, lines=9)).replace(" ", "") == "T-DM1+palbociclib27"
