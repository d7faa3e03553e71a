"""Where the database and the broker answer: the configured addresses, or the Unix sockets of the embedded servers.

Pure computation, because every process needs it; `inferhub.embedded` starts what answers there.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from inferhub.lib.config import Config

POSTGRES_PORT = 5432
DATABASE = "inferhub"
# sun_path of a Unix socket's address holds 108 bytes, the last one is NUL (unix(7)).
_LONGEST_SOCKET_PATH = 107
_POSTGRES_SOCKET = f".s.PGSQL.{POSTGRES_PORT}"


def home_tag(config: Config) -> str:
    """A short name of this home, the same in every process: names a cluster and a folder of sockets."""
    return hashlib.sha256(os.fsencode(os.path.realpath(config.home))).hexdigest()[:16]


def embedded_folder(config: Config) -> Path:
    """What the embedded servers store."""
    return Path(os.path.realpath(config.home)) / "embedded"


def socket_root(config: Config) -> Path:
    """Holds the folder of the sockets: in the home, or a private one in /tmp where the home's path is too long.

    A comma would make libpq see two hosts, so such a home counts as too long.
    """
    inside = embedded_folder(config)
    longest = os.fsencode(inside / "run" / _POSTGRES_SOCKET)
    if len(longest) <= _LONGEST_SOCKET_PATH and b"," not in longest:
        return inside
    # Not tempfile.gettempdir(): TMPDIR differs between shells, and two of them must find the same sockets.
    return Path(f"/tmp/inferhub-{os.geteuid()}-{home_tag(config)}")  # noqa: S108


def postgres_socket_dir(config: Config) -> Path:
    return socket_root(config) / "run"


def redis_socket(config: Config) -> Path:
    return socket_root(config) / "run" / "redis.sock"


def database_url(config: Config, *, user: str = DATABASE, database: str = DATABASE) -> str:
    """A libpq connection URI; `psycopg.conninfo.conninfo_to_dict` reads both forms."""
    return config.database_url or (
        f"postgresql://{user}@/{database}?host={_quoted(postgres_socket_dir(config))}&port={POSTGRES_PORT}"
    )


def broker_url(config: Config) -> str:
    return config.broker_url or f"redis+socket://{_quoted(redis_socket(config))}"


def _quoted(path: Path) -> str:
    return quote(os.fsencode(path))
