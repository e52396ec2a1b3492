"""Each alteration gained, lost and kept; the flow into pairs; calls set aside: all by hand."""

import pandas as pd
import pytest
from resistance_cohorts import CONTROL, EXPERIMENTAL, UNREADABLE, call, marker, sample, trial

from correlatives.resistance.acquired import acquired
from correlatives.resistance.alterations import COLUMNS, alteration_changes
from correlatives.resistance.pair_flow import (
    CALL_COLUMNS,
    calls_by_use,
    pair_flow,
)
from correlatives.resistance.pair_flow import (
    COLUMNS as FLOW_COLUMNS,
)


def hit(subject, timepoint, alteration, gene="PIK3CA", specimen="plasma", **more):
    return call(subject, specimen, timepoint, gene) | {"alteration": alteration} | more


def counts(table, arm=EXPERIMENTAL, **wanted):
    rows = table[table["arm"] == arm]
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    (row,) = rows[["evaluable", "gained", "lost", "kept"]].to_numpy().tolist()
    return row


def pik3ca(before, after):
    return [
        marker("gene:PIK3CA", "plasma", "baseline", before),
        marker("gene:PIK3CA", "plasma", "progression", after),
    ]


def test_several_hits_of_a_gene_one_by_one_in_whatever_spelling():
    """1 keeps H1047R (spelt in two ways) and gains E545K; 2 gains E545K; 3 loses H1047R; 4 has neither."""
    cohort = trial(
        [1, 1, 1, 1],
        pik3ca([1, 0, 1, 0], [1, 1, 0, 0]),
        calls=[
            hit("001", "baseline", "p.H1047R"),
            hit("001", "progression", "His1047Arg"),
            hit("001", "progression", "p.E545K"),
            hit("002", "progression", "E545K"),
            hit("003", "baseline", "NP_006209.2:p.His1047Arg"),
        ],
    )
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, alteration="p.H1047R") == [4, 0, 1, 1]
    assert counts(table, alteration="p.E545K") == [4, 2, 0, 0]
    assert counts(table, CONTROL, alteration="p.E545K") == [0, 0, 0, 0]


def test_a_mutation_and_an_amplification_are_two():
    cohort = trial(
        [1],
        [
            marker(name, "plasma", timepoint, [value])
            for timepoint, mutated, amplified in (("baseline", 0, 1), ("progression", 1, 0))
            for name, value in (
                ("gene:ERBB2", 1),
                ("gene:ERBB2:mutation", mutated),
                ("gene:ERBB2:amplification", amplified),
            )
        ],
        calls=[
            hit("001", "baseline", "AMP", "ERBB2", kind="amplification"),
            hit("001", "progression", "p.L755S", "ERBB2"),
        ],
    )
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, kind="amplification") == [1, 0, 1, 0]
    assert counts(table, kind="mutation") == [1, 1, 0, 0]


#: Four pairs: the first version of the panel looks at mutations of RB1 only, the second at deletions too.
#: Baseline and progression samples of v1 and v2, v1 and v1, v2 and v2, v2 and (too little tumour) v2.
BY_VERSION = [
    marker("gene:RB1", "plasma", "baseline", [UNREADABLE, UNREADABLE, 0, 0]),
    marker("gene:RB1", "plasma", "progression", [1, 1, 0, UNREADABLE]),
    marker("gene:RB1:mutation", "plasma", "baseline", [0, 0, 0, 0]),
    marker("gene:RB1:mutation", "plasma", "progression", [1, 1, 0, UNREADABLE]),
    marker("gene:RB1:deletion", "plasma", "baseline", [UNREADABLE, UNREADABLE, 0, 0]),
    marker("gene:RB1:deletion", "plasma", "progression", [1, UNREADABLE, 0, UNREADABLE]),
]
RB1_CALLS = [
    hit("001", "progression", "p.Q257fs", "RB1", kind="indel"),
    hit("001", "progression", "loss", "RB1", kind="deletion"),
    hit("002", "progression", "p.Q257fs", "RB1", kind="indel"),
]


