"""Rule sets of several tables as JDM: a chain of nodes, each of which adds what it says under its name.

Other rule sets are decision nodes, whose key is the rule set; the version is told beside JDM's own keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inferhub.errors import FieldError, InvalidDefinition
from inferhub.lib.describe import describe, pointer
from inferhub.rules.jdm import JsonObject, to_jdm
from inferhub.rules.jdm_import import Reading, from_jdm, read_content
from inferhub.rules.rule_set import Find, RuleSet, Step, parse_rule_set
from inferhub.rules.table import DecisionTable

VERSION_KEY = "x-version"
ZONE_KEY = "x-time-zone"
_KINDS = ("decisionTableNode", "decisionNode")


def rule_set_to_jdm(rule_set: RuleSet, *, name: str = "Decision table") -> JsonObject:
    """A JDM document of a rule set; `rule_set_from_jdm` reads it back to the same meaning."""
    if rule_set.is_single:
        return to_jdm(rule_set.last, name=name)
    document = to_jdm(rule_set.last, name=name)
    request, _, response = document["nodes"]
    last = len(rule_set.steps) - 1
    steps = [_node(step, at, is_last=at == last) for at, step in enumerate(rule_set.steps)]
    nodes = [request, *steps, response]
    for at, node in enumerate(nodes):
        node["position"] = {"x": 80 + 300 * at, "y": 120}
    document["nodes"] = nodes
    document["edges"] = [
        {"id": f"edge-{at}", "type": "edge", "sourceId": source["id"], "targetId": nodes[at + 1]["id"]}
        for at, source in enumerate(nodes[:-1])
    ]
    return document | {ZONE_KEY: rule_set.zone}


def rule_set_from_jdm(document: object, find: Find | None = None) -> RuleSet:
    """The rule set of a JDM document whose tables form a chain, or which has one. Raises InvalidDefinition."""
    nodes = document.get("nodes") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(nodes, list) or _is_single(nodes):
        return parse_rule_set(from_jdm(document).to_dict())
    chain = _chain(nodes, document.get("edges"))
    entries, readings = [], list[Reading | int]()
    for at, node in chain:
        entry, reading = _entry(node, at)
        entries.append(entry)
        readings.append(reading)
    try:
        return parse_rule_set({"tables": entries, "time_zone": document.get(ZONE_KEY, "UTC")}, find)
    except InvalidDefinition as exc:
        raise InvalidDefinition(errors=[_located(error, readings) for error in exc.errors]) from None


def _node(step: Step, at: int, *, is_last: bool) -> JsonObject:
    if isinstance(step.rules, DecisionTable):
        node: JsonObject = to_jdm(step.rules, name=step.name)["nodes"][1]
    else:
        content = {"key": step.rule_set, VERSION_KEY: step.version}
        node = {"type": "decisionNode", "name": step.name, "content": content}
    node["id"] = f"table-{at}"
    node["content"] |= {"passThrough": not is_last} | ({} if is_last else {"outputPath": step.name})
    return node


def _is_single(nodes: Sequence[Any]) -> bool:
    """Whether there is nothing but one table, or something that `from_jdm` has words for."""
    if not all(isinstance(node, Mapping) for node in nodes):
        return True
    kinds = [node.get("type") for node in nodes]
    if any(kind not in ("inputNode", "outputNode", *_KINDS) for kind in kinds):
        return True
    tables = [node for node in nodes if node.get("type") in _KINDS]
    return len(tables) <= 1 and not any(node["type"] == "decisionNode" for node in tables)


def _chain(nodes: Sequence[Mapping[str, Any]], edges: object) -> list[tuple[int, Mapping[str, Any]]]:
    """The tables with their places in the document, in the order of the edges, which must not branch."""
    places = {node.get("id"): at for at, node in enumerate(nodes)}
    follows: dict[Any, Any] = {}
    for at, edge in enumerate(edges if isinstance(edges, list) else []):
        source = edge.get("sourceId") if isinstance(edge, Mapping) else None
        if source not in places or edge.get("targetId") not in places or source in follows:
            raise _error(pointer("edges", at), "one edge from each node to the next", "another")
        follows[source] = edge["targetId"]
    here = next((node.get("id") for node in nodes if node.get("type") == "inputNode"), None)
    chain: list[tuple[int, Mapping[str, Any]]] = []
    while (here := follows.pop(here, None)) is not None:
        if nodes[places[here]]["type"] in _KINDS:
            chain.append((places[here], nodes[places[here]]))
    if sorted(at for at, _ in chain) != [at for at, node in enumerate(nodes) if node["type"] in _KINDS]:
        raise _error("/edges", "a chain from the input through every table", "tables beside it")
    return chain


def _entry(node: Mapping[str, Any], at: int) -> tuple[dict[str, Any], Reading | int]:
    content = node.get("content")
    if not isinstance(content, Mapping):
        raise _error(pointer("nodes", at, "content"), "an object", describe(content))
    name = {"name": content.get("outputPath") or node.get("name")}
    if node["type"] == "decisionNode":
        return name | {"rule_set": content.get("key"), "version": content.get(VERSION_KEY)}, at
    reading = read_content(content, at)
    return name | reading.definition, reading


def _located(error: FieldError, readings: Sequence[Reading | int]) -> FieldError:
    _, part, number, rest = [*error.pointer.split("/", 3), "", "", ""][:4]
    if part != "tables" or not number.isdecimal():
        return error
    reading = readings[int(number)]
    if isinstance(reading, int) or rest == "name":
        at = reading if isinstance(reading, int) else reading.at
        return replace(error, pointer=pointer("nodes", at, "name" if rest == "name" else "content"))
    return reading.locate(replace(error, pointer=f"/{rest}" if rest else ""))


def _error(where: str, expected: str, got: str) -> InvalidDefinition:
    return InvalidDefinition(errors=[FieldError(pointer=where, expected=expected, got=got)])
