"""The queues that decisions may be sent to, as the operator names them: `orders=amqp://...,events=redis://...`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

from inferhub.lib.slug import is_slug

_OPTIONS = {
    "amqp": frozenset({"exchange", "routing_key"}),
    "amqps": frozenset({"exchange", "routing_key"}),
    "redis": frozenset({"stream"}),
    "rediss": frozenset({"stream"}),
    "redis+socket": frozenset({"stream"}),
}
_NEEDED = {"amqp": "routing_key", "amqps": "routing_key"}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueTarget:
    """A place for messages: an AMQP exchange with a routing key, or a Redis stream. `url` may hold a password."""

    name: str
    url: str = field(repr=False)
    is_amqp: bool
    exchange: str = ""
    routing_key: str = ""
    stream: str = ""


def parse_queue_targets(text: str) -> Mapping[str, QueueTarget]:
    """By name. Raises ValueError with the number of the part that cannot be used, since it may hold a password."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    targets: dict[str, QueueTarget] = {}
    for number, part in enumerate(parts, start=1):
        target = _parse(part)
        if target is None or target.name in targets:
            raise ValueError(str(number))
        targets[target.name] = target
    return targets


def _parse(part: str) -> QueueTarget | None:
    name, _, url = part.partition("=")
    address = urlsplit(url)
    options = dict(parse_qsl(address.query, keep_blank_values=True))
    known = _OPTIONS.get(address.scheme)
    if not is_slug(name) or known is None or options.keys() - known or address.fragment:
        return None
    if not options.get(_NEEDED.get(address.scheme, "stream")) or not _has_good_port(address):
        return None
    return QueueTarget(name=name, url=url.partition("?")[0], is_amqp=address.scheme.startswith("amqp"), **options)


def _has_good_port(address: SplitResult) -> bool:
    try:
        return address.port != 0
    except ValueError:
        return False
