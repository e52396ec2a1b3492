"""Pieces of a wide assay, blocks of them in jobs of their own, threads, and draws that go on."""

from dataclasses import replace
from functools import partial
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from biomarker_cohorts import cohort_of, markers_of, trial

from correlatives.markers import Markers
from correlatives.predictive import model
from correlatives.predictive.model import DomainFits, fit_domain, fit_prognostic_models
from correlatives.predictive.multiplicity import adjust
from correlatives.predictive.randomisation import (
    ArmDraws,
    FarTail,
    draw_arms,
    randomisation_test,
)
from correlatives.predictive.screened import shared_words


def wide_trial(n=60, markers=45):
    """Normal and binary markers with gaps; some confirmatory; a few subjects outside the population."""
    cohort = trial(n=n, markers=markers, seed=5, interaction=1.2)
    rng = np.random.default_rng(8)
    values = dict(zip(cohort.markers.info["biomarker"], cohort.markers.value.copy(), strict=True))
    for number, name in enumerate(values):
        if number % 3 == 1:
            values[name] = (values[name] > 0.9).astype(float)
        if number % 4 == 2:
            values[name] = np.where(rng.random(n) < 0.1, np.nan, values[name])
    # two markers that go along with the one that interacts with the arm
    for other in ("marker 6", "marker 9"):
        values[other] = values["marker 0"] + 0.5 * values[other]
    entries = {name: {"family": "confirmatory"} for name in list(values)[:2]}
    found = markers_of(cohort.markers.subjects, values, entries)
    subjects = cohort.subjects
    return (
        cohort_of(
            found,
            arm=subjects["arm_code"].to_numpy(),
            endpoints={
                "PFS": (subjects["PFS_months"].to_numpy(), subjects["PFS_event"].to_numpy()),
                "ORR": subjects["ORR"].to_numpy(),
            },
            in_population=np.arange(n) >= 2,
        ),
        found,
    )


@pytest.mark.parametrize("endpoint", ["PFS", "ORR"])
def test_blocks_of_a_wide_assay_give_the_same_bytes(endpoint, tmp_path):
    cohort, markers = wide_trial()
    path = tmp_path / "blood.parquet"
    markers.write(path, rows_a_group=8)
    tables = []
    for blocks in (1, 2, 4):
        fits = []
        for block in range(1, blocks + 1):
            pieces = Markers.pieces(path, timepoint="baseline", block=block, blocks=blocks)
            part = tmp_path / f"{blocks}-{block}.parquet"
            fit_domain(cohort, endpoint, pieces, randomisations=99, threads=blocks).write(part)
            fits.append(DomainFits.read(part))
        tables.append(adjust(fits).to_csv())
    assert tables[0] == tables[1] == tables[2]
    whole = adjust([fit_domain(cohort, endpoint, markers, randomisations=99)])
    # rounding differs with the number of markers that are fitted together
    pd.testing.assert_frame_equal(
        pd.read_csv(StringIO(tables[0]), index_col=0),
        pd.read_csv(StringIO(whole.to_csv()), index_col=0),
        rtol=1e-7,
    )
    assert len(whole) == len(markers)


def test_pieces_are_the_file(tmp_path):
    _, markers = wide_trial(markers=21)
    path = tmp_path / "blood.parquet"
    markers.write(path, rows_a_group=4)
    for blocks in (1, 3, 6, 9):
        names = []
        for block in range(1, blocks + 1):
            for piece in Markers.pieces(path, timepoint="baseline", block=block, blocks=blocks):
                assert len(piece) <= 4
                names += piece.info["biomarker"].tolist()
        assert names == markers.info["biomarker"].tolist()
    sizes = markers.family_sizes().set_index(["timepoint", "family"])["markers"]
    # rounded up to a power of two
    assert markers.info["family"].eq("exploratory").sum() == 19
    assert sizes[("baseline", "exploratory")] == 32


def test_the_size_of_a_family_is_over_all_assays():
    """A narrow assay beside a wide one is in a wide family; a little growth changes no file."""
    _, markers = wide_trial(markers=40)
    names = [f"tissue {name}" for name in markers.info["biomarker"]]
    tissue = replace(markers, info=markers.info.assign(domain="tissue", biomarker=names))
    later = replace(markers, info=markers.info.assign(timepoint="C1D15", family=""))
    exploratory = int(markers.info["family"].eq("exploratory").sum())
    both = Markers.concatenate([markers, tissue, later])
    sizes = both.family_sizes().set_index(["timepoint", "family"])["markers"]
    for timepoint, count in (("baseline", 2 * exploratory), ("C1D15", len(markers))):
        size = sizes[(timepoint, "exploratory")]
        assert count <= size < 2 * count
        assert size & (size - 1) == 0
    less = Markers.concatenate([markers, tissue.where(np.arange(len(tissue)) > 0), later])
    pd.testing.assert_frame_equal(less.family_sizes(), both.family_sizes())


