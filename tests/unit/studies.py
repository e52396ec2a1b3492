"""Small studies written out by hand, as the reader of the tables would hand them over."""

import numpy as np
import pandas as pd

from correlatives.tables.contracts import CONTRACTS
from correlatives.tables.flow import Flow
from correlatives.tables.problems import Problems
from correlatives.tables.study import STATUSES, Matrix, Piece, Study

CONTROL, EXPERIMENTAL = "T-DM1", "T-DM1 + palbociclib"

#: Columns that the reader adds to, or puts in place of, the contract's.
NUMBERS = {
    "outcomes": ["time_months", "event"],
    "measurements": ["value", "replicate"],
    "runs": ["tumour_fraction"],
}
TEXTS = {
    "runs": ["run_id", "sample_id", "assay", "version", "batch", "qc", "qc_reason"],
    "measurements": ["run_id", "sample_id", "qualifier", "text", "assay"],
    "alterations": ["run_id", "sample_id"],
    "samples": ["timepoint"],
}


def configuration(**changes):
    """A filled configuration of a randomised study."""
    config = {
        "study": {
            "id": "test",
            "title": "A trial",
            "design": "randomised",
            "arms": {"control": [CONTROL], "experimental": [EXPERIMENTAL], "other": []},
            "strata": [],
            "time_unit": "months",
            "simulated": False,
        },
        "endpoints": {
            "PFS": {"type": "time_to_event"},
            "OS": {"type": "time_to_event"},
            "ORR": {"type": "response", "responders": ["CR", "PR"]},
        },
        "timepoints": {
            "baseline": {"visits": ["baseline", "screening"], "window_days": [-28, 1]},
            "C1D15": {"visits": ["C1D15"], "window_days": [12, 19]},
            "progression": {
                "visits": ["EOT", "progression"],
                "around": "progression",
                "window_days": [-28, 28],
            },
        },
        "choose": {"replicates": "mean", "samples": "nearest", "tissue": "metastasis_first"},
        "alterations_count": [],
        "evaluable": {"min_tumour_fraction": 0.01, "if_missing": "evaluable"},
        "predictive": {"clinical_markers": [], "covariates": []},
        "response": {"clinical": []},
        "resistance": {"from": "baseline", "to": "progression", "early": ["C1D15"]},
        "eligibility": [],
        "population": "randomised",
    }
    for key, value in changes.items():
        if isinstance(value, dict) and key in ("study", "choose", "resistance", "evaluable"):
            config[key] = config[key] | value
        else:
            config[key] = value
    return config


def table(name, rows):
    """A table as the reader makes it: the contract's columns, text as text, numbers as float."""
    frame = pd.DataFrame(list(rows))
    contract = CONTRACTS[name].columns if name in CONTRACTS else {}
    for column in [*contract, *NUMBERS.get(name, []), *TEXTS.get(name, [])]:
        if column not in frame:
            frame[column] = None
    for column in frame:
        kind = contract[column].type if column in contract else "text"
        numeric = kind in ("number", "integer", "day") or column in NUMBERS.get(name, [])
        if numeric:
            frame[column] = pd.to_numeric(frame[column]).astype(float)
        elif frame[column].map(lambda v: isinstance(v, str) or pd.isna(v)).all():
            frame[column] = frame[column].astype("str")
        else:
            frame[column] = frame[column].astype(float)
    frame["_file"] = f"{name}.csv"
    frame["_row"] = np.arange(len(frame)) + 2
    return frame


