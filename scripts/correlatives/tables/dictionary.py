"""What a biomarker is: its row of the dictionary, else its table's defaults, else what its values show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from correlatives.markers import INFO, NUMBERS
from correlatives.tables.words import POSITIVE, spelled, words

#: Domain of the markers of each specimen.
DOMAIN_OF = {
    "plasma": "blood",
    "serum": "blood",
    "blood": "blood",
    "pbmc": "blood",
    "archival_tissue": "tissue",
    "biopsy": "tissue",
    "clinical": "clinical",
}

#: What the dictionary may say of a column of the subjects table (specimen ``clinical``).
CLINICAL = (
    "label",
    "positive",
    "transform",
    "unit",
    "cutpoint",
    "cut_rule",
    "hypothesis",
    "family",
    "prespecified",
    "pathway",
    "direction",
)

#: Words of columns' and assays' names that are written otherwise.
_ABBREVIATIONS = dict(
    pair.split("=")
    for pair in [
        "alp=ALP",
        "alt=ALT",
        "anc=ANC",
        "ast=AST",
        "bmi=BMI",
        "ca=CA",
        "cea=CEA",
        "cns=CNS",
        "crp=CRP",
        "ctc=CTC",
        "ctdna=ctDNA",
        "ddpcr=ddPCR",
        "dna=DNA",
        "ecd=ECD",
        "ecog=ECOG",
        "er=ER",
        "fish=FISH",
        "her2=HER2",
        "hr=HR",
        "ihc=IHC",
        "ldh=LDH",
        "lvef=LVEF",
        "ngs=NGS",
        "pcr=PCR",
        "pr=PR",
        "rna=RNA",
        "rnaseq=RNA-seq",
        "til=TIL",
        "tils=TILs",
        "tk1=TK1",
        "who=WHO",
        "pct=(%)",
        "hemoglobin=haemoglobin",
        "ul=µL",
        "dl=dL",
    ]
) | {"xuln": "(× ULN)"}

#: What holds without a dictionary row and without defaults.
UNSAID = {"family": "exploratory", "prespecified": "no", "transform": "none"}


class Dictionary:
    """Finds the row of a biomarker in a specimen by an assay.

    A row that names the specimen and the assay goes before one that leaves the assay empty (any), and
    that before one that leaves the specimen empty.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        if len(rows):
            text = {
                column: words(rows[column])
                for column in rows.columns
                if column not in NUMBERS and not column.startswith("_")
            }
            numbers = {
                column: rows[column].to_numpy(dtype=float) for column in NUMBERS if column in rows
            }
            for index in range(len(rows)):
                row: dict[str, Any] = {name: values[index] for name, values in text.items()}
                row |= {name: float(values[index]) for name, values in numbers.items()}
                key = (row["biomarker"], row.get("specimen", ""), row.get("assay", ""))
                self.rows.setdefault(key, row)
        self.biomarkers = {key[0] for key in self.rows}

    def row(self, biomarker: str, specimen: str, assay: str) -> dict[str, Any] | None:
        """Return the row that holds, None without one."""
        if biomarker not in self.biomarkers:
            return None
        for key in (
            (biomarker, specimen, assay),
            (biomarker, specimen, ""),
            (biomarker, "", assay),
            (biomarker, "", ""),
        ):
            if key in self.rows:
                return self.rows[key]
        return None

    def clinical(self, columns: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what is said of columns of the subjects table, by those of them that have a row."""
        found = {}
        for column in columns:
            row = self.row(column, "clinical", "")
            if row is not None and row.get("specimen") == "clinical":
                said = {name: row[name] for name in CLINICAL if name in row}
                found[column] = {
                    name: value if name in NUMBERS else spelled(value)
                    for name, value in said.items()
                    if (not np.isnan(value) if name in NUMBERS else spelled(value) != "")
                }
        return found

    def entry(
        self,
        biomarker: str,
        specimen: str,
        assay: str = "",
        defaults: Mapping[str, Any] | None = None,
        **said: Any,  # noqa: ANN401 - texts and numbers of an info row
    ) -> dict[str, Any]:
        """Return the columns of ``Markers.info`` but the timepoint.

        Later sources win where they say something: `said`, the table's `defaults`, the dictionary.
        """
        entry: dict[str, Any] = dict.fromkeys(INFO, "") | dict.fromkeys(NUMBERS, np.nan)
        entry |= UNSAID | {"domain": DOMAIN_OF.get(specimen, "")} | said
        for source in (defaults or {}, self.row(biomarker, specimen, assay) or {}):
            for column, value in source.items():
                if column not in INFO:
                    continue
                if column in NUMBERS:
                    if value is not None and value != "" and not np.isnan(float(value)):
                        entry[column] = float(value)
                elif isinstance(value, (list, tuple)):
                    entry[column] = "|".join(map(spelled, value))
                elif spelled(value) != "":
                    entry[column] = spelled(value)
        entry |= {"biomarker": biomarker, "specimen": specimen, "assay": assay}
        entry["label"] = entry["label"] or marker_label(biomarker)
        return entry


def column_label(column: str) -> str:
    """Return a column's name as words: ``hr_status`` is HR status, ``prior_lines`` Prior lines."""
    text = in_words(column)
    first = (column.replace("_", " ").split() or [column])[0]
    return text if first.casefold() in _ABBREVIATIONS else text[:1].upper() + text[1:]


def in_words(name: str) -> str:
    """Return the name of a column or an assay as words: ``ctdna_panel`` is ctDNA panel."""
    parts = name.replace("_", " ").split() or [name]
    return " ".join(_ABBREVIATIONS.get(part.casefold(), part) for part in parts)


#: What markers that the workflow derives are called without a row of the dictionary.
_DERIVED = {
    "tumour_fraction": "Tumour fraction",
    "max_vaf": "Highest VAF",
    "mean_vaf": "Mean VAF",
}


def marker_label(biomarker: str) -> str:
    """Return what a marker without a label is called: ``gene:RB1:deletion`` is RB1 deletion, others by their name."""
    first, *rest = biomarker.split(":")
    if not rest or not all(rest):
        return _DERIVED.get(biomarker, biomarker)
    if first == "gene":
        return " ".join(rest) if len(rest) > 1 else f"{rest[0]} altered"
    if first == "pathway":
        return f"{' '.join(rest)} pathway altered"
    if first in ("ratio", "vaf_ratio") and len(rest) > 1:
        name = " ".join(rest[:-1])
        return f"{name}{' VAF' if first == 'vaf_ratio' else ''}, {rest[-1]} over baseline"
    return biomarker


def levels_of(text: str) -> list[str]:
    """Split the levels of an ordinal biomarker: ``0<1+<2+<3+``."""
    return [level.strip() for level in text.split("<") if level.strip()]


def positives_of(text: str) -> list[str]:
    """Split the values of a binary biomarker that are positive (by ``|``, ``;`` or ``,``)."""
    for separator in ("|", ";", ","):
        text = text.replace(separator, "\n")
    return [word.strip() for word in text.split("\n") if word.strip()]


def positive_of_two(found: Iterable[str]) -> str:
    """Say which of two words is positive: the one that obviously is, else the later in sort order."""
    ordered = sorted(set(found))
    obvious = [word for word in ordered if word.casefold() in POSITIVE]
    return obvious[0] if len(obvious) == 1 else ordered[-1]


def two_levels(found: Iterable[str], positive: str) -> str:
    """Return two words as levels, the positive one last; "" where it obviously is the positive one.

    ``yes`` and ``no`` are positive and negative; ``Male`` and ``Female``, ``4`` and ``3``, or an ECOG of ``1`` and ``0``, are not.
    """
    others = sorted(set(found) - {positive})
    if (
        len(others) != 1
        or positive.casefold() in POSITIVE - {"1"}
        or "<" in f"{others[0]}{positive}"
    ):
        return ""
    return f"{others[0]}<{positive}"


def info_frame(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """Return ``Markers.info`` from its rows."""
    columns = {
        column: np.array([entry[column] for entry in entries], dtype=float)
        if column in NUMBERS
        else np.array([entry[column] for entry in entries], dtype=object)
        for column in INFO
    }
    return pd.DataFrame(columns)
