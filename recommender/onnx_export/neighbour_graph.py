"""A neighbour table as one ONNX graph: external item ids in, recommended ids, scores and reasons out.

    history --ids--> distinct --Gather neighbours, ScatterElements add--> scores --mask--> TopK --> items, scores
                         `-------------------links to those items, the largest-----------------> reasons

Costs per customer, with H history items of K neighbours and I items: a few passes over H·K links and over I scores.
No loop, no sub-graph, no custom operator.
"""

from dataclasses import dataclass

import numpy as np

from recommender.ids import as_strings
from recommender.models.neighbours import NeighbourTable, Weighting
from recommender.onnx_export.builder import FLOAT, INT32, INT64, STRING, GraphBuilder
from recommender.types import BoolArray
from recommender.version import VERSION

MASKED = np.float32(-3e38)  # finite, so that no infinity can ever leave the graph
_UNMASKED = np.float32(-1e38)
DEFAULT_K = 10
_GROUP = 128
_LARGE_CATALOGUE = 4_096
CONVERTER_OPSET = 15  # the newest of onnxmltools; its nodes mean the same in later ones


def build_neighbour_graph(table: NeighbourTable) -> bytes:
    """The graph of `NeighbourTable.recommend`.

    Inputs: history string [N, H], padded with "". Optional: ages float32 [N, H] in days (only where the table weighs
    events by age), exclude string [N, E] (or [1, E] for all customers), unavailable string [U], k int64 [1].
    Outputs: items string, scores float32, reasons string, each [N, k].
    """
    graph = GraphBuilder()
    request = declare_request(graph, has_ages=table.weighting is Weighting.AGED)
    writer = NeighbourWriter(graph, table, columns_for(len(table.items)))
    owned, counts = writer.events(request)
    base = writer.mask(writer.base(), graph.reshape(request.unavailable, 1, -1))
    links = writer.links(owned, counts)
    scores = writer.add_weights(base, links, request.customers)
    scores = writer.mask(scores, writer.one_row_each(request.exclude, request.customers))
    best, places = writer.take_best(scores, writer.at_most_all(request.k))
    writer.name_outputs(best, places, writer.strongest(links, places))
    return graph.build("recommendation", {"task": "recommendation", "library_version": VERSION})


