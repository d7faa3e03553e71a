"""Points in time as callers write them."""

from datetime import UTC, datetime

import orjson

from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe

MOMENT_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
MOMENT_EXPECTED = "a time with its zone, such as 2026-12-01T00:00:00+01:00"
_YEARS = range(2, 9999)  # any zone of them is one that PostgreSQL and Python both hold


def iso_text(moment: datetime) -> str:
    """`moment.isoformat()` of a moment in UTC, eight times as quick.

    >>> iso_text(datetime(2026, 12, 1, 8, 30, tzinfo=UTC)), iso_text(datetime(2026, 12, 1, 8, 30, 0, 5, tzinfo=UTC))
    ('2026-12-01T08:30:00+00:00', '2026-12-01T08:30:00.000005+00:00')
    """
    return orjson.dumps(moment)[1:-1].decode()


def parse_moment(text: str, *, at: str) -> datetime:
    """In UTC, an ISO 8601 time with its zone, or a day, which means its beginning in UTC. Raises InvalidInput at `at`.

    PostgreSQL does not take every zone that Python takes.

    >>> parse_moment("2026-12-01T00:00:00+01:00", at="/as_of").isoformat()
    '2026-11-30T23:00:00+00:00'
    >>> parse_moment("2026-12-01", at="/as_of").isoformat()
    '2026-12-01T00:00:00+00:00'
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is not None and len(text) == len("2026-12-01"):
        found = found.replace(tzinfo=UTC)
    if found is None or found.tzinfo is None or found.year not in _YEARS:
        expected = f"{MOMENT_EXPECTED}, or a day"
        raise InvalidInput(errors=[FieldError(pointer=at, expected=expected, got=describe(text))])
    return found.astimezone(UTC)
