"""What moved between two freezes, and why: subjects, samples, effects, p-values, claims."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from correlatives.cohort import DOMAINS, Cohort
from correlatives.publish.freeze import Refused, digests, verified

#: Folders whose tables hold results; those of the cohort and its check are compared person by person.
RESULTS = ("efficacy", "predictive", "prognostic", "resistance", "response")

#: Folders of other tables, of which nothing is compared but whether they are the same.
ACCOUNTS = ("check", "publish")

#: Columns of words that describe a row and do not say which row it is.
DESCRIBING = (
    "method",
    "note",
    "contrast",
    "summary",
    "effect_measure",
    "rule",
    "family",
    "prespecified",
)

#: Columns of numbers that say which row it is.
NUMBERED = ("months", "landmark")

#: Corrected p-values, the stricter first: a row's claim rests on the first that it has.
CORRECTED = ("p_fwer", "q_value")

#: Where arms are compared as a whole nothing is corrected: the stratified test first.
UNCORRECTED = {
    "efficacy/survival_contrast.tsv": ("p_logrank_stratified", "p_logrank"),
    "efficacy/response_contrast.tsv": ("p_cmh", "p_fisher"),
}

#: The effect that a row's claim is about: the first of these that it has.
MAIN_EFFECTS = (
    "interaction_ratio",
    "marker_effect",
    "hr",
    "odds_ratio",
    "rate_difference",
    "median_change",
    "estimate",
)

#: Sections of the configuration that concern one folder of results only, or none.
OWN_SECTIONS = {
    "predictive": ("predictive", "prognostic", "efficacy", "resistance"),
    "response": ("response", "efficacy"),
    "resistance": ("resistance",),
    "report": (),
    "accept": (),
    "eligibility": (),
}

#: Inputs that say what markers are, and when what was done; what they change is no subject's or sample's record.
DEFINITIONS = ("biomarkers", "coverage", "pathways", "signatures")
COURSES = ("doses", "assessments")

CAUSES = ["kind", "name", "change", "before", "after"]
PEOPLE = ["unit", "id", "subject_id", "arm", "change", "what"]
EFFECTS = [
    "table",
    "row",
    "quantity",
    "before",
    "before_low",
    "before_high",
    "after",
    "after_low",
    "after_high",
    "change",
    "cause",
]
CLAIMS = [
    "table",
    "row",
    "effect",
    "effect_before",
    "effect_before_low",
    "effect_before_high",
    "effect_after",
    "effect_after_low",
    "effect_after_high",
    "rests_on",
    "p_before",
    "p_after",
    "alpha_before",
    "alpha_after",
    "change",
    "cause",
]
TABLES = ["table", "change", "compared", "moved", "rows_added", "rows_removed", "columns"]


@dataclass(frozen=True)
class Frozen:
    """One freeze.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @staticmethod
    def open(folder: str | Path) -> Frozen:
        """Return a freeze that was checked to be what was frozen (`Refused` if it is not)."""
        return Frozen(verified(folder))

    @property
    def name(self) -> str:
        """Of the freeze."""
        return self.folder.name

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Where its results come from."""
        return json.loads((self.folder / "provenance.json").read_text(encoding="utf-8"))

    @cached_property
    def cohort(self) -> Cohort:
        """Its subjects, samples and markers."""
        folder = self.folder / "cohort"
        names = ("outcomes", *DOMAINS, "samples", "calls")
        return Cohort.read([folder / f"{name}.parquet" for name in names])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The configuration it was made with, filled."""
        return self.provenance["configuration"]["settings"]

    @property
    def alpha(self) -> float:
        """The level of its claims."""
        return float(self.settings["predictive"]["alpha"])

    @property
    def tables(self) -> dict[str, str]:
        """Name -> digest of every table but those of the cohort; locked models too."""
        return {
            name: digest
            for name, digest in sorted(digests(self.folder).items())
            if name.split("/")[0] in (*RESULTS, *ACCOUNTS) and name.endswith((".tsv", ".json"))
        }

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table; None if there is none of that name, or it is no table of rows."""
        if name not in self.tables or not name.endswith(".tsv"):
            return None
        return pd.read_csv(self.folder / name, sep="\t", low_memory=False)

    def results(self) -> dict[str, pd.DataFrame]:
        """Return name -> table of results."""
        return {
            name: self.table(name)
            for name in self.tables
            if name.split("/")[0] in RESULTS and name.endswith(".tsv")
        }


@dataclass(frozen=True)
class Comparison:
    """What moved from one freeze to another.

    Attributes
    ----------
    causes : pd.DataFrame
        ``CAUSES``: a row a file, setting, library or file of code that is not the same.
    people : pd.DataFrame
        ``PEOPLE``: a row a subject or sample that was added, removed or changed.
    effects : pd.DataFrame
        ``EFFECTS``: a row an effect or p-value of either freeze, moved or not.
    tests : pd.DataFrame
        ``CLAIMS``: a row a test on which a claim could rest, and whether one does.
    tables : pd.DataFrame
        ``TABLES``: a row a table that was added, removed or changed, whatever in it.
    before, after : str
        Names of the freezes.
    simulated : bool
    """

    causes: pd.DataFrame
    people: pd.DataFrame
    effects: pd.DataFrame
    tests: pd.DataFrame
    tables: pd.DataFrame
    before: str
    after: str
    simulated: bool

    @property
    def claims(self) -> pd.DataFrame:
        """The claims of either freeze: gained first, then lost, then kept."""
        order = self.tests["change"].map({"gained": 0, "lost": 1, "kept": 2})
        return self.tests.loc[order.dropna().sort_values(kind="stable").index].reset_index(
            drop=True
        )

    def summary(self) -> str:
        """Return what moved in a few lines."""
        lines = [f"From {self.before} to {self.after}:"]
        for kind, rows in self.causes.groupby("kind", sort=False):
            names = list(rows["name"])
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            lines.append(f"  {kind}: {', '.join(names[:4])}{more}")
        if not len(self.causes):
            lines.append("  the same inputs, configuration, software and code")
        for unit in ("subject", "sample"):
            change = self.people.loc[self.people["unit"] == unit, "change"]
            counts = [f"{(change == how).sum()} {how}" for how in ("added", "removed", "changed")]
            lines.append(f"  {unit}s: {', '.join(counts)}")
        change = self.effects["change"]
        lines.append(
            f"  effects and p-values: {(change == 'moved').sum()} of {len(change)} moved, "
            f"{(change == 'added').sum()} added, {(change == 'removed').sum()} removed"
        )
        silent = [
            row.table + ("" if row.change == "changed" else f" ({row.change})")
            for row in self.tables.itertuples()
            if not row.moved
        ]
        if silent:
            lines.append(
                f"  tables that differ where no effect or p-value moved: {', '.join(silent)}"
            )
        claims = self.claims
        change = claims["change"]
        lines.append(
            f"  claims: {(change == 'gained').sum()} gained, {(change == 'lost').sum()} lost, {(change == 'kept').sum()} kept"
        )
        for row in claims[change != "kept"].itertuples():
            lines.append(
                f"    {row.change}: {row.row} ({row.table}), {row.rests_on} {_shown(row.p_before)} -> {_shown(row.p_after)}; {row.cause}"
            )
        return "\n".join(lines)


def compare(before: Frozen, after: Frozen) -> Comparison:
    """Return what moved between two freezes of one study.

    Raises
    ------
    Refused
        If they are of different studies.
    """
    ids = [freeze.provenance["study"]["id"] for freeze in (before, after)]
    if ids[0] != ids[1]:
        raise Refused(
            f"{before.name} is a freeze of study {ids[0]}, {after.name} of study {ids[1]}: they cannot be compared."
        )
    causes = changed_causes(before.provenance, after.provenance)
    people, moved = changed_people(before.cohort, after.cohort)
    why = _Why(causes, moved, after)
    effects = changed_effects(before.results(), after.results())
    alphas = (before.alpha, after.alpha)
    tests = changed_tests(effects, alphas)
    effects["cause"] = [
        "" if row.change == "same" else why.of(row.table, row.row, row.quantity)
        for row in effects.itertuples()
    ]
    tests["cause"] = [
        why.of(row.table, row.row, row.rests_on, alphas) if row.change in ("gained", "lost") else ""
        for row in tests.itertuples()
    ]
    return Comparison(
        causes=causes,
        people=people,
        effects=effects[EFFECTS],
        tests=tests[CLAIMS],
        tables=changed_tables(before, after, effects),
        before=before.name,
        after=after.name,
        simulated=bool(after.provenance["study"]["simulated"]),
    )


# --- causes -------------------------------------------------------------------------------------------


def changed_causes(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return the inputs, settings, libraries and files of code that differ between two provenance records.

    Returns
    -------
    pd.DataFrame
        Columns ``CAUSES``. Of files the first 12 digits of their digests are given.
    """

    def inputs(record: Mapping[str, Any]) -> dict[str, str]:
        return {f"{one['table']}: {one['file']}": one["sha256"][:12] for one in record["inputs"]}

    def software(record: Mapping[str, Any]) -> dict[str, str]:
        found = record["software"]
        return {"workflow": found["workflow"], **found["libraries"]}

    def code(record: Mapping[str, Any]) -> dict[str, str]:
        return {name: digest[:12] for name, digest in record["code"]["files"].items()}

    rows = []
    for kind, told in (
        ("input", inputs),
        ("configuration", lambda record: _flat(record["configuration"]["settings"])),
        ("software", software),
        ("code", code),
    ):
        one, other = told(before), told(after)
        for name in [*one, *(name for name in other if name not in one)]:
            if name not in other:
                rows.append((kind, name, "removed", one[name], ""))
            elif name not in one:
                rows.append((kind, name, "added", "", other[name]))
            elif one[name] != other[name]:
                rows.append((kind, name, "changed", one[name], other[name]))
    return pd.DataFrame(rows, columns=CAUSES)


