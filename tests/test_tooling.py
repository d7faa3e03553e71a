"""make, requirements/install.py and .ci/run: the set-up that every other test stands on."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """requirements/install.py on a copy of the locks, with `steps` that only note what would be done."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    spec = importlib.util.spec_from_file_location("install", tmp_path / "requirements" / "install.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.steps = []  # type: ignore[attr-defined]

    def create() -> None:
        module.steps.append("create")
        module.VENV.mkdir(exist_ok=True)
        module.STAMP.touch()

    monkeypatch.setattr(module, "create", create)
    monkeypatch.setattr(module, "pip", lambda *arguments: module.steps.append(Path(arguments[-1]).name))
    monkeypatch.setattr(module, "runs", lambda *_: True)
    return module


def run(install: ModuleType, monkeypatch: pytest.MonkeyPatch, profile: str) -> list[str]:
    """The steps that this run took."""
    monkeypatch.setattr("sys.argv", ["install.py", profile])
    install.steps.clear()
    install.main()
    return list(install.steps)


def test_the_first_run_installs_the_lock_and_the_second_nothing(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert run(install, monkeypatch, "demo") == ["create", "embedded.txt", tmp_path.name]
    assert run(install, monkeypatch, "demo") == []


def test_what_tests_need_holds_what_the_demo_needs(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(install, monkeypatch, "test")
    assert run(install, monkeypatch, "demo") == []


def test_the_demo_alone_does_not_hold_what_tests_need(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    run(install, monkeypatch, "demo")
    assert run(install, monkeypatch, "test")[0] == "dev.txt"


@pytest.mark.parametrize("name", ["requirements/dev.txt", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    run(install, monkeypatch, "test")
    with (tmp_path / name).open("a") as file:
        file.write("\n# changed\n")
    assert run(install, monkeypatch, "test")[0] == "dev.txt"


def test_an_interrupted_installation_starts_afresh(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(install, "pip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(install, monkeypatch, "test")
    assert run(install, monkeypatch, "test")[0] == "create"


def test_an_environment_whose_python_has_gone_is_made_anew(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(install, monkeypatch, "test")
    monkeypatch.setattr(install, "runs", lambda *_: False)
    monkeypatch.setattr(install, "lend_openmp", lambda: None)
    assert run(install, monkeypatch, "test")[0] == "create"


def pins(name: str) -> set[str]:
    return set(
        re.findall(r"^[a-z0-9][^\s\\]+==\S+[^\\\n]*", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE)
    )


def test_every_lock_is_a_part_of_the_one_for_development() -> None:
    """So that `make test` changes no package below a running `make demo`."""
    assert pins("base.txt") < pins("embedded.txt") < pins("dev.txt")
    assert pins("build.txt") < pins("dev.txt")


@pytest.mark.parametrize("name", ["base.txt", "embedded.txt", "build.txt", "dev.txt"])
def test_every_pin_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"]}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=plain, capture_output=True, text=True, check=False)


def test_make_alone_lists_every_target() -> None:
    listed = set(re.findall(r"^  make ([a-z-]+) ", make().stdout, flags=re.MULTILINE))
    assert listed == TARGETS
    assert {"demo", "test", "lint", "bench", "test-data", "test-browser", "test-distributed"} <= TARGETS


@pytest.mark.parametrize("python", ["false", "no-such-python"])
@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_python_that_is_missing_or_too_old_is_said(target: str, python: str) -> None:
    done = make(target, f"PYTHON={python}")
    assert done.returncode != 0
    assert f"Inferhub needs Python 3.11 or newer; if it is not '{python}': make " in done.stderr


def test_ci_runs_targets_that_exist() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (named,) = re.findall(r"^for target in (.*); do$", script, flags=re.MULTILINE)
    assert set(named.split()) == {"test", "test-data", "test-browser", "test-distributed"}
    assert set(named.split()) <= TARGETS
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)


def test_the_readme_names_only_targets_that_exist() -> None:
    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", (ROOT / "README.md").read_text())) <= TARGETS
