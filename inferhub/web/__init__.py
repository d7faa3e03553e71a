"""The web processes: uvicorn's event loop answers quick requests itself, threads answer all others."""

import inferhub.wsgi  # noqa: F401 - Django is set up there, before any of its models are imported
