"""The study configuration: every defect in one plain line, all at once; every default filled."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from correlatives.tables import config
from correlatives.tables.contracts import CONTRACTS

ROOT = Path(__file__).parents[2]

STUDY = """\
study:
  id: NCT1
  arms: {control: [A], experimental: [B]}
tables:
  subjects: {path: subjects.csv}
  outcomes: {path: outcomes.csv}
  measurements:
    - {path: blood_*.csv}
endpoints:
  PFS: {type: time_to_event}
  ORR: {type: response, responders: [CR, PR]}
"""


def problems(text, tmp_path, overrides=None):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(config.ConfigError) as caught:
        config.load(path, overrides)
    return [line.replace(f"{path}", "study.yaml") for line in caught.value.lines]


def loaded(text, tmp_path, overrides=None):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, overrides)


# --- what is right -------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_contract(tmp_path):
    """The values of ``# =`` and of the examples in the contract's section 1."""
    study = loaded(STUDY, tmp_path)
    assert study["study"] == {
        "id": "NCT1",
        "title": "NCT1",
        "design": "randomised",
        "arms": {"control": ["A"], "experimental": ["B"], "other": []},
        "strata": [],
        "time_unit": "months",
        "simulated": False,
    }
    assert study["results_dir"] == "results"
    assert study["data_dir"] is None
    assert study["seed"] == 1
    assert study["timepoints"] == {}
    assert study["choose"] == {
        "replicates": "mean",
        "samples": "nearest",
        "tissue": "metastasis_first",
    }
    assert study["nonresults"] == {}
    assert study["alterations_count"] == []
    assert study["evaluable"] == {"min_tumour_fraction": 0.01, "if_missing": "evaluable"}
    assert study["predictive"] == {
        "endpoints": ["PFS", "ORR"],
        "clinical_markers": [],
        "covariates": [],
        "randomisations": 10000,
        "alpha": 0.05,
        "family_over_endpoints": False,
        "marker_blocks": 1,
    }
    assert study["response"] == {
        "endpoints": ["PFS", "ORR"],
        "clinical": [],
        "repeats": 20,
        "folds": 5,
        "permutations": 100,
        "permute_forest": False,
        "jobs": 1,
    }
    assert study["resistance"] == {
        "drug": "B",
        "from": "baseline",
        "to": "progression",
        "early": [],
        "early_progression_months": 3,
    }
    assert study["eligibility"] == []
    assert study["population"] == "randomised"
    assert study["accept"] == []
    assert study["score"] is None
    assert study["report"] == {"subject_level": False, "table_one": []}
    assert list(study["tables"]["subjects"][0]) == [
        "path",
        "sheet",
        "delimiter",
        "decimal",
        "encoding",
        "header_row",
        "columns",
        "values",
        "constants",
        "na",
        "where",
        "preset",
    ]
    assert study["tables"]["subjects"][0]["na"] == ["", "NA", "."]
    assert study["tables"]["outcomes"][0]["event_coding"] == "event"
    assert study["tables"]["outcomes"][0]["layout"] == "long"
    blood = study["tables"]["measurements"][0]
    given = {key: value for key, value in blood["defaults"].items() if value is not None}
    assert given == {"family": "exploratory", "transform": "none"}
    assert blood["orientation"] == "samples_in_rows"
    assert blood["select"] == []


def test_every_table_is_a_list_of_tables(tmp_path):
    tables = loaded(STUDY, tmp_path)["tables"]
    assert len(tables) == 15
    assert all(isinstance(entries, list) for entries in tables.values())
    assert tables["samples"] == []


def test_lists_of_tables_keep_their_order_and_get_defaults_each(tmp_path):
    text = STUDY.replace("{path: subjects.csv}", "[{path: b.csv}, {path: a.csv, na: [x]}]")
    subjects = loaded(text, tmp_path)["tables"]["subjects"]
    assert [(entry["path"], entry["na"]) for entry in subjects] == [
        ("b.csv", ["", "NA", "."]),
        ("a.csv", ["x"]),
    ]


def test_defaults_are_not_shared_between_tables(tmp_path):
    tables = loaded(STUDY, tmp_path)["tables"]
    tables["subjects"][0]["na"].append("?")
    assert "?" not in tables["outcomes"][0]["na"]
    assert "?" not in loaded(STUDY, tmp_path)["tables"]["subjects"][0]["na"]


def test_a_preset_decides_what_the_study_does_not_say(tmp_path):
    text = STUDY.replace("{path: outcomes.csv}", "{path: adtte.xpt, preset: adam_adtte, na: [N]}")
    outcomes = loaded(text, tmp_path)["tables"]["outcomes"][0]
    assert "event_coding" not in outcomes
    assert "layout" not in outcomes
    assert outcomes["na"] == ["N"]
    assert config.table_defaults("outcomes")["event_coding"] == "event"
    joined = {**config.table_defaults("outcomes"), "event_coding": "censor", **outcomes}
    assert joined["event_coding"] == "censor"
    assert joined["layout"] == "long"


