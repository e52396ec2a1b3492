"""Known formats: what their columns and words are called in the contract.

A preset fills what a table's entry does not say; whatever the study writes wins, column by column and word by
word. A preset's column that a file does not have is passed over (a required one is then missing as in
any table).

``adam_adsl``
    CDISC subject-level data: TRT01P is the arm, RANDDT the randomisation, TRTSDT the first dose.
``adam_adtte``
    Time to event: PARAMCD is the endpoint, AVAL the time in ``study.time_unit`` (ADTTE's is often days: say
    so there), CNSR 1 is censored.
``adam_adrs``
    Response: the BOR parameter is the best overall response, and CBOR says whether it was confirmed. For the
    confirmed one write ``where: "PARAMCD == 'CBOR'"``. MISSING is NE; NON-CR/NON-PD (no measurable
    disease, neither gone nor progressed) is SD, as RECIST 1.1 ranks it: no response, no progression.
``maf``
    Mutations. What changes no protein is set aside and counted (as cBioPortal does), TERT promoter apart.
``cbioportal_patient, cbioportal_sample, cbioportal_cna, cbioportal_panel_matrix``
    cBioPortal's study files. Samples are tissue at baseline unless the study maps specimen and
    timepoint. Copy numbers of -2 and 2 are deletions and amplifications. The panel of mutations is the run's assay.
``redcap``
    An export of REDCap: record_id, redcap_event_name, redcap_repeat_instance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.cells import as_numbers

#: MAF classes that change no protein (cBioPortal's import filter); TERT's promoter is kept.
SILENT = (
    "Silent",
    "Intron",
    "3'UTR",
    "5'UTR",
    "3'Flank",
    "5'Flank",
    "IGR",
    "RNA",
    "lincRNA",
)

#: Prepared rows, and why the others were set aside: reason -> rows.
Prepared = tuple[pd.DataFrame, dict[str, int]]


@dataclass(frozen=True)
class Preset:
    """What one format fills in.

    Attributes
    ----------
    columns : dict
        Our column -> theirs, or several of theirs of which the first that is there holds.
    values : dict
        Our column -> their word -> ours.
    entry : dict
        Other keys of the table's entry.
    prepare : callable, optional
        Rearranges the file's rows before anything else; given and returning columns by the file's names.
    """

    columns: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    entry: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[pd.DataFrame], Prepared] | None = None


def _confirmation(rows: pd.DataFrame) -> Prepared:
    """Add to each BOR row whether CBOR is a response too."""
    if not {"USUBJID", "PARAMCD", "AVALC"} <= set(rows.columns):
        return rows, {}
    rows = rows.copy()
    confirmed = rows[(rows["PARAMCD"] == "CBOR") & rows["AVALC"].isin(["CR", "PR"])]["USUBJID"]
    known = rows[rows["PARAMCD"] == "CBOR"]["USUBJID"]
    response = rows["AVALC"].isin(["CR", "PR"])
    told = response & rows["USUBJID"].isin(known)
    rows["CONFIRMED"] = pd.Series(
        np.where(told, np.where(rows["USUBJID"].isin(confirmed), "yes", "no"), None),
        index=rows.index,
        dtype=object,
    )
    return rows, {}


def _mutations(rows: pd.DataFrame) -> Prepared:
    """Set silent variants aside; work out kind, fraction and a name for each of the others."""
    rows = rows.copy()

    def text(column: str) -> pd.Series:
        return rows[column] if column in rows else pd.Series(None, index=rows.index, dtype=object)

    variant = text("Variant_Classification")
    promoter = (text("Hugo_Symbol") == "TERT") & (variant == "5'Flank")
    silent = variant.isin(SILENT) & ~promoter
    kinds = {"SNP": "snv", "DNP": "snv", "TNP": "snv", "ONP": "snv", "INS": "indel", "DEL": "indel"}
    rows["KIND"] = text("Variant_Type").map(kinds).astype(object)
    named = text("HGVSp_Short")
    for column in ("HGVSc", "Variant_Classification"):
        named = named.where(named.notna(), text(column))
    rows["ALTERATION"] = named
    if {"t_alt_count", "t_ref_count"} <= set(rows.columns):
        alt = as_numbers(rows["t_alt_count"].to_numpy(dtype=object)).value
        ref = as_numbers(rows["t_ref_count"].to_numpy(dtype=object)).value
        with np.errstate(invalid="ignore", divide="ignore"):
            share = alt / (alt + ref)
        rows["VAF"] = pd.Series(
            [repr(float(x)) if np.isfinite(x) else None for x in share],
            index=rows.index,
            dtype=object,
        )
    count = int(silent.sum())
    return rows[~silent], {"changes no protein": count} if count else {}


def _copy_numbers(rows: pd.DataFrame) -> Prepared:
    """Turn genes × samples into one row an amplification (2) or deletion (-2)."""
    first = next((c for c in ("Hugo_Symbol", "Gene", "gene") if c in rows), "")
    samples = [c for c in rows.columns if c not in (first, "Entrez_Gene_Id", "Cytoband", "_row")]
    if not first:
        return rows, {}
    long = rows.melt(
        id_vars=[first, "_row"], value_vars=samples, var_name="SAMPLE_ID", value_name="COPY_NUMBER"
    )
    level = as_numbers(long["COPY_NUMBER"].to_numpy(dtype=object))
    long["KIND"] = np.where(level.value > 0, "amplification", "deletion")
    long["SCALE"] = "gistic"
    long = long.rename(columns={first: "Hugo_Symbol"})
    wrong = ~np.isin(level.code, (0, 1))  # words stay, to be reported where they stand
    called = (np.abs(level.value) == 2) | wrong
    count = int((~called & (level.code == 0)).sum())
    kept = long[called].sort_values(["_row", "SAMPLE_ID"], kind="stable").reset_index(drop=True)
    return kept, {"neither amplified nor deleted": count} if count else {}


def _with_constants(**constants: str) -> Callable[[pd.DataFrame], Prepared]:
    """Add columns of one value each."""

    def prepare(rows: pd.DataFrame) -> Prepared:
        return rows.assign(
            **{name: value for name, value in constants.items() if name not in rows}
        ), {}

    return prepare


_VITAL = {
    "1:DECEASED": "1",
    "0:LIVING": "0",
    "DECEASED": "1",
    "LIVING": "0",
    "1:Recurred/Progressed": "1",
    "0:DiseaseFree": "0",
    "Recurred/Progressed": "1",
    "DiseaseFree": "0",
    "1:PROGRESSION": "1",
    "0:CENSORED": "0",
    "PROGRESSION": "1",
    "CENSORED": "0",
}

#: Preset name -> table -> what it fills in.
PRESETS: dict[str, dict[str, Preset]] = {
    "adam_adsl": {
        "subjects": Preset(
            columns={
                "subject_id": "USUBJID",
                "arm": ("TRT01P", "ARM"),
                "randomisation_date": "RANDDT",
                "first_dose_date": "TRTSDT",
                "site": "SITEID",
                "age": "AGE",
                "sex": "SEX",
                "race": "RACE",
                "ecog": ("ECOGBL", "BECOG", "ECOG"),
            },
            entry={"na": ["", "NA", "."]},
        )
    },
    "adam_adtte": {
        "outcomes": Preset(
            columns={
                "subject_id": "USUBJID",
                "endpoint": "PARAMCD",
                "time": "AVAL",
                "event": "CNSR",
            },
            entry={"event_coding": "censor", "na": ["", "NA", "."]},
        )
    },
    "adam_adrs": {
        "responses": Preset(
            columns={
                "subject_id": "USUBJID",
                "best_overall_response": "AVALC",
                "confirmed": "CONFIRMED",
            },
            values={"best_overall_response": {"MISSING": "NE", "NON-CR/NON-PD": "SD", "NED": "CR"}},
            entry={"where": "PARAMCD == 'BOR'", "na": ["", "NA", "."]},
            prepare=_confirmation,
        )
    },
    "maf": {
        "alterations": Preset(
            columns={
                "sample_id": "Tumor_Sample_Barcode",
                "gene": "Hugo_Symbol",
                "alteration": "ALTERATION",
                "kind": "KIND",
                "vaf": "VAF",
                "origin": "Mutation_Status",
            },
            values={
                "origin": {
                    "SOMATIC": "tumour",
                    "Somatic": "tumour",
                    "GERMLINE": "germline",
                    "Germline": "germline",
                    "UNKNOWN": "",
                    "Unknown": "",
                    "LOH": "tumour",
                    "None": "",
                }
            },
            entry={"vaf_scale": "fraction", "na": ["", "NA", "."]},
            prepare=_mutations,
        )
    },
    "cbioportal_patient": {
        "subjects": Preset(
            columns={
                "subject_id": "PATIENT_ID",
                "arm": ("ARM", "TREATMENT_ARM"),
                "age": "AGE",
                "sex": "SEX",
            },
            entry={"na": ["", "NA", ".", "[Not Available]"]},
        ),
        "outcomes": Preset(
            columns={"subject_id": "PATIENT_ID"},
            values={"event": _VITAL},
            entry={
                "na": ["", "NA", ".", "[Not Available]"],
                "layout": "wide",
                "endpoints": {
                    name: {"time": f"{name}_MONTHS", "event": f"{name}_STATUS"}
                    for name in ("OS", "PFS", "DFS")
                },
            },
        ),
        "responses": Preset(columns={"subject_id": "PATIENT_ID"}),
    },
    "cbioportal_sample": {
        "samples": Preset(
            columns={
                "sample_id": "SAMPLE_ID",
                "subject_id": "PATIENT_ID",
                "specimen": "SPECIMEN",
                "timepoint": "TIMEPOINT",
                "site_of_tissue": "SAMPLE_TYPE",
                "anatomical_site": ("SAMPLE_SITE", "METASTATIC_SITE"),
            },
            values={
                "site_of_tissue": {
                    "Primary": "primary",
                    "Metastasis": "metastasis",
                    "Metastatic": "metastasis",
                    "Local Recurrence": "primary",
                    "Recurrence": "metastasis",
                    "Unknown": "",
                }
            },
            entry={"na": ["", "NA", ".", "[Not Available]"]},
            prepare=_with_constants(SPECIMEN="archival_tissue", TIMEPOINT="baseline"),
        )
    },
    "cbioportal_cna": {
        "alterations": Preset(
            columns={
                "sample_id": "SAMPLE_ID",
                "gene": "Hugo_Symbol",
                "kind": "KIND",
                "alteration": "KIND",
                "copy_number": "COPY_NUMBER",
                "copy_number_scale": "SCALE",
            },
            entry={"na": ["", "NA", "."]},
            prepare=_copy_numbers,
        )
    },
    "cbioportal_panel_matrix": {
        "runs": Preset(
            columns={"run_id": "SAMPLE_ID", "sample_id": "SAMPLE_ID", "assay": "mutations"},
            entry={"na": ["", "NA", "."]},
        )
    },
    "redcap": {
        table: Preset(
            columns={
                "subject_id": ("record_id", "study_id", "subject_id"),
                "timepoint": "redcap_event_name",
                "replicate": "redcap_repeat_instance",
            }
            if table in ("samples", "measurements")
            else {"subject_id": ("record_id", "study_id", "subject_id")},
        )
        for table in (
            "subjects",
            "outcomes",
            "responses",
            "samples",
            "doses",
            "assessments",
            "measurements",
        )
    },
}


def with_preset(table: str, entry: Mapping[str, Any]) -> tuple[dict[str, Any], Preset | None]:
    """Fill an entry with what its preset says of this table.

    Returns
    -------
    entry : dict
        ``columns`` and ``values`` hold the study's words only where the preset is silent or overruled.
    preset : Preset or None
        None without a preset, or where it says nothing of this table.
    """
    name = entry.get("preset")
    preset = PRESETS.get(str(name), {}).get(table) if name else None
    if preset is None:
        return dict(entry), None
    codings: Mapping[str, Mapping[str, str]] = preset.values  # noqa: PD011 - a field, no array
    values = {column: dict(words) for column, words in codings.items()}
    for column, words in (entry.get("values") or {}).items():
        values[column] = {**values.get(column, {}), **words}
    filled = {**preset.entry, **{k: v for k, v in entry.items() if v not in (None, "", {}, [])}}
    return {**filled, "values": values}, preset
