"""Every hostile file is refused or harmless, within little time and memory, and sees nothing of the machine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.hostile import FILES

pytestmark = pytest.mark.timeout(1200)  # the first test has all files checked
REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "a-secret-of-the-server"
CONVERSION_CPU_SECONDS = 20


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the check said of each file, run where a secret lies in the current directory and in the environment."""
    folder = tmp_path_factory.mktemp("server")
    (folder / ".env").write_text(f"SECRET_KEY={SECRET}\n")
    model = tmp_path_factory.mktemp("uploads") / "model.onnx"
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.hostile", str(model)],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "INFERHUB_SECRET_KEY": SECRET},
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [name for name, hostile in FILES.items() if hostile.says])
def test_a_hostile_file_is_refused_with_the_place_and_the_reason(verdicts: dict[str, Any], name: str) -> None:
    said = verdicts[name]["said"]
    assert not said.startswith("accepted")
    assert re.search(str(FILES[name].says), said)


@pytest.mark.parametrize("name", FILES)
def test_a_check_takes_at_most_2_seconds_of_processor_time_and_512_mib(verdicts: dict[str, Any], name: str) -> None:
    is_converted = name == "text that is well"
    assert verdicts[name]["cpu_seconds"] <= (CONVERSION_CPU_SECONDS if is_converted else 2.2)
    assert verdicts[name]["most_bytes"] <= 512 << 20


def test_nothing_of_the_machine_is_in_any_answer(verdicts: dict[str, Any]) -> None:
    said = json.dumps([verdict["said"] for verdict in verdicts.values()])
    assert not [word for word in (SECRET, "root:", "PYTHONPATH", "Traceback") if word in said]
