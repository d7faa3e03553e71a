"""Check a proof of Inferhub without Inferhub: Python 3.9 or newer, nothing else, no network.

    python check_proof.py proof.json [--seals seals.jsonl]

A proof says that a decision or an audit event, as it stands there, was in the hub's log when a seal was made. The file
given with --seals holds seals as the hub wrote them elsewhere (INFERHUB_SEAL_FILE, or what its webhook got): one of
those that the proof names must be in it. Without it, compare the newest seal, which is printed, with what you know.

Exit status: 0 the proof holds, 1 it does not, 2 it cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any


class Wrong(Exception):
    """What does not hold."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def expect(expected: Any, found: Any, what: str) -> None:
    if expected != found:
        raise Wrong(f"{what}: expected {expected}, found {found}")


def root_by_path(record: bytes, place: int, count: int, path: list[str]) -> str:
    """RFC 6962, section 2.1: leaves are hashed behind 0x00, pairs behind 0x01; a last one alone moves up as it is."""
    node, neighbours = sha256(b"\x00" + record), [bytes.fromhex(text) for text in path]
    while count > 1:
        if place ^ 1 < count:
            if not neighbours:
                raise Wrong("the path ends before the root")
            other = neighbours.pop(0)
            node = sha256(b"\x01" + (other + node if place & 1 else node + other))
        place, count = place // 2, (count + 1) // 2
    if neighbours:
        raise Wrong("the path goes on behind the root")
    return node.hex()


def skip_of(number: int) -> int:
    """The seal that a seal names beside the one before it: a jump, so that the way to an old one is short."""
    rest = step = number
    while rest:
        step = (1 << ((rest + 1).bit_length() - 1)) - 1
        rest -= step
    return number - step


def check_content(proof: dict[str, Any], fixed: dict[str, Any]) -> None:
    """The content stands behind a commitment; a proof of an erased decision has none."""
    if "content" in proof:
        found = sha256((proof["salt"] + proof["content"]).encode()).hex()
        expect(fixed.get("commitment"), found, "the commitment to the content")


def check_identity(proof: dict[str, Any], fixed: dict[str, Any]) -> None:
    """The id is part of a decision's text; that of an audit event is a number, and part of what was sealed."""
    if proof["stream"] == "decision":
        expect(proof["id"], fixed.get("id"), "the id in the text")
        expect(proof["id"].replace("-", ""), proof["record_id"], "the sealed id")
    else:
        expect(int(proof["id"]), int(proof["record_id"], 16), "the sealed id")


def check_way(seals: list[dict[str, Any]]) -> None:
    """From the newest seal down to the one that covers the row, each is named by the one before it."""
    for seal in seals:
        header = {key: value for key, value in seal.items() if key != "digest"}
        expect(seal["digest"], sha256(canonical(header)).hex(), f"the digest of seal {seal['number']}")
    for above, below in zip(seals, seals[1:]):  # noqa: B905, RUF007 - Python 3.9 has neither strict nor pairwise
        names = {above["number"] - 1: above["previous"], skip_of(above["number"]): above["skip"]}
        expect(names.get(below["number"]), below["digest"], f"what seal {above['number']} says of {below['number']}")


def check_anchor(seals: list[dict[str, Any]], known: list[tuple[int, str]]) -> None:
    """One of the seals is known from elsewhere, and none is known to be another one."""
    digests = {seal["number"]: seal["digest"] for seal in seals}
    shared = [(number, digest) for number, digest in known if number in digests]
    for number, digest in shared:
        expect(digest, digests[number], f"seal {number} as it was written elsewhere")
    if not shared:
        numbers = ", ".join(str(seal["number"]) for seal in seals)
        raise Wrong(f"no seal of the proof is among those written elsewhere; it names {numbers}")


def check(proof: dict[str, Any], known: list[tuple[int, str]] | None) -> dict[str, Any]:
    """Raise Wrong where anything does not hold; gives what the text says."""
    expect("inferhub-proof-1", proof["format"], "the format")
    text = proof["canonical"].encode()
    fixed: dict[str, Any] = json.loads(text)
    seal = proof["seals"][-1]
    expect(proof["stream"], seal["stream"], "the stream of the seal")
    check_content(proof, fixed)
    check_identity(proof, fixed)
    record = bytes.fromhex(proof["record_id"]) + sha256(text)
    expect(seal["root"], root_by_path(record, proof["place"], seal["count"], proof["path"]), "the root of the seal")
    check_way(proof["seals"])
    if known is not None:
        check_anchor(proof["seals"], known)
    return fixed


def read_known(path: str) -> list[tuple[int, str]]:
    """Numbers and digests, all of them: a chain that was made anew is told by two digests of one number."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    seals = [json.loads(line) for line in lines if line.strip().endswith("}")]
    return [(seal["number"], seal["digest"]) for seal in seals]


def show(proof: dict[str, Any], fixed: dict[str, Any]) -> None:
    newest, seal = proof["seals"][0], proof["seals"][-1]
    print(f"The proof holds: {proof['stream']} {proof['id']}")
    for name in sorted(fixed):
        print(f"  {name}: {json.dumps(fixed[name], ensure_ascii=False)}")
    if "content" in proof:
        print(f"  content: {proof['content']}")
    if "names" in proof:
        print(f"  (numbers of versions there are the hub's own; it says, unsealed: {json.dumps(proof['names'])})")
    print(f"It is one of {seal['count']} rows under seal {seal['number']} of {seal['sealed_at']},")
    print(f"which seal {newest['number']} of {newest['sealed_at']} confirms, whose digest is")
    print(f"  {newest['digest']}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a proof of Inferhub.")
    parser.add_argument("proof", help="the proof, a JSON file")
    parser.add_argument("--seals", help="seals as they were written elsewhere, one JSON object a line")
    asked = parser.parse_args()
    try:
        proof = json.loads(Path(asked.proof).read_text(encoding="utf-8"))
        fixed = check(proof, read_known(asked.seals) if asked.seals else None)
    except Wrong as wrong:
        print(f"The proof does not hold. {wrong}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        print(f"This cannot be read as a proof: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    show(proof, fixed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
