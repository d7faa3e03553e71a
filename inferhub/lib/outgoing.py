"""Send to other systems, and nowhere else: which addresses may be reached, and one careful POST.

Whoever may name an address could make the hub speak to what only the hub can reach: a database on the loopback
interface, a neighbour's administration page, the metadata of a cloud (OWASP: server-side request forgery). So a name is
resolved here, each address that it stands for is held against what the operator allows, and the connection goes to that
very address: what the name stands for a moment later does not matter.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpcore
import httpx

from inferhub.errors import NotPermitted, Unavailable
from inferhub.lib.allowed_hosts import Address, AllowedHosts
from inferhub.lib.digits import read_digits

VARIABLE = "INFERHUB_WEBHOOK_HOSTS"
_ANSWERS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)


def address_problem(url: str, allowed: AllowedHosts) -> str:
    """What should stand in place of `url`, as far as can be said without asking DNS; empty where it may be used."""
    try:
        address = urlsplit(url)
        host = httpx.URL(url).host  # both readers of addresses must take it, for each lets something else through
        if address.scheme not in ("http", "https") or not address.hostname or not host or address.port == 0:
            return "an http or https address"
    except (ValueError, httpx.InvalidURL):
        return "an http or https address"
    if address.username is not None or address.fragment:
        return "an address without a password and a fragment"
    literal = _as_address(host)
    if literal is not None and not allowed.lets(literal, host=host):
        return f"an address that {VARIABLE} allows ({allowed.text or 'it allows none'})"
    if address.scheme == "http" and not _may_be_plain(host, literal, allowed):
        return f"an https address, or a host that {VARIABLE} names (now: {allowed.text or 'none'})"
    return ""


class Answer(NamedTuple):
    """What the other side said: a status and, where it wants to be left alone for a while, for how long."""

    status: int
    retry_after: timedelta | None


def post(url: str, body: bytes, headers: Mapping[str, str], *, allowed: AllowedHosts, seconds: float) -> Answer:
    """Send `body`, and have the head of the answer within about `seconds` in all, however slowly it drips.

    The answer's body is never read: it could be endless. A redirect would send the body where nobody agreed to send it,
    so none is followed. Certificates are checked against the system's store, where a company keeps its own authority.
    Raises NotPermitted for an address that is not allowed, and Unavailable.
    """
    where = httpx.URL(url)
    target = httpcore.URL(scheme=where.raw_scheme, host=where.raw_host, port=where.port, target=where.raw_path)
    backend = _GuardedBackend(allowed, is_plain=where.scheme == "http", ends=time.monotonic() + seconds)
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
    lines = [(b"host", where.netloc), *((name.encode(), value.encode()) for name, value in headers.items())]
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trusted_certificates(), network_backend=backend) as pool,
            pool.stream("POST", target, headers=lines, content=body, extensions={"timeout": timeout}) as answer,
        ):
            return Answer(answer.status, _retry_after(answer.headers))
    except _ANSWERS as exc:
        raise Unavailable(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__) from exc


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> timedelta | None:
    """Seconds or a date (RFC 9110, 10.2.3); None where it is neither, or too far away to be meant."""
    given = next((value for name, value in headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    seconds = read_digits(given)
    try:
        if seconds is not None:
            return timedelta(seconds=seconds)
        moment = parsedate_to_datetime(given)
        return max(moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC), timedelta(0))
    except (ValueError, OverflowError):
        return None


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to allowed addresses only, and gives all that happens on the connection one deadline."""

    def __init__(self, allowed: AllowedHosts, *, is_plain: bool, ends: float) -> None:
        self._allowed = allowed
        self._is_plain = is_plain
        self._ends = ends
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} stands for no address")
        for address in self._addresses(host, port):
            try:
                left = _left(self._ends, timeout, httpcore.ConnectTimeout)
                stream = self._real.connect_tcp(str(address), port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _HurriedStream(stream, self._ends)
        raise failure

    def _addresses(self, host: str, port: int) -> list[Address]:
        """Those that `host` stands for and that may be reached. Raises NotPermitted where it stands for others only."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise httpcore.ConnectError(f"{host}: {exc.strerror or exc}") from exc
        except UnicodeError as exc:
            raise httpcore.ConnectError(f"{host} is no name: a part of it is empty or too long") from exc
        addresses = list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
        good = [address for address in addresses if self._allowed.lets(address, host=host)]
        if not good:
            raise NotPermitted(
                f"{host} is {', '.join(map(str, addresses))}, which {VARIABLE} does not allow: "
                "list the host or its network there."
            )
        if self._is_plain and not all(_may_be_plain(host, address, self._allowed) for address in good):
            raise NotPermitted(f"{host} takes https only, unless {VARIABLE} lists it or its network.")
        return good


class _HurriedStream(httpcore.NetworkStream):
    """A connection that nobody can keep busy beyond its deadline by sending a little now and then."""

    def __init__(self, stream: httpcore.NetworkStream, ends: float) -> None:
        self._stream = stream
        self._ends = ends

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._ends, timeout, httpcore.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._ends, timeout, httpcore.ConnectTimeout)
        return _HurriedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._ends)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends: float, timeout: float | None, expired: type[httpcore.TimeoutException]) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise expired("the time for the whole attempt is over")
    return left if timeout is None else min(left, timeout)


def _may_be_plain(host: str, address: Address | None, allowed: AllowedHosts) -> bool:
    """Whether the operator named it: without TLS nobody else may read along. Without an address: whether it may be."""
    if allowed.lists_name(host):
        return True
    if address is None:
        return bool(allowed.networks)
    return allowed.lists_address(address)


def _as_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


@cache
def _trusted_certificates() -> ssl.SSLContext:
    """The system's store; reading it takes longer than most deliveries."""
    return ssl.create_default_context()
