"""Whom the embedded servers run as, and the folders that only they and their supervisor can enter."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from inferhub.lib.config import BadSetting

_NOT_AS_ROOT = "PostgreSQL does not run as root"
_CURE = "start Inferhub as an ordinary user, or set DATABASE_URL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    uid: int
    gid: int


def servers_account(data: Path) -> Account | None:
    """The account to step down to, None for an ordinary user: the owner of the `data` that is there, or nobody.

    An account that exists is needed, since initdb looks its name up; `nobody` exists everywhere. That other processes
    may run as nobody is why the folders lie in one that belongs to the supervisor alone (`private_folder`).
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise BadSetting(f"{_NOT_AS_ROOT}, and there is no account 'nobody' to run it as: {_CURE}.") from None
    return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)


def private_folder(path: Path, *, allowed: Account | None = None) -> Path:
    """Create `path` for its owner only, or check that it belongs to this process's account (or `allowed`).

    The check matters in /tmp, where somebody else may have been quicker. Raises BadSetting.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise BadSetting(f"INFERHUB_HOME: {path} cannot be made: {error.strerror}.") from error
    owners = {os.geteuid()} | ({allowed.uid} if allowed else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise BadSetting(
            f"{path} belongs to account number {found.st_uid}, this one is number {os.geteuid()}: "
            "start Inferhub as that account, or set INFERHUB_HOME to another folder."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def account_folder(path: Path, account: Account | None) -> Path:
    """A private folder in a private folder, handed to the account that the servers run as."""
    private_folder(path, allowed=account)
    hand_over(path, account)
    return path


def hand_over(path: Path, account: Account | None) -> None:
    """Give `path` to the account that the servers run as. Raises BadSetting where root is not allowed to."""
    if account is None:
        return
    try:
        os.chown(path, account.uid, account.gid)
    except OSError as error:
        raise BadSetting(f"{_NOT_AS_ROOT}, which may not change to another account here: {_CURE}.") from error
