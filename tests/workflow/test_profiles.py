"""Settings for clusters: what every rule states, and what the profiles say of themselves."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from small_runs import ROOT, command, environment, write_small_study

RULES = {
    match[1]: match[2]
    for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for match in re.finditer(
        r"^ *(?:rule|checkpoint) (\w+):\n(.*?)(?=^ *(?:rule|checkpoint) |^\S|\Z)",
        path.read_text(),
        re.M | re.S,
    )
}
PROFILES = sorted((ROOT / "profiles").glob("*/config.yaml"))


def settings(path: Path) -> dict:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("name", [name for name, text in RULES.items() if "script:" in text])
def test_every_job_states_memory_and_time_and_asks_for_more_when_tried_again(name: str):
    for resource in ("mem_mb", "runtime"):
        stated = re.search(rf"{resource}=lambda wildcards, attempt: (.*),\n", RULES[name])
        assert stated, f"{name} states no {resource}"
        assert re.search(r"\* attempt\b", stated[1]), stated[1]
    assert "retries:" not in RULES[name], (
        "retries stand in the profile, where they are not multiplied"
    )


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_content_decides_under_every_profile(path: Path):
    given, shipped = settings(path), settings(ROOT / "profiles/default/config.yaml")
    for key in ("rerun-triggers", "max-checksum-file-size", "keep-going", "rerun-incomplete"):
        assert given[key] == shipped[key], key


def test_groups_name_rules_that_there_are():
    groups = settings(ROOT / "profiles/slurm/config.yaml")["groups"]
    assert set(groups) <= set(RULES)


def test_a_study_is_planned_in_groups_that_no_job_leaves_and_enters_again(tmp_path: Path):
    """Snakemake refuses such a group, as a new rule between two grouped ones would make it."""
    write_small_study(tmp_path, least=True)
    done = subprocess.run(
        command("--profile", ROOT / "profiles/slurm", "-n", "--configfile", "study.yaml"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    groups = set(settings(ROOT / "profiles/slurm/config.yaml")["groups"].values())
    assert {name for name in groups if f"Group job {name} " in said} == groups


def test_whatever_may_be_grouped_waits_for_the_gate_itself(tmp_path: Path):
    """A group of which only one member is made anew at the checkpoint loses a job, in some orders of the jobs."""
    write_small_study(tmp_path, least=True)
    done = subprocess.run(
        command(
            "--workflow-profile", ROOT / "profiles/default", "--configfile", "study.yaml", "--dag"
        ),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    rule = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)', done.stdout, re.M))
    (gate,) = [number for number, name in rule.items() if name == "admit_cohort"]
    behind = {
        rule[after]
        for before, after in re.findall(r"^\s*(\d+) -> (\d+)$", done.stdout, re.M)
        if before == gate
    }
    sent = {name for name, text in RULES.items() if "script:" in text and "localrule:" not in text}
    assert (set(rule.values()) & sent) - {"check_tables"} <= behind
    assert (
        set(settings(ROOT / "profiles/slurm/config.yaml")["groups"]) & set(rule.values()) <= behind
    )


@pytest.mark.parametrize("name", ["lsf", "sge", "kubernetes"])
def test_what_was_not_tried_says_so(name: str):
    text = (ROOT / "profiles" / name / "config.yaml").read_text()
    assert text.startswith("# NOT TESTED HERE")
    assert settings(ROOT / "profiles" / name / "config.yaml")["executor"] == name
    assert f"`{name}`" in (ROOT / "profiles/README.md").read_text()