def test_keys_without_a_value_count_as_not_given(tmp_path):
    text = STUDY.replace("{path: subjects.csv}", "{path: subjects.csv, preset: , na: }")
    assert loaded(text, tmp_path)["tables"]["subjects"][0]["na"] == ["", "NA", "."]


def test_wide_outcomes_in_both_spellings(tmp_path):
    columns = "endpoints: {PFS: {time: PFS, event: PFS.CNSR}}"
    beside = STUDY.replace("outcomes.csv", f"outcomes.csv, layout: wide, {columns}")
    within = STUDY.replace("outcomes.csv", f"outcomes.csv, layout: {{wide: {{{columns}}}}}")
    first = loaded(beside, tmp_path)["tables"]["outcomes"]
    assert first == loaded(within, tmp_path)["tables"]["outcomes"]
    assert first[0]["endpoints"] == {"PFS": {"time": "PFS", "event": "PFS.CNSR"}}


def test_pooled_arms_name_the_drug(tmp_path):
    text = STUDY.replace("[B]", "[B1, B2]")
    assert loaded(text, tmp_path)["resistance"]["drug"] == "B1 / B2"


def test_a_single_arm_study_needs_no_arms(tmp_path):
    text = STUDY.replace("arms: {control: [A], experimental: [B]}", "design: single_arm")
    study = loaded(text, tmp_path)
    assert study["study"]["arms"] == {"control": [], "experimental": [], "other": []}
    assert study["resistance"]["drug"] == "the study treatment"


def test_a_duration_of_response_is_not_compared_by_default(tmp_path):
    study = loaded(STUDY + "  DOR: {type: duration_of_response, of: ORR}\n", tmp_path)
    assert study["predictive"]["endpoints"] == ["PFS", "ORR"]
    assert study["response"]["endpoints"] == ["PFS", "ORR"]
    assert study["endpoints"]["DOR"]["milestones_months"] == [6, 12, 24]


def test_historical_values_are_fractions_or_months(tmp_path):
    text = STUDY.replace(
        "[CR, PR]}", "[CR, PR], historical: {value: 44, unit: percent, source: X}}"
    )
    text = text.replace(
        "{type: time_to_event}", "{type: time_to_event, historical: {value: 9.6, source: Y}}"
    )
    endpoints = loaded(text, tmp_path)["endpoints"]
    assert endpoints["ORR"]["historical"] == {"value": 0.44, "unit": "fraction", "source": "X"}
    assert endpoints["PFS"]["historical"] == {"value": 9.6, "unit": "months", "source": "Y"}


def test_default_timepoints_of_resistance_need_not_exist(tmp_path):
    study = loaded(STUDY + "timepoints: {baseline: {visits: [C1D1]}}\n", tmp_path)
    assert study["resistance"]["to"] == "progression"
    assert study["timepoints"]["baseline"] == {
        "visits": ["C1D1"],
        "window_days": None,
        "around": None,
    }


def test_overrides_are_merged_key_by_key(tmp_path):
    study = loaded(
        STUDY, tmp_path, {"seed": 7, "report": {"subject_level": True}, "study": {"id": "X"}}
    )
    assert (study["seed"], study["report"]["subject_level"]) == (7, True)
    assert study["study"]["id"] == "X"
    assert study["study"]["arms"]["control"] == ["A"]


def test_a_whole_number_may_be_written_with_a_point(tmp_path):
    seed = loaded(STUDY + "seed: 3.0\n", tmp_path)["seed"]
    assert seed == 3
    assert isinstance(seed, int)


def test_new_samples_may_be_scored_before_their_outcomes_are_known(tmp_path):
    text = """
study: {id: site_b, design: single_arm}
tables: {subjects: {path: subjects.csv}}
"""
    assert [line.split(":")[0] for line in problems(text, tmp_path)] == [
        "study.yaml, endpoints",
        "study.yaml line 3, tables.outcomes",
        "study.yaml line 3, tables.measurements",
    ]
    study = loaded(text + "score: {cohort: b, locked: [PFS.json]}\n", tmp_path)
    assert (study["endpoints"], study["tables"]["outcomes"]) == ({}, [])
    assert study["response"]["endpoints"] == []


def test_quoted_values_stay_text(tmp_path):
    text = STUDY.replace("NCT1", '"0012"').replace("[A]", '["NO"]')
    text = text.replace("subjects.csv}", 'subjects.csv, values: {arm: {"1": "NO", "02": B}}}')
    study = loaded(text, tmp_path)
    assert study["study"]["id"] == "0012"
    assert study["tables"]["subjects"][0]["values"] == {"arm": {"1": "NO", "02": "B"}}


def test_the_whole_example_of_the_documentation_is_valid():
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    whole = [example for example in examples if "study:" in example and "endpoints:" in example]
    assert whole
    for example in whole:
        filled, lines = config.check(yaml.safe_load(example), "README.md", example)
        assert lines == []
        assert filled["study"]["id"]


