"""The fields that a workflow's input declares, as pages list them."""

from collections.abc import Mapping
from typing import Any


def field_names(schema: Mapping[str, Any]) -> list[str]:
    """Declared names, the required ones first as they are written: the database keeps properties by length of name.

    >>> field_names({"properties": {"at": {}, "total": {}, "order_id": {}}, "required": ["order_id", "total"]})
    ['order_id', 'total', 'at']
    """
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if name in properties]
    return [*required, *(name for name in properties if name not in required)]
