"""Names that people give to models, workflows, scenarios and rule sets."""

import re
from functools import lru_cache

SLUG_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"
SLUG_EXPECTED = "a name of lower-case letters, digits and inner hyphens, 1 to 64 characters"
# Addresses under /v2/models/ that the Open Inference Protocol keeps for itself.
RESERVED = frozenset({"stats"})


@lru_cache(4096)
def is_slug(name: str) -> bool:
    """
    >>> is_slug("order-value"), is_slug("Order value"), is_slug("stats")
    (True, False, False)
    """
    return re.fullmatch(SLUG_PATTERN, name) is not None and name not in RESERVED
