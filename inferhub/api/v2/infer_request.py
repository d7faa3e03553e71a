"""An inference request: its JSON and raw tensors, first as a message, then as what a version's signature asks for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from inferhub.api.v2.body import parameters_of
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.describe import describe, listed, pointer
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec
from inferhub.runtime.tensors import read_shape, tensor_from_bytes, tensor_from_json

# What would change the answer must not be ignored; any other parameter that is not known may be.
_REFUSED = {
    "sequence_id": "requests without it: there are no stateful sequences here",
    "shared_memory_region": "data in the request: there is no shared memory here",
    "classification": "requests without it: the raw output is answered",
}


class SentTensor(NamedTuple):
    """One input as it came: `raw` where it is binary, `data` otherwise."""

    name: str
    datatype: object
    shape: object
    data: object
    raw: memoryview | None
    place: str


class AskedOutput(NamedTuple):
    name: str
    is_binary: bool


class WantedOutput(NamedTuple):
    """An output as the version declares it, and whether it is to be answered as raw bytes."""

    spec: TensorSpec
    is_binary: bool


class InferRequest(NamedTuple):
    """A well-formed message. `outputs` is empty where all are wanted; `is_binary` holds for those.

    `key` is what decides between an alias's version and its canary: the parameter of that name, or else the id.
    """

    id: str
    key: str
    alias: object
    inputs: Sequence[SentTensor]
    outputs: Sequence[AskedOutput]
    is_binary: bool
    timeout_ms: int | None

    def feeds(self, signature: Signature, *, max_bytes: int) -> Feeds:
        """The tensors for a model. Raises InvalidInput with a pointer to what the signature does not allow."""
        specs = {spec.name: spec for spec in signature.inputs}
        given = {tensor.name for tensor in self.inputs}
        if given != specs.keys():
            for spec in signature.inputs:
                if spec.name not in given and not spec.is_optional:
                    raise _wrong("/inputs", f"the input '{spec.name}'", listed(sorted(given)) or "none")
        return {tensor.name: _array(specs, tensor, max_bytes) for tensor in self.inputs}

    def wanted(self, signature: Signature) -> list[WantedOutput]:
        """The outputs to answer with, in order. Raises InvalidInput for one that the model does not have."""
        if not self.outputs:
            return [WantedOutput(spec, self.is_binary) for spec in signature.outputs]
        known = {spec.name: spec for spec in signature.outputs}
        for index, output in enumerate(self.outputs):
            if output.name not in known:
                got = describe(output.name)
                raise _wrong(pointer("outputs", index, "name"), f"one of the outputs {listed(known)}", got)
        return [WantedOutput(known[output.name], output.is_binary) for output in self.outputs]


def read_infer_request(document: object, raw: memoryview) -> InferRequest:
    """Raises InvalidInput with a pointer to what is not of the protocol's form."""
    parameters = parameters_of(document)
    message: dict[str, Any] = document if isinstance(document, dict) else {}
    message_id = _text(message["id"], "/id") if "id" in message else ""
    key, is_binary, timeout_ms = message_id, False, None
    if parameters:
        _refuse(parameters, "")
        is_binary = _boolean(parameters, "binary_data_output", "", default=False)
        key = _text(parameters.get("key", ""), "/parameters/key") or message_id
        timeout_ms = _timeout_ms(parameters)
    inputs = _inputs(message, raw)
    outputs = [_output(entry, place, is_binary) for entry, place in _entries(message, "outputs")]
    return InferRequest(message_id, key, parameters.get("alias"), inputs, outputs, is_binary, timeout_ms)


