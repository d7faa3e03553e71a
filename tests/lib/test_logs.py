import json
import subprocess
import sys

PROGRAM = """
import structlog
from inferhub.lib.logs import logging_settings
logging_settings("json")
def deliver():
    secret = "whsec_TOPSECRET"
    raise KeyError("surprise")
try:
    deliver()
except KeyError:
    structlog.get_logger("x").exception("unforeseen error")
"""


def test_a_logged_exception_shows_no_local_variables() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    line = json.loads(done.stderr)
    assert (line["event"], line["exception"][0]["exc_type"]) == ("unforeseen error", "KeyError")
    assert "TOPSECRET" not in done.stderr