def _flat(value: object, path: str = "") -> dict[str, str]:
    """Return the dotted key -> value, as text, of nested settings; items of lists are counted from 1."""
    if isinstance(value, Mapping) and value:
        items = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list) and any(isinstance(one, (Mapping, list)) for one in value):
        items = [(str(number), one) for number, one in enumerate(value, 1)]
    else:
        return {path: json.dumps(value, ensure_ascii=False)}
    found: dict[str, str] = {}
    for key, one in items:
        found |= _flat(one, f"{path}.{key}" if path else key)
    return found


# --- subjects and samples -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Moved:
    """Who is not the same, for the causes of a row."""

    added: int
    removed: int
    #: column of the subjects -> how many subjects differ in it
    columns: Mapping[str, int]
    #: (biomarker, specimen, timepoint) -> how many subjects differ in it
    markers: Mapping[tuple[str, str, str], int]
    samples: int
    #: domain -> how many subjects became evaluable for its markers, or ceased to be
    evaluable: Mapping[str, int]


def changed_people(before: Cohort, after: Cohort) -> tuple[pd.DataFrame, _Moved]:
    """Return the subjects and samples that were added, removed or changed.

    A sample is changed if what is recorded of it differs, or what was found in it: alterations called, or
    values of its subject at its specimen and timepoint, if it is the sample chosen there.

    Returns
    -------
    people : pd.DataFrame
        Columns ``PEOPLE``; `what` says what differs, with the values where there are few.
    moved
        Counts, for causes.
    """
    one, other = (cohort.subjects.set_index("subject_id") for cohort in (before, after))
    rows, columns = _changed_rows(one, other, "subject", {})
    samples, counts, markers = _changed_samples(before, after)
    arms = {**one["arm"].to_dict(), **other["arm"].to_dict()}
    people = pd.DataFrame([*rows, *samples], columns=[c for c in PEOPLE if c != "arm"])
    people["arm"] = people["subject_id"].map(arms)
    return people[PEOPLE], _Moved(
        added=len(other.index.difference(one.index)),
        removed=len(one.index.difference(other.index)),
        columns=columns,
        markers=markers,
        samples=counts,
        evaluable=_changed_evaluable(before, after),
    )


