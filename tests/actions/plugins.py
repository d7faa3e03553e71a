"""A package with a kind of action of its own, as pip would leave it."""

from pathlib import Path

import pytest

from inferhub.decisions.actions import registry

LABELS = """
from inferhub.decisions.actions.base import ActionKind, DeliveryResult, settings_schema, text_of_input
from inferhub.errors import Unavailable

PRINTED = {}


class PrintLabel(ActionKind):
    name = "print-label"
    schema = settings_schema({"printer": {"type": "string"}, "text_from": {"type": "string"}})
    input_fields = ("text_from",)

    def target(self, settings):
        return f"print-label:{settings['printer']}"

    def deliver(self, action):
        if action.settings["printer"] == "out-of-paper":
            raise Unavailable("there is no paper")
        PRINTED[action.pk] = text_of_input(action, action.settings["text_from"])
        return DeliveryResult(is_success=True, detail="printed")
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, program: str, entry: str) -> None:
    """A distribution, importable for one test; `entry` goes to the group `inferhub.actions`."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[inferhub.actions]\n{entry}\n")
    (folder / f"{name}_actions.py").write_text(program)
    monkeypatch.syspath_prepend(folder)
    registry.forget()
