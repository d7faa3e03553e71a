"""The two-stage recommender as one ONNX graph: `FirstStage.describe`, the trees, and the list.

Every step repeats the native one in float32 and in the same order, so that candidates and features have the same bits
and only the sum of the leaves may differ in the last one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from recommender.onnx_export.builder import FLOAT, INT64, STRING, GraphBuilder
from recommender.onnx_export.feeds import input_of
from recommender.onnx_export.neighbour_graph import CONVERTER_OPSET, Links, NeighbourWriter, Request, declare_request
from recommender.reranking.first_stage import BLEND, FAST_DAYS, LINK_DAYS, MASKED, NEVER, SLOW_DAYS, FirstStage
from recommender.reranking.user_groups import UserGroups
from recommender.two_stage import TwoStageModel
from recommender.version import VERSION


def build_two_stage_graph(model: TwoStageModel) -> bytes:
    """The graph of `TwoStage.recommend`.

    Inputs: history string [N, H], padded with "". Optional: ages float32 [N, H] in days, exclude string [N, E] (or
    [1, E]), unavailable string [U], k int64 [1], and user_<name> [N, 1] for each feature of customers, string ("" is
    unknown) or float32 (NaN is). Outputs: items string, scores float32, reasons string (another item of the history)
    and sources string ("again": bought before, "similar": linked with the reason, "trending": neither), each [N, k].
    """
    graph = GraphBuilder()
    request = declare_request(graph, has_ages=True)
    writer = _Writer(graph, model.first, NeighbourWriter(graph, model.first.table, len(model.first.table.items) + 1))
    groups = [writer.group(feature) for feature in model.first.groups]
    events = writer.events(request)
    dense = writer.dense_scores(events) | writer.lift(groups, request.customers)
    blend, items = writer.choose(writer.barred(writer.blend(dense), request), request.k)
    columns = {name: graph.op("GatherElements", values, items, axis=1) for name, values in dense.items()}
    features = writer.features(events, columns, blend, items)
    scores = writer.rank(features, events, blend, model)
    writer.name_outputs(request, events, items, scores, columns["times"])
    gaps = [input_of(feature.name) for feature in model.first.groups if feature.labels is None]
    metadata = {"task": "recommendation", "allows_nan": json.dumps(gaps), "library_version": VERSION}
    return graph.build("two_stage_recommendation", metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Events:
    """`items` int64 [N, H + 1] with "no item" where unknown, `ages` float32 alike, `owned` the distinct items."""

    items: str
    ages: str
    is_known: str
    owned: str
    links: Links
    owned_count: str  # float32 [N, 1]
    customers: str


@dataclass(frozen=True, slots=True)
class _Writer:
    graph: GraphBuilder
    first: FirstStage
    links: NeighbourWriter

    def const(self, value: Any) -> str:
        return self.graph.constant(value)

    def number(self, value: float) -> str:
        return self.graph.constant(np.float32(value))

    def axis(self, *axes: int) -> str:
        return self.graph.constant(np.array(axes, np.int64))

    def events(self, request: Request) -> _Events:
        graph, links = self.graph, self.links
        no_item = self.const(np.int64(links.no_item))
        items = links.with_one_more(links.encode(request.history), no_item)
        ages = links.with_one_more(request.ages or "", self.number(0))
        ages = graph.op("Min", graph.op("Max", ages, self.number(0)), self.const(NEVER - np.float32(1)))
        owned = links.distinct(items)
        is_owned = graph.op("Cast", graph.op("Less", owned, no_item), to=FLOAT)
        return _Events(
            items=items,
            ages=ages,
            is_known=graph.op("Less", items, no_item),
            owned=owned,
            links=links.links(owned, None),
            owned_count=graph.op("ReduceSum", is_owned, self.axis(1), keepdims=1),
            customers=request.customers,
        )

    def dense_scores(self, events: _Events) -> dict[str, str]:
        """`FirstStage._scores` for every item and "no item", float32 [N, I + 1] each."""
        graph, links = self.graph, self.links
        last = self._scattered(events, events.ages, "min", float(NEVER))
        faded = links.fade(graph.op("GatherElements", last, events.owned, axis=1), LINK_DAYS)
        base = self.const(np.zeros((1, links.no_item + 1), np.float32))
        ones = graph.op("Add", graph.op("Mul", events.ages, self.number(0)), self.number(1))
        return {
            "links": links.add_weights(base, events.links, events.customers),
            "recent_links": links.add_weights(base, links.links(events.owned, faded), events.customers),
            "own": self._scattered(events, links.fade(events.ages, SLOW_DAYS), "add", 0.0),
            "own_fast": self._scattered(events, links.fade(events.ages, FAST_DAYS), "add", 0.0),
            "times": self._scattered(events, ones, "add", 0.0),
            "last": last,
            "first": self._scattered(events, events.ages, "max", 0.0),
        }

    def _scattered(self, events: _Events, values: str, reduction: str, start: float) -> str:
        graph = self.graph
        width = self.const(np.array([self.links.no_item + 1], np.int64))
        shape = graph.op("Concat", events.customers, width, axis=0)
        filled = graph.op("Expand", self.number(start), shape)
        return graph.op("ScatterElements", filled, events.items, values, axis=1, reduction=reduction)

    def group(self, feature: UserGroups) -> str:
        """Declare the feature's input; `UserGroups.group_of` as int64 [N, 1], or [1, 1] where it is left out."""
        graph, name = self.graph, input_of(feature.name)
        if feature.labels is not None:
            text = graph.input(name, STRING, ["N", 1], default=np.array([[""]], object))
            return graph.encode(text, feature.labels, default=feature.count)
        amount = graph.input(name, FLOAT, ["N", 1], default=np.array([[np.nan]], np.float32))
        reached = graph.op("GreaterOrEqual", amount, self.const(feature.edges[np.newaxis]))
        band = graph.op("ReduceSum", graph.op("Cast", reached, to=INT64), self.axis(1), keepdims=1)
        return graph.op("Where", graph.op("IsNaN", amount), self.const(np.int64(feature.count)), band)

    def lift(self, groups: Sequence[str], customers: str) -> dict[str, str]:
        """`FirstStage._lift` for every item and "no item", float32 [N, I + 1], if there are groups."""
        graph, total = self.graph, ""
        for feature, group in zip(self.first.groups, groups, strict=True):
            table = self.const(np.pad(feature.lifts, ((0, 0), (0, 1))))
            lifts = graph.op("Flatten", graph.op("Gather", table, group))
            total = graph.op("Add", total, lifts) if total else lifts
        if not total:
            return {}
        mean = graph.op("Div", total, self.number(len(groups)))
        return {"lift": graph.op("Expand", mean, self._per_customer(customers, self.links.no_item + 1))}

    def blend(self, dense: dict[str, str]) -> str:
        graph = self.graph
        recent, own, trend = BLEND
        links = graph.op("Add", dense["links"], graph.op("Mul", dense["recent_links"], self.const(recent)))
        with_own = graph.op("Add", links, graph.op("Mul", dense["own"], self.const(own)))
        trending = self.const(np.append(self.first.profile.trend * trend, np.float32(0))[np.newaxis])
        if "lift" in dense:
            trending = graph.op("Mul", trending, dense["lift"])
        return graph.op("Add", with_own, trending)

    def barred(self, blend: str, request: Request) -> str:
        """Mask excluded and unavailable items and, with them, "no item"."""
        graph, links = self.graph, self.links
        unavailable = links.one_row_each(graph.reshape(request.unavailable, 1, -1), request.customers)
        ids = graph.op("Concat", links.one_row_each(request.exclude, request.customers), unavailable, axis=1)
        nothing = graph.op("Expand", self.const(np.array([[""]], object)), self._per_customer(request.customers, 1))
        return links.mask(blend, graph.op("Concat", ids, nothing, axis=1))

    def _per_customer(self, customers: str, width: int) -> str:
        return self.graph.op("Concat", customers, self.const(np.array([width], np.int64)), axis=0)

    def choose(self, blend: str, k: str) -> tuple[str, str]:
        """The candidates: blend float32 and items int64, both [N, C], best first."""
        count = self.graph.op("Max", k, self.const(np.array([self.first.candidates], np.int64)))
        best, items = self.graph.ops("TopK", blend, self.links.at_most_all(count), count=2, axis=1)
        return best, items

    def features(self, events: _Events, columns: dict[str, str], blend: str, items: str) -> str:
        """`FirstStage.feature_names` of every candidate, float32 [N, C, F]."""
        graph = self.graph
        made = self._made(events, columns, blend)
        if self.first.profile.categories is not None:
            made["affinity"] = self._affinity(events, items)
        ordered = [graph.op("Unsqueeze", part, self.axis(2)) for part in (*columns.values(), *made.values())]
        profile = np.pad(self.first.profile.values, ((0, 1), (0, 0)))
        return graph.op("Concat", *ordered, graph.op("Gather", self.const(profile), items), axis=2)

    def _made(self, events: _Events, columns: dict[str, str], blend: str) -> dict[str, str]:
        graph = self.graph
        one = self.number(1)
        known_ages = graph.op("Where", events.is_known, events.ages, self.const(NEVER))
        user_last = graph.op("ReduceMin", known_ages, self.axis(1), keepdims=1)
        baskets = self._distinct_ages(known_ages)
        repeats = graph.op("Max", graph.op("Sub", columns["times"], one), one)
        shape = graph.op("Shape", blend)
        return {
            "blend": blend,
            "rank_links": self._ranks(columns["links"]),
            "rank_recent": self._ranks(columns["recent_links"]),
            "rank_own": self._ranks(columns["own"]),
            "interval": graph.op("Div", graph.op("Sub", columns["first"], columns["last"]), repeats),
            "share": graph.op("Div", columns["times"], graph.op("Max", baskets, one)),
            "since_last": graph.op("Sub", columns["last"], user_last),
            "baskets": graph.op("Expand", baskets, shape),
            "owned": graph.op("Expand", events.owned_count, shape),
            "user_last": graph.op("Expand", user_last, shape),
        }

    def _distinct_ages(self, ages: str) -> str:
        """How many different ages below NEVER each row has, float32 [N, 1]."""
        graph = self.graph
        ordered, _ = graph.ops("TopK", ages, graph.dimension(ages, 1), count=2, axis=1, largest=0)
        before = graph.op("Slice", ordered, self.axis(0), self.axis(-1), self.axis(1))
        before = graph.op("Pad", before, self.axis(0, 1, 0, 0), self.number(-1))
        is_new = graph.op("And", graph.op("Less", before, ordered), graph.op("Less", ordered, self.const(NEVER)))
        return graph.op("ReduceSum", graph.op("Cast", is_new, to=FLOAT), self.axis(1), keepdims=1)

    def _ranks(self, values: str) -> str:
        graph = self.graph
        size = graph.dimension(values, 1)
        _, order = graph.ops("TopK", values, size, count=2, axis=1)
        zero, one = self.const(np.int64(0)), self.const(np.int64(1))
        numbers = graph.op("Cast", graph.op("Range", zero, graph.op("Squeeze", size), one), to=FLOAT)
        places = graph.op("Expand", numbers, graph.op("Shape", values))
        return graph.op("ScatterElements", places, order, places, axis=1)

    def _affinity(self, events: _Events, items: str) -> str:
        graph, profile = self.graph, self.first.profile
        categories = np.append(np.asarray(profile.categories, np.int64), profile.category_count)
        table = self.const(categories)
        owned = graph.op("Gather", table, events.owned)
        filled = graph.op("Expand", self.number(0), self._per_customer(events.customers, profile.category_count + 1))
        ones = graph.op("Expand", self.number(1), graph.op("Shape", owned))
        counts = graph.op("ScatterElements", filled, owned, ones, axis=1, reduction="add")
        found = graph.op("GatherElements", counts, graph.op("Gather", table, items), axis=1)
        return graph.op("Div", found, graph.op("Max", events.owned_count, self.number(1)))

    def rank(self, features: str, events: _Events, blend: str, model: TwoStageModel) -> str:
        """The trees' score of every candidate, the blend for customers of whom nothing is known."""
        graph = self.graph
        width = len(self.first.feature_names)
        types = [("features", FloatTensorType([None, width]))]
        trees = convert_lightgbm(model.booster, initial_types=types, target_opset=CONVERTER_OPSET)
        ranked = graph.include(trees, {"features": graph.reshape(features, -1, width)})[0]
        ranked = graph.op("Reshape", ranked, graph.op("Shape", blend))
        masked = graph.op("LessOrEqual", blend, self.const(MASKED))
        is_stranger = graph.op("Equal", events.owned_count, self.number(0))
        return graph.op("Where", graph.op("Or", masked, is_stranger), blend, ranked)

    def name_outputs(self, request: Request, events: _Events, items: str, scores: str, times: str) -> None:
        graph = self.graph
        best, places = graph.ops("TopK", scores, self.links.at_most_all(request.k), count=2, axis=1)
        chosen = graph.op("GatherElements", items, places, axis=1)
        linked = self.links.strongest(events.links, chosen)
        is_again = graph.op("Greater", graph.op("GatherElements", times, places, axis=1), self.number(0))
        is_item = self.links.name_outputs(best, chosen, linked)
        has_link = graph.op("Less", linked, self.const(np.int64(self.links.no_item)))
        again, similar, trending, nothing = (
            self.const(np.array(word, object)) for word in ("again", "similar", "trending", "")
        )
        source = graph.op("Where", is_again, again, graph.op("Where", has_link, similar, trending))
        graph.output("sources", STRING, ["N", "k"], graph.op("Where", is_item, source, nothing))
