"""The command line: train, evaluate, optimise, convert. Errors are one sentence on standard error and exit status 1."""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from recommender.cli import convert, evaluate, optimise, train
from recommender.errors import RecommenderError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (130 when interrupted)."""
    parser = argparse.ArgumentParser(prog="python -m recommender", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (train, evaluate, optimise, convert):
        command.add_parser(commands)
    chosen = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        chosen.run(chosen, console)
    except RecommenderError as exc:
        console.print(f"error: {exc}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; nothing was written", style="yellow")
        return 130
    sys.stdout.flush()
    return 0
