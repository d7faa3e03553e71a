"""Reading a parsed ONNX graph: its signature, its metadata, and the cure for ZipMap outputs."""

import json
from collections.abc import Mapping

from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from inferhub.errors import FieldError, InvalidModel
from inferhub.lib.describe import pointer
from inferhub.runtime.metadata import Label, allowed_nan
from inferhub.runtime.signature import Signature, TensorSpec

_DATATYPES: Mapping[int, str] = {
    TensorProto.BOOL: "BOOL",
    TensorProto.UINT8: "UINT8",
    TensorProto.UINT16: "UINT16",
    TensorProto.UINT32: "UINT32",
    TensorProto.UINT64: "UINT64",
    TensorProto.INT8: "INT8",
    TensorProto.INT16: "INT16",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.FLOAT16: "FP16",
    TensorProto.FLOAT: "FP32",
    TensorProto.DOUBLE: "FP64",
    TensorProto.STRING: "BYTES",
}
_OTHER_FILES: Mapping[bytes, str] = {
    b"version https://git-lfs": "a git-lfs pointer (git lfs pull fetches the file)",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x80\x02": "a pickle, which can hold any program",
    b"\x80\x03": "a pickle, which can hold any program",
    b"\x80\x04": "a pickle, which can hold any program",
    b"\x80\x05": "a pickle, which can hold any program",
    b"\x89HDF": "an HDF5 file",
    b"{": "JSON",
    b"<": "XML or HTML",
}
_BYTES_OF_A_NUMBER = 20  # measured on tree ensembles and label encoders with ONNX Runtime 1.32
_BYTES_OF_A_TEXT = 150
_BYTES_OF_A_SESSION = 100_000
_FIRST_IR_WITH_DEFAULTS = 4  # before it every initializer had to be an input too, without being one in truth


def parse_model(onnx_bytes: bytes) -> ModelProto:
    """The protobuf message. Raises InvalidModel where the bytes are none."""
    other = next((name for start, name in _OTHER_FILES.items() if onnx_bytes.startswith(start)), None)
    if other:
        raise whole_file_refusal("an ONNX file", other)
    model = ModelProto()
    try:
        model.ParseFromString(onnx_bytes)
    except (DecodeError, RecursionError):
        raise whole_file_refusal("an ONNX file", "bytes that are none") from None
    return model


def whole_file_refusal(expected: str, got: str) -> InvalidModel:
    """An error about the file as such, not about a place in its graph."""
    error = FieldError(pointer="", expected=expected, got=got)
    return InvalidModel(f"Expected {expected}, got {got}", errors=[error])


def read_metadata(model: ModelProto) -> dict[str, str]:
    """The model's metadata properties by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def estimate_memory(model: ModelProto) -> int:
    """Bytes that a session of the model holds, within a factor of about two.

    Trees and vocabularies grow to several times their size in the file, and weights are sometimes packed once more.
    """
    attributes = [attribute for node in model.graph.node for attribute in node.attribute]
    tensors = [*model.graph.initializer, *(attribute.t for attribute in attributes)]
    weights = sum(int(tensor.ByteSize()) for tensor in tensors)
    numbers = sum(len(attribute.floats) + len(attribute.ints) for attribute in attributes)
    texts = sum(len(attribute.strings) for attribute in attributes) + sum(len(tensor.string_data) for tensor in tensors)
    return 2 * weights + _BYTES_OF_A_NUMBER * numbers + _BYTES_OF_A_TEXT * texts + _BYTES_OF_A_SESSION


def read_signature(onnx_bytes: bytes) -> Signature:
    """The signature of a model file. Raises InvalidModel for anything but plain tensors of the OIP's datatypes."""
    return model_signature(parse_model(onnx_bytes))


def model_signature(model: ModelProto) -> Signature:
    """As `read_signature`. An input with an initializer of the same name is optional; required inputs come first."""
    nan = allowed_nan(read_metadata(model))
    defaults = {tensor.name for tensor in model.graph.initializer}
    has_defaults = model.ir_version >= _FIRST_IR_WITH_DEFAULTS
    inputs = [
        _spec(value, ("graph", "input", index), nan, is_optional=value.name in defaults)
        for index, value in enumerate(model.graph.input)
        if has_defaults or value.name not in defaults
    ]
    outputs = [
        _spec(value, ("graph", "output", index), nan, is_optional=False)
        for index, value in enumerate(model.graph.output)
    ]
    return Signature(inputs=tuple(sorted(inputs, key=lambda spec: spec.is_optional)), outputs=tuple(outputs))


def rewrite_zipmap(model: ModelProto) -> bool:
    """Turn ZipMap outputs (sequences of maps, which no protocol carries) into plain probability tensors, in place.

    The class names move to the metadata property `labels`, unless the file declares its own. True where it changed any.
    """
    zipmaps = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap" and node.output}
    rewritten = [value for value in model.graph.output if value.name in zipmaps]
    for value in rewritten:
        _make_plain(model, zipmaps[value.name], value)
    return bool(rewritten)


def _make_plain(model: ModelProto, zipmap: NodeProto, value: ValueInfoProto) -> None:
    labels = _class_labels(zipmap)
    zipmap.CopyFrom(helper.make_node("Identity", [zipmap.input[0]], [zipmap.output[0]], name=zipmap.name))
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, [None, len(labels)]))
    if "labels" not in read_metadata(model):
        model.metadata_props.add(key="labels", value=json.dumps(labels))


def _class_labels(zipmap: NodeProto) -> list[Label]:
    for attribute in zipmap.attribute:
        if attribute.name == "classlabels_int64s" and attribute.ints:
            return list(attribute.ints)
        if attribute.name == "classlabels_strings" and attribute.strings:
            return [text.decode("utf-8", errors="replace") for text in attribute.strings]
    raise InvalidModel(
        errors=[FieldError(pointer="/graph/node", expected="class labels in the ZipMap node", got="none")]
    )


def _spec(value: ValueInfoProto, place: tuple[str | int, ...], nan: frozenset[str], *, is_optional: bool) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        expected = "a plain tensor (for a classifier: convert with options={'zipmap': False})"
        got = f"'{value.name}', a {str(kind).removesuffix('_type')}"
        raise InvalidModel(errors=[FieldError(pointer=pointer(*place), expected=expected, got=got)])
    tensor = value.type.tensor_type
    if tensor.elem_type not in _DATATYPES or not tensor.HasField("shape"):
        expected = f"a tensor with a shape, of one of {', '.join(_DATATYPES.values())}"
        name = TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in _TYPE_NUMBERS else "an unknown type"
        got = f"'{value.name}' of {name}" + ("" if tensor.HasField("shape") else " without a shape")
        raise InvalidModel(errors=[FieldError(pointer=pointer(*place), expected=expected, got=got)])
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim
    )
    return TensorSpec(
        name=value.name,
        datatype=_DATATYPES[tensor.elem_type],
        shape=shape,
        is_optional=is_optional,
        allows_nan=value.name in nan,
    )


_TYPE_NUMBERS = frozenset(TensorProto.DataType.values())
