"""What the schemas of answers are made of."""

from typing import Any


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


STRING = {"type": "string"}
STRING_OR_NULL = {"type": ["string", "null"]}
COUNT = {"type": "integer", "minimum": 0}
OBJECT = {"type": "object"}
TIME = {"type": "string", "format": "date-time"}
TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
STRINGS = {"type": "array", "items": STRING}
