"""Small cohorts written out by hand, for the tests of the resistance analyses."""

import numpy as np
import pandas as pd

from correlatives.cohort import EMPTY, Cohort
from correlatives.markers import BELOW, INFO, MEASURED, MISSING, NOT_EVALUABLE, Markers

CONTROL, EXPERIMENTAL = "T-DM1", "T-DM1 + palbociclib"

#: A sample that was there and could not be read.
UNREADABLE = "not evaluable"


def marker(
    biomarker, specimen, timepoint, values, kind="binary", transform="none", pathway="", assay=""
):
    """One marker: numbers, None (no sample), UNREADABLE, or "<20" (below the limit)."""
    info = dict.fromkeys(INFO, "") | {
        "biomarker": biomarker,
        "specimen": specimen,
        "timepoint": timepoint,
        "kind": kind,
        "transform": transform,
        "pathway": pathway,
        "assay": assay,
        "domain": "alterations" if kind == "binary" else "blood",
        "lloq": np.nan,
        "uloq": np.nan,
        "cutpoint": np.nan,
    }
    value, state = [], []
    for entry in values:
        if entry is None:
            value.append(np.nan)
            state.append(MISSING)
        elif entry == UNREADABLE:
            value.append(np.nan)
            state.append(NOT_EVALUABLE)
        elif isinstance(entry, str):
            value.append(float(entry.lstrip("<")))
            state.append(BELOW)
        else:
            value.append(float(entry))
            state.append(MEASURED)
    return info, value, state


def trial(arm_codes, markers, samples=(), calls=(), pathways=(), endpoints=None, **subjects):
    """A cohort of subjects 01, 02, … ; arm codes None make it a single-arm study."""
    n = len(arm_codes)
    ids = np.array([f"{i + 1:03d}" for i in range(n)], dtype=object)
    randomised = arm_codes[0] is not None
    arms = {"control": CONTROL, "experimental": EXPERIMENTAL}
    if not randomised:
        arms = {"all": EXPERIMENTAL}
    code = np.array([np.nan if a is None else a for a in arm_codes], dtype=float)
    frame = pd.DataFrame(
        {
            "subject_id": ids,
            "arm": [EXPERIMENTAL if a in (1, None) else CONTROL for a in arm_codes],
            "arm_code": code,
            "stratum": 0,
            "in_population": True,
            "off_treatment_reason": "",
            "progression_months": np.nan,
            "progression_seen": "",
        }
    ).assign(**subjects)
    found = Markers.empty(ids)
    if markers:
        infos, values, states = zip(*markers, strict=True)
        found = Markers(
            ids,
            pd.DataFrame(list(infos), columns=list(INFO)),
            np.array(values, dtype=float),
            np.array(states, dtype=np.uint8),
        )
    return Cohort(
        study={
            "title": "A trial",
            "id": "test",
            "design": "randomised" if randomised else "single_arm",
            "arms": arms,
            "strata": [],
            "endpoints": endpoints or {"PFS": {"type": "time_to_event"}},
            "simulated": False,
            "baseline": "baseline",
            "population": "randomised",
        },
        subjects=frame,
        markers=found,
        samples=_frame("samples", samples),
        calls=_frame("calls", calls),
        course=_frame("course", ()),
        pathways=_frame("pathways", pathways),
    )


def sample(subject, specimen, timepoint, months, tumour_fraction=np.nan, run=None):
    """A usable run."""
    name = run or f"{subject}-{specimen}-{timepoint}"
    return {
        "run_id": name,
        "sample_id": name,
        "subject_id": subject,
        "specimen": specimen,
        "visit": timepoint,
        "timepoint": timepoint,
        "months": months,
        "tumour_fraction": tumour_fraction,
        "qc": "pass",
        "usable": True,
        "chosen": True,
    }


def call(subject, specimen, timepoint, gene, counted=True):
    """A detected alteration in the sample that `sample` makes."""
    name = f"{subject}-{specimen}-{timepoint}"
    return {
        "subject_id": subject,
        "run_id": name,
        "sample_id": name,
        "specimen": specimen,
        "timepoint": timepoint,
        "gene": gene,
        "kind": "snv",
        "counted": counted,
        "chosen": True,
    }


def _frame(name, rows):
    return pd.DataFrame(list(rows), columns=EMPTY[name])
