"""Locked models: written, read, refused when edited, and applied to subjects they were not fitted on."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, identifiers, markers_of
from matplotlib.text import Text
from pytest import approx

from correlatives.cohort import Cohort
from correlatives.figures.nomogram import draw as draw_nomogram
from correlatives.markers import ABOVE, BELOW, MEASURED, MISSING, Markers
from correlatives.response.baseline import horizon
from correlatives.response.evaluation import PERFORMANCE, SAMPLE_SIZE
from correlatives.response.external import judged
from correlatives.response.locked import (
    LockedModelError,
    as_text,
    digest_of,
    findings,
    read_locked,
    risk,
    score,
)
from correlatives.response.locking import breslow, lock
from correlatives.response.points import (
    nomogram,
    points_table,
    predicted,
    round_predictions,
    score_at,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

NO_PERFORMANCE = pd.DataFrame(columns=PERFORMANCE)
NO_SIZE = pd.DataFrame(columns=SAMPLE_SIZE)


def study(n: int = 160, seed: int = 1, prefix: str = "S", **about: object) -> Cohort:
    """A cohort in which a few inputs of every kind matter, with gaps and limits of detection."""
    rng = np.random.default_rng(seed)
    subjects = np.array([f"{prefix}{name}" for name in identifiers(n)], dtype=object)
    tk1 = np.exp(rng.normal(5, 1, n))
    score3 = rng.integers(0, 4, n).astype(float)
    gene = (rng.random(n) < 0.3).astype(float)
    rare = np.exp(rng.normal(0, 1, n))
    noise = rng.normal(size=(5, n))
    markers = markers_of(
        subjects,
        {"TK1": tk1, "IHC": score3, "gene:RB1": gene, "IL6": rare}
        | {f"noise {j}": noise[j] for j in range(5)},
    )
    info = markers.info.copy()
    info["specimen"] = ["serum", "archival_tissue", "plasma", "serum", *["serum"] * 5]
    info["kind"] = ["continuous", "ordinal", "binary", "continuous", *["continuous"] * 5]
    info["transform"] = ["log2", "none", "none", "log2", *["none"] * 5]
    info["levels"] = ["", "0<1+<2+<3+", "", "", *[""] * 5]
    info["positive"] = ["", "", "", "", *[""] * 5]
    info["unit"] = ["ng/mL", "", "", "pg/mL", *[""] * 5]
    info["conversion"] = ["pg/mL*0.001", "", "", "", *[""] * 5]
    info["assay"] = ["elisa", "pathology", "", "plex", *["plex"] * 5]
    info["domain"] = ["blood", "tissue", "alterations", "blood", *["blood"] * 5]
    value, state = markers.value.copy(), markers.state.copy()
    low = value[0] < 60
    value[0][low], state[0][low] = 60.0, BELOW
    few = value[3] < np.quantile(value[3], 0.6)
    value[3][few], state[3][few] = np.quantile(value[3], 0.6), BELOW
    gone = rng.random(n) < 0.15
    for row in (0, 3):
        value[row][gone], state[row][gone] = np.nan, MISSING
    markers = Markers(subjects, info, value, state)
    ecog = np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 3, n))
    site = rng.choice(["A", "B", "C"], n)
    log_hazard = (
        0.6 * (np.log2(tk1) - 7) / 1.4 + 0.5 * gene + 0.4 * (score3 - 1.5) + 0.4 * (site == "C")
    )
    time = rng.exponential(10 * np.exp(-log_hazard))
    censored = rng.uniform(4, 30, n)
    response = rng.random(n) < 1 / (1 + np.exp(log_hazard))
    cohort = cohort_of(
        markers,
        arm=rng.integers(0, 2, n),
        endpoints={
            "PFS": (np.minimum(time, censored).round(1), (time <= censored).astype(float)),
            "ORR": response.astype(float),
        },
        age=rng.normal(60, 8, n).round(),
        ecog=ecog,
        site=site,
    )
    return replace(
        cohort,
        study=cohort.study
        | {"alterations_count": ["pathogenic"], "evaluable": {"min_tumour_fraction": 0.01}}
        | about,
        pathways=pd.DataFrame({"gene": [], "kind": [], "pathway": [], "direction": []}),
    )


def locked(cohort: Cohort, endpoint: str):
    return lock(
        cohort,
        endpoint,
        ["age", "ecog", "site"],
        seed=3,
        performance=NO_PERFORMANCE,
        sample_size=NO_SIZE,
        tables={"subjects.csv": "0123456789ab"},
        version="0.1.0",
    )


@pytest.fixture(scope="module")
def cohort():
    return study()


@pytest.fixture(scope="module")
def models(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked")
    made = {}
    for endpoint in ("PFS", "ORR"):
        fit = locked(cohort, endpoint)
        path = folder / f"{endpoint}.json"
        path.write_text(as_text(fit.content), encoding="utf-8")
        made[endpoint] = (fit, path)
    return made


# --- the same predictions ---------------------------------------------------------------------------

ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
from correlatives.cohort import Cohort
from correlatives.response.locked import read_locked, score
from pathlib import Path
here = Path(sys.argv[2])
cohort = Cohort.read([here / f"{part}.parquet" for part in ("outcomes", "blood", "tissue", "alterations")])
score(read_locked(here / "model.json"), cohort).to_json(here / "scores.json", orient="split", double_precision=15)
assert not [m for m in sys.modules if "elastic_net" in m or "nested_cv" in m or m.startswith(("sklearn", "sksurv"))]
"""


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_a_fresh_process_with_the_file_and_the_tables_gives_the_fitted_models_predictions(
    endpoint, cohort, models, tmp_path
):
    fit, path = models[endpoint]
    cohort.write(tmp_path)
    (tmp_path / "model.json").write_bytes(path.read_bytes())
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(SCRIPTS), str(tmp_path)], check=True, cwd=tmp_path
    )
    whole = json.loads((tmp_path / "scores.json").read_text())
    table = pd.DataFrame(whole["data"], columns=whole["columns"]).set_index("subject_id")
    assert len(fit.content["inputs"]) >= 4
    # double arithmetic in another order leaves about 1e-15
    assert table.loc[fit.subjects, "score"].to_numpy() == approx(fit.predictor, abs=1e-10)
    if endpoint == "ORR":
        assert table.loc[fit.subjects, "probability"].to_numpy() == approx(
            1 / (1 + np.exp(-fit.predictor)), abs=1e-10
        )
    # nothing of the training data lies outside its own range
    assert set(table["outside_range"]) == {""}


