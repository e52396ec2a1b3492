"""The REMARK checklist, filled as far as configuration and results tell; the rest is named for the authors.

References
----------
McShane LM et al. Journal of Clinical Oncology 2005;23:9067-9072. Altman DG et al. PLoS Medicine 2012;9:e1001216.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from correlatives.markers import KEY
from correlatives.multiplicity import FEW_CARRIERS
from correlatives.publish.methods_text import listed, number_of, specimens
from correlatives.tables.dictionary import in_words

COLUMNS = ["item", "section", "asks", "here", "where", "authors"]

#: What each item asks for, in short.
ASKS = (
    ("Introduction", "Marker examined, objectives, hypotheses stated in advance"),
    ("Patients", "Characteristics, source, and criteria of inclusion and exclusion"),
    ("Patients", "Treatments, and how they were chosen"),
    ("Specimens", "Material, preservation, storage"),
    ("Assays", "Method, protocol, quality control, scoring, blinding to outcome"),
    ("Design", "Selection of cases, stratification, period, median follow-up"),
    ("Design", "Definition of every clinical endpoint"),
    ("Design", "All variables examined or considered"),
    ("Design", "Rationale of the sample size; power and effect it was planned for"),
    ("Statistics", "All methods: selection of variables, assumptions, missing data"),
    ("Statistics", "How marker values were handled, and how cut-points were found"),
    ("Data", "Flow of patients with reasons of dropout; numbers of patients and events"),
    (
        "Data",
        "Distributions of demographic and prognostic variables and of the marker; missing values",
    ),
    ("Results", "Relation of the marker to standard prognostic variables"),
    ("Results", "Univariable effects of the marker on outcome, with curves"),
    ("Results", "Multivariable effects with limits, of the marker and of other variables"),
    ("Results", "Effects with the standard prognostic variables in the model, significant or not"),
    ("Results", "Further investigations: assumptions, sensitivity, validation"),
    (
        "Discussion",
        "Interpretation by the hypotheses stated in advance and other studies; limitations",
    ),
    ("Discussion", "Implications for research and clinical value"),
)

#: Where samples, and what became of them, are counted.
PLACES_OF_SAMPLES = ("check/flow.tsv", "check/inventory.tsv")

#: What only the authors can say, by item.
AUTHORS = {
    1: "objectives in words",
    2: "source of the patients",
    4: "preservation and storage",
    5: "protocols, reagents, scoring; whether assays were blind to outcome",
    6: "calendar period; prospective or retrospective",
    9: "the power that the trial was planned for",
    14: "the relation to standard prognostic variables that are not named here",
    19: "all of it",
    20: "all of it",
}


def remark(
    record: Mapping[str, Any],
    subjects: Mapping[str, int],
    tables: Mapping[str, pd.DataFrame],
    figures: Collection[str],
    runs: pd.DataFrame,
) -> pd.DataFrame:
    """Return the REMARK checklist of a study.

    Parameters
    ----------
    record : mapping
        The provenance.
    subjects : mapping from str to int
        Arm -> subjects analysed.
    tables : mapping from str to pd.DataFrame
        Name (``efficacy/table_one``) -> table, of those that there are.
    figures : collection of str
        Names of figures that there are.
    runs : pd.DataFrame
        The cohort's samples, a row a run of an assay: run_id, sample_id, assay, qc.

    Returns
    -------
    pd.DataFrame
        Columns ``COLUMNS``, a row an item: what it asks for, what holds here, the tables, figures and texts where it stands
        (only those that there are), and what the authors have to add. An item of which nothing is known here has
        an empty `here`.
    """
    answers = _answers(record, subjects, tables, figures) | {5: (_failed(runs), PLACES_OF_SAMPLES)}
    there = {
        *(f"{name}.tsv" for name, table in tables.items() if len(table)),
        *(f"figures/{name}" for name in figures),
        "publish/methods.md",
        "check/flow.tsv",
        "check/eligibility.tsv",
        "check/inventory.tsv",
        "check/problems.tsv",
    }
    rows = []
    for item, (section, asks) in enumerate(ASKS, 1):
        here, places = answers.get(item, ("", ()))
        where = [place for place in places if place in there]
        rows.append((item, section, asks, here, ", ".join(where), AUTHORS.get(item, "")))
    return pd.DataFrame(rows, columns=COLUMNS)


def _answers(
    record: Mapping[str, Any],
    subjects: Mapping[str, int],
    tables: Mapping[str, pd.DataFrame],
    figures: Collection[str],
) -> dict[int, tuple[str, Sequence[str]]]:
    """Return item -> what holds here, and places where it may stand."""
    settings = record["configuration"]["settings"]
    study = settings["study"]
    folder = "predictive" if study["design"] == "randomised" else "prognostic"
    screens = {
        name: tables[f"{folder}/{name}"]
        for name in settings["predictive"]["endpoints"]
        if len(tables.get(f"{folder}/{name}", ()))
    }
    files = [f"{folder}/{name}.tsv" for name in screens]
    arms = listed([f"{n} {arm}" for arm, n in subjects.items()])
    criteria = settings["eligibility"]
    found: dict[int, tuple[str, Sequence[str]]] = {
        2: (
            f"{len(criteria)} criteria of eligibility were checked subject by subject"
            if criteria
            else "",
            ("check/eligibility.tsv", "efficacy/table_one.tsv"),
        ),
        3: (
            f"randomised: {arms}" if study["design"] == "randomised" else f"a single arm: {arms}",
            ("publish/methods.md",),
        ),
        6: (
            f"stratified by {listed(study['strata'])}" if study["strata"] else "not stratified",
            ("efficacy/survival_by_arm.tsv", "publish/methods.md"),
        ),
        7: (
            f"{number_of(len(settings['endpoints']), 'endpoint')}: {listed(list(settings['endpoints']))}",
            ("publish/methods.md",),
        ),
        10: ("the methods section", ("publish/methods.md",)),
        12: (
            _events(tables),
            (
                "figures/flow",
                "check/flow.tsv",
                "efficacy/survival_contrast.tsv",
                "efficacy/survival_by_arm.tsv",
            ),
        ),
        13: ("", ("efficacy/table_one.tsv", "efficacy/evaluable.tsv", *files)),
        18: (
            "",
            (
                "efficacy/survival_contrast.tsv",
                *(f"figures/continuous_{name}" for name in screens),
                "response/performance.tsv",
                "efficacy/subgroups.tsv",
            ),
        ),
    }
    if not screens:
        return found
    first = next(iter(screens.values()))
    markers = first.drop_duplicates(KEY)
    factors = markers["specimen"].eq("clinical")
    markers = markers[~factors]
    confirmatory = list(
        dict.fromkeys(markers.loc[markers["family"] == "confirmatory", "biomarker"])
    )
    also = f" and {number_of(int(factors.sum()), 'clinical factor')}" if factors.any() else ""
    prespecified = int((markers["prespecified"] == "yes").sum())
    places = specimens(markers)
    covariates = settings["predictive"]["covariates"]
    model = (
        f"every model is adjusted for {listed(covariates)}"
        if covariates
        else "no covariates were configured: models have the marker"
        + (", the treatment and their product" if folder == "predictive" else "")
        + (", by stratum" if study["strata"] else "")
    )
    cut = int(first["contrast"].astype(str).str.contains(r"^[<>]").sum())
    logged = int(first["contrast"].isin(["doubling", "tenfold"]).sum())
    effects = "marker effects in each arm" if folder == "predictive" else "marker effects"
    curves = [f"figures/km_marker_{name}" for name in screens]
    found |= {
        1: (
            f"{len(confirmatory)} confirmatory biomarker{'' if len(confirmatory) == 1 else 's'} ({listed(confirmatory[:12])}{' and others' if len(confirmatory) > 12 else ''}); "
            f"{prespecified} of {len(markers):,} were prespecified"
            if confirmatory
            else f"no confirmatory biomarker; {prespecified} of {len(markers):,} were prespecified",
            files,
        ),
        4: (listed(places), ("check/inventory.tsv", "figures/inventory")),
        8: (
            f"{number_of(len(markers), 'biomarker')}{also}, all of them in the tables whatever they showed",
            files,
        ),
        11: (
            f"continuous biomarkers stayed continuous ({logged} on a logarithmic scale) unless most values lay beyond a limit; {cut} prespecified cut-points, none "
            "chosen by the data in a primary analysis",
            [*files, "publish/methods.md"],
        ),
        15: (effects, [*files, *curves]),
        16: (model, files),
        17: (model if covariates else "", files if covariates else ()),
    }
    if "marker_correlation" in figures:
        found[14] = (_related(screens), ("figures/marker_correlation",))
    if detectable := _detectable(screens):
        found[9] = (detectable, files)
    return found


def _related(screens: Mapping[str, pd.DataFrame]) -> str:
    """Say which biomarkers and clinical factors the figure of correlations sets against each other."""
    from correlatives.figures.marker_correlation import choose

    drawn = choose(list(screens.values()))
    clinical = drawn["specimen"].eq("clinical")
    if len(drawn) < 2:
        return ""
    markers = number_of(int((~clinical).sum()), "biomarker")
    factors = [in_words(name) for name in drawn.loc[clinical, "biomarker"]]
    among = f"{markers} and {listed(factors)}" if factors else f"{markers}, no clinical factor"
    return f"Spearman's correlations with each other at baseline, untested: {among}"


def _failed(runs: pd.DataFrame) -> str:
    """Say how many runs of each assay failed quality control, and how many samples that left out as a whole."""
    failed = runs["qc"].eq("fail")
    if not failed.any():
        return ""
    by_assay = runs.loc[failed, "assay"].map(lambda assay: in_words(assay) or "no assay named")
    counts = by_assay.value_counts(sort=False).sort_index(key=lambda names: names.str.lower())
    counts = counts.sort_values(ascending=False, kind="stable")
    wholly = int(failed.groupby(runs["sample_id"]).all().sum())
    named = listed([f"{n} {assay}" for assay, n in counts.items()])
    return (
        f"{number_of(int(failed.sum()), 'run')} of assays ({named}) failed quality control and were left out, in "
        f"{number_of(runs.loc[failed, 'sample_id'].nunique(), 'sample')}; of {wholly} of these every run failed"
    )


def _events(tables: Mapping[str, pd.DataFrame]) -> str:
    table = tables.get("efficacy/survival_by_arm")
    if table is None or not len(table):
        return ""
    totals = table.groupby("endpoint", sort=False)[["n", "events"]].sum()
    return "; ".join(
        f"{name}: {row.events:.0f} events in {row.n:.0f} subjects"
        for name, row in totals.iterrows()
    )


def _detectable(screens: Mapping[str, pd.DataFrame]) -> str:
    """Say what interaction the study would have found in its confirmatory family, by endpoint."""
    said = []
    for name, table in screens.items():
        if "minimum_detectable_ratio" not in table:
            return ""
        inside = (table["family"] == "confirmatory") & ~table["note"].fillna("").str.contains(
            FEW_CARRIERS, regex=False
        )
        ratio = table.loc[inside, "minimum_detectable_ratio"].dropna()
        if len(ratio):
            said.append(f"{name} {ratio.min():.1f} to {ratio.max():.1f}")
    if not said:
        return ""
    return (
        f"smallest ratio of effects found with 80 % power, confirmatory biomarkers: {listed(said)}"
    )
