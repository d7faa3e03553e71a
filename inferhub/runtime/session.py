"""ONNX Runtime sessions with the options that serving untrusted, many-threaded callers needs."""

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from inferhub.errors import ModelFailed
from inferhub.runtime.deadline import Deadline, Watch
from inferhub.runtime.metadata import allowed_nan
from inferhub.runtime.signature import Array, Feeds, Signature, TensorSpec

ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    kind for kind in vars(ort_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)
"""ONNX Runtime's exceptions, which share no base class of their own."""

DATATYPES: Mapping[str, str] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

_FATAL_ONLY = 4  # errors are raised and translated; ONNX Runtime would also print them
_LOCALE = re.compile(r"Failed to construct locale with name:([\w.@-]+)")
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", re.DOTALL)
_SOURCE = re.compile(r"\S*/onnxruntime\S*:\d+ .*?\) ?")


OPTIMISATIONS: Mapping[str, ort.GraphOptimizationLevel] = {
    "none": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionSettings:
    """How a session is made and run: threads inside one operator, a name of `OPTIMISATIONS`, rows of one run.

    One thread as a rule: the web server's threads are the parallelism, and a small model is slower with several. More
    rows than `batch` are cut into several runs (`batches`); 0 means never.
    """

    threads: int = 1
    optimisation: str = "all"
    batch: int = 0

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "SessionSettings":
        """From what `inferhub tune` stored, on a machine that may have had more cores than this one."""
        threads = min(int(stored["threads"]), os.cpu_count() or 1)
        return cls(threads=threads, optimisation=str(stored["optimisation"]), batch=int(stored["batch"]))


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """A model ready to run. Threads may share it: `run` releases the interpreter lock."""

    session: ort.InferenceSession
    signature: Signature
    metadata: Mapping[str, str]
    size: int
    output_names: tuple[str, ...]
    batch: int = 0
    threads: int = 1

    def run(self, feeds: Mapping[str, Array], deadline: Deadline | None = None) -> Feeds:
        """Run the model once: tensors by input name in, tensors by output name out.

        Raises InvalidInput where a tensor disagrees with the signature, ModelFailed where the graph stops, TimedOut
        where it did not answer before the deadline.
        """
        self.signature.check_feeds(feeds)
        if deadline is None:
            return self._run(feeds, None)
        with Watch(deadline) as watch:
            try:
                return self._run(feeds, watch.options)
            except ModelFailed as exc:
                if watch.is_late:
                    raise deadline.passed() from exc
                raise

    def _run(self, feeds: Mapping[str, Array], options: ort.RunOptions | None) -> Feeds:
        try:
            outputs = self.session.run(self.output_names, feeds, options)
        except ORT_ERRORS as exc:
            raise ModelFailed(f"The model stopped: {sentence(exc)}") from exc
        except UnicodeDecodeError as exc:
            raise ModelFailed("The model answered with text that is not UTF-8.") from exc
        return dict(zip(self.output_names, outputs, strict=True))


def load_session(onnx_bytes: bytes, settings: SessionSettings = SessionSettings()) -> LoadedModel:
    """Load a model from bytes. Raises ModelFailed with ONNX Runtime's reason.

    Threads do not spin while they wait: others need the cores. The folder of external initializers is an empty one,
    else a model loaded from bytes could read files of the current directory into its outputs.
    """
    with tempfile.TemporaryDirectory(prefix="inferhub-empty-") as empty:
        try:
            session = ort.InferenceSession(onnx_bytes, _options(settings, empty), providers=["CPUExecutionProvider"])
        except ORT_ERRORS as exc:
            raise ModelFailed(f"The model does not load: {sentence(exc)}") from exc
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    signature = _signature(session, metadata)
    return LoadedModel(
        session=session,
        signature=signature,
        metadata=metadata,
        size=len(onnx_bytes),
        output_names=tuple([spec.name for spec in signature.outputs]),
        batch=settings.batch,
        threads=settings.threads,
    )


def sentence(exc: Exception) -> str:
    """ONNX Runtime's message without its source paths, with the cure where it is known."""
    text = str(exc)
    if missing := _LOCALE.search(text):
        return (
            f"its text step needs the locale {missing[1]}, which this machine lacks; "
            "export it with locale='C.UTF-8' (StringNormalizer), which every machine has"
        )
    return _SOURCE.sub("", _PREFIX.sub("", text)).strip().split("\n")[0]


def _options(settings: SessionSettings, empty_folder: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = OPTIMISATIONS[settings.optimisation]
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", empty_folder)
    return options


def _signature(session: ort.InferenceSession, metadata: Mapping[str, str]) -> Signature:
    nan = allowed_nan(metadata)
    required = [_spec(node, nan, is_optional=False) for node in session.get_inputs()]
    optional = [_spec(node, nan, is_optional=True) for node in session.get_overridable_initializers()]
    outputs = tuple(_spec(node, nan, is_optional=False) for node in session.get_outputs())
    return Signature(inputs=(*required, *optional), outputs=outputs)


def _spec(node: ort.NodeArg, nan: frozenset[str], *, is_optional: bool) -> TensorSpec:
    if node.type not in DATATYPES:
        raise ModelFailed(f"'{node.name}' is a {node.type}; a model here takes and gives plain tensors.")
    return TensorSpec(
        name=node.name,
        datatype=DATATYPES[node.type],
        shape=tuple(dim if isinstance(dim, int) else None for dim in node.shape),
        is_optional=is_optional,
        allows_nan=node.name in nan,
    )
