"""What a process that serves does beside answering: follow the aliases, run their shadows."""

from inferhub.inference.following import follower
from inferhub.inference.shadowing import shadows
from inferhub.registry.queries import routes


def begin() -> None:
    """To be called once by every process that serves, web or worker; a fork of it goes on by itself."""
    routes.keep_by(follower.start)
    shadows.is_on = True
