"""The WSGI application that the web processes serve."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inferhub.settings")

application = get_wsgi_application()

from inferhub.inference import serving  # noqa: E402 (Django's settings come first)

serving.begin()
