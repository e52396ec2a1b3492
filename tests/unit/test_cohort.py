"""From tables to a cohort: arms, outcomes, values, choices, each against an answer worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import read_table
from pytest import approx
from studies import (
    CONTROL,
    EXPERIMENTAL,
    adds_up,
    configuration,
    rules_of,
    study,
    table,
    two_arms,
    value_of,
    wide,
)

import new_study
from correlatives.assembly import build_cohort
from correlatives.cohort import (
    ABOVE,
    BELOW,
    MEASURED,
    MISSING,
    NOT_EVALUABLE,
    Cohort,
    clinical_markers,
    joined,
)
from correlatives.markers import Markers
from correlatives.predictive.rows import marker_rows
from correlatives.tables import config
from correlatives.tables.baseline import baseline_columns
from correlatives.tables.dictionary import column_label
from correlatives.tables.flow import Flow
from correlatives.tables.load import load_study


def sample(name, subject, visit="baseline", specimen="plasma", day=-3, **more):
    return {
        "sample_id": name,
        "subject_id": subject,
        "specimen": specimen,
        "timepoint": visit,
        "day": day,
        **more,
    }


def result(name, biomarker, value, **more):
    return {"sample_id": name, "biomarker": biomarker, "value": value, **more}


def errors_of(made):
    """Errors but those of endpoints that a study of samples has no outcomes for."""
    return [problem for problem in made.problems.errors if problem.rule != "endpoint_unknown"]


# Arms ---------------------------------------------------------------------------------------------


def test_pooled_arms_have_one_label_from_the_first_step_on():
    config = configuration(
        study={"arms": {"control": ["0.2", "placebo"], "experimental": ["5.0"], "other": ["x"]}}
    )
    arms = {"a": "0.2", "b": "placebo", "c": "5.0", "d": "x", "e": "strange"}
    made = study([{"subject_id": s, "arm": a} for s, a in arms.items()], config=config)
    built = build_cohort(made)
    assert built.cohort.arms == {"control": "0.2 / placebo", "experimental": "5.0"}
    assert list(built.cohort.subjects["arm"]) == ["0.2 / placebo", "0.2 / placebo", "5.0"]
    assert list(built.cohort.subjects["arm_code"]) == [0, 0, 1]
    assert [r for r in rules_of(made) if r.startswith("arm")] == ["arm_not_listed"]
    assert adds_up(built.flow)
    subjects = built.flow[(built.flow["unit"] == "subject") & (built.flow["step"] == "arms")]
    counts = {
        (a, r): n
        for a, r, n in zip(subjects["arm"], subjects["reason"], subjects["n"], strict=True)
    }
    assert counts[("0.2 / placebo", "")] == 2
    assert counts[("strange", "other arm: strange")] == 1


def test_an_arm_of_the_configuration_with_nobody_in_it_is_an_error_with_the_nearest_spelling():
    config = configuration(
        study={"arms": {"control": ["control"], "experimental": ["Experimental"]}}
    )
    rows = [
        {"subject_id": s, "arm": a}
        for s, a in zip("abcd", ["control", "experimental"] * 2, strict=True)
    ]
    made = study(rows, config=config)
    build_cohort(made)
    told = {p.rule: p for p in made.problems.found if p.rule.startswith("arm")}
    assert set(told) == {"arm_empty", "arm_not_listed"}
    assert told["arm_empty"] in made.problems.errors
    assert told["arm_empty"].value == "Experimental"
    assert "'experimental'" in told["arm_empty"].message
    assert "`values: {arm: {experimental: Experimental}}`" in told["arm_empty"].message
    assert "study.arms" in told["arm_empty"].message
    assert "differs from 'Experimental'" in told["arm_not_listed"].message


def test_an_empty_arm_far_from_every_spelling_lists_those_there_are():
    config = configuration(study={"arms": {"control": ["A", "B"], "experimental": ["T-DXd 5.4"]}})
    made = study([{"subject_id": "a", "arm": "A"}, {"subject_id": "b", "arm": "Q"}], config=config)
    build_cohort(made)
    (told,) = [p for p in made.problems.errors if p.rule == "arm_empty"]
    assert told.value == "T-DXd 5.4"  # one of several pooled arms may be empty
    assert "'A'" in told.message
    assert "'Q'" in told.message


def test_a_pooled_arm_that_differs_in_case_only_is_an_error_too():
    config = configuration(
        study={"arms": {"control": ["SOC", "placebo"], "experimental": ["new drug"]}}
    )
    arms = ["SOC", "Placebo", "new  drug", "new drug"]
    made = study(
        [{"subject_id": s, "arm": a} for s, a in zip("abcd", arms, strict=True)], config=config
    )
    build_cohort(made)
    assert [p.value for p in made.problems.errors if p.rule == "arm_empty"] == ["placebo"]
    told = {p.value: p.message for p in made.problems.found if p.rule == "arm_not_listed"}
    assert "only in case or spaces" in told["Placebo"]
    assert "only in case or spaces" in told["new  drug"]


def test_a_subject_without_arm_is_an_error_and_not_in_the_cohort():
    made = study([*two_arms(1, 1), {"subject_id": "X", "arm": None}])
    built = build_cohort(made)
    assert [p.rule for p in made.problems.errors if p.subject_id == "X"] == ["subject_without_arm"]
    assert list(built.cohort.subjects["subject_id"]) == ["C1", "E1"]


@pytest.mark.parametrize(("arms", "label"), [(None, "all"), (["P", "P"], "P"), (["P", "Q"], "all")])
def test_single_arm_studies_have_one_arm(arms, label):
    config = configuration(study={"design": "single_arm", "arms": {}})
    rows = [{"subject_id": s} for s in "ab"]
    if arms:
        rows = [row | {"arm": arm} for row, arm in zip(rows, arms, strict=True)]
    built = build_cohort(study(rows, config=config))
    assert built.cohort.arms == {"all": label}
    assert set(built.cohort.subjects["arm"]) == {label}
    assert built.cohort.subjects["arm_code"].isna().all()
    assert not built.cohort.randomised
    assert adds_up(built.flow)


def test_a_missing_stratum_is_a_level_of_its_own():
    config = configuration(study={"strata": ["site", "stratum"]})
    rows = two_arms(2, 2, site=["A", "B", "A", None], stratum=["x", "x", "x", "x"])
    made = study(rows, config=config)
    built = build_cohort(made)
    assert list(built.cohort.subjects["stratum"]) == [1, 2, 1, 0]
    assert list(built.cohort.subjects["stratum_given"]) == ["x"] * 4
    assert rules_of(made).count("stratum_missing") == 1
    assert list(joined(built.cohort)["stratum"]) == ["x"] * 4


def test_names_that_are_no_column_are_errors_with_the_nearest_name():
    config = configuration(
        study={"strata": ["sit"]},
        predictive={"clinical_markers": ["viscral"], "covariates": []},
        eligibility=[{"criterion": "ECOG", "require": "eco <= 2", "waived": ""}],
    )
    made = study(
        two_arms(1, 1, site=["A", "B"], ecog=[0, 1], visceral=["no", "yes"]), config=config
    )
    build_cohort(made)
    told = {p.rule: p.message for p in made.problems.errors}
    assert "'site'" in told["stratum_names_no_column"]
    assert "'visceral'" in told["covariate_names_no_column"]
    assert "'ecog'" in told["criterion_names_no_column"]


def test_what_describes_subjects_is_known_or_mapped_and_no_identifier_or_date():
    config = {"tables": {"subjects": {"path": "x.csv", "columns": {"liver": "LiverMets"}}}}
    table = pd.DataFrame(
        {
            "randomisation_date": pd.to_datetime(["2024-01-01"] * 12),
            "first_dose_day": 1.0,
            "first_dose_date": "2024-01-02",
            "site": [f"site {i}" for i in range(12)],
            "age": np.arange(12) + 50.0,
            "hr_status": ["pos", "neg"] * 6,
            "her2_ihc": None,
            "liver": ["Y", "N"] * 6,
            "BMI": np.arange(12) + 20.0,
            "initials": [f"A{i}" for i in range(12)],
        }
    )
    assert baseline_columns(table, config) == ["age", "hr_status", "liver"]
    # In a table of our own column names, further columns are there because somebody wrote them.
    own = {"tables": {"subjects": [{"path": "x.csv", "values": {"arm": {"1": "A"}}}]}}
    assert baseline_columns(table, own) == ["age", "hr_status", "liver", "BMI"]


def test_table_one_without_a_choice_is_of_what_describes_the_subjects():
    config = configuration(study={"strata": ["visceral"]}, report={"table_one": ["weigth"]})
    rows = two_arms(3, 3, age=range(50, 56), visceral=["yes", "no"] * 3, weight=range(60, 66))
    made = study(rows, config=config)
    built = build_cohort(made)
    assert built.cohort.study["described"] == ["age", "visceral", "weight"]
    (problem,) = [p for p in made.problems.errors if p.rule == "covariate_names_no_column"]
    assert "report.table_one" in problem.message
    assert "'weight'" in problem.message


# Outcomes -----------------------------------------------------------------------------------------


def outcome(subject, endpoint, time, event, reason=None):
    return {
        "subject_id": subject,
        "endpoint": endpoint,
        "time_months": time,
        "event": event,
        "reason": reason,
    }


def test_responses_count_ne_as_no_response_and_nothing_as_unknown():
    best = ["CR", "PR", "SD", "NE", None]
    rows = two_arms(5, 1)
    responses = [
        {"subject_id": f"C{i + 1}", "best_overall_response": word} for i, word in enumerate(best)
    ]
    built = build_cohort(study(rows, responses=responses))
    assert built.cohort.subjects["ORR"].tolist()[:4] == [1, 1, 0, 0]
    assert built.cohort.subjects["ORR"].isna().tolist() == [False] * 4 + [True] * 2
    step = built.flow[built.flow["step"] == "analysis: ORR"]
    assert step[step["reason"] == "no outcome"]["n"].tolist() == [1, 1]


def test_stable_disease_counts_if_it_lasted():
    """PFS 7; PFS event at 4; censored at 4; censored at 4 with an assessment at 6.5 months; PR."""
    config = configuration(
        endpoints={
            "PFS": {"type": "time_to_event"},
            "CBR": {"type": "response", "responders": ["CR", "PR", "SD"], "at_least_months": 6},
        }
    )
    rows = two_arms(5, 1)
    outcomes = [
        outcome("C1", "PFS", 7, 0),
        outcome("C2", "PFS", 4, 1, "progression"),
        outcome("C3", "PFS", 4, 0),
        outcome("C4", "PFS", 4, 0),
        outcome("C5", "PFS", 3, 1, "progression"),
    ]
    words = ["SD", "SD", "SD", "SD", "PR"]
    responses = [
        {"subject_id": f"C{i + 1}", "best_overall_response": word} for i, word in enumerate(words)
    ]
    assessments = [
        {"subject_id": "C4", "day": 198, "response": "SD", "sum_mm": 30, "new_lesion": "no"}
    ]
    built = build_cohort(
        study(rows, config=config, outcomes=outcomes, responses=responses, assessments=assessments)
    )
    found = built.cohort.subjects["CBR"].tolist()
    assert found[:2] == [1, 0]
    assert np.isnan(found[2])
    assert found[3:5] == [1, 1]


def test_two_valued_columns_are_endpoints():
    config = configuration(
        endpoints={"pCR": {"type": "response", "column": "pCR", "positive": ["Y"]}}
    )
    responses = [{"subject_id": "C1", "pCR": "Y"}, {"subject_id": "E1", "pCR": "N"}]
    built = build_cohort(study(two_arms(1, 1), config=config, responses=responses))
    assert built.cohort.subjects["pCR"].tolist() == [1, 0]


def test_duration_of_response_runs_from_the_first_response_to_the_end_of_pfs():
    """First PR at study day 62 (61 days from randomisation), PFS event at 10 months."""
    config = configuration(
        endpoints={
            "PFS": {"type": "time_to_event"},
            "ORR": {"type": "response", "responders": ["CR", "PR"]},
            "DOR": {"type": "duration_of_response", "of": "ORR"},
        }
    )
    made = study(
        two_arms(2, 1),
        config=config,
        outcomes=[
            outcome("C1", "PFS", 10, 1),
            outcome("C2", "PFS", 5, 1),
            outcome("E1", "PFS", 8, 0),
        ],
        responses=[
            {"subject_id": "C1", "best_overall_response": "PR"},
            {"subject_id": "C2", "best_overall_response": "SD"},
            {"subject_id": "E1", "best_overall_response": "CR"},
        ],
        assessments=[
            {"subject_id": "C1", "day": 30, "response": "SD"},
            {"subject_id": "C1", "day": 62, "response": "PR"},
            {"subject_id": "C1", "day": 120, "response": "PR"},
        ],
    )
    built = build_cohort(made)
    months = built.cohort.subjects["DOR_months"]
    assert months[0] == approx(10 - 61 / 30.4375)
    assert built.cohort.subjects["DOR_event"][0] == 1
    assert months[1:].isna().all()
    assert "response_not_dated" in rules_of(made)
    step = built.flow[(built.flow["step"] == "analysis: DOR") & (built.flow["reason"] != "")]
    assert dict(zip(step["reason"], step["n"], strict=True)) == {"no response": 1, "no outcome": 1}


def test_progression_is_a_pfs_event_that_is_not_a_death():
    rows = two_arms(4, 1)
    outcomes = [
        outcome("C1", "PFS", 3, 1, "progression"),
        outcome("C2", "PFS", 4, 1, None),
        outcome("C3", "PFS", 5, 1, "death"),
        outcome("C4", "PFS", 6, 0, "end_of_study"),
    ]
    built = build_cohort(study(rows, outcomes=outcomes))
    found = built.cohort.subjects["progression_months"]
    assert found.tolist()[:2] == [3, 4]
    assert found[2:].isna().all()
    assert built.cohort.subjects["event_reason"].tolist()[:4] == ["progression", "", "death", ""]


def test_contradicting_outcomes_are_warnings():
    outcomes = [
        outcome("C1", "PFS", 9, 0),
        outcome("C1", "OS", 7, 1),
        outcome("C2", "PFS", 5, 0),
        outcome("C2", "OS", 5, 1),
        outcome("E1", "PFS", 5, 0, "progression"),
        outcome("E2", "PFS", 5, 1, "progression"),
        outcome("E2", "OS", 8, 0),
    ]
    made = study(two_arms(2, 2), outcomes=outcomes)
    build_cohort(made)
    found = {(p.rule, p.subject_id) for p in made.problems.found}
    assert ("pfs_after_os", "C1") in found
    assert ("censored_at_event", "C2") in found
    assert ("censored_at_event", "E1") in found
    assert not {s for r, s in found if s == "E2"}


def test_an_endpoint_in_no_row_is_an_error():
    config = configuration(endpoints={"PSF": {"type": "time_to_event"}})
    made = study(two_arms(1, 1), config=config, outcomes=[outcome("C1", "PFS", 1, 1)])
    build_cohort(made)
    (problem,) = made.problems.errors
    assert problem.rule == "endpoint_unknown"
    assert "'PFS'" in problem.message


def test_what_was_told_before_is_not_told_again():
    made = study(two_arms(1, 1), outcomes=[outcome("C1", "PFS", 9, 0), outcome("C1", "OS", 7, 1)])
    made.problems.add("pfs_after_os", "told", table="outcomes", column="time", subject_id="C1")
    build_cohort(made)
    assert rules_of(made).count("pfs_after_os") == 1


def test_what_was_told_by_the_name_of_the_file_s_column_is_not_told_again():
    made = study(two_arms(1, 1), outcomes=[outcome("C1", "PFS", 9, 0, "progression")])
    first = made.outcomes.iloc[0]
    made.problems.add(
        "censored_at_event",
        "told",
        table="outcomes",
        file=first["_file"],
        row=int(first["_row"]),
        column="PFScens",
        subject_id="C1",
    )
    build_cohort(made)
    assert rules_of(made).count("censored_at_event") == 1


def test_an_arm_that_is_not_listed_is_told_by_the_study_s_own_column():
    config = configuration() | {"tables": {"subjects": {"columns": {"arm": "Treatment"}}}}
    rows = [*two_arms(1, 1), {"subject_id": "X1", "arm": "third"}]
    made = study(rows, config=config)
    build_cohort(made)
    (problem,) = [p for p in made.problems.found if p.rule == "arm_not_listed"]
    assert problem.column == "Treatment"


# Timepoints ---------------------------------------------------------------------------------------


def test_visits_become_timepoints():
    samples = [
        sample("s1", "C1", "screening"),
        sample("s2", "C1", "C1D15", day=25),
        sample("s3", "C1", "cycle 9", day=170),
        sample("s4", "C1", "whenever", "archival_tissue", day=-900),
        sample("s5", "E1", None),
    ]
    made = study(
        two_arms(1, 1),
        samples=samples,
        measurements=[result(f"s{i}", "TK1", i) for i in range(1, 6)],
    )
    built = build_cohort(made)
    found = dict(
        zip(built.cohort.samples["sample_id"], built.cohort.samples["timepoint"], strict=True)
    )
    assert found == {
        "s1": "baseline",
        "s2": "C1D15",
        "s3": "cycle 9",
        "s4": "baseline",
        "s5": "",
    }
    told = [(p.rule, p.value) for p in made.problems.found if p.table == "samples"]
    assert ("visit_not_mapped", "cycle 9") in told
    assert [rule for rule, _ in told].count("sample_outside_window") == 1
    assert built.cohort.samples["visit"].tolist()[0] == "screening"
    assert adds_up(built.flow)


def test_without_timepoints_the_label_is_the_timepoint():
    config = configuration(timepoints={})
    made = study(
        two_arms(1, 1),
        config=config,
        samples=[sample("s1", "C1", "V1")],
        measurements=[result("s1", "x", 1)],
    )
    assert list(build_cohort(made).cohort.samples["timepoint"]) == ["V1"]
    assert not [p for p in made.problems.found if p.table == "samples"]


def test_windows_around_progression_and_samples_after_it():
    """Progression at 4 months = day 121.75 from randomisation."""
    outcomes = [outcome(s, "PFS", 4, 1, "progression") for s in ("C1", "C2", "C3", "E1")]
    samples = [
        sample("in", "C1", "EOT", day=130),
        sample("out", "C2", "EOT", day=160),
        sample("early", "C3", "EOT", day=80),
        sample("late", "E1", "C1D15", day=140),
    ]
    made = study(two_arms(3, 1), outcomes=outcomes, samples=samples)
    build_cohort(made)
    told = {(p.rule, p.subject_id) for p in made.problems.found if p.table == "samples"}
    assert told == {
        ("sample_outside_window", "C2"),
        ("sample_outside_window", "C3"),
        ("sample_outside_window", "E1"),
        ("on_treatment_after_progression", "E1"),
    }
    # Whether a sample will be chosen, or makes a pair, is not known yet: nothing is said to be used.
    said = {p.subject_id: p.message for p in made.problems.found if "window is" in p.message}
    assert all("It is kept" in message and "used" not in message for message in said.values())
    no_pair = "makes no pair: it was taken more than 28 days before progression"
    assert [no_pair in said[subject] for subject in ("C2", "C3", "E1")] == [False, True, False]


# Values -------------------------------------------------------------------------------------------


DICTIONARY = [
    {"biomarker": "TK1", "specimen": "plasma", "kind": "continuous", "lloq": 20, "uloq": 1000},
    {"biomarker": "HER2", "specimen": "archival_tissue", "kind": "ordinal", "levels": "0<1+<2+<3+"},
    {"biomarker": "PTEN", "specimen": "plasma", "kind": "binary", "positive": "lost"},
]


def test_not_detected_is_below_the_lowest_limit_that_a_result_states():
    """At every timepoint, and 0 only where no result states one."""
    samples = [
        *[sample(name, name.upper()) for name in ("c1", "c2", "e1")],
        sample("later", "C1", "C1D15", day=15),
    ]
    rows = [
        result("c1", "IL6", None, status="not_detected"),
        result("c2", "IL6", "<3"),
        result("e1", "IL6", 8),
        result("later", "IL6", "<2"),
        result("c1", "CRP", None, status="not_detected"),
        result("c2", "CRP", 4),
        result("e1", "CRP", 5),
    ]
    from correlatives.tables.study import STATUSES

    status = np.zeros((2, 4), dtype=np.int8)
    status[:, 0] = STATUSES.index("not_detected")
    status[1, 3] = STATUSES.index("not_done")
    nan = np.nan
    matrix = wide(
        [[nan, 3, 8, 2], [nan, 4, 5, nan]],
        ["IL6", "CRP"],
        ["c1", "c2", "e1", "later"],
        qualifier=np.array([[0, -1, 0, -1], [0, 0, 0, 0]], dtype=np.int8),
        status=status,
    )
    arms = two_arms(2, 1)
    for made in (
        build_cohort(study(arms, samples=samples, measurements=rows)),
        build_cohort(study(arms, samples=samples, matrices=[matrix])),
    ):
        assert value_of(made, "IL6", "C1") == (2, BELOW)
        assert value_of(made, "IL6", "C2") == (3, BELOW)
        assert value_of(made, "CRP", "C1") == (0, BELOW)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"value": 55}, (55, MEASURED)),
        ({"value": 20}, (20, MEASURED)),
        ({"value": 12}, (20, BELOW)),
        ({"value": "<50"}, (50, BELOW)),
        ({"value": ">800"}, (800, ABOVE)),
        ({"value": 2000}, (1000, ABOVE)),
        ({"value": None, "status": "not_detected"}, (20, BELOW)),
        ({"value": None, "status": "not_done"}, (None, MISSING)),
        ({"value": None, "status": "not_applicable"}, (None, MISSING)),
        ({"value": None, "status": "qns"}, (None, NOT_EVALUABLE)),
        ({"value": None, "status": "failed"}, (None, NOT_EVALUABLE)),
        ({"value": None, "status": "indeterminate"}, (None, NOT_EVALUABLE)),
    ],
)
def test_states_of_quantities_long_and_wide(row, expected):
    samples = [sample("s", "C1"), sample("t", "E1")]
    rows = [result("s", "TK1", None) | row, result("t", "TK1", 100)]
    long = build_cohort(
        study(two_arms(1, 1), samples=samples, measurements=rows, biomarkers=DICTIONARY)
    )
    assert value_of(long, "TK1", "C1") == expected
    said = row["value"]
    sign = {"<": -1, ">": 1}.get(said[0], 0) if isinstance(said, str) else 0
    number = np.nan if said is None else float(str(said).lstrip("<>"))
    from correlatives.tables.study import STATUSES

    matrix = wide(
        [[number, 100]],
        ["TK1"],
        ["s", "t"],
        qualifier=np.array([[sign, 0]], dtype=np.int8),
        status=np.array([[STATUSES.index(row.get("status", "measured")), 0]], dtype=np.int8),
    )
    across = build_cohort(
        study(two_arms(1, 1), samples=samples, matrices=[matrix], biomarkers=DICTIONARY)
    )
    assert value_of(across, "TK1", "C1") == expected
    assert value_of(across, "TK1", "E1") == (100, MEASURED)


def test_levels_and_positives():
    samples = [
        sample("a", "C1", specimen="archival_tissue"),
        sample("b", "E1", specimen="archival_tissue"),
        sample("c", "C1"),
        sample("d", "E1"),
        sample("e", "E2"),
    ]
    rows = [
        result("a", "HER2", "2+"),
        result("b", "HER2", 0),
        result("c", "PTEN", "lost"),
        result("d", "PTEN", "kept"),
        result("e", "PTEN", None, status="not_detected"),
    ]
    built = build_cohort(
        study(two_arms(1, 2), samples=samples, measurements=rows, biomarkers=DICTIONARY)
    )
    assert value_of(built, "HER2", "C1", "archival_tissue") == (2, MEASURED)
    assert value_of(built, "HER2", "E1", "archival_tissue") == (0, MEASURED)
    assert value_of(built, "HER2", "E2", "archival_tissue") == (None, MISSING)
    assert [value_of(built, "PTEN", s)[0] for s in ("C1", "E1", "E2")] == [1, 0, 0]
    table = joined(built.cohort)
    assert table["archival_tissue:HER2"].tolist()[:2] == ["2+", "0"]
    assert table["plasma:PTEN"].tolist() == [1, 0, 0]


def test_kinds_without_a_dictionary():
    samples = [sample(f"s{i}", s) for i, s in enumerate(("C1", "C2", "E1", "E2"))]
    rows = []
    for i, (number, two, three) in enumerate(
        [(1.5, "yes", "low"), (2, "no", "mid"), (3, "no", "high"), (4, "yes", "low")]
    ):
        rows += [
            result(f"s{i}", "number", number),
            result(f"s{i}", "two", two),
            result(f"s{i}", "grade", {"yes": "4", "no": "3"}[two]),
            result(f"s{i}", "three", three),
        ]
    made = study(two_arms(2, 2), samples=samples, measurements=rows)
    info = build_cohort(made).cohort.markers.info.set_index("biomarker")
    assert info["kind"].to_dict() == {"number": "continuous", "two": "binary", "grade": "binary"}
    assert info.loc["grade", ["positive", "levels"]].tolist() == ["4", "3<4"]
    assert info.loc["two", "positive"] == "yes"
    assert info.loc["two", "levels"] == ""  # yes and no: positive v negative
    assert info.loc["number", ["label", "family", "prespecified"]].tolist() == [
        "number",
        "exploratory",
        "no",
    ]
    assert "words_without_order" in rules_of(made)


def test_two_assays_are_two_markers():
    samples = [sample("s", "C1"), sample("t", "E1")]
    rows = [result("s", "TK1", 10, assay="A"), result("t", "TK1", 500, assay="B")]
    built = build_cohort(study(two_arms(1, 1), samples=samples, measurements=rows))
    assert value_of(built, "TK1", "C1", assay="A") == (10, MEASURED)
    assert value_of(built, "TK1", "C1", assay="B") == (None, MISSING)
    assert {"plasma:TK1:A", "plasma:TK1:B"} <= set(joined(built.cohort).columns)


@pytest.mark.parametrize(("how", "expected"), [("mean", 14.0), ("median", 12.0), ("first", 20.0)])
def test_replicates(how, expected):
    rows = [result("s", "TK1", v, replicate=i) for i, v in enumerate((20, 10, 12))]
    made = study(
        two_arms(1, 1),
        config=configuration(choose={"replicates": how}),
        samples=[sample("s", "C1")],
        measurements=rows,
    )
    built = build_cohort(made)
    assert value_of(built, "TK1", "C1") == (expected, MEASURED)
    (choice,) = built.chosen_samples.to_dict("records")
    assert choice == {
        "subject_id": "C1",
        "specimen": "plasma",
        "timepoint": "baseline",
        "biomarker": "TK1",
        "chosen": "s",
        "rejected": "",
        "rule": f"{how} of 3 replicates",
    }


@pytest.mark.parametrize(
    ("how", "words", "expected", "rule"),
    [
        ("mean", ("3+", "1+", "2+"), 1, "middle level of 3 replicates"),
        ("median", ("3+", "1+"), 0, "lower middle level of 2 replicates"),
        ("mean", ("2+", "2+"), 1, "2 equal replicates"),
        ("first", ("3+", "1+"), 2, "first of 2 replicates"),
    ],
)
def test_replicates_of_levels_say_what_was_done(how, words, expected, rule):
    built = build_cohort(
        study(
            two_arms(1, 1),
            config=configuration(choose={"replicates": how}),
            samples=[sample("s", "C1")],
            measurements=[result("s", "IHC", w, replicate=i) for i, w in enumerate(words)],
            biomarkers=[
                {"biomarker": "IHC", "specimen": "plasma", "kind": "ordinal"}
                | {"levels": "1+<2+<3+"}
            ],
        )
    )
    assert value_of(built, "IHC", "C1") == (expected, MEASURED)
    assert built.chosen_samples["rule"].tolist() == [rule]


def test_replicates_of_a_wide_table_are_listed_by_biomarker():
    """Of more than twenty biomarkers one row stands for all, and says so."""
    samples = [sample("s", "C1", assay="array"), sample("e", "E1", assay="array")]

    def rows(count):
        values = [[1 + i, 3 + i, 7] for i in range(count)]
        if count == 2:
            values[1][1] = np.nan  # a single result: nothing is pooled
        names = [f"g{i}" for i in range(count)]
        made = study(
            two_arms(1, 1), samples=samples, matrices=[wide(values, names, ["s", "s", "e"])]
        )
        return build_cohort(made).chosen_samples[["biomarker", "rule"]].to_numpy().tolist()

    assert rows(2) == [["g0", "mean of 2 replicates"]]
    assert rows(21) == [["", "mean of 2 replicates, 21 biomarkers of wide.csv"]]


def test_replicates_refused_are_an_error():
    made = study(
        two_arms(1, 1),
        config=configuration(choose={"replicates": "refuse"}),
        samples=[sample("s", "C1")],
        measurements=[result("s", "TK1", 1), result("s", "TK1", 2)],
    )
    build_cohort(made)
    assert [p.rule for p in errors_of(made)] == ["unresolved_choice"]


def test_replicates_half_of_them_below_the_limit_are_below():
    rows = [result("s", "TK1", "<20"), result("s", "TK1", 40), result("t", "TK1", "<20")]
    rows += [result("t", "TK1", 40), result("t", "TK1", 60)]
    made = study(two_arms(1, 1), samples=[sample("s", "C1"), sample("t", "E1")], measurements=rows)
    built = build_cohort(made)
    assert value_of(built, "TK1", "C1") == (30, BELOW)
    assert value_of(built, "TK1", "E1") == (40, MEASURED)


# Choices ------------------------------------------------------------------------------------------


def test_the_sample_nearest_to_the_nominal_day_stands():
    """Baseline: upper end (day 1). C1D15: middle of 12–19, 15.5: 14 and 17 are equally near, 14 is earlier."""
    samples = [
        sample("far", "C1", day=-20),
        sample("near", "C1", "screening", day=-2),
        sample("d17", "E1", "C1D15", day=17),
        sample("d14", "E1", "C1D15", day=14),
    ]
    rows = [result(s["sample_id"], "TK1", i) for i, s in enumerate(samples)]
    built = build_cohort(study(two_arms(1, 1), samples=samples, measurements=rows))
    assert value_of(built, "TK1", "C1") == (1, MEASURED)
    assert value_of(built, "TK1", "E1", timepoint="C1D15") == (3, MEASURED)
    choices = built.chosen_samples[["biomarker", "chosen", "rejected", "rule"]].to_numpy().tolist()
    assert choices == [
        ["", "near", "far", "nearest to the nominal day"],
        ["", "d14", "d17", "the earlier"],
    ]
    chosen = dict(
        zip(built.cohort.samples["sample_id"], built.cohort.samples["chosen"], strict=True)
    )
    assert chosen == {"far": False, "near": True, "d17": False, "d14": True}
    choice = built.flow[(built.flow["unit"] == "sample") & (built.flow["step"] == "choice")]
    assert choice[choice["reason"] != ""]["n"].sum() == 2
    assert adds_up(built.flow)


def test_the_sample_nearest_to_progression_stands():
    """Progression 4 months after randomisation: study day 122.75."""
    samples = [sample("x", "C1", "EOT", day=105), sample("y", "C1", "progression", day=130)]
    built = build_cohort(
        study(
            two_arms(1, 1),
            outcomes=[outcome("C1", "PFS", 4, 1, "progression")],
            samples=samples,
            measurements=[result("x", "TK1", 1), result("y", "TK1", 2)],
        )
    )
    assert value_of(built, "TK1", "C1", timepoint="progression") == (2, MEASURED)


def test_a_sample_without_a_result_does_not_displace_one_that_has_it():
    samples = [sample("far", "C1", day=-20), sample("near", "C1", day=-2)]
    rows = [
        result("far", "TK1", 7),
        result("far", "CRP", 1),
        result("near", "CRP", 2),
        result("near", "TK1", None, status="failed"),
    ]
    built = build_cohort(study(two_arms(1, 1), samples=samples, measurements=rows))
    assert value_of(built, "TK1", "C1") == (7, MEASURED)
    assert value_of(built, "CRP", "C1") == (2, MEASURED)
    chosen = dict(
        zip(built.cohort.samples["sample_id"], built.cohort.samples["chosen"], strict=True)
    )
    assert chosen == {"far": True, "near": True}


def test_samples_without_a_day_cannot_be_chosen_from():
    samples = [sample("x", "C1", day=None), sample("y", "C1", day=None)]
    made = study(
        two_arms(1, 1), samples=samples, measurements=[result("x", "TK1", 1), result("y", "TK1", 2)]
    )
    build_cohort(made)
    (problem,) = errors_of(made)
    assert problem.rule == "unresolved_choice"
    assert "neither has a day" in problem.message


def test_two_tubes_of_one_draw_for_two_assays_are_no_choice():
    samples = [sample("x", "C1", day=None), sample("y", "C1", day=None)]
    made = study(
        two_arms(1, 1), samples=samples, measurements=[result("x", "TK1", 1), result("y", "CRP", 2)]
    )
    built = build_cohort(made)
    assert not errors_of(made)
    assert built.chosen_samples.empty
    assert built.cohort.samples["chosen"].all()


@pytest.mark.parametrize(
    ("rule", "value", "errors"),
    [("metastasis_first", 2, 0), ("primary_first", 1, 0), ("refuse", None, 1)],
)
def test_tissue(rule, value, errors):
    samples = [
        sample("p", "C1", specimen="archival_tissue", day=-10, site_of_tissue="primary"),
        sample("m", "C1", specimen="archival_tissue", day=-900, site_of_tissue="metastasis"),
    ]
    made = study(
        two_arms(1, 1),
        config=configuration(choose={"tissue": rule}),
        samples=samples,
        measurements=[result("p", "Ki67", 1), result("m", "Ki67", 2)],
    )
    built = build_cohort(made)
    assert len(errors_of(made)) == errors
    if value:
        assert value_of(built, "Ki67", "C1", "archival_tissue") == (value, MEASURED)


def test_runs_that_failed_are_set_aside_and_the_latest_version_stands():
    samples = [sample("s", "C1"), sample("t", "E1")]
    runs = [
        {"run_id": "s1", "sample_id": "s", "assay": "A", "version": "2", "qc": "pass"},
        {"run_id": "s2", "sample_id": "s", "assay": "A", "version": "10", "qc": "pass"},
        {"run_id": "s3", "sample_id": "s", "assay": "A", "version": "11", "qc": "fail"},
        {"run_id": "t1", "sample_id": "t", "assay": "A", "version": "2", "qc": "fail"},
    ]
    rows = [
        {"sample_id": run["sample_id"], "run_id": run["run_id"], "biomarker": "TK1", "value": i}
        for i, run in enumerate(runs)
    ]
    built = build_cohort(study(two_arms(1, 1), samples=samples, runs=runs, measurements=rows))
    assert value_of(built, "TK1", "C1") == (1, MEASURED)
    assert value_of(built, "TK1", "E1") == (None, NOT_EVALUABLE)
    choices = built.chosen_samples[["chosen", "rejected", "rule"]].to_numpy().tolist()
    assert choices == [
        ["s2", "s1", "latest version"],
        ["s2", "s3", "failed quality control"],
    ]
    step = built.flow[(built.flow["step"] == "quality control") & (built.flow["reason"] != "")]
    assert step.groupby("arm")["n"].sum().to_dict() == {EXPERIMENTAL: 1}
    usable = dict(zip(built.cohort.samples["run_id"], built.cohort.samples["usable"], strict=True))
    assert usable == {"s1": True, "s2": True, "s3": False, "t1": False}


def test_runs_of_one_version_are_replicates_long_and_wide():
    samples = [sample("s", "C1"), sample("t", "E1")]
    runs = [
        {"run_id": "s1", "sample_id": "s", "assay": "A"},
        {"run_id": "s2", "sample_id": "s", "assay": "A"},
        {"run_id": "t1", "sample_id": "t", "assay": "A"},
    ]
    rows = [
        {"sample_id": r["sample_id"], "run_id": r["run_id"], "biomarker": "TK1", "value": v}
        for r, v in zip(runs, (10, 20, 7), strict=True)
    ]
    long = build_cohort(study(two_arms(1, 1), samples=samples, runs=runs, measurements=rows))
    matrix = wide([[10, 20, 7]], ["TK1"], ["s1", "s2", "t1"])
    across = build_cohort(study(two_arms(1, 1), samples=samples, runs=runs, matrices=[matrix]))
    for built in (long, across):
        assert value_of(built, "TK1", "C1") == (15, MEASURED)
        assert value_of(built, "TK1", "E1") == (7, MEASURED)
        assert built.chosen_samples["rule"].tolist() == ["mean of 2 replicates"]
    refused = study(
        two_arms(1, 1),
        config=configuration(choose={"replicates": "refuse"}),
        samples=samples,
        runs=runs,
        matrices=[wide([[10, 20, 7]], ["TK1"], ["s1", "s2", "t1"])],
    )
    build_cohort(refused)
    assert [p.rule for p in errors_of(refused)] == ["unresolved_choice"]


def test_pieces_of_a_wide_table_change_nothing():
    samples = [sample("far", "C1", day=-20), sample("near", "C1", day=-2), sample("e", "E1")]
    values = [[1, 2, 3], [4, np.nan, 6], [7, 8, np.nan]]
    table = (values, ["g1", "g2", "g3"], ["far", "near", "e"])
    whole = build_cohort(study(two_arms(1, 1), samples=samples, matrices=[wide(*table)]))
    cut = wide(*table, rows_a_piece=2)
    parts = build_cohort(study(two_arms(1, 1), samples=samples, matrices=[cut]))
    np.testing.assert_array_equal(whole.cohort.markers.value, [[2, 3], [4, 6], [8, np.nan]])
    np.testing.assert_array_equal(parts.cohort.markers.value, whole.cohort.markers.value)
    np.testing.assert_array_equal(parts.cohort.markers.state, whole.cohort.markers.state)
    assert parts.chosen_samples.equals(whole.chosen_samples)


def test_wide_tables_choose_as_long_ones_do():
    samples = [sample("far", "C1", day=-20), sample("near", "C1", day=-2), sample("e", "E1")]
    matrix = wide([[1, 2, 3], [4, np.nan, 6]], ["g1", "g2"], ["far", "near", "e"], assay="array")
    built = build_cohort(study(two_arms(1, 1), samples=samples, matrices=[matrix]))
    assert value_of(built, "g1", "C1") == (2, MEASURED)
    assert value_of(built, "g2", "C1") == (4, MEASURED)
    assert built.chosen_samples[["chosen", "rejected"]].to_numpy().tolist() == [["near", "far"]]
    inventory = built.inventory.set_index(["arm"])
    assert inventory["assay"].tolist() == ["array", "array"]
    assert inventory.loc[CONTROL, ["expected", "received", "assayed", "usable"]].tolist() == [1] * 4


def test_two_wide_tables_of_one_assay_are_one_set_of_markers():
    samples = [sample("a", "C1"), sample("b", "E1")]
    parts = [
        wide([[1], [2]], ["g1", "g2"], ["a"], assay="array"),
        wide([[3], [4]], ["g1", "g2"], ["b"], assay="array"),
    ]
    built = build_cohort(study(two_arms(1, 1), samples=samples, matrices=parts))
    assert len(built.cohort.markers) == 2
    assert value_of(built, "g2", "C1") == (2, MEASURED)
    assert value_of(built, "g2", "E1") == (4, MEASURED)


def test_words_in_wide_tables():
    samples = [sample("a", "C1"), sample("b", "E1"), sample("c", "E2")]
    matrix = wide(
        [[np.nan, np.nan, np.nan], [1, 2, 3]],
        ["HER2", "x"],
        ["a", "b", "c"],
        text=table(
            "text",
            [
                {"run_id": "a", "biomarker": "HER2", "value": "3+"},
                {"run_id": "b", "biomarker": "HER2", "value": "1+"},
            ],
        ),
    )
    dictionary = [
        {"biomarker": "HER2", "specimen": "plasma", "kind": "ordinal", "levels": "0<1+<2+<3+"}
    ]
    built = build_cohort(
        study(two_arms(1, 2), samples=samples, matrices=[matrix], biomarkers=dictionary)
    )
    assert [value_of(built, "HER2", s) for s in ("C1", "E1", "E2")] == [
        (3, MEASURED),
        (1, MEASURED),
        (None, MISSING),
    ]
    assert value_of(built, "x", "E2") == (3, MEASURED)


def test_a_wide_assay_keeps_every_value():
    generator = np.random.default_rng(1)
    rows = two_arms(100, 100)
    samples = [sample(f"s{i}", row["subject_id"]) for i, row in enumerate(rows)]
    matrix = wide(
        generator.normal(size=(20_000, 200)),
        [f"g{i}" for i in range(20_000)],
        [f"s{i}" for i in range(200)],
    )
    values = matrix.whole().value
    built = build_cohort(study(rows, samples=samples, matrices=[matrix]))
    assert built.cohort.markers.value.shape == (20_000, 200)
    np.testing.assert_array_equal(built.cohort.markers.value, values)
    assert not matrix.pieces  # a wide table is in memory once


# Account ------------------------------------------------------------------------------------------


def test_flow_of_samples():
    rows = [*two_arms(1, 1), {"subject_id": "O", "arm": "strange"}]
    samples = [
        sample("used", "C1"),
        sample("failed", "E1", qc="fail", assay="A"),
        sample("unread", "E1", "C1D15", day=15),
        sample("unplaced", "E1", None),
        sample("other", "O"),
    ]
    built = build_cohort(
        study(
            rows,
            samples=samples,
            # a sample of which one run passed has not failed
            runs=[
                {"sample_id": "used", "run_id": "used", "assay": "A"},
                {"sample_id": "used", "run_id": "again", "assay": "B", "qc": "fail"},
            ],
            measurements=[
                result(s["sample_id"], "TK1", 1) for s in samples if s["sample_id"] != "unread"
            ],
        )
    )
    flow = built.flow[(built.flow["unit"] == "sample") & (built.flow["reason"] != "")]
    assert flow[flow["n"] > 0].set_index("reason")["n"].to_dict() == {
        "subject set aside": 1,
        "every run failed quality control": 1,
        "no result": 1,
        "no timepoint": 1,
    }
    last = built.flow[(built.flow["unit"] == "sample") & (built.flow["step"] == "choice")]
    assert last["n"].sum() == 1
    assert adds_up(built.flow)


def test_inventory_expects_who_is_at_risk():
    """PFS 10 days; on study at day 12 of the window: not C1. Progression: C1 and E1."""
    outcomes = [
        outcome("C1", "PFS", 10 / 30.4375, 1, "progression"),
        outcome("C2", "PFS", 5, 1, "death"),
        outcome("E1", "PFS", 5, 1, "progression"),
    ]
    samples = [
        sample("a", "C1", assay="P"),
        sample("b", "C2", assay="P"),
        sample("c", "C2", "C1D15", day=15, assay="P", qc="fail"),
        sample("d", "E1", "EOT", day=150),
    ]
    built = build_cohort(
        study(
            two_arms(2, 2),
            outcomes=outcomes,
            samples=samples,
            measurements=[result("a", "x", 1), result("b", "x", 1), result("c", "x", 1)],
        )
    )
    found = {
        (row["timepoint"], row["arm"]): (
            row["expected"],
            row["received"],
            row["assayed"],
            row["usable"],
        )
        for row in built.inventory.to_dict("records")
    }
    assert found == {
        ("baseline", CONTROL): (2, 2, 2, 2),
        ("baseline", EXPERIMENTAL): (2, 0, 0, 0),
        ("C1D15", CONTROL): (1, 1, 1, 0),
        ("C1D15", EXPERIMENTAL): (2, 0, 0, 0),
        ("progression", CONTROL): (1, 0, 0, 0),
        ("progression", EXPERIMENTAL): (1, 1, 0, 0),
    }


def test_inventory_expects_nobody_at_an_unscheduled_visit():
    samples = [sample("a", "C1", assay="P"), sample("u", "C1", "unscheduled", day=40, assay="P")]
    built = build_cohort(
        study(
            two_arms(3, 3),
            samples=samples,
            measurements=[result("a", "x", 1), result("u", "x", 1)],
        )
    )
    rows = built.inventory.query("timepoint == 'unscheduled'").set_index("arm")
    counts = ["expected", "received", "assayed", "usable"]
    assert rows.loc[CONTROL, counts].tolist() == [1] * 4
    assert rows.loc[EXPERIMENTAL, counts].tolist() == [0] * 4


def test_whether_progression_was_seen_and_its_samples_counted():
    """Of seven with a sample labelled EOT four progressed, and of one it is not known.

    C1: event; C2: censored; C3: death without progression; C4: no outcome; C5: censored, PD assessed;
    C6: censored, best response PD; C7: censored, treatment stopped for progression; C8: an event, no sample.
    """
    outcomes = [
        outcome("C1", "PFS", 5, 1, "progression"),
        outcome("C2", "PFS", 5, 0, "end_of_study"),
        outcome("C3", "PFS", 5, 1, "death"),
        *(outcome(f"C{i}", "PFS", 5, 0, "other") for i in (5, 6, 7)),
        outcome("C8", "PFS", 5, 1, ""),
    ]
    samples = [sample(f"b{i}", f"C{i}", assay="P") for i in range(1, 9)]
    samples += [sample(f"p{i}", f"C{i}", "EOT", day=150, assay="P") for i in range(1, 8)]
    built = build_cohort(
        study(
            two_arms(8, 1),
            outcomes=outcomes,
            responses=[{"subject_id": "C6", "best_overall_response": "PD"}],
            assessments=[{"subject_id": "C5", "day": 140, "response": "PD"}],
            doses=[
                {"subject_id": "C7", "drug": "T-DM1", "start_day": 1, "stop_day": 148}
                | {"reason_off": "Disease progression"},
                {"subject_id": "C2", "drug": "T-DM1", "start_day": 1, "stop_day": 148}
                | {"reason_off": "physician decision, no progression"},
            ],
            samples=samples,
            measurements=[result(s["sample_id"], "x", 1) for s in samples],
        )
    )
    subjects = built.cohort.subjects.set_index("subject_id")
    assert subjects["progression_seen"].tolist() == ["yes", "no", "no", "", *["yes"] * 4, ""]
    flow = built.flow.query("step == 'resistance: pairs, plasma, quantities' and arm == @CONTROL")
    assert dict(zip(flow["reason"], flow["n"], strict=True)) == {
        "no progression seen": 2,
        "no progression sample": 1,
        "": 5,
    }
    there = built.inventory.query("timepoint == 'progression' and arm == @CONTROL")
    assert there[["expected", "received", "assayed", "usable"]].to_numpy().tolist() == [
        [6, 5, 5, 5]
    ]


def test_inventory_counts_results_and_not_intentions():
    """Three sera sent to an assay: one has a result, one only a quantity not sufficient, of one the batch is not back.

    Of three panels one failed quality control; another one's calls are its result; coverage makes the third a negative.
    """
    samples = [sample(f"s{i}", f"C{i}", specimen="serum", assay="Luminex") for i in (1, 2, 3)]
    samples += [
        sample("p1", "C1", assay="panel"),
        sample("p2", "C2", assay="panel", qc="fail"),
        sample("p3", "C3", assay="panel"),
    ]
    built = build_cohort(
        study(
            two_arms(3, 1),
            samples=samples,
            measurements=[
                result("s1", "x", 1),
                {"sample_id": "s2", "biomarker": "x", "value": None, "status": "qns"},
            ],
            alterations=[{"sample_id": "p1", "gene": "RB1", "kind": "snv", "alteration": "p.R1*"}],
            coverage=[{"assay": "panel", "gene": "RB1", "kind": "snv"}],
        )
    )
    table = built.inventory.query("arm == @CONTROL").set_index("specimen")
    counts = table[["assay", "received", "assayed", "usable"]]
    assert counts.loc["serum"].tolist() == ["Luminex", 3, 1, 1]
    assert counts.loc["plasma"].tolist() == ["panel", 3, 3, 2]


def test_branches_count_outcomes_samples_and_pairs():
    outcomes = [outcome(s, "PFS", 5, 1, "progression") for s in ("C1", "C2", "E1")]
    samples = [sample("a", "C1"), sample("b", "E1"), sample("c", "E2")]
    samples += [sample("d", "C1", "EOT", day=150), sample("e", "C2", "EOT", day=150)]
    built = build_cohort(
        study(
            two_arms(2, 2),
            outcomes=outcomes,
            samples=samples,
            measurements=[result(s["sample_id"], "x", 1) for s in samples],
        )
    )
    flow = built.flow

    def left(step):
        part = flow[(flow["step"] == step) & (flow["reason"] != "") & (flow["n"] > 0)]
        return {(r, a): n for r, a, n in zip(part["reason"], part["arm"], part["n"], strict=True)}

    assert left("analysis: PFS, blood") == {
        ("no outcome", EXPERIMENTAL): 1,
        ("no evaluable baseline sample", CONTROL): 1,
    }
    assert left("resistance: pairs, plasma, quantities") == {
        ("no baseline sample", CONTROL): 1,
        ("no progression sample", EXPERIMENTAL): 2,
    }
    assert adds_up(flow)


def test_eligibility():
    config = configuration(
        eligibility=[
            {"criterion": "ECOG", "require": "ecog <= 2", "waived": ""},
            {
                "criterion": "pertuzumab",
                "require": "pertuzumab == 'yes'",
                "waived": "waiver == 'yes'",
            },
        ],
        population="eligible",
    )
    rows = two_arms(
        2,
        3,
        ecog=[1, 3, None, 0, None],
        pertuzumab=["yes", "yes", "yes", "no", "no"],
        waiver=["no", "no", "no", "yes", "no"],
    )
    built = build_cohort(study(rows, config=config))
    status = built.eligibility.pivot_table(
        index="subject_id", columns="criterion", values="status", aggfunc="first"
    )
    assert status["ECOG"].tolist() == ["met", "not_met", "unknown", "met", "unknown"]
    assert status["pertuzumab"].tolist() == ["met", "met", "met", "waived", "not_met"]
    assert built.cohort.subjects["eligible"].tolist() == [
        "met",
        "not_met",
        "unknown",
        "met",
        "not_met",
    ]
    assert built.cohort.subjects["in_population"].tolist() == [True, False, False, True, False]
    assert list(built.cohort.analysed().subjects["subject_id"]) == ["C1", "E2"]


def test_batches_that_go_with_the_arm_are_a_warning():
    def made(batches):
        samples = [
            sample(f"s{i}", f"{'C' if i < 6 else 'E'}{i % 6 + 1}", assay="A", batch=batch)
            for i, batch in enumerate(batches)
        ]
        rows = [result(s["sample_id"], "x", 1) for s in samples]
        found = study(two_arms(6, 6), samples=samples, measurements=rows)
        build_cohort(found)
        return rules_of(found)

    assert "batch_confounded_with_arm" in made(["1"] * 6 + ["2"] * 6)
    assert "batch_confounded_with_arm" not in made(["1", "2"] * 6)
    # Every sample a batch of its own says nothing.
    assert "batch_confounded_with_arm" not in made([str(i) for i in range(12)])


def test_the_course_of_treatment():
    made = study(
        two_arms(1, 1),
        doses=[
            {"subject_id": "C1", "drug": "T-DM1", "start_day": 22, "stop_day": 22, "dose_mg": 200},
            {"subject_id": "C1", "drug": "T-DM1", "start_day": 1, "stop_day": 1, "dose_mg": 220}
            | {"reason_off": "toxicity"},
            {"subject_id": "X", "drug": "T-DM1", "start_day": 1, "stop_day": 1, "dose_mg": 220},
        ],
        assessments=[{"subject_id": "C1", "day": 40, "sum_mm": 31, "response": "PR"}],
    )
    cohort = build_cohort(made).cohort
    assert cohort.subjects["off_treatment_reason"].tolist() == ["toxicity", ""]
    found = cohort.course[["what", "name", "start_day", "value"]].to_numpy().tolist()
    assert found == [
        ["assessment", "PR", 40, 31],
        ["dose", "T-DM1", 1, 220],
        ["dose", "T-DM1", 22, 200],
    ]


def test_a_drug_stopped_while_the_other_went_on_is_not_the_end_of_treatment():
    rows = [
        ("C1", "palbociclib", 60, "toxicity"),
        ("C1", "T-DM1", 120, "progression"),
        ("C2", "palbociclib", 60, "toxicity"),
        ("C2", "T-DM1", 120, None),
        ("E1", "palbociclib", 90, None),
        ("E1", "T-DM1", 90, "toxicity"),
    ]
    doses = [
        {"subject_id": s, "drug": d, "start_day": 1, "stop_day": day, "reason_off": reason}
        for s, d, day, reason in rows
    ]
    built = build_cohort(study(two_arms(2, 1), doses=doses))
    assert built.cohort.subjects["off_treatment_reason"].tolist() == ["progression", "", "toxicity"]


def test_without_doses_the_outcomes_say_why_treatment_ended():
    """Not where the doses say it, and not where progression was seen."""
    outcomes = [
        outcome("C1", "PFS", 3, 0, "toxicity"),
        outcome("C2", "PFS", 3, 0, "toxicity"),
        outcome("C3", "PFS", 3, 1, "progression"),
        outcome("C3", "OS", 9, 0, "toxicity"),
        outcome("C4", "PFS", 3, 0, "end_of_study"),
    ]
    doses = [
        {"subject_id": "C2", "drug": "T-DM1", "start_day": 1, "stop_day": 80, "reason_off": "other"}
    ]
    built = build_cohort(study(two_arms(4, 1), outcomes=outcomes, doses=doses))
    found = built.cohort.subjects["off_treatment_reason"].tolist()
    assert found == ["toxicity", "other", "", "", ""]
    built = build_cohort(study(two_arms(4, 1), outcomes=outcomes))
    assert built.cohort.subjects["off_treatment_reason"].tolist()[1] == "toxicity"


def test_the_dictionary_row_that_says_most_holds():
    from correlatives.tables.dictionary import Dictionary

    rows = [
        {"biomarker": "TK1", "specimen": "serum", "assay": None, "label": "any", "lloq": 20.0},
        {"biomarker": "TK1", "specimen": "serum", "assay": "DiviTum", "label": "DiviTum"},
    ]
    dictionary = Dictionary(table("biomarkers", rows))
    assert dictionary.entry("TK1", "serum", "DiviTum")["label"] == "DiviTum"
    assert dictionary.entry("TK1", "serum", "other")["lloq"] == 20
    assert dictionary.row("TK1", "plasma", "") is None
    defaults = {"kind": "count", "family": "confirmatory", "transform": "log2"}
    entry = dictionary.entry("x", "plasma", "", defaults)
    assert [entry[c] for c in ("label", "kind", "family", "transform", "domain")] == [
        "x",
        "count",
        "confirmatory",
        "log2",
        "blood",
    ]


def test_nothing_but_subjects():
    built = build_cohort(study(two_arms(1, 1)))
    assert len(built.cohort.markers) == 0
    assert list(built.inventory.columns) == [
        "timepoint",
        "specimen",
        "assay",
        "arm",
        "expected",
        "received",
        "assayed",
        "usable",
    ]
    assert list(built.chosen_samples.columns) == [
        "subject_id",
        "specimen",
        "timepoint",
        "biomarker",
        "chosen",
        "rejected",
        "rule",
    ]
    assert list(built.eligibility.columns) == ["subject_id", "criterion", "status"]
    assert list(built.flow.columns) == ["step", "unit", "arm", "reason", "n"]
    assert adds_up(built.flow)


# Round trip ---------------------------------------------------------------------------------------


def test_a_cohort_reads_back_as_it_was_written(tmp_path):
    samples = [sample("a", "C1"), sample("b", "E1", specimen="archival_tissue")]
    rows = [result("a", "TK1", "<20"), result("b", "Ki67", 30)]
    cohort = build_cohort(
        study(two_arms(1, 1, ecog=[0, 1]), samples=samples, measurements=rows)
    ).cohort
    cohort.write(tmp_path)
    again = Cohort.read(sorted(tmp_path.glob("*.parquet")))
    assert again.study == cohort.study
    # Tables and pages follow the order of the configuration.
    assert list(again.study["endpoints"]) == ["PFS", "OS", "ORR"]
    assert again.subjects.equals(cohort.subjects) or (
        again.subjects.astype(str).to_numpy().tolist()
        == cohort.subjects.astype(str).to_numpy().tolist()
    )
    order = again.markers.info["biomarker"].tolist()
    assert sorted(order) == sorted(cohort.markers.info["biomarker"])
    at = [cohort.markers.info["biomarker"].tolist().index(name) for name in order]
    np.testing.assert_array_equal(again.markers.value, cohort.markers.value[at])
    np.testing.assert_array_equal(again.markers.state, cohort.markers.state[at])
    assert again.samples["sample_id"].tolist() == ["a", "b"]
    only = Cohort.read([tmp_path / "outcomes.parquet"])
    assert len(only.markers) == 0
    families = read_table(tmp_path / "families.parquet")
    assert sum(families["markers"].to_pylist()) >= len(order)


def test_clinical_markers():
    rows = two_arms(
        2,
        2,
        visceral=["yes", "no", None, "no"],
        age=[50, 60, 70, 55],
        site=["A", "B", "C", None],
        constant=["x"] * 4,
        sex=["F", "M", "M", "F"],
        ecog=[0, 1, 1, 0],
    )
    cohort = build_cohort(study(rows)).cohort
    assert marker_rows(clinical_markers(cohort, ["ecog"])).contrast.tolist() == ["1 v 0"]
    found = clinical_markers(cohort, ["visceral", "age", "site", "constant", "sex", "absent"])
    info = found.info
    assert info["biomarker"].tolist() == ["visceral", "age", "site=B", "site=C", "sex"]
    assert info["kind"].tolist() == ["binary", "continuous", "binary", "binary", "binary"]
    assert found.value[0, [0, 1, 3]].tolist() == [1, 0, 0]
    assert found.state[0].tolist() == [MEASURED, MEASURED, MISSING, MEASURED]
    assert found.value[2, :3].tolist() == [0, 1, 0]
    assert info["positive"].tolist()[4] == "M"
    assert info["levels"].tolist() == ["", "", "", "", "F<M"]
    contrasts = marker_rows(found).contrast.tolist()
    assert contrasts == ["positive v negative", "1 SD", "B v other", "C v other", "M v F"]
    assert set(info["domain"]) == {"clinical"}


def test_columns_of_the_subjects_table_have_labels():
    rows = two_arms(
        2, 2, hr_status=["pos", "neg", "pos", "neg"], ldh=[1, 2, 3, 4], site=list("ABCA")
    )
    entries = [
        {
            "biomarker": "ldh",
            "specimen": "clinical",
            "label": "Lactate dehydrogenase",
            "transform": "log2",
            "family": "confirmatory",
            "cutpoint": 3,
            "cut_rule": ">=",
        },
        {"biomarker": "hr_status", "specimen": "clinical", "positive": "neg"},
        {"biomarker": "site", "specimen": "plasma", "label": "not a column"},
    ]
    cohort = build_cohort(study(rows, biomarkers=entries)).cohort
    found = clinical_markers(cohort, ["hr_status", "ldh", "site"])
    assert found.info["label"].tolist() == [
        "HR status",
        "Lactate dehydrogenase",
        "Site: B",
        "Site: C",
    ]
    assert found.value[0].tolist() == [0, 1, 0, 1]
    assert found.info["family"].tolist() == ["exploratory", "confirmatory", *["exploratory"] * 2]
    described = marker_rows(found)
    assert described.contrast.tolist() == [
        "neg v pos",
        "doubling",
        ">=3 v <3",
        "B v other",
        "C v other",
    ]
    assert column_label("prior_lines") == "Prior lines"
    assert column_label("ctDNA") == "ctDNA"
    assert column_label("her2_fish_ratio") == "HER2 FISH ratio"


def test_joined_has_the_columns_of_the_contract():
    samples = [sample("a", "C1"), sample("b", "E1")]
    cohort = build_cohort(
        study(
            two_arms(1, 1, ecog=[0, 1]),
            outcomes=[outcome("C1", "PFS", 5, 1), outcome("C1", "OS", 9, 0)],
            samples=samples,
            measurements=[result("a", "TK1", "<20"), result("b", "TK1", 30)],
        )
    ).cohort
    frame = joined(cohort)
    expected = ["subject_id", "arm", "ecog", "PFS_months", "PFS_event", "OS_months", "OS_event"]
    assert [c for c in frame if c in expected] == expected
    assert list(frame.columns)[-2:] == ["ORR", "plasma:TK1"]
    assert frame["plasma:TK1"].tolist() == [20, 30]


# Nobody, and nothing ------------------------------------------------------------------------------


def one_subject_of_everything(arm):
    """A subject with a row in every table."""
    name = {"subject_id": "a"}
    return study(
        [name | {"arm": arm}],
        samples=[sample("s", "a")],
        measurements=[result("s", "TK1", 3.0)],
        matrices=[wide([[1.0]], ["F"], ["s"])],
        outcomes=[name | {"endpoint": "PFS", "time": 1, "event": 1}],
        responses=[name | {"best_overall_response": "CR"}],
        alterations=[
            {"sample_id": "s", "gene": "G", "alteration": "p", "kind": "snv", "result": "detected"}
        ],
        assessments=[name | {"day": 3, "response": "CR"}],
        doses=[name | {"drug": "d", "start_day": 1, "stop_day": 4}],
    )


def written_and_read(cohort, folder):
    cohort.write(folder)
    return Cohort.read(sorted(folder.glob("*.parquet")))


def test_a_study_in_which_no_subject_is_left_is_written_and_read(tmp_path):
    made = one_subject_of_everything("neither")
    built = build_cohort(made)
    assert rules_of(made).count("arm_empty") == 2
    read = written_and_read(built.cohort, tmp_path)
    assert len(read.subjects) == 0
    assert read.markers.value.shape == (len(built.cohort.markers), 0)
    assert list(read.subjects) == list(built.cohort.subjects)
    assert len(read.analysed().markers) == len(read.markers)
    assert len(joined(read)) == 0


def test_a_study_without_markers_is_written_and_read(tmp_path):
    read = written_and_read(build_cohort(study(two_arms(2, 2))).cohort, tmp_path)
    assert read.markers.value.shape == (0, 4)
    assert len(read.markers.info) == 0


def test_markers_of_nobody_keep_their_names(tmp_path):
    markers = build_cohort(one_subject_of_everything(CONTROL)).cohort.markers
    nobody = markers.of_subjects(np.array([False]))
    nobody.write(tmp_path / "blood.parquet")
    read = Markers.read(tmp_path / "blood.parquet")
    assert len(read) == len(markers) > 0
    assert read.value.shape == read.state.shape == (len(markers), 0)
    assert list(read.info["biomarker"]) == list(markers.info["biomarker"])


@pytest.mark.parametrize("design", ["randomised", "single_arm"])
def test_a_new_study_whose_tables_are_still_empty_is_told_so(design, tmp_path):
    folder = new_study.write_study("mine", tmp_path)
    filled = config.load(folder / "config.yaml")
    filled["study"]["design"] = design
    made = load_study(filled, config.data_folder(filled, folder / "config.yaml"))
    built = build_cohort(made)
    assert {p.rule for p in made.problems.errors} == {"file_without_rows", "endpoint_unknown"} | (
        {"arm_empty"} if design == "randomised" else set()
    )
    assert made.problems.summary()
    read = written_and_read(built.cohort, tmp_path / "cohort")
    assert len(read.subjects) == 0
    assert len(joined(read)) == 0
    assert list(built.flow) == list(Flow().frame())


def test_several_words_beside_the_positive_ones_are_told():
    """An unknown status is not silently negative; two levels make it an error of the check instead."""
    samples = [sample(f"{s}-b", s, specimen="biopsy") for s in ("C1", "C2", "E1", "E2")]
    results = [
        result(f"{s}-b", "HER2", word)
        for s, word in (("C1", "Positive"), ("C2", "Negative"), ("E1", "Unk/ND"), ("E2", "Unk/ND"))
    ]
    rows = [{"biomarker": "HER2", "specimen": "biopsy", "kind": "binary", "positive": "Positive"}]
    made = study(two_arms(2, 2), samples=samples, measurements=results, biomarkers=rows)
    build_cohort(made)
    (told,) = [p.message for p in made.problems.found if p.rule == "words_taken_as_negative"]
    assert "'Negative' (1), 'Unk/ND' (2)" in told
    made = study(two_arms(2, 2), samples=samples, measurements=results[:2], biomarkers=rows)
    build_cohort(made)
    assert "words_taken_as_negative" not in rules_of(made)


def test_a_wide_table_is_joined_once():
    matrix = wide([[1.0], [2.0]], ["A", "B"], ["s1"])
    assert len(list(matrix.taken())) == 1
    with pytest.raises(ValueError, match="were taken before"):
        list(matrix.taken())