def _changed_evaluable(before: Cohort, after: Cohort) -> dict[str, int]:
    """Return the domain -> subjects in both that have an evaluable baseline result of it in one only."""
    from correlatives.efficacy import biomarker_evaluable

    counts = {}
    for domain in DOMAINS:
        one, other = (
            pd.Series(biomarker_evaluable(cohort, domain), index=cohort.subjects["subject_id"])
            for cohort in (before, after)
        )
        both = one.index.intersection(other.index)
        counts[domain] = int((one[both] != other[both]).sum())
    return counts


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return "nothing"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def _listed(words: list[str], most: int = 6) -> str:
    more = f"; and {len(words) - most} more" if len(words) > most else ""
    return "; ".join(words[:most]) + more


def _differs(one: pd.Series, other: pd.Series) -> np.ndarray:
    """Return where two columns differ; missing equals missing."""
    numbers = [pd.to_numeric(s, errors="coerce") for s in (one, other)]
    if all((n.notna() == s.notna()).all() for n, s in zip(numbers, (one, other), strict=True)):
        a, b = (n.to_numpy(dtype=float) for n in numbers)
        return ~((a == b) | (np.isnan(a) & np.isnan(b)))
    a, b = (s.astype(object).where(s.notna(), "").map(str).to_numpy() for s in (one, other))
    return a != b


