"""Pairs, and who can be read at which gene: denominators computed by hand."""

import numpy as np
import pytest
from resistance_cohorts import UNREADABLE, marker, sample, trial

from correlatives.cohort import MEASURED, MISSING, NOT_EVALUABLE
from correlatives.pairing import means_progression, of_specimen, sample_months, unpaired_by_specimen
from correlatives.resistance.change import paired_change
from correlatives.resistance.pairs import gene_pairs


def plasma(gene, before, after):
    return [
        marker(f"gene:{gene}", "plasma", "baseline", before),
        marker(f"gene:{gene}", "plasma", "progression", after),
    ]


def only_pair(cohort, **options):
    (pair,) = gene_pairs(cohort, "baseline", "progression", **options)
    return pair


def test_every_outcome_of_a_pair_is_counted_once():
    pair = only_pair(trial([0, 0, 1, 1], plasma("RB1", [0, 1, 1, 0], [1, 0, 1, 0])))
    assert pair.gained[0].tolist() == [True, False, False, False]
    assert pair.lost[0].tolist() == [False, True, False, False]
    assert pair.kept[0].tolist() == [False, False, True, False]
    assert pair.absent[0].tolist() == [False, False, False, True]


def test_a_gene_not_on_the_panel_leaves_the_pair_and_not_the_other_gene():
    """Two pairs; the second one's progression panel did not look at FAT1."""
    markers = plasma("RB1", [0, 0], [1, 0]) + plasma("FAT1", [0, 0], [1, UNREADABLE])
    pair = only_pair(trial([1, 1], markers))
    assert pair.paired.sum() == 2
    readable = dict(zip(pair.name, pair.evaluable.sum(axis=1), strict=True))
    assert readable == {"FAT1": 1, "RB1": 2}


def test_a_gene_looked_at_in_one_timepoint_only_is_not_compared():
    markers = [
        *plasma("RB1", [0, 0], [1, 0]),
        marker("gene:NF1", "plasma", "progression", [1, 0]),
    ]
    assert only_pair(trial([1, 1], markers)).name.tolist() == ["RB1"]


def test_low_tumour_fraction_at_progression_hides_wild_type_but_not_a_call():
    """Subject 1: fraction too low, RB1 unreadable, PIK3CA called all the same."""
    markers = plasma("RB1", [0, 0], [UNREADABLE, 0]) + plasma("PIK3CA", [1, 0], [1, 0])
    pair = only_pair(trial([1, 1], markers))
    readable = dict(zip(pair.name, pair.evaluable.sum(axis=1), strict=True))
    assert pair.paired.sum() == 2
    assert readable == {"PIK3CA": 2, "RB1": 1}


def test_a_missing_progression_sample_is_no_pair():
    pair = only_pair(trial([1, 1, 0], plasma("RB1", [0, 0, 0], [1, None, 0])))
    assert pair.paired.tolist() == [True, False, True]
    assert pair.evaluable[0].tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("reason", "progressed", "drawn", "is_pair"),
    [
        ("toxicity", np.nan, 2.0, False),
        ("Unacceptable toxicity", np.nan, 2.0, False),
        ("adverse event", np.nan, 2.0, False),
        ("withdrawal", np.nan, 2.0, False),
        ("toxicity", 2.5, 2.0, True),  # within 28 days of progression
        ("toxicity", 8.0, 2.0, False),  # progressed half a year after the sample
        ("progression", 2.0, 2.0, True),
        ("", np.nan, 2.0, True),
        ("progression", np.nan, 2.0, True),
    ],
)
def test_a_sample_at_a_toxicity_stop_is_not_a_progression_sample(
    reason, progressed, drawn, is_pair
):
    cohort = trial(
        [1],
        plasma("RB1", [0], [1]),
        samples=[sample("001", "plasma", "progression", drawn)],
        off_treatment_reason=[reason],
        progression_months=[progressed],
    )
    assert only_pair(cohort).paired.tolist() == [is_pair]


@pytest.mark.parametrize(
    ("seen", "progressed", "is_pair", "why"),
    [
        ("no", np.nan, False, "no progression seen"),  # censored, or an event of another cause
        ("", np.nan, True, ""),  # not known: the label is believed
        ("yes", np.nan, True, ""),  # seen, without a date
        ("yes", 5.5, True, ""),
        ("yes", 8.0, False, "progressed more than 28 days after the progression sample"),
    ],
)
def test_without_a_progression_there_is_no_progression_sample(seen, progressed, is_pair, why):
    cohort = trial(
        [1],
        plasma("RB1", [0], [1]),
        samples=[sample("001", "plasma", "progression", 5.0)],
        progression_seen=[seen],
        progression_months=[progressed],
    )
    assert only_pair(cohort).paired.tolist() == [is_pair]
    assert unpaired_by_specimen(cohort, "baseline", "progression")[
        "plasma", "alterations"
    ].tolist() == [why]
    assert only_pair(cohort, at_progression=False).paired.tolist() == [True]


