"""The structural scan of an uploaded graph: refuse before anything is expanded, checked or loaded.

Each refusal answers to something that was tried: nested functions of 1,200 bytes that take half a minute to load, a
Loop without end, external data that reads the server's secrets into an output, dimensions of gigabytes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto

from inferhub.errors import FieldError, InvalidModel
from inferhub.lib.describe import pointer, shorten
from inferhub.runtime.operators import ALLOWED_OPERATORS, CURES, operator_name, plain_domain

_MOST_NODES = 20_000
_MOST_INITIALIZERS = 50_000
_MOST_TENSORS = 2_000  # inputs or outputs
_MOST_DIMS = 12
_MOST_ELEMENTS = 2**28  # of one tensor whose shape is declared
_MOST_METADATA_BYTES = 1 << 20
_MOST_NAME = 256
_MOST_ATTRIBUTES = 1_000
_MOST_ERRORS = 20
_EXTERNAL = "no external data: a model here is one self-contained file (onnx.save without save_as_external_data)"

Errors = Iterator[FieldError]
Operators = Mapping[str, frozenset[str]]


def scan_model(model: ModelProto, operators: Operators = ALLOWED_OPERATORS) -> None:
    """Refuse what may not be in an uploaded model. Raises InvalidModel naming each place, at most 20.

    `operators` are the allowed ones by domain. A sub-graph may be only in those that are not in `ALLOWED_OPERATORS`.
    """
    errors = []
    for error in _model_errors(model, operators):
        errors.append(error)
        if len(errors) == _MOST_ERRORS:
            break
    if errors:
        raise InvalidModel(errors=errors)


def _model_errors(model: ModelProto, operators: Operators) -> Errors:
    if not model.HasField("graph"):
        yield FieldError(pointer="", expected="an ONNX model with a graph", got="a file without one")
    if not model.opset_import:
        yield FieldError(pointer="/opset_import", expected="the versions of the operator sets", got="nothing")
    if model.functions:
        got = f"{len(model.functions)} functions"
        yield FieldError(pointer="/functions", expected="no functions (onnx.inliner inlines them)", got=got)
    if model.training_info:
        yield FieldError(pointer="/training_info", expected="no training information", got="some")
    yield from _text_errors(model)
    for index, opset in enumerate(model.opset_import):
        if plain_domain(opset.domain) not in operators and _uses_domain(model.graph, opset.domain):
            got = f"'{_short(opset.domain)}'"
            expected = f"one of the domains {', '.join(domain or 'ai.onnx' for domain in operators)}"
            yield FieldError(pointer=pointer("opset_import", index), expected=expected, got=got)
    yield from _graph_errors(model.graph, "/graph", operators)


def _text_errors(model: ModelProto) -> Errors:
    """Metadata and descriptions, which nothing needs to be long, and PostgreSQL cannot keep with NUL."""
    texts: list[str | bytes] = [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    if sum(map(len, texts)) > _MOST_METADATA_BYTES:
        yield FieldError(pointer="/metadata_props", expected=f"at most {_MOST_METADATA_BYTES} characters", got="more")
    if any(isinstance(text, bytes) or "\x00" in text for text in texts):
        yield FieldError(pointer="/metadata_props", expected="texts in UTF-8 without NUL", got="others")
    for place, text in (("/doc_string", model.doc_string), ("/graph/doc_string", model.graph.doc_string)):
        if len(text) > _MOST_METADATA_BYTES:
            got = str(len(text))
            yield FieldError(pointer=place, expected=f"at most {_MOST_METADATA_BYTES} characters", got=got)


def _uses_domain(graph: GraphProto, domain: str) -> bool:
    """Converters declare more operator sets than they use; only used ones matter."""
    return any(node.domain == domain for node in graph.node)


def _graph_errors(graph: GraphProto, place: str, operators: Operators) -> Errors:
    counts = list(_count_errors(graph, place))
    yield from counts
    if counts:
        return  # no walk through what is too much already
    for kind, tensors in (("input", graph.input), ("output", graph.output), ("value_info", graph.value_info)):
        for index, tensor in enumerate(tensors):
            yield from _dim_errors(tensor, f"{place}/{kind}/{index}")
    for kind, tensors in (("input", graph.input), ("output", graph.output)):
        yield from _name_errors([tensor.name for tensor in tensors], f"{place}/{kind}")
    for index, initializer in enumerate(graph.initializer):
        yield from _tensor_errors(initializer, f"{place}/initializer/{index}")
    for index, sparse in enumerate(graph.sparse_initializer):
        yield from _sparse_errors(sparse, f"{place}/sparse_initializer/{index}")
    for index, node in enumerate(graph.node):
        yield from _node_errors(node, f"{place}/node/{index}", operators)


def _name_errors(names: Sequence[str | bytes], place: str) -> Errors:
    """Names that callers write and see: short, printable, each for one tensor."""
    seen: set[str | bytes] = set()
    for index, name in enumerate(names):
        if isinstance(name, bytes) or not 0 < len(name) <= _MOST_NAME or not name.isprintable():
            expected = f"a name of 1 to {_MOST_NAME} printable characters"
            yield FieldError(pointer=f"{place}/{index}", expected=expected, got=f"'{_short(name)}'")
        if name in seen:
            yield FieldError(pointer=f"{place}/{index}", expected="names used once", got=f"'{_short(name)}' again")
        seen.add(name)


def _count_errors(graph: GraphProto, place: str) -> Errors:
    counts = (
        ("node", len(graph.node), _MOST_NODES),
        ("initializer", len(graph.initializer) + len(graph.sparse_initializer), _MOST_INITIALIZERS),
        ("input", len(graph.input) - len(graph.initializer), _MOST_TENSORS),
        ("output", len(graph.output), _MOST_TENSORS),
        ("value_info", len(graph.value_info), _MOST_NODES * 4),
        ("quantization_annotation", len(graph.quantization_annotation), _MOST_INITIALIZERS),
    )
    for kind, count, most in counts:
        if count > most:
            yield FieldError(pointer=f"{place}/{kind}", expected=f"at most {most}", got=str(count))


def _dim_errors(tensor: ValueInfoProto, place: str) -> Errors:
    if tensor.type.HasField("tensor_type"):
        dims = [dim.dim_value for dim in tensor.type.tensor_type.shape.dim if dim.HasField("dim_value")]
        yield from _shape_errors(dims, f"{place} ('{_short(tensor.name)}')")


def _shape_errors(dims: Iterable[int], place: str) -> Errors:
    sizes = list(dims)
    if len(sizes) > _MOST_DIMS or any(size < 0 for size in sizes) or math.prod(sizes) > _MOST_ELEMENTS:
        expected = f"at most {_MOST_DIMS} dimensions, none negative, and {_MOST_ELEMENTS} elements"
        yield FieldError(pointer=place, expected=expected, got=_short(str(sizes[: _MOST_DIMS + 1])))


def _tensor_errors(tensor: TensorProto, place: str) -> Errors:
    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        got = f"tensor '{_short(tensor.name)}' in the file '{_short(where)}'"
        yield FieldError(pointer=place, expected=_EXTERNAL, got=got)
    yield from _shape_errors(tensor.dims, place)


def _sparse_errors(sparse: SparseTensorProto, place: str) -> Errors:
    yield from _tensor_errors(sparse.values, f"{place}/values")
    yield from _tensor_errors(sparse.indices, f"{place}/indices")
    yield from _shape_errors(sparse.dims, place)


def _node_errors(node: NodeProto, place: str, operators: Operators) -> Errors:
    name, domain = operator_name(node.domain, node.op_type), plain_domain(node.domain)
    if node.op_type not in operators.get(domain, ()):
        got = f"{_short(name)} (node '{_short(node.name)}')"
        cure = f" ({CURES[node.op_type]})" if node.op_type in CURES else ""
        yield FieldError(pointer=place, expected=f"an allowed operator{cure}", got=got)
    if len(node.attribute) > _MOST_ATTRIBUTES:
        expected, got = f"at most {_MOST_ATTRIBUTES}", str(len(node.attribute))
        yield FieldError(pointer=f"{place}/attribute", expected=expected, got=got)
        return
    is_added = node.op_type in operators.get(domain, ()) and node.op_type not in ALLOWED_OPERATORS.get(domain, ())
    for attribute in node.attribute:
        inner = f"{place}/attribute/{_short(attribute.name)}"
        yield from _attribute_errors(attribute, inner)
        for index, graph in enumerate([*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]):
            if not is_added:
                got = f"'{_short(graph.name)}'"
                yield FieldError(pointer=f"{inner}/{index}", expected="no sub-graph", got=got)
            yield from _graph_errors(graph, f"{inner}/{index}", operators)


def _attribute_errors(attribute: AttributeProto, place: str) -> Errors:
    if attribute.ref_attr_name:
        yield FieldError(pointer=place, expected="a value", got="a reference to a function's attribute")
    if attribute.HasField("t"):
        yield from _tensor_errors(attribute.t, place)
    for index, tensor in enumerate(attribute.tensors):
        yield from _tensor_errors(tensor, f"{place}/{index}")
    if attribute.HasField("sparse_tensor"):
        yield from _sparse_errors(attribute.sparse_tensor, place)
    for index, sparse in enumerate(attribute.sparse_tensors):
        yield from _sparse_errors(sparse, f"{place}/{index}")


def _short(text: str | bytes) -> str:
    """protobuf gives bytes where a text is not UTF-8."""
    return shorten(text if isinstance(text, str) else repr(text))