# --- one defect, one line ------------------------------------------------------------------------------

WIDE = "{path: m.csv, layout: wide, key: subject_id, specimen: blood, timepoint: baseline}"

DEFECTS = [
    # (what is replaced, by what, the line)
    ("id: NCT1", "id: 0012", 'line 2, study.id: YAML reads 0012 as the number 10, where text belongs. Write "0012" in quotes.'),
    ("id: NCT1", "id: NO", 'line 2, study.id: YAML reads NO as false, where text belongs. Write "NO" in quotes.'),
    ("id: NCT1", "id: 12:30", 'line 2, study.id: YAML reads 12:30 as the number 750, where text belongs. Write "12:30" in quotes.'),
    ("id: NCT1", "id: 2021-01-04", 'line 2, study.id: YAML reads 2021-01-04 as a date, where text belongs. Write "2021-01-04" in quotes.'),
    ("id: NCT1", "id: 1_000", 'line 2, study.id: YAML reads 1_000 as the number 1000, where text belongs. Write "1_000" in quotes.'),
    ("id: NCT1", "id: 12", 'line 2, study.id: YAML reads 12 as the number 12, where text belongs. Write "12" in quotes.'),
    ("[A]", "[on]", 'line 3, study.arms.control[1]: YAML reads on as true, where text belongs. Write "on" in quotes.'),
    ("[A]", "[A, ~]", 'line 3, study.arms.control[2]: found ~, where text belongs. Write "~" in quotes.'),
    ("subjects.csv}", "subjects.csv, values: {arm: {1: A}}}", 'line 5, tables.subjects.values.arm.1: YAML reads the key 1 as the number 1, where text belongs. Write "1" in quotes.'),
    ("subjects.csv}", "subjects.csv, values: {arm: {X: NO}}}", 'line 5, tables.subjects.values.arm.X: YAML reads NO as false, where text belongs. Write "NO" in quotes.'),
    ("subjects.csv}", "subjects.csv, values: {arm: {X: }}}", 'line 5, tables.subjects.values.arm.X: found nothing, where text belongs. Write "" in quotes.'),
    ("subjects.csv}", "subjects.csv, na: [NA, -99]}", 'line 5, tables.subjects.na[2]: YAML reads -99 as the number -99, where text belongs. Write "-99" in quotes.'),
    ("tables:", "seed: 0012\ntables:", "line 4, seed: YAML reads 0012 as the number 10. Write a plain number without leading zeros, colons or other signs."),
    ("  outcomes: {path: outcomes.csv}", "  outcomes: {path: outcomes.csv}\n  outcomes: {path: b.csv}", "line 7, tables.outcomes: the key is there twice, first on line 6. Keep one of the two."),
    ("id: NCT1", "id: NCT1\n  idd: 4", "line 3, study.idd: unknown key. Was id meant?"),
    ("id: NCT1", "idd: NCT1", "line 2, study.idd: unknown key. Was id meant?"),
    ("  id: NCT1\n", "", "line 1, study.id: is missing. The study's identifier."),
    ("tables:", "strata: [x]\ntables:", "line 4, strata: unknown key here. strata belongs under study."),
    ("tables:", "weather: fine\ntables:", None),
    ("id: NCT1", "id: NCT1\n  design: randomized", 'line 3, study.design: found the text "randomized". Right would be randomised or single_arm. Was randomised meant?'),
    ("id: NCT1", "id: NCT1\n  design: single_arm", "line 4, study.arms: a single_arm study has one arm, but control and experimental are both given. Keep one of them, or write design: randomised."),
    ("id: NCT1", "id: NCT1\n  time_unit: month", 'line 3, study.time_unit: found the text "month". Right would be days, weeks, months or years. Was months meant?'),
    ("id: NCT1", 'id: NCT1\n  simulated: "yes"', 'line 3, study.simulated: found the text "yes", where true or false belongs. Write it without quotes.'),
    ("id: NCT1", "id: NCT1\n  strata: [a, a]", 'line 3, study.strata: the text "a" is in the list twice.'),
    ("[B]", "B", 'line 3, study.arms.experimental: found the text "B", where a list belongs. Write [B], in square brackets.'),
    ("[B]", "[A]", "line 3, study.arms.experimental: A is in control and experimental. An arm has one place."),
    ("[B]", "[]", "line 3, study.arms.experimental: is missing. A randomised study names the values of the arm column for the experimental arm, such as [A]."),
    ("control: [A], ", "", "line 3, study.arms.control: is missing. A randomised study names the values of the arm column for the control arm, such as [A]."),
    ("  subjects: {path: subjects.csv}\n", "", "line 4, tables.subjects: is missing. Every study needs a table with one row a subject."),
    ("  subjects: {", "  subject: {", "line 5, tables.subject: unknown key. Was subjects meant?"),
    ("  outcomes: {path: outcomes.csv}\n", "", "line 4, tables.outcomes: is missing. A study needs outcomes or responses."),
    ("  measurements:\n    - {path: blood_*.csv}\n", "", "line 4, tables.measurements: is missing. A study needs measurements or alterations."),
    ("{path: subjects.csv}", "subjects.csv", 'line 5, tables.subjects: found the text "subjects.csv", where a group of keys or a list belongs. Write {path: subjects.csv}.'),
    ("{path: subjects.csv}", "{sheet: A}", "line 5, tables.subjects.path: is missing. The file, relative to data_dir."),
    ("{path: subjects.csv}", "{path: s.csv, preset: adam_adls}", None),
    ("{path: subjects.csv}", "{path: s.csv, preset: maf}", "line 5, tables.subjects.preset: maf is a format of alterations, not of subjects."),
    ("{path: subjects.csv}", "{path: s.csv, where: \"EGFR = 'P'\"}", None),
    ("{path: subjects.csv}", "{path: s.csv, header_row: 0}", "line 5, tables.subjects.header_row: 0 is too small. It has to be at least 1."),
    ("{path: subjects.csv}", "{path: s.csv, delimiter: tab}", 'line 5, tables.subjects.delimiter: found the text "tab", where one character belongs (a tab is "\\t" in double quotes).'),
    ("{path: subjects.csv}", "[]", "line 5, tables.subjects: found 0 values. It needs at least 1."),
    ("{path: outcomes.csv}", "{path: o.csv, layout: wide}", "line 6, tables.outcomes.endpoints: is missing. A wide layout names the columns of each endpoint, such as {PFS: {time: PFS_months, event: PFS_event}}."),
    ("{path: outcomes.csv}", "{path: o.csv, event_coding: cnsr}", None),
    ("{path: blood_*.csv}", "{path: m.csv, layout: wide}", "line 8, tables.measurements[1].key: is missing. A wide layout says what a row is: sample_id, run_id or subject_id."),
    ("{path: blood_*.csv}", WIDE.replace(", specimen: blood", ""), "line 8, tables.measurements[1].specimen: is missing. With one row a subject, say the specimen that the values come from."),
    ("{path: blood_*.csv}", WIDE.replace(", timepoint: baseline", ""), "line 8, tables.measurements[1].timepoint: is missing. With one row a subject, say the timepoint that the values come from."),
    ("{path: blood_*.csv}", "{path: m.csv, specimen: blood}", "line 8, tables.measurements[1].specimen: goes with key: subject_id only. Otherwise the samples table says it."),
    ("{path: blood_*.csv}", "{path: m.csv, key: sample_id}", "line 8, tables.measurements[1].key: goes with layout: wide only. Write layout: wide."),
    ("  measurements:\n    - {path: blood_*.csv}", "  alterations:\n    - {path: a.csv, columns: {vaf: AF}}", "line 8, tables.alterations[1].vaf_scale: is missing. Say whether vaf is a fraction (0 to 1) or a percent (0 to 100)."),
    ("  PFS: {type: time_to_event}", "  P/FS: {type: time_to_event}", 'line 10, endpoints.P/FS: the name "P/FS" has other signs than letters, digits, _ and -. Names of endpoints are used in file names.'),
    ("  PFS: {type: time_to_event}", "  orr: {type: time_to_event}", "line 11, endpoints.ORR: differs from orr in upper and lower case only. Their files would have one name on some computers."),
    ("{type: time_to_event}", "{type: survival}", 'line 10, endpoints.PFS.type: found the text "survival". Right would be time_to_event, response or duration_of_response.'),
    ("{type: time_to_event}", "{}", "line 10, endpoints.PFS.type: is missing. What kind of endpoint it is."),
    ("{type: time_to_event}", "{type: time_to_event, responders: [CR]}", "line 10, endpoints.PFS.responders: goes with type response, not with time_to_event."),
    ("{type: time_to_event}", "{type: time_to_event, milestones_months: [6, 0]}", "line 10, endpoints.PFS.milestones_months[2]: 0 is too small. It has to be more than 0."),
    ("{type: time_to_event}", "{type: time_to_event, rmst_horizon_months: .inf}", "line 10, endpoints.PFS.rmst_horizon_months: YAML reads .inf as the number inf. Write a plain number without leading zeros, colons or other signs."),
    ("[CR, PR]}", "[CR, pr]}", None),
    (", responders: [CR, PR]}", "}", "line 11, endpoints.ORR.responders: is missing. Say which best responses count, such as [CR, PR], or name a column."),
    (", responders: [CR, PR]}", ", column: pCR}", "line 11, endpoints.ORR.positive: is missing. Say which values of the column count, such as [Y]."),
    ("[CR, PR]}", "[CR, PR], column: pCR, positive: [Y]}", "line 11, endpoints.ORR.column: stands beside responders. Keep one: they are two ways to say it."),
    (", responders: [CR, PR]}", ", column: pCR, positive: [Yes]}", 'line 11, endpoints.ORR.positive[1]: YAML reads Yes as true, where text belongs. Write "Yes" in quotes.'),
    ("[CR, PR]}", "[CR, PR], historical: {value: 44, source: X}}", "line 11, endpoints.ORR.historical.value: 44 is more than 1. Write a fraction, or unit: percent."),
    ("[CR, PR]}", "[CR, PR]}\n  DOR: {type: duration_of_response, of: PFS}", "line 12, endpoints.DOR.of: PFS is not an endpoint of type response."),
    ("[CR, PR]}", "[CR, PR]}\n  DOR: {type: duration_of_response, of: BOR}", "line 12, endpoints.DOR.of: BOR is not among endpoints (PFS, ORR, DOR)."),
    ("[CR, PR]}", "[CR, PR]}\n  DOR: {type: duration_of_response}", "line 12, endpoints.DOR.of: is missing. Name the response endpoint whose responders are followed."),
    ("tables:", "predictive: {endpoints: [OS]}\ntables:", "line 4, predictive.endpoints[1]: OS is not among endpoints (PFS, ORR)."),
    ("tables:", "response: {endpoints: [PFS, CBR]}\ntables:", "line 4, response.endpoints[2]: CBR is not among endpoints (PFS, ORR)."),
    ("tables:", "predictive: {alpha: 0}\ntables:", "line 4, predictive.alpha: 0 is too small. It has to be more than 0."),
    ("tables:", "predictive: {alpha: 5e-2}\ntables:", 'line 4, predictive.alpha: found the text "5e-2", where a number belongs. Write 0.05 without quotes.'),
    ("tables:", "predictive: {randomisations: 99.5}\ntables:", "line 4, predictive.randomisations: found the number 99.5, where a whole number belongs."),
    ("tables:", "predictive: {randomisations: true}\ntables:", "line 4, predictive.randomisations: found true (a truth value), where a whole number belongs."),
    ("tables:", "timepoints: {baseline: {visits: [C1]}}\nresistance: {to: EOT}\ntables:", "line 5, resistance.to: EOT is not among timepoints (baseline)."),
    ("tables:", "timepoints: {baseline: {visits: [C1]}}\nresistance: {early: [C2]}\ntables:", "line 5, resistance.early[1]: C2 is not among timepoints (baseline)."),
    ("tables:", "timepoints: {baseline: {visits: [D1]}, C1: {}}\nresistance: {early: [C1, baseline]}\ntables:", "line 5, resistance.early[2]: baseline is where the change starts from (resistance.from). Name timepoints on treatment only."),
    ("tables:", "resistance: {from: screening, early: [screening]}\ntables:", "line 4, resistance.early[1]: screening is where the change starts from (resistance.from). Name timepoints on treatment only."),
    ("tables:", "timepoints: {baseline: {visits: [C1, C2]}, later: {visits: [C3, C2]}}\ntables:", "line 4, timepoints.later.visits[2]: the visit C2 belongs to baseline already. A visit is of one timepoint."),
    ("tables:", "timepoints: {baseline: {visits: [C1, C2]}, C2: {window_days: [20, 26]}}\ntables:", "line 4, timepoints.baseline.visits[2]: the visit C2 belongs to C2 already. A visit is of one timepoint."),
    ("tables:", "timepoints: {baseline: {window_days: [1, -28]}}\ntables:", "line 4, timepoints.baseline.window_days: starts at 1 and ends at -28. Write the earlier day first."),
    ("tables:", "timepoints: {baseline: {window_days: [1]}}\ntables:", "line 4, timepoints.baseline.window_days: found 1 values. It needs exactly 2."),
    ("tables:", "choose: {replicates: average}\ntables:", 'line 4, choose.replicates: found the text "average". Right would be mean, median, first or refuse.'),
    ("tables:", "nonresults: {QNS: missing}\ntables:", None),
    ("tables:", "nonresults: {999: failed}\ntables:", 'line 4, nonresults.999: YAML reads the key 999 as the number 999, where text belongs. Write "999" in quotes.'),
    ("tables:", "evaluable: {min_tumour_fraction: 3}\ntables:", "line 4, evaluable.min_tumour_fraction: 3 is too large. It may be at most 1."),
    ("tables:", "eligibility: [{criterion: a, require: 'ecog <= 2 and'}]\ntables:", None),
    ("tables:", "eligibility: [{criterion: a, require: 'x == 1'}, {criterion: a, require: 'y == 1'}]\ntables:", 'line 4, eligibility[2].criterion: "a" is there twice, first as item 1. Name each differently.'),
    ("tables:", "eligibility: [{criterion: a}]\ntables:", "line 4, eligibility[1].require: is missing. The expression that has to hold."),
    ("tables:", "population: eligible\ntables:", "line 4, population: eligible needs criteria under eligibility."),
    ("tables:", "accept: [{rule: pfs_after_os}]\ntables:", "line 4, accept[1].reason: is missing. Why it is fine."),
    ("tables:", "accept: [{rule: pfs_after_so, reason: x}]\ntables:", "line 4, accept[1].rule: there is no rule pfs_after_so. Was pfs_after_os meant?"),
    ("tables:", "accept: [{rule: negative_time, reason: x}]\ntables:", "line 4, accept[1].rule: negative_time is an error. Only warnings can be accepted."),
    ("tables:", "score: {cohort: a b, locked: [x.json]}\ntables:", 'line 4, score.cohort: found the text "a b". Letters, digits, _ and - are allowed.'),
    ("tables:", "report: yes\ntables:", "line 4, report: found true (a truth value), where a group of keys belongs."),
    ("  PFS: {type: time_to_event}\n  ORR: {type: response, responders: [CR, PR]}\n", "", "line 9, endpoints: is missing. Every endpoint analysed, by the name used in the tables (letters, digits, _ and -)."),
    ("endpoints:", "endpoint:", "line 9, endpoint: unknown key. Was endpoints meant?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line"), DEFECTS, ids=[new for _, new, _ in DEFECTS])
