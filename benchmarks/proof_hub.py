"""What benchmarks/proof.py does inside of its hub. Run with the environment of a hub; each command prints JSON.

`tamper COUNT` makes a small log and changes it COUNT times, as a superuser with the triggers off; `verify COUNT` makes
that many decisions and verifies all; `notes on|off` switches the noting of unsealed rows; `seal SECONDS` seals at that
pace until it is ended.
"""

import argparse
import json
import os
import random
import time
from typing import Any

import django

from benchmarks.decisions_hub import NAME

SMALL_LOG = 40
_TABLES = ("decisions_decision", "audit_auditevent")


def make_decisions(count: int, seed: int) -> None:
    from benchmarks.decisions import order  # noqa: PLC0415 - Django is set up by then
    from inferhub.decisions.services import Request, decide_all  # noqa: PLC0415

    generator = random.Random(seed)
    for start in range(0, count, 1000):
        requests = [Request(facts=order(generator)) for _ in range(min(1000, count - start))]
        found = decide_all(workflow=NAME, requests=requests, actor="system:benchmark")
        if any(isinstance(one, Exception) for one in found):
            raise RuntimeError(found)


def tamper(count: int) -> dict[str, Any]:
    """A log of some seals and some unsealed rows; each change is made, looked for and taken back."""
    import psycopg  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    from benchmarks.tampering import Tamperer  # noqa: PLC0415
    from inferhub.audit.sealing import seal_all  # noqa: PLC0415
    from inferhub.audit.verification import verify_log  # noqa: PLC0415
    from inferhub.jobs.proving import STREAMS  # noqa: PLC0415
    from inferhub.lib.addresses import database_url  # noqa: PLC0415

    for number in range(SMALL_LOG // 4):
        make_decisions(4, number)
        if number < SMALL_LOG // 4 - 1:
            seal_all()
    found: dict[str, list[int]] = {}
    missed = []
    with psycopg.connect(database_url(settings.CONFIG, user="postgres", database="inferhub")) as own:
        own.execute("SET TIME ZONE 'UTC'")
        own.commit()
        if not verify_log(own, STREAMS).is_clean:
            raise RuntimeError("the log has findings before anything is changed")
        own.rollback()
        tamperer = Tamperer(own, random.Random(11))
        for _ in range(count):
            kind, what = tamperer.change_something()
            is_found = not verify_log(own, STREAMS).is_clean
            own.rollback()
            tally = found.setdefault(kind, [0, 0])
            tally[0] += 1
            tally[1] += is_found
            if not is_found:
                missed.append(what)
    return {"tamperings": count, "found": sum(tally[1] for tally in found.values()), "kinds": found, "missed": missed}


def verify(count: int) -> dict[str, Any]:
    from inferhub.audit.sealing import seal_all  # noqa: PLC0415
    from inferhub.audit.streams import snapshot  # noqa: PLC0415
    from inferhub.audit.verification import verify_log  # noqa: PLC0415
    from inferhub.jobs.proving import STREAMS  # noqa: PLC0415

    make_decisions(count, 3)
    started = time.perf_counter()
    seal_all()
    seal_seconds = time.perf_counter() - started
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        with snapshot() as view:
            report = verify_log(view, STREAMS)
        seconds.append(time.perf_counter() - started)
        if not report.is_clean:
            raise RuntimeError(report.findings)
    rows = sum(report.rows.values())
    return {"rows": rows, "rows_per_second": rows / sorted(seconds)[1], "seal_seconds": seal_seconds}


def notes(word: str) -> dict[str, Any]:
    from django.db import connection  # noqa: PLC0415

    verb = {"on": "ENABLE", "off": "DISABLE"}[word]
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"ALTER TABLE {table} {verb} TRIGGER note_unsealed")
    return {"notes": word}


def seal(seconds: float) -> dict[str, Any]:
    from inferhub.audit.sealing import seal_all  # noqa: PLC0415

    seal_all()
    print("{}", flush=True)
    while True:
        time.sleep(seconds)
        seal_all()


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("command", choices=["tamper", "verify", "notes", "seal"])
    made.add_argument("argument")
    asked = made.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
    django.setup()
    deeds = {
        "tamper": lambda: tamper(int(asked.argument)),
        "verify": lambda: verify(int(asked.argument)),
        "notes": lambda: notes(asked.argument),
        "seal": lambda: seal(float(asked.argument)),
    }
    print(json.dumps(deeds[asked.command]()))


if __name__ == "__main__":
    main()
