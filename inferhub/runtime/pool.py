"""The sessions of one process: bounded by bytes, keyed by digest, each loaded once."""

import hashlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future

from inferhub.errors import ModelFailed
from inferhub.lib.waiting import must_wait
from inferhub.runtime.examples import warm_up
from inferhub.runtime.session import LoadedModel, SessionSettings, load_session

ReadArtifact = Callable[[], bytes]
FindSettings = Callable[[], SessionSettings]


class ArtifactChanged(ModelFailed):
    """The stored bytes of an artifact are not those that were registered."""


def artifact_digest(onnx_bytes: bytes) -> str:
    """The sha256 of an artifact, 64 hexadecimal digits."""
    return hashlib.sha256(onnx_bytes).hexdigest()


class SessionPool:
    """Loaded models by digest; the least recently used leave when their sizes together pass `max_bytes`.

    Pinned ones leave only when no other can. A model has run once, on made-up values, before anybody gets it.

    Threads that ask for the same digest share one load; other digests do not wait for it. A forked child starts empty.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.reset()
        _pools.add(self)

    def get(
        self,
        digest: str,
        read_artifact: ReadArtifact,
        *,
        memory_bytes: int = 0,
        find_settings: FindSettings = SessionSettings,
    ) -> LoadedModel:
        """The model of `digest`, loaded from `read_artifact()` with `find_settings()` where it is not here yet.

        It counts with `memory_bytes` (see `ModelReport`), or with the size of its file where that is more. Raises
        ArtifactChanged where the bytes hash to something else, ModelFailed where they do not load or do not fit.
        """
        with self._lock:
            model = self._models.get(digest)
            if model is not None:
                self._models.move_to_end(digest)
                return model
            must_wait()
            loading = self._loading.get(digest)
            is_mine = loading is None
            if loading is None:
                loading = self._loading[digest] = Future()
        if is_mine:
            self._load(digest, lambda: self._read(digest, read_artifact, memory_bytes, find_settings), loading)
        return loading.result()

    def pin(self, digests: Iterable[str]) -> None:
        """Keep these models, and no longer those that were pinned before, as long as others can leave."""
        with self._lock:
            self._pinned = frozenset(digests)

    def discard(self, digest: str) -> None:
        """Forget a model; requests that run on it finish undisturbed."""
        with self._lock:
            self._forget(digest)

    @property
    def digests(self) -> tuple[str, ...]:
        """What is loaded, least recently used first."""
        with self._lock:
            return tuple(self._models)

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    def _load(self, digest: str, read: Callable[[], tuple[LoadedModel, int]], loading: "Future[LoadedModel]") -> None:
        try:
            model, size = read()
        except (
            BaseException
        ) as exc:  # those who wait must hear of it, whatever it was; it is raised again from the future
            with self._lock:
                del self._loading[digest]
            loading.set_exception(exc)
            return
        with self._lock:
            self._keep(digest, model, size)
            del self._loading[digest]
        loading.set_result(model)

    def _read(
        self, digest: str, read_artifact: ReadArtifact, memory_bytes: int, find_settings: FindSettings
    ) -> tuple[LoadedModel, int]:
        """The model, warm, and the bytes that it counts with."""
        onnx_bytes = read_artifact()
        actual = artifact_digest(onnx_bytes)
        if actual != digest:
            raise ArtifactChanged(f"Artifact {digest} was changed: its bytes now hash to {actual}.")
        size = max(len(onnx_bytes), memory_bytes)
        if size > self.max_bytes:
            raise ModelFailed(
                f"The model needs {size} bytes and the pool of loaded models holds {self.max_bytes}: "
                "raise INFERHUB_SESSION_POOL_BYTES."
            )
        model = load_session(onnx_bytes, find_settings())
        warm_up(model)
        return model, size

    def _keep(self, digest: str, model: LoadedModel, size: int) -> None:
        self.loads += 1
        self._models[digest] = model
        self._sizes[digest] = size
        self._used_bytes += size
        while self._used_bytes > self.max_bytes:
            self._forget(self._next_to_leave())

    def _next_to_leave(self) -> str:
        """The least recently used that is not pinned; of pinned ones only, the least recently used."""
        return next((digest for digest in self._models if digest not in self._pinned), next(iter(self._models)))

    def _forget(self, digest: str) -> None:
        if self._models.pop(digest, None) is not None:
            self._used_bytes -= self._sizes.pop(digest)

    def reset(self) -> None:
        """Start empty, with locks that nobody holds."""
        self.loads = 0
        self._lock = threading.Lock()
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._loading: dict[str, Future[LoadedModel]] = {}
        self._pinned = frozenset()
        self._used_bytes = 0

    def forget_parent(self) -> None:
        """Start empty in a forked child.

        The parent's sessions are kept there: to destroy one would wait for its threads, which a fork does not copy.
        """
        _of_parents.append(self._models)
        self.reset()

    @staticmethod
    def reset_all() -> None:
        """Empty every pool; runs in a forked child, where the parent's locks and loads have no owner."""
        for pool in tuple(_pools):
            pool.forget_parent()


_pools: "weakref.WeakSet[SessionPool]" = weakref.WeakSet()
_of_parents: list[OrderedDict[str, LoadedModel]] = []
os.register_at_fork(after_in_child=SessionPool.reset_all)
