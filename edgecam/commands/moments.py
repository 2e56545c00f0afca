"""Moments as people type them: a date, a date and time, or how long ago."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_moment(text: str, now: datetime) -> datetime:
    """`2h` (ago; also s, m, d, w), `2026-11-01`, `2026-11-01T18:30` or with a zone; without one, local time.

    `now` and the result carry a time zone. Raises ValueError, which says what is allowed.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise ValueError(f"{text}: allowed are 90s, 30m, 2h, 7d, 1w (ago), 2026-11-01, 2026-11-01T18:30") from None
