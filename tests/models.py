"""Small ONNX models whose answers a person can check."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper


def linear_model(factor: float = 2.0) -> bytes:
    """price [N, 1] -> value [N, 1] = factor * price + 1; a price may be missing."""
    return _model(
        [
            helper.make_node("Mul", ["price", "factor"], ["product"]),
            helper.make_node("Add", ["product", "one"], ["value"]),
        ],
        inputs=[_tensor("price", TensorProto.FLOAT, None, 1)],
        outputs=[_tensor("value", TensorProto.FLOAT, None, 1)],
        constants=[_floats("factor", [factor]), _floats("one", [1.0])],
        task="regression",
        allows_nan='["price"]',
    )


def fragile_model() -> bytes:
    """price [N, 1] -> value [N, 1] = 1 for a price below 1; any other stops the run."""
    return _model(
        [
            helper.make_node("Cast", ["price"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["one", "place"], ["value"]),
        ],
        inputs=[_tensor("price", TensorProto.FLOAT, None, 1)],
        outputs=[_tensor("value", TensorProto.FLOAT, None, 1)],
        constants=[_floats("one", [1.0])],
        task="regression",
    )


def fixed_recommender(best: float = 5) -> bytes:
    """Recommends the first k of a, b, c, d, e to everybody; the scores fall from `best` to 1."""
    return _model(
        [
            helper.make_node("Shape", ["history"], ["users"], start=0, end=1),
            helper.make_node("Slice", ["places", "zero", "k", "one"], ["first_places"]),
            helper.make_node("Shape", ["first_places"], ["width"], start=1, end=2),
            helper.make_node("Concat", ["users", "width"], ["shape"], axis=0),
            helper.make_node("Expand", ["first_places", "shape"], ["chosen"]),
            helper.make_node("Gather", ["all_items", "chosen"], ["items"]),
            helper.make_node("Gather", ["all_scores", "chosen"], ["scores"]),
            helper.make_node("Gather", ["all_reasons", "chosen"], ["reasons"]),
        ],
        inputs=[
            _tensor("history", TensorProto.STRING, None, None),
            _tensor("exclude", TensorProto.STRING, None, None),
            _tensor("unavailable", TensorProto.STRING, None),
            _tensor("k", TensorProto.INT64, 1),
        ],
        outputs=[
            _tensor("items", TensorProto.STRING, None, None),
            _tensor("scores", TensorProto.FLOAT, None, None),
            _tensor("reasons", TensorProto.STRING, None, None),
        ],
        constants=[
            _strings("all_items", ["a", "b", "c", "d", "e"]),
            _strings("all_reasons", [""] * 5),
            _floats("all_scores", [best, 4, 3, 2, 1]),
            _integers("places", [[0, 1, 2, 3, 4]]),
            _integers("zero", [0]),
            _integers("one", [1]),
            _integers("k", [3]),
            helper.make_tensor("exclude", TensorProto.STRING, [1, 1], [b""]),
            _strings("unavailable", [""]),
        ],
        task="recommendation",
    )


def _model(
    nodes: Sequence[onnx.NodeProto],
    *,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Sequence[onnx.TensorProto],
    **metadata: str,
) -> bytes:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    return model.SerializeToString()


def _tensor(name: str, kind: int, *shape: int | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _floats(name: str, values: Sequence[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values)


def _strings(name: str, values: Sequence[str]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.STRING, [len(values)], [value.encode() for value in values])


def _integers(name: str, values: Sequence[int] | Sequence[Sequence[int]]) -> onnx.TensorProto:
    rows = [value for value in values if not isinstance(value, int)]
    flat = [number for row in rows for number in row] if rows else values
    return helper.make_tensor(name, TensorProto.INT64, [1, len(flat)] if rows else [len(flat)], flat)
