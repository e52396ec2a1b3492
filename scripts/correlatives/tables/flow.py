"""Who remains and who was left out, step by step: ``check/flow.tsv``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd


class Flow:
    """Accounts for every subject and sample from the files to each analysis.

    The trunk is a sequence of steps; a branch (one an analysis) starts from the trunk's end. At every
    step, by unit and arm: remaining = remaining before − left out.
    """

    def __init__(self) -> None:
        self.remaining: dict[str, dict[str, str]] = {"subject": {}, "sample": {}}
        self._rows: list[tuple[str, str, str, str, int]] = []

    def start(self, step: str, unit: str, arms: Mapping[str, str]) -> None:
        """Begin with `arms`: every id of the unit, and its arm ("" where unknown)."""
        self.remaining[unit] = dict(arms)
        self._rows += self._count(step, unit, "", self.remaining[unit])

    def leave_out(self, step: str, unit: str, reasons: Mapping[str, str]) -> None:
        """Set aside the ids of `reasons` (id -> reason), and write who remains."""
        before = self.remaining[unit]
        after = {key: arm for key, arm in before.items() if key not in reasons}
        for reason in sorted({reasons[key] for key in before if key in reasons}):
            gone = {k: a for k, a in before.items() if reasons.get(k) == reason}
            self._rows += self._count(step, unit, reason, gone)
        self._rows += self._count(step, unit, "", after, arms_of=before)
        self.remaining[unit] = after

    def branch(self, step: str, unit: str, reasons: Mapping[str, str]) -> None:
        """Write one analysis: who of those remaining it leaves out, and who is in it."""
        trunk = self.remaining[unit]
        self.leave_out(step, unit, reasons)
        self.remaining[unit] = trunk

    @staticmethod
    def _count(
        step: str,
        unit: str,
        reason: str,
        members: Mapping[str, str],
        arms_of: Mapping[str, str] | None = None,
    ) -> list[tuple[str, str, str, str, int]]:
        arms: Iterable[str] = sorted(set((arms_of or members).values()))
        counts = dict.fromkeys(arms, 0)
        for arm in members.values():
            counts[arm] += 1
        return [(step, unit, arm, reason, n) for arm, n in counts.items()]

    def frame(self) -> pd.DataFrame:
        """Return ``check/flow.tsv``."""
        import pandas as pd

        return pd.DataFrame(self._rows, columns=["step", "unit", "arm", "reason", "n"])