def _changed_rows(
    one: pd.DataFrame, other: pd.DataFrame, unit: str, found: Mapping[str, list[str]]
) -> tuple[list[tuple[str, str, str, str, str]], dict[str, int]]:
    """Return rows (unit, id, subject_id, change, what) of two indexed tables, and how often each column changed.

    `found` adds what was found to differ in units that are in both, beside their columns.
    """

    def subject(table: pd.DataFrame, key: str) -> str:
        return str(table.loc[key, "subject_id"]) if "subject_id" in table else str(key)

    rows = [
        (unit, str(k), subject(one, k), "removed", "") for k in one.index.difference(other.index)
    ]
    rows += [
        (unit, str(k), subject(other, k), "added", "") for k in other.index.difference(one.index)
    ]
    both = one.index.intersection(other.index)
    what: dict[str, list[str]] = {key: list(words) for key, words in found.items()}
    counts: dict[str, int] = {}
    # Numbers of strata are given anew whenever a stratum is added: its columns tell.
    for column in dict.fromkeys([*one.columns, *other.columns]):
        if column == "stratum":
            continue
        if column not in one or column not in other:
            counts[column] = len(both)
            continue
        here, there = one.loc[both, column], other.loc[both, column]
        places = np.flatnonzero(_differs(here, there))
        if len(places):
            counts[column] = len(places)
        for place in places:
            words = f"{column} {_shown(here.iloc[place])} -> {_shown(there.iloc[place])}"
            what.setdefault(str(both[place]), []).append(words)
    rows += [
        (unit, key, subject(other, key), "changed", _listed(words))
        for key, words in sorted(what.items())
        if key in other.index
    ]
    return rows, counts


def _changed_samples(
    before: Cohort, after: Cohort
) -> tuple[list[tuple[str, str, str, str, str]], int, dict[tuple[str, str, str], int]]:
    """Return rows of samples, how many there are, and how many subjects' values of each marker differ."""
    found: dict[str, list[str]] = {}
    one, other = (_of_samples(cohort) for cohort in (before, after))
    calls = [_calls(cohort) for cohort in (before, after)]
    for sample in sorted(set(calls[0]) | set(calls[1])):
        had, has = (call.get(sample, set()) for call in calls)
        words = [f"{name} no longer called" for name in sorted(had - has)]
        words += [f"{name} called" for name in sorted(has - had)]
        if words:
            found.setdefault(sample, []).extend(words)
    markers, values = _changed_values(before, after)
    chosen = after.samples[after.samples["chosen"].astype(bool)]
    at = {
        key: list(dict.fromkeys(rows["sample_id"]))
        for key, rows in chosen.groupby(["subject_id", "specimen", "timepoint"])
    }
    for key, words in values.items():
        for sample in at.get(key, []):
            found.setdefault(sample, []).extend(words)
    rows, _ = _changed_rows(one, other, "sample", found)
    return rows, len(rows), markers


