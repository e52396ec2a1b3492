"""What is wrong with the input: collected, never raised, told all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Problem(NamedTuple):
    """One line of ``check/problems.tsv``."""

    severity: str
    table: str
    file: str
    row: int | None
    column: str
    subject_id: str
    value: str
    rule: str
    message: str


class Problems:
    """Collects problems; severity follows from the rule.

    ``add(rule, message, table=, file=, row=, column=, subject_id=, value=)`` notes one. The rules are in
    ``RULES``: id -> (severity, what it means). An unknown rule id is a KeyError, so that ids stay
    documented and stable.
    """

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(
        self,
        rule: str,
        message: str,
        *,
        table: str = "",
        file: str = "",
        row: int | None = None,
        column: str = "",
        subject_id: str = "",
        value: object = "",
    ) -> None:
        """Note one problem."""
        severity, _ = RULES[rule]
        self.found.append(
            Problem(severity, table, file, row, column, subject_id, str(value), rule, message)
        )

    @property
    def errors(self) -> list[Problem]:
        """Those that stop the run."""
        return [problem for problem in self.found if problem.severity == "error"]

    def frame(self) -> pd.DataFrame:
        """Return ``check/problems.tsv``: errors first, then by table, file, row and column."""
        import pandas as pd

        order = {"error": 0, "warning": 1, "accepted": 2}
        rows = sorted(
            self.found,
            key=lambda p: (order[p.severity], p.table, p.file, p.row or 0, p.column, p.subject_id),
        )
        return pd.DataFrame(rows, columns=list(Problem._fields)).astype({"row": "Int64"})


#: rule id -> (severity, what it means and what to do); the ids are stable: `accept` names them.
RULES: dict[str, tuple[str, str]] = {}
