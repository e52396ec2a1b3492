"""What figures of marker tables share: order, families, names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from correlatives.multiplicity import FEW_CARRIERS, LEAST_CARRIERS

#: Effect measure -> its name, its abbreviation, and the model that gives it.
MEASURES = {
    "hazard_ratio": ("hazard ratio", "HR", "Cox model, Efron's ties"),
    "odds_ratio": ("odds ratio", "OR", "logistic model"),
}

#: Adjusted p at or below which a marker is drawn as a finding.
THRESHOLD = 0.05

#: Points above which those without a finding are a picture inside the PDF and SVG, which would take minutes to open.
MANY = 2000


def interaction_test(table: pd.DataFrame) -> str:
    """Return the column whose p the interaction goes by: of the randomisation test, where there were no draws of the likelihood ratio."""
    drawn = len(table) and table["p_randomisation"].notna().any()
    return "p_randomisation" if drawn else "p_interaction_lrt"


def adjusted_interaction(table: pd.DataFrame) -> pd.Series:
    """Return the interaction's p adjusted within its family: family-wise if confirmatory, else false discovery rate."""
    return table["p_fwer"].where(is_confirmatory(table), table["q_value"]).astype(float)


def rank(table: pd.DataFrame, by: tuple[str, ...]) -> tuple[pd.DataFrame, str]:
    """Return the rows, confirmatory first, each family by the first p that it has; and this rule in words."""
    column = next((name for name in by if name in table and table[name].notna().any()), by[-1])
    keys = pd.DataFrame(
        {
            "family": ~is_confirmatory(table),
            "p": table[column].to_numpy(dtype=float),
            "biomarker": table["biomarker"].astype(str),
            "specimen": table["specimen"].astype(str),
            "kind": table["kind"].astype(str),
        },
        index=table.index,
    ).reset_index(drop=True)
    order = keys.sort_values(["family", "p", "biomarker", "specimen", "kind"], kind="stable").index
    names = {
        "p_randomisation": "randomisation p",
        "p_interaction_lrt": "likelihood-ratio p of the interaction",
        "p_prognostic": "p of the marker",
    }
    return (
        table.iloc[order.to_numpy()],
        f"Confirmatory markers come first, then by {names.get(column, column)}.",
    )


def is_confirmatory(table: pd.DataFrame) -> pd.Series:
    """Which rows are in a confirmatory family."""
    return table["family"].astype(str).eq("confirmatory")


def too_few(table: pd.DataFrame) -> pd.Series:
    """Which rows are in no family because too few subjects differ: their estimates are not drawn."""
    return table["note"].astype("str").fillna("").str.contains(FEW_CARRIERS, regex=False)


def fitted(shown: pd.DataFrame, model: str) -> str:
    """Return the model with what the rows' `method` says of it: strata, Firth's penalty, imputation."""
    methods = shown["method"].astype("str").fillna("")
    penalised = int(methods.str.startswith("Firth").sum())
    imputed = int(methods.str.contains("imputations beyond limits", regex=False).sum())
    words = [model]
    if methods.str.contains(", stratified", regex=False).any():
        words.append("stratified as randomised")
    for n, of in (
        (penalised, "with Firth's penalty"),
        (imputed, "values beyond limits imputed"),
    ):
        if n:
            words.append(of if n == len(shown) else f"{of} in {n} of the {len(shown)} rows")
    return ", ".join(words)


def too_few_left_out(table: pd.DataFrame) -> str:
    """Say how many markers are not drawn for that reason, "" if none."""
    n = int(too_few(table).sum())
    return (
        f"{n} {'test is' if n == 1 else 'tests are'} not drawn: fewer than {LEAST_CARRIERS} subjects differ from the "
        "most common value."
        if n
        else ""
    )


def families(table: pd.DataFrame, shown: pd.DataFrame) -> list[tuple[str, bool, pd.DataFrame]]:
    """Return a heading with the family's size, whether it is confirmatory, and its rows shown."""
    out = []
    for confirmatory in (True, False):
        part = shown[is_confirmatory(shown) == confirmatory]
        if not len(part):
            continue
        own = table[is_confirmatory(table) == confirmatory]
        column = "p_fwer" if confirmatory and "p_fwer" in own else "q_value"
        # rows that vary too little to be in the family are not counted in its size
        size = int(own[column].notna().sum()) if column in own else len(own)
        tests = f"family of {size:,} {'test' if size == 1 else 'tests'}"
        drawn = f", {len(part)} of {len(own):,} rows shown" if len(part) < len(own) else ""
        name = "Confirmatory" if confirmatory else "Exploratory"
        adjusted = "family-wise" if confirmatory else "false discovery rate (q)"
        out.append((f"{name} ({tests}{drawn}; adjusted: {adjusted})", confirmatory, part))
    return out


#: Biomarker, or (biomarker, specimen), -> the label of the dictionary.
Labels = Mapping[str | tuple[str, str], str]


def label_of(line: pd.Series, labels: Labels | None) -> str:
    """Return what a marker is called: in its specimen, else anywhere, else its name."""
    name, specimen = str(line["biomarker"]), str(line["specimen"])
    known = labels or {}
    return known.get((name, specimen)) or known.get(name) or name


def distinct_names(
    rows: pd.DataFrame, labels: Labels | None, wanted: np.ndarray | None = None
) -> list[str]:
    """Return what the rows' markers are called, with what tells apart those called the same: contrast, else specimen.

    Of the `wanted` rows alone (a mask), told apart from all: a name that two tests share says which of them is meant.
    """
    mask = np.ones(len(rows), dtype=bool) if wanted is None else np.asarray(wanted, dtype=bool)
    called = {label_of(line, labels) for _, line in rows[mask].iterrows()}
    others = [key for key, label in (labels or {}).items() if label in called]
    biomarkers = {key if isinstance(key, str) else key[0] for key in others}
    near = (mask | rows["biomarker"].isin(biomarkers | set(rows["biomarker"][mask]))).to_numpy()
    lines = [line for _, line in rows[near].iterrows()]
    names = [label_of(line, labels) for line in lines]
    for apart in (_compared, _place):
        words = [apart(line) for line in lines]
        alike = {
            name: {w for n, w in zip(names, words, strict=True) if n == name} for name in names
        }
        names = [
            f"{name}, {word}" if len(alike[name]) > 1 and word else name
            for name, word in zip(names, words, strict=True)
        ]
    return [name for name, asked in zip(names, mask[near], strict=True) if asked]


def _place(line: pd.Series) -> str:
    return str(line["specimen"]).replace("_", " ")


def _compared(line: pd.Series) -> str:
    """Return the contrast of a row in words: per doubling, ≥15 v <15."""
    per = "" if pd.isna(line.get("contrast")) else str(line["contrast"])
    per = per.replace(">=", "≥").replace("<=", "≤")
    return per if " v " in per or not per else f"per {per}"


def named(line: pd.Series, labels: Labels | None, *, when: bool = True) -> tuple[str, str]:
    """Return a marker's name, and where, when (if wanted) and per what it was measured."""
    name = label_of(line, labels)
    places = [
        str(line[c]).replace("_", " ")
        for c in ("specimen", *(["timepoint"] if when else []))
        if pd.notna(line[c]) and line[c] != ""
    ]
    return name, "; ".join(part for part in (_compared(line), ", ".join(places)) if part)
