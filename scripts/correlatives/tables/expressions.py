"""The language of filters and eligibility criteria: comparisons of columns with literals.

    BEP == 'Y' and EGFR != 'POSITIVE'
    0 <= ecog <= 2 or (`ECOG (site)` in [0, 1] and not prior_tdm1 == 'yes')

Names of columns (in backticks where they hold other signs than letters, digits, _ and .), texts in
quotes, numbers, lists after ``in``, comparisons, ``and``, ``or``, ``not`` and parentheses: nothing else.
The text is taken apart by Python's own parser and only known parts are accepted; nothing is ever run.

What kind of comparison it is depends on the literal, not on the column. Against a text in quotes, the
column's text is compared, so ``'0012'`` is not ``'12'``. Against a number, the column is compared as
numbers; what is not a number there is treated as described below. Two columns are compared as numbers
where both have one, else as text.

Missing values have two meanings, and the caller chooses:

``where`` (filters) is two-valued. Missing is "not equal": ``EGFR != 'POSITIVE'`` and
``EGFR not in ['POSITIVE']`` hold for a missing EGFR, ``EGFR == 'POSITIVE'`` and every ``<`` or ``>`` do
not; ``not`` turns a true into a false and back. A text that is no number is "not equal" to every number.

``kleene`` (eligibility) is three-valued (Kleene 1938): a comparison with a missing value is unknown, as
is one of a text that is no number with a number. Unknown spreads through ``and``, ``or`` and ``not``
unless the rest decides (false and unknown is false; true or unknown is true).
"""

from __future__ import annotations

import ast
import contextlib
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ALLOWED = (
    "Allowed are column names, texts in quotes, numbers, == != < <= > >=, in [...], not in [...], "
    "and, or, not and parentheses"
)

_OPERATORS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}

#: What people write by habit, and what it is here. Looked for outside of quotes.
_HABITS = (
    (r"(?<![=!<>])=(?!=)", "= is not a comparison. Write == for equal"),
    (r"<>", "<> is not a comparison. Write != for not equal"),
    (r"&&?", "& is not known. Write and"),
    (r"\|\|?", "| is not known. Write or"),
    (r"!(?!=)", "! is not known. Write not"),
    (r"\b(AND|OR|NOT|IN|And|Or|Not|In)\b", "{0} is written in small letters: {1}"),
    (r"(?<![\w.])0\d+(?![\w.])", "{0} is no number. Write '{0}' in quotes to compare it as text"),
    (r"(?<![\w.])\d+\.?[^\W\d]\w*", "{0} is no number. Write a column's name in `backticks`"),
    (r"\bis\b", "is is not known. Write == for equal"),
)


class ExpressionError(ValueError):
    """The expression cannot be read, or names a column that is not there; the message says why."""


