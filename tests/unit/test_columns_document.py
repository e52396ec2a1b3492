"""docs/columns.md explains every column of the tables that the library makes, and none besides."""

import pytest
from documented_columns import disagreements, documented

from correlatives import efficacy
from correlatives.predictive import continuous, model
from correlatives.resistance import (
    acquired,
    alterations,
    change,
    concordance,
    concordance_by_class,
    dynamics,
    evidence,
    intrinsic,
    lead_time,
    longitudinal,
    pair_flow,
    time_dependent,
)
from correlatives.tables.problems import Problem

HEADERS = {
    "check/problems.tsv": Problem._fields,
    "efficacy/survival_by_arm.tsv": efficacy.SURVIVAL_BY_ARM,
    "efficacy/survival_contrast.tsv": efficacy.SURVIVAL_CONTRAST,
    "efficacy/milestones.tsv": efficacy.MILESTONES,
    "efficacy/response_by_arm.tsv": efficacy.RESPONSE_BY_ARM,
    "efficacy/response_contrast.tsv": efficacy.RESPONSE_CONTRAST,
    "efficacy/evaluable.tsv": efficacy.EVALUABLE,
    "efficacy/historical.tsv": efficacy.HISTORICAL,
    "efficacy/table_one.tsv": efficacy.TABLE_ONE,
    "predictive/ENDPOINT.tsv": model.COLUMNS,
    "predictive/continuous_ENDPOINT.tsv": continuous.COLUMNS,
    "prognostic/ENDPOINT.tsv": model.PROGNOSTIC_COLUMNS,
    "resistance/acquired.tsv": acquired.ACQUIRED_COLUMNS,
    "resistance/acquired_by_arm.tsv": acquired.BY_ARM_COLUMNS,
    "resistance/acquired_by_timing.tsv": acquired.BY_TIMING_COLUMNS,
    "resistance/alterations.tsv": alterations.COLUMNS,
    "resistance/calls_set_aside.tsv": pair_flow.CALL_COLUMNS,
    "resistance/concordance.tsv": concordance.COLUMNS,
    "resistance/concordance_by_class.tsv": concordance_by_class.COLUMNS,
    "resistance/concordance_continuous.tsv": concordance_by_class.CONTINUOUS_COLUMNS,
    "resistance/evidence.tsv": evidence.COLUMNS,
    "resistance/intrinsic.tsv": intrinsic.COLUMNS,
    "resistance/lead_time.tsv": lead_time.COLUMNS,
    "resistance/longitudinal.tsv": longitudinal.COLUMNS,
    "resistance/pairs.tsv": pair_flow.COLUMNS,
    "resistance/time_dependent.tsv": time_dependent.COLUMNS,
    "resistance/paired_change.tsv": change.COLUMNS,
    "resistance/dynamics.tsv": dynamics.COLUMNS,
}


@pytest.mark.parametrize("table", HEADERS)
def test_every_column_is_explained_once_and_exists(table):
    assert disagreements(table, HEADERS[table]) == []


def test_no_column_is_explained_twice_in_a_section():
    for heading, names in documented().items():
        assert len(names) == len(set(names)), heading


def test_a_column_that_drifts_is_found():
    drifted = [name for name in efficacy.MILESTONES if name != "at_risk"] + ["hazard"]
    assert disagreements("efficacy/milestones.tsv", drifted) == [
        "efficacy/milestones.tsv: hazard is not explained",
        "efficacy/milestones.tsv: at_risk is no column",
    ]
