"""What the environment says, read once and without Django, so that the supervisor and the settings agree.

Every variable, its default and its meaning is a `Variable` in `VARIABLES`; the README's table is tested against them.
A bad value stops the start with a sentence that says what to write.
"""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from inferhub.lib.allowed_hosts import AllowedHosts
from inferhub.lib.mail import MailServer, is_mail_address, parse_mail_server
from inferhub.lib.queue_targets import QueueTarget, parse_queue_targets


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    default: str
    meaning: str


VARIABLES = (
    Variable("INFERHUB_HOME", "./var", "data folder: artifacts, the embedded servers, the generated secret key"),
    Variable(
        "INFERHUB_ARTIFACT_STORAGE",
        "",
        "s3://BUCKET/PREFIX?endpoint_url=URL&region_name=NAME; empty: a folder in INFERHUB_HOME",
    ),
    Variable("DATABASE_URL", "", "postgresql://user:password@host:5432/name; empty: an embedded PostgreSQL"),
    Variable("CELERY_BROKER_URL", "", "redis:// or amqp:// address of the broker; empty: an embedded Redis"),
    Variable("INFERHUB_HOST", "127.0.0.1", "address that the web server listens on"),
    Variable("INFERHUB_PORT", "8000", "port that the web server listens on"),
    Variable("INFERHUB_WEB_PROCESSES", "2", "number of web processes"),
    Variable("INFERHUB_WEB_THREADS", "16", "threads of one web process, for what cannot be answered at once"),
    Variable("INFERHUB_WORKER_PROCESSES", "2", "number of processes of one Celery worker"),
    Variable("INFERHUB_SECRET_KEY", "", "at least 32 characters; empty: generated once into INFERHUB_HOME/secret_key"),
    Variable("INFERHUB_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]", "host names that the web server answers to"),
    Variable("INFERHUB_TRUSTED_ORIGINS", "", "origins such as https://hub.example.org, when behind a TLS proxy"),
    Variable("INFERHUB_MAX_BODY_BYTES", "2097152", "largest JSON body of a request, in bytes"),
    Variable("INFERHUB_MAX_TENSOR_BYTES", "67108864", "largest body of an Open Inference Protocol request, in bytes"),
    Variable("INFERHUB_MAX_MODEL_BYTES", "268435456", "largest ONNX file that can be registered, in bytes"),
    Variable("INFERHUB_MODEL_OPERATORS", "", "more operators that models may use: Scan, com.microsoft.Attention"),
    Variable("INFERHUB_SESSION_POOL_BYTES", "1073741824", "memory for loaded models in one process, in bytes"),
    Variable("INFERHUB_PREDICT_TIMEOUT_SECONDS", "10", "longest time that a prediction may wait and run, in seconds"),
    Variable("INFERHUB_PREDICT_RUNS", "4", "models that run at once in one process"),
    Variable("INFERHUB_PREDICT_QUEUE", "32", "predictions that may wait for their turn in one process; others get 503"),
    Variable("INFERHUB_KEEP_CALLS_DAYS", "30", "days that the answers of deferred calls are kept"),
    Variable("INFERHUB_KEEP_COMPARISONS_DAYS", "30", "days that comparisons with the shadow of an alias are kept"),
    Variable("INFERHUB_METRICS_ACCESS", "key", "who may read /metrics: key (scope read), or loopback as well"),
    Variable("INFERHUB_KEEP_DECISIONS_MONTHS", "0", "months that decisions are kept before they are detached; 0: all"),
    Variable(
        "INFERHUB_WEBHOOK_HOSTS",
        "*",
        "where webhooks may go: names, *.names, addresses, networks, localhost; * is every public host, by https",
    ),
    Variable(
        "INFERHUB_QUEUES",
        "",
        "queues for actions, NAME=URL: amqp://USER:PASSWORD@HOST/VHOST?exchange=X&routing_key=K, redis://HOST/0?stream=S",
    ),
    Variable(
        "INFERHUB_EMAIL_URL",
        "",
        "mail server for actions: smtp://USER:PASSWORD@HOST:587 (STARTTLS; ?tls=none without), smtps://, file:///FOLDER",
    ),
    Variable("INFERHUB_EMAIL_FROM", "", "address that mail comes from; needed with INFERHUB_EMAIL_URL"),
    Variable("INFERHUB_EMAIL_DOMAINS", "", "domains that mail may go to, and what is below them; empty: any"),
    Variable(
        "INFERHUB_SEAL_FILE",
        "",
        "file outside of the database, the same for all workers, that gets a line for each newest seal; empty: none",
    ),
    Variable("INFERHUB_SEAL_WEBHOOK", "", "webhook endpoint of the hub that is told of each newest seal; empty: none"),
    Variable("INFERHUB_LOG_FORMAT", "console", "console or json"),
)
_DEFAULTS = {variable.name: variable.default for variable in VARIABLES}
_DATABASE_SCHEMES = ("postgresql://", "postgres://")
_BROKER_SCHEMES = ("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")


