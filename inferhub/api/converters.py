"""What may stand in an address."""

from inferhub.lib.slug import SLUG_PATTERN


class _TextConverter:
    """Text as it is, of one form; anything else is an address that does not exist."""

    regex: str

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class SlugConverter(_TextConverter):
    """The name of a model, scenario, workflow or alias."""

    regex = SLUG_PATTERN.strip("^$")


class StorableConverter(_TextConverter):
    """What the database can hold, without a slash."""

    regex = r"[^/\x00]+"


class StorablePathConverter(_TextConverter):
    """What the database can hold: other systems name their subjects and users as they like."""

    regex = r"[^\x00]+"
