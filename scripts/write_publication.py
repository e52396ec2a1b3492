"""Write the methods section, the REMARK checklist and the workbook of tables."""

import json
from pathlib import Path

import pandas as pd

from correlatives.cohort import Cohort
from correlatives.predictive.screened import read_screened
from correlatives.publish import workbook
from correlatives.publish.checklists import remark
from correlatives.publish.methods_text import methods
from correlatives.workflow import job

with job(snakemake) as step:  # noqa: F821
    cohort = Cohort.read(step.input.cohort)
    counts = cohort.analysed().subjects["arm"].value_counts()
    screened = ("predictive/", "prognostic/")
    tables = {
        file: (
            title,
            read_screened(path)
            if file.startswith(screened)
            else pd.read_csv(path, sep="\t", low_memory=False),
        )
        for (file, title), path in zip(step.params.titles.items(), step.input.tables, strict=True)
    }
    record = json.loads(Path(step.input.provenance).read_text(encoding="utf-8"))
    arms = {arm: int(counts.get(arm, 0)) for arm in cohort.arms.values()}
    named = {file.removesuffix(".tsv"): table for file, (_, table) in tables.items()}
    Path(step.output.methods).write_text(methods(record, arms, named), encoding="utf-8")
    checklist = remark(record, arms, named, step.params.figures, cohort.samples)
    step.write(checklist, step.output.remark)
    workbook.write(
        step.output.tables,
        {**tables, "publish/remark.tsv": ("REMARK checklist", checklist)},
        title=cohort.study["title"],
        simulated=cohort.study["simulated"],
    )
