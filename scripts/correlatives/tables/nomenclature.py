"""One spelling of an alteration, whatever the laboratory wrote: p.His1047Arg, H1047R and p.H1047R are one.

References
----------
HGVS recommendations, den Dunnen JT et al. Human Mutation 2016;37:564-569.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

#: Amino acids by their three letters; Ter and Xaa as HGVS has them.
ONE_LETTER = {
    "Ala": "A",
    "Arg": "R",
    "Asn": "N",
    "Asp": "D",
    "Cys": "C",
    "Gln": "Q",
    "Glu": "E",
    "Gly": "G",
    "His": "H",
    "Ile": "I",
    "Leu": "L",
    "Lys": "K",
    "Met": "M",
    "Phe": "F",
    "Pro": "P",
    "Ser": "S",
    "Thr": "T",
    "Trp": "W",
    "Tyr": "Y",
    "Val": "V",
    "Sec": "U",
    "Ter": "*",
    "Xaa": "X",
}

_THREE = re.compile("|".join(ONE_LETTER), re.IGNORECASE)
_BY_CASE = {name.casefold(): letter for name, letter in ONE_LETTER.items()}

#: A transcript or protein before the change, as in NP_006209.2:p.His1047Arg.
_REFERENCE = re.compile(r"^[A-Za-z]{2,6}_?\d+(\.\d+)?(\([A-Za-z0-9-]+\))?:")

#: A protein change in one-letter code.
_CHANGE = re.compile(
    r"^(?P<first>[A-Z*])(?P<start>\d+)(?:_(?P<last>[A-Z*])(?P<end>\d+))?(?P<what>.*)$"
)
_WHAT = re.compile(
    r"^(?:[A-Z*=]|fs|del|dup|ins|delins|ext|[A-Z]?fs.*|(?:del|ins|delins|dup).*|\*ext.*|splice)$"
)

#: Kinds whose alteration is the kind: a laboratory's word for it (AMP, gain, homozygous loss) says no more.
OF_ONE_NAME = ("amplification", "deletion")


def canonical(alteration: str, kind: str = "", partner: str = "") -> str:
    """Return the spelling by which alterations of a gene are compared.

    Parameters
    ----------
    alteration : str
        As the laboratory wrote it.
    kind : str
        snv, indel, amplification, deletion or fusion.
    partner : str
        Of a fusion.

    Returns
    -------
    str
        Copy-number changes go by their kind, fusions by their partner where there is one. A protein change has
        one-letter amino acids behind ``p.``, ``*`` for a stop, and of a frameshift its first amino acid and position
        only (p.Lys267ArgfsTer9 is p.K267fs). What is no protein change stays as it is, without spaces around it.

    Examples
    --------
    >>> [canonical(word) for word in ("p.His1047Arg", "H1047R", "p.(H1047R)", "NP_006209.2:p.His1047Arg")]
    ['p.H1047R', 'p.H1047R', 'p.H1047R', 'p.H1047R']
    """
    text = alteration.strip()
    if kind in OF_ONE_NAME:
        return kind
    if kind == "fusion":
        other = partner.strip()
        return f"fusion {other}" if other else (text or "fusion")
    change = _REFERENCE.sub("", text)
    marked = change[:2].casefold() == "p."
    change = change[2:] if marked else change
    if change.startswith("(") and change.endswith(")"):
        change = change[1:-1]
    change = change.replace(" ", "") if marked else change
    change = _THREE.sub(lambda found: _BY_CASE[found.group().casefold()], change)
    # One-letter code in small letters (h1047r) is read too; words such as del and fs stay small.
    plain = re.fullmatch(r"[a-z]\d+[a-z]", change)
    change = change.upper() if plain else change
    found = _CHANGE.match(change)
    if not found:
        return text
    what = re.sub(r"^X$", "*", found["what"])
    what = re.sub(r"ins\(?([A-Z*]+)\)?$", r"ins\1", what)
    if not _WHAT.match(what):
        return text
    shifted = re.match(r"^[A-Z*]?fs", what)
    start = f"{found['first']}{found['start']}"
    if shifted:
        return f"p.{start}fs"
    # What a deletion or duplication spells out follows from its ends.
    what = re.sub(r"^(del|dup)[A-Z0-9]+$", r"\1", what)
    end = f"_{found['last']}{found['end']}" if found["end"] else ""
    return f"p.{start}{end}{what}"


def canonical_all(
    alterations: Iterable[str], kinds: Iterable[str], partners: Iterable[str]
) -> np.ndarray:
    """Return `canonical` of many alterations, each spelling worked out once."""
    known: dict[tuple[str, str, str], str] = {}
    found = []
    for key in zip(alterations, kinds, partners, strict=True):
        if key not in known:
            known[key] = canonical(*key)
        found.append(known[key])
    return np.array(found, dtype=object)


def log2_copy_ratio(copy_number: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return copy numbers as the binary logarithm of their ratio to two copies.

    Parameters
    ----------
    copy_number : np.ndarray of float, shape (m,)
    scale : np.ndarray of str, shape (m,)
        ``absolute`` (copies), ``fold`` (ratio to normal), ``log2`` (of that ratio) or ``gistic``.

    Returns
    -------
    np.ndarray of float, shape (m,)
        NaN for GISTIC levels, which are no quantities, for an unstated scale, and where nothing is left to take
        a logarithm of (0 copies).
    """
    copy_number = np.asarray(copy_number, dtype=float)
    scale = np.asarray(scale, dtype=object)
    found = np.full(len(copy_number), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, value in (
            ("absolute", np.log2(copy_number / 2.0)),
            ("fold", np.log2(copy_number)),
            ("log2", copy_number),
        ):
            found = np.where((scale == name) & np.isfinite(value), value, found)
    return found
