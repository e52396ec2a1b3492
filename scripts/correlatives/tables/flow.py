"""Who remains and who was left out, step by step: ``check/flow.tsv``."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Flow:
    """Accounts for every subject and sample from the files to each analysis.

    The trunk is a sequence of steps; a branch (one an analysis) starts from the trunk's end. At every
    step, by unit and arm: remaining = remaining before − left out.
    """

    def __init__(self) -> None:
        self.remaining: dict[str, dict[str, str]] = {"subject": {}, "sample": {}}
        self._rows: list[tuple[str, str, str, str, int]] = []
        self._order: dict[str, int] = {}

    def start(self, step: str, unit: str, arms: Mapping[str, str]) -> None:
        """Begin with `arms`: every id of the unit, and its arm ("" where unknown)."""
        self.remaining[unit] = dict(arms)
        self._rows += self._count(step, unit, "", self.remaining[unit])

    def started(self, unit: str) -> bool:
        """Whether the unit has been counted from the files already."""
        return any(row[1] == unit for row in self._rows)

    def leave_out(self, step: str, unit: str, reasons: Mapping[str, str]) -> None:
        """Set aside the ids of `reasons` (id -> reason), and write who remains."""
        before = self.remaining[unit]
        after = {key: arm for key, arm in before.items() if key not in reasons}
        members: dict[str, dict[str, str]] = {}
        for key, arm in before.items():
            if key in reasons:
                members.setdefault(reasons[key], {})[key] = arm
        for reason in sorted(members):
            self._rows += self._count(step, unit, reason, members[reason])
        self._rows += self._count(step, unit, "", after, arms_of=before)
        self.remaining[unit] = after

    def branch(self, step: str, unit: str, reasons: Mapping[str, str]) -> None:
        """Write one analysis: who of those remaining it leaves out, and who is in it."""
        trunk = self.remaining[unit]
        self.leave_out(step, unit, reasons)
        self.remaining[unit] = trunk

    def relabel(self, arms: Mapping[str, str], order: Iterable[str] = ()) -> None:
        """Write arms by another label from the first step on; those that share one are pooled.

        Within a step they are listed in `order`, others after them.
        """
        self._order = {arm: rank for rank, arm in enumerate(order)}
        for unit, members in self.remaining.items():
            self.remaining[unit] = {key: arms.get(arm, arm) for key, arm in members.items()}
        pooled: dict[tuple[str, str, str, str], int] = {}
        for step, unit, arm, reason, n in self._rows:
            key = (step, unit, arms.get(arm, arm), reason)
            pooled[key] = pooled.get(key, 0) + n
        self._rows = [(*key, n) for key, n in pooled.items()]

    @staticmethod
    def _count(
        step: str,
        unit: str,
        reason: str,
        members: Mapping[str, str],
        arms_of: Mapping[str, str] | None = None,
    ) -> list[tuple[str, str, str, str, int]]:
        arms: Iterable[str] = sorted(set((members if arms_of is None else arms_of).values()))
        counts = dict.fromkeys(arms, 0)
        for arm in members.values():
            counts[arm] += 1
        return [(step, unit, arm, reason, n) for arm, n in counts.items()]

    def frame(self) -> pd.DataFrame:
        """Return ``check/flow.tsv``."""
        import pandas as pd

        rows: list[tuple[str, str, str, str, int]] = []
        for _, block in itertools.groupby(self._rows, key=lambda row: (row[0], row[1], row[3])):
            rows += sorted(block, key=lambda row: self._order.get(row[2], len(self._order)))
        return pd.DataFrame(rows, columns=["step", "unit", "arm", "reason", "n"])
