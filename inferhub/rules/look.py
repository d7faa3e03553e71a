"""What rules see beside the facts: the time, and look-up lists. It is remembered, so that a replay sees the same."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from inferhub.rules.lists import AskedList, ListedText

TIME_PREFIX = "time."
TIME_FIELDS: Mapping[str, str] = {
    "time.now": "string",
    "time.today": "date",
    "time.year": "number",
    "time.month": "number",
    "time.day": "number",
    "time.weekday": "string",
    "time.hour": "number",
    "time.minute": "number",
}
"""The fields that tell when it is decided, with their types, in the time zone of the rule set."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_Asked = tuple[str, str, str]  # list, text, field


class Look:
    """One decision's look around, at one moment.

    `lists` are those that the rules may ask, by name. `to_dict` tells what was asked and answered; `Look.recorded` of
    that answers the same again, whatever the lists hold by then.
    """

    __slots__ = ("_answers", "_lists", "at")

    def __init__(self, *, at: datetime, lists: Mapping[str, AskedList]) -> None:
        self.at = at
        self._lists = lists
        self._answers: dict[_Asked, tuple[int, bool]] = {}

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> "Look":
        """The look that `record`, made by `to_dict`, tells of. It knows of no other texts: see `RecordedList`."""
        by_list: dict[str, dict[str, bool]] = {}
        versions: dict[str, int] = {}
        for entry in record["lists"]:
            by_list.setdefault(entry["list"], {})[entry["value"]] = entry["is_member"]
            versions[entry["list"]] = entry["version"]
        lists = {name: RecordedList(name, versions[name], answers) for name, answers in by_list.items()}
        return cls(at=datetime.fromisoformat(record["at"]), lists=lists)

    def listed(self, text: str, *, field: str, names: Iterable[str]) -> ListedText:
        """`text`, which stands in `field`, with those of the lists that it is on."""
        on = []
        for name in names:
            asked = self._lists[name]
            is_member = asked.holds(text, at=self.at)
            self._answers[name, text, field] = asked.version, is_member
            if is_member:
                on.append(name)
        return ListedText.of(text, on)

    def holds(self, name: str, text: str) -> bool:
        """Whether a text is on a list, without remembering it: for millions of them."""
        return self._lists[name].holds(text, at=self.at)

    def time_facts(self, zone: str) -> dict[str, Any]:
        """What `TIME_FIELDS` name, without their first part."""
        return time_facts(self.at, zone)

    def to_dict(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "lists": [
                {
                    "field": field,
                    "value": str(text),
                    "list": name,
                    "version": version,
                    "is_member": is_member,
                    "words": f"{field} is {'' if is_member else 'not '}in list {name}",
                }
                for (name, text, field), (version, is_member) in self._answers.items()
            ],
        }


class RecordedList:
    """What a list answered once. Raises KeyError for a text that nobody asked it then."""

    def __init__(self, name: str, version: int, answers: Mapping[str, bool]) -> None:
        self.name = name
        self.version = version
        self._answers = answers

    def holds(self, text: str, *, at: datetime) -> bool:
        del at  # the answer was given for that moment
        return self._answers[text]


def time_facts(at: datetime, zone: str) -> dict[str, Any]:
    """The parts of a moment as people of a time zone read them off clock and calendar.

    >>> from datetime import UTC
    >>> time_facts(datetime(2026, 1, 31, 23, 30, tzinfo=UTC), "Europe/Berlin")["weekday"]
    'sunday'
    """
    local = at.astimezone(_zone(zone))
    return {
        "now": local.isoformat(),
        "today": local.date(),
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "weekday": WEEKDAYS[local.weekday()],
        "hour": local.hour,
        "minute": local.minute,
    }


def is_zone(name: str) -> bool:
    """
    >>> is_zone("Europe/Berlin"), is_zone("Berlin"), is_zone("../etc/passwd")
    (True, False, False)
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # that there is none is a KeyError
        return False
    return True


@lru_cache(100)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
