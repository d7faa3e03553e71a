"""`python -m inferhub.starters.training NAME FOLDER`: train the model of a starter and write it with its papers."""

import sys
from pathlib import Path

from inferhub.starters.training.papers import write_papers
from inferhub.starters.training.trainers import TRAINERS
from recommender import RecommenderError


def main(name: str, folder: Path) -> None:
    try:
        write_papers(name, TRAINERS[name](), folder)
    except RecommenderError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
