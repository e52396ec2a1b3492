"""What analyses read of a wide assay: less than all of it, and the same answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, markers_of

from correlatives import wide
from correlatives.cohort import EMPTY, Cohort, joined
from correlatives.efficacy import biomarker_evaluable
from correlatives.markers import BELOW, MISSING, NOT_EVALUABLE, Markers

SUBJECTS = np.array([f"S{i}" for i in range(12)], dtype=object)


def written(folder: Path, blood: Markers, alterations: Markers) -> list[Path]:
    """Write a cohort with these markers, four of them a row group, and return its files."""
    rng = np.random.default_rng(2)
    cohort = cohort_of(
        Markers.concatenate([blood, alterations]),
        arm=np.arange(12) % 2,
        endpoints={"PFS": (rng.exponential(10, 12), np.ones(12))},
    )
    genes = pd.DataFrame([["G7", "snv", "RB", "loss"]], columns=EMPTY["pathways"])
    replace(cohort, pathways=genes).write(folder)
    blood.write(folder / "blood.parquet", rows_a_group=4)
    alterations.write(folder / "alterations.parquet", rows_a_group=4)
    return sorted(folder.glob("*.parquet"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Twenty genes of an array at baseline, two of a panel at two times, an altered gene; wide is more than ten."""
    monkeypatch.setattr(wide, "WIDE", 10)
    rng = np.random.default_rng(1)
    array = {f"G{i}": rng.normal(0, 1 + i, 12) for i in range(20)}
    said = {"G3": {"pathway": "cell cycle"}, "G4": {"prespecified": "yes"}}
    said["G5"] = {"family": "confirmatory", "hypothesis": "predictive"}
    panel = {"TK1": rng.normal(size=12), "CA15-3": rng.normal(size=12)}
    blood = [markers_of(SUBJECTS, array, said, assay="array")]
    blood += [
        markers_of(SUBJECTS, panel, assay="panel", timepoint=when) for when in ("baseline", "C2D1")
    ]
    altered = {"gene:G9": np.arange(12) % 3 == 0}
    called = markers_of(
        SUBJECTS, {k: v.astype(float) for k, v in altered.items()}, domain="alterations"
    )
    return written(tmp_path, Markers.concatenate(blood), called)


def names(cohort: Cohort) -> list[str]:
    return cohort.markers.info["biomarker"].tolist()


def test_the_joined_table_has_of_a_wide_assay_what_is_named_beforehand(files: list[Path]) -> None:
    part = Cohort.read(files, keep=wide.joinable(files))
    assert names(part) == ["G3", "G4", "G5", "TK1", "CA15-3", "TK1", "CA15-3", "gene:G9"]
    whole = joined(Cohort.read(files))
    pd.testing.assert_frame_equal(joined(part), whole[joined(part).columns])


def test_resistance_reads_pairs_and_what_is_quoted_by_name(files: list[Path]) -> None:
    part = Cohort.read(files, keep=wide.paired_or_named(files))
    # G7 is of a pathway, G9 is altered in somebody
    assert names(part)[:5] == ["G3", "G4", "G5", "G7", "G9"]
    assert names(part)[5:] == ["TK1", "CA15-3", "TK1", "CA15-3", "gene:G9"]


def test_an_assay_done_twice_stays_whole_for_resistance(files: list[Path]) -> None:
    blood = next(path for path in files if path.stem == "blood")
    markers = Markers.read(blood)
    again = markers_of(SUBJECTS, {"G1": np.arange(12.0)}, assay="array", timepoint="C2D1")
    Markers.concatenate([markers, again]).write(blood)
    assert len(Cohort.read(files, keep=wide.paired_or_named(files)).markers) == len(markers) + 2


def test_a_few_markers_show_who_is_evaluable(files: list[Path]) -> None:
    blood = next(path for path in files if path.stem == "blood")
    markers = Markers.read(blood)
    state = markers.state.copy()
    state[:, 0] = MISSING
    state[:, 1] = NOT_EVALUABLE
    state[:, 2], state[7, 2] = MISSING, BELOW  # one result, in the second row group
    state[:, 3], state[-1, 3] = MISSING, 1  # a result after baseline only
    Markers(markers.subjects, markers.info, markers.value, state).write(blood, rows_a_group=4)
    whole, part = Cohort.read(files), Cohort.read(files, keep=wide.Evaluable(files))
    assert len(part.markers) == 3  # the first, the one that adds a subject, and the alteration
    for domain in ("blood", "alterations"):
        expected = biomarker_evaluable(whole, domain)
        np.testing.assert_array_equal(biomarker_evaluable(part, domain), expected)
    assert biomarker_evaluable(part, "blood").tolist() == [False] * 2 + [True, False] + [True] * 8


def test_candidates_are_the_most_variable_of_a_wide_assay(files: list[Path]) -> None:
    part = Cohort.read(files, keep=wide.candidates(files, most=10))
    blood = Markers.read(next(path for path in files if path.stem == "blood"))
    array = blood.info["assay"].eq("array").to_numpy()
    open_ = wide.unnamed(blood.info) & array
    spread = np.where(open_, blood.value.var(axis=1), -1)
    most = set(blood.info["biomarker"].to_numpy()[np.argsort(-spread)[:10]])
    expected = [
        name
        for name in blood.info["biomarker"][array]
        if name in most or name in ("G3", "G4", "G5")
    ]
    assert names(part) == [*expected, "TK1", "CA15-3", "gene:G9"]


def test_what_is_not_wide_is_read_whole(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "WIDE", 20)
    whole = Cohort.read(files).markers
    for keep in (wide.joinable, wide.paired_or_named):
        part = Cohort.read(files, keep=keep(files)).markers
        assert part.info.equals(whole.info)
        np.testing.assert_array_equal(part.value, whole.value)
    baseline = Cohort.read(files, keep=wide.candidates(files, most=20))
    assert names(baseline) == whole.select(timepoint="baseline").info["biomarker"].tolist()