def test_one_defect_gives_one_line(old, new, line, tmp_path):
    assert STUDY.count(old) == 1
    found = problems(STUDY.replace(old, new), tmp_path)
    assert len(found) == 1, found
    if line:
        assert found == [f"study.yaml {line}"]
    else:
        assert found[0].startswith("study.yaml line ")
    assert "{'" not in found[0]  # no schema, no Python


def test_all_defects_at_once_are_all_told(tmp_path):
    text = """\
study: {id: 0012, design: randomized, arms: {control: [NO], experimental: B}, simulated: "true"}
seeds: 4
tables:
  subjects: {path: s.csv, where: "BEP = 'Y'"}
  responses: {path: r.csv}
  responses: {path: r.csv}
  measurements:
    - {path: m_*.csv, layout: wide, sheet: 12:30}
    - {layout: wide, key: subject_id}
endpoints:
  PFS: {type: time_to_event, responders: [CR]}
  pfs: {type: response}
predictive: {endpoints: [PFS, OO], alpha: 1.5, randomisations: 010}
eligibility:
  - {criterion: a, require: "ecog <="}
"""
    expected = [
        "line 1, study.id",
        "line 1, study.design",
        "line 1, study.arms.control[1]",
        "line 1, study.arms.experimental",
        "line 1, study.simulated",
        "line 2, seeds",
        "line 4, tables.subjects.where",
        "line 6, tables.responses",
        "line 8, tables.measurements[1].sheet",
        "line 8, tables.measurements[1].key",
        "line 9, tables.measurements[2].path",
        "line 9, tables.measurements[2].specimen",
        "line 9, tables.measurements[2].timepoint",
        "line 11, endpoints.PFS.responders",
        "line 12, endpoints.pfs",
        "line 12, endpoints.pfs.responders",
        "line 13, predictive.endpoints[2]",
        "line 13, predictive.alpha",
        "line 13, predictive.randomisations",
        "line 15, eligibility[1].require",
    ]
    places = [re.match(r"study.yaml (.*?): ", line)[1] for line in problems(text, tmp_path)]
    assert sorted(places) == sorted(expected)
    numbers = [int(place.split()[1].rstrip(",")) for place in places]
    assert numbers == sorted(numbers)


