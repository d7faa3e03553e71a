"""Run the demo as a person does, in a process and a home of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
OURS = ("INFERHUB_", "DATABASE_URL", "CELERY_BROKER_URL", "DJANGO_")


def check_demo(folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The summary of `inferhub demo --check`, and what it printed; fails where it exits with anything but 0."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {"INFERHUB_HOME": str(folder / "home"), "INFERHUB_PORT": "18800"}
    command = [sys.executable, "manage.py", "demo", "--check", "--json", str(folder / "summary.json"), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return summary, done.stdout
