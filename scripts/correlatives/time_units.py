"""How long a unit of time is, here and in the contract."""

from __future__ import annotations

#: Days in a unit of ``study.time_unit``.
DAYS = {"days": 1.0, "weeks": 7.0, "months": 30.4375, "years": 365.25}

DAYS_A_MONTH = DAYS["months"]
