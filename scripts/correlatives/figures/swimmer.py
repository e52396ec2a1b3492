"""What happened to each subject, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from correlatives.figures.style import (
    BLACK,
    DIM,
    DOUBLE,
    GREEN,
    LARGE,
    NORMAL,
    ORANGE,
    SKY,
    SMALL,
    TALLEST,
    Drawn,
    arm_styles,
    caption,
    constrain,
    month_ticks,
    new_figure,
    no_data,
    rst_escape,
    shorten,
    styled,
    text_width,
    wrap,
)
from correlatives.tables.outcomes import (
    SAME_DAY_MONTHS,
    progression_endpoint,
    survival_endpoint,
)
from correlatives.time_units import DAYS_A_MONTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from correlatives.cohort import Cohort

#: Lines of an arm at most.
MOST = 90

#: Inches that a further line of a panel's title takes.
LEADING = 0.12

COLUMNS = ("arm", "order", "what", "months", "until_months")


#: An event of progression-free survival of which the tables do not say what it was.
UNKNOWN = "PFS event"

#: The end of a line without an event: where progression is followed, and where it is not.
ARROWS = ("without progression at last contact", "alive at last contact")


class Sign(NamedTuple):
    """How something that happened looks."""

    marker: str
    face: str
    edge: str
    size: float


#: In the order drawn and explained.
SIGNS = {
    "assessment": Sign("|", DIM, DIM, 0.8),
    "complete response": Sign("^", GREEN, BLACK, 1.0),
    "partial response": Sign("^", SKY, BLACK, 1.0),
    "progression": Sign("D", ORANGE, BLACK, 0.85),
    UNKNOWN: Sign("s", "white", BLACK, 0.85),
    "death": Sign("X", BLACK, BLACK, 1.0),
    **dict.fromkeys(ARROWS, Sign(">", "white", BLACK, 1.0)),
}


@styled
def draw(cohort: Cohort, *, subject_level: bool = False, simulated: bool = False) -> Drawn:
    """Draw a line a subject of the primary population, the longest first, by arm; of very many, every k-th.

    Parameters
    ----------
    cohort : Cohort
        Uses months and events of overall and of progression-free survival and ``event_reason`` of the subjects (where
        there), and doses and assessments of the course.
    subject_level : bool
        Whether subject identifiers may be shown and written; else subjects are numbered in the order drawn.
    simulated : bool

    Returns
    -------
    Drawn
        Source: arm, order (and subject_id), what (follow-up, treatment, assessment, ...), months from
        randomisation, until_months (of stretches).
    """
    columns = ["subject_id", *COLUMNS] if subject_level else list(COLUMNS)
    part = cohort.analysed()
    happened = events(part)
    treated = bool((happened["what"] == "treatment").any())
    title = f"Course of {'treatment and ' if treated or not len(happened) else ''}follow-up."
    if not len(happened):
        return no_data(
            "no subject has a time of follow-up, treatment or assessment",
            title=title,
            columns=columns,
            simulated=simulated,
        )
    styles = arm_styles(cohort.arms)
    lengths = happened.groupby("subject_id")[["months", "until_months"]].max().max(axis=1)
    arm = dict(
        zip(
            part.subjects["subject_id"],
            part.subjects["arm"]
            if cohort.randomised
            else [next(iter(styles))] * len(part.subjects),
            strict=True,
        )
    )
    order = {
        label: sorted(
            (s for s in lengths.index if arm[s] == label), key=lambda s: (-lengths[s], str(s))
        )
        for label in styles
    }
    # Of more lines than can be told apart every k-th is drawn: they are as the others are, by follow-up.
    every = {label: -(-len(ids) // MOST) or 1 for label, ids in order.items()}
    followed = {label: len(ids) for label, ids in order.items()}
    totals = {label: sum(value == label for value in arm.values()) for label in order}
    position = {subject: i + 1 for ids in order.values() for i, subject in enumerate(ids)}
    order = {label: ids[:: every[label]] for label, ids in order.items()}
    most = max(len(ids) for ids in order.values())
    room = DOUBLE / len(order) - 0.25
    titles = _titles(order, followed, totals, room)
    around = 1.1 + LEADING * max(text.count("\n") for text in titles.values())
    # Lines 0.1 inch apart while a page has room for them, closer if not.
    step = min(0.10, (TALLEST - around - 0.1) / max(most, 1))
    figure, top = new_figure(DOUBLE, max(most * step, 0.8) + around, simulated=simulated)
    panels = figure.subplots(1, len(order), squeeze=False, sharex=True)[0]
    longest = float(np.nanmax(lengths))
    size = max(1.4, min(4.0, step * 72 * 0.62))
    for axes, (label, ids) in zip(panels, order.items(), strict=True):
        place_of = {subject: i + 1 for i, subject in enumerate(ids)}
        here = happened[happened["subject_id"].isin(place_of)]
        _draw_lines(axes, here, place_of, styles[label].colour, size)
        axes.set_ylim(most + 0.8, 0.2)
        axes.set_xlim(0, longest * 1.03)
        axes.set_xticks(month_ticks(longest, 7))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("Months from randomisation" if cohort.randomised else "Months from start")
        axes.set_title(titles[label], color=styles[label].colour)
        if subject_level and step >= 0.09:
            axes.set_yticks(
                range(1, len(ids) + 1), [shorten(str(s), 0.7, SMALL) for s in ids], fontsize=SMALL
            )
            axes.tick_params(axis="y", length=0)
    _write_key(figure, happened, treated)
    constrain(figure, top)
    source = happened.assign(
        arm=happened["subject_id"].map(arm), order=happened["subject_id"].map(position)
    )
    role = {label: i for i, label in enumerate(styles)}
    source = (
        source.assign(_role=source["arm"].map(role))
        .sort_values(["_role", "order", "months", "what"], kind="stable")
        .reset_index(drop=True)
    )
    n_died = int((happened["what"] == "death").sum())
    n_progressed = int((happened["what"] == "progression").sum())
    n_unknown = int((happened["what"] == UNKNOWN).sum())
    pfs, os = _endpoints(part)
    dies = f"{os}_months" in part.subjects
    progresses = _is_followed(part.subjects, pfs)
    counted = [f"{n_progressed} progressions"] if progresses else []
    counted += [f"{n_died} deaths"] if dies or progresses else []
    seen = set(happened["what"])
    start = "randomisation" if cohort.randomised else "the start"
    counts = "; ".join(
        f"{rst_escape(label)}: {n} of {totals[label]} subjects" for label, n in followed.items()
    )
    thinned = ", ".join(
        f"{len(ids)} of {followed[label]} ({rst_escape(label)})"
        for label, ids in order.items()
        if every[label] > 1
    )
    return Drawn(
        figure,
        source[columns],
        caption(
            title,
            "; ".join([counts, " and ".join(counted)][: 1 + bool(counted)])
            + (
                f", and {n_unknown} events of {pfs} of which the outcomes table does not say what they were (column "
                "reason), shown as *PFS event*."
                if n_unknown
                else "."
            ),
            f"A thin line is a subject's follow-up, from {start} to "
            + (
                "death or last contact"
                if dies
                else f"the end of {pfs} or, if later, the last dose or assessment"
            )
            + (
                "; the broad part is the time from first to last dose of any study drug. "
                if treated
                else ". "
            )
            + (
                "Triangles: first assessment with a response. "
                if seen & {"complete response", "partial response"}
                else ""
            )
            + (
                f"Arrows: {'neither progression nor' if progresses else 'no'} death recorded at the end of the line. "
                if seen & set(ARROWS)
                else ""
            )
            + "Subjects without any of these times are not shown.",
            ""
            if dies or not progresses
            else "The study has no overall survival: the deaths are those that were an event of "
            f"{pfs}, and what came after a progression is not known.",
            f"So that lines can be told apart, only every k-th subject by length of follow-up is drawn: {thinned}. The counts "
            "above, and the table beside the figure, hold all of them."
            if thinned
            else "",
            (
                "The figure does not show interruptions and reductions of dose, and subjects"
                if treated
                else "Subjects"
            )
            + " are sorted by follow-up, which depends on when they joined.",
            simulated=simulated,
        ),
    )


def events(cohort: Cohort) -> pd.DataFrame:
    """Return what happened: subject_id, what, months (from randomisation), until_months (NaN unless a stretch).

    Days of the course are study days: day 1 is the first dose, there is no day 0. An event of progression-free
    survival is what its reason says: a progression, a death, else `UNKNOWN`. It is a progression if the endpoint is the
    time to progression, and the death itself if it stands on the day of death. A death is that of an OS event too.
    """
    pfs, os = _endpoints(cohort)
    subjects = cohort.subjects
    rows: list[tuple[str, str, float, float]] = []
    first_dose = subjects.get("first_dose_day", 0.0)
    shift = dict(zip(subjects["subject_id"], pd.Series(first_dose, subjects.index), strict=True))
    course = cohort.course
    ids = set(subjects["subject_id"])
    last: dict[str, float] = {}

    def months(subject: str, day: float) -> float:
        since = day - 1 if day > 0 else day
        offset = shift[subject]
        return (since + (0.0 if pd.isna(offset) else float(offset))) / DAYS_A_MONTH

    if len(course):
        course = course[course["subject_id"].isin(ids)]
        doses = course[course["what"] == "dose"]
        for subject, given in doses.groupby("subject_id", sort=True):
            start = months(subject, float(given["start_day"].min()))
            stops = given["stop_day"].fillna(given["start_day"]).astype(float)
            stop = months(subject, float(stops.max())) + 1 / DAYS_A_MONTH
            if np.isfinite(start) and np.isfinite(stop):
                rows.append((subject, "treatment", max(start, 0.0), stop))
                last[subject] = stop
        scans = course[(course["what"] == "assessment") & course["start_day"].notna()]
        for subject, done in scans.sort_values("start_day", kind="stable").groupby(
            "subject_id", sort=True
        ):
            seen = set()
            for day, word in zip(done["start_day"], done["name"], strict=True):
                when = months(subject, float(day))
                if when < 0:
                    continue
                rows.append((subject, "assessment", when, np.nan))
                last[subject] = max(last.get(subject, 0.0), when)
                named = {"CR": "complete response", "PR": "partial response"}.get(str(word))
                if named and named not in seen:
                    seen |= {named, "partial response"}
                    rows.append((subject, named, when, np.nan))
    unharmed = ARROWS[0] if _is_followed(subjects, pfs) else ARROWS[1]
    for _, line in subjects.iterrows():
        subject = line["subject_id"]
        time = {
            name: float(line[name]) if name in subjects and pd.notna(line[name]) else np.nan
            for name in (f"{os}_months", f"{pfs}_months", f"{os}_event", f"{pfs}_event")
        }
        survived, free = time[f"{os}_months"], time[f"{pfs}_months"]
        ended = time[f"{pfs}_event"] == 1
        reason = line.get("event_reason", "") if ended else ""
        died = time[f"{os}_event"] == 1
        if not died and reason == "death":
            died, survived = True, free
        # Without a death, follow-up ends with what is known last.
        end = survived if died else np.nanmax([survived, free, last.get(subject, np.nan), -1.0])
        if not end >= 0:
            continue
        rows.append((subject, "follow-up", 0.0, end))
        if ended and (reason == "progression" or pfs.upper().startswith("TTP")):
            rows.append((subject, "progression", free, np.nan))
        elif ended and not (died and abs(free - survived) < SAME_DAY_MONTHS / 2):
            rows.append((subject, UNKNOWN, free, np.nan))
        if died:
            rows.append((subject, "death", end, np.nan))
        elif not ended:
            rows.append((subject, unharmed, end, np.nan))
    return pd.DataFrame(rows, columns=["subject_id", "what", "months", "until_months"])


def _endpoints(cohort: Cohort) -> tuple[str, str]:
    """Return the endpoints of progression and of overall survival, by their usual names where there is none."""
    endpoints = cohort.study.get("endpoints", {})
    return progression_endpoint(endpoints) or "PFS", survival_endpoint(endpoints) or "OS"


def _is_followed(subjects: pd.DataFrame, endpoint: str) -> bool:
    """Return whether any subject has a time of the endpoint."""
    return f"{endpoint}_months" in subjects and bool(subjects[f"{endpoint}_months"].notna().any())


def _titles(
    order: Mapping[str, list[str]],
    followed: Mapping[str, int],
    totals: Mapping[str, int],
    room: float,
) -> dict[str, str]:
    """Return each arm's name and numbers, on one line where all arms' have room, else each on its own."""
    numbers = {
        label: f"(n = {followed[label]} of {totals[label]}"
        + (f", {len(ids)} drawn)" if len(ids) < followed[label] else ")")
        for label, ids in order.items()
    }
    if all(text_width(f"{k} {v}", LARGE, "bold") <= room for k, v in numbers.items()):
        return {label: f"{label} {text}" for label, text in numbers.items()}
    return {
        label: "\n".join([*wrap(label, room, LARGE, weight="bold"), text])
        for label, text in numbers.items()
    }


def _draw_lines(
    axes: Axes, happened: pd.DataFrame, place_of: dict[str, int], colour: str, size: float
) -> None:
    """Draw one arm's subjects."""
    y = happened["subject_id"].map(place_of).to_numpy(dtype=float)
    for what, width, alpha in (("follow-up", 0.22, 1.0), ("treatment", 1.0, 0.45)):
        rows = (happened["what"] == what).to_numpy()
        axes.hlines(
            y[rows],
            happened["months"][rows],
            happened["until_months"][rows],
            color=colour,
            linewidth=max(0.3, size * width),
            alpha=alpha,
            zorder=1,
        )
    for what, sign in SIGNS.items():
        rows = (happened["what"] == what).to_numpy()
        if not rows.any():
            continue
        axes.plot(
            happened["months"][rows],
            y[rows],
            linestyle="none",
            marker=sign.marker,
            markersize=size * sign.size,
            markerfacecolor=sign.face,
            markeredgecolor=sign.edge,
            markeredgewidth=0.3 if what != "assessment" else 0.4,
            zorder=2 if what == "assessment" else 3,
            clip_on=False,
        )


def _write_key(figure: object, happened: pd.DataFrame, treated: bool) -> None:
    """Explain the signs that occur."""
    from matplotlib.lines import Line2D

    seen = set(happened["what"])
    handles = [Line2D([], [], color=DIM, linewidth=0.9, label="follow-up")]
    if treated:
        handles.append(Line2D([], [], color=DIM, linewidth=3.2, alpha=0.45, label="on treatment"))
    handles += [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=sign.marker,
            markersize=4,
            markerfacecolor=sign.face,
            markeredgecolor=sign.edge,
            markeredgewidth=0.4,
            label=what,
        )
        for what, sign in SIGNS.items()
        if what in seen
    ]
    figure.legend(  # type: ignore[attr-defined]
        handles=handles,
        loc="outside lower center",
        ncols=4,
        fontsize=NORMAL,
        columnspacing=1.2,
        handletextpad=0.4,
    )