def _timeout_ms(parameters: dict[str, Any]) -> int | None:
    """The client's `timeout` is in microseconds; 0 means none."""
    timeout = parameters.get("timeout", 0)
    if type(timeout) is not int or timeout < 0:
        raise _wrong("/parameters/timeout", "a whole number of microseconds", describe(timeout))
    return -(-timeout // 1000) or None


def _inputs(message: dict[str, Any], raw: memoryview) -> list[SentTensor]:
    inputs: list[SentTensor] = []
    for entry, place in _entries(message, "inputs"):
        tensor, raw = _input(entry, place, raw)
        inputs.append(tensor)
    if not inputs:
        raise _wrong("/inputs", "a list of tensors", "none")
    if len(raw):
        raise _wrong("", "raw tensors of the sizes that `binary_data_size` says", f"{len(raw)} bytes more")
    return inputs


def _input(entry: dict[str, Any], place: str, raw: memoryview) -> tuple[SentTensor, memoryview]:
    """The tensor, and what is left of `raw` behind it."""
    parameters = _parameters(entry, place) if "parameters" in entry else {}
    own = None
    if "binary_data_size" in parameters:
        size = parameters["binary_data_size"]
        at = place + "/parameters/binary_data_size"
        if type(size) is not int or not 0 <= size <= len(raw):
            raise _wrong(at, f"a whole number from 0 to {len(raw)}, the raw bytes left for it", describe(size))
        if "data" in entry:
            raise _wrong(place, "either `data` or `binary_data_size`", "both")
        own, raw = raw[:size], raw[size:]
    elif "data" not in entry:
        raise _wrong(place, "`data`, or `binary_data_size` among the parameters", "neither")
    name = _text(entry.get("name"), place + "/name")
    return SentTensor(name, entry.get("datatype"), entry.get("shape"), entry.get("data"), own, place), raw


def _output(entry: dict[str, Any], place: str, is_binary: bool) -> AskedOutput:
    binary = _boolean(_parameters(entry, place), "binary_data", place, default=is_binary)
    return AskedOutput(name=_text(entry.get("name"), place + "/name"), is_binary=binary)


def _array(specs: dict[str, TensorSpec], tensor: SentTensor, max_bytes: int) -> Array:
    spec = specs.get(tensor.name)
    if spec is None:
        raise _wrong(tensor.place + "/name", f"one of the inputs {listed(specs)}", describe(tensor.name))
    if tensor.datatype != spec.datatype:
        raise _wrong(tensor.place + "/datatype", f"{spec.datatype} for '{spec.name}'", describe(tensor.datatype))
    shape = read_shape(spec, tensor.shape, place=tensor.place, max_bytes=max_bytes)
    if tensor.raw is None:
        return tensor_from_json(spec, shape, tensor.data, place=tensor.place + "/data")
    return tensor_from_bytes(spec, shape, tensor.raw, place=tensor.place)


def _entries(message: dict[str, Any], side: str) -> list[tuple[dict[str, Any], str]]:
    """The tensors of one side with their pointers; each is an object, and no name comes twice."""
    if side not in message:
        return []
    entries: Any = message[side]
    if not isinstance(entries, list):
        raise _wrong(pointer(side), "a list of tensors", describe(entries))
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise _wrong(pointer(side, index), "an object", describe(entry))
    if len(entries) > 1:
        _no_repeats([entry.get("name") for entry in entries], side)
    return [(entry, f"/{side}/{index}") for index, entry in enumerate(entries)]


def _no_repeats(names: Sequence[object], side: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if isinstance(name, str):
            if name in seen:
                raise _wrong(pointer(side, index, "name"), "each tensor once", f"'{name}' again")
            seen.add(name)


def _parameters(entry: dict[str, Any], place: str) -> dict[str, Any]:
    parameters: Any = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise _wrong(place + "/parameters", "an object", describe(parameters))
    _refuse(parameters, place)
    return parameters


def _refuse(parameters: dict[str, Any], place: str) -> None:
    for name, expected in _REFUSED.items() if parameters else ():
        if name in parameters:
            raise _wrong(f"{place}/parameters/{name}", expected, describe(parameters[name]))


def _boolean(parameters: dict[str, Any], name: str, place: str, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(f"{place}/parameters/{name}", "true or false", describe(value))
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise _wrong(place, "a string", "nothing" if value is None else describe(value))
    return value


def _wrong(place: str, expected: str, got: str) -> InvalidInput:
    return InvalidInput(errors=[FieldError(pointer=place, expected=expected, got=got)])
