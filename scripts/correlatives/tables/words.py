"""Text as the data write it: words for numbers, order of versions, nearest names."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
import yaml

#: Words that mean "yes" of a two-valued column, case folded.
POSITIVE = frozenset({"1", "y", "yes", "true", "t", "positive", "pos", "present", "detected", "+"})


def words(column: pd.Series) -> np.ndarray:
    """Return a column as text, "" where it is missing; whole numbers without a decimal point."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return np.where(column.to_numpy(dtype=bool), "true", "false").astype(object)
    if pd.api.types.is_numeric_dtype(column.dtype):
        return np.array([spelled(number) for number in column.to_numpy(dtype=float)], dtype=object)
    if isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=object, na_value="")
    values = column.astype(object).to_numpy(copy=True)
    values[pd.isna(values)] = ""
    return np.array([v if isinstance(v, str) else spelled(v) for v in values], dtype=object)


def spelled(value: object) -> str:
    """Write one value as text: 3.0 is "3", missing is ""."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, float, np.number)):
        number = float(value)
        return str(int(number)) if number.is_integer() else repr(number)
    return str(value)


def version_key(version: str) -> tuple[int, float, str]:
    """Order of versions: by number, else by date, else by text; an empty one is the lowest.

    A text with a number in front of it (``v2``, ``2.1.0``) is ordered by its numbers.
    """
    text = version.strip()
    if not text:
        return (0, 0.0, "")
    try:
        return (3, float(text), text)
    except ValueError:
        pass
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", text):
        return (2, 0.0, text)
    return (1, 0.0, numbered(text))


def numbered(text: str) -> str:
    """Return what orders texts by the numbers in them: 2 before 10."""
    return re.sub(r"\d+", lambda digits: digits.group().zfill(12), text)


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which of `names` is meant, as a clause: " The nearest name is 'ecog'.", or which there are."""
    known = [str(n) for n in names if not str(n).startswith("_")]
    folded = {n.casefold(): n for n in known}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1, cutoff=0.6)
    if close:
        return f" The nearest name is {folded[close[0]]!r}."
    return f" There are: {', '.join(known)}." if known else ""


def recoding(column: str, found: str, meant: str, options: Iterable[str] = ()) -> str:
    """Return the entry of a table that turns a word of its own into one of ours.

    Parameters
    ----------
    meant : str
        Our word; "" where none is plainly meant: then there is a place for one of `options`.
    """
    given, target = (
        yaml.safe_dump([word], default_flow_style=True, allow_unicode=True, width=10**6).strip()[
            1:-1
        ]
        for word in (found, meant)
    )
    if not meant:
        # a number stands in quotes, or YAML would not take it for text
        *most, last = (f'"{option}"' if option.isdigit() else option for option in options)
        target = f"<{', '.join(most)} or {last}>"
    return f"`values: {{{column}: {{{given}: {target}}}}}`"


def meaning(column: str, word: str, options: Iterable[str]) -> str:
    """Return which of `options` a word of a column plainly means, "" if none.

    Plain is another spelling (``Not detected``) or one of the `SYNONYMS`; nothing is guessed, since what is
    suggested may well be taken over unread.
    """
    known = list(options)
    said = _letters(word)
    same = [option for option in known if said and _letters(option) == said]
    meant = same[0] if same else SYNONYMS.get(column, {}).get(said, "")
    return meant if meant in known else ""


def _letters(word: str) -> str:
    return "".join(sign for sign in word.casefold() if sign.isalnum())


_RESPONSES = {
    "CR": "complete response|complete remission|complete",
    "PR": "partial response|partial remission|partial",
    "SD": "stable disease|stable",
    "PD": "progressive disease|disease progression|progression|progressive|progressed",
    "NE": "not evaluable|inevaluable|unevaluable|non-evaluable|not assessable",
}
_KINDS = {
    "snv": "snp|missense|nonsense|point mutation|single nucleotide variant",
    "indel": "frameshift|frame shift|insertion/deletion",
    "amplification": "amp|amplified",
    "deletion": "homozygous deletion|deep deletion",
    "fusion": "gene fusion",
}
_YES_NO = {"yes": "y|true|1", "no": "n|false|0"}
_PASS_FAIL = {"pass": "passed|ok", "fail": "failed|not ok"}

#: column -> word of other people, by its letters -> our word.
SYNONYMS: dict[str, dict[str, str]] = {
    column: {_letters(other): ours for ours, others in words.items() for other in others.split("|")}
    for column, words in {
        "best_overall_response": _RESPONSES,
        "response": _RESPONSES,
        "event": {
            "1": "yes|y|true|event|dead|died|death",
            "0": "no|n|false|censored|no event",
        },
        "reason": {
            "progression": "progressive disease|disease progression|pd|progressed",
            "death": "dead|died",
            "toxicity": "adverse event",
            "withdrawal": "withdrawal of consent|consent withdrawn|withdrew consent",
            "lost": "lost to follow-up",
        },
        "specimen": {"blood": "whole blood", "pbmc": "pbmcs"},
        "site_of_tissue": {
            "metastasis": "metastatic|metastases",
            "primary": "primary tumour|primary tumor",
        },
        "qc": _PASS_FAIL,
        "kind": _KINDS,
        "status": {
            "not_done": "not tested",
            "qns": "quantity not sufficient|insufficient quantity",
        },
        "result": {"detected": "positive", "not_detected": "negative"},
        "significance": {
            "vus": "uncertain significance|variant of uncertain significance|unknown significance"
        },
        "origin": {
            "tumour": "tumor|somatic",
            "chip": "clonal haematopoiesis|clonal hematopoiesis",
        },
        "prespecified": _YES_NO,
    }.items()
}
