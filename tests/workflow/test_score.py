"""A second site's samples, scored by the models that the first study locked."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import snakemake

NEEDED = ("subjects", "samples", "runs", "measurements", "alterations", "coverage", "biomarkers")


@pytest.fixture(scope="module")
def site(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with nothing but a second cohort's tables, two locked models and a study file."""
    from correlatives.simulate import simulate_trial

    folder = tmp_path_factory.mktemp("site_b")
    simulate_trial(seed=12, per_arm=(22, 22), genes=40).write(folder / "data")
    (folder / "locked").mkdir()
    for endpoint in ("ORR", "PFS"):
        shutil.copy(finished / "results/response/locked" / f"{endpoint}.json", folder / "locked")
    first = yaml.safe_load((finished / "study.yaml").read_text())
    study = {
        "study": {"id": "site_b", "design": "single_arm", "simulated": True},
        "tables": {name: first["tables"][name] for name in (*NEEDED, "pathways")},
        **{name: first[name] for name in ("timepoints", "nonresults", "alterations_count")},
        "evaluable": first["evaluable"],
        "score": {"cohort": "site_b", "locked": ["locked/PFS.json", "locked/ORR.json"]},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    known = {
        **study,
        "results_dir": "results_known",
        "tables": {
            **study["tables"],
            **{name: first["tables"][name] for name in ("outcomes", "responses")},
        },
        "endpoints": {name: first["endpoints"][name] for name in ("PFS", "ORR")},
    }
    (folder / "known.yaml").write_text(yaml.safe_dump(known, sort_keys=False))
    return folder


def test_new_samples_are_scored_before_their_outcomes_are_known(site: Path):
    run = snakemake("score", "--configfile", "study.yaml", cwd=site)
    assert run.returncode == 0, run.text
    assert {"check_tables", "score_samples"} <= set(run.jobs())
    assert not {"evaluate_response_model", "lock_response_models"} & set(run.jobs())
    scores = pd.read_csv(site / "results/response/scores_site_b.tsv", sep="\t", dtype=str)
    assert list(scores.columns) == [
        "subject_id",
        "endpoint",
        "locked",
        "score",
        "probability",
        "risk",
        "horizon_months",
        "missing_inputs",
        "outside_range",
        "note",
    ]
    subjects = pd.read_csv(site / "data/subjects.csv", dtype=str)["subject_id"]
    for endpoint, column in (("PFS", "risk"), ("ORR", "probability")):
        part = scores[scores["endpoint"] == endpoint]
        assert sorted(part["subject_id"]) == sorted(subjects)
        assert part[column].astype(float).between(0, 1).all()
        model = json.loads((site / f"locked/{endpoint}.json").read_text())
        names = {item["name"] for item in model["inputs"]}
        missing = {name for cell in part["missing_inputs"].dropna() for name in cell.split("; ")}
        assert missing <= names
    performance = pd.read_csv(site / "results/response/scores_site_b_performance.tsv", sep="\t")
    assert len(performance) == 0
    caption = (site / "results/figures/calibration_site_b_PFS.rst").read_text()
    assert "no outcomes are known" in caption
    assert snakemake("score", "--configfile", "study.yaml", cwd=site).jobs() == []


def test_with_outcomes_the_scores_are_judged_and_reported(site: Path):
    run = snakemake("--configfile", "known.yaml", cwd=site)
    assert run.returncode == 0, run.text
    performance = pd.read_csv(
        site / "results_known/response/scores_site_b_performance.tsv", sep="\t"
    )
    assert {"c_index_ipcw", "auc", "brier", "calibration_intercept"} <= set(performance["metric"])
    assert set(performance["locked"]) == {"locked/PFS.json", "locked/ORR.json"}
    auc = performance.set_index("metric").loc["auc"]
    scores = pd.read_csv(
        site / "results_known/response/scores_site_b.tsv", sep="\t", dtype={"subject_id": str}
    )
    answers = pd.read_csv(site / "data/responses.csv", dtype=str).set_index("subject_id")
    part = scores[scores["endpoint"] == "ORR"]
    response = answers["best_overall_response"].reindex(part["subject_id"])
    known = response.notna().to_numpy()
    responder = response.isin(["CR", "PR"]).to_numpy()[known]
    score = part["score"].to_numpy()[known]
    gap = score[responder][:, None] - score[~responder][None, :]
    ties = np.abs(gap) <= 1e-12
    assert auc["estimate"] == pytest.approx((((gap > 0) & ~ties) + 0.5 * ties).mean(), abs=1e-9)
    figure = pd.read_csv(site / "results_known/figures/calibration_site_b_PFS.csv")
    assert figure["n"].sum() == performance.set_index("metric").loc["c_index_ipcw", "n"]
    with zipfile.ZipFile(site / "results_known/report.zip") as report:
        shown = {Path(name).name for name in report.namelist()}
    # who scored what stays out of the report
    assert shown == {
        "report.html",
        "scores_site_b_performance.tsv",
        "calibration_site_b_PFS.png",
        "calibration_site_b_ORR.png",
    }


def test_a_locked_model_edited_by_hand_stops_at_the_gate(site: Path, tmp_path: Path):
    folder = tmp_path / "site"
    shutil.copytree(site, folder, ignore=shutil.ignore_patterns("results*", ".snakemake"))
    path = folder / "locked/PFS.json"
    model = json.loads(path.read_text())
    model["horizon_months"] += 1
    path.write_text(json.dumps(model, indent=2))
    (folder / "locked/ORR.json").unlink()
    run = snakemake("score", "--configfile", "study.yaml", cwd=folder)
    assert run.returncode != 0
    assert "Traceback" not in run.text
    assert "was changed after it was written" in run.text
    problems = pd.read_csv(folder / "results/check/problems.tsv", sep="\t", dtype=str)
    told = problems[problems["rule"] == "locked_model_invalid"]
    assert list(told["file"]) == ["locked/ORR.json", "locked/PFS.json"]
    assert "there is no such file" in told["message"].iloc[0]
    assert not (folder / "results/response").exists()


def test_a_study_without_locked_models_says_how_to_name_them(study: Path):
    run = snakemake("score", "--configfile", "study.yaml", cwd=study)
    assert run.returncode != 0
    assert "Traceback" not in run.text
    assert "names no locked model to score with" in run.text


def test_the_locked_models_of_a_study_are_in_its_results(finished: Path):
    for endpoint in ("ORR", "PFS"):
        model = json.loads((finished / f"results/response/locked/{endpoint}.json").read_text())
        assert model["data_freeze"]["study"] == "small"
        assert set(model["data_freeze"]["tables"]) == {
            f"data/{path.name}" for path in (finished / "data").iterdir() if path.name != "truth.yaml"
        }
        assert {row["metric"] for row in model["performance"]["metrics"]}
        assert any("too small to trust" in sentence for sentence in model["intended_use"])
