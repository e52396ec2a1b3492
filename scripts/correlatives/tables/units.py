"""The dictionary's rows against themselves, and results brought to the dictionary's units."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from correlatives.tables.dictionary import Dictionary, levels_of, positives_of
from correlatives.tables.mapping import Part
from correlatives.tables.problems import Problems


def plain_unit(unit: str) -> str:
    """Return a unit in one spelling: the two signs for micro, and case, are no difference."""
    return unicodedata.normalize("NFKC", unit.replace(" ", "")).casefold()


def conversions(text: str) -> dict[str, float]:
    """Read a ``conversion``: ``pg/mL*0.001; ng/dL*0.01`` -> plain unit -> factor.

    A bare factor (``0.5``) holds for every unit that is not the row's own: its key is "".

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    factors: dict[str, float] = {}
    for piece in text.split(";"):
        if not piece.strip():
            continue
        unit, star, factor = piece.rpartition("*")
        number = float(factor)
        if not np.isfinite(number) or number <= 0 or (star and not unit.strip()):
            raise ValueError(piece)
        factors[plain_unit(unit)] = number
    return factors


#: Hypotheses that no test of interaction at baseline can confirm.
OTHER_QUESTIONS = ("prognostic", "pharmacodynamic")


def report_dictionary(
    dictionary: pd.DataFrame,
    parts: Mapping[str, Part],
    problems: Problems,
    *,
    interactions: bool,
) -> None:
    """Report rows of the dictionary that contradict themselves, or the family that they are in.

    `interactions`: whether there are two arms, whose confirmatory family is of tests of interaction.
    """
    for _, row in dictionary.iterrows():
        part = parts.get(row["_file"])
        if part is None:
            continue
        text = {c: "" if pd.isna(row[c]) else str(row[c]) for c in ("kind", "levels", "positive")}
        levels, positive = levels_of(text["levels"]), positives_of(text["positive"])

        def tell(
            rule: str,
            column: str,
            message: str,
            row: pd.Series = row,
            part: Part = part,
        ) -> None:
            part.tell(
                problems,
                rule,
                f"{row['biomarker']} ({row['specimen']}): {message}",
                column=column,
                row=row["_row"],
                value="" if pd.isna(row[column]) else row[column],
            )

        if row["lloq"] > row["uloq"]:
            tell(
                "limits_reversed",
                "lloq",
                f"the lower limit {row['lloq']:g} is above the upper {row['uloq']:g}. Exchange them.",
            )
        if text["kind"] == "ordinal" and len(levels) < 2:
            tell(
                "dictionary_invalid",
                "levels",
                "an ordinal biomarker has two levels or more. Give them in their order: 0<1+<2+<3+.",
            )
        if len(set(levels)) < len(levels):
            tell("dictionary_invalid", "levels", "a level is there twice. Name each once.")
        odd = [word for word in positive if levels and word not in levels]
        if odd:
            tell(
                "dictionary_invalid",
                "positive",
                f"{odd[0]!r} is positive, but no level ({', '.join(levels)}). Write it as in `levels`.",
            )
        if (
            interactions
            and row["family"] == "confirmatory"
            and row["hypothesis"] in OTHER_QUESTIONS
        ):
            tell(
                "confirmatory_not_predictive",
                "family",
                f"its hypothesis is {row['hypothesis']}, and it is confirmatory: it is corrected for among the tests of "
                "interaction with treatment, and makes those of the predictive biomarkers stricter. Write family "
                "exploratory unless its interaction is to be confirmed too.",
            )
        if not pd.isna(row["conversion"]):
            try:
                conversions(str(row["conversion"]))
            except ValueError:
                tell(
                    "conversion_invalid",
                    "conversion",
                    f"{row['conversion']!r} cannot be read. Write the other unit, *, and the factor to the "
                    "row's unit: pg/mL*0.001; several separated by semicolons.",
                )


def convert_units(
    long: pd.DataFrame,
    specimens: Mapping[str, str],
    dictionary: Dictionary,
    defaults: Sequence[Mapping[str, Any]],
    parts: Mapping[str, Part],
    problems: Problems,
) -> None:
    """Bring results to one unit a biomarker and specimen, in place; two without a conversion are an error.

    The unit is the dictionary's, else that of the table's `defaults`, else the first found. A result without a unit is taken to be in it.
    """
    unit = long["unit"].fillna("").to_numpy(dtype=object)
    if not len(long) or not (unit != "").any():
        return
    biomarker = long["biomarker"].to_numpy(dtype=object)
    assay = long["assay"].fillna("").to_numpy(dtype=object)
    specimen = [specimens.get(sample) for sample in long["sample_id"]]
    specimen = np.array([s if isinstance(s, str) else "" for s in specimen], dtype=object)
    value = long["value"].to_numpy(dtype=float).copy()
    result = unit.copy()
    keys = pd.DataFrame({"b": biomarker, "s": specimen, "a": assay, "u": unit})
    used: dict[tuple[str, str], str] = {}
    for (name, where, by, given), members in keys.groupby(
        ["b", "s", "a", "u"], sort=False
    ).indices.items():
        row = dictionary.row(name, where, by) or {}
        if not given:
            continue
        said = defaults[long["source"].iloc[members[0]]] if defaults else {}
        target = str(row.get("unit") or said.get("unit") or "")
        if not target:
            target = used.setdefault((name, where), given)
        else:
            used.setdefault((name, where), target)
        if plain_unit(given) == plain_unit(target):
            result[members] = target
            continue
        try:
            factors = conversions(str(row.get("conversion") or ""))
        except ValueError:
            continue  # told with the dictionary
        factor = factors.get(plain_unit(given), factors.get(""))
        if factor is not None:
            value[members] *= factor
            result[members] = target
            continue
        first = long.iloc[members[0]]
        part = parts.get(first["_file"])
        if part is None:
            continue
        same = [plain_unit(one) == plain_unit(target) for one in unit]
        others = np.flatnonzero((biomarker == name) & (specimen == where) & np.array(same))
        here = f" ({len(members)} results, this is the first)" if len(members) > 1 else ""
        part.tell(
            problems,
            "two_units",
            f"{name} ({where}) is in {given!r} here{here} and in {target!r} {_whereabouts(long, others, part)}. "
            f"Give one unit, or a `conversion` in the dictionary: {given}*factor to {target}.",
            column="unit",
            row=first["_row"],
            value=given,
        )
    long["value"] = value
    long["unit"] = pd.array(result, dtype="str")


def _whereabouts(long: pd.DataFrame, rows: np.ndarray, part: Part) -> str:
    """Say where the results of the other unit are; without any, it is the dictionary that states it."""
    if not len(rows):
        return "in the dictionary or the table's defaults"
    first = long.iloc[rows[0]]
    place = f"row {int(first['_row'])}"
    if first["_file"] != part.file:
        place += f" of {first['_file']}"
    return (
        f"elsewhere ({len(rows)} results, the first in {place})"
        if len(rows) > 1
        else f"elsewhere ({place})"
    )
