"""Verify what seals say of each other, and what is known of them outside of the database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from inferhub.audit.chain import NOTHING, SealHeader, digest_of_seal, skip_of
from inferhub.audit.findings import Finding, Head, Report, about_seal
from inferhub.audit.streams import View, read_all, readable

_HEADERS = f"""
SELECT number, stream, count, root, previous, skip, {readable("sealed_at")}, digest FROM audit_seal ORDER BY number
"""  # noqa: S608 - constants


def check_chain(view: View, report: Report, copies: Sequence[Head], streams: set[str]) -> int:
    """Check what seals say of each other; gives the number of rows that the checked ones cover."""
    outside: dict[int, set[str]] = defaultdict(set)
    for copy in copies:
        outside[copy.number].add(copy.digest)
    links, rows, expected = _Links(), 0, 1
    for *fields, digest in read_all(view, _HEADERS):
        seal = SealHeader(**dict(zip(_HEADER_FIELDS, fields, strict=True)))
        if seal.number > expected:
            report.add(_removed_seals(expected, seal.number))
        for expectation, found in links.faults(seal, digest, streams):
            report.add(about_seal("altered", seal.number, expectation, found))
        for copy_digest in sorted(outside.pop(seal.number, {digest}) - {digest}):
            report.add(about_seal("altered", seal.number, f"the digest {copy_digest} of the copy outside", digest))
        rows += seal.count if seal.number > report.since_seal else 0
        expected = seal.number + 1
        report.head, report.head_digest, report.seals = seal.number, digest, report.seals + 1
    for number, digests in sorted(outside.items()):
        report.add(about_seal("removed", number, f"the digest {min(digests)} of the copy outside", "no such seal"))
    return rows


_HEADER_FIELDS = ("number", "stream", "count", "root", "previous", "skip", "sealed_at")
_MOST_LINKS = 4096


class _Links:
    """The digests of the seals that later ones may name."""

    def __init__(self) -> None:
        self._known = {0: NOTHING}

    def faults(self, seal: SealHeader, digest: str, streams: set[str]) -> Iterator[tuple[str, str]]:
        """What is wrong with the seal after all that came before: what was expected, and what was found."""
        if seal.number < 1:
            yield "numbers from 1 on", str(seal.number)
            return
        computed = digest_of_seal(seal)
        if computed != digest:
            yield f"the digest {computed} of its fields", digest
        if seal.stream not in streams:
            yield f"one of the streams {', '.join(sorted(streams))}", seal.stream
        for name, number, said in (
            ("previous", seal.number - 1, seal.previous),
            ("skip", skip_of(seal.number), seal.skip),
        ):
            known = self._known.get(number, said)  # one that was removed is told already
            if known != said:
                yield f"as {name} the digest {known} of seal {number}", said
        self._known[seal.number] = digest
        if len(self._known) > _MOST_LINKS:
            self._forget(seal.number)

    def _forget(self, number: int) -> None:
        """Keep those that seals after `number` name: the ones that it skips to, and they, down to the first."""
        kept = {0, number}
        while number:
            number = skip_of(number)
            kept.add(number)
        self._known = {number: digest for number, digest in self._known.items() if number in kept}


def _removed_seals(expected: int, found: int) -> Finding:
    what = f"seal {expected}" if found == expected + 1 else f"seals {expected} to {found - 1}"
    return about_seal("removed", expected, what, f"seal {found} after seal {expected - 1}")
