"""Who remains and who was left out adds up."""

from studies import adds_up

from correlatives.tables.flow import Flow


def rows(flow):
    return [tuple(row) for row in flow.frame().itertuples(index=False)]


def test_a_trunk_and_its_branches():
    flow = Flow()
    flow.start("in the files", "subject", {"1": "A", "2": "A", "3": "B", "4": ""})
    flow.leave_out("arms", "subject", {"4": "no arm"})
    flow.branch("analysis: PFS", "subject", {"1": "no outcome", "9": "nobody"})
    flow.branch("analysis: OS", "subject", {})
    assert rows(flow) == [
        ("in the files", "subject", "", "", 1),
        ("in the files", "subject", "A", "", 2),
        ("in the files", "subject", "B", "", 1),
        ("arms", "subject", "", "no arm", 1),
        ("arms", "subject", "", "", 0),
        ("arms", "subject", "A", "", 2),
        ("arms", "subject", "B", "", 1),
        ("analysis: PFS", "subject", "A", "no outcome", 1),
        ("analysis: PFS", "subject", "A", "", 1),
        ("analysis: PFS", "subject", "B", "", 1),
        ("analysis: OS", "subject", "A", "", 2),
        ("analysis: OS", "subject", "B", "", 1),
    ]
    assert adds_up(flow.frame())
    assert flow.remaining["subject"] == {"1": "A", "2": "A", "3": "B"}


def test_pooled_arms_are_one_from_the_first_step_on():
    flow = Flow()
    flow.start("in the files", "subject", {"1": "A", "2": "B", "3": "C"})
    flow.leave_out("filter", "subject", {"1": "filtered"})
    flow.relabel({"A": "A / B", "B": "A / B"})
    flow.leave_out("arms", "subject", {"3": "other arm: C"})
    assert rows(flow) == [
        ("in the files", "subject", "A / B", "", 2),
        ("in the files", "subject", "C", "", 1),
        ("filter", "subject", "A / B", "filtered", 1),
        ("filter", "subject", "A / B", "", 1),
        ("filter", "subject", "C", "", 1),
        ("arms", "subject", "C", "other arm: C", 1),
        ("arms", "subject", "A / B", "", 1),
        ("arms", "subject", "C", "", 0),
    ]
    assert adds_up(flow.frame())


def test_arms_go_in_the_order_of_the_study_others_after_them():
    flow = Flow()
    flow.start("in the files", "subject", {"1": "other", "2": "high dose", "3": "placebo"})
    flow.relabel({}, ["placebo", "high dose"])
    flow.leave_out("arms", "subject", {"1": "other arm: other"})
    assert [row[2:] for row in rows(flow)] == [
        ("placebo", "", 1),
        ("high dose", "", 1),
        ("other", "", 1),
        ("other", "other arm: other", 1),
        ("placebo", "", 1),
        ("high dose", "", 1),
        ("other", "", 0),
    ]
    assert adds_up(flow.frame())


def test_nobody_at_all():
    flow = Flow()
    flow.start("in the files", "sample", {})
    flow.leave_out("quality control", "sample", {})
    assert rows(flow) == []
    assert list(flow.frame().columns) == ["step", "unit", "arm", "reason", "n"]
