"""Lanes: what is to reach the same place about the same subject in the order in which it was decided.

An ordered action waits while an earlier one of its lane is pending, also between that one's attempts. A dead letter
steps out of the lane, so that it holds up nobody for ever; driven again, it is the first of its lane once more.
"""

import hashlib
from functools import cache

from django.conf import settings


def lane_number(place: str, subject: str) -> int | None:
    """The lane of a subject at a place, 64 bits with a sign; None where either is empty: nothing to keep in order.

    A keyed digest, since it outlives the subject in a decision that was erased. Lanes that share a number wait for each
    other, which is only slower.
    """
    if not place or not subject:
        return None
    digest = hashlib.blake2b(f"{place}\0{subject}".encode(), digest_size=8, key=_key())
    return int.from_bytes(digest.digest(), signed=True)


@cache
def _key() -> bytes:
    return hashlib.blake2b(settings.SECRET_KEY.encode(), digest_size=32, person=b"inferhub.lane").digest()
