"""The workflow as a module of another: from a clone, and from a git address without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Run, snakemake

#: What `snakedeploy deploy-workflow URL . --tag v0.1.0` writes, but for the address.
STUB = """\
from snakemake.utils import min_version

min_version("6.10.0")


configfile: "config/config.yaml"


module correlatives:
    snakefile:
        {address}
    config:
        config


use rule * from correlatives
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with this version of the workflow tagged v0.1.0, as a work tree and as a bare repository."""
    folder = tmp_path_factory.mktemp("repository")
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (folder / "work" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / "work" / name)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (
        [*git, "init", "--quiet"],
        [*git, "add", "--all"],
        [*git, "commit", "--quiet", "--message", "v0.1.0"],
        [*git, "tag", "v0.1.0"],
        [*git, "clone", "--quiet", "--bare", ".", str(folder / "correlatives.git")],
    ):
        subprocess.run(command, cwd=folder / "work", check=True)
    return folder


@pytest.fixture
def deployed(study: Path) -> Path:
    """Return a folder as snakedeploy leaves it: config/config.yaml, and no file of the workflow."""
    config = yaml.safe_load((study / "study.yaml").read_text())
    (study / "config").mkdir()
    (study / "config/config.yaml").write_text(yaml.safe_dump({**config, "data_dir": "."}))
    (study / "study.yaml").unlink()
    (study / "workflow").mkdir()
    return study


def check(folder: Path) -> Run:
    return snakemake("check", cwd=folder, snakefile=folder / "workflow/Snakefile")


def test_from_a_clone_beside_the_study(repository: Path, deployed: Path):
    subprocess.run(
        ["git", "clone", "--quiet", "--branch", "v0.1.0", "correlatives.git", deployed / "mine"],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    stub = STUB.format(address='"../mine/workflow/Snakefile"')
    (deployed / "workflow/Snakefile").write_text(stub)
    run = check(deployed)
    assert run.returncode == 0, run.text
    assert (deployed / "results/check/flow.tsv").is_file()


def test_from_a_git_address_on_this_machine(repository: Path, deployed: Path):
    address = f'"git+file://{repository}/work/workflow/Snakefile@v0.1.0"'
    (deployed / "workflow/Snakefile").write_text(STUB.format(address=address))
    run = check(deployed)
    assert run.returncode == 0, run.text
    assert (deployed / "results/check/flow.tsv").is_file()


def test_as_snakedeploy_writes_it_with_the_repository_in_the_cache(
    repository: Path, deployed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A node without a network finds what a login node fetched before."""
    cache = tmp_path / "cache"
    place = "snakemake/snakemake/source-cache/snakemake-git-cache/github.com/owner/correlatives"
    shutil.copytree(repository / "correlatives.git", cache / place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    address = 'github("owner/correlatives", path="workflow/Snakefile", tag="v0.1.0")'
    (deployed / "workflow/Snakefile").write_text(STUB.format(address=address))
    run = check(deployed)
    assert run.returncode == 0, run.text
    assert (deployed / "results/check/flow.tsv").is_file()
    unpacked = list((deployed / ".snakemake/correlatives").iterdir())
    assert [re.fullmatch("[0-9a-f]{40}", path.name) is not None for path in unpacked] == [True]
    planned = snakemake("--dry-run", cwd=deployed, snakefile=deployed / "workflow/Snakefile")
    assert planned.returncode == 0, planned.text
    assert "Putting the report together" in planned.text
    assert os.environ["XDG_CACHE_HOME"] == str(cache)


def recipes() -> dict[str, str]:
    return {
        name: (ROOT / "containers" / name).read_text() for name in ("apptainer.def", "Dockerfile")
    }


@pytest.mark.parametrize("name", ["apptainer.def", "Dockerfile"])
def test_a_container_is_made_by_the_script_that_is_tested_and_with_the_python_of_the_lock(
    name: str,
):
    text = recipes()[name]
    assert "sh /tmp/source/containers/install.sh /opt/correlatives" in text
    assert "/opt/correlatives/.venv/bin" in text
    environment = yaml.safe_load((ROOT / "envs/statistics.yaml").read_text())["dependencies"]
    python = next(entry for entry in environment if str(entry).startswith("python="))
    assert f"library/python:{python.split('=')[1]}-" in text or (
        f"From: python:{python.split('=')[1]}-" in text
    )


def test_the_script_of_the_containers_installs_everything_that_is_the_workflow():
    """What is in the repository and not copied is documentation, tests or an example of them."""
    script = (ROOT / "containers/install.sh").read_text()
    copied = set(re.search(r"for part in (.+?); do", script, re.S).group(1).replace("\\", "").split())
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    there = {name.split("/")[0] for name in tracked}
    assert copied - there == {"wheels"}
    left = {name for name in there - copied if not name.startswith(".")}
    assert left <= {"docs", "tests", "containers", "CHANGELOG.md", "requirements.in"}