def _of_samples(cohort: Cohort) -> pd.DataFrame:
    """Return one row a sample: what is recorded of it and of its runs."""
    samples = cohort.samples.astype(object)
    if not len(samples):
        return samples.drop(columns=["run_id"]).set_index("sample_id")

    def together(cells: pd.Series) -> object:
        distinct = list(dict.fromkeys(cells[cells.notna()]))
        return distinct[0] if len(distinct) == 1 else ", ".join(map(_shown, distinct)) or None

    ordered = samples.sort_values("run_id", kind="stable").drop(columns=["run_id"])
    return ordered.groupby("sample_id").agg(together)


def _calls(cohort: Cohort) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in cohort.calls.itertuples():
        name = f"{row.gene} {row.alteration if isinstance(row.alteration, str) else row.kind}"
        found.setdefault(str(row.sample_id), set()).add(name)
    return found


def _changed_values(
    before: Cohort, after: Cohort
) -> tuple[dict[tuple[str, str, str], int], dict[tuple[str, str, str], list[str]]]:
    """Return (biomarker, specimen, timepoint) -> subjects that differ, and (subject, specimen, timepoint) -> words."""
    keys = ["biomarker", "specimen", "timepoint", "assay"]
    here, there = (pd.MultiIndex.from_frame(c.markers.info[keys]) for c in (before, after))
    subjects = [pd.Index(cohort.markers.subjects) for cohort in (before, after)]
    common = subjects[0].intersection(subjects[1])
    columns = [index.get_indexer(common) for index in subjects]
    counts: dict[tuple[str, str, str], int] = {}
    words: dict[tuple[str, str, str], list[str]] = {}
    place = here.get_indexer(there)
    for row, old in enumerate(place):
        name, specimen, timepoint, _ = there[row]
        new_value = after.markers.value[row, columns[1]]
        if old < 0:
            differs = ~np.isnan(new_value)
            old_value = np.full(len(common), np.nan)
        else:
            old_value = before.markers.value[old, columns[0]]
            same = (old_value == new_value) | (np.isnan(old_value) & np.isnan(new_value))
            differs = ~same | (
                before.markers.state[old, columns[0]] != after.markers.state[row, columns[1]]
            )
        if not differs.any():
            continue
        key = (name, specimen, timepoint)
        counts[key] = counts.get(key, 0) + int(differs.sum())
        if ":" in name:  # derived from what is listed already
            continue
        for subject in np.flatnonzero(differs):
            said = f"{name} {_shown(old_value[subject])} -> {_shown(new_value[subject])}"
            words.setdefault((common[subject], specimen, timepoint), []).append(said)
    for old in np.flatnonzero(~here.isin(there)):
        name, specimen, timepoint, _ = here[old]
        had = ~np.isnan(before.markers.value[old, columns[0]])
        if had.any():
            counts[(name, specimen, timepoint)] = int(had.sum())
    return counts, words


# --- effects and claims -------------------------------------------------------------------------------