def test_every_kind_of_input_is_in_a_model(models):
    inputs = {item["name"]: item for item in models["PFS"][0].content["inputs"]}
    assert {"serum:TK1", "archival_tissue:IHC", "plasma:gene:RB1", "clinical:site"} <= set(inputs)
    assert inputs["serum:TK1"]["range"][0] == approx(60 / np.sqrt(2))
    assert inputs["serum:TK1"]["unit"] == "ng/mL"
    assert inputs["plasma:gene:RB1"]["definition"]["alterations_count"] == ["pathogenic"]


def test_the_baseline_is_the_nelson_aalen_curve_where_nothing_predicts():
    time = np.array([1.0, 2.0, 2.0, 3.0, 5.0])
    event = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    months, survival = breslow(time, event, np.zeros(5))
    assert months == [1.0, 2.0, 5.0]
    assert survival == approx(np.exp(-np.cumsum([1 / 5, 2 / 4, 1 / 1])))


def test_the_risk_is_that_of_a_proportional_hazard():
    model = {"baseline": {"time_months": [1.0, 2.0], "survival": [0.9, 0.5]}}
    shift = np.log(np.array([1.0, 2.0]))
    assert risk(model, shift, 0.5) == approx([0, 0])
    assert risk(model, shift, 1.0) == approx([0.1, 1 - 0.9**2])
    assert risk(model, shift, 9.0) == approx([0.5, 0.75])
    assert risk({"baseline": {"time_months": [1.0], "survival": [0.0]}}, shift, 2.0) == approx(
        [1, 1]
    )


def test_mean_predicted_risk_is_near_the_observed_one(cohort, models):
    """Breslow's baseline makes expected events equal observed ones over all follow-up."""
    model = models["PFS"][0].content
    table = score(model, cohort)
    time, event = (cohort.subjects[f"PFS_{part}"].to_numpy() for part in ("months", "event"))
    survival = np.r_[1.0, model["baseline"]["survival"]]
    place = np.searchsorted(model["baseline"]["time_months"], time, side="right")
    expected = -np.log(survival[place]) * np.exp(table["score"].to_numpy())
    assert expected.sum() == approx(event.sum(), rel=1e-9)


def test_the_horizon_is_a_milestone_that_half_were_followed_to():
    time = np.arange(1.0, 21.0)
    assert horizon(time, [6, 12, 24]) == 6
    assert horizon(time, [24]) == 10.0
    assert horizon(time / 20, []) == approx(10.5 / 20)


# --- the file ---------------------------------------------------------------------------------------


def test_the_file_is_the_same_every_time_and_gives_the_same_doubles(cohort, models):
    fit, path = models["PFS"]
    assert as_text(locked(cohort, "PFS").content) == path.read_text(encoding="utf-8")
    again = read_locked(path)
    assert again == {**fit.content, "digest": again["digest"]}
    assert as_text(again) == path.read_text(encoding="utf-8")


def test_layout_alone_may_change(models, tmp_path):
    other = tmp_path / "compact.json"
    other.write_text(json.dumps(json.loads(models["PFS"][1].read_text())))
    assert read_locked(other) == read_locked(models["PFS"][1])