# --- files that cannot be read ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "study.yaml: the file is empty. It needs study, tables and endpoints."),
        ("# nothing\n", "study.yaml: the file is empty. It needs study, tables and endpoints."),
        ("- a\n- b\n", "study.yaml: keys are expected (study:, tables:, endpoints:), not a list."),
        (
            "study:\n\tid: X\n",
            "study.yaml line 2: there is a tab. YAML wants spaces for indentation.",
        ),
        (
            "study:\n  id: a: b\n",
            'study.yaml line 2: a ": " stands inside a text. Put the text in quotes.',
        ),
        (
            "study:\n  id: !!python/object:os.system x\n",
            "study.yaml line 2: a tag (!) stands here. Put the text in quotes.",
        ),
        ("study: &a [*a]\n", "study.yaml: an alias (*) refers to itself."),
    ],
)
def test_a_file_that_is_no_configuration(text, line, tmp_path):
    assert problems(text, tmp_path) == [line]


@pytest.mark.parametrize("text", ["study: {id: X\n", 'study: "x\n', "study: [1, 2\nb: 3"])
def test_an_open_bracket_or_quote_has_its_line(text, tmp_path):
    (line,) = problems(text, tmp_path)
    assert line.startswith("study.yaml line ")


def test_a_missing_file():
    with pytest.raises(config.ConfigError) as caught:
        config.load("nowhere.yaml")
    assert caught.value.lines == ["nowhere.yaml: there is no such file."]