def columns_for(items: int) -> int:
    """How long a row of scores is: one more than the items, in a large catalogue filled up to whole groups."""
    return items + 1 if items < _LARGE_CATALOGUE else -(-(items + 1) // _GROUP) * _GROUP


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The inputs of a recommender graph; `customers` is N as int64 [1], `ages` is None where age does not count."""

    history: str
    customers: str
    exclude: str
    unavailable: str
    k: str
    ages: str | None


def declare_request(graph: GraphBuilder, *, has_ages: bool) -> Request:
    """The inputs that every recommender graph shares."""
    history = graph.input("history", STRING, ["N", "H"])
    customers = graph.dimension(history, 0)
    ages = None
    if has_ages:
        given = graph.input("ages", FLOAT, ["N", "H"], default=np.zeros((1, 1), np.float32))
        known = graph.op("Where", graph.op("IsNaN", given), graph.constant(np.float32(0)), given)
        ages = graph.op("Expand", known, graph.op("Shape", history))
    exclude = graph.input("exclude", STRING, ["N", "E"], default=np.array([[""]], object))
    unavailable = graph.input("unavailable", STRING, ["U"], default=np.array([""], object))
    k = graph.input("k", INT64, [1], default=np.array([DEFAULT_K], np.int64))
    return Request(history=history, customers=customers, exclude=exclude, unavailable=unavailable, k=k, ages=ages)


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """From events to other items: `owned` int64 [N, H], `columns` int32 and `weights` float32 [N, H·K].

    What an item says for itself stands apart, as `own` float32 [N, H], since it is no reason; None where no item does.
    """

    owned: str
    own: str | None
    columns: str
    weights: str


@dataclass(frozen=True, slots=True)
class NeighbourWriter:
    """The pieces of the graph; internal id I ("no item") stands for whatever is unknown, padding or repeated."""

    graph: GraphBuilder
    table: NeighbourTable
    columns: int  # of a row of scores: I + 1 or more; those from I on are never recommended

    @property
    def no_item(self) -> int:
        return len(self.table.items)

    def encode(self, externals: str) -> str:
        return self.graph.encode(externals, self.table.items.externals.tolist(), default=self.no_item)

    def events(self, request: Request) -> tuple[str, str | None]:
        """Internal ids int64 [N, H + 1], never without a column, and what each counts (None: 1)."""
        owned = self.with_one_more(self.encode(request.history), self.graph.constant(np.int64(self.no_item)))
        if self.table.weighting is Weighting.DISTINCT:
            return self.distinct(owned), None
        if request.ages is None:
            return owned, self._sequence(owned)
        ages = self.with_one_more(request.ages, self.graph.constant(np.float32(0)))
        return owned, self.fade(ages, self.table.decay_days)

    def with_one_more(self, rows: str, value: str) -> str:
        return self.graph.op("Pad", rows, self.graph.constant(np.array([0, 0, 0, 1], np.int64)), value)

    def fade(self, ages: str, days: float) -> str:
        """`recommender.models.neighbours.fade` in ONNX."""
        graph = self.graph
        age = graph.op("Max", ages, graph.constant(np.float32(0)))
        one = graph.constant(np.float32(1))
        return graph.op("Div", one, graph.op("Add", one, graph.op("Div", age, graph.constant(np.float32(days)))))

    def _sequence(self, owned: str) -> str:
        """1 / (number of known items from this one to the end)."""
        graph = self.graph
        is_known = graph.op("Cast", graph.op("Less", owned, graph.constant(np.int64(self.no_item))), to=FLOAT)
        to_the_end = graph.op("CumSum", is_known, graph.constant(np.int64(1)), reverse=1)
        one = graph.constant(np.float32(1))
        return graph.op("Div", one, graph.op("Max", to_the_end, one))

    def distinct(self, owned: str) -> str:
        """Sort each history by internal id and turn repeated ones into "no item"."""
        graph = self.graph
        ordered, _ = graph.ops("TopK", owned, graph.dimension(owned, 1), count=2, axis=1, largest=0)
        start, end, axis = (graph.constant(np.array([value], np.int64)) for value in (0, -1, 1))
        padding = graph.constant(np.array([0, 1, 0, 0], np.int64))
        before = graph.op("Pad", graph.op("Slice", ordered, start, end, axis), padding, graph.constant(np.int64(-1)))
        no_item = graph.constant(np.int64(self.no_item))
        return graph.op("Where", graph.op("Equal", ordered, before), no_item, ordered)

    def base(self) -> str:
        """Scores [1, columns] for an empty history; column I takes everything that concerns no item."""
        spare = np.full(self.columns - self.no_item, MASKED)
        return self.graph.constant(np.append(self.table.base, spare)[np.newaxis])

    def one_row_each(self, externals: str, customers: str) -> str:
        """[1, E] or [N, E] as [N, E]."""
        graph = self.graph
        return graph.op("Expand", externals, graph.op("Concat", customers, graph.dimension(externals, 1), axis=0))

    def mask(self, scores: str, externals: str) -> str:
        """Give the named items the score that never wins."""
        graph = self.graph
        columns = self.encode(externals)
        never = graph.op("Expand", graph.constant(np.full((1, 1), MASKED)), graph.op("Shape", columns))
        return graph.op("ScatterElements", scores, columns, never, axis=1)

    def links(self, owned: str, counts: str | None) -> Links:
        """All neighbours of all events side by side, with their weights times what each event counts."""
        graph = self.graph
        weights = graph.op("Gather", self._weights(), owned)
        if counts is not None:
            weights = graph.op("Mul", weights, graph.op("Unsqueeze", counts, graph.constant(np.array([2], np.int64))))
        columns = graph.op("Flatten", graph.op("Gather", self._neighbours(), owned))
        own = self._own(owned, counts)
        return Links(owned=owned, own=own, columns=columns, weights=graph.op("Flatten", weights))

    def _own(self, owned: str, counts: str | None) -> str | None:
        graph = self.graph
        weights = np.where(self._is_itself, self.table.weights, np.float32(0)).sum(axis=1, dtype=np.float32)
        if not weights.any():
            return None
        own = graph.op("Gather", graph.constant(np.append(weights, np.float32(0))), owned)
        return own if counts is None else graph.op("Mul", own, counts)

    def add_weights(self, base: str, links: Links, customers: str) -> str:
        """Scores [N, columns]: the base plus the weights of all links."""
        graph = self.graph
        start = graph.op("Expand", base, self._width(customers))
        scores = graph.op("ScatterElements", start, links.columns, links.weights, axis=1, reduction="add")
        if links.own is None:
            return scores
        return graph.op("ScatterElements", scores, links.owned, links.own, axis=1, reduction="add")

    def _width(self, customers: str) -> str:
        """The shape [N, columns]."""
        return self.graph.op("Concat", customers, self.graph.constant(np.array([self.columns], np.int64)), axis=0)

    def at_most_all(self, k: str) -> str:
        """`k` from 0 to the number of items."""
        graph = self.graph
        from_zero = graph.op("Max", k, graph.constant(np.array([0], np.int64)))
        return graph.op("Min", from_zero, graph.constant(np.array([self.no_item], np.int64)))

    def take_best(self, scores: str, count: str) -> tuple[str, str]:
        """The `count` best scores of each row and their columns; among equals the lower column comes first.

        In a wide row first the groups of columns with the highest maxima are found, then only those are searched. There
        are as many groups as results, so nothing can be missed; in ascending order they keep the rule for equals.
        """
        graph = self.graph
        if self.columns == self.no_item + 1:
            best, places = graph.ops("TopK", scores, count, count=2, axis=1)
            return best, places
        groups = self.columns // _GROUP
        size, number = graph.constant(np.int64(_GROUP)), graph.constant(np.array([groups], np.int64))
        grouped = graph.reshape(scores, 0, groups, _GROUP)
        highest = graph.op("ReduceMax", grouped, graph.constant(np.array([2], np.int64)), keepdims=0)
        picks = graph.op("Min", count, number)
        _, chosen = graph.ops("TopK", highest, picks, count=2, axis=1)
        chosen, _ = graph.ops("TopK", chosen, picks, count=2, axis=1, largest=0)
        found = graph.op("Flatten", self._groups(grouped, chosen, number))
        best, at = graph.ops("TopK", found, count, count=2, axis=1)
        group = graph.op("GatherElements", chosen, graph.op("Div", at, size), axis=1)
        return best, graph.op("Add", graph.op("Mul", group, size), graph.op("Mod", at, size))

    def _groups(self, grouped: str, chosen: str, number: str) -> str:
        """The chosen groups of each row, [N, picks, _GROUP]."""
        graph = self.graph
        customers = graph.dimension(grouped, 0)
        all_rows = graph.op("Mul", customers, number)
        rows = graph.op(
            "Reshape", grouped, graph.op("Concat", all_rows, graph.constant(np.array([_GROUP], np.int64)), axis=0)
        )
        first = graph.reshape(graph.op("Mul", self._count_to(customers), number), -1, 1)
        return graph.op("Gather", rows, graph.op("Add", chosen, first))

    def strongest(self, links: Links, places: str) -> str:
        """Internal ids [N, k] of the other item that adds most, if anything, to the one at each place, else "no item".

        Of all links only those to a recommended item are looked at: the largest weight of each place is collected, and
        then the first event whose link has it. The last event is always "no item".
        """
        graph = self.graph
        count = graph.op("Mul", graph.dimension(places, 0), graph.dimension(places, 1))
        cells = self._cells(links, places, count)
        hits = graph.op("NonZero", cells)
        at = graph.op("Transpose", hits, perm=[1, 0])
        weights, cell = graph.op("GatherND", links.weights, at), graph.op("GatherND", cells, at)
        cell = graph.op("Sub", cell, graph.constant(np.int32(1)))
        best = graph.op("Expand", graph.constant(np.float32(0)), count)
        best = graph.op("ScatterElements", best, cell, weights, axis=0, reduction="max")
        adds = graph.op("Greater", weights, graph.constant(np.float32(0)))
        wins = graph.op("And", adds, graph.op("Equal", weights, graph.op("Gather", best, cell)))
        last = graph.op("Sub", graph.dimension(links.owned, 1), graph.constant(np.array([1], np.int64)))
        width = graph.op("Squeeze", graph.dimension(self._neighbours(), 1))
        link = graph.op("Gather", hits, graph.constant(np.int64(1)))
        event = graph.op("Where", wins, graph.op("Div", link, width), last)
        first = graph.op("ScatterElements", graph.op("Expand", last, count), cell, event, axis=0, reduction="min")
        first = graph.op("Reshape", first, graph.op("Shape", places), allowzero=1)
        return graph.op("GatherElements", links.owned, first, axis=1)

    def _cells(self, links: Links, places: str, count: str) -> str:
        """For each link the number (int32, from 1) of its item's cell in `places`, 0 where it is not among them."""
        graph = self.graph
        one = graph.constant(np.int64(1))
        numbers = graph.op("Range", one, graph.op("Add", graph.op("Squeeze", count), one), one)
        numbers = graph.op("Reshape", graph.op("Cast", numbers, to=INT32), graph.op("Shape", places), allowzero=1)
        nowhere = graph.op("Expand", graph.constant(np.int32(0)), self._width(graph.dimension(places, 0)))
        cells = graph.op("ScatterElements", nowhere, places, numbers, axis=1)
        return graph.op("GatherElements", cells, links.columns, axis=1)

    def _count_to(self, size: str) -> str:
        """0 to size - 1 as int64."""
        zero, one = self.graph.constant(np.int64(0)), self.graph.constant(np.int64(1))
        return self.graph.op("Range", zero, self.graph.op("Squeeze", size), one)

    def _neighbours(self) -> str:
        others = np.where(self._is_itself, np.int32(self.no_item), self.table.neighbours)
        return self.graph.constant(np.pad(others, ((0, 1), (0, 0)), constant_values=self.no_item))

    def _weights(self) -> str:
        others = np.where(self._is_itself, np.float32(0), self.table.weights)
        return self.graph.constant(np.pad(others, ((0, 1), (0, 0))))

    @property
    def _is_itself(self) -> BoolArray:
        """Which links lead from an item to itself, bool [I, K]."""
        return np.asarray(self.table.neighbours == np.arange(self.no_item)[:, np.newaxis], np.bool_)

    def name_outputs(self, best: str, places: str, strongest: str) -> str:
        """Declare items, scores and reasons; returns which places hold an item, bool [N, k]."""
        graph = self.graph
        spare = as_strings([""] * (self.columns - self.no_item))
        names = graph.constant(np.append(self.table.items.externals, spare))
        nothing = graph.constant(np.array("", object))
        is_item = graph.op("Greater", best, graph.constant(_UNMASKED))
        items = graph.op("Where", is_item, graph.op("Gather", names, places), nothing)
        scores = graph.op("Where", is_item, best, graph.constant(np.float32(0)))
        reasons = graph.op("Where", is_item, graph.op("Gather", names, strongest), nothing)
        for name, datatype, tensor in (
            ("items", STRING, items),
            ("scores", FLOAT, scores),
            ("reasons", STRING, reasons),
        ):
            graph.output(name, datatype, ["N", "k"], tensor)
        return is_item
