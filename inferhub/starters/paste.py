"""Lines to paste into a shell."""

import shlex
from typing import Any

import orjson


def curl_line(address: str, api_key: str, path: str, body: Any = None) -> str:
    """A request to `path` behind /api/v1/: POST with `body`, or GET without one. The key may be a variable, $KEY."""
    line = f'curl -s {address}/api/v1/{path} -H "Authorization: Bearer {api_key}"'
    if body is None:
        return line
    return f"{line} -H 'Content-Type: application/json' -d {shlex.quote(orjson.dumps(body).decode())}"