def changed_effects(
    before: Mapping[str, pd.DataFrame], after: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return every effect and p-value of two sets of tables, before and after.

    An effect is a column with its limits beside it (``_low``, ``_high``, or ``estimate, low, high``), a p-value a
    column called ``p_…`` or ``q_value``. A row is known by its words and by what it is a row of.

    Returns
    -------
    pd.DataFrame
        Columns ``EFFECTS`` but the cause; `change` is same, moved, added (a row, or a number where there was none) or
        removed.
    """
    parts = []
    for table in dict.fromkeys([*before, *after]):
        one, other = (_long(tables.get(table)) for tables in (before, after))
        rows = one.index.append(other.index.difference(one.index, sort=False))
        if not len(rows):
            continue
        frame = rows.to_frame(index=False)
        for side, found in (("before", one), ("after", other)):
            for column, end in (("value", ""), ("low", "_low"), ("high", "_high")):
                frame[f"{side}{end}"] = found[column].reindex(rows).to_numpy(dtype=float)
        frame.insert(0, "table", table)
        parts.append(frame)
    columns = [column for column in EFFECTS if column not in ("change", "cause")]
    if not parts:
        return pd.DataFrame(columns=[*columns, "change"])
    effects = pd.concat(parts, ignore_index=True)[columns]
    pairs = [
        (
            effects[f"before{end}"].to_numpy(dtype=float),
            effects[f"after{end}"].to_numpy(dtype=float),
        )
        for end in ("", "_low", "_high")
    ]
    same = np.all([(a == b) | (np.isnan(a) & np.isnan(b)) for a, b in pairs], axis=0)
    had, has = (~np.isnan(value) for value in pairs[0])
    effects["change"] = np.select(
        [same, ~had & has, had & ~has], ["same", "added", "removed"], default="moved"
    )
    # A number that neither freeze could estimate is no result.
    return effects[had | has].reset_index(drop=True)


def _long(table: pd.DataFrame | None) -> pd.DataFrame:
    """Return value, low, high of every effect and p-value, by (row, quantity)."""
    index = pd.MultiIndex.from_arrays([[], []], names=["row", "quantity"])
    empty = pd.DataFrame({"value": [], "low": [], "high": []}, index=index, dtype=float)
    if table is None or not len(table):
        return empty
    names = _row_names(table)
    parts = []
    for column in table.columns:
        ends = (f"{column}_low", f"{column}_high")
        if column == "estimate" and not set(ends) <= set(table.columns):
            ends = ("low", "high")
        limits = set(ends) <= set(table.columns)
        tested = column.startswith("p_") or column == "q_value"
        if not (limits or tested):
            continue
        numbers = [column, *(ends if limits else ())]
        values = table[numbers].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
        if not limits:
            values = np.column_stack([values, np.full((len(values), 2), np.nan)])
        where = pd.MultiIndex.from_arrays([names, [column] * len(table)], names=["row", "quantity"])
        parts.append(pd.DataFrame(values, columns=["value", "low", "high"], index=where))
    return pd.concat(parts) if parts else empty


def _row_names(table: pd.DataFrame) -> list[str]:
    """Return what each row is a row of, in words; unique."""
    words = [
        column
        for column in table.columns
        if column in NUMBERED
        or (
            column not in DESCRIBING
            and not column.startswith("p_")
            and not pd.api.types.is_numeric_dtype(table[column].dtype)
        )
    ]
    cells = table[words].astype(object)
    cells = cells.where(cells.notna(), "")
    names = pd.Series(
        [
            " · ".join(_shown(cell) for cell in row if cell != "")
            for row in cells.itertuples(index=False)
        ],
        dtype=object,
    )
    again = names.groupby(names).cumcount()
    return [name if not n else f"{name} ({n + 1})" for name, n in zip(names, again, strict=True)]


def changed_tests(effects: pd.DataFrame, alphas: tuple[float, float]) -> pd.DataFrame:
    """Return every row on which a claim could rest, and whether one does.

    A claim is a row whose corrected p-value is at most alpha: p_fwer where the row has one (confirmatory families),
    else q_value. Between the arms as a whole, where one test is made an endpoint, it is the stratified test, or the
    plain one without strata.

    Parameters
    ----------
    effects : pd.DataFrame
        From `changed_effects`.
    alphas : (float, float)
        The level before and after.

    Returns
    -------
    pd.DataFrame
        Columns ``CLAIMS`` but the cause; `change` is gained, lost, kept or none.
    """
    key = ["table", "row"]
    rows = pd.MultiIndex.from_frame(effects[key].drop_duplicates())
    named = {name: part.set_index(key) for name, part in effects.groupby("quantity", sort=False)}

    def numbers(name: str, column: str) -> np.ndarray:
        """Return a number of every row, NaN where the row has none of that name."""
        return named[name][column].astype(float).reindex(rows).to_numpy()

    tests = pd.DataFrame(rows.to_frame(index=False))
    groups = [([table], names) for table, names in UNCORRECTED.items()]
    groups.append((sorted(set(tests["table"]) - set(UNCORRECTED)), CORRECTED))
    for side, alpha in zip(("before", "after"), alphas, strict=True):
        p, rests = np.full(len(rows), np.nan), np.full(len(rows), "", dtype=object)
        for tables, names in groups:
            here = tests["table"].isin(tables).to_numpy()
            for name in (name for name in names if name in named):
                value = numbers(name, side)
                fill = here & np.isnan(p) & ~np.isnan(value)
                p[fill], rests[fill] = value[fill], name
        tests[f"p_{side}"], tests[f"rests_{side}"], tests[f"alpha_{side}"] = p, rests, alpha
    tests["effect"] = ""
    for name in (name for name in MAIN_EFFECTS if name in named):
        there = (tests["effect"] == "") & rows.isin(named[name].index)
        tests.loc[there, "effect"] = name
        for side in ("before", "after"):
            for end in ("", "_low", "_high"):
                column = f"effect_{side}{end}"
                if column not in tests:
                    tests[column] = np.nan
                tests.loc[there, column] = numbers(name, f"{side}{end}")[there]
    one, other = tests["rests_before"], tests["rests_after"]
    both = (one != other) & (one != "") & (other != "")
    tests["rests_on"] = other.where(other != "", one).mask(both, one + " -> " + other)
    claimed = [tests[f"p_{side}"] <= tests[f"alpha_{side}"] for side in ("before", "after")]
    tests["change"] = np.select(
        [claimed[0] & claimed[1], claimed[1], claimed[0]],
        ["kept", "gained", "lost"],
        default="none",
    )
    columns = [column for column in CLAIMS if column != "cause"]
    return tests[tests["rests_on"] != ""].reindex(columns=columns).reset_index(drop=True)


def changed_tables(before: Frozen, after: Frozen, effects: pd.DataFrame) -> pd.DataFrame:
    """Return the tables of two freezes that differ in anything, compared number by number or not.

    Parameters
    ----------
    before, after : Frozen
    effects : pd.DataFrame
        From `changed_effects`.

    Returns
    -------
    pd.DataFrame
        Columns ``TABLES``: how many effects and p-values were `compared` and how many of them moved, came or went; of a
        table in both, rows added and removed, and the columns in which the others differ.
    """
    told = effects.assign(moved=effects["change"] != "same").groupby("table")["moved"]
    compared, moved = told.size(), told.sum()
    one, other = before.tables, after.tables
    rows = []
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) == other.get(name):
            continue
        change = "changed" if name in one and name in other else "added"
        change = change if name in other else "removed"
        inside: tuple[int | None, int | None, str] = (None, None, "")
        tables = [freeze.table(name) for freeze in (before, after)]
        if all(table is not None for table in tables):
            inside = _inside(*tables)
        rows.append((name, change, compared.get(name, 0), moved.get(name, 0), *inside))
    found = pd.DataFrame(rows, columns=TABLES)
    numbers = ["compared", "moved", "rows_added", "rows_removed"]
    return found.astype(dict.fromkeys(numbers, "Int64"))


def _inside(one: pd.DataFrame, other: pd.DataFrame) -> tuple[int, int, str]:
    """Return the rows added, the rows removed, and the columns in which rows of both differ."""
    one, other = (table.set_axis(_row_names(table), axis=0) for table in (one, other))
    both = one.index.intersection(other.index)
    columns = [
        column
        for column in dict.fromkeys([*one.columns, *other.columns])
        if column not in one
        or column not in other
        or _differs(one.loc[both, column], other.loc[both, column]).any()
    ]
    return len(other) - len(both), len(one) - len(both), ", ".join(columns)


def _origin(biomarker: str) -> str:
    """Return what a marker is derived of (``ratio:TK1:C1D15``, ``gene:ESR1``); one that is measured, itself."""
    return biomarker.split(":")[1] if ":" in biomarker else biomarker


class _Why:
    """Says why a number moved, as far as the two freezes tell."""

    def __init__(self, causes: pd.DataFrame, moved: _Moved, after: Frozen) -> None:
        self.moved = moved
        # Columns of subjects that every row of a folder rests on.
        everywhere = ("arm", "in_population", *after.settings["study"]["strata"])
        self.covariates = {
            folder: [*everywhere, *after.settings.get(section, {}).get(key, ())]
            for folder, section, key in (
                ("efficacy", "study", ""),
                ("predictive", "predictive", "covariates"),
                ("prognostic", "predictive", "covariates"),
                ("response", "response", "clinical"),
            )
        }
        self.inputs = list(causes.loc[causes["kind"] == "input", "name"])
        self.settings = list(causes.loc[causes["kind"] == "configuration", "name"])
        self.software = list(causes.loc[causes["kind"] == "software", "name"])
        code = causes.loc[causes["kind"] == "code", "name"]
        # Figures and reports change no number.
        self.code = [
            name
            for name in code
            if name.startswith("scripts/") and "/figures/" not in name and "/publish/" not in name
        ]
        self.endpoints: dict[str, int] = {}
        for column, n in moved.columns.items():
            name = column.removesuffix("_months").removesuffix("_event")
            self.endpoints[name] = max(self.endpoints.get(name, 0), n)

    def of(
        self, table: str, row: str, quantity: str, alphas: tuple[float, float] | None = None
    ) -> str:
        """Return the causes, most direct first; together they cannot be told apart."""
        folder, _, file = table.partition("/")
        said = []
        if alphas and alphas[0] != alphas[1]:
            said.append(f"alpha {alphas[0]:g} -> {alphas[1]:g}")
        for n, done in ((self.moved.added, "added"), (self.moved.removed, "removed")):
            if n:
                said.append(f"{n} subject{'s' if n > 1 else ''} {done}")
        screened = folder in ("predictive", "prognostic")
        words = row.split(" · ")
        # predictive/PFS.tsv, predictive/continuous_PFS.tsv
        endpoint = re.sub(r"^[a-z]+_", "", file.removesuffix(".tsv")) if screened else words[0]
        # its endpoint, the factor of a subgroup or the clinical marker that it is a row of, what it is adjusted for
        known = dict.fromkeys([endpoint, *words[:2], *self.covariates.get(folder, ())])
        columns = [name for name in known if self.endpoints.get(name, 0)]
        said += [f"{name} of {self.endpoints[name]} changed" for name in columns]
        if not columns and folder == "resistance" and self.moved.columns:
            said.append("subjects' records changed")
        imputed = words[-1] == "multiple_imputation"
        if screened:
            key = tuple(words[:3])
            own = self.moved.markers.get(key, 0)
            if own:
                said.append(f"its values in {own} changed")
            others = not own or any(
                _origin(name) != _origin(words[0]) for name, *_ in self.moved.markers
            )
            if self.moved.markers and others and (quantity in CORRECTED or imputed):
                said.append("other markers' values changed")
        elif folder != "efficacy" or (
            file == "evaluable.tsv" and self.moved.evaluable.get(words[1], 0)
        ):
            said += self._samples()
        defining = () if folder == "efficacy" else DEFINITIONS
        defining += COURSES if folder == "resistance" else ()
        if inputs := [name for name in self.inputs if name.split(": ")[0] in defining]:
            said.append(f"input: {_listed(inputs, 3)}")
        settings = [
            name
            for name in self.settings
            if folder in OWN_SECTIONS.get(name.split(".")[0], (folder,))
        ]
        if settings:
            said.append(f"configuration: {_listed(settings, 3)}")
        if self.code:
            said.append(f"code: {_listed([name.rsplit('/', 1)[1] for name in self.code], 3)}")
        if self.software:
            said.append(f"software: {_listed(self.software, 3)}")
        return ", ".join(said or self._whatever(screened)) or "not told by the two records"

    def _samples(self) -> list[str]:
        n = self.moved.samples
        return [f"{n} sample{'s' if n > 1 else ''} added, removed or changed"] if n else []

    def _whatever(self, screened: bool) -> list[str]:
        """Return what differs at all, where nothing does that is known to concern a row."""
        said = ["subjects' records changed"] if self.moved.columns else []
        if screened and self.moved.markers:
            said.append("other markers' values changed")
        else:
            said += self._samples()
        if not said and self.inputs:
            said.append(f"input: {_listed(self.inputs, 3)}")
        return said
