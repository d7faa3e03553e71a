"""Models of starters, each trained once for all tests of a process."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from inferhub.starters import installing
from inferhub.starters.installing import run_installation
from inferhub.starters.models import Installation
from inferhub.starters.services import request_installation
from inferhub.starters.training.papers import write_papers
from inferhub.starters.training.trainers import TRAINERS
from tests.hub_fixtures import ACTOR


@pytest.fixture(scope="session")
def papers_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder that the training of a starter writes, made here instead of in a process of its own."""
    made: dict[str, Path] = {}

    def papers(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            with threadpool_limits(1):  # threads of BLAS wait for each other longer than they work
                write_papers(name, TRAINERS[name](), made[name])
        return made[name]

    return papers


@pytest.fixture
def trained_once(papers_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def train(starter: str, folder: Path) -> None:
        shutil.copytree(papers_of(starter), folder, dirs_exist_ok=True)

    monkeypatch.setattr(installing, "train_model", train)


@pytest.fixture
def install(db: None, trained_once: None) -> Callable[..., Installation]:
    def run(starter: str, name: str = "") -> Installation:
        installation = request_installation(starter=starter, name=name, actor=ACTOR)
        run_installation(installation.pk)
        installation.refresh_from_db()
        return installation

    return run
