"""Names of the files of a simulated trial, for who has to name them before they are there."""

#: The dictionaries that come with the workflow, in ``config/``: they describe the simulated assays.
DICTIONARIES = ("biomarkers", "coverage", "pathways", "signatures")
TABLES = (
    "subjects",
    "outcomes",
    "responses",
    "samples",
    "runs",
    "blood_markers",
    "blood_cytokines",
    "baseline_labs",
    "tissue_scores",
    "tissue_signatures",
    "tissue_expression",
    "plasma_alterations",
    "tissue_alterations",
    "doses",
    "assessments",
    *DICTIONARIES,
)
#: Tables that are not CSV.
FORMATS = {
    "tissue_expression": "parquet",
    "baseline_labs": "xlsx",
    **dict.fromkeys(DICTIONARIES, "tsv"),
}
FILES = tuple(sorted([*(f"{name}.{FORMATS.get(name, 'csv')}" for name in TABLES), "truth.yaml"]))