@pytest.mark.parametrize(
    "edit",
    [
        lambda m: m["inputs"][0]["terms"][0].__setitem__(
            "coefficient", np.nextafter(m["inputs"][0]["terms"][0]["coefficient"], 9)
        ),
        lambda m: m["baseline"]["survival"].pop(),
        lambda m: m["intended_use"].append("Anything."),
        lambda m: m["inputs"].pop(),
        lambda m: m["data_freeze"].__setitem__("simulated", False),
    ],
)
def test_a_file_edited_by_hand_is_refused(edit, models, tmp_path):
    model = json.loads(models["PFS"][1].read_text())
    edit(model)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(model))
    with pytest.raises(LockedModelError, match="was changed after it was written"):
        read_locked(path)


def test_what_is_no_locked_model_is_told(models, tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(LockedModelError, match="there is no such file"):
        read_locked(path)
    for text, words in (
        ("{", "is no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ("[1]", "is no locked model"),
        ('{"format": "locked response model", "format_version": 9}', "format version 9"),
    ):
        path.write_text(text)
        with pytest.raises(LockedModelError, match=words):
            read_locked(path)
    model = json.loads(models["PFS"][1].read_text())
    model["format_version"] = 2
    path.write_text(json.dumps({**model, "digest": digest_of(model)}))
    with pytest.raises(LockedModelError, match="this workflow reads 1"):
        read_locked(path)


def test_a_study_too_small_for_a_model_says_so_and_its_file_is_refused(tmp_path):
    small = study(n=14)
    fit = locked(small, "ORR")
    assert "no model is fitted" in fit.content["refused"]
    path = tmp_path / "ORR.json"
    path.write_text(as_text(fit.content))
    with pytest.raises(LockedModelError, match="holds no model: ORR"):
        read_locked(path)


def test_the_training_data_have_a_digest_that_knows_every_value(cohort, models):
    freeze = models["PFS"][0].content["data_freeze"]
    other = replace(cohort, subjects=cohort.subjects.assign(age=cohort.subjects["age"] + 1e-9))
    assert locked(other, "PFS").content["data_freeze"]["training_data"] != freeze["training_data"]
    assert freeze["tables"] == {"subjects.csv": "0123456789ab"}


# --- what the file has to hold -----------------------------------------------------------------------


def refused(model: dict, path: Path) -> tuple[str, ...]:
    """What reading says of a model whose digest fits."""
    path.write_text(json.dumps({**model, "digest": digest_of(model)}))
    with pytest.raises(LockedModelError) as caught:
        read_locked(path)
    return tuple(message.removeprefix(f"{path}: ") for message in caught.value.messages)


def test_all_entries_that_are_missing_or_wrong_are_told_at_once(models, tmp_path):
    model = json.loads(models["PFS"][1].read_text())
    place = [item["name"] for item in model["inputs"]].index("serum:TK1")
    del model["inputs"][place]["terms"][0]["coefficient"]
    model["inputs"][place]["terms"][0]["scale"] = 0
    model["inputs"][place]["range"] = [1.0, "high"]
    model["inputs"][0]["table"] = "doses"
    model["data_freeze"]["simulated"] = "no"
    model["horizon_months"] = True
    del model["baseline"]["survival"]
    told = refused(model, tmp_path / "PFS.json")
    name, first = f"inputs {place + 1} (serum:TK1)", model["inputs"][0]["name"]
    assert set(told) >= {
        f"{name}, terms 1, coefficient is missing.",
        f"{name}, terms 1, scale: found 0; right would be a number above 0.",
        f'{name}, range 2: found "high"; right would be a number.',
        f'inputs 1 ({first}), table: found "doses"; right would be subjects, measurements or alterations.',
        'data_freeze, simulated: found "no"; right would be true or false.',
        "horizon_months: found true; right would be a number of months above 0.",
        "baseline, survival is missing.",
    }


def test_entries_that_contradict_each_other_are_told(models, tmp_path):
    model = json.loads(models["PFS"][1].read_text())
    names = [item["name"] for item in model["inputs"]]
    site = model["inputs"][names.index("clinical:site")]
    site["terms"][0]["word"] = "Z"
    model["inputs"].append(model["inputs"][0])
    model["inputs"][names.index("serum:TK1")] |= {"range": [2.0, 1.0], "conversion": "pg/mL*x"}
    model["baseline"]["survival"] = [*model["baseline"]["survival"][::-1], 0.5]
    told = " ".join(refused(model, tmp_path / "PFS.json"))
    for words in (
        f"{names[0]} is there 2 times",
        'terms 1, word: found "Z" is none of its words'.replace("found ", ""),
        "range: 2 is above 1",
        "right would be unit*factor",
        "times and",
        "survival: it rises",
    ):
        assert words in told


def test_an_edited_file_is_told_what_is_wrong_beside_its_digest(models, tmp_path):
    model = json.loads(models["ORR"][1].read_text())
    del model["intercept"]
    path = tmp_path / "ORR.json"
    path.write_text(json.dumps(model))
    with pytest.raises(LockedModelError) as caught:
        read_locked(path)
    first, second = caught.value.messages
    assert "was changed after it was written" in first
    assert second == f"{path}: intercept is missing."


def leaves(value: object, path: tuple = ()):
    """Every entry of a model with its path."""
    if path:
        yield path
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inside:
        yield from leaves(item, (*path, key))


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_any_entry_may_be_broken_and_the_file_is_refused_or_scores(
    endpoint, cohort, models, tmp_path
):
    """Each entry in turn is taken away or replaced, and the digest made to fit: never another error."""
    whole = json.loads(models[endpoint][1].read_text())
    whole["inputs"] = whole["inputs"][:5]
    if "baseline" in whole:
        whole["baseline"] = {key: values[:3] for key, values in whole["baseline"].items()}
    new = replace(
        cohort,
        subjects=cohort.subjects.head(3),
        markers=cohort.markers.of_subjects(np.arange(160) < 3),
    )
    path, left = tmp_path / "model.json", 0
    for place in leaves(whole):
        if place[0] in ("performance", "fitting", "digest"):
            continue
        for value in ("absent", None, -1, "x", "", [], {}, True, 10**400):
            model = json.loads(json.dumps(whole))
            *parents, key = place
            inside = model
            for parent in parents:
                inside = inside[parent]
            if value == "absent":
                del inside[key]
            else:
                inside[key] = value
            path.write_text(json.dumps({**model, "digest": digest_of(model)}))
            try:
                read = read_locked(path)
            except LockedModelError as error:
                assert error.messages
                continue
            left += 1
            problems = list(findings(read, new, "model.json"))
            if not problems:
                assert len(score(read, new)) == 3
    assert left > 0


# --- new subjects -----------------------------------------------------------------------------------


def changed(cohort: Cohort, row: int, **info: object) -> Cohort:
    frame = cohort.markers.info.copy()
    for column, value in info.items():
        frame.loc[row, column] = value
    return replace(cohort, markers=replace(cohort.markers, info=frame))


def with_value(cohort: Cohort, row: int, place: int, value: float, state: int) -> Cohort:
    values, states = cohort.markers.value.copy(), cohort.markers.state.copy()
    values[row, place], states[row, place] = value, state
    return replace(cohort, markers=replace(cohort.markers, value=values, state=states))


def test_a_score_can_be_worked_out_by_hand(models):
    model = models["PFS"][0].content
    new = study(n=1, seed=9, prefix="N")
    new = with_value(new, 0, 0, 30.0, BELOW)
    total = 0.0
    for item in model["inputs"]:
        for term in item["terms"]:
            if item["name"] == "serum:TK1":
                x = np.log2(30 / np.sqrt(2)) if term["is"] == "value" else 0.0
            elif item["table"] == "subjects" and item["kind"] == "words":
                x = float(new.subjects[item["column"]][0] == term.get("word", ""))
            elif item["table"] == "subjects":
                x = float(new.subjects[item["column"]][0])
            else:
                row = list(new.markers.info["biomarker"]).index(item["biomarker"])
                x = new.markers.value[row, 0]
                missing = np.isnan(x)
                x = float(missing) if term["is"] == "missing" else x
                if missing and term["is"] == "value":
                    x = term["if_missing"]
                elif item["rule"] == "detected" and term["is"] == "value":
                    x = float(new.markers.state[row, 0] != BELOW)
                elif item["transform"] == "log2" and term["is"] == "value":
                    x = np.log2(x)
            total += term["coefficient"] * (x - term["centre"]) / term["scale"]
    line = score(model, new).iloc[0]
    assert line["score"] == approx(total, abs=1e-12)
    # the assay of the new subject reaches lower than that of the training subjects did
    assert line["outside_range"].startswith("serum:TK1 = 21.21 ng/mL (trained on 42.43 to ")


def test_each_subjects_missing_inputs_are_named_and_imputed(models):
    model = models["PFS"][0].content
    new = study(n=3, seed=5, prefix="N")
    new = with_value(new, 0, 1, np.nan, MISSING)
    new.subjects.loc[2, "site"] = None
    table = score(model, new)
    assert "serum:TK1" in table["missing_inputs"][1].split("; ")
    assert "clinical:site" in table["missing_inputs"][2].split("; ")
    assert "clinical:site" not in table["missing_inputs"][1].split("; ")
    assert np.isfinite(table["score"]).all()
    nobody = new
    for row in range(len(new.markers)):
        nobody = with_value(nobody, row, 0, np.nan, MISSING)
    nobody.subjects.loc[0, ["site", "age", "ecog"]] = None
    assert score(model, nobody)["note"][0] == "no input is known: the score of imputed values"


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_an_input_that_one_training_subject_lacks_is_imputed_and_named(endpoint):
    new = study()
    new.subjects["age"] = new.subjects["age"].astype(float)
    new.subjects.loc[7, "age"] = np.nan
    fit = locked(new, endpoint)
    used = {item["name"]: item for item in fit.content["inputs"]}
    assert [term["is"] for term in used["clinical:age"]["terms"]] == ["value"]
    assert used["clinical:age"]["missing_in_training"] == 1
    table = score(fit.content, new).set_index("subject_id")
    assert table.loc[fit.subjects, "score"].to_numpy() == approx(fit.predictor, abs=1e-10)
    lone = new.subjects["subject_id"][7]
    assert "clinical:age" in table.loc[lone, "missing_inputs"].split("; ")
    # as if the median of the others had been measured
    age = used["clinical:age"]["terms"][0]["if_missing"]
    assert age == np.nanmedian(new.subjects["age"])
    new.subjects.loc[7, "age"] = age
    again = score(fit.content, new).set_index("subject_id")
    assert again.loc[lone, "score"] == approx(table.loc[lone, "score"], abs=1e-12)
    # points: no axis value of its own
    scale = next(s for s in nomogram(fit.content).scales if s.name == "clinical:age")
    assert "missing" not in scale.worded
    assert 0 <= scale.missing <= scale.points.max()


def test_an_input_that_the_new_study_lacks_altogether_counts_as_missing_for_everybody(models):
    """Worked out by hand: the constant of the training study, and the term of those without the value."""
    item = {
        "name": "serum:TK1",
        "table": "measurements",
        "biomarker": "TK1",
        "specimen": "serum",
        "kind": "continuous",
        "unit": "ng/mL",
        "transform": "log2",
        "rule": "value",
        "range": [10.0, 1000.0],
        "terms": [
            {"is": "value", "if_missing": 7.0, "centre": 6.0, "scale": 2.0, "coefficient": 0.8},
            {"is": "missing", "centre": 0.25, "scale": 0.5, "coefficient": -0.4},
        ],
    }
    age = {
        "name": "clinical:age",
        "table": "subjects",
        "column": "age",
        "kind": "number",
        "transform": "none",
        "rule": "value",
        "range": [40.0, 80.0],
        "terms": [
            {"is": "value", "if_missing": 58.0, "centre": 60.0, "scale": 8.0, "coefficient": 0.5}
        ],
    }
    model = {**models["ORR"][0].content, "intercept": -0.3, "inputs": [item, age]}
    new = with_value(study(n=3, seed=5, prefix="N"), 0, 1, np.nan, MISSING)
    new = with_value(new, 0, 0, 64.0, MEASURED)
    new = replace(new, subjects=new.subjects.assign(age=[68.0, 68.0, np.nan]))
    present = -0.3 + 0.8 * (6 - 6) / 2 - 0.4 * (0 - 0.25) / 0.5 + 0.5 * (68 - 60) / 8
    absent = -0.3 + 0.8 * (7 - 6) / 2 - 0.4 * (1 - 0.25) / 0.5 + 0.5 * (68 - 60) / 8
    old = absent - 0.5 * (68 - 60) / 8 + 0.5 * (58 - 60) / 8
    assert list(score(model, new)["score"][:2]) == approx([present, absent], abs=1e-12)
    lacking = replace(new, markers=new.markers.where(new.markers.info["biomarker"] != "TK1"))
    table = score(model, lacking)
    assert list(table["score"]) == approx([absent, absent, old], abs=1e-12)
    assert list(table["probability"]) == approx(
        [1 / (1 + np.exp(-value)) for value in (absent, absent, old)], abs=1e-12
    )
    assert list(table["missing_inputs"]) == ["serum:TK1", "serum:TK1", "serum:TK1; clinical:age"]
    assert list(table["note"][:2]) == ["", ""]
    assert table["note"][2].startswith("no input is known")
    assert ("locked_input_unmeasured", "TK1") in told(model, lacking)
    # a column that nobody has filled in is missing; one that is not there at all may be a slip
    blank = replace(lacking, subjects=lacking.subjects.assign(age=None))
    assert list(score(model, blank)["score"]) == approx([old] * 3, abs=1e-12)
    gone = replace(lacking, subjects=lacking.subjects.drop(columns="age"))
    assert ("locked_input_missing", "age") in told(model, gone)


def test_values_outside_the_training_range_and_unknown_words_are_flagged(models):
    model = models["PFS"][0].content
    new = study(n=2, seed=6, prefix="N")
    new = with_value(new, 0, 0, 1e7, ABOVE)
    new.subjects.loc[1, "site"] = "Z"
    table = score(model, new)
    assert "serum:TK1 = 1e+07 ng/mL" in table["outside_range"][0]
    assert "clinical:site = Z (trained on A, B, C)" in table["outside_range"][1]
    assert "clinical:site" in table["missing_inputs"][1]
    known = new.subjects.copy()
    known["site"] = [known["site"][0], None]
    assert score(model, replace(new, subjects=known))["score"][1] == table["score"][1]


def test_the_rule_for_values_below_the_limit_is_the_models_not_the_new_datas(models):
    """IL6 was mostly below its limit in training, and became detected v not."""
    item = {
        "name": "serum:IL6",
        "table": "measurements",
        "biomarker": "IL6",
        "specimen": "serum",
        "assay": "plex",
        "kind": "continuous",
        "unit": "pg/mL",
        "transform": "none",
        "rule": "detected",
        "range": [1.5, 2.5],
        "terms": [
            {"is": "value", "if_missing": 0.0, "centre": 0.5, "scale": 0.5, "coefficient": 1.0}
        ],
    }
    model = {**models["PFS"][0].content, "inputs": [item]}
    new = study(n=4, seed=8, prefix="N")
    given = ((9.0, MEASURED), (2.0, BELOW), (0.1, BELOW), (np.nan, MISSING))
    for place, (value, state) in enumerate(given):
        new = with_value(new, 3, place, value, state)
    table = score(model, new)
    assert list(table["score"]) == [1.0, -1.0, -1.0, -1.0]
    assert list(table["outside_range"]) == [
        "",
        "",
        "serum:IL6 = 0.1 pg/mL (limits in training 1.5 to 2.5)",
        "",
    ]
    above = {**model, "inputs": [{**item, "rule": "above"}]}
    assert list(score(above, with_value(new, 3, 0, 2.0, ABOVE))["score"]) == [1.0, -1.0, -1.0, -1.0]


def test_a_model_of_mostly_undetected_values_says_its_rule(cohort):
    """With IL6 the only marker, and strong, it is in the model as what it became."""
    il6 = replace(
        cohort,
        markers=cohort.markers.where(cohort.markers.info["biomarker"] == "IL6"),
        subjects=cohort.subjects.assign(ORR=(cohort.markers.state[3] != BELOW).astype(float)),
    )
    (item,) = (item for item in locked(il6, "ORR").content["inputs"] if item["name"] == "serum:IL6")
    limit = cohort.markers.value[3][cohort.markers.state[3] == BELOW][0]
    assert (item["rule"], item["transform"], item["range"]) == ("detected", "none", [limit, limit])


def told(model, cohort):
    return {(f.rule, f.column): f.message for f in findings(model, cohort, "PFS.json")}


def test_nothing_is_told_of_data_that_fit(cohort, models):
    assert told(models["PFS"][0].content, cohort) == {}


def test_units_are_converted_or_both_are_named(cohort, models):
    model = models["PFS"][0].content
    scores = score(model, cohort)["score"].to_numpy()

    def in_unit(unit: str, factor: float, conversion: str = "") -> Cohort:
        value = cohort.markers.value.copy()
        value[0] *= factor
        other = replace(cohort, markers=replace(cohort.markers, value=value))
        return changed(other, 0, unit=unit, conversion=conversion)

    # by the conversion that the model brings along, and by that of the new dictionary
    for other in (in_unit("PG/ml", 1000.0), in_unit("ug/L", 7.0, "ng/mL*7")):
        assert told(model, other) == {}
        table = score(model, other)
        assert table["score"].to_numpy() == approx(scores, abs=1e-10)
        assert set(table["outside_range"]) == {""}
    message = told(model, in_unit("U/L", 1.0))["locked_unit_differs", "TK1"]
    assert "'U/L'" in message and "'ng/mL'" in message
    assert "states no unit" in told(model, in_unit("", 1.0))["locked_unit_differs", "TK1"]


def test_inputs_that_mean_something_else_are_told(cohort, models):
    model = models["PFS"][0].content
    subjects = cohort.subjects
    assert ("locked_input_missing", "site") in told(
        model, replace(cohort, subjects=subjects.drop(columns="site"))
    )
    coded = subjects.assign(site=subjects["site"].map({"A": 1.0, "B": 2.0, "C": 3.0}))
    assert ("locked_input_differs", "site") in told(model, replace(cohort, subjects=coded))
    assert ("locked_input_differs", "IHC") in told(model, changed(cohort, 1, levels="3+<2+<1+<0"))
    assert ("locked_input_differs", "IHC") in told(model, changed(cohort, 1, kind="continuous"))
    counted = replace(cohort, study=cohort.study | {"alterations_count": []})
    assert "['pathogenic']" in told(model, counted)["locked_input_differs", "gene:RB1"]
    assert ("locked_input_unmeasured", "TK1") in told(model, changed(cohort, 0, biomarker="TK-1"))
    assert ("locked_assay_differs", "TK1") in told(model, changed(cohort, 0, assay="other"))
    twice = replace(
        cohort,
        markers=Markers.concatenate(
            [cohort.markers, cohort.markers.where(cohort.markers.info["biomarker"] == "TK1")]
        ),
    )
    last = len(twice.markers) - 1
    both = changed(changed(twice, 0, assay="a"), last, assay="b")
    assert ("locked_input_ambiguous", "TK1") in told(model, both)
    assert told(model, changed(twice, last, assay="b")) == {}
    signature = {**model["inputs"][0], "name": "serum:signature:RB", "kind": "continuous"}
    signature |= {"table": "measurements", "biomarker": "signature:RB", "specimen": "serum"}
    signature |= {"definition": {"score": "rank", "genes": ["E2F1", "CCNE1 × -1"]}, "unit": "ng/mL"}
    other = changed(cohort, 0, biomarker="signature:RB")
    lists = {"RB": {"score": "mean", "genes": ["E2F1"]}}
    other = replace(other, study=other.study | {"signatures": lists})
    message = told({**model, "inputs": [signature]}, other)["locked_input_differs", "signature:RB"]
    assert "CCNE1 × -1" in message
    real = replace(cohort, study=cohort.study | {"simulated": False})
    assert ("locked_model_simulated", "") in told(model, real)
    other = dict(cohort.study["endpoints"], PFS={"type": "response"})
    differs = replace(cohort, study=cohort.study | {"endpoints": other})
    assert ("locked_endpoint_differs", "endpoint") in told(model, differs)
    age = {"name": "clinical:age", "table": "subjects", "column": "age", "kind": "number"}
    words = replace(cohort, subjects=subjects.assign(age="old"))
    assert "'old' is none" in told({**model, "inputs": [age]}, words)["locked_input_differs", "age"]


# --- performance elsewhere --------------------------------------------------------------------------


def test_scores_are_judged_by_the_outcomes_of_the_primary_population(cohort, models):
    from sklearn.metrics import brier_score_loss, roc_auc_score

    model = models["ORR"][0].content
    new = study(n=120, seed=21, prefix="N")
    outside = np.arange(120) < 20
    unknown = new.subjects["ORR"].where(np.arange(120) < 110)
    new = replace(new, subjects=new.subjects.assign(in_population=~outside, ORR=unknown))
    table = score(model, new, "ORR.json")
    external = judged(model, table, new, seed=1)
    rows = external.performance.set_index("metric")
    used = ~outside & unknown.notna().to_numpy()
    outcome, probability = unknown[used], table["probability"][used]
    assert set(rows["n"]) == {90}
    assert set(rows["locked"]) == {"ORR.json"}
    assert rows.loc["auc", "estimate"] == approx(roc_auc_score(outcome, probability))
    assert rows.loc["brier", "estimate"] == approx(brier_score_loss(outcome, probability))
    # the overall risk is not held fixed by the bootstrap: its spread alone is this wide
    width = rows.loc["calibration_intercept", "high"] - rows.loc["calibration_intercept", "low"]
    assert width > 3 * 0.9 * np.sqrt(1 / (90 * 0.25))
    assert list(external.predictions["predicted"]) == list(probability)


def test_uno_concordance_elsewhere_agrees_with_scikit_survival(models):
    from sksurv.metrics import brier_score, concordance_index_ipcw, cumulative_dynamic_auc
    from sksurv.util import Surv

    model = models["PFS"][0].content
    new = study(n=90, seed=22, prefix="N")
    # where a censored time equals an event's its weights are not R's
    later = new.subjects["PFS_months"] + 0.001 * (new.subjects["PFS_event"] == 0)
    new = replace(new, subjects=new.subjects.assign(PFS_months=later))
    table = score(model, new, "PFS.json")
    rows = judged(model, table, new, seed=1).performance.set_index("metric")
    time, event = (new.subjects[f"PFS_{part}"].to_numpy() for part in ("months", "event"))
    truth = Surv.from_arrays(event == 1, time)
    tau = time[event == 1].max()
    peer = concordance_index_ipcw(truth, truth, table["score"].to_numpy(), tau=tau)[0]
    assert rows.loc["c_index_ipcw", "estimate"] == approx(peer, abs=1e-9)
    months = model["horizon_months"]
    auc = cumulative_dynamic_auc(truth, truth, table["score"].to_numpy(), months)[0][0]
    assert rows.loc[f"auc_at_{months:g}_months", "estimate"] == approx(auc, abs=1e-9)
    free = 1 - table["risk"].to_numpy()
    score_at = brier_score(truth, truth, free[:, None], [months])[1][0]
    assert rows.loc[f"brier_at_{months:g}_months", "estimate"] == approx(score_at, abs=1e-9)
    intercept = rows.loc[f"calibration_intercept_at_{months:g}_months"]
    assert intercept["low"] < 0 < intercept["high"]


def test_without_outcomes_or_with_too_few_nothing_is_judged(models):
    model = models["ORR"][0].content
    new = study(n=15, seed=23, prefix="N")
    table = score(model, new)
    few = judged(model, table, new, seed=1)
    assert len(few.performance) == 0
    assert "fewer than 10" in few.notes[0]
    none = replace(new, study=new.study | {"endpoints": {}})
    assert "no outcomes are known" in judged(model, table, none, seed=1).notes[0]


# --- points -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_points_add_up_to_the_score(endpoint, models):
    """Subjects with the first, the last and no value of every scale."""
    model = models[endpoint][0].content
    made = nomogram(model)
    assert max(scale.points.max() for scale in made.scales) == approx(100)
    assert {float(scale.points.min()) for scale in made.scales} == {0.0}
    items = {item["name"]: item for item in model["inputs"]}
    new = study(n=3, seed=30, prefix="N")
    value = np.full(new.markers.value.shape, np.nan)
    state = np.full(new.markers.state.shape, MISSING, dtype=np.uint8)
    subjects = new.subjects.assign(age=np.nan, ecog=np.nan, site=None)
    rows = list(new.markers.info["biomarker"])
    expected = np.array([sum(scale.missing for scale in made.scales)] * 3)
    for scale in made.scales:
        item = items[scale.name]
        known = [word for word in scale.worded if word != "missing"]
        for place, word in ((0, known[0]), (1, known[-1])):
            expected[place] += scale.points[scale.worded.index(word)] - scale.missing
            end = item.get("range", [0.0, len(known) - 1.0])[-place]
            if item["table"] == "subjects":
                subjects.loc[place, item["column"]] = word if item["kind"] == "words" else end
                continue
            row = rows.index(item["biomarker"])
            undetected = item["rule"] == "detected" and place == 0
            value[row, place], state[row, place] = end, BELOW if undetected else MEASURED
    new = replace(new, subjects=subjects, markers=replace(new.markers, value=value, state=state))
    table = score(model, new)
    assert list(table["missing_inputs"].str.len() > 0) == [False, False, True]
    assert table["score"].to_numpy() == approx(made.base + expected * made.a_point, abs=1e-9)


def test_the_table_of_points_gives_predictions_of_total_points(models):
    model = models["PFS"][0].content
    table = points_table(model)
    made = nomogram(model)
    total = table[table["part"] == "total"]
    scores = made.base + total["points"].to_numpy() * made.a_point
    assert total["predicted"].to_numpy() == approx(risk(model, scores, model["horizon_months"]))
    assert (total["predicted"].diff().dropna() > 0).all()
    wanted = float(total["predicted"].iloc[7])
    assert score_at(model, wanted) == approx(scores[7])
    assert score_at(models["ORR"][0].content, 0.5) == 0
    assert len(points_table({"endpoint": "PFS", "refused": "too small"})) == 0


def test_a_missing_value_with_a_term_of_its_own_is_on_the_scale():
    term = {"centre": 0.0, "scale": 1.0}
    item = {
        "name": "clinical:ecog",
        "table": "subjects",
        "column": "ecog",
        "kind": "number",
        "transform": "none",
        "rule": "value",
        "range": [0.0, 3.0],
        "terms": [{"is": "missing", "coefficient": -0.4, **term}],
    }
    (scale,) = nomogram({"type": "response", "intercept": 0.3, "inputs": [item]}).scales
    assert scale.worded == ["any value", "missing"]
    assert list(scale.points) == approx([100, 0])
    age = {**item, "terms": [{"is": "value", "coefficient": 0.2, "if_missing": 1.0, **term}]}
    made = nomogram({"type": "response", "intercept": 0.3, "inputs": [age]})
    assert made.scales[0].worded == ["0", "1", "2", "3"]
    assert made.scales[0].missing == approx(100 / 3)
    assert made.base == approx(0.3)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.004, 0.996, [0.01, 0.02, *(k / 20 for k in range(1, 20)), 0.98, 0.99]),
        (0.33, 0.56, [0.35, 0.40, 0.45, 0.50, 0.55]),
        (0.5312, 0.6087, [0.54, 0.56, 0.58, 0.60]),
        (0.47, 0.49, [0.47, 0.475, 0.48, 0.485, 0.49]),
        (0.0001, 0.0043, [0.001, 0.002, 0.003, 0.004]),
        (0.4701, 0.4708, [0.4701, 0.4708]),
    ],
)
def test_the_axis_of_predictions_has_round_numbers_however_narrow_it_is(low, high, expected):
    assert round_predictions(low, high) == approx(expected)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_model_of_one_input_or_none_has_a_nomogram(kept, models):
    """One input: ticks where its score gives the prediction. None: what everybody is predicted."""
    model = models["PFS"][0].content
    model = {**model, "inputs": model["inputs"][:kept]}
    made = nomogram(model)
    ends = predicted(model, made.base + np.array([0.0, 100.0 * kept]) * made.a_point)
    drawn = draw_nomogram(model)
    shown = [text.get_text() for text in drawn.figure.findobj(Text)]
    if not kept:
        everybody = risk(model, np.zeros(1), model["horizon_months"])[0]
        assert any(f"of everybody: {100 * everybody:.0f} %" in text for text in shown)
        return
    assert model["inputs"][0]["label"] in " ".join(shown)
    wanted = round_predictions(*ends)
    assert len(wanted) > 1
    assert {f"{100 * each:.4g}" for each in wanted[::2]} <= set(shown)


def test_clinical_inputs_are_called_as_in_the_dictionary(cohort):
    named = replace(cohort, study=cohort.study | {"clinical": {"site": {"label": "Hospital"}}})
    inputs = locked(named, "PFS").content["inputs"]
    labels = {item["column"]: item["label"] for item in inputs if item["table"] == "subjects"}
    assert labels["site"] == "Hospital"
    assert labels.items() <= {"age": "Age", "ecog": "ECOG", "site": "Hospital"}.items()
