"""Cheaper forms of an exported graph, made from the graph alone."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from recommender.errors import InvalidData
from recommender.onnx_export.builder import ML_DOMAIN
from recommender.types import AnyArray

_LARGE = 1000  # numbers; smaller constants are not worth a rewrite
_TREES = ("TreeEnsembleRegressor", "TreeEnsembleClassifier")


def variants_of(onnx_bytes: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every cheaper form that makes sense for this graph."""
    model = onnx.load_from_string(onnx_bytes)
    kinds = {node.op_type for node in model.graph.node}
    if kinds & set(_TREES):
        for share in (2, 4, 8):
            yield f"1/{share} of the trees", fewer_trees(onnx_bytes, share)
    if _weighted_ngrams(model.graph):
        for share in (2, 4, 8):
            yield f"1/{share} of the character n-grams", fewer_ngrams(onnx_bytes, share)
    if "ScatterElements" in kinds and _neighbour_tables(model.graph):
        for share in (2, 4):
            yield f"1/{share} of the neighbours", fewer_neighbours(onnx_bytes, share)
    if _weights(model.graph):
        yield "float16 weights", half_precision(onnx_bytes)
    if "MatMul" in kinds:
        yield "int8 products", quantised(onnx_bytes)


def keep_outputs(onnx_bytes: bytes, outputs: Sequence[str]) -> bytes:
    """The graph without what only its other outputs need: bulk callers that ask no reasons save a fifth of the time.

    A run that asks for some outputs only still computes all of them in ONNX Runtime 1.32. Raises InvalidData for an
    output that the graph has not.
    """
    model = onnx.load_from_string(onnx_bytes)
    known = {output.name: output for output in model.graph.output}
    unknown = [name for name in outputs if name not in known]
    if unknown or not outputs:
        got = ", ".join(unknown) or "none"
        raise InvalidData(f"outputs: expected some of {', '.join(known)}, got {got}")
    makers = {name: node for node in model.graph.node for name in node.output}
    needed, open_names = set(), list(outputs)
    while open_names:
        name = open_names.pop()
        if name not in needed:
            needed.add(name)
            open_names.extend(makers[name].input if name in makers else ())
    kept = [node for node in model.graph.node if needed & set(node.output)]
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(kept)
    model.graph.output.extend(known[name] for name in outputs)
    return _bytes(model)


def has_trees(onnx_bytes: bytes) -> bool:
    """Whether `fewer_trees` changes anything."""
    return any(node.op_type in _TREES for node in onnx.load_from_string(onnx_bytes).graph.node)


def fewer_trees(onnx_bytes: bytes, share: float) -> bytes:
    """Keep the first 1/share of the trees, as `num_iteration` does in LightGBM; those of a forest weigh more then."""
    model = onnx.load_from_string(onnx_bytes)
    is_mean = any(entry.key == "trees" and entry.value == "averaged" for entry in model.metadata_props)
    for node in model.graph.node:
        if node.op_type in _TREES:
            _cut_trees(node, share, is_mean=is_mean)
    return _bytes(model)


def _cut_trees(node: onnx.NodeProto, share: float, *, is_mean: bool) -> None:
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    trees = max(attributes["nodes_treeids"]) + 1
    limit = max(1, int(trees / share + 1e-9))
    for prefix in ("nodes", "target", "class"):
        ids = attributes.get(f"{prefix}_treeids")
        if ids is not None:
            kept = [place for place, tree in enumerate(ids) if tree < limit]
            for name, value in attributes.items():
                if name.startswith(f"{prefix}_") and isinstance(value, list) and len(value) == len(ids):
                    attributes[name] = [value[place] for place in kept]
            weights = attributes.get(f"{prefix}_weights")
            if is_mean and weights is not None:
                attributes[f"{prefix}_weights"] = [weight * trees / limit for weight in weights]
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))


def fewer_ngrams(onnx_bytes: bytes, share: int) -> bytes:
    """Keep the 1/share of a text classifier's n-grams of characters whose coefficients times rarity are largest."""
    model = onnx.load_from_string(onnx_bytes)
    node = _weighted_ngrams(model.graph)[0]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    product = next(product for product in model.graph.node if product.op_type == "MatMul")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == product.input[1])
    coefficients = numpy_helper.to_array(weights)
    columns = np.array(attributes["ngram_indexes"])
    worth = np.abs(coefficients[columns]).max(axis=1) * np.array(attributes["weights"])
    kept = np.sort(np.argsort(-worth, kind="stable")[: max(1, len(columns) // share)])
    _keep_ngrams(attributes, kept)
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in sorted(attributes.items()))
    weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(coefficients[columns[kept]]), weights.name))
    return _bytes(model)


