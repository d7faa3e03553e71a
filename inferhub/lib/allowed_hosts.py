"""Which hosts the operator lets the hub send to."""

import ipaddress
import re
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"(\*\.)?({_LABEL}\.)*{_LABEL}")
# An IPv4 address behind a translator (RFC 6052, RFC 6145), or in the form that was given up (RFC 4291).
_CARRIERS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
_GIVEN_OUT = ipaddress.ip_network("2000::/3")  # the only global addresses of version 6 that there are


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """What the operator lets the hub reach; `text` is how it was written.

    `*` is every public address. A name (`crm.example.org`, or `*.example.org` for all below) lets in what it stands
    for, in private networks too. An address or a network lets in what lies in it; nothing else lets in the loopback
    interface (`localhost` is short for it) or link-local addresses, where clouds keep their secrets.
    """

    text: str
    is_public: bool
    names: frozenset[str]
    domains: tuple[str, ...]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, text: str) -> "AllowedHosts":
        """Raises ValueError that names the part which is neither."""
        parts = [part.strip().lower() for part in text.split(",") if part.strip()]
        networks = [network for part in parts if (network := _as_network(part)) is not None]
        names = [part for part in parts if part != "*" and _as_network(part) is None]
        for name in names:
            if not _NAME.fullmatch(name):
                raise ValueError(name)
        return cls(
            text=text,
            is_public="*" in parts,
            names=frozenset(name for name in names if not name.startswith("*.")),
            domains=tuple(name.removeprefix("*") for name in names if name.startswith("*.")),
            networks=(*networks, *(_LOOPBACK if "localhost" in names else ())),
        )

    def lists_name(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return host in self.names or host.endswith(self.domains)

    def lists_address(self, address: Address) -> bool:
        """Whether a listed network holds `address`, or the IPv4 address that it carries."""
        bare = _unwrapped(address)
        return any(bare.version == network.version and bare in network for network in self.networks)

    def lets(self, address: Address, *, host: str) -> bool:
        """Whether `host` may be reached at `address`, which is one of those that it stands for."""
        bare = _unwrapped(address)
        if self.lists_address(address):
            return True
        if bare.is_loopback or bare.is_link_local or bare.is_multicast or bare.is_unspecified:
            return False
        is_global = bare.is_global and (bare.version == 4 or bare in _GIVEN_OUT)
        return self.lists_name(host) or (self.is_public and is_global)


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries, where it is of that kind."""
    if not isinstance(address, ipaddress.IPv6Address) or address.is_loopback or address.is_unspecified:
        return address
    if any(address in carrier for carrier in _CARRIERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _as_network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None
