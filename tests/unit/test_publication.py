"""The methods section says what was done and no more; the workbook has the tables' own numbers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from correlatives.multiplicity import FEW_CARRIERS
from correlatives.predictive.rows import FACTOR
from correlatives.publish import workbook
from correlatives.publish.checklists import remark
from correlatives.publish.methods_text import listed, methods

SETTINGS = {
    "study": {
        "id": "x",
        "title": "A trial",
        "design": "randomised",
        "strata": ["hr_status"],
        "simulated": False,
    },
    "population": "randomised",
    "endpoints": {
        "PFS": {"type": "time_to_event", "label": "Progression-free survival"},
        "ORR": {"type": "response", "responders": ["CR", "PR"]},
    },
    "tables": {"alterations": [{}], "biomarkers": [{}], "coverage": []},
    "alterations_count": ["pathogenic"],
    "evaluable": {"min_tumour_fraction": 0.01},
    "predictive": {
        "endpoints": ["PFS", "ORR"],
        "covariates": [],
        "randomisations": 9999,
        "alpha": 0.05,
    },
    "response": {"clinical": ["age"]},
    "resistance": {
        "from": "baseline",
        "to": "progression",
        "early": ["C1D15"],
        "early_progression_months": 3.0,
    },
}
RECORD = {
    "configuration": {"settings": SETTINGS},
    "software": {"workflow": "0.1.0", "libraries": {"numpy": "2.4.6", "python": "3.11.7"}},
    "code": {"sha256": "ab" * 32},
    "seeds": {"study": 7},
    "decisions": {"corrections": []},
}
SUBJECTS = {"T-DM1": 20, "T-DM1 + palbociclib": 21}


def screened(endpoint_method: str = "Cox", family: str = "confirmatory") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "biomarker": ["TK1", "ESR1"],
            "specimen": ["serum", "archival_tissue"],
            "timepoint": "baseline",
            "family": [family, "exploratory"],
            "interaction_ratio": [0.5, 0.9],
            "p_randomisation": [0.01, 0.2],
            "q_value": [0.01, 0.2],
            "note": ["", ""],
            "method": [endpoint_method, "logistic, Firth"],
        }
    )


TABLES = {"predictive/PFS": screened()}


def record(**changed: object) -> dict:
    """Return the record with settings of the study or of a section changed (section__key=value)."""
    new = copy.deepcopy(RECORD)
    for path, value in changed.items():
        section, _, key = path.partition("__")
        if key:
            new["configuration"]["settings"][section][key] = value
        else:
            new["configuration"]["settings"][section] = value
    return new


def test_the_subjects_arms_and_strata_are_those_analysed():
    text = methods(RECORD, SUBJECTS, TABLES)
    assert (
        "41 randomised subjects were analysed in the arms to which they had been randomised "
        "(20 T-DM1 and 21 T-DM1 + palbociclib)" in text
    )
    assert "stratified by hr_status" in text
    unstratified = methods(record(study__strata=[]), SUBJECTS, TABLES)
    assert "strat" not in unstratified
    assert "41 randomised eligible subjects" in methods(
        record(population="eligible"), SUBJECTS, TABLES
    )


def test_the_screen_is_described_with_its_draws_level_and_counts():
    text = methods(RECORD, SUBJECTS, TABLES)
    assert "1 confirmatory biomarker and 1 exploratory biomarker" in text
    assert "9,999 draws" in text
    assert "family-wise error was controlled at 0.05" in text
    assert (
        "Cox models where events were few or the likelihood had no finite maximum (1 model of 2)"
        in text
    )
    exploratory = methods(RECORD, SUBJECTS, {"predictive/PFS": screened(family="exploratory")})
    assert "family-wise" not in exploratory


def test_values_beyond_limits_are_described_as_they_were_handled():
    table = pd.concat([screened(), screened()], ignore_index=True)
    table["biomarker"] = ["A", "B", "C", "D"]
    table["fraction_censored"] = [0.0, 0.1, 0.3, 0.7]
    table.loc[2, "method"] = "Cox; 20 imputations beyond limits, Rubin's rules, Wald limits"
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert (
        "less than 15 % of a marker's results, they stood at the limit over √2 if below it (1 marker)"
        in text
    )
    assert "imputed 30 times and pooled by Rubin's rules (1 marker)" in text
    assert "expected value" not in text
    assert "profile likelihood" in text
    assert "; of markers pooled by Rubin's rules they are Wald's." in text
    assert "more than 50 %, the marker was analysed as detected or not (1 marker)" in text
    # the response's models of one more such marker had no finite maximum
    other = table.assign(method="Firth logistic, profile penalised limits")
    other.loc[2, "note"] = (
        "30 % of values beyond a limit: at their expected value by a censored normal fit, not imputed: no finite maximum"
    )
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table, "predictive/ORR": other})
    assert "pooled by Rubin's rules (1 marker for PFS)" in text
    assert "expected value by a censored normal fit (1 marker for ORR)" in text
    assert "as detected or not (1 marker)" in text
    table["fraction_censored"], table["method"] = 0.0, "Cox"
    assert "Wald" not in methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert "limit of quantification" not in methods(RECORD, SUBJECTS, {"predictive/PFS": table})


def test_clinical_factors_are_no_specimen_and_no_biomarkers():
    table = screened().assign(specimen=["serum", "clinical"])
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert (
        "1 confirmatory biomarker at baseline (serum) were analysed, and with them the clinical factor ESR1."
        in text
    )


def test_families_are_counted_as_tests():
    table = pd.concat([screened(), screened(family="confirmatory")], ignore_index=True)
    table["family"] = ["confirmatory", "confirmatory", "exploratory", "exploratory"]
    table["biomarker"] = ["TK1", "TK1", "RB1", "MYC"]  # TK1 and its cut-point
    table.loc[3, ["q_value", "interaction_ratio"]] = np.nan
    table.loc[3, "note"] = FEW_CARRIERS
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert (
        "For an endpoint there are 4 tests (a marker and its cut-point are two); p-values were adjusted in families of "
        "2 confirmatory tests and 1 exploratory test; 1 test of markers in which fewer than 5 subjects differ from the most "
        "common value belong to none; 1 test could not be estimated." in text
    )
    # what could not be estimated is no model
    assert "(1 model of 3)" in text
    other = table.assign(q_value=[0.1, np.nan, 0.1, np.nan])
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table, "predictive/ORR": other})
    assert "2 confirmatory tests for PFS and 1 for ORR" in text


def test_draws_beyond_those_of_all_markers_are_told_only_if_there_were_some():
    assert "Monte Carlo" not in methods(RECORD, SUBJECTS, TABLES)
    method = "Cox; p_randomisation by sequential Monte Carlo, {} draws; Benjamini–Hochberg"
    table = screened()
    table["method"] = [method.format(150547), method.format(11152)]
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert (
        "2 exploratory tests whose statistic fewer than 20 of these reached went on by sequential Monte Carlo, to "
        "11,152–150,547 draws (Besag and Clifford 1991)" in text
    )


def test_the_model_of_a_stratification_factor_is_described():
    assert "has no strata" not in methods(RECORD, SUBJECTS, TABLES)
    table = screened()
    table.loc[1, "note"] = f"something; {FACTOR}"
    text = methods(RECORD, SUBJECTS, {"predictive/PFS": table})
    assert (
        "The null model of a factor by which the randomisation was stratified has no strata."
        in text
    )


#: Table -> its content, and what the text then says with which reference.
ALSO = {
    "predictive/continuous_PFS": (
        pd.concat([screened(), screened()])[["biomarker", "specimen", "timepoint"]],
        "explored in 2 continuous markers",
        "Bonetti and Gelber 2000",
    ),
    "predictive/sensitivity_PFS": (
        pd.DataFrame({"analysis": ["complete_cases", "multiple_imputation"] * 3}),
        "such values of 3 markers an endpoint",
        "White and Royston 2009",
    ),
    "resistance/longitudinal": (
        pd.DataFrame({"biomarker": ["TK1"]}),
        "mixed model",
        "Liang and Zeger 2000",
    ),
    "resistance/time_dependent": (
        pd.DataFrame({"biomarker": ["TK1"]}),
        "time-dependent covariate",
        "Andersen and Gill 1982",
    ),
    "resistance/intrinsic": (
        pd.DataFrame(
            {
                "biomarker": ["CCNE1", "RB1"] * 2,
                "specimen": "archival_tissue",
                "endpoint": ["PFS", "PFS", "early_progression", "early_progression"],
            }
        ),
        "2 baseline markers of the pathways were related to",
        "and progression within 3 months by the models and tests above; the false discovery rate of their interaction",
    ),
    "resistance/acquired_by_timing": (
        pd.DataFrame({"name": ["RB1"]}),
        "Within arm those who progressed within 3 months were compared with those who progressed later",
    ),
    "resistance/concordance_continuous": (
        pd.DataFrame({"tissue_marker": ["HER2"]}),
        "Bonett and Wright 2000",
        "Bland and Altman (1986)",
    ),
    "resistance/lead_time": (
        pd.DataFrame({"marker": ["new alteration"]}),
        "Lead time",
        "Hollander et al. 2014",
    ),
    "response/permutation": (
        pd.DataFrame({"model": ["clinical"], "permutations": [50]}),
        "repeated 50 times with outcomes permuted within arm, for all models but forest,",
        "Phipson and Smyth 2010",
    ),
    "response/benefit": (
        pd.DataFrame({"metric": ["c_for_benefit", "score_z"], "randomisations": [0, 60]}),
        "one-sided p-value of 60 draws of the arms within strata",
        "van Klaveren et al. 2018",
    ),
}


@pytest.mark.parametrize("name", ALSO)
def test_what_was_also_done_is_described_with_its_reference(name: str):
    table, *words = ALSO[name]
    models = pd.DataFrame({"endpoint": "PFS", "model": ["clinical", "forest"]})
    others = TABLES | {"response/performance": models}
    without, told = (methods(RECORD, SUBJECTS, others | more) for more in ({}, {name: table}))
    for word in words:
        assert word in told
        assert word not in without


def test_models_that_were_not_permuted_nor_re_randomised_have_no_p():
    models = pd.DataFrame({"endpoint": ["PFS"], "model": ["clinical"]})
    tables = {
        "response/performance": models,
        "response/permutation": pd.DataFrame({"model": ["clinical"], "permutations": [0]}),
        "response/benefit": pd.DataFrame({"metric": ["score_z"], "randomisations": [0]}),
    }
    text = methods(RECORD, SUBJECTS, tables)
    assert "permuted" not in text
    assert "c-for-benefit" in text
    assert "one-sided" not in text


def test_what_has_no_table_is_not_claimed():
    text = methods(RECORD, SUBJECTS, {})
    for word in ("Kaplan", "Predictive", "McNemar", "cross-validation", "Biomarkers"):
        assert word not in text
    filled = methods(
        RECORD,
        SUBJECTS,
        {
            "resistance/acquired": pd.DataFrame({"gained": [1]}),
            "resistance/concordance": pd.DataFrame({"name": []}),
            "response/performance": pd.DataFrame({"endpoint": ["ORR"], "model": ["clinical"]}),
        },
    )
    assert "McNemar" in filled
    assert "taken more than 28 days before it, made no pair." in filled
    later = record(resistance=SETTINGS["resistance"] | {"to": "C2D1", "early": []})
    at_visit = methods(later, SUBJECTS, {"resistance/acquired": pd.DataFrame({"gained": [1]})})
    assert "McNemar" in at_visit and "28 days" not in at_visit
    assert "kappa" not in filled
    agreed = {"resistance/concordance": pd.DataFrame({"name": ["RB1"]})}
    assert "Cohen's kappa." in methods(RECORD, SUBJECTS, agreed)
    agreed["resistance/concordance_by_class"] = agreed["resistance/concordance"]
    assert "Cohen's kappa, also by tumour fraction and by" in methods(RECORD, SUBJECTS, agreed)
    assert (
        "ORR was predicted from baseline by these models: clinical. The clinical factors were age"
        in filled
    )


def test_a_single_arm_study_is_not_said_to_predict_benefit():
    single = record(study__design="single_arm", study__strata=[])
    text = methods(single, {"all": 30}, {"prognostic/PFS": screened()})
    assert "30 subjects of this single-arm study" in text
    assert "Prognostic biomarkers" in text
    assert "redictive" not in text
    assert "randomis" not in text
    assert "interaction" not in text
    assert "in a Cox model (Efron's method for ties), one marker a model." in text
    assert "Limits are of the profile likelihood: in Cox models by Student's t" in text


def test_a_published_value_is_named_with_its_test():
    single = record(study__design="single_arm", study__strata=[])
    published = pd.DataFrame(
        {
            "endpoint": ["ORR", "PFS"],
            "measure": ["rate", "median_months"],
            "historical": [0.1, 5.5],
            "source": ["Doe 2019", "Roe 2020"],
        }
    )
    text = methods(single, {"all": 30}, {"efficacy/historical": published})
    assert (
        "The rate of ORR was compared with the published 10 % (Doe 2019) by an exact binomial test. "
        "The median of PFS was compared with the published 5.5 months (Roe 2020) by a one-sample log-rank test."
    ) in text
    assert "published" not in methods(single, {"all": 30}, {"efficacy/historical": published[:0]})


def test_simulated_data_are_called_so():
    assert "Simulated data" in methods(record(study__simulated=True), SUBJECTS, TABLES)
    assert "Simulated data" not in methods(RECORD, SUBJECTS, TABLES)


def test_the_follow_up_printed_is_the_tables():
    survival = pd.DataFrame(
        {
            "endpoint": ["PFS", "PFS", "OS"],
            "arm": [*SUBJECTS, "T-DM1"],
            "followup_median": [17.26, np.nan, 30.0],
        }
    )
    text = methods(RECORD, SUBJECTS, {"efficacy/survival_by_arm": survival})
    assert "on PFS: 17.3 months (T-DM1)." in text
    assert "nan" not in text


def test_versions_seed_and_corrections_are_named():
    new = copy.deepcopy(RECORD)
    new["decisions"]["corrections"] = [{}, {}]
    text = methods(new, SUBJECTS, TABLES)
    assert "Python 3.11.7 with NumPy 2.4.6 by version 0.1.0" in text
    assert "abababababab…" in text
    assert "seed 7" in text
    assert "2 documented corrections of the locked files were applied" in text
    assert "correction" not in methods(RECORD, SUBJECTS, TABLES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")],
)
def test_lists_read_as_prose(words: list[str], expected: str):
    assert listed(words) == expected


#: Of S1 one run failed, of S2 and S3 every run; S4 was not judged.
RUNS = pd.DataFrame(
    [
        ("a", "S1", "ctdna_panel", "fail"),
        ("b", "S1", "rnaseq", "pass"),
        ("c", "S2", "ctdna_panel", "fail"),
        ("d", "S2", "rnaseq", "fail"),
        ("e", "S3", "ctdna_panel", "fail"),
        ("f", "S4", "", ""),
    ],
    columns=["run_id", "sample_id", "assay", "qc"],
)


def checklist(
    runs: pd.DataFrame = RUNS,
    figures: Sequence[str] = ("flow", "km_marker_PFS", "inventory"),
    endpoints: dict | None = None,
    **changed: object,
) -> pd.DataFrame:
    new = record(**changed)
    new["configuration"]["settings"].setdefault("eligibility", [{}, {}])
    if endpoints:
        new["configuration"]["settings"]["endpoints"] = endpoints
    table = screened().assign(
        prespecified=["yes", "no"],
        specimen=["serum", "clinical"],
        contrast=["doubling", "1 SD"],
        minimum_detectable_ratio=[2.34, 9.0],
    )
    survival = pd.DataFrame({"endpoint": ["PFS", "PFS"], "n": [20, 21], "events": [15, 12]})
    tables = {"predictive/PFS": table, "efficacy/survival_by_arm": survival}
    return remark(new, SUBJECTS, tables, figures, runs).set_index("item")


def test_the_checklist_has_all_twenty_items_and_says_what_is_known():
    items = checklist()
    assert list(items.index) == list(range(1, 21))
    assert items.loc[1, "here"] == "1 confirmatory biomarker (TK1); 1 of 1 were prespecified"
    assert items.loc[2, "here"].startswith("2 criteria")
    assert items.loc[5, "here"] == (
        "4 runs of assays (3 ctDNA panel and 1 RNA-seq) failed quality control and were left out, in 3 samples; "
        "of 2 of these every run failed"
    )
    assert checklist(runs=RUNS.assign(qc="pass")).loc[5, "here"] == ""
    assert items.loc[8, "here"].startswith("1 biomarker and 1 clinical factor, all of them")
    assert items.loc[9, "here"].endswith("PFS 2.3 to 2.3")
    assert items.loc[12, "here"] == "PFS: 27 events in 41 subjects"
    assert "1 on a logarithmic scale" in items.loc[11, "here"]


def test_the_checklist_points_only_at_what_there_is():
    items = checklist()
    assert items.loc[12, "where"] == "figures/flow, check/flow.tsv, efficacy/survival_by_arm.tsv"
    assert items.loc[15, "where"] == "predictive/PFS.tsv, figures/km_marker_PFS"
    # where values are missing: the inventory counts samples
    assert items.loc[13, "where"] == "predictive/PFS.tsv"


def test_the_checklist_leaves_to_the_authors_what_is_theirs_and_claims_no_adjustment():
    items = checklist()
    assert items.loc[19, "authors"] == items.loc[20, "authors"] == "all of it"
    assert items.loc[14, "here"] == ""
    assert items.loc[14, "where"] == ""
    assert items.loc[17, "here"] == ""
    adjusted = checklist(predictive__covariates=["age"])
    assert adjusted.loc[17, "here"] == "every model is adjusted for age"


def test_the_checklist_tells_of_correlations_and_counts_one_endpoint_as_one():
    items = checklist(figures=["marker_correlation"], endpoints={"OS": {"type": "time_to_event"}})
    assert items.loc[7, "here"] == "1 endpoint: OS"
    assert items.loc[14, "where"] == "figures/marker_correlation"
    assert items.loc[14, "here"] == (
        "Spearman's correlations with each other at baseline, untested: 1 biomarker and ESR1"
    )
    assert "outcome only" not in items.loc[14, "authors"]


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "name": ["=1+1", "https://example.org", "RB1", None],
            "n": [12, 3, 4, 5],
            "hr": [0.123456789, np.nan, np.inf, -2.5],
            "p_fisher": [0.00012, 0.5, np.nan, 1.0],
        }
    )


def test_the_workbook_has_the_numbers_unrounded_and_no_formula(table: pd.DataFrame, tmp_path: Path):
    path = tmp_path / "tables.xlsx"
    workbook.write(
        path,
        {"efficacy/a.tsv": ("Between arms: all/some", table), "b.tsv": ("Empty", table.head(0))},
        title="A trial",
        simulated=True,
    )
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["Contents", "1 Between arms all some"]
    sheet = book.worksheets[1]
    rows = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=4)]
    assert rows == [
        ["name", "n", "hr", "p_fisher"],
        ["=1+1", 12, 0.123456789, 0.00012],
        ["https://example.org", 3, None, 0.5],
        ["RB1", 4, "inf", None],
        [None, 5, -2.5, 1],
    ]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s", "n"}
    assert sheet["D5"].number_format == '[<0.001]"<0.001";0.000'
    assert all("Simulated data" in one["A2"].value for one in book.worksheets)


def test_a_sheet_of_a_very_long_table_says_that_it_is_not_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame
):
    monkeypatch.setattr(workbook, "MOST_ROWS", 2)
    workbook.write(tmp_path / "t.xlsx", {"a.tsv": ("A", table)}, title="x", simulated=False)
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").worksheets[1]
    assert sheet["A2"].value == "the first 2 of 4 rows; all, unrounded, in a.tsv"
    assert sheet.max_row == 6


def test_the_same_tables_give_the_same_workbook(table: pd.DataFrame, tmp_path: Path):
    for name in ("one.xlsx", "other.xlsx"):
        workbook.write(tmp_path / name, {"a.tsv": ("A", table)}, title="x", simulated=False)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "other.xlsx").read_bytes()


def looks_like(value: float, form: str) -> str:
    """Return a number as a spreadsheet shows it under the formats used."""
    if form.startswith("[<0.001]"):
        return "<0.001" if value < 0.001 else f"{value:.3f}"
    if form.endswith("E+00"):
        return f"{value:.2e}"
    return f"{value:,.{len(form.partition('.')[2])}f}"


def test_the_look_of_a_number_is_its_own(tmp_path: Path):
    mixed = [502.0, 1.0, 0.004, -0.0022, 0.0023, 7.1e-06, 0.0014, 0.0138, 0.63, 12.346, 0.0, 3.2e8]
    frame = pd.DataFrame(
        {"value": [*mixed, np.nan, np.inf], "n": 1200, "p_value": 0.0, "q_value": 0.0138}
    )
    workbook.write(tmp_path / "t.xlsx", {"a.tsv": ("A", frame)}, title="x", simulated=False)
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").worksheets[1]
    cells = [row[0] for row in sheet.iter_rows(min_row=5)]
    assert [cell.value for cell in cells] == [*mixed, None, "inf"]
    assert [looks_like(cell.value, cell.number_format) for cell in cells[: len(mixed)]] == [
        "502",
        "1",
        "0.00400",
        "-0.00220",
        "0.00230",
        "7.10e-06",
        "0.00140",
        "0.014",
        "0.63",
        "12.35",
        "0",
        "3.20e+08",
    ]
    others = [looks_like(cell.value, cell.number_format) for cell in sheet[5][1:]]
    assert others == ["1,200", "<0.001", "0.014"]


@pytest.mark.parametrize(
    "value", [10.0**k * m for k in range(-12, 12) for m in (1.003, 4.5, 9.949)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_no_number_looks_like_zero_or_like_another_by_more_than_a_tenth(value: float, sign: int):
    forms = workbook.number_formats("lower", pd.Series([sign * value, 0.5]))
    seen = float(looks_like(sign * value, forms[0]).replace(",", ""))
    assert seen == pytest.approx(sign * value, rel=0.1)


def test_tables_without_rows_have_no_sheet_and_are_named_in_the_contents(
    table: pd.DataFrame, tmp_path: Path
):
    given = {
        "a.tsv": ("First", table),
        "b.tsv": ("Second", table.head(0)),
        "c.tsv": ("Third", table.head(1)),
    }
    workbook.write(tmp_path / "t.xlsx", given, title="x", simulated=False)
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["Contents", "1 First", "2 Third"]
    rows = [[cell.value for cell in row] for row in book["Contents"].iter_rows(min_row=2)]
    assert rows[0][0] == "2 tables; 1 more without rows"
    assert rows[3:] == [
        ["1", "First", "a.tsv", "4 rows"],
        [None, "Second", "b.tsv", "no rows in this study"],
        ["2", "Third", "c.tsv", "1 row"],
    ]
    assert book["2 Third"]["A2"].value == "1 row; all, unrounded, in c.tsv"
    links = [cell.hyperlink.location for cell in book["Contents"]["B"] if cell.hyperlink]
    assert links == ["'1 First'!A1", "'2 Third'!A1"]


@pytest.mark.parametrize(
    "words, name",
    [
        ("13 Acquired and lost, within arms", "13 Acquired and lost, within…"),
        ("18 Course over all visits, by arm", "18 Course over all visits, by…"),
        ("5 Survival: all/some", "5 Survival all some"),
        ("7 The subjects' own words, as told", "7 The subjects' own words, as…"),
        ("1 " + "x" * 40, "1 " + "x" * 28 + "…"),
    ],
)
def test_names_of_sheets_are_whole_words(words: str, name: str):
    assert workbook.sheet_name(words) == name
    assert len(name) <= 31