class BadSetting(Exception):
    """A variable of the environment has a value that cannot be used; the message says what to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Store:
    """A bucket of an S3-compatible store. Credentials are found as boto3 finds them (AWS_ACCESS_KEY_ID, roles, ...)."""

    bucket_name: str
    location: str
    endpoint_url: str | None
    region_name: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The whole configuration. `database_url` and `broker_url` are None where the embedded server is meant.

    `artifact_store` is None where artifacts lie in a folder of `home`.
    """

    home: Path
    artifact_store: S3Store | None
    database_url: str | None
    broker_url: str | None
    host: str
    port: int
    web_processes: int
    web_threads: int
    worker_processes: int
    secret_key: str
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...]
    max_body_bytes: int
    max_tensor_bytes: int
    max_model_bytes: int
    model_operators: frozenset[str]
    session_pool_bytes: int
    keep_comparisons_days: int
    predict_timeout_seconds: int
    predict_runs: int
    predict_queue: int
    keep_calls_days: int
    metrics_access: str
    keep_decisions_months: int
    webhook_hosts: AllowedHosts
    queues: Mapping[str, QueueTarget]
    mail_server: MailServer | None
    email_domains: tuple[str, ...]
    seal_file: Path | None
    seal_webhook: str
    log_format: str


def read_config(environ: Mapping[str, str] | None = None) -> Config:
    """Read `environ` (the process's own by default). Raises BadSetting."""
    values = _DEFAULTS | {key: value for key, value in (environ or os.environ).items() if key in _DEFAULTS and value}
    home = Path(values["INFERHUB_HOME"]).expanduser().absolute()
    return Config(
        home=home,
        artifact_store=_artifact_store(values["INFERHUB_ARTIFACT_STORAGE"]),
        database_url=_url(values, "DATABASE_URL", _DATABASE_SCHEMES),
        broker_url=_url(values, "CELERY_BROKER_URL", _BROKER_SCHEMES),
        host=values["INFERHUB_HOST"],
        port=_whole_number(values, "INFERHUB_PORT", low=1, high=65535),
        web_processes=_whole_number(values, "INFERHUB_WEB_PROCESSES", low=1, high=256),
        web_threads=_whole_number(values, "INFERHUB_WEB_THREADS", low=1, high=256),
        worker_processes=_whole_number(values, "INFERHUB_WORKER_PROCESSES", low=1, high=256),
        secret_key=_secret_key(values["INFERHUB_SECRET_KEY"], home),
        allowed_hosts=_names(values["INFERHUB_ALLOWED_HOSTS"]),
        trusted_origins=_names(values["INFERHUB_TRUSTED_ORIGINS"]),
        max_body_bytes=_whole_number(values, "INFERHUB_MAX_BODY_BYTES", low=1024, high=1 << 31),
        max_tensor_bytes=_whole_number(values, "INFERHUB_MAX_TENSOR_BYTES", low=1024, high=1 << 31),
        max_model_bytes=_whole_number(values, "INFERHUB_MAX_MODEL_BYTES", low=1024, high=1 << 31),
        model_operators=_operators(values["INFERHUB_MODEL_OPERATORS"]),
        session_pool_bytes=_whole_number(values, "INFERHUB_SESSION_POOL_BYTES", low=1 << 20, high=1 << 40),
        predict_timeout_seconds=_whole_number(values, "INFERHUB_PREDICT_TIMEOUT_SECONDS", low=1, high=3600),
        predict_runs=_whole_number(values, "INFERHUB_PREDICT_RUNS", low=1, high=256),
        predict_queue=_whole_number(values, "INFERHUB_PREDICT_QUEUE", low=0, high=4096),
        keep_calls_days=_whole_number(values, "INFERHUB_KEEP_CALLS_DAYS", low=1, high=36500),
        keep_comparisons_days=_whole_number(values, "INFERHUB_KEEP_COMPARISONS_DAYS", low=1, high=3650),
        metrics_access=_one_of(values, "INFERHUB_METRICS_ACCESS", ("key", "loopback")),
        keep_decisions_months=_whole_number(values, "INFERHUB_KEEP_DECISIONS_MONTHS", low=0, high=1200),
        webhook_hosts=_allowed_hosts(values["INFERHUB_WEBHOOK_HOSTS"]),
        queues=_queues(values["INFERHUB_QUEUES"]),
        mail_server=_mail_server(values["INFERHUB_EMAIL_URL"], values["INFERHUB_EMAIL_FROM"]),
        email_domains=_names(values["INFERHUB_EMAIL_DOMAINS"]),
        seal_file=Path(values["INFERHUB_SEAL_FILE"]).absolute() if values["INFERHUB_SEAL_FILE"] else None,
        seal_webhook=values["INFERHUB_SEAL_WEBHOOK"],
        log_format=_one_of(values, "INFERHUB_LOG_FORMAT", ("console", "json")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _allowed_hosts(text: str) -> AllowedHosts:
    try:
        return AllowedHosts.parse(text)
    except ValueError as error:
        raise BadSetting(
            "INFERHUB_WEBHOOK_HOSTS must be *, host names, names such as *.example.org, addresses or networks such as "
            f"10.0.0.0/8, with commas between them, and not '{error}'."
        ) from error


def _queues(text: str) -> Mapping[str, QueueTarget]:
    try:
        return parse_queue_targets(text)
    except ValueError as error:
        raise BadSetting(
            f"INFERHUB_QUEUES: part {error} must be NAME=amqp://USER:PASSWORD@HOST:5672/VHOST?exchange=X&routing_key=K "
            "or NAME=redis://:PASSWORD@HOST:6379/0?stream=S, each name once; a comma within an address is %2C."
        ) from error


def _mail_server(url: str, sender: str) -> MailServer | None:
    if not url:
        return None
    if not is_mail_address(sender):
        raise BadSetting("INFERHUB_EMAIL_FROM must be the bare address that mail comes from, such as hub@example.org.")
    try:
        return parse_mail_server(url, sender=sender)
    except ValueError as error:
        raise BadSetting(
            "INFERHUB_EMAIL_URL must be smtp://USER:PASSWORD@HOST:587 (with ?tls=none where the network is trusted), "
            "smtps://USER:PASSWORD@HOST:465, or file:///FOLDER."
        ) from error


def _artifact_store(text: str) -> S3Store | None:
    if not text:
        return None
    given = urlsplit(text)
    options = dict(parse_qsl(given.query, keep_blank_values=True))
    unknown = options.keys() - {"endpoint_url", "region_name"}
    if given.scheme != "s3" or not given.netloc or "@" in given.netloc or unknown or given.fragment:
        raise BadSetting(
            "INFERHUB_ARTIFACT_STORAGE must be s3://BUCKET/PREFIX, with ?endpoint_url=URL and &region_name=NAME where "
            "they are needed (credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    return S3Store(
        bucket_name=given.netloc,
        location=given.path.strip("/"),
        endpoint_url=options.get("endpoint_url"),
        region_name=options.get("region_name"),
    )


def _operators(text: str) -> frozenset[str]:
    names = _names(text)
    for name in names:
        if not re.fullmatch(r"([A-Za-z]\w*\.)*[A-Za-z]\w*", name, re.ASCII):
            raise BadSetting(
                "INFERHUB_MODEL_OPERATORS must be names such as Scan or com.microsoft.Attention, with commas between "
                f"them, and not '{name}'."
            )
    return frozenset(names)


def _url(values: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    value = values[name]
    if value and not value.startswith(schemes):
        raise BadSetting(f"{name} must start with one of {', '.join(schemes)}.")
    return value or None


def _whole_number(values: Mapping[str, str], name: str, *, low: int, high: int) -> int:
    value = values[name]
    if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
        raise BadSetting(f"{name} must be a whole number from {low} to {high}, not '{value}'.")
    return int(value)


def _one_of(values: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    if values[name] not in choices:
        raise BadSetting(f"{name} must be one of {', '.join(choices)}, not '{values[name]}'.")
    return values[name]


def _secret_key(given: str, home: Path) -> str:
    """The given key, or the one generated once for this home, readable by its owner only."""
    if given:
        if len(given) < 32:
            raise BadSetting("INFERHUB_SECRET_KEY must have at least 32 characters.")
        return given
    path = home / "secret_key"
    make_home(home)
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise BadSetting(f"INFERHUB_HOME: {path} cannot be used: {error.strerror}.") from error


def make_home(home: Path) -> None:
    """Create the data folder, for its owner only, unless it is there. Raises BadSetting."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(f"INFERHUB_HOME: {home} cannot be made: {error.strerror}.") from error


def _write_once(path: Path, text: str) -> None:
    """Create `path` with `text` in one step; a process that was quicker wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
