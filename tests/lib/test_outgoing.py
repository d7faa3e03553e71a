"""The hub sends where the operator allows it, to the address that it looked at, and for as long as it wants."""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from inferhub.errors import NotPermitted, Unavailable
from inferhub.lib import outgoing
from inferhub.lib.allowed_hosts import AllowedHosts
from inferhub.lib.config import BadSetting, read_config
from inferhub.lib.outgoing import address_problem, post

PUBLIC = AllowedHosts.parse("*")
LOCAL = AllowedHosts.parse("*,localhost")


def lets(allowed: str, address: str, host: str = "shop.example.org") -> bool:
    return AllowedHosts.parse(allowed).lets(ipaddress.ip_address(address), host=host)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "::127.0.0.1",
        "::ffff:0:169.254.169.254",
        "64:ff9b:1::7f00:1",
        "fec0::1",
    ],
)
def test_only_public_addresses_are_public(address: str) -> None:
    assert not lets("*", address)
    assert not lets("", address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_reached_unless_there_is_a_list_without_them(address: str) -> None:
    assert lets("*", address)
    assert not lets("crm.example.org,10.0.0.0/8", address)
    assert lets("shop.example.org", address)
    assert lets("*.example.org", address)


def test_a_listed_network_or_name_lets_private_addresses_in() -> None:
    assert lets("10.0.0.0/8", "10.1.2.3")
    assert lets("10.0.0.0/8", "::ffff:10.1.2.3")
    assert not lets("10.0.0.0/8", "192.168.0.1")
    assert lets("Shop.example.org", "192.168.0.1")
    assert lets("shop.example.org", "192.168.0.1", host="SHOP.example.org.")
    assert not lets("*.example.org", "192.168.0.1", host="example.org")
    assert not lets("*.example.org", "192.168.0.1", host="evilexample.org")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0"])
def test_a_name_never_opens_the_way_to_this_machine_or_to_a_clouds_metadata(address: str) -> None:
    assert not lets("shop.example.org,*", address)
    assert lets(f"{address}", address)


def test_localhost_is_short_for_the_loopback_interface() -> None:
    assert lets("localhost", "127.0.0.1", host="127.0.0.1")
    assert lets("localhost", "::1", host="localhost")


@given(st.ip_addresses())
def test_nothing_is_reached_where_nothing_is_listed(address: Any) -> None:
    assert not AllowedHosts.parse("").lets(address, host="x")


@given(st.ip_addresses(v=4))
def test_an_address_in_other_clothes_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    for allowed in (PUBLIC, LOCAL, AllowedHosts.parse("10.0.0.0/8")):
        plain = allowed.lets(address, host="x")
        assert allowed.lets(ipaddress.ip_address(f"::ffff:{address}"), host="x") == plain
        for carrier in ("64:ff9b::", "::ffff:0:0:0", *(["::"] if int(address) > 1 else [])):
            carried = ipaddress.IPv6Address(int(ipaddress.ip_address(carrier)) + int(address))
            assert allowed.lets(carried, host="x") == plain


def test_a_list_that_cannot_be_read_stops_the_start() -> None:
    for text in ("https://x.example.org", "10.0.0.0/33", "a b", "*.*.org", "x:80"):
        with pytest.raises(BadSetting, match="INFERHUB_WEBHOOK_HOSTS must be"):
            read_config({"INFERHUB_WEBHOOK_HOSTS": text, "INFERHUB_SECRET_KEY": "x" * 32})


@pytest.mark.parametrize(
    ("url", "allowed", "said"),
    [
        ("https://shop.example.org/hook", "*", ""),
        ("http://shop.example.org/hook", "*", "an https address"),
        ("http://shop.example.org/hook", "shop.example.org", ""),
        ("http://shop.example.org/hook", "*,10.0.0.0/8", ""),  # DNS will tell
        ("http://10.0.0.5/hook", "*,10.0.0.0/8", ""),
        ("https://10.0.0.5/hook", "*", "an address that INFERHUB_WEBHOOK_HOSTS allows"),
        ("https://[::1]/hook", "*", "an address that INFERHUB_WEBHOOK_HOSTS allows"),
        ("https://ann:secret@shop.example.org/", "*", "an address without a password"),
        ("https://shop.example.org/#x", "*", "an address without a password and a fragment"),
        ("ftp://shop.example.org", "*", "an http or https address"),
        ("https://[", "*", "an http or https address"),
        ("https://shop.example.org:99999/", "*", "an http or https address"),
        ("https://shop.example.org:0/", "*", "an http or https address"),
    ],
)
def test_what_can_be_said_of_an_address_is_said_when_it_is_saved(url: str, allowed: str, said: str) -> None:
    problem = address_problem(url, AllowedHosts.parse(allowed))
    assert problem.startswith(said) if said else problem == ""


@pytest.fixture
def listener() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Listens on the loopback interface and does with a connection what the test says."""
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def listen(serve: Callable[[socket.socket], None]) -> int:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def accept() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        threads.append(thread)
        return int(server.getsockname()[1])

    yield listen
    for server in opened:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
    for thread in threads:
        thread.join()


def hear(connection: socket.socket) -> bytes:
    """A whole request: what is left unread when the connection closes would take the answer with it."""
    heard = b""
    while not heard.endswith(b"{}") and (part := connection.recv(65536)):
        heard += part
    return heard


def test_the_connection_goes_to_the_address_that_was_looked_at(
    listener: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that changes its mind between the check and the connection gains nothing."""
    heads: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heads.append(hear(connection))
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    port = listener(serve)
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host != "rebound.example.org":
            return real(host, port, *rest, **more)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    url = f"http://rebound.example.org:{port}/hook?x=1"
    allowed = AllowedHosts.parse("rebound.example.org,127.0.0.1")
    assert post(url, b"{}", {"x-one": "1"}, allowed=allowed, seconds=5).status == 204
    assert asked == ["rebound.example.org"]
    assert heads[0].startswith(b"POST /hook?x=1 HTTP/1.1\r\nhost: rebound.example.org:")


@pytest.mark.parametrize("host", [".", "a..b", "a" * 64])
def test_a_name_that_is_none_is_told_as_such(host: str) -> None:
    with pytest.raises(Unavailable, match="is no name"):
        post(f"https://{host}/", b"{}", {}, allowed=PUBLIC, seconds=5)


def test_a_name_that_stands_for_this_machine_is_not_reached(listener: Callable[..., int]) -> None:
    port = listener(lambda connection: connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"))
    for host in ("localhost", "127.1", "2130706433"):
        with pytest.raises(NotPermitted, match="which INFERHUB_WEBHOOK_HOSTS does not allow"):
            post(f"https://{host}:{port}/", b"{}", {}, allowed=PUBLIC, seconds=5)


def test_plain_http_is_for_hosts_that_the_operator_named(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(NotPermitted, match="takes https only"):
        post("http://shop.example.org/", b"{}", {}, allowed=AllowedHosts.parse("*,10.0.0.0/8"), seconds=5)


def test_a_receiver_that_drips_for_ever_is_left_in_time(listener: Callable[..., int]) -> None:
    def drip(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"x-more: 1\r\n")
                time.sleep(0.05)

    port = listener(drip)
    with pytest.raises(Unavailable, match="ReadTimeout"):
        post(f"http://127.0.0.1:{port}/", b"{}", {}, allowed=LOCAL, seconds=0.4)


def test_a_certificate_that_nobody_trusts_and_a_closed_port_are_told(listener: Callable[..., int]) -> None:
    port = listener(lambda connection: connection.sendall(b"not TLS at all"))
    with pytest.raises(Unavailable, match="ConnectError"):
        post(f"https://127.0.0.1:{port}/", b"{}", {}, allowed=LOCAL, seconds=5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="ConnectError"):
            post(f"http://127.0.0.1:{free.getsockname()[1]}/", b"{}", {}, allowed=LOCAL, seconds=5)


def test_a_redirect_is_an_answer_and_not_followed(listener: Callable[..., int]) -> None:
    elsewhere = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\n\r\n"
    port = listener(lambda connection: (hear(connection), connection.sendall(elsewhere)))
    assert post(f"http://127.0.0.1:{port}/", b"{}", {}, allowed=LOCAL, seconds=5).status == 307


@pytest.mark.parametrize(
    ("says", "least", "most"),
    [
        ("30", 30, 30),
        (" 0 ", 0, 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 10**9, 10**10),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 0, 0),
    ],
)
def test_for_how_long_the_other_side_wants_to_be_left_alone_is_heard(
    listener: Callable[..., int], says: str, least: int, most: int
) -> None:
    text = f"HTTP/1.1 429 Too Many Requests\r\nretry-AFTER: {says}\r\n\r\n".encode()
    port = listener(lambda connection: (hear(connection), connection.sendall(text)))
    answer = post(f"http://127.0.0.1:{port}/", b"{}", {}, allowed=LOCAL, seconds=5)
    assert answer.retry_after is not None
    assert least <= answer.retry_after.total_seconds() <= most


@pytest.mark.parametrize("says", ["", "soon", "-1", "1.5", "9" * 30, "Mon, 32 Jan 2024 00:00:00 GMT", "\xff"])
def test_what_says_no_time_is_none(listener: Callable[..., int], says: str) -> None:
    text = f"HTTP/1.1 503 Busy\r\nRetry-After: {says}\r\n\r\n".encode("latin-1")
    port = listener(lambda connection: (hear(connection), connection.sendall(text)))
    assert post(f"http://127.0.0.1:{port}/", b"{}", {}, allowed=LOCAL, seconds=5) == (503, None)


def test_an_address_of_version_6_keeps_its_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:

        def accept() -> None:
            connection, _ = server.accept()
            with connection:
                heads.append(hear(connection))
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=accept)
        thread.start()
        port = server.getsockname()[1]
        assert post(f"http://[::1]:{port}/", b"{}", {}, allowed=LOCAL, seconds=5).status == 204
        thread.join()
    assert f"host: [::1]:{port}".encode() in heads[0]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and self-signed certificate of `localhost`, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "localhost.pem"
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


def test_a_certificate_must_be_trusted_and_that_of_the_host(
    listener: Callable[..., int], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), server.wrap_socket(connection, server_side=True) as wrapped:
            hear(wrapped)
            wrapped.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        post(f"https://localhost:{listener(serve)}/", b"{}", {}, allowed=LOCAL, seconds=5)
    trusting = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(outgoing, "_trusted_certificates", lambda: trusting)
    assert post(f"https://localhost:{listener(serve)}/", b"{}", {}, allowed=LOCAL, seconds=5).status == 204
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        post(f"https://127.0.0.1:{listener(serve)}/", b"{}", {}, allowed=LOCAL, seconds=5)
