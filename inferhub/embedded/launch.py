"""Become the process that a service wants to be, then exec its program. Run as a script, without site packages:

    python -I -S launch.py PARENT DEATH_SIGNAL ACCOUNT PROGRAM ARGUMENT...

PARENT is the supervisor's process id, DEATH_SIGNAL what the kernel sends when it dies, ACCOUNT `-` or `UID:GID`.

A script instead of `preexec_fn`, which may deadlock in a process that has threads.

PostgreSQL refuses to run as root, and the account that root steps down to can neither enter a repository below /root
nor read a virtual environment made with umask 077. Opening those folders to everybody is not ours to do, and a copy of
the programs in /tmp fails where /tmp is mounted noexec or swept. So the process keeps one capability, the right to
search and read (or, where root itself has only that one, as in a container, the right to override permissions), and
nothing else of root's; what it writes belongs to the account, and `no_new_privs` bars the way back.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _prctl(option: int, *values: int) -> None:
    padded = (*values, 0, 0, 0, 0)[:4]
    _check(_libc.prctl(option, *(ctypes.c_ulong(value) for value in padded)))


def _permitted() -> int:
    sets = (_Sets * 2)()
    _check(_libc.capget(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets))
    return int(sets[0].permitted)


def _reading_capability(program: str) -> int:
    """CAP_DAC_READ_SEARCH does not cover the execution of a file that its owner alone may execute."""
    if os.stat(program).st_mode & 0o001 and _permitted() & 1 << _CAP_DAC_READ_SEARCH:  # noqa: PTH116 (no site: os only)
        return _CAP_DAC_READ_SEARCH
    return _CAP_DAC_OVERRIDE


def _step_down(uid: int, gid: int, program: str) -> None:
    capability = _reading_capability(program)
    # Without this bit access(2), which PostgreSQL asks about its own programs, would not count the capability.
    _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    sets = (_Sets * 2)()
    sets[0] = _Sets(1 << capability, 1 << capability, 1 << capability)
    _check(_libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def main() -> None:
    parent, death_signal, account, program = sys.argv[1:5]
    if account != "-":
        uid, gid = account.split(":")
        _step_down(int(uid), int(gid), program)
        os.umask(0o077)
    # A change of user clears the death signal, so it comes last; a parent that died before it must be noticed here.
    _prctl(_PR_SET_PDEATHSIG, int(death_signal))
    if os.getppid() != int(parent):
        sys.exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(program, sys.argv[4:])  # noqa: S606 (the whole point)


if __name__ == "__main__":
    main()
