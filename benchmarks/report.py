"""How every benchmark tells what it measured: a table to read, and JSON to compare."""

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """What a figure should be: `bar` is a number with `>=` or `<=` before it."""

    figure: str
    value: float
    bar: str

    @property
    def holds(self) -> bool:
        sign, number = self.bar[:2], float(self.bar[2:])
        return self.value >= number if sign == ">=" else self.value <= number


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """A parser with the option that all benchmarks share."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", type=Path, default=Path("bench-results") / f"{name}.json", help="where to write JSON")
    return made


def real_data(*parts: str) -> Path:
    """A file of the real data. Raises SystemExit with a sentence where it is missing."""
    root = Path(os.environ.get("REAL_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        raise SystemExit(f"{path} is missing: set REAL_DATA to the folder of the real data.")
    return path


def publish(name: str, figures: Mapping[str, float], bars: Mapping[str, str], path: Path) -> None:
    """Print the figures beside their bars and write them to `path`."""
    checked = [Bar(figure=key, value=figures[key], bar=bar) for key, bar in bars.items()]
    _print(name, figures, checked)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "name": name,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "figures": dict(figures),
        "bars": [asdict(bar) | {"holds": bar.holds} for bar in checked],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _print(name: str, figures: Mapping[str, float], bars: Sequence[Bar]) -> None:
    by_figure = {bar.figure: bar for bar in bars}
    table = Table("figure", "value", "bar", "holds", title=name)
    for key, value in figures.items():
        bar = by_figure.get(key)
        table.add_row(key, f"{value:,.6g}", bar.bar if bar else "", ("yes" if bar.holds else "NO") if bar else "")
    Console().print(table)
