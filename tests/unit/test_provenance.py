"""Where results come from: the record is complete, the same for the same inputs, and names no machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sound_study import Sound

from correlatives.publish import provenance
from correlatives.tables import config as configuration
from correlatives.tables.load import load_study
from correlatives.workflow import seed_for

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"


@pytest.fixture
def recorded(sound: Sound, tmp_path: Path) -> dict:
    return record_of(sound, tmp_path)


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(tmp_path)


def record_of(sound: Sound, folder: Path, **changed: object) -> dict:
    config, complaints = configuration.check(sound.config)
    assert complaints == []
    study = load_study(config, folder)
    given = {
        "config": config,
        "written": {"study.yaml": "0" * 64},
        "inputs": {
            table: {path.name: path for path in paths}
            for table, paths in configuration.raw_files(config, folder).items()
        },
        "code": {"scripts/a.py": "1" * 64, "scripts/b.py": "2" * 64},
        "lock": LOCK,
        "version": "0.1.0",
        "libraries": {"numpy": provenance.pinned(LOCK.read_text())["numpy"], "python": "3.11.7"},
        "drawing": ["fit_biomarker_models"],
        "corrections": study.corrections.fillna("").astype(str).to_dict("records"),
        "flow": [
            {"step": "arms", "unit": "subject", "arm": "C", "reason": "arm set aside", "n": "2"},
            {"step": "arms", "unit": "subject", "arm": "A", "reason": "arm set aside", "n": "0"},
            {"step": "arms", "unit": "subject", "arm": "A", "reason": "", "n": "40"},
        ],
        "problems": [{"severity": "warning"}, {"severity": "accepted"}],
    }
    return provenance.record(**(given | changed))


def test_every_input_has_the_digest_of_its_content(recorded: dict, tmp_path: Path):
    named = {one["file"]: one for one in recorded["inputs"]}
    assert {"subjects.csv", "outcomes.csv", "corrections.csv"} <= set(named)
    for name, one in named.items():
        content = (tmp_path / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(content).hexdigest()
        assert one["bytes"] == len(content)


def test_the_same_inputs_give_the_same_bytes_in_any_folder(tmp_path: Path):
    texts = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        sound = Sound(folder)
        sound.config["results_dir"] = f"results_{name}"
        provenance.write(record_of(sound, folder), folder / "provenance.json")
        texts.append((folder / "provenance.json").read_text())
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]


def test_a_setting_and_a_file_of_code_change_their_digests_and_nothing_else(
    sound: Sound, tmp_path: Path
):
    first = record_of(sound, tmp_path)
    sound.config.setdefault("predictive", {})["alpha"] = 0.01
    second = record_of(sound, tmp_path, code={"scripts/a.py": "3" * 64, "scripts/b.py": "2" * 64})
    assert [key for key in first if first[key] != second[key]] == ["configuration", "code"]
    assert first["configuration"]["sha256"] != second["configuration"]["sha256"]
    assert first["code"]["sha256"] != second["code"]["sha256"]


def test_the_digest_of_all_code_can_be_worked_out_by_hand():
    lines = f"{'1' * 64}  a.py\n{'2' * 64}  b.py\n".encode()
    expected = hashlib.sha256(lines).hexdigest()
    assert provenance.combined({"b.py": "2" * 64, "a.py": "1" * 64}) == expected


def test_who_decided_what_is_told(sound: Sound, tmp_path: Path):
    sound.append(
        "corrections.csv", "outcomes,subject_id=0002;endpoint=PFS,exclude,,,withdrew,JS,2022-01-05"
    )
    told = record_of(sound, tmp_path)["decisions"]
    excluded = [row for row in told["corrections"] if row["field"] == "exclude"]
    assert len(excluded) == 1
    assert excluded[0] | {"number": ""} == {
        "number": "",
        "table": "outcomes",
        "key": "subject_id=0002;endpoint=PFS",
        "field": "exclude",
        "old": "",
        "new": "",
        "reason": "withdrew",
        "by": "JS",
        "date": "2022-01-05",
        "rows": "1",
    }
    assert told["left out"] == [
        {"step": "arms", "unit": "subject", "arm": "C", "reason": "arm set aside", "n": 2}
    ]
    assert told["warnings"] == 1


def test_libraries_that_are_not_as_locked_are_named(sound: Sound, tmp_path: Path):
    software = record_of(sound, tmp_path, libraries={"numpy": "0.0.1"})["software"]
    assert software["not as locked"]["numpy"]["found"] == "0.0.1"
    software = record_of(sound, tmp_path)["software"]
    assert list(software["libraries"]) == ["numpy", "python"]
    assert software["not as locked"] == {}


def test_the_seed_of_a_job_follows_from_the_sentence_in_the_record(recorded: dict):
    text = "\x1f".join(["20210104", "evaluate_response_model", "endpoint=ORR"])
    digest = hashlib.sha256(text.encode()).digest()
    bits = int.from_bytes(digest, "big") >> (256 - 63)
    assert seed_for(20210104, "evaluate_response_model", "endpoint=ORR") == bits
    assert "first 63 bits" in recorded["seeds"]["derivation"]


def test_the_record_is_plain_json(recorded: dict):
    assert json.loads(json.dumps(recorded, allow_nan=False)) == recorded