def test_a_file_that_is_not_utf8(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_bytes(STUDY.replace("NCT1", "Männer").encode("latin-1"))
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    assert caught.value.lines == [f"{path}: byte 15 is not UTF-8. Save the file as UTF-8 text."]


# --- what Snakemake hands over ---------------------------------------------------------------------------


def test_command_line_values_are_checked_and_named_as_such(tmp_path):
    lines = problems(STUDY, tmp_path, {"report": {"subject_level": "true"}, "seed": -1})
    assert lines == [
        "--config, seed: -1 is too small. It has to be at least 0.",
        '--config, report.subject_level: found the text "true", where true or false belongs. '
        "Write it without quotes. Inside braces of --config everything is text: set it in the "
        "study's file.",
    ]
    (line,) = problems(STUDY, tmp_path, {"seed": "x"})
    assert line.endswith("where a whole number belongs.")
    (line,) = problems(STUDY, tmp_path, {"predictive": {"randomisations": "99"}})
    assert line.endswith(
        "Inside braces of --config everything is text: set it in the study's file."
    )


def test_command_line_values_mend_the_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace("NCT1", "0012"), encoding="utf-8")
    merged = yaml.safe_load(STUDY)
    filled, lines = config.check_files([path], merged)
    assert lines == []
    assert filled["study"]["id"] == "NCT1"
    merged["study"]["id"] = 10
    assert len(config.check_files([path], merged)[1]) == 1


