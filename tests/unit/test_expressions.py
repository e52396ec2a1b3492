"""Filters and eligibility criteria: what is accepted, what it means, and what is said of the rest."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from correlatives.tables.expressions import ExpressionError, parse

T, F, U = 1.0, 0.0, math.nan


def text(*values):
    return pd.Series(list(values), dtype="str")


FRAME = pd.DataFrame(
    {
        "EGFR": text("POSITIVE", "NEGATIVE", None, ""),
        "BEP": text("Y", "N", "Y", None),
        "ecog": text("0", "2", None, "unk"),
        "id": text("0012", "12", "12.0", "a"),
        "lvef": pd.Series([55.0, 49.9, np.nan, 60.0]),
        "grade": pd.Series([3.0, 2.5, np.nan, 1.0]),
        "PFS.CNSR": text("0", "1", None, "0"),
        "ECOG (site)": text("0", "1", None, "2"),
        "start": text("2021-01-04", "2020-12-31", None, "2021-02-01"),
        "stop": text("2021-01-05", "2020-12-01", "2021-01-01", None),
    }
)


def where(expression, frame=FRAME):
    result = parse(expression).where(frame)
    assert result.dtype == bool
    return result.tolist()


def kleene(expression, frame=FRAME):
    return ["U" if math.isnan(x) else int(x) for x in parse(expression).kleene(frame)]


# --- two values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("EGFR == 'POSITIVE'", [True, False, False, False]),
        # missing is "not equal"; an empty text that is not missing is a text
        ("EGFR != 'POSITIVE'", [False, True, True, True]),
        ("EGFR in ['POSITIVE', 'NEGATIVE']", [True, True, False, False]),
        ("EGFR not in ['POSITIVE', 'NEGATIVE']", [False, False, True, True]),
        ("EGFR in ('POSITIVE',)", [True, False, False, False]),
        ("not EGFR == 'POSITIVE'", [False, True, True, True]),
        ("not EGFR != 'POSITIVE'", [True, False, False, False]),
        ("BEP == 'Y' and EGFR != 'POSITIVE'", [False, False, True, False]),
        ("BEP == 'N' or EGFR == 'POSITIVE'", [True, True, False, False]),
        ("EGFR == EGFR", [True, True, False, True]),
        # numbers as numbers: what is no number is "not equal"
        ("ecog == 0", [True, False, False, False]),
        ("ecog != 0", [False, True, True, True]),
        ("ecog < 2", [True, False, False, False]),
        ("ecog >= 0", [True, True, False, False]),
        ("not ecog < 2", [False, True, True, True]),
        ("0 <= ecog <= 2", [True, True, False, False]),
        ("2 > ecog", [True, False, False, False]),
        ("ecog > -1", [True, True, False, False]),
        ("ecog in [0, 1]", [True, False, False, False]),
        ("ecog in [0, 'unk']", [True, False, False, True]),
        # text as text: 0012 is not 12
        ("id == '0012'", [True, False, False, False]),
        ("id == '12'", [False, True, False, False]),
        ("id == 12", [True, True, True, False]),
        ("'12' == id", [False, True, False, False]),
        # columns of numbers
        ("lvef >= 50", [True, False, False, True]),
        ("lvef < 50", [False, True, False, False]),
        ("grade == '3'", [True, False, False, False]),
        ("grade == '2.5'", [False, True, False, False]),
        ("grade != '3'", [False, True, True, True]),
        # odd names
        ("PFS.CNSR == 0", [True, False, False, True]),
        ("`PFS.CNSR` == 0", [True, False, False, True]),
        ("`ECOG (site)` <= 1", [True, True, False, False]),
        # two columns; dates as text
        ("start < stop", [True, False, False, False]),
        ("ecog == `ECOG (site)`", [True, False, False, False]),
        ("start >= '2021-01-01'", [True, False, False, True]),
        ("(EGFR == 'POSITIVE' or\n BEP == 'N') and ecog <= 2", [True, True, False, False]),
    ],
)
def test_where(expression, expected):
    assert where(expression) == expected


def test_where_takes_any_kind_of_column():
    frame = pd.DataFrame(
        {
            "flag": pd.Series([True, False]),
            "maybe": pd.Series([1, None], dtype="Int64"),
            "thing": pd.Series(["a", None], dtype="object"),
            "day": pd.to_datetime(pd.Series(["2021-01-04", None])),
            "kind": pd.Series(["x", None], dtype="category"),
        }
    )
    assert where("flag == 1", frame) == [True, False]
    assert where("maybe == 1", frame) == [True, False]
    assert where("maybe == '1'", frame) == [True, False]
    assert where("thing == 'a'", frame) == [True, False]
    assert where("day >= '2021-01-01'", frame) == [True, False]
    assert where("kind != 'x'", frame) == [False, True]


def test_an_empty_table_gives_an_empty_answer():
    assert where("EGFR == 'a' and ecog in [1]", FRAME.iloc[:0]) == []


# --- three values ----------------------------------------------------------------------------------------

VALUES = {"T": T, "F": F, "U": U}


def truth(value):
    """A column of one row that makes ``x == 1`` true, false or unknown."""
    return text({"T": "1", "F": "0", "U": None}[value])


AND = {"TT": "T", "TF": "F", "TU": "U", "FF": "F", "FU": "F", "UU": "U"}
OR = {"TT": "T", "TF": "T", "TU": "T", "FF": "F", "FU": "U", "UU": "U"}


@pytest.mark.parametrize("pair", list(itertools.product("TFU", repeat=2)))
@pytest.mark.parametrize(("word", "table"), [("and", AND), ("or", OR)])
def test_kleenes_tables(pair, word, table):
    frame = pd.DataFrame({"a": truth(pair[0]), "b": truth(pair[1])})
    wanted = VALUES[table["".join(sorted(pair, key="TFU".index))]]
    np.testing.assert_equal(parse(f"a == 1 {word} b == 1").kleene(frame), [wanted])


@pytest.mark.parametrize(("value", "negated"), [("T", F), ("F", T), ("U", U)])
def test_kleenes_not(value, negated):
    frame = pd.DataFrame({"a": truth(value)})
    np.testing.assert_equal(parse("not a == 1").kleene(frame), [negated])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("ecog <= 2", [1, 1, "U", "U"]),  # "unk" is no number: unknown, never unmet
        ("ecog != 0", [0, 1, "U", "U"]),
        ("ecog != 'unk'", [1, 1, "U", 0]),
        ("ecog in [0, 1]", [1, 0, "U", "U"]),
        ("ecog not in [0, 1]", [0, 1, "U", "U"]),
        ("0 <= ecog <= 1", [1, 0, "U", "U"]),
        ("lvef >= 50", [1, 0, "U", 1]),
        ("lvef >= 50 and ecog <= 2", [1, 0, "U", "U"]),
        ("lvef >= 50 or ecog <= 2", [1, 1, "U", 1]),
        ("EGFR == EGFR", [1, 1, "U", 1]),
        ("start < stop", [1, 0, "U", "U"]),
    ],
)
def test_kleene(expression, expected):
    assert kleene(expression) == expected


def test_a_chain_is_false_as_soon_as_one_link_is():
    frame = pd.DataFrame({"a": text("5", None), "b": text(None, "1")})
    assert kleene("a < 3 < b", frame) == [0, 0]


# --- names -----------------------------------------------------------------------------------------------


def test_names_in_order_of_appearance():
    expression = parse("b == 'x' and 0 <= `odd name` <= a.b or b in ['b'] and anc_per_µl > c")
    assert expression.names == ("b", "odd name", "a.b", "anc_per_µl", "c")


def test_names_are_not_changed_by_pythons_rules():
    """Python reads the micro sign in a name as the Greek letter."""
    frame = pd.DataFrame({"µl": text("1"), "class": text("2")})
    assert where("µl == 1 and `class` == 2", frame) == [True]


def test_backticks_within_quotes_are_text():
    frame = pd.DataFrame({"a": text("`x`", "it's")})
    assert where("a == '`x`'", frame) == [True, False]
    assert where('a == "it\'s"', frame) == [False, True]


def test_a_column_that_is_not_there():
    with pytest.raises(ExpressionError, match="there is no column ECOG"):
        parse("ECOG == 1").where(FRAME)


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "the expression is empty"),
        ("   ", "the expression is empty"),
        ("EGFR = 'P'", "position 6: = is not a comparison. Write == for equal"),
        ("a <> 1", "position 3: <> is not a comparison. Write != for not equal"),
        ("a == 1 AND b == 2", "position 8: AND is written in small letters: and"),
        ("a == 1 && b == 2", "position 8: & is not known. Write and"),
        ("a == 1 & b == 2", "Write and"),
        ("(a == 1) | (b == 2)", "| is not known. Write or"),
        ("a == 1 || b == 2", "position 8: | is not known. Write or"),
        ("!(a == 1)", "position 1: ! is not known. Write not"),
        ("id == 0012", "position 7: 0012 is no number. Write '0012' in quotes"),
        ("2nd == 1", "position 1: 2nd is no number. Write a column's name in `backticks`"),
        ("a is 'x'", "is is not known. Write == for equal"),
        ("a ==", "position 5: the expression ends too early"),
        ("a == 1 and", "the expression ends too early"),
        ("(a == 1", "position 1: a ( is opened and not closed"),
        ("a == 'x", "position 6: a ' is opened and not closed"),
        ("`a == 1", "position 1: a ` is opened and not closed"),
        ("`` == 1", "there is no name between the backticks"),
        ("a", "position 1: a stands alone. Compare it, such as a == 'yes'"),
        ("a == 1 and b", "position 12: b stands alone"),
        ("not `odd name`", "odd name stands alone"),
        ("'x'", "stands alone, without a comparison"),
        ("1 == 1", "1 is compared without a column"),
        ("'a' in ['a']", "'a' is compared without a column"),
        ("a in 'x'", "a list belongs after in, such as ['x']"),
        ("a in b", "a list belongs after in"),
        ("a in []", "the list is empty"),
        ("a in [b]", "a list holds texts in quotes and numbers only"),
        ("a == ['x']", "a list goes with in and not in only"),
        ("a == True", "True is no value of a table. Write 'True' in quotes"),
        ("a == None", "None is not known"),
        ("a == -'x'", "-'x' is not allowed"),
        ("a + 1 == 2", "a + 1 is not allowed"),
        ("a == b + 1", "b + 1 is not allowed"),
        ("a.str.len() > 1", "a.str.len() is not allowed"),
        ("open('x') == 1", "open('x') is not allowed"),
        ("().__class__ == 1", "().__class__ is not allowed"),
        ("a[0] == 1", "a[0] is not allowed"),
        ("(lambda: 1) == a", "is not allowed"),
        ("[x for x in a] == 1", "is not allowed"),
        ("a == f'{b}'", "f'{b}' is not allowed"),
        ("a == b'x'", "b'x' is not allowed"),
        ("a == 1j", "1j is"),
        ("a if b == 1 else c", "is not allowed"),
        ("(a := 1) == 1", "is not allowed"),
        ("a == 'x\\n'", "a backslash cannot stand in a text here"),
        ("a == 1; b == 2", "position 7: this cannot be read"),
        ("a.`b c` == 1", "put the whole name of a column in one pair of backticks"),
        ("a == 1)", "this cannot be read"),
        ("import os", "this cannot be read"),
        ("a == \0", "cannot be read"),
        ("(" * 500 + "a == 1" + ")" * 500, "cannot be read"),
    ],
)
def test_what_is_refused_and_what_is_said(expression, said):
    with pytest.raises(ExpressionError) as caught:
        parse(expression)
    assert said in str(caught.value)


def test_the_message_says_what_is_allowed():
    with pytest.raises(ExpressionError, match="Allowed are column names, texts in quotes, numbers"):
        parse("a = 1")


def test_positions_are_those_of_the_text_as_written():
    with pytest.raises(ExpressionError, match="position 23: b stands alone"):
        parse("  `größe µ` == 'ä' and  b")
