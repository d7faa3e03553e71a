"""Fill an empty database for the tests with a real server; `python -m tests.oip.register` prints API keys as JSON."""

import json
from pathlib import Path
from unittest.mock import patch

import django

django.setup()

from django.core.management import call_command  # noqa: E402 (Django's settings come first)

from inferhub.accounts.models import Scope  # noqa: E402
from inferhub.accounts.services import create_api_key  # noqa: E402
from inferhub.decisions.services import save_workflow  # noqa: E402
from inferhub.registry import services  # noqa: E402
from inferhub.registry.services import Provenance  # noqa: E402
from inferhub.rulesets.services import save_rule_set  # noqa: E402
from inferhub.runtime.check import ModelReport  # noqa: E402
from inferhub.runtime.pool import artifact_digest  # noqa: E402
from inferhub.runtime.session import load_session  # noqa: E402
from tests.hub_fixtures import ACTOR, RULES, WORKFLOW, register_direct  # noqa: E402
from tests.models import linear_model  # noqa: E402
from tests.oip.graphs import DATATYPES, STEPS, adder, identity, pair, slow  # noqa: E402


def our_own(path: Path, **options: object) -> ModelReport:
    """The check's report on a file of this folder, without the check: it takes most of a second a file."""
    data = path.read_bytes()
    digest, loaded = artifact_digest(data), load_session(data)
    return ModelReport(
        digest=digest,
        source_digest=digest,
        size=len(data),
        signature=loaded.signature,
        task="other",
        labels=(),
        operators=("Identity",),
        trial="ran",
        memory_bytes=len(data),
        rewritten=None,
    )


def register_all() -> None:
    """Two versions of each datatype's model, named after it: the second one is the champion."""
    with patch.object(services, "check_model", our_own):
        for datatype in DATATYPES:
            for note, alias in (("first", "challenger"), ("second", "champion")):
                data = identity(datatype, note)
                register_direct(name=datatype.lower(), task="other", data=data, alias=alias)
        steps = Provenance(steps=STEPS)
        register_direct(name="steps", task="regression", data=adder(), alias="champion", provenance=steps)
        register_direct(name="slow", task="other", data=slow(), alias="champion")
        register_direct(name="price-model", task="regression", data=linear_model(), alias="champion")
        register_direct(name="pair", task="other", data=pair(), alias="champion")


def save_orders() -> None:
    """The workflow of `tests.hub_fixtures`, with reviews only: nothing leaves the hub."""
    reviews = {outcome: [{"kind": "review", "title": outcome}] for outcome in WORKFLOW["actions"]}
    save_rule_set(name="screening", definition=RULES, actor=ACTOR, approval="direct")
    save_workflow(name="orders", definition=WORKFLOW | {"actions": reviews}, actor=ACTOR, approval="direct")


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    register_all()
    save_orders()
    scopes = {"all": list(Scope.values), "predict": [Scope.PREDICT], "read": [Scope.READ], "neither": [Scope.DECIDE]}
    keys = {name: create_api_key(name=name, scopes=granted, actor="user:tester")[1] for name, granted in scopes.items()}
    print(json.dumps(keys))