def study(
    subjects,
    *,
    config=None,
    outcomes=(),
    responses=(),
    samples=(),
    runs=None,
    measurements=(),
    matrices=(),
    alterations=(),
    coverage=None,
    biomarkers=None,
    pathways=(),
    signatures=(),
    doses=(),
    assessments=(),
    defaults=(),
):
    """A study of these rows; a sample that no run names gets one run, of its own name."""
    samples = [dict(sample) for sample in samples]
    runs = [dict(run) for run in runs or ()]
    named = {run["sample_id"] for run in runs}
    runs += [
        {"run_id": s["sample_id"]}
        | {k: s[k] for k in ("sample_id", "assay", "qc", "version", "batch") if k in s}
        | {k: s[k] for k in ("tumour_fraction", "tumour_fraction_method") if k in s}
        for s in samples
        if s["sample_id"] not in named
    ]
    results = []
    for row in measurements:
        row = {"status": "measured", "qualifier": "", "source": 0.0} | dict(row)
        row.setdefault("run_id", row.get("sample_id"))
        if isinstance(row.get("value"), str):
            word = row["value"]
            row["qualifier"] = word[0] if word[0] in "<>" else ""
            number = word.lstrip("<>")
            if row["qualifier"]:
                row["value"] = float(number)
            else:
                row["text"], row["value"] = word, None
        results.append(row)
    calls = [{"run_id": row.get("sample_id")} | dict(row) for row in alterations]
    given = {"subjects", "outcomes", "measurements"}
    given |= {"coverage"} if coverage is not None else set()
    given |= {"biomarkers"} if biomarkers is not None else set()
    people = table("subjects", [{"subject_id": s} if isinstance(s, str) else s for s in subjects])
    people["first_dose_day"] = people["first_dose_day"].fillna(0.0)
    long = table("measurements", results)
    long["source"] = 0.0
    return Study(
        config=config or configuration(),
        subjects=people.drop(
            columns=[
                c
                for c in people
                if people[c].isna().all() and c not in ("arm", "randomisation_date")
            ]
        ),
        outcomes=table("outcomes", outcomes),
        responses=table("responses", responses),
        samples=table("samples", samples),
        runs=table("runs", runs),
        measurements=long,
        defaults=list(defaults) or [{}],
        matrices=list(matrices),
        alterations=table("alterations", calls),
        coverage=table("coverage", coverage or ()),
        biomarkers=table("biomarkers", biomarkers or ()),
        pathways=table("pathways", pathways),
        signatures=table("signatures", signatures),
        doses=table("doses", doses),
        assessments=table("assessments", assessments),
        given=frozenset(given),
        problems=Problems(),
        flow=Flow(),
    )


def two_arms(control=2, experimental=2, **columns):
    """Subjects C1, C2, … and E1, E2, …; columns are lists over all of them."""
    rows = [{"subject_id": f"C{i + 1}", "arm": CONTROL} for i in range(control)]
    rows += [{"subject_id": f"E{i + 1}", "arm": EXPERIMENTAL} for i in range(experimental)]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def wide(values, features, samples, *, rows_a_piece=100_000, **more):
    """A wide table of numbers (features × samples)."""
    value = np.asarray(values, dtype=float)
    qualifier = more.pop("qualifier", np.zeros(value.shape, dtype=np.int8))
    status = more.pop("status", np.zeros(value.shape, dtype=np.int8))
    return Matrix(
        source="wide.csv",
        features=np.array(features, dtype=object),
        samples=np.array(samples, dtype=object),
        pieces=[
            Piece(value[part], qualifier[part], status[part])
            for start in range(0, len(value), rows_a_piece)
            for part in [slice(start, start + rows_a_piece)]
        ],
        **more,
    )


def value_of(built, biomarker, subject, specimen="plasma", timepoint="baseline", assay=None):
    """(value, state) of one subject; value None where it is not a number."""
    markers = built.cohort.markers
    info = markers.info
    rows = np.flatnonzero(
        (info["biomarker"] == biomarker)
        & (info["specimen"] == specimen)
        & (info["timepoint"] == timepoint)
        & (True if assay is None else info["assay"] == assay)
    )
    assert len(rows) == 1, f"{len(rows)} markers {biomarker} {specimen} {timepoint}"
    column = list(markers.subjects).index(subject)
    value = markers.value[rows[0], column]
    return (None if np.isnan(value) else float(value)), int(markers.state[rows[0], column])


def rules_of(made):
    """Ids of the problems found, in order."""
    return [problem.rule for problem in made.problems.found]


def adds_up(flow):
    """Check that what remains is what remained before less what was left out, by unit and arm."""
    for unit, rows in flow.groupby("unit", sort=False):
        trunk = {}
        for step, part in rows.groupby("step", sort=False):
            remaining = part[part["reason"] == ""].set_index("arm")["n"].to_dict()
            left = part[part["reason"] != ""].groupby("arm")["n"].sum().to_dict()
            branch = step.startswith(("analysis: ", "resistance: "))
            if trunk:
                for arm, before in trunk.items():
                    assert remaining.get(arm, 0) == before - left.get(arm, 0), (unit, step, arm)
            if not branch or not trunk:
                trunk = remaining
    return True


assert STATUSES[0] == "measured"
