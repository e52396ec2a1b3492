"""Conda environments and the lock name the same versions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

#: Packages that conda-forge spells differently.
CONDA_NAMES = {
    "matplotlib-base": "matplotlib",
    "python-kaleido": "kaleido",
    "snakemake-minimal": "snakemake",
}

#: Programs of the environment that are no libraries of the lock.
PROGRAMS = ("python", "pip", "git", "make")


def locked() -> dict[str, str]:
    pins = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==([^\s;]+).*", line).groups()
            pins[re.sub(r"[-_.]+", "-", name).lower()] = version
    return pins


def test_the_lock_pins_everything_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text()
    assert "http" not in text
    assert "--" not in text
    assert {"snakemake", "pandas", "scikit-learn", "statsmodels", "seaborn"} <= set(locked())


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.name)
def test_conda_pins_equal_the_lock(path: Path):
    pins = locked()
    listed = list(yaml.safe_load(path.read_text())["dependencies"])
    named = []
    for entry in listed:
        if isinstance(entry, dict):
            named += [requirement.replace("==", "=") for requirement in entry["pip"]]
        else:
            named.append(entry)
    compared = 0
    for entry in named:
        name, _, version = entry.partition("=")
        if name in PROGRAMS:
            continue
        assert version, f"{entry} is not pinned"
        name = CONDA_NAMES.get(name, re.sub(r"[-_.]+", "-", name).lower())
        assert pins[name] == version, entry
        compared += 1
    assert compared > 5


def test_the_environment_with_snakemake_has_everything_that_jobs_use():
    jobs, everything = (
        set(yaml.safe_load((ROOT / "envs" / name).read_text())["dependencies"])
        for name in ("statistics.yaml", "workflow.yaml")
    )
    assert jobs <= everything
    asked = (ROOT / "requirements.in").read_text().lower().split()
    plugins = {line.split("==")[0] for line in asked if line.startswith("snakemake-executor")}
    assert plugins <= {str(entry).split("=")[0] for entry in everything}


def test_every_library_the_scripts_import_is_in_the_lock_and_in_the_environment():
    known = {"sklearn": "scikit-learn", "sksurv": "scikit-survival", "yaml": "pyyaml"}
    names = set()
    for path in (ROOT / "scripts").rglob("*.py"):
        for match in re.finditer(r"^\s*(?:import|from)\s+([a-zA-Z_]+)", path.read_text(), re.M):
            names.add(match.group(1))
    import sys

    outside = {
        known.get(name, name.lower().replace("_", "-"))
        for name in names - set(sys.stdlib_module_names) - {"correlatives"}
    }
    outside = {name for name in outside if name in set(locked()) | set(known.values())}
    environment = (ROOT / "envs" / "statistics.yaml").read_text().lower()
    assert {"pandas", "numpy", "scipy"} <= outside
    for name in outside:
        assert name in environment or f"{name}-base" in environment, name
