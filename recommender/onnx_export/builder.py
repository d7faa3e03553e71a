"""Writes ONNX graphs node by node, with names made up on the way and the same bytes every time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
ML_OPSET = 3
ML_DOMAIN = "ai.onnx.ml"
IR_VERSION = 9

BOOL, FLOAT, STRING = TensorProto.BOOL, TensorProto.FLOAT, TensorProto.STRING
INT32, INT64 = TensorProto.INT32, TensorProto.INT64
Shape = Sequence[int | str]


class GraphBuilder:
    """Collects nodes and constants; every method that adds something returns the name of the tensor it yields."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._defaults: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._domains = {"": OPSET, ML_DOMAIN: ML_OPSET}

    def input(self, name: str, datatype: int, shape: Shape, *, default: Any = None) -> str:
        """Declare an input; one with a `default` (array) may be left out by the caller."""
        self._inputs.append(helper.make_tensor_value_info(name, datatype, list(shape)))
        if default is not None:
            self._defaults.append(numpy_helper.from_array(np.asarray(default), name))
        return name

    def output(self, name: str, datatype: int, shape: Shape, tensor: str) -> None:
        """Declare that `tensor` leaves the graph as `name`."""
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=f"output_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, datatype, list(shape)))

    def constant(self, value: Any) -> str:
        """A constant tensor; equal ones are stored once."""
        array = np.asarray(value)
        tensor = numpy_helper.from_array(array, "")
        for name, known in self._constants.items():
            if known.data_type == tensor.data_type and known.dims == tensor.dims and _same_data(known, tensor):
                return name
        name = f"constant_{len(self._constants)}"
        tensor.name = name
        self._constants[name] = tensor
        return name

    def need_opset(self, version: int) -> None:
        """Use operators of this version of the standard domain."""
        self._domains[""] = max(self._domains[""], version)

    def op(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.ops(op_type, *inputs, count=1, domain=domain, **attributes)[0]

    def ops(self, op_type: str, *inputs: str, count: int, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with `count` outputs."""
        name = f"{op_type}_{len(self._nodes)}"
        outputs = [name] if count == 1 else [f"{name}_{place}" for place in range(count)]
        self._nodes.append(helper.make_node(op_type, inputs, outputs, name=name, domain=domain, **attributes))
        if domain not in self._domains:
            self._domains[domain] = 1
        return outputs

    def include(self, model: onnx.ModelProto, inputs: Mapping[str, str]) -> list[str]:
        """Copy a whole model in; `inputs` says which tensor here feeds which of its inputs. Returns its outputs."""
        prefix = f"included_{len(self._nodes)}_"
        names = dict(inputs)

        def renamed(name: str) -> str:
            return names.get(name, prefix + name) if name else ""

        for tensor in model.graph.initializer:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name = renamed(tensor.name)
            self._constants[copy.name] = copy
        for number, node in enumerate(model.graph.node):
            inner = onnx.NodeProto()
            inner.CopyFrom(node)
            inner.name = f"{prefix}{number}_{node.name}"
            inner.input[:] = [renamed(name) for name in node.input]
            inner.output[:] = [renamed(name) for name in node.output]
            self._nodes.append(inner)
            self._domains.setdefault(node.domain, 1)
        return [renamed(output.name) for output in model.graph.output]

    def encode(self, strings: str, keys: Sequence[str], *, default: int) -> str:
        """Position of each string among `keys` (int64), `default` for others."""
        return self.op(
            "LabelEncoder",
            strings,
            domain=ML_DOMAIN,
            keys_strings=list(keys),
            values_int64s=list(range(len(keys))),
            default_int64=default,
        )

    def dimension(self, tensor: str, axis: int) -> str:
        """The size of one axis as int64 [1]."""
        return self.op("Shape", tensor, start=axis, end=axis + 1)

    def reshape(self, tensor: str, *shape: int) -> str:
        """Reshape, with 0 for "as it is" and -1 for "the rest"."""
        return self.op("Reshape", tensor, self.constant(np.array(shape, np.int64)))

    def build(self, name: str, metadata: Mapping[str, str]) -> bytes:
        """The checked model as bytes, the same for the same calls."""
        tensors = [*self._defaults, *self._constants.values()]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, tensors)
        opsets = [helper.make_opsetid(domain, version) for domain, version in sorted(self._domains.items())]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="recommender")
        helper.set_model_props(model, dict(sorted(metadata.items())))
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


def _same_data(one: onnx.TensorProto, other: onnx.TensorProto) -> bool:
    return bool(one.raw_data == other.raw_data and list(one.string_data) == list(other.string_data))
