"""Freezes keep what came out, whole and unchanged, or are refused."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from correlatives.publish import freeze
from correlatives.publish.freeze import MANIFEST, Refused


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a results folder with everything that a run writes, and another study's below it."""
    folder = tmp_path / "results"
    for name in (
        ".study",
        "provenance.json",
        "report.html",
        "report.zip",
        "check/flow.tsv",
        "check/cohort/blood.parquet",
        "cohort/blood.parquet",
        "cohort/cohort.tsv",
        "predictive/PFS.tsv",
        "predictive/fits/blood/PFS.parquet",
        "response/locked/ORR.json",
        "response/parts/ORR/performance.tsv",
        "figures/km_PFS.pdf",
        "logs/check_tables.log",
        "benchmarks/check_tables.tsv",
        "other/.study",
        "other/report.html",
        "other/efficacy/survival_by_arm.tsv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def made(results: Path, folder: Path, name: str = "2026-11") -> Path:
    return freeze.make(folder, name, {p.as_posix(): results / p for p in freeze.kept(results)})


def test_what_came_out_is_kept_and_what_the_run_needed_is_not(results: Path):
    assert [path.as_posix() for path in freeze.kept(results)] == [
        "check/flow.tsv",
        "cohort/blood.parquet",
        "cohort/cohort.tsv",
        "figures/km_PFS.pdf",
        "predictive/PFS.tsv",
        "provenance.json",
        "report.html",
        "response/locked/ORR.json",
    ]


def test_a_freeze_is_a_copy_that_nobody_may_write(results: Path, tmp_path: Path):
    place = made(results, tmp_path / "freezes")
    assert (place / "predictive/PFS.tsv").read_text() == "predictive/PFS.tsv"
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    for path in [place, *place.rglob("*")]:
        assert not path.stat().st_mode & writable, path
    assert freeze.verified(place) == place
    assert [path.name for path in (tmp_path / "freezes").iterdir()] == ["2026-11"]


def test_the_manifest_is_one_that_sha256sum_checks(results: Path, tmp_path: Path):
    place = made(results, tmp_path / "freezes")
    assert shutil.which("sha256sum"), "coreutils are not installed"
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=place, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len(freeze.kept(results))


def test_the_same_results_give_the_same_freeze(results: Path, tmp_path: Path):
    one, other = (made(results, tmp_path / name) for name in ("one", "other"))
    assert (one / MANIFEST).read_bytes() == (other / MANIFEST).read_bytes()


def test_a_freeze_is_never_overwritten(results: Path, tmp_path: Path):
    place = made(results, tmp_path / "freezes")
    (results / "predictive/PFS.tsv").write_text("new")
    with pytest.raises(Refused, match="never overwritten"):
        made(results, tmp_path / "freezes")
    assert (place / "predictive/PFS.tsv").read_text() == "predictive/PFS.tsv"


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "../a", "a b", "ä"])
def test_a_name_that_is_no_folder_is_refused(results: Path, tmp_path: Path, name: str):
    with pytest.raises(Refused, match="cannot be called"):
        made(results, tmp_path / "freezes", name)
    assert not (tmp_path / "freezes").exists()


def test_a_freeze_that_fails_leaves_nothing_behind(results: Path, tmp_path: Path):
    files = {"provenance.json": results / "provenance.json", "zz.tsv": results / "gone.tsv"}
    with pytest.raises(FileNotFoundError):
        freeze.make(tmp_path / "freezes", "2026-11", files)
    assert list((tmp_path / "freezes").iterdir()) == []


@pytest.mark.parametrize("what", ["changed", "missing", "added"])
def test_a_freeze_that_was_meddled_with_is_refused(results: Path, tmp_path: Path, what: str):
    place = made(results, tmp_path / "freezes")
    for path in [place, *place.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    target = place / ("predictive/OS.tsv" if what == "added" else "predictive/PFS.tsv")
    if what == "missing":
        target.unlink()
    else:
        target.write_text("0.04")
    with pytest.raises(Refused, match=rf"{target.name} (is|was) {what}"):
        freeze.verified(place)


def test_a_freeze_that_is_not_there_is_told_with_those_that_are(results: Path, tmp_path: Path):
    with pytest.raises(Refused, match="none at all"):
        freeze.verified(tmp_path / "freezes" / "2026-05")
    made(results, tmp_path / "freezes")
    with pytest.raises(Refused, match="There are: 2026-11"):
        freeze.verified(tmp_path / "freezes" / "2026-05")