def test_prognostic_models_take_pieces_too(tmp_path):
    cohort, markers = wide_trial(markers=20)
    path = tmp_path / "blood.parquet"
    markers.write(path, rows_a_group=8)
    pieces = Markers.pieces(path, timepoint="baseline")
    pd.testing.assert_frame_equal(
        fit_prognostic_models(cohort, "PFS", pieces),
        fit_prognostic_models(cohort, "PFS", markers),
        rtol=1e-7,
    )


@pytest.mark.parametrize("logistic", [False, True])
def test_threads_do_not_change_a_bit(logistic):
    rng = np.random.default_rng(2)
    p, n = 37, 50
    residual, weight = rng.normal(size=(p, n)), rng.random((p, n))
    marker, arm = rng.normal(size=(p, n)), (np.arange(n) % 2).astype(float)
    strata = np.arange(n) // 4 % 2
    names = np.array([f"S{i:03d}" for i in range(n)], dtype=object)
    drawn = draw_arms(arm, strata, names, 300, 3)
    tested = [
        randomisation_test(
            residual,
            weight,
            marker,
            arm,
            strata,
            drawn,
            logistic=logistic,
            family=np.arange(p) % 3 - 1,
            markers_a_block=4,
            threads=threads,
        )
        for threads in (1, 2, 5)
    ]
    for other in tested[1:]:
        for name in ("z", "p", "information", "maxima", "draws"):
            assert np.array_equal(getattr(tested[0], name), getattr(other, name))


def test_a_wide_exploratory_family_goes_on_drawing(monkeypatch):
    """p-values of the markers that few draws reached are those of the longer run, and `method` says so."""
    cohort, markers = wide_trial()
    monkeypatch.setattr(model, "FarTail", partial(FarTail, most=6000))
    plain = fit_domain(cohort, "PFS", markers, randomisations=199, exploratory=20_000)
    monkeypatch.setattr(model, "FOR_CLAIMS", 199)
    wide = fit_domain(cohort, "PFS", markers, randomisations=199, exploratory=20_000)
    went_on = wide.table["method"].str.contains("sequential Monte Carlo")
    few = (plain.table["p_randomisation"] * 200 - 1).round() < 20
    exploratory = plain.table["family"] == "exploratory"
    informative = ~plain.table["note"].str.contains("nothing to compare")
    assert went_on.sum() >= 2
    assert (went_on == (few & exploratory & informative)).all()
    assert not plain.table["method"].str.contains("sequential").any()
    same = ["p_randomisation", "method"]
    pd.testing.assert_frame_equal(wide.table.drop(columns=same), plain.table.drop(columns=same))
    pd.testing.assert_frame_equal(wide.table.loc[~went_on, same], plain.table.loc[~went_on, same])
    pd.testing.assert_frame_equal(wide.maxima, plain.maxima)
    # Besag & Clifford: 20 / draws where it stopped, else (reached + 1) / (most + 1)
    p = wide.table.loc[went_on, "p_randomisation"].to_numpy()
    draws = wide.table.loc[went_on, "method"].str.extract(r"(\d+) draws$")[0].astype(int).to_numpy()
    stopped = draws < 6000
    assert (np.abs(p[stopped] * draws[stopped] - 20) < 1e-9).all()
    assert (p[~stopped] <= 21 / 6001).all()
    # in blocks
    parts = [markers.where(np.arange(len(markers)) % 2 == side) for side in (0, 1)]
    split = pd.concat(
        [
            fit_domain(cohort, "PFS", part, randomisations=199, exploratory=20_000).table
            for part in parts
        ]
    ).set_index("biomarker")
    whole = wide.table.set_index("biomarker")
    pd.testing.assert_series_equal(
        split.loc[whole.index, "p_randomisation"], whole["p_randomisation"], rtol=1e-12
    )


def test_draws_of_the_tail_are_those_of_the_trial():
    """The tail goes on where the first draws ended."""
    cohort, _ = wide_trial()
    part = cohort.subjects
    arms = part["arm_code"].to_numpy(), part["stratum"].to_numpy(dtype=int)
    names = part["subject_id"].to_numpy(dtype=object)
    long = draw_arms(*arms, names, 500, 7)
    pieces = np.vstack(list(ArmDraws(*arms, names, 7).pieces(200, 500)))
    assert np.array_equal(long[200:], pieces)


@pytest.mark.parametrize("words", [[], [None, None], ["a", None, "a"], ["", "b"]])
def test_words_are_shared_as_they_were(words):
    column = pd.Series(words, dtype=object, name="note")
    shared = shared_words(column)
    assert list(shared) == words
    assert shared.name == "note"
