"""Which Inferhub this is."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """The version of the installed package, `(not installed)` where it runs from a bare folder."""
    try:
        return version("inferhub")
    except PackageNotFoundError:
        return "(not installed)"
