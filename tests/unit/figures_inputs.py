"""Made-up inputs for the tests of figures, and what every figure must satisfy."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
from matplotlib.text import Text

from correlatives.cohort import (
    BELOW,
    EMPTY,
    INFO,
    MEASURED,
    MISSING,
    NOT_EVALUABLE,
    Cohort,
    Markers,
)
from correlatives.figures.style import SMALL, drawing
from correlatives.intervals import Interval
from correlatives.markers import NUMBERS
from correlatives.predictive.continuous import COLUMNS as CURVES
from correlatives.predictive.levels import Split

ARMS = {"control": "T-DM1", "experimental": "T-DM1 + palbociclib"}
ODD = {
    "control": "A control arm with a name so long that no column is wide enough for it",
    "experimental": "+ Sacituzumab $x_1$ {%raw%} *±* 化学 `é`",
}
ALONE = {"all": "T-DM1 + palbociclib"}


def make_cohort(n=46, *, arms=ARMS, seed=1, course=False, hazard=0.1):
    r = np.random.default_rng(seed)
    code = np.arange(n) % len(arms)
    time = r.exponential(1 / hazard, n)
    censored = r.uniform(1, 40, n)
    event = (time <= censored).astype(float)
    time = np.minimum(time, censored)
    response = r.choice(["CR", "PR", "SD", "PD", "NE"], n, p=[0.05, 0.33, 0.35, 0.17, 0.10])
    change = np.select(
        [response == "CR", response == "PR", response == "SD", response == "PD"],
        [-100.0, r.uniform(-95, -30, n), r.uniform(-29, 19, n), r.uniform(20, 190, n)],
        np.nan,
    )
    single = len(arms) == 1
    ids = np.array([f"SUBJ-{i:04d}" for i in range(n)], dtype=object)
    subjects = pd.DataFrame(
        {
            "subject_id": ids,
            "arm": np.array(list(arms.values()), dtype=object)[code],
            "arm_code": np.full(n, np.nan) if single else code.astype(float),
            "stratum": 0,
            "in_population": True,
            "PFS_months": time,
            "PFS_event": event,
            "OS_months": time + event * r.exponential(8, n),
            "OS_event": event * (r.uniform(size=n) < 0.4),
            "best_overall_response": response,
            "best_change_pct": change,
            "progression_months": np.where(event == 1, time, np.nan),
            "event_reason": np.where(event == 1, "progression", ""),
        }
    )
    study = {"design": "single_arm" if single else "randomised", "arms": dict(arms)}
    frames = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
    if course:
        frames["course"] = pd.DataFrame(
            [
                row
                for subject, months, best in zip(ids, time, response, strict=True)
                for row in (
                    (subject, "dose", "palbociclib", 1.0, max(2.0, months * 25), 100.0, None),
                    (subject, "assessment", best, 43.0, np.nan, 50.0, None),
                )
            ],
            columns=EMPTY["course"],
        )
    return Cohort(study=study, subjects=subjects, markers=Markers.empty(ids), **frames)


def with_genes(cohort, genes, seed=5):
    """Give the cohort plasma gene markers at baseline and progression, and their calls."""
    r = np.random.default_rng(seed)
    ids = cohort.subjects["subject_id"].to_numpy(dtype=object)
    n = len(ids)
    sampled = {"baseline": r.uniform(size=n) < 0.9, "progression": r.uniform(size=n) < 0.5}
    readable = r.uniform(size=n) < 0.8
    info, values, states, calls = [], [], [], []
    for gene, (when, has) in itertools.product(genes, sampled.items()):
        altered = has & (r.uniform(size=n) < 0.25)
        state = np.where(~has, MISSING, np.where(readable | altered, MEASURED, NOT_EVALUABLE))
        info.append(
            {
                **dict.fromkeys(INFO, ""),
                "biomarker": f"gene:{gene}",
                "specimen": "plasma",
                "timepoint": when,
                "kind": "binary",
            }
        )
        values.append(np.where(state == MEASURED, altered.astype(float), np.nan))
        states.append(state)
        for i in np.flatnonzero(altered):
            kind = ("snv", "indel", "amplification", "deletion", "fusion")[i % 5]
            calls.append(
                {
                    "subject_id": ids[i],
                    "specimen": "plasma",
                    "timepoint": when,
                    "gene": gene,
                    "kind": kind,
                    "counted": True,
                    "chosen": True,
                }
            )
    markers = Markers(
        ids,
        pd.DataFrame(info, columns=list(INFO)),
        np.array(values).reshape(-1, n),
        np.array(states, dtype=np.uint8).reshape(-1, n),
    )
    return dataclasses.replace(
        cohort, markers=markers, calls=pd.DataFrame(calls, columns=EMPTY["calls"])
    )


VISITS = {"baseline": 0, "C1D15": 15, "C2D1": 22, "progression": 120}
TRANSFORMS = ("log2", "sqrt", "none", "logit")


def with_quantities(cohort, p, *, seed=7, name="quantity {}"):
    """Give the cohort continuous markers at four visits, with samples, some values below their limit."""
    r = np.random.default_rng(seed)
    ids = cohort.subjects["subject_id"].to_numpy(dtype=object)
    n = len(ids)
    info, values, states = [], [], []
    for i in range(p):
        transform = TRANSFORMS[i % 4]
        level = r.normal(size=n)
        for step, visit in enumerate(VISITS):
            value = level + r.normal(0, 0.3, n) - 0.2 * step
            value = {"log2": np.exp2(value), "sqrt": 40 * value**2, "none": value}.get(
                transform, 1 / (1 + np.exp(-value))
            )
            there = r.uniform(size=n) < (0.55 if visit == "progression" else 0.9)
            below = there & (transform == "log2") & (value < 0.6)
            info.append(
                {
                    **dict.fromkeys(INFO, ""),
                    **dict.fromkeys(NUMBERS, np.nan),
                    "biomarker": name.format(i),
                    "label": f"A label of {name.format(i)}",
                    "specimen": ("plasma", "serum", "archival_tissue")[i % 3]
                    if visit != "progression" or i % 3 < 2
                    else "biopsy",
                    "timepoint": visit,
                    "kind": "continuous",
                    "transform": transform,
                    "unit": "ng/mL",
                    "family": "confirmatory" if i == 1 else "exploratory",
                }
            )
            values.append(np.where(there, np.where(below, 0.6, value), np.nan))
            states.append(np.where(below, BELOW, np.where(there, MEASURED, MISSING)))
    markers = Markers(
        ids,
        pd.DataFrame(info, columns=list(INFO)),
        np.array(values, dtype=float).reshape(-1, n),
        np.array(states, dtype=np.uint8).reshape(-1, n),
    )
    samples = pd.DataFrame(
        [
            {
                "sample_id": f"{subject}-{specimen}-{visit}",
                "subject_id": subject,
                "specimen": specimen,
                "timepoint": visit,
                "months": (day + (k % 5)) / 30.4375,
                "chosen": True,
                "usable": True,
            }
            for k, subject in enumerate(ids)
            for visit, day in VISITS.items()
            for specimen in ("plasma", "serum")
        ],
        columns=EMPTY["samples"],
    )
    course = pd.DataFrame(
        [
            (subject, "dose", "palbociclib", start, start + 13.0, 125.0, None)
            for subject in ids[1::2]
            for start in (5.0, 26.0, 47.0)
        ],
        columns=EMPTY["course"],
    )
    study = {**cohort.study, "baseline": "baseline", "timepoints": list(VISITS)}
    return dataclasses.replace(cohort, markers=markers, samples=samples, course=course, study=study)


def with_changes(cohort, p, *, seed=8):
    """Give the cohort log ratios of C1D15 to baseline, and clearance of tumour DNA."""
    r = np.random.default_rng(seed)
    followed = with_quantities(cohort, 1)
    n = len(cohort.subjects)
    blank = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan)
    info, values, states = [], [], []

    def add(biomarker, timepoint, value, state):
        there = np.where(r.uniform(size=n) < 0.8, state, MISSING)
        info.append(
            blank
            | {
                "biomarker": biomarker,
                "specimen": "plasma",
                "timepoint": timepoint,
                "kind": "continuous",
                "transform": "none",
                "label": f"A label of {biomarker}",
            }
        )
        values.append(np.where(there == MISSING, np.nan, value))
        states.append(there)

    for i in range(p):
        add(f"ratio:marker {i}:C1D15", "C1D15", r.normal(-0.5, 0.6, n), MEASURED)
    for name in ("max_vaf", "tumour_fraction"):
        add(name, "baseline", r.uniform(0.01, 0.3, n), MEASURED)
        gone = r.uniform(size=n) < 0.4
        add(name, "C1D15", np.where(gone, 0.003, 0.05), np.where(gone, BELOW, MEASURED))
    markers = Markers(
        followed.markers.subjects,
        pd.DataFrame(info, columns=list(INFO)),
        np.array(values),
        np.array(states, dtype=np.uint8),
    )
    return dataclasses.replace(followed, markers=markers)


def with_tissue(cohort, genes, seed=9):
    """Give the cohort gene markers in plasma and in an archival block at baseline."""
    r = np.random.default_rng(seed)
    ids = cohort.subjects["subject_id"].to_numpy(dtype=object)
    n = len(ids)
    info, values, states = [], [], []
    for gene in genes:
        altered = r.uniform(size=n) < 0.2
        for specimen, found in (("archival_tissue", 1.0), ("plasma", 0.8)):
            value = (altered & (r.uniform(size=n) < found)) | (r.uniform(size=n) < 0.01)
            readable = r.uniform(size=n) < 0.8
            info.append(
                dict.fromkeys(INFO, "")
                | dict.fromkeys(NUMBERS, np.nan)
                | {
                    "biomarker": f"gene:{gene}",
                    "specimen": specimen,
                    "timepoint": "baseline",
                    "kind": "binary",
                }
            )
            values.append(np.where(readable, value.astype(float), np.nan))
            states.append(np.where(readable, MEASURED, NOT_EVALUABLE))
    markers = Markers(
        ids,
        pd.DataFrame(info, columns=list(INFO)),
        np.array(values),
        np.array(states, dtype=np.uint8),
    )
    study = {**cohort.study, "baseline": "baseline", "timepoints": list(VISITS)}
    return dataclasses.replace(cohort, markers=markers, study=study)


def with_pathway(cohort, p, *, seed=10):
    """Give the cohort quantities of pathway HER2 in tissue and in plasma; the first in both, on one scale."""
    r = np.random.default_rng(seed)
    ids = cohort.subjects["subject_id"].to_numpy(dtype=object)
    n = len(ids)
    level = r.normal(size=n)
    info, values = [], []
    for i in range(p):
        for specimen in ("archival_tissue", "plasma"):
            name = f"quantity {i}" if i == 0 else f"quantity {i} in {specimen}"
            info.append(
                dict.fromkeys(INFO, "")
                | dict.fromkeys(NUMBERS, np.nan)
                | {
                    "biomarker": name,
                    "specimen": specimen,
                    "timepoint": "baseline",
                    "kind": "continuous",
                    "transform": "none",
                    "unit": "ng/mL",
                    "pathway": "HER2",
                }
            )
            values.append(np.where(r.uniform(size=n) < 0.8, level + r.normal(0, 0.5, n), np.nan))
    value = np.array(values)
    markers = Markers(
        ids,
        pd.DataFrame(info, columns=list(INFO)),
        value,
        np.where(np.isnan(value), MISSING, MEASURED).astype(np.uint8),
    )
    study = {**cohort.study, "baseline": "baseline", "timepoints": list(VISITS)}
    pathways = pd.DataFrame([("ERBB2", "amplification", "HER2", "gain")], columns=EMPTY["pathways"])
    return dataclasses.replace(cohort, markers=markers, study=study, pathways=pathways)


def with_everything(cohort, genes, p, seed=11):
    """Give the cohort genes in plasma and in tissue, their pathways, and biomarkers of those pathways."""
    in_plasma = with_genes(cohort, genes, seed)
    in_tissue = with_tissue(cohort, genes, seed)
    only = in_tissue.markers.select(specimen="archival_tissue")
    followed = with_quantities(cohort, p)
    info = followed.markers.info.assign(pathway="RB")
    quantities = dataclasses.replace(followed.markers, info=info)
    changes = with_changes(cohort, 2).markers
    markers = Markers.concatenate([in_plasma.markers, only, quantities, changes])
    calls = in_plasma.calls.assign(
        alteration="p.X1Y", run_id="", sample_id="", significance="pathogenic", origin="tumour"
    )
    kinds = ("snv", "indel", "amplification", "deletion", "fusion")
    pathways = pd.DataFrame(
        [
            (gene, kind, ("RB", "PI3K")[i % 2], "loss")
            for i, gene in enumerate(genes[:-1])
            for kind in kinds
        ],
        columns=EMPTY["pathways"],
    )
    study = {**followed.study, "id": "test", "endpoints": {"PFS": {"type": "time_to_event"}}}
    return dataclasses.replace(
        followed, markers=markers, calls=calls, pathways=pathways, study=study
    )


INTERVALS = (
    "marker_effect_control",
    "marker_effect_experimental",
    "treatment_effect_at_low",
    "treatment_effect_at_high",
    "interaction_ratio",
)


def make_screen(p, *, seed=1, randomised=True, name="marker {}", measure="hazard_ratio"):
    """Return a table with the columns of predictive/{endpoint}.tsv."""
    r = np.random.default_rng(seed)
    rows = []
    for i in range(p):
        effect, error = r.normal(0, 0.6), abs(r.normal(0.4, 0.15)) + 0.15
        row = {
            "biomarker": name.format(i),
            "specimen": ("plasma", "archival_tissue")[i % 2],
            "timepoint": "baseline",
            "kind": ("continuous", "binary")[i % 2],
            "family": "confirmatory" if i < 2 else "exploratory",
            "prespecified": "yes",
            "contrast": ("1 SD", "positive v negative")[i % 2],
            "n": 120 - i % 30,
            "events": 90 - i % 30,
            "effect_measure": measure,
        }
        for column in INTERVALS:
            row[column] = np.exp(effect)
            row[f"{column}_low"] = np.exp(effect - 1.96 * error)
            row[f"{column}_high"] = np.exp(effect + 1.96 * error)
        p_value = float(np.exp(-2 * abs(effect / error)))
        row |= {
            "p_interaction_lrt": p_value,
            "p_randomisation": max(p_value, 1e-4) if randomised else np.nan,
            "p_fwer": min(1, 2 * p_value) if i < 2 else np.nan,
            "q_value": min(1, 5 * p_value) if i >= 2 else np.nan,
            "p_prognostic": r.uniform(),
            "minimum_detectable_ratio": np.exp(2.8 * error),
            "method": "cox",
            "note": "",
        }
        if i % 7 == 4:
            row |= {c + end: np.nan for c in INTERVALS for end in ("", "_low", "_high")}
            row |= {"p_interaction_lrt": np.nan, "p_randomisation": np.nan}
        if i % 7 == 5:
            row["interaction_ratio_high"] = np.inf
        rows.append(row)
    columns = list(rows[0]) if rows else list(make_screen(1).columns)
    return pd.DataFrame(rows, columns=columns)


def make_curves(p, *, seed=2, name="marker {}", measure="hazard_ratio"):
    """Return a table with the columns of predictive/continuous_{endpoint}.tsv.

    The second marker has no spline and no windows, the third a transform and a prespecified cut.
    """
    r = np.random.default_rng(seed)
    rows = []

    def add(base, analysis, at, effect, **more):
        quantity = "interaction_ratio" if "cut" in analysis else "treatment_effect"
        limits = {"effect": effect, "effect_low": effect * 0.4, "effect_high": effect * 2.6}
        rows.append(
            {**base, "analysis": analysis, "quantity": quantity, "value": at} | limits | more
        )

    for i in range(p):
        base = {
            "biomarker": name.format(i),
            "specimen": ("plasma", "archival_tissue")[i % 2],
            "timepoint": "baseline",
            "family": "confirmatory" if i < 2 else "exploratory",
            "transform": "log2" if i % 3 == 2 else "none",
            "unit": (
                "ng/mL",
                "",
                "a unit of *odd* length that does not fit below a panel at all, or does",
            )[i % 3],
            "effect_measure": measure,
            "n": 120 - i,
            "events": 80 - i,
            "method": "Cox, Efron",
        }
        at = np.linspace(0.5, 40, 21) if i % 3 == 2 else np.linspace(-2, 2, 21)
        slope = r.normal(0, 0.3)
        for j, value in enumerate(at):
            add(base, "linear", value, np.exp(slope * j / 10 - 0.3))
            bent = np.nan if i == 1 else np.exp(slope * j / 10 - 0.3 + 0.01 * (j - 10) ** 2 / 5)
            p_value = np.nan if i == 1 else 0.31
            why = "spline: too many equal values for three knots" if i == 1 else ""
            add(base, "spline", value, bent, p_nonlinear_interaction_lrt=p_value, note=why)
        if i == 1:
            note = "STEPP: too few subjects for two windows of 20"
            add(base, "stepp", np.nan, np.nan, note=note)
            add(base, "selected_cut", np.nan, np.nan)
            continue
        for j in (4, 8, 12, 16):
            add(
                base,
                "stepp",
                at[j],
                np.nan if j == 8 else np.exp(slope * j / 10),
                value_low=at[j - 4],
                value_high=at[j + 4],
                p_stepp_randomisation=0.02,
                method="Cox, Efron, profile limits; windows of at least 48 that share at most 36",
            )
        ends = {"value_low": at[3], "value_high": at[15]}
        add(base, "selected_cut", at[9], 2.0, p_maximally_selected_randomisation=0.0001, **ends)
        if i % 3 == 2:
            add(base, "prespecified_cut", at[10], 1.4)
    return pd.DataFrame(rows, columns=CURVES)


def make_rugs(p, seed=3):
    """Return the values of the markers of `make_curves`; of the first some are beyond a limit."""
    r = np.random.default_rng(seed)
    return {
        (f"marker {i}", ("plasma", "archival_tissue")[i % 2]): (
            np.abs(r.normal(0, 9, 110)),
            np.full(0 if i else 12, 0.5),
        )
        for i in range(p)
    }


def make_values(p, *, n=60, name="marker {}", seed=4):
    """Return names and values of markers; the last does not vary, the second is seldom known."""
    r = np.random.default_rng(seed)
    value = r.normal(size=(p, n)) + r.normal(size=n)
    if p > 2:
        value[1, 5:] = np.nan
        value[-1] = 1.0
    return [name.format(i) for i in range(p)], value


def make_splits(cohort, p, *, name="marker {}", seed=6):
    """Return markers in two levels; every second one by the median, and so without an effect."""
    r = np.random.default_rng(seed)
    n = int(cohort.subjects["in_population"].sum())
    nothing = Interval(np.nan, np.nan, np.nan)
    splits = []
    for i in range(p):
        high = np.where(r.uniform(size=n) < 0.1, np.nan, (r.uniform(size=n) < 0.5).astype(float))
        words = ("< 3.2", "≥ 3.2") if i % 2 else ("other", "positive, by a rule with a long name")
        effect = nothing if i % 2 else Interval(0.61, 0.12, 1.44)
        by = "median" if i % 2 else "prespecified cut"
        place = (name.format(i), ("plasma", "archival_tissue")[i % 2], "baseline")
        splits.append(Split(*place, "confirmatory", high, *words, by, effect, effect))
    return splits


def make_predictions(n=60, repeats=3, models=("clinical", "clinical + biomarkers"), seed=1):
    r = np.random.default_rng(seed)
    outcome = (r.uniform(size=n) < 0.4).astype(int)
    frames = []
    for i, model in enumerate(models):
        score = r.normal(-0.4 + 0.6 * (i + 1) * outcome, 1)
        for repeat in range(1, repeats + 1):
            predictor = score + r.normal(0, 0.3, n)
            frames.append(
                pd.DataFrame(
                    {
                        "subject": np.arange(1, n + 1),
                        "repeat": repeat,
                        "fold": 1,
                        "model": model,
                        "outcome": outcome,
                        "predictor": predictor,
                        "probability": 1 / (1 + np.exp(-predictor)),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def make_risks(
    n=90,
    repeats=3,
    models=("clinical", "clinical + biomarkers"),
    *,
    months=6.0,
    censored=25,
    seed=1,
):
    """Return out-of-fold predictions of a time to event, censored at random within `censored` months."""
    r = np.random.default_rng(seed)
    score = r.normal(0, 1, n)
    event, censoring = r.exponential(8 * np.exp(-score)), r.uniform(0, censored, n)
    frames = []
    for repeat in range(1, repeats + 1):
        fold = r.permutation(np.arange(n) % 5) + 1
        for i, model in enumerate(models):
            predictor = score * (i + 1) / len(models) + r.normal(0, 0.3, n)
            frames.append(
                pd.DataFrame(
                    {
                        "subject": np.arange(1, n + 1),
                        "repeat": repeat,
                        "fold": fold,
                        "model": model,
                        "arm": np.arange(n) % 2,
                        "outcome": (event <= censoring).astype(float),
                        "time_months": np.minimum(event, censoring),
                        "horizon_months": months,
                        "predictor": predictor,
                        "probability": 1 - np.exp(-months / 8 * np.exp(predictor)),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def texts_drawn(figure):
    """Return the text that a reader sees, with its place on the screen."""
    with drawing():
        figure.draw_without_rendering()
        hidden = set()
        for axes in figure.axes:
            drawn = axes.get_visible() and axes.axison
            for axis in (axes.xaxis, axes.yaxis):
                seen = {id(tick) for tick in axis._update_ticks()} if drawn else set()
                hidden |= {
                    label
                    for tick in (*axis.majorTicks, *axis.minorTicks)
                    if id(tick) not in seen
                    for label in (tick.label1, tick.label2)
                }
                hidden |= set() if drawn else {axis.label}
        renderer = figure.canvas.get_renderer()
        return [
            (text, text.get_window_extent(renderer))
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text().strip() and text not in hidden
        ]


def defects(figure, *, overlap=1.5):
    """Return what a reviewer would mark: text cut off, over other text, or too small."""
    found = []
    texts = texts_drawn(figure)
    width, height = figure.canvas.get_width_height()
    for text, box in texts:
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(f"cut off: {text.get_text()!r}")
        if text.get_fontsize() < SMALL:
            found.append(f"too small: {text.get_text()!r}")
    for (first, a), (second, b) in itertools.combinations(texts, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        # Boxes include the room for descenders: a pixel or two of it is shared by lines of a table.
        if across > overlap and down > 0.25 * min(a.height, b.height):
            found.append(f"overlap: {first.get_text()!r} and {second.get_text()!r}")
    return found
