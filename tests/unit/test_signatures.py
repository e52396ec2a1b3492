"""Scores of expression signatures: worked out by hand, missing genes counted, one sample at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import UNREADABLE, marker, trial
from scipy import stats

from correlatives.assembly import build_cohort
from correlatives.markers import MEASURED, MISSING, NOT_EVALUABLE
from correlatives.simulate import simulate_trial
from correlatives.tables.config import load
from correlatives.tables.dictionary import Dictionary
from correlatives.tables.load import load_study
from correlatives.tables.problems import Problems
from correlatives.tables.signatures import (
    correlation_score,
    mean_score,
    rank_score,
    signature_markers,
)

ROOT = Path(__file__).parents[2]


def test_rank_score_by_hand():
    """Six genes of rank 1 to 6. Up 5 and 6: mean 5.5, at the most: 0.5. Up 1 and 6: mean 3.5 of 1.5 to 5.5: 0."""
    value = np.arange(1.0, 7.0)[:, None]
    up = np.array([np.nan] * 4 + [1.0, 1.0])
    assert rank_score(value, up) == pytest.approx([0.5])
    assert rank_score(value, np.array([1.0, *[np.nan] * 4, 1.0])) == pytest.approx([0.0])
    assert rank_score(value, np.array([1.0, 1.0, *[np.nan] * 4])) == pytest.approx([-0.5])
    # Down genes at the bottom and up genes at the top add up to the most there is.
    assert rank_score(value, np.array([-1.0, -1.0, np.nan, np.nan, 1.0, 1.0])) == pytest.approx(
        [1.0]
    )


def test_rank_score_does_not_depend_on_scale_or_on_other_samples():
    random = np.random.default_rng(1)
    value = random.normal(size=(50, 4))
    weight = np.r_[np.ones(8), -np.ones(4), np.full(38, np.nan)]
    scores = rank_score(value, weight)
    assert rank_score(np.exp(value), weight) == pytest.approx(scores)
    assert rank_score(value[:, [2]], weight) == pytest.approx(scores[[2]])


def test_rank_score_leaves_unmeasured_genes_out():
    value = np.array([[1.0], [np.nan], [3.0], [2.0], [np.nan]])
    weight = np.array([np.nan, 1.0, 1.0, np.nan, np.nan])
    # Of three measured genes the one of the signature is the highest.
    assert rank_score(value, weight) == pytest.approx([0.5])
    assert np.isnan(rank_score(np.full((3, 1), np.nan), np.ones(3))).all()
    # With nothing beside the signature there is nothing to rank it among.
    assert np.isnan(rank_score(np.arange(3.0)[:, None], np.ones(3))).all()


def test_mean_and_correlation_scores_by_hand():
    value = np.array([[1.0, 4.0], [2.0, np.nan], [4.0, 2.0], [9.0, 9.0]])
    weight = np.array([1.0, 1.0, -2.0, np.nan])
    assert mean_score(value, weight) == pytest.approx([(1 + 2 - 8) / 4, (4 - 4) / 3])
    random = np.random.default_rng(2)
    value, weight = random.normal(size=(12, 3)), random.normal(size=12)
    expected = [stats.spearmanr(value[:, s], weight).statistic for s in range(3)]
    assert correlation_score(value, weight) == pytest.approx(expected)
    assert np.isnan(correlation_score(np.ones((5, 1)), weight[:5])).all()


GENES = [f"G{i}" for i in range(8)]


def scored(values, rows, timepoint="baseline", more=()):
    """Score signatures of eight genes of four subjects."""
    markers = [
        marker(gene, "archival_tissue", timepoint, row, kind="continuous", assay="rnaseq")
        for gene, row in zip(GENES, values, strict=True)
    ]
    cohort = trial([0, 1, 0, 1], [*markers, *more])
    table = pd.DataFrame(rows, columns=["signature", "gene", "weight", "score", "pathway"])
    problems = Problems()
    blocks, account = signature_markers(
        cohort.markers, table, set(GENES), "baseline", Dictionary(pd.DataFrame()), problems
    )
    return blocks, account, problems


def test_a_signature_is_a_marker_and_missing_genes_are_counted():
    values = np.tile(np.arange(8.0)[:, None], 4).tolist()
    rows = [("S", gene, np.nan, None, "RB") for gene in ("G5", "G6", "G7", "GONE", "LOST")]
    blocks, account, problems = scored(values, rows)
    (block,) = blocks
    entry = block.info.iloc[0]
    assert (entry["biomarker"], entry["specimen"], entry["timepoint"], entry["assay"]) == (
        *("signature:S", "archival_tissue", "baseline", "rnaseq"),
    )
    assert (entry["kind"], entry["pathway"], entry["domain"]) == ("continuous", "RB", "tissue")
    assert block.value[0] == pytest.approx([0.5] * 4)
    (row,) = account.to_dict("records")
    assert (row["genes_listed"], row["genes_measured"]) == (5, 3)
    assert row["genes_missing"] == "GONE, LOST"
    assert row["subjects_scored"] == 4
    (problem,) = problems.found
    assert problem.rule == "signature_genes_missing"
    assert "GONE, LOST" in problem.message


def test_half_of_the_genes_have_to_be_there_in_a_subject():
    """Signature of six: subject 1 has all, 2 has three, 3 has two, 4 no sample; a failed gene counts as not there."""
    values = np.tile(np.arange(8.0)[:, None], 4).tolist()
    for gene in range(3):
        values[gene][1] = UNREADABLE
    for gene in range(4):
        values[gene][2] = UNREADABLE
    for gene in range(8):
        values[gene][3] = None
    blocks, account, _ = scored(values, [("S", gene, 1.0, "rank", "") for gene in GENES[:6]])
    assert blocks[0].state[0].tolist() == [MEASURED, MEASURED, NOT_EVALUABLE, MISSING]
    assert account["subjects_scored"].tolist() == [2]
    assert account["subjects_not_evaluable"].tolist() == [1]


def test_other_markers_of_the_assay_are_no_genes_to_rank_among():
    """A laboratory's own score, large in all subjects, is not in the wide table."""
    values = np.tile(np.arange(8.0)[:, None], 4).tolist()
    own = marker("E2F", "archival_tissue", "baseline", [99.0] * 4, "continuous", assay="rnaseq")
    rows = [("S", gene, 1.0, "rank", "") for gene in ("G5", "G6", "G7")]
    with_own, _, _ = scored(values, rows, more=[own])
    assert with_own[0].value[0] == pytest.approx([0.5] * 4)


