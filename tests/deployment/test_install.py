"""Installing from scratch, as the container recipes do, on a machine without a network.

Takes minutes: it installs everything. Run by .ci/run; by hand: pytest tests/deployment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: No index answers here: whatever is not in the folder of wheels is not found.
OFFLINE = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_NO_CACHE_DIR": "1",
    "PIP_RETRIES": "0",
    "OMP_NUM_THREADS": "1",
}


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """Run a command that has to succeed, and return what it printed."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def python_of_the_lock() -> str:
    """Return the interpreter that the tests run with, outside its virtual environment."""
    return os.path.realpath(sys.executable)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that was empty and in which the workflow was installed without a network."""
    folder = tmp_path_factory.mktemp("installation")
    source, target = folder / "source", folder / "correlatives"
    run("git", "clone", "--quiet", ROOT, source, cwd=folder, env=dict(os.environ))
    run("make", "wheels", f"VENV={sys.prefix}", cwd=source, env=dict(os.environ))
    env = {**OFFLINE, "HOME": str(folder), "PYTHON": python_of_the_lock()}
    run("sh", "containers/install.sh", target, cwd=source, env=env)
    return target


def test_every_library_is_there_as_locked(installed: Path):
    frozen = run(
        installed / ".venv/bin/python", "-m", "pip", "freeze", cwd=installed, env=dict(OFFLINE)
    )
    pins = [line.lower().replace("_", "-").split("==") for line in frozen.splitlines()]
    found = {tuple(pin) for pin in pins if len(pin) == 2}
    lock = re.findall(r"^([^#\s=]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert {(name.lower().replace("_", "-"), version) for name, version in lock} == found


def test_the_shipped_study_is_checked_in_an_empty_folder(installed: Path, tmp_path: Path):
    text = run(
        installed / ".venv/bin/snakemake",
        "--snakefile",
        installed / "Snakefile",
        "--cores",
        "1",
        "check",
        "--configfile",
        installed / "config/config.yaml",
        cwd=tmp_path,
        env={**OFFLINE, "HOME": str(tmp_path)},
    )
    assert "results/check/problems.tsv" in text
    assert (tmp_path / "results/check/flow.tsv").is_file()


def test_a_folder_in_use_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    done = subprocess.run(
        ["sh", str(ROOT / "containers/install.sh"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
