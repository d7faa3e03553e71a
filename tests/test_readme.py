"""What the README says of commands, variables and words is so."""

import re
from pathlib import Path

from django.core.management import get_commands

from inferhub.lib.config import VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_variables_is_the_table_of_the_code() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [(v.name, f"`{v.default}`" if v.default else "", v.meaning) for v in VARIABLES]


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", README)) | set(re.findall(r"^\$ make ([a-z-]+)", README, re.MULTILINE))
    assert named >= {"demo", "test", "lint", "bench"}
    assert not {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)}


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"inferhub ([a-z]+(?:-[a-z]+)*)", README.split("## Words")[0]))
    named -= {"up", "web", "runs", "where"}
    known = {name.replace("_", "-") for name in get_commands()}
    assert named >= {"demo", "register-model", "recommend-all"}
    assert not named - known


def test_every_file_that_is_linked_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