def test_a_variant_is_evaluable_where_its_own_class_was_looked_for():
    """A panel blind to copy number loses no mutation: 2 of 3 gained, as the row RB1 mutation says."""
    cohort = trial([1, 1, 1, 1], BY_VERSION, calls=RB1_CALLS)
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, alteration="p.Q257fs") == [3, 2, 0, 0]
    assert counts(table, kind="deletion") == [1, 0, 0, 0]
    rows = acquired(cohort, "baseline", "progression").query("arm == @EXPERIMENTAL")
    rows = rows.set_index("name")[["evaluable", "gained", "lost", "kept"]]
    assert rows.loc["RB1 mutation"].tolist() == [3, 2, 0, 0]
    assert rows.loc["RB1 deletion"].tolist() == [1, 0, 0, 0]


def test_what_nobody_looks_for_is_absent_nowhere():
    """Only mutations of FGFR1 are looked for: an amplification called all the same is evaluable where it was found."""
    cohort = trial(
        [1, 1, 1],
        [
            marker("gene:FGFR1", "plasma", "baseline", [0, 1, 0]),
            marker("gene:FGFR1", "plasma", "progression", [1, 1, 0]),
        ],
        calls=[
            hit("001", "progression", "amp", "FGFR1", kind="amplification", looked_for=False),
            hit("002", "baseline", "amp", "FGFR1", kind="amplification", looked_for=False),
            hit("002", "progression", "amp", "FGFR1", kind="amplification", looked_for=False),
        ],
    )
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, kind="amplification") == [1, 0, 0, 1]


def test_the_class_of_a_mutation_is_read_in_the_biopsy_if_it_can_be():
    """At progression the biopsy's panel is blind to deletions; the block's result of that class stands."""
    cohort = trial(
        [1],
        [
            marker("gene:RB1", "archival_tissue", "baseline", [0]),
            marker("gene:RB1:mutation", "archival_tissue", "baseline", [0]),
            marker("gene:RB1:deletion", "archival_tissue", "baseline", [0]),
            marker("gene:RB1", "biopsy", "progression", [1]),
            marker("gene:RB1:mutation", "biopsy", "progression", [1]),
            marker("gene:RB1:deletion", "biopsy", "progression", [UNREADABLE]),
        ],
        calls=[hit("001", "progression", "p.Q257fs", "RB1", specimen="biopsy", kind="indel")],
    )
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, specimen="tissue") == [1, 1, 0, 0]


def test_what_a_sample_could_not_show_is_not_lost():
    """1 and 2 lose H1047R; at progression another mutation makes the gene readable in both, but the tumour fraction of 2 is low."""
    cohort = trial(
        [1, 1],
        pik3ca([1, 1], [1, 1]),
        samples=[
            sample("001", "plasma", "progression", 5.0, tumour_fraction=0.2),
            sample("002", "plasma", "progression", 5.0, tumour_fraction=0.004),
        ],
        calls=[
            *(hit(subject, "baseline", "p.H1047R") for subject in ("001", "002")),
            *(hit(subject, "progression", "p.E545K") for subject in ("001", "002")),
        ],
    )
    table = alteration_changes(cohort, "baseline", "progression", min_tumour_fraction=0.01)
    assert counts(table, alteration="p.H1047R") == [1, 0, 1, 0]
    assert counts(table, alteration="p.E545K") == [2, 2, 0, 0]


def test_calls_that_do_not_count_or_were_not_chosen_are_left_out():
    cohort = trial(
        [1, 1],
        pik3ca([0, 0], [0, 0]),
        calls=[
            hit("001", "progression", "p.E545K", counted=False),
            hit("002", "progression", "p.E545K", chosen=False),
        ],
    )
    assert alteration_changes(cohort, "baseline", "progression").empty


def test_the_biopsy_stands_for_the_tumour_where_it_can_be_read():
    """At baseline 1 has a readable biopsy without the block's mutation; 2's biopsy failed."""
    cohort = trial(
        [1, 1],
        [
            marker("gene:PIK3CA", "archival_tissue", "baseline", [1, 1]),
            marker("gene:PIK3CA", "biopsy", "baseline", [0, UNREADABLE]),
            marker("gene:PIK3CA", "biopsy", "progression", [1, 1]),
        ],
        calls=[
            hit("001", "baseline", "p.H1047R", specimen="archival_tissue"),
            hit("002", "baseline", "p.H1047R", specimen="archival_tissue"),
            hit("001", "progression", "p.H1047R", specimen="biopsy"),
            hit("002", "progression", "p.H1047R", specimen="biopsy"),
        ],
    )
    table = alteration_changes(cohort, "baseline", "progression")
    assert counts(table, specimen="tissue") == [2, 1, 0, 1]


