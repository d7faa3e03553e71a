"""The hub of the tests of the inference protocol, which is a real one."""

from tests.oip import conftest

hub = conftest.hub
