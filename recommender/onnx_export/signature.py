"""What goes into a model and what comes out, read from its graph."""

from dataclasses import asdict, dataclass
from typing import Any

import onnx

_DATATYPES: dict[int, str] = {
    onnx.TensorProto.BOOL: "BOOL",
    onnx.TensorProto.FLOAT16: "FP16",
    onnx.TensorProto.FLOAT: "FP32",
    onnx.TensorProto.DOUBLE: "FP64",
    onnx.TensorProto.INT32: "INT32",
    onnx.TensorProto.INT64: "INT64",
    onnx.TensorProto.STRING: "BYTES",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorSpec:
    """A tensor by its name, Open Inference Protocol datatype and shape (-1 for any size)."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    is_optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Inputs and outputs in the order of the graph, and what the file says about itself (`task`, `labels`, ...)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: dict[str, str]

    @classmethod
    def of(cls, onnx_bytes: bytes) -> "Signature":
        model = onnx.load_from_string(onnx_bytes)
        defaults = {tensor.name for tensor in model.graph.initializer}
        return cls(
            inputs=tuple(_spec(value, is_optional=value.name in defaults) for value in model.graph.input),
            outputs=tuple(_spec(value) for value in model.graph.output),
            metadata={entry.key: entry.value for entry in model.metadata_props},
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values for `json.dumps`."""
        return asdict(self)


def _spec(value: onnx.ValueInfoProto, *, is_optional: bool = False) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)
    return TensorSpec(name=value.name, datatype=_DATATYPES[int(tensor.elem_type)], shape=shape, is_optional=is_optional)