def test_flow_into_pairs_by_hand():
    """Palbociclib: 1 and 2 pairs, 2 unreadable; 3 no baseline; 4 progressed without a sample; 5 did not; 6 toxicity;
    7 never progressed; 8's baseline and 9's later sample failed quality control."""
    failed = {"qc": "fail", "usable": False, "chosen": False}
    cohort = trial(
        [1] * 9 + [0],
        pik3ca(
            [0, 0, None, 0, 0, 0, 0, UNREADABLE, 0, 0],
            [1, UNREADABLE, 0, None, None, 0, 1, 1, UNREADABLE, 0],
        ),
        samples=[
            sample("008", "plasma", "baseline", 0.0) | failed,
            sample("009", "plasma", "progression", 5.0) | failed,
        ],
        off_treatment_reason=[*[""] * 5, "toxicity", "", "", "", ""],
        progression_months=[5.0, 5.0, 5.0, 5.0, None, None, None, 5.0, 5.0, 5.0],
        progression_seen=[*["yes"] * 4, "no", "no", "no", "yes", "yes", "yes"],
    )
    table = pair_flow(cohort, "baseline", "progression")
    rows = table[table["arm"] == EXPERIMENTAL][["step", "reason", "n"]].to_numpy().tolist()
    assert rows == [
        ["subjects", "", 9],
        ["baseline sample", "baseline sample failed quality control", 1],
        ["baseline sample", "no baseline sample", 1],
        ["baseline sample", "", 7],
        ["progression sample", "no progression seen, no progression sample", 1],
        ["progression sample", "progressed, no progression sample", 1],
        ["progression sample", "progression sample failed quality control", 1],
        ["progression sample", "", 4],
        ["at progression", "no progression seen", 1],
        ["at progression", "stopped for toxicity, not progression", 1],
        ["at progression", "", 2],
        ["evaluable", "no gene readable in both samples", 1],
        ["evaluable", "", 1],
    ]
    assert (table["arm"] == CONTROL).sum() == 5
    pairs = acquired(cohort, "baseline", "progression").query("arm == @EXPERIMENTAL")["pairs"]
    assert set(pairs) == {2}


def test_calls_set_aside_are_counted_and_possible_blood_cells_flagged():
    plasma = ("plasma", "baseline")
    cohort = trial(
        [1, 0],
        [],
        samples=[sample("001", *plasma, 0.0), sample("002", *plasma, 0.0) | {"qc": "fail"}],
        calls=[
            call("001", *plasma, "BRCA2", counted=False) | {"origin": "germline"},
            call("001", *plasma, "TP53", counted=False) | {"origin": "chip"},
            call("001", *plasma, "TP53") | {"origin": ""},
            call("001", *plasma, "TP53") | {"origin": "tumour"},
            call("001", *plasma, "PIK3CA") | {"origin": ""},
            call("001", *plasma, "NF1", counted=False) | {"significance": "vus"},
            call("002", *plasma, "PIK3CA", counted=False),
            call("001", "archival_tissue", "baseline", "TP53") | {"origin": ""},
            call("001", "plasma", "C1D15", "TP53") | {"origin": ""},
        ],
    )
    table = calls_by_use(cohort, "baseline", "progression")
    assert table[["gene", "arm", "reason", "used", "calls", "subjects"]].to_numpy().tolist() == [
        ["BRCA2", EXPERIMENTAL, "germline", "no", 1, 1],
        ["NF1", EXPERIMENTAL, "significance", "no", 1, 1],
        ["PIK3CA", CONTROL, "failed quality control", "no", 1, 1],
        ["TP53", EXPERIMENTAL, "clonal haematopoiesis", "no", 1, 1],
        ["TP53", EXPERIMENTAL, "possible clonal haematopoiesis", "yes", 1, 1],
    ]


@pytest.mark.parametrize(
    ("table", "columns"),
    [(alteration_changes, COLUMNS), (pair_flow, FLOW_COLUMNS), (calls_by_use, CALL_COLUMNS)],
)
def test_without_data_there_is_a_header(table, columns):
    nothing = table(trial([0, 1], []), "baseline", "progression")
    pd.testing.assert_frame_equal(nothing, pd.DataFrame(columns=columns))
