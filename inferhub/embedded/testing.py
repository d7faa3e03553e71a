"""A pytest plugin: one throw-away PostgreSQL and Redis for the whole test run (`-p inferhub.embedded.testing`).

They start before Django's settings are read, once, in the controlling process; pytest-xdist's workers inherit the
environment. What the developer's shell says about Inferhub is put aside, so that no test touches real data.
"""

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from inferhub.embedded.servers import embedded_servers
from inferhub.lib.config import VARIABLES, read_config

_MARK = "INFERHUB_TEST_SERVERS"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """A wrapper, since pytest-django reads the settings in this very hook."""
    if _MARK not in os.environ:
        stack = ExitStack()
        early_config.add_cleanup(stack.close)
        _start(stack)
    return (yield)


def _start(stack: ExitStack) -> None:
    home = Path(tempfile.mkdtemp(prefix="inferhub-test-"))
    stack.callback(shutil.rmtree, home)
    for variable in VARIABLES:
        os.environ.pop(variable.name, None)
    os.environ["INFERHUB_HOME"] = str(home)
    os.environ["INFERHUB_WEBHOOK_HOSTS"] = "*,localhost"  # the receivers of tests are on this machine
    os.environ[_MARK] = str(os.getpid())
    stack.callback(os.environ.pop, _MARK)
    stack.enter_context(embedded_servers(read_config(), purpose="tests", durable=False))
