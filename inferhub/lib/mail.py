"""How mail leaves the building, as the operator says it in INFERHUB_EMAIL_URL and INFERHUB_EMAIL_FROM."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]+\.)*[A-Za-z0-9-]+")
_TLS = ("starttls", "none")


@dataclass(frozen=True, kw_only=True, slots=True)
class MailServer:
    """An SMTP server, or with `folder` a folder that gets a file for each mail.

    Plain `smtp://` means STARTTLS, unless `?tls=none` says that the network is trusted; `smtps://` is TLS throughout.
    """

    sender: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    starts_tls: bool = False
    is_tls: bool = False
    folder: str = ""


def parse_mail_server(url: str, *, sender: str) -> MailServer:
    """Raises ValueError."""
    address = urlsplit(url)
    options = dict(parse_qsl(address.query, keep_blank_values=True))
    if address.scheme == "file" and address.path.startswith("/") and not address.netloc and not options:
        return MailServer(sender=sender, folder=unquote(address.path))
    is_tls = address.scheme == "smtps"
    known = {} if is_tls else {"tls": options.get("tls", "starttls")}
    if address.scheme not in ("smtp", "smtps") or not address.hostname or options.keys() - known.keys():
        raise ValueError("scheme, host or options")
    if known.get("tls", "none") not in _TLS or address.path not in ("", "/"):
        raise ValueError("tls or path")
    return MailServer(
        sender=sender,
        host=address.hostname,
        port=address.port or (465 if is_tls else 587),
        user=unquote(address.username or ""),
        password=unquote(address.password or ""),
        starts_tls=known.get("tls") == "starttls",
        is_tls=is_tls,
    )


def is_mail_address(text: str) -> bool:
    """Whether `text` is one bare address, without a name, a second one or a line's end.

    >>> [is_mail_address(text) for text in ("ann@example.org", "Ann <ann@example.org>", "a@b.org\\nBcc: c@d.org")]
    [True, False, False]
    """
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None


def is_allowed_recipient(address: str, domains: Iterable[str]) -> bool:
    """Whether mail may go to `address`: where `domains` are given, to them and what is below them.

    >>> [is_allowed_recipient(f"ann@{domain}", ["example.org"]) for domain in ("mail.Example.org", "evilexample.org")]
    [True, False]
    """
    domain = address.rpartition("@")[2].lower()
    allowed = [known.lower() for known in domains]
    return not allowed or any(domain == known or domain.endswith(f".{known}") for known in allowed)
