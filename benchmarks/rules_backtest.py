"""A back-test of a million decisions: how long the whole report takes, from the rows in PostgreSQL to the last figure.

The decisions are those of benchmarks/decisions.py: one is made by the hub, and a million others are made of it with
inputs, predictions and outcomes of their own, traces and all, so that the table is as wide as a real one: 1.6 kB a row.
The candidate is another version of the 20-row table. What is measured reads the rows out of PostgreSQL, matches them
over columns, and counts outcomes, money, transitions, 20 segments, changed rows, and how sure each difference is.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from copy import deepcopy
from pathlib import Path

import django

from benchmarks.decisions import hub_command, order, running_hub
from benchmarks.decisions_hub import NAME
from benchmarks.table import definition
from inferhub.embedded.up import child_environment

COUNT = 1_000_000
_COPIES = f"""
INSERT INTO decisions_decision (
    id, workflow_id, version_id, rule_set_version_id, request_id, subject, input, predictions, outcome, outputs, trace,
    timings, actor, salt, commitment, digest, created_at)
SELECT gen_random_uuid7_of(number), workflow_id, version_id, rule_set_version_id, 'copy ' || number, 'order-' || number,
    jsonb_build_object('order_id', 'order-' || number, 'country', chr(97 + number %% 26), 'items', number %% 24,
        'features', input -> 'features'),
    jsonb_set(predictions, '{{score,output,variable}}', to_jsonb(round((random() * 190)::numeric, 5))),
    (ARRAY['accept', 'outcome 3', 'outcome 7'])[1 + number %% 3], outputs, trace, timings, actor, salt, commitment,
    digest, created_at + number * interval '1 millisecond'
FROM decisions_decision, generate_series(1, {COUNT}) AS number
WHERE decisions_decision.id = %s
"""
_UUIDS = """
CREATE FUNCTION gen_random_uuid7_of(number integer) RETURNS uuid VOLATILE LANGUAGE sql AS $$
    SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + number), 12, '0') || '7'
        || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid
$$
"""


def measure_report() -> dict[str, float]:
    """Start a hub, fill it and run the back-test: `backtest_report_seconds` and its parts."""
    folder = Path(tempfile.mkdtemp(prefix="inferhub-bench-"))
    try:
        with running_hub(folder) as (config, _):
            hub_command(config, "seed")
            command, environment = [sys.executable, "-m", "benchmarks.rules_backtest"], child_environment(config)
            said = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True).stdout
        figures: dict[str, float] = json.loads(said.splitlines()[-1])
        return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill() -> None:
    """Make the decisions and the other version of the rules."""
    from django.db import connection  # noqa: PLC0415 - Django is set up by then

    from inferhub.decisions.models import Decision  # noqa: PLC0415
    from inferhub.decisions.services import Request, decide_all  # noqa: PLC0415
    from inferhub.rulesets.services import save_rule_set  # noqa: PLC0415

    (made,) = decide_all(workflow=NAME, requests=[Request(facts=order(random.Random(1)))], actor="system:benchmark")
    if isinstance(made, Exception):
        raise made
    with connection.cursor() as cursor:
        cursor.execute(_UUIDS)
        cursor.execute(_COPIES, [Decision.objects.get().pk])
        cursor.execute("ANALYZE decisions_decision")
    other = deepcopy(definition(("prediction.score.variable", "input.country", "input.items")))
    for row in other["rules"][:10]:
        row["when"][2] = ""
    save_rule_set(name=NAME, definition=other, actor="system:benchmark")


def run() -> dict[str, float]:
    from inferhub.backtests.question import Question  # noqa: PLC0415
    from inferhub.backtests.services import start_backtest, work_on_backtest  # noqa: PLC0415
    from inferhub.backtests.sides import Asked  # noqa: PLC0415

    question = Question(workflow=NAME, candidate=Asked(), amount="items", segment="country")
    backtest = start_backtest(question, actor="system:benchmark")
    work_on_backtest(backtest.pk)
    backtest.refresh_from_db()
    if backtest.report is None:
        raise RuntimeError(backtest.problem)
    spent = backtest.timings
    return {
        "backtest_rows": backtest.report["rows"],
        "backtest_changed": backtest.report["changed"],
        "backtest_report_seconds": (backtest.finished_at - backtest.started_at).total_seconds(),
        **{f"backtest_{stage}_seconds": spent[stage] for stage in ("reading", "columns", "matching", "counting")},
    }


def main() -> None:
    """On the hub that is configured, for `measure_report`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")
    django.setup()
    fill()
    print(json.dumps(run()))


if __name__ == "__main__":
    main()
