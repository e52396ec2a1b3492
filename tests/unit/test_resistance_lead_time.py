"""Lead time of blood over imaging, from dates written out by hand."""

import numpy as np
import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, UNREADABLE, call, marker, sample, trial

from correlatives.resistance.lead_time import COLUMNS, lead_time, median

MONTH = 30.4375


def visits(subject, months, fractions=None):
    """Samples at baseline, C2D1 and progression."""
    fractions = fractions or [np.nan] * 3
    return [
        sample(subject, "plasma", timepoint, month, fraction)
        for timepoint, month, fraction in zip(
            ("baseline", "C2D1", "progression"), months, fractions, strict=True
        )
    ]


def baseline(gene, values):
    return marker(f"gene:{gene}", "plasma", "baseline", values)


def test_first_new_alteration_before_imaging():
    """Subject 1: RB1 new at month 1, imaging at 4: three months' lead. Subject 2: FAT1 new in the
    progression sample, five days after imaging: minus five days."""
    cohort = trial(
        [1, 1],
        [baseline("RB1", [0, 0]), baseline("FAT1", [1, 0])],
        samples=[*visits("001", [0, 1, 4]), *visits("002", [0, 1, 6 + 5 / MONTH])],
        calls=[
            call("001", "plasma", "baseline", "FAT1"),
            call("001", "plasma", "C2D1", "FAT1"),
            call("001", "plasma", "C2D1", "RB1"),
            call("001", "plasma", "progression", "RB1"),
            call("002", "plasma", "progression", "FAT1"),
        ],
        progression_months=[4.0, 6.0],
    )
    table = lead_time(cohort, "baseline").set_index(["marker", "arm"])
    assert table.loc[("new alteration", EXPERIMENTAL), "n"] == 2
    assert table.loc[("new alteration", EXPERIMENTAL), "median"] == pytest.approx(
        (3 * MONTH - 5) / 2
    )
    assert table.loc[("gene:RB1", EXPERIMENTAL), "median"] == pytest.approx(3 * MONTH)
    assert table.loc[("gene:FAT1", EXPERIMENTAL), "median"] == pytest.approx(-5)
    assert table.loc[("gene:RB1", CONTROL), "n"] == 0


def test_a_sample_28_days_after_imaging_counts_whatever_the_rounding():
    n = 40
    days = np.arange(60, 60 + 7 * n, 7)
    cohort = trial(
        [1] * n,
        [baseline("RB1", [0] * n)],
        samples=[
            sample(f"{i + 1:03d}", "plasma", visit, at)
            for i, day in enumerate(days)
            for visit, at in (("baseline", 0.0), ("progression", (day + 28) / MONTH))
        ],
        calls=[call(f"{i + 1:03d}", "plasma", "progression", "RB1") for i in range(n)],
        progression_months=days / MONTH,
    )
    table = lead_time(cohort, "baseline").set_index(["marker", "arm"])
    row = table.loc[("gene:RB1", EXPERIMENTAL)]
    assert row["n"] == n
    assert row["median"] == pytest.approx(-28)


def test_a_mutation_is_new_where_mutations_were_looked_for_at_baseline():
    """1 and 2: the baseline panel was blind to deletions of RB1; 1 gains a mutation, 2 a deletion."""
    cohort = trial(
        [1, 1],
        [
            baseline("RB1", [UNREADABLE, UNREADABLE]),
            baseline("RB1:mutation", [0, 0]),
            baseline("RB1:deletion", [UNREADABLE, UNREADABLE]),
        ],
        samples=[*visits("001", [0, 1, 4]), *visits("002", [0, 1, 4])],
        calls=[
            call("001", "plasma", "C2D1", "RB1"),
            call("002", "plasma", "C2D1", "RB1") | {"kind": "deletion"},
        ],
        progression_months=[4.0, 4.0],
    )
    table = lead_time(cohort, "baseline").query("arm == @EXPERIMENTAL").set_index("marker")
    assert table["n"].to_dict() == {"new alteration": 1, "gene:RB1": 1}
    assert table.loc["gene:RB1", "median"] == pytest.approx(3 * MONTH)


def test_an_alteration_of_another_class_is_new_beside_one_at_baseline():
    cohort = trial(
        [1],
        [
            baseline("ERBB2", [1]),
            baseline("ERBB2:mutation", [0]),
            baseline("ERBB2:amplification", [1]),
        ],
        samples=visits("001", [0, 1, 4]),
        calls=[
            call("001", "plasma", "C2D1", "ERBB2") | {"kind": "amplification"},
            call("001", "plasma", "progression", "ERBB2"),
        ],
        progression_months=[4.0],
    )
    table = lead_time(cohort, "baseline").query("arm == @EXPERIMENTAL").set_index("marker")
    assert table.loc["gene:ERBB2", "median"] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("before", "counted", "progression"),
    [
        (1, True, 4.0),  # not new
        (UNREADABLE, True, 4.0),  # not known to be new
        (0, False, 4.0),  # germline, clonal haematopoiesis, or of unknown significance
        (0, True, np.nan),  # no imaging progression
        (0, True, 0.02),  # found long after imaging progression
    ],
)
def test_what_is_not_molecular_progression(before, counted, progression):
    cohort = trial(
        [1],
        [baseline("RB1", [before])],
        samples=visits("001", [0, 1, 4]),
        calls=[call("001", "plasma", "C2D1", "RB1", counted)],
        progression_months=[progression],
    )
    assert lead_time(cohort, "baseline").empty


def test_rise_of_the_tumour_fraction_over_its_nadir():
    """Subject 1 falls to 0.02 and doubles at month 3; subject 2 rises by half only; subject 3 doubles
    below the limit."""
    samples = [
        sample("001", "plasma", timepoint, month, fraction)
        for timepoint, month, fraction in (
            ("baseline", 0, 0.10),
            ("C2D1", 1, 0.02),
            ("C4D1", 3, 0.04),
            ("progression", 5, 0.20),
        )
    ]
    samples += visits("002", [0, 1, 5], [0.10, 0.10, 0.15])
    samples += visits("003", [0, 1, 5], [0.001, 0.001, 0.005])
    cohort = trial([1, 1, 1], [], samples=samples, progression_months=[5.0, 5.0, 5.0])
    table = lead_time(cohort, "baseline")
    row = table[table["arm"] == EXPERIMENTAL].iloc[0]
    assert (row["marker"], row["n"]) == ("tumour_fraction", 1)
    assert row["median"] == pytest.approx(2 * MONTH)


def test_median_limits_are_order_statistics():
    """n = 10: P(Bin(10, 1/2) <= 1) = 0.0107 and P(<= 2) = 0.0547, so ranks 2 and 9."""
    assert median(np.arange(1.0, 11.0)) == (5.5, 2.0, 9.0)
    short = median(np.array([3.0, 1.0, 2.0]))
    assert short.estimate == 2.0
    assert np.isnan(short.low)
    assert np.isnan(median(np.array([])).estimate)


def test_without_data_there_is_a_header():
    pd.testing.assert_frame_equal(
        lead_time(trial([0, 1], []), "baseline"), pd.DataFrame(columns=COLUMNS)
    )