class Expression:
    """A parsed expression. Made by ``parse``.

    Attributes
    ----------
    text : str
        As written.
    names : tuple of str
        The columns it names, in the order of their first appearance.
    """

    def __init__(self, text: str, tree: ast.expr, columns: dict[int, str]) -> None:
        self.text = text
        self._tree = tree
        self._columns = columns
        self.names: tuple[str, ...] = tuple(dict.fromkeys(columns.values()))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def where(self, frame: pd.DataFrame) -> np.ndarray:
        """Say for which rows the expression holds; missing is "not equal".

        Parameters
        ----------
        frame : pd.DataFrame, n rows
            With every column of ``names``, as text or numbers.

        Returns
        -------
        np.ndarray of bool, shape (n,)

        Raises
        ------
        ExpressionError
            If a column is not there.
        """
        return self._value(self._tree, frame, unknown=False) == 1

    def kleene(self, frame: pd.DataFrame) -> np.ndarray:
        """Say for which rows the expression holds, in three values.

        Parameters
        ----------
        frame : pd.DataFrame, n rows
            With every column of ``names``, as text or numbers.

        Returns
        -------
        np.ndarray of float, shape (n,)
            1.0 true, 0.0 false, NaN unknown.

        Raises
        ------
        ExpressionError
            If a column is not there.
        """
        return self._value(self._tree, frame, unknown=True)

    def _value(self, node: ast.expr, frame: pd.DataFrame, *, unknown: bool) -> np.ndarray:
        import numpy as np

        if isinstance(node, ast.BoolOp):
            parts = [self._value(part, frame, unknown=unknown) for part in node.values]  # noqa: PD011
            # Kleene's and is the minimum with false < unknown < true, his or the maximum
            halves = np.where(np.isnan(parts), 0.5, parts)
            joined = halves.min(axis=0) if isinstance(node.op, ast.And) else halves.max(axis=0)
            return np.where(joined == 0.5, np.nan, joined)
        if isinstance(node, ast.UnaryOp):
            return 1.0 - self._value(node.operand, frame, unknown=unknown)
        assert isinstance(node, ast.Compare)  # all that ``parse`` lets through
        sides = [node.left, *node.comparators]
        links = [
            self._compare(left, _OPERATORS[type(operator)], right, frame, unknown=unknown)
            for left, operator, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        halves = np.where(np.isnan(links), 0.5, links).min(axis=0)
        return np.where(halves == 0.5, np.nan, halves)

    def _compare(
        self, left: ast.expr, operator: str, right: ast.expr, frame: pd.DataFrame, *, unknown: bool
    ) -> np.ndarray:
        import numpy as np

        if operator in ("in", "not in"):
            assert isinstance(right, (ast.List, ast.Tuple))
            equal = [self._compare(left, "==", item, frame, unknown=unknown) for item in right.elts]
            halves = np.where(np.isnan(equal), 0.5, equal).max(axis=0)
            found = np.where(halves == 0.5, np.nan, halves)
            return found if operator == "in" else 1.0 - found
        if not self._is_column(left):
            left, right = right, left
            operator = _MIRRORED[operator]
        column = _Column(self._column(left, frame))
        if self._is_column(right):
            return column.with_column(operator, _Column(self._column(right, frame)), unknown)
        literal = _literal(right)
        if isinstance(literal, str):
            return column.with_text(operator, literal, unknown)
        return column.with_number(operator, literal, unknown)

    def _is_column(self, node: ast.expr) -> bool:
        return id(node) in self._columns

    def _column(self, node: ast.expr, frame: pd.DataFrame) -> pd.Series:
        name = self._columns[id(node)]
        if name not in frame.columns:
            raise ExpressionError(f"there is no column {name}.")
        return frame[name]


_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class _Column:
    """One column, as text and as numbers."""

    def __init__(self, values: pd.Series) -> None:
        import numpy as np
        import pandas as pd

        self.missing = values.isna().to_numpy(dtype=bool)
        if pd.api.types.is_numeric_dtype(values.dtype):
            self.number = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
            self._text = None
        else:
            self._text = np.array(
                ["" if gone else str(v) for v, gone in zip(values, self.missing, strict=True)],
                dtype=object,
            )
            self.number = pd.to_numeric(
                pd.Series(self._text, dtype=object), errors="coerce"
            ).to_numpy(dtype=float)

    @property
    def text(self) -> np.ndarray:
        """The column as text: a number in its shortest form, 3 and not 3.0."""
        import numpy as np

        if self._text is None:
            self._text = np.array(
                [
                    "" if gone else str(int(v)) if float(v).is_integer() else repr(float(v))
                    for v, gone in zip(self.number, self.missing, strict=True)
                ],
                dtype=object,
            )
        return self._text

    def with_text(self, operator: str, literal: str, unknown: bool) -> np.ndarray:
        return _decide(operator, self.text, literal, self.missing, unknown)

    def with_number(self, operator: str, literal: float, unknown: bool) -> np.ndarray:
        import numpy as np

        return _decide(operator, self.number, literal, np.isnan(self.number), unknown)

    def with_column(self, operator: str, other: _Column, unknown: bool) -> np.ndarray:
        import numpy as np

        missing = self.missing | other.missing
        numbers = ~np.isnan(self.number) & ~np.isnan(other.number)
        as_text = _decide(operator, self.text, other.text, missing, unknown)
        as_number = _decide(operator, self.number, other.number, ~numbers, unknown)
        return np.where(numbers, as_number, as_text)


def _decide(
    sign: str,
    left: np.ndarray,
    right: float | str | np.ndarray,
    undecided: np.ndarray,
    unknown: bool,
) -> np.ndarray:
    """Compare, and put in what holds where a value is missing."""
    import operator

    import numpy as np

    functions = {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
    holds = np.asarray(functions[sign](left, right), dtype=float)
    otherwise = np.nan if unknown else float(sign == "!=")
    return np.where(undecided, otherwise, holds)


def _literal(node: ast.expr) -> str | float:
    if isinstance(node, ast.UnaryOp):
        assert isinstance(node.operand, ast.Constant)
        number = float(node.operand.value)  # type: ignore[arg-type]
        return -number if isinstance(node.op, ast.USub) else number
    assert isinstance(node, ast.Constant)
    return node.value if isinstance(node.value, str) else float(node.value)  # type: ignore


# --- parsing ------------------------------------------------------------------------------------------


def parse(text: str) -> Expression:
    """Take an expression apart.

    Parameters
    ----------
    text : str
        The expression.

    Returns
    -------
    Expression

    Raises
    ------
    ExpressionError
        With a sentence that says what was found, at which position (counted from 1), and what is right.
    """
    return _Parser(text).expression()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text.strip()
        #: the same length, with line breaks as spaces and odd column names as plain ones
        self.plain = re.sub(r"\s", " ", self.text)
        self.quoted: dict[str, str] = {}
        self.columns: dict[int, str] = {}

    def expression(self) -> Expression:
        if not self.text:
            raise ExpressionError("the expression is empty.")
        self._replace_backticks()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.plain, mode="eval").body
        except SyntaxError as error:
            raise self._unreadable(error) from None
        except (ValueError, RecursionError, MemoryError):
            raise ExpressionError(f"the expression cannot be read. {ALLOWED}.") from None
        try:
            self._condition(tree)
        except RecursionError:
            raise ExpressionError("the expression is nested too deeply.") from None
        return Expression(self.text, tree, self.columns)

    # -- column names in backticks, and what stands in quotes

    def _replace_backticks(self) -> None:
        """Replace every `odd name` outside of quotes by a plain name of the same length."""
        pieces, position, quote = [], 0, ""
        spare = (chr(code) for code in range(0x4E00, 0x9FFF) if chr(code) not in self.text)
        while position < len(self.plain):
            sign = self.plain[position]
            if quote:
                if sign == "\\":
                    raise self._error(position, "a backslash cannot stand in a text here")
                quote = "" if sign == quote else quote
            elif sign in "'\"":
                quote = sign
            elif sign == "`":
                end = self.plain.find("`", position + 1)
                if end < 0:
                    raise self._error(position, "a ` is opened and not closed")
                name = self.text[position + 1 : end]
                if not name.strip():
                    raise self._error(position, "there is no name between the backticks")
                stand_in = next(spare) * (end - position + 1)
                self.quoted[stand_in] = name
                pieces.append(stand_in)
                position = end + 1
                continue
            pieces.append(sign)
            position += 1
        if quote:
            start = self.plain.rfind(quote)
            raise self._error(start, f"a {quote} is opened and not closed")
        self.plain = "".join(pieces)

    def _outside_quotes(self) -> str:
        """Return the expression with texts in quotes blanked out."""
        return re.sub(r"'[^']*'|\"[^\"]*\"", lambda match: " " * len(match[0]), self.plain)

    # -- messages

    def _error(self, position: int, message: str) -> ExpressionError:
        return ExpressionError(f'in "{self.text}", position {position + 1}: {message}. {ALLOWED}.')

    def _at(self, node: ast.AST) -> int:
        # ast counts bytes of UTF-8
        line = self.plain.encode()
        return len(line[: node.col_offset].decode())  # type: ignore[attr-defined]

    def _source(self, node: ast.AST) -> str:
        written = ast.get_source_segment(self.plain, node) or ""  # type: ignore[arg-type]
        for stand_in, name in self.quoted.items():
            written = written.replace(stand_in, f"`{name}`")
        return written

    def _wrong(self, node: ast.AST, message: str) -> ExpressionError:
        return self._error(self._at(node), message)

    def _unreadable(self, error: SyntaxError) -> ExpressionError:
        outside = self._outside_quotes()
        for pattern, message in _HABITS:
            match = re.search(pattern, outside)
            if match:
                found = match[0]
                return self._error(match.start(), message.format(found, found.lower()))
        if outside.count("(") > outside.count(")"):
            return self._error(outside.index("("), "a ( is opened and not closed")
        with contextlib.suppress(SyntaxError):
            ast.parse(f"{self.plain} x", mode="eval")
            return self._error(len(self.text), "the expression ends too early")
        return self._error(max((error.offset or 1) - 1, 0), "this cannot be read")

    # -- the whitelist

    def _condition(self, node: ast.expr) -> None:
        """Accept a comparison, or and/or/not of conditions."""
        if isinstance(node, ast.BoolOp):
            for part in node.values:  # noqa: PD011
                self._condition(part)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self._condition(node.operand)
        elif isinstance(node, ast.Compare):
            self._comparison(node)
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = self._name(node)
            raise self._wrong(node, f"{name} stands alone. Compare it, such as {name} == 'yes'")
        elif isinstance(node, ast.Constant):
            raise self._wrong(node, f"{self._source(node)} stands alone, without a comparison")
        else:
            raise self._refused(node)

    def _comparison(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        named = False
        for position, (side, operator) in enumerate(zip(sides, [None, *node.ops], strict=True)):
            if operator is not None and type(operator) not in _OPERATORS:
                raise self._wrong(node, "is is not known. Write == for equal")
            if isinstance(operator, (ast.In, ast.NotIn)):
                self._list(side)
                if position < len(sides) - 1:
                    raise self._wrong(side, "a list ends its comparison. Use and")
                continue
            named = self._operand(side) or named
        pairs = zip(sides, sides[1:], node.ops, strict=False)
        for left, right, operator in pairs:
            listed = isinstance(operator, (ast.In, ast.NotIn))
            if id(left) not in self.columns and (listed or id(right) not in self.columns):
                raise self._wrong(left, f"{self._source(left)} is compared without a column")

    def _list(self, node: ast.expr) -> None:
        if not isinstance(node, (ast.List, ast.Tuple)):
            raise self._wrong(node, f"a list belongs after in, such as [{self._source(node)}]")
        if not node.elts:
            raise self._wrong(node, "the list is empty")
        for item in node.elts:
            if self._operand(item):
                raise self._wrong(item, "a list holds texts in quotes and numbers only")

    def _operand(self, node: ast.expr) -> bool:
        """Accept a column or a literal; say whether it is a column."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            self.columns[id(node)] = self._name(node)
            return True
        inner = node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = node.operand
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                raise self._refused(node)
        if isinstance(inner, ast.Constant):
            if isinstance(inner.value, bool):
                word = self._source(inner)
                raise self._wrong(inner, f"{word} is no value of a table. Write '{word}' in quotes")
            if inner.value is None:
                raise self._wrong(inner, "None is not known: missing values are equal to nothing")
            if isinstance(inner.value, (str, int, float)):
                return False
        if isinstance(inner, (ast.List, ast.Tuple)):
            raise self._wrong(node, "a list goes with in and not in only")
        raise self._refused(node)

    def _refused(self, node: ast.expr) -> ExpressionError:
        """Say that a part is not of this language; & and | are common enough to be named."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            sign, word = ("&", "and") if isinstance(node.op, ast.BitAnd) else ("|", "or")
            return self._wrong(node, f"{sign} is not known. Write {word}")
        return self._wrong(node, f"{self._source(node)} is not allowed")

    def _name(self, node: ast.expr) -> str:
        """Return a column's name: plain, with dots, or in backticks."""
        # from the text: Python's parser replaces letters such as the micro sign in names
        written = ast.get_source_segment(self.plain, node) or ""
        if isinstance(node, ast.Attribute):
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if not isinstance(root, ast.Name) or written in self.quoted or "(" in written:
                raise self._refused(node)
            if any(stand_in in written for stand_in in self.quoted):
                raise self._wrong(node, "put the whole name of a column in one pair of backticks")
            return re.sub(r"\s", "", written)
        return self.quoted.get(written, written)
