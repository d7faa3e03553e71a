"""Rule sets of several tables, and random facts for them."""

import math
import random
from typing import Any

from inferhub.errors import NotFound

CREDIT: dict[str, Any] = {
    "hit_policy": "unique",
    "inputs": [{"field": "input.country", "type": "string"}],
    "outputs": [{"field": "limit", "type": "number"}, {"field": "is_known", "type": "boolean"}],
    "rules": [
        {"when": ['in ["DE", "AT"]'], "then": ["1000", "true"]},
        {"when": ['"FR"'], "then": ["500.5", "true"]},
        {"when": [""], "then": ["0", "false"]},
    ],
}
SCREENING: dict[str, Any] = {
    "time_zone": "Europe/Berlin",
    "tables": [
        {
            "name": "risk",
            "hit_policy": "collect",
            "inputs": [
                {"field": "input.total", "type": "number"},
                {"field": "input.customer", "type": "string"},
                {"field": "input.age", "type": "number", "is_optional": True},
            ],
            "outputs": [
                {"field": "points", "type": "number", "aggregate": "sum"},
                {"field": "worst", "type": "number", "aggregate": "max"},
                {"field": "hits", "type": "number", "aggregate": "count"},
                {"field": "reasons", "type": "string", "aggregate": "join"},
            ],
            "rules": [
                {"when": ["> 100", "", ""], "then": ["0.1", "1", "1", '"large"']},
                {"when": ["> 1000", "", ""], "then": ["0.2", "2", "1", '"very large"']},
                {"when": ["", 'in list "blocked"', ""], "then": ["100", "9", "1", '"blocked"']},
                {"when": ["", "", "null, < 18"], "then": ["input.total / 100", "null", "null", "null"]},
            ],
        },
        {"name": "credit", "rule_set": "credit-check", "version": 3},
        {
            "name": "level",
            "hit_policy": "first",
            "inputs": [
                {"field": "risk.points", "type": "number"},
                {"field": "risk.worst", "type": "number", "is_optional": True},
                {"field": "room", "type": "number", "expression": "credit.limit - input.total"},
                {"field": "credit.is_known", "type": "boolean"},
            ],
            "outputs": [{"field": "name", "type": "string"}, {"field": "share", "type": "number"}],
            "rules": [
                {"when": [">= 100", "", "", ""], "then": ['"high"', "1"]},
                {"when": ["0.3", "2", "", ""], "then": ['"middle"', "room / risk.points"]},
                {"when": ["", "null", "< 0", "false"], "then": ['"middle"', "room"]},
                {"when": ["", "", "", ""], "then": ['"low"', "null"]},
            ],
        },
        {
            "name": "outcome",
            "hit_policy": "first",
            "inputs": [
                {"field": "level.name", "type": "string"},
                {"field": "risk.reasons", "type": "string"},
                {"field": "level.share", "type": "number", "is_optional": True},
            ],
            "outputs": [{"field": "outcome", "type": "string"}, {"field": "why", "type": "string"}],
            "rules": [
                {"when": ['"high"', "", ""], "then": ['"reject"', "risk.reasons"], "note": "high"},
                {"when": ['"middle"', 'contains($, "large")', ""], "then": ['"review"', "risk.reasons"]},
                {"when": ['"middle"', "", "< -500"], "then": ['"review"', '"far over the limit"']},
                {"when": ["", "", ""], "then": ['"accept"', '"nothing"']},
            ],
        },
    ],
}
COLUMNS = ("input.total", "input.customer", "input.age", "input.country")


def find(name: str, version: int) -> object:
    """The one other rule set that there is."""
    if (name, version) != ("credit-check", 3):
        raise NotFound(f"There is no version {version} of a rule set '{name}'.")
    return CREDIT


def facts(generator: random.Random) -> dict[str, Any]:
    """Values at the boundaries of the cells, some null, by path."""
    edges = [0.0, 100.0, 500.5, 1000.0, 1001.0]
    edges += [math.nextafter(edge, toward) for edge in edges for toward in (-math.inf, math.inf)]
    return {
        "input.total": generator.choice([*edges, generator.uniform(0, 2000), 1e300, math.nan, None]),
        "input.customer": generator.choice(["ann", "ben", "cid", None]),
        "input.age": generator.choice([None, 17.9, 18.0, 40.0]),
        "input.country": generator.choice(["DE", "AT", "FR", "CH", None]),
    }
