"""One spelling of an alteration, whatever the laboratory wrote."""

import numpy as np
import pytest

from correlatives.tables.nomenclature import canonical, canonical_all, log2_copy_ratio


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        (
            (
                *("p.H1047R", "p.His1047Arg", "H1047R", "His1047Arg", "p.(His1047Arg)"),
                *("NP_006209.2:p.His1047Arg", "ENSP00000263967.3:p.His1047Arg", "P.HIS1047ARG"),
                *("h1047r", " p.H1047R "),
            ),
            "p.H1047R",
        ),
        (("p.Gln257Ter", "p.Q257*", "Q257X", "p.Gln257*", "p.Q257X"), "p.Q257*"),
        (
            ("p.Lys267ArgfsTer9", "p.K267Rfs*9", "p.K267fs", "K267fs", "p.Lys267fs", "p.K267fs*9"),
            "p.K267fs",
        ),
        (
            ("p.Glu746_Ala750del", "p.E746_A750del", "E746_A750delELREA", "p.E746_A750del5"),
            "p.E746_A750del",
        ),
        (("p.Ala775_Gly776insTyrValMetAla", "A775_G776insYVMA"), "p.A775_G776insYVMA"),
        (("p.Leu755_Thr759delinsSer", "p.L755_T759delinsS"), "p.L755_T759delinsS"),
    ],
)
def test_spellings_of_one_change_are_one(spellings, expected):
    assert {canonical(word, "snv") for word in spellings} == {expected}


def test_different_changes_stay_different():
    changes = [
        "p.E545K",
        "p.E545A",
        "p.E542K",
        "p.Q546K",
        "p.K267fs",
        "p.K268fs",
        "p.Q257*",
        "p.Q257R",
    ]
    assert len({canonical(change) for change in changes}) == len(changes)


@pytest.mark.parametrize(
    "word", ["c.1035+1G>A", "exon 14 skipping", "promoter", "", "TERT C228T x"]
)
def test_what_is_no_protein_change_stays(word):
    assert canonical(word, "snv") == word


def test_copy_number_and_fusions_go_by_kind_and_partner():
    assert {canonical(w, "amplification") for w in ("AMP", "amplification", "gain 8x", "")} == {
        "amplification"
    }
    assert canonical("homozygous loss", "deletion") == "deletion"
    assert canonical("FGFR3-TACC3", "fusion", "TACC3") == "fusion TACC3"
    assert canonical("fusion e17-e11", "fusion") == "fusion e17-e11"


def test_many_at_once_are_each_one():
    found = canonical_all(["H1047R", "AMP"], ["snv", "amplification"], ["", ""])
    assert found.tolist() == ["p.H1047R", "amplification"]


def test_copy_numbers_of_all_scales_are_one_ratio():
    """Eight copies, fourfold, log2 of 2: the same; GISTIC levels and no copies are no quantity."""
    found = log2_copy_ratio(
        np.array([8.0, 4.0, 2.0, 2.0, 0.0, 3.0]),
        np.array(["absolute", "fold", "log2", "gistic", "absolute", ""], dtype=object),
    )
    assert found[:3] == pytest.approx([2.0, 2.0, 2.0])
    assert np.isnan(found[3:]).all()
