"""Django's settings, all derived from `inferhub.lib.config`. Nothing else reads the environment."""

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from inferhub.console import unfold
from inferhub.lib.addresses import broker_url, database_url
from inferhub.lib.config import BadSetting, Config, read_config
from inferhub.lib.logs import logging_settings
from inferhub.lib.mail import MailServer

CONFIG = read_config()
_PACKAGE = Path(__file__).parent

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(CONFIG.trusted_origins)

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.admin",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "inferhub.accounts",
    "inferhub.audit",
    "inferhub.approvals",
    "inferhub.lists",
    "inferhub.registry",
    "inferhub.rulesets",
    "inferhub.catalog",
    "inferhub.decisions",
    "inferhub.backtests",
    "inferhub.recommendations",
    "inferhub.jobs",
    "inferhub.erasure",
    "inferhub.starters",
    "inferhub.console",
    "inferhub.demo",
]
MIDDLEWARE = [
    "inferhub.api.middleware.health_first",
    "inferhub.api.middleware.machines_first",
    # What follows is for people.
    "inferhub.api.middleware.request_context",
    "django.middleware.security.SecurityMiddleware",
    "inferhub.api.middleware.only_what_is_ours",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "inferhub.api.middleware.large_bodies_of_known_people",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "inferhub.urls"
WSGI_APPLICATION = "inferhub.wsgi.application"
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_PACKAGE / "templates", _PACKAGE.parent / "templates"],  # installed; in the repository
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database(url: str) -> dict[str, Any]:
    try:
        options = {"connect_timeout": 5, **conninfo_to_dict(url)}
    except ProgrammingError as exc:
        reason = str(exc).strip()
        raise BadSetting(
            f"DATABASE_URL must be postgresql://user:password@host:5432/name; it cannot be read: {reason}"
        ) from exc
    names = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
        **{name: options.pop(key, "") for name, key in names.items()},
        "OPTIONS": options,
    }


def _artifacts(config: Config) -> dict[str, Any]:
    if config.artifact_store is None:
        folder = str(config.home / "artifacts")
        return {"BACKEND": "inferhub.registry.storage.ArtifactStorage", "OPTIONS": {"location": folder}}
    if find_spec("storages") is None:
        raise BadSetting("INFERHUB_ARTIFACT_STORAGE needs the extra s3: pip install inferhub[s3].")
    return {"BACKEND": "inferhub.registry.s3.S3ArtifactStorage", "OPTIONS": asdict(config.artifact_store)}


DATABASES = {"default": _database(database_url(CONFIG))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"

TIME_ZONE = "UTC"
USE_TZ = True
LANGUAGE_CODE = "en-us"
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "artifacts": _artifacts(CONFIG),
}
# The console's few files are served from the installed packages: no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(CONFIG.trusted_origins)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.trusted_origins else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = CONFIG.max_body_bytes
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20

CELERY_BROKER_URL = broker_url(CONFIG)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
# A broker that does not answer must not hold up a decision: the row in PostgreSQL is what counts.
CELERY_BROKER_CONNECTION_TIMEOUT = 1
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 1, "socket_timeout": 5}

_MAIL = CONFIG.mail_server or MailServer(sender="")
_MAILER = "filebased" if _MAIL.folder else "smtp" if _MAIL.host else "dummy"  # without a server nothing sends mail
EMAIL_BACKEND = f"django.core.mail.backends.{_MAILER}.EmailBackend"
EMAIL_FILE_PATH = _MAIL.folder or None
EMAIL_HOST, EMAIL_PORT = _MAIL.host, _MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL.user, _MAIL.password
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.starts_tls, _MAIL.is_tls
EMAIL_TIMEOUT = 10

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["inferhub.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["inferhub.api.authentication.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["inferhub.api.json.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["inferhub.api.json.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "inferhub.api.pagination.NewestFirst",
    "EXCEPTION_HANDLER": "inferhub.api.problems.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Inferhub",
    "DESCRIPTION": "Predictions, decisions and recommendations inside your own walls.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "POSTPROCESSING_HOOKS": ["inferhub.api.schema.add_problem_answers"],
}

LOGGING_CONFIG = None
logging_settings(CONFIG.log_format)
SILENCED_SYSTEM_CHECKS: list[str] = []

CELERY_BEAT_SCHEDULE = {
    "sweep-actions": {
        "task": "inferhub.decisions.tasks.sweep_actions",
        "schedule": 2.0,
        "options": {"expires": 10.0},
    },
    "keep-partitions": {"task": "inferhub.decisions.tasks.keep_partitions", "schedule": 6 * 3600.0},
    "expire-content": {"task": "inferhub.decisions.tasks.expire_content", "schedule": 24 * 3600.0},
    "sweep-jobs": {"task": "inferhub.jobs.tasks.sweep_jobs", "schedule": 5.0, "options": {"expires": 10.0}},
    "sweep-backtests": {
        "task": "inferhub.backtests.tasks.sweep_backtests",
        "schedule": 15.0,
        "options": {"expires": 30.0},
    },
    "run-challengers": {
        "task": "inferhub.backtests.tasks.run_challengers",
        "schedule": 5.0,
        "options": {"expires": 10.0},
    },
    "sweep-validations": {
        "task": "inferhub.registry.tasks.sweep_validations",
        "schedule": 30.0,
        "options": {"expires": 60.0},
    },
    "sweep-installations": {
        "task": "inferhub.starters.tasks.sweep_installations",
        "schedule": 15.0,
        "options": {"expires": 30.0},
    },
    "seal-log": {"task": "inferhub.jobs.tasks.seal_log", "schedule": 10.0, "options": {"expires": 30.0}},
    "forget-old-work": {"task": "inferhub.jobs.tasks.forget_old_work", "schedule": 3600.0},
}

UNFOLD = unfold.UNFOLD
