"""What may stand in an address."""

from inferhub.lib.slug import SLUG_PATTERN


class SlugConverter:
    """The name of a model, scenario, workflow or alias; anything else is an address that does not exist."""

    regex = SLUG_PATTERN.strip("^$")

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