def test_a_sample_28_days_before_progression_makes_a_pair_whatever_the_rounding():
    month, days = 30.4375, np.arange(40, 400, 9)
    n = len(days)
    for later, is_pair in ((28, True), (29, False)):
        cohort = trial(
            [1] * n,
            plasma("RB1", [0] * n, [1] * n),
            samples=[
                sample(f"{i + 1:03d}", "plasma", "progression", day / month)
                for i, day in enumerate(days)
            ],
            progression_months=(days + later) / month,
        )
        assert only_pair(cohort).paired.tolist() == [is_pair] * n


def test_who_progressed_long_after_a_toxicity_stop_is_told_so():
    """They did progress: the reason is not that they did not."""
    cohort = trial(
        [1],
        plasma("RB1", [0], [1]),
        samples=[sample("001", "plasma", "progression", 2.0)],
        off_treatment_reason=["toxicity"],
        progression_seen=["yes"],
        progression_months=[8.0],
    )
    (why,) = unpaired_by_specimen(cohort, "baseline", "progression")["plasma", "alterations"]
    assert why == "progressed more than 28 days after the progression sample"


def test_a_sample_that_failed_quality_control_makes_no_pair():
    """1: the baseline run failed; 2: one of two panel runs failed; 3: the progression panel failed, another assay did not."""
    failed = {"qc": "fail", "usable": False, "chosen": False}
    cohort = trial(
        [1, 1, 1],
        plasma("RB1", [UNREADABLE, 0, 0], [1, 1, UNREADABLE]),
        samples=[
            sample("001", "plasma", "baseline", 0.0) | failed,
            sample("002", "plasma", "baseline", 0.0, run="first") | failed,
            sample("002", "plasma", "baseline", 0.0, run="second"),
            sample("003", "plasma", "baseline", 0.0),
            *(sample(who, "plasma", "progression", 5.0) for who in ("001", "002")),
            sample("003", "plasma", "progression", 5.0, run="panel") | failed,
            sample("003", "plasma", "progression", 5.0, run="TK1") | {"sequenced": False},
        ],
    )
    assert only_pair(cohort).paired.tolist() == [False, True, False]
    assert unpaired_by_specimen(cohort, "baseline", "progression")[
        "plasma", "alterations"
    ].tolist() == [
        "baseline sample failed quality control",
        "",
        "progression sample failed quality control",
    ]


def test_a_toxicity_stop_does_not_matter_where_the_later_sample_is_not_at_progression():
    cohort = trial([1], plasma("RB1", [0], [1]), off_treatment_reason=["toxicity"])
    assert only_pair(cohort, at_progression=False).paired.tolist() == [True]


def test_which_timepoint_is_that_of_progression():
    assert means_progression({"relapse": {"around": "progression"}}, "relapse")
    assert means_progression({}, "progression")
    assert means_progression({"EOT": None}, "EOT")
    assert not means_progression({"C3D1": {"window_days": [40, 50]}}, "C3D1")


def test_archival_block_and_biopsy_are_a_tissue_pair():
    cohort = trial(
        [1, 1],
        [
            marker("gene:RB1", "archival_tissue", "baseline", [0, 0]),
            marker("gene:RB1", "biopsy", "progression", [1, None]),
        ],
    )
    pair = only_pair(cohort)
    assert pair.specimen == "tissue"
    assert pair.paired.tolist() == [True, False]
    assert pair.gained[0].tolist() == [True, False]


def test_a_baseline_biopsy_goes_before_the_archival_block_unless_it_failed():
    cohort = trial(
        [1, 1, 1],
        [
            marker("gene:RB1", "archival_tissue", "baseline", [1, 1, UNREADABLE]),
            marker("gene:RB1", "biopsy", "baseline", [0, UNREADABLE, None]),
        ],
    )
    tissue = of_specimen(cohort.markers, "tissue", "baseline")
    assert tissue.value[0, :2].tolist() == [0, 1]
    assert tissue.state[0].tolist() == [MEASURED, MEASURED, NOT_EVALUABLE]
    nothing = of_specimen(cohort.markers, "plasma", "baseline")
    assert len(nothing) == 0


