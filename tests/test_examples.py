"""The examples run as their first lines say (`make test-data`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.data
ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("filter_spam", "0 labels differ"),
        ("predict_house_prices", "four times in five between"),
        ("recommend_what_comes_next", "for the first time:"),
    ],
)
def test_an_example_runs_without_a_warning_and_leaves_nothing_behind(name: str, said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), str(DATA)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert not list(tmp_path.iterdir())