def test_a_configuration_without_a_file():
    filled, lines = config.check_files([], yaml.safe_load(STUDY))
    assert lines == []
    assert filled == config.check(yaml.safe_load(STUDY))[0]
    broken = yaml.safe_load(STUDY)
    broken["study"]["id"] = 5
    assert config.check_files([], broken)[1] == [
        'study.id: found the number 5, where text belongs. Write "5", in quotes.'
    ]
    assert config.check({}, "x.yaml")[1][0].startswith("x.yaml, study: is missing.")


def test_anchors_and_merge_keys_are_followed(tmp_path):
    text = STUDY.replace("{path: subjects.csv}", "&table {path: subjects.csv, na: [x]}")
    text = text.replace("{path: outcomes.csv}", "{<<: *table, path: outcomes.csv}")
    tables = loaded(text, tmp_path)["tables"]
    assert (tables["outcomes"][0]["path"], tables["outcomes"][0]["na"]) == ("outcomes.csv", ["x"])
    lines = problems(text.replace("[x]", "[NO]"), tmp_path)
    assert [line.split(":")[0] for line in lines] == [
        "study.yaml line 5, tables.subjects.na[1]",
        "study.yaml line 5, tables.outcomes.na[1]",
    ]


def test_two_files_of_which_the_last_counts(tmp_path):
    below, above = tmp_path / "below.yaml", tmp_path / "above.yaml"
    below.write_text(STUDY, encoding="utf-8")
    above.write_text("seed: x\n", encoding="utf-8")
    merged = {**yaml.safe_load(STUDY), "seed": "x"}
    assert config.check_files([below, above], merged)[1] == [
        f'{above} line 1, seed: found the text "x", where a whole number belongs.'
    ]
    assert config.check_files([tmp_path / "gone.yaml"], merged)[1] == [
        f"{tmp_path / 'gone.yaml'}: there is no such file."
    ]


def test_the_mapping_handed_over_is_left_alone():
    mapping = yaml.safe_load(STUDY)
    before = copy.deepcopy(mapping)
    config.check(mapping)
    assert mapping == before


BROKEN = [None, True, 3, -1.5, "", "x", [], [None], ["x", 3], {}, {"a": 1}, {"path": 3}]