def test_blood_and_tissue_are_never_paired_with_each_other():
    cohort = trial(
        [1],
        [
            marker("gene:RB1", "archival_tissue", "baseline", [0]),
            marker("gene:RB1", "plasma", "progression", [1]),
        ],
    )
    assert gene_pairs(cohort, "baseline", "progression") == []


def test_pathways_come_first_in_the_order_of_their_table():
    markers = [
        marker(name, "plasma", timepoint, [0])
        for timepoint in ("baseline", "progression")
        for name in ("gene:PIK3CA", "gene:RB1", "pathway:PI3K", "pathway:RB", "gene:RB1:deletion")
    ]
    pathways = [
        {"gene": "RB1", "pathway": "RB"},
        {"gene": "PIK3CA", "pathway": "PI3K"},
    ]
    pair = only_pair(trial([1], markers, pathways=pathways))
    assert pair.name.tolist() == ["RB", "PI3K", "RB1", "RB1 deletion", "PIK3CA"]
    assert pair.level.tolist() == ["pathway", "pathway", "gene", "gene", "gene"]


def test_time_on_treatment_runs_from_the_first_dose():
    cohort = trial(
        [1, 1],
        plasma("RB1", [0, 0], [1, 0]),
        samples=[sample("001", "plasma", "progression", 5.0)],
        first_dose_day=[30.4375, 0.0],
        progression_months=[np.nan, 7.0],
    )
    # Subject 2's sample has no date: it was taken about progression.
    assert only_pair(cohort).months == pytest.approx([4.0, 7.0])


def test_the_chosen_sample_gives_the_date():
    rejected = sample("001", "plasma", "progression", 3.0, run="first") | {"chosen": False}
    cohort = trial([1], [], samples=[rejected, sample("001", "plasma", "progression", 5.0)])
    assert sample_months(cohort, "plasma", "progression").tolist() == [5.0]
    assert np.isnan(sample_months(cohort, "serum", "progression")).all()


def test_why_a_subject_is_no_pair():
    cohort = trial(
        [0, 0, 0, 1, 1],
        [
            *plasma("RB1", [0, None, None, 0, 0], [0, 0, None, None, 1]),
            marker("TK1", "plasma", "progression", [5, 5, 5, 5, 5], kind="continuous"),
            marker("TK1", "serum", "baseline", [5, 5, None, 5, 5], kind="continuous"),
            marker("TK1", "serum", "progression", [None, 4, 4, 4, 4], kind="continuous"),
            marker("Ki67", "archival_tissue", "baseline", [5, 5, 5, 5, 5], kind="continuous"),
            # a chemistry at baseline is no partner of a later count of cells, nor is a count that failed
            marker("LDH", "blood", "baseline", [5, 5, 5, 5, 5], kind="continuous"),
            marker("CTC", "blood", "baseline", [None, None, 5, 5, UNREADABLE], kind="count"),
            marker("CTC", "blood", "progression", [5, 5, None, 5, 5], kind="count"),
        ],
        off_treatment_reason=["toxicity", "", "", "", ""],
    )
    found = unpaired_by_specimen(cohort, "baseline", "progression")
    toxicity = "stopped for toxicity, not progression"
    assert {specimen: why.tolist() for specimen, why in found.items()} == {
        # what was looked at for alterations is counted by that, as the tables count it
        ("plasma", "alterations"): [
            toxicity,
            "no baseline sample",
            "no sample",
            "no progression sample",
            "",
        ],
        ("blood", "quantities"): [
            "no baseline sample",
            "no baseline sample",
            "no progression sample",
            "",
            "nothing measured in both by the same assay",
        ],
        ("serum", "quantities"): ["no progression sample", "", "no baseline sample", "", ""],
    }
    change = paired_change(cohort, "baseline", "progression")
    for specimen, n in (("blood", 1), ("serum", 3)):
        row = change.query("specimen == @specimen and arm == 'all'")
        assert row["pairs"].tolist() == [n]
        assert (found[specimen, "quantities"] == "").sum() == n
    assert only_pair(cohort).paired.tolist() == [
        why == "" for why in found["plasma", "alterations"]
    ]
    later = unpaired_by_specimen(cohort, "baseline", "progression", at_progression=False)
    assert later["plasma", "alterations"][0] == ""


def test_nothing_looked_at_gives_nothing():
    cohort = trial([0, 1], [])
    assert gene_pairs(cohort, "baseline", "progression") == []
    assert unpaired_by_specimen(cohort, "baseline", "progression") == {}
    assert MISSING == 0
