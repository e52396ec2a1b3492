"""Why a job runs, in plain words; what a script is made of."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from small_runs import ROOT, write_small_study

from correlatives import workflow
from correlatives.assembly import build_cohort
from correlatives.reruns import changes, listed, made_elsewhere
from correlatives.tables import config
from correlatives.tables.load import load_study


def between(before: dict[str, object], now: dict[str, object]) -> list[str]:
    """Return what differs, the way Snakemake keeps it: values without names, only those that differ."""
    old, new = {repr(v) for v in before.values()}, {repr(v): k for k, v in now.items()}
    return changes(old - set(new), {text: new[text] for text in new if text not in old})


A, B = "0123456789ab", "ba9876543210"


def test_nothing_changed():
    assert between({"alpha": 0.05}, {"alpha": 0.05}) == []


def test_a_table_that_changed_came_or_went_is_named():
    before = {"tables": {"data/blood.csv": A, "data/tissue.csv": A, "data/gone.csv": A}}
    now = {"tables": {"data/blood.csv": B, "data/tissue.csv": A, "data/new.csv": B}}
    assert between(before, now) == [
        "data/blood.csv changed",
        "data/gone.csv is gone",
        "data/new.csv is new",
    ]
    before = {"tables": {"data/a.csv": "absent", "data/b.csv": A}}
    now = {"tables": {"data/a.csv": A, "data/b.csv": "absent"}}
    assert between(before, now) == ["data/a.csv is new", "data/b.csv is gone"]


def test_a_setting_is_named_with_both_values():
    before = {"study": {"predictive": {"alpha": 0.05, "randomisations": 99}}, "seed": 3}
    now = {"study": {"predictive": {"alpha": 0.05, "randomisations": 9999}}, "seed": 4}
    assert between(before, now) == ["seed: 3 → 4", "predictive.randomisations: 99 → 9999"]


def test_a_parameter_of_one_section_goes_by_its_name():
    before = {"settings": {"early": ["C1D15"], "drug": None}}
    now = {"settings": {"early": ["C1D15", "C2D1"], "drug": "T-DM1"}}
    assert between(before, now) == [
        "settings.drug: empty → T-DM1",
        "settings.early: [C1D15] → [C1D15, C2D1]",
    ]


def test_entries_of_a_list_are_named_by_what_they_read():
    before = {"study": {"tables": {"measurements": [{"path": "a.csv", "na": [""]}]}}}
    now = {"study": {"tables": {"measurements": [{"path": "a.csv", "na": ["", "NA"]}]}}}
    assert between(before, now) == ["tables.measurements.entry 1.na: [] → [, NA]"]
    now["study"]["tables"]["measurements"] = [{"path": "a.csv", "na": [""]}, {"path": "b.csv"}]
    assert between(before, now) == ["tables.measurements: new is b.csv"]


def test_code_and_libraries_are_named():
    before = {"a": f"correlatives/cox.py@{A}", "b": "numpy==2.4.6", "c": f"old.py@{A}"}
    now = {"a": f"correlatives/cox.py@{B}", "b": "numpy==2.4.7", "d": "numba==1.0"}
    assert between(before, now) == [
        "scripts/correlatives/cox.py was edited",
        "scripts/old.py is not used any more",
        "numba 1.0 is used now",
        "numpy 2.4.6 → 2.4.7",
    ]


def test_what_cannot_be_paired_is_still_told():
    # two lists and two numbers: which was which is not known
    before = {"a": ["PFS"], "b": ["OS"], "c": 1, "d": 2}
    now = {"a": ["PFS", "ORR"], "b": ["CBR"], "c": 3, "d": 2}
    assert between(before, now) == [
        "a is [PFS, ORR] now",
        "b is [CBR] now",
        "c: 1 → 3",
    ]
    assert between({"a": True}, {"b": "text"}) == ["b is text now"]
    assert between({"a": 1}, {}) == ["a setting is gone: 1"]


def test_long_values_are_shortened():
    (phrase,) = between({"a": "x" * 500}, {"a": "y" * 500})
    assert len(phrase) < 140


def test_long_lists_say_how_many_more_there_are():
    assert listed("abc") == "a, b, c"
    assert listed("abcdefgh", 3) == "a, b, c and 5 more"
    assert listed("aab") == "a, b"


def test_libraries_are_those_used_at_first_and_second_hand():
    used = workflow.libraries("fit_biomarker_models")
    # numba compiles through llvmlite, which no file of ours imports
    assert {"numpy", "numba", "llvmlite", "python"} <= set(used)
    assert used["numpy"] == metadata.version("numpy")
    assert used["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "matplotlib" not in used
    assert "snakemake" not in used
    assert "matplotlib" in workflow.libraries("draw_efficacy")


def test_what_a_library_requires_is_what_its_metadata_say_without_extras():
    for name in workflow.libraries("check_tables").keys() - {"python"}:
        needs = map(Requirement, metadata.requires(name) or ())
        here = [one.name for one in needs if not one.marker or one.marker.evaluate({"extra": ""})]
        assert workflow._installed(name) == (metadata.version(name), tuple(here)), name


def test_compiled_code_is_part_of_what_a_job_is_made_of():
    """A module that is imported by its name in a string would be edited without any job running again."""
    library = workflow.SCRIPTS / "correlatives"
    compiled = {path for path in library.rglob("*.py") if "@nb.njit" in path.read_text()}
    assert {"lanes.py", "compiled_firth.py"} <= {path.name for path in compiled}
    jobs = [workflow.sources(script.stem) for script in workflow.SCRIPTS.glob("*.py")]
    assert compiled <= set().union(*jobs)
    assert not [path for path in library.rglob("*.py") if "import_module" in path.read_text()]


def imports_of(tree: ast.AST) -> set[str]:
    return {
        ast.dump(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))
    }


def test_every_import_is_found_though_only_lines_that_import_are_parsed():
    for path in sorted(workflow.SCRIPTS.rglob("*.py")):
        found = {ast.dump(node) for node in workflow._import_statements(path)}
        assert found == imports_of(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    "text",
    [
        "from a import b  # (c\nimport d.e as f, g\n",
        "from .a import (\n    b,  # why (c)\n    d as e,\n)\n",
        "from a import (b)\nfrom c import(\n    d\n)\nfrom e import *\n",
        "def f():\n\tfrom .. import a\n\n    # import b\n",
        "if True:\n    import a; import b\nelse:\n    x = 1\n",
        "from a import b, \\\n    c\nimport \\\n    d\n",
        '"""Prose that says\nfrom where import is done, and\nimport what it may."""\nimport a\n',
        "from_a = 1\nimports = 2\nimport a\n",
        "",
    ],
)
def test_imports_are_found_however_they_are_written(tmp_path: Path, text: str):
    path = tmp_path / "module.py"
    path.write_text(text)
    found = {ast.dump(node) for node in workflow._import_statements(path)}
    assert found == imports_of(ast.parse(text))


def test_every_library_that_a_script_imports_is_found_under_its_distribution():
    """Else a new version of it would rerun nothing."""
    by_module = metadata.packages_distributions()
    for script in workflow.SCRIPTS.glob("*.py"):
        used = workflow.libraries(script.stem)
        for path in workflow.sources(script.stem):
            for name in workflow._imported_libraries(path):
                normal = name.lower().replace("_", "-")
                assert normal in used or name not in by_module, (path.name, name)
                if normal not in used:
                    # not installed at all, under no name: an optional library
                    with pytest.raises(metadata.PackageNotFoundError):
                        metadata.version(name)


def test_a_new_version_is_another_parameter(monkeypatch: pytest.MonkeyPatch):
    before = workflow.digests("fit_biomarker_models")
    installed = workflow._installed

    def newer(name: str) -> tuple[str, tuple[str, ...]] | None:
        found = installed(name)
        return ("99.0", found[1]) if name == "numba" else found

    monkeypatch.setattr(workflow, "_installed", newer)
    now = workflow.digests("fit_biomarker_models")
    assert {key for key in now if now[key] != before[key]} == {"library_numba"}
    assert workflow.digests("draw_efficacy").keys().isdisjoint({"library_numba"})


def test_where_jobs_have_their_own_environment_what_is_installed_here_does_not_count():
    assert not any(
        key.startswith("library_") for key in workflow.digests("check_tables", installed=False)
    )


def test_the_check_of_the_tables_is_given_every_setting_that_it_reads(tmp_path: Path):
    """What is not among its parameters would be read as not set, and a change of it would rerun nothing."""
    write_small_study(tmp_path)
    filled = config.load(tmp_path / "study.yaml")
    rule = (ROOT / "workflow/rules/check.smk").read_text().partition("rule check_tables:")[2]
    given = set(re.findall(r'"([a-z_.]+)"', rule.partition("study=settings(")[2].partition(")")[0]))
    read: set[str] = set()

    class Noted(dict):
        def __init__(self, values: dict, path: str = "") -> None:
            super().__init__(values)
            self.path = path

        def __getitem__(self, key: str) -> object:
            read.add(f"{self.path}{key}")
            return super().__getitem__(key)

        def get(self, key: str, default: object = None) -> object:
            read.add(f"{self.path}{key}")
            return super().get(key, default)

    for section in ("predictive", "response", "resistance"):
        filled[section] = Noted(filled[section], f"{section}.")
    # as check_tables.py does; the assembly reads the configuration that the study keeps
    study = dataclasses.replace(load_study(filled, tmp_path), config=Noted(filled))
    build_cohort(study)
    sections = {name.partition(".")[0] for name in given if "." in name}
    missing = {name for name in read if name not in given and name not in sections}
    assert missing == set()
    assert {"predictive.covariates", "response.clinical", "resistance.from"} <= read


@pytest.mark.parametrize("deep", [False, True])
def test_results_without_a_record_of_how_they_were_made_are_told(tmp_path: Path, deep: bool):
    """The names of records are Snakemake's own: cut where a path is long."""
    from snakemake.persistence.file import FilePersistence

    results = Path("results", *(["a folder of a rather long name"] * 9 if deep else []))
    assert made_elsewhere(results, tmp_path) == ""
    last = tmp_path / results / "provenance.json"
    last.parent.mkdir(parents=True)
    last.write_text("{}")
    assert "--forceall" in made_elsewhere(results, tmp_path)
    assert "--forceall" in made_elsewhere(tmp_path / results, tmp_path)
    records = tmp_path / ".snakemake" / "metadata"
    records.mkdir(parents=True)
    keeper = FilePersistence.__new__(FilePersistence)
    keeper._max_len = None
    record = Path(keeper._record_path(str(records), str(results / "provenance.json")))
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("{}")
    assert made_elsewhere(results, tmp_path) == ""
    assert made_elsewhere(tmp_path / results, tmp_path) == ""