def _weighted_ngrams(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The n-grams that carry their rarity themselves, as those of `TextClassifier` do, with their product behind."""
    nodes = [node for node in graph.node if node.op_type == "TfIdfVectorizer"]
    return [node for node in nodes if "weights" in {attribute.name for attribute in node.attribute}]


def _keep_ngrams(attributes: dict[str, object], kept: AnyArray) -> None:
    """Cut the pool of a TfIdfVectorizer, which holds all n-grams of one length after those of the length before."""
    pool = np.array(attributes["pool_int64s"])
    starts = np.append(np.array(attributes["ngram_counts"]), len(pool))
    lengths = np.repeat(np.arange(1, len(starts)), np.diff(starts) // np.arange(1, len(starts)))
    begins = np.cumsum(lengths) - lengths
    places = [place for ngram in kept for place in range(begins[ngram], begins[ngram] + lengths[ngram])]
    attributes["pool_int64s"] = pool[places].tolist()
    counts = [int(lengths[kept][lengths[kept] < length].sum()) for length in range(1, len(starts))]
    attributes["ngram_counts"] = counts
    attributes["ngram_indexes"] = list(range(len(kept)))
    attributes["weights"] = [float(weight) for weight in np.array(attributes["weights"])[kept]]


def fewer_neighbours(onnx_bytes: bytes, share: int) -> bytes:
    """Keep the 1/share strongest neighbours of each item."""
    model = onnx.load_from_string(onnx_bytes)
    for neighbours, weights in _neighbour_tables(model.graph):
        ids, values = numpy_helper.to_array(neighbours), numpy_helper.to_array(weights)
        width = max(1, ids.shape[1] // share)
        strongest = np.sort(np.argsort(-np.abs(values), axis=1, kind="stable")[:, :width], axis=1)
        neighbours.CopyFrom(numpy_helper.from_array(np.take_along_axis(ids, strongest, 1), neighbours.name))
        weights.CopyFrom(numpy_helper.from_array(np.take_along_axis(values, strongest, 1), weights.name))
    return _bytes(model)


def _neighbour_tables(graph: onnx.GraphProto) -> list[tuple[onnx.TensorProto, onnx.TensorProto]]:
    """The pairs of ids (int32) and weights (float32) of the same two-dimensional shape."""
    tables = [tensor for tensor in graph.initializer if len(tensor.dims) == 2 and tensor.dims[1] > 1]
    ids = [tensor for tensor in tables if tensor.data_type == onnx.TensorProto.INT32]
    weights = [tensor for tensor in tables if tensor.data_type == onnx.TensorProto.FLOAT]
    return [(one, other) for one in ids for other in weights if list(one.dims) == list(other.dims)]


def half_precision(onnx_bytes: bytes) -> bytes:
    """Store large weights in float16; they are made float32 again at load, so only the file is smaller."""
    model = onnx.load_from_string(onnx_bytes)
    for tensor in _weights(model.graph):
        values = numpy_helper.to_array(tensor).astype(np.float16)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_half"))
        cast = helper.make_node("Cast", [f"{name}_half"], [name], name=f"widen_{name}", to=onnx.TensorProto.FLOAT)
        model.graph.node.insert(0, cast)
    return _bytes(model)


def _weights(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    """Large float32 constants whose numbers all fit float16."""
    return [
        tensor
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and np.prod(tensor.dims) >= _LARGE
        and np.abs(numpy_helper.to_array(tensor)).max() < np.finfo(np.float16).max
    ]


def quantised(onnx_bytes: bytes) -> bytes:
    """Products with constant matrices in int8: weights scaled per column, inputs as they come (dynamically)."""
    model = onnx.load_from_string(onnx_bytes)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        weights = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        nodes += [node] if weights is None else _in_integers(model.graph, node, weights)
    rewritten = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(rewritten)
    return _bytes(model)


def _in_integers(graph: onnx.GraphProto, node: onnx.NodeProto, weights: onnx.TensorProto) -> list[onnx.NodeProto]:
    """DynamicQuantizeLinear, MatMulInteger and the scales in place of one MatMul."""
    values = numpy_helper.to_array(weights)
    scale = (np.abs(values).max(axis=0, keepdims=True) / 127 + np.finfo(np.float32).tiny).astype(np.float32)
    name = weights.name
    weights.CopyFrom(numpy_helper.from_array(np.round(values / scale).astype(np.int8), name))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    made = [f"{node.name}_{part}" for part in ("input", "input_scale", "zero", "sums", "numbers", "scale")]
    return [
        helper.make_node("DynamicQuantizeLinear", [node.input[0]], made[:3], name=f"{node.name}_quantise"),
        helper.make_node("MatMulInteger", [made[0], name, made[2]], [made[3]], name=f"{node.name}_integers"),
        helper.make_node("Cast", [made[3]], [made[4]], name=f"{node.name}_cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [made[1], f"{name}_scale"], [made[5]], name=f"{node.name}_scales"),
        helper.make_node("Mul", [made[4], made[5]], list(node.output), name=f"{node.name}_scaled"),
    ]


def _bytes(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model)
    domains = {opset.domain for opset in model.opset_import}
    if ML_DOMAIN not in domains:
        model.opset_import.append(helper.make_opsetid(ML_DOMAIN, 3))
    return bytes(model.SerializeToString(deterministic=True))