def paths_of(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths_of(item, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from paths_of(item, (*path, position))


def test_no_value_anywhere_crashes_the_check():
    whole = yaml.safe_load(STUDY)
    whole["timepoints"] = {"baseline": {"visits": ["a"], "window_days": [1, 2]}, "C1": {}}
    whole["resistance"] = {"early": ["C1"], "from": "baseline"}
    whole["eligibility"] = [{"criterion": "a", "require": "x == 1"}]
    whole["accept"] = [{"rule": "pfs_after_os", "reason": "known"}]
    whole["endpoints"]["DOR"] = {"type": "duration_of_response", "of": "ORR"}
    whole["endpoints"]["ORR"]["historical"] = {"value": 0.3, "source": "s"}
    assert config.check(whole)[1] == []
    for path in paths_of(whole):
        for broken in BROKEN:
            changed = copy.deepcopy(whole)
            if not path:
                continue
            target = changed
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = broken
            _, lines = config.check(changed, "study.yaml")
            assert all(isinstance(line, str) and line.endswith((".", "?")) for line in lines), lines


def test_presets_of_the_schema_are_those_that_exist():
    from correlatives.tables.presets import PRESETS

    schema = yaml.safe_load(config.SCHEMA.read_text(encoding="utf-8"))
    tables = schema["x-table"]["preset"]["x-tables"]
    assert tables == {name: list(preset) for name, preset in PRESETS.items()}
    assert list(tables) == schema["x-table"]["preset"]["enum"]


# --- files and folders -----------------------------------------------------------------------------------


def test_data_folder():
    assert config.data_folder({"data_dir": None}, "studies/a/config.yaml") == Path("studies/a")
    assert config.data_folder({"data_dir": "here"}, "studies/a/config.yaml") == Path("here")
    assert config.data_folder({"data_dir": "/there"}, "config.yaml") == Path("/there")
    assert config.data_folder({"data_dir": None}, None) == Path()


def test_raw_files_are_expanded_and_sorted(tmp_path):
    for name in ("blood_b.csv", "blood_a.csv", "odd [1].csv", "x.csv"):
        (tmp_path / name).touch()
    (tmp_path / "blood_folder.csv").mkdir()
    text = STUDY.replace(
        "- {path: blood_*.csv}",
        f"- {{path: blood_*.csv}}\n    - {{path: 'odd [1].csv'}}\n    - {{path: {tmp_path}/x*.csv}}\n"
        "    - {path: none_*.csv}\n    - {path: blood_a.csv}",
    )
    study = loaded(text, tmp_path)
    files = config.raw_files(study, tmp_path)
    assert list(files) == ["subjects", "outcomes", "measurements"]
    assert files["subjects"] == [tmp_path / "subjects.csv"]
    assert [path.name for path in files["measurements"]] == [
        "blood_a.csv",
        "blood_b.csv",
        "odd [1].csv",
        "x.csv",
        "none_*.csv",
    ]


def test_results_of_another_study_are_refused(tmp_path):
    results = tmp_path / "results"
    assert config.refuse_foreign_results(results, "A") is None
    config.claim_results(results, "A")
    assert config.refuse_foreign_results(results, "A") is None
    line = config.refuse_foreign_results(results, "B/1")
    assert line == (
        f"{results} holds the results of study A; this is study B/1. "
        "Set another results_dir, such as results_B_1."
    )
    (results / config.OWNER_FILE).write_text("?")
    assert "cannot be read" in config.refuse_foreign_results(results, "A")


def test_nothing_slow_is_imported():
    """Every start of the workflow passes here: pandas alone would take half a second."""
    code = (
        "import sys; from correlatives.tables import config; config.check({});"
        "sys.exit(bool({'pandas', 'numpy', 'scipy', 'snakemake'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=False)
    assert done.returncode == 0


# --- documentation ---------------------------------------------------------------------------------------


def schema_keys(schema, path=""):
    for key, inner in schema.get("properties", {}).items():
        yield path, key, inner
        yield from schema_keys(inner, f"{path}.{key}".lstrip("."))
        if isinstance(inner.get("items"), dict) and "properties" not in inner:
            yield from schema_keys(inner["items"], f"{path}.{key}".lstrip("."))
        if isinstance(inner.get("additionalProperties"), dict):
            yield from schema_keys(inner["additionalProperties"], f"{path}.{key}".lstrip("."))


def test_every_key_of_the_schema_is_described_and_documented():
    schema = yaml.safe_load(config.SCHEMA.read_text(encoding="utf-8"))
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z_]+)`", readme))
    for path, key, inner in schema_keys(schema):
        assert inner.get("description", "").endswith("."), (path, key)
        assert key in documented, (path, key)


def test_every_optional_key_states_its_default():
    schema = yaml.safe_load(config.SCHEMA.read_text(encoding="utf-8"))

    def look(part, path):
        required = part.get("required", [])
        for key, inner in part.get("properties", {}).items():
            known = "default" in inner or "x-default" in inner or key in required
            assert known or path == "tables" or (path, key) == ("", "tables"), (path, key)
            look(inner, f"{path}.{key}".lstrip("."))
        for below in ("items", "additionalProperties"):
            if isinstance(part.get(below), dict):
                look(part[below], path)

    look(schema, "")


def test_every_rule_of_the_check_is_documented_under_its_severity():
    from correlatives.tables.problems import RULES

    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    errors, warnings = readme.split("## What the check reports")[1].split("| warning |")
    for severity, text in (("error", errors), ("warning", warnings)):
        documented = re.findall(r"^\| `([a-z0-9_]+)` \|", text, flags=re.MULTILINE)
        rules = [rule for rule, (of, _) in RULES.items() if of == severity]
        assert sorted(documented) == sorted(rules)


def test_the_manual_names_the_words_and_dates_of_every_table():
    readme = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    part = readme.split("| table | words | dates |")[1].split("\n\n")[0]
    listed = dict(re.findall(r"^\| (\w+) \| (.*) \|$", part, flags=re.MULTILINE))
    expected = {}
    for name, contract in CONTRACTS.items():
        columns = contract.columns.values()
        said = [f"`{c.name}`: {', '.join(c.words)}" for c in columns if c.words]
        dates = [f"`{c.date_column}` for {c.name}" for c in columns if c.date_column]
        dates += [f"`{c.name}`" for c in columns if c.type == "date"]
        if said or dates:
            expected[name] = f"{'; '.join(said)} | {', '.join(dates)}"
    assert listed == expected