def test_a_correlation_centres_genes_at_their_median_at_baseline():
    random = np.random.default_rng(3)
    values = random.normal(size=(8, 4)) + np.arange(8.0)[:, None] * 10
    weight = random.normal(size=8)
    rows = [("S", gene, w, "correlation", "") for gene, w in zip(GENES, weight, strict=True)]
    blocks, _, _ = scored(values.tolist(), rows)
    centred = values - np.median(values, axis=1)[:, None]
    expected = [stats.spearmanr(centred[:, s], weight).statistic for s in range(4)]
    assert blocks[0].value[0] == pytest.approx(expected)


def test_later_biopsies_are_centred_at_the_archival_baseline():
    random = np.random.default_rng(4)
    values, later = random.normal(size=(8, 4)) * 3, random.normal(size=(8, 4)) * 3
    weight = np.arange(1.0, 9.0)
    rows = [("S", gene, w, "correlation", "") for gene, w in zip(GENES, weight, strict=True)]
    more = [
        marker(gene, "biopsy", "progression", row, kind="continuous", assay="rnaseq")
        for gene, row in zip(GENES, later.tolist(), strict=True)
    ]
    blocks, _, _ = scored(values.tolist(), rows, more=more)
    centred = later - np.median(values, axis=1)[:, None]
    expected = [stats.spearmanr(centred[:, s], weight).statistic for s in range(4)]
    assert blocks[1].info["specimen"].tolist() == ["biopsy"]
    assert blocks[1].value[0] == pytest.approx(expected)


def test_an_assay_that_shares_a_name_or_two_scores_nothing():
    """Interferon and a chemokine in serum are two of a signature's ten genes."""
    values = np.tile(np.arange(8.0)[:, None], 4).tolist()
    more = [marker("G1", "serum", "baseline", [1.0] * 4, "continuous", assay="cytokines")]
    rows = [("S", gene, 1.0, "rank", "") for gene in GENES[:6]]
    blocks, account, problems = scored(values, rows, more=more)
    assert [block.info["specimen"].iloc[0] for block in blocks] == ["archival_tissue"]
    assert len(account) == 1
    assert not problems.found


def test_a_signature_nobody_measured_and_one_of_two_minds_are_told():
    values = np.ones((8, 4)).tolist()
    _, account, problems = scored(values, [("NONE", "ABSENT", 1.0, "rank", "")])
    assert account.empty
    assert [p.rule for p in problems.found] == ["signature_genes_missing"]
    _, _, problems = scored(
        values, [("S", "G1", 1.0, "rank", ""), *(("S", g, 1.0, "mean", "") for g in GENES[2:5])]
    )
    assert "signature_contradicts_itself" in [p.rule for p in problems.found]


def test_the_simulated_transcriptome_gives_the_laboratorys_scores_back(tmp_path):
    """From files to markers: the laboratory's score is a mean of standardised genes, ours of ranks."""
    simulate_trial(seed=5, per_arm=(25, 25), genes=400).write(tmp_path)
    study = load_study(load(ROOT / "config" / "config.yaml"), tmp_path)
    built = build_cohort(study)
    assert not study.problems.errors
    markers = built.cohort.markers.select(specimen="archival_tissue", timepoint="baseline")
    for name in ("E2F_targets", "luminal", "T_effector"):
        (own,) = markers.select(biomarker=f"signature:{name}").value
        (laboratory,) = markers.select(biomarker=name).value
        both = np.isfinite(own) & np.isfinite(laboratory)
        assert both.sum() > 25
        assert stats.spearmanr(own[both], laboratory[both]).statistic > 0.75, name
    assert set(built.signatures["genes_missing"]) == {""}
    (pathway,) = set(markers.select(biomarker="signature:RBsig").info["pathway"])
    assert pathway == "RB"
