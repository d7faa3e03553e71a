"""Write a trained model as a folder that `inferhub.registry.folder` reads."""

import json
from pathlib import Path
from typing import Any

from inferhub.starters.catalogue import STARTERS
from inferhub.starters.starter import Starter
from inferhub.starters.training.trainers import Trained
from recommender import __version__
from recommender.cli.files import write_model


def write_papers(name: str, trained: Trained, folder: Path) -> None:
    """model.onnx with signature, metrics, certificate, card, golden rows, steps and lineage."""
    starter = STARTERS[name]
    write_model(folder, trained.export, dict(trained.metrics), model_card(starter, trained))
    lineage = {"starter": name, "learned_from": trained.learned_from, "library_version": __version__}
    documents: dict[str, Any] = {"golden": trained.golden, "steps": starter.steps or trained.steps, "lineage": lineage}
    for paper, document in documents.items():
        (folder / f"{paper}.json").write_text(json.dumps(document), encoding="utf-8")


def model_card(starter: Starter, trained: Trained) -> str:
    certificate = trained.export.certificate
    caution = ["## Not to be overlooked", "", starter.caution, ""] if starter.caution else []
    lines = [
        f"# {starter.title}",
        "",
        f"{starter.summary}",
        "",
        *caution,
        "## What it is",
        "",
        f"- model: {trained.estimator}",
        f"- learned from: {trained.learned_from}; all of it is invented, so replace the model by one of your own",
        f"- sha256: {trained.export.digest}",
        "",
        "## How well it does",
        "",
        "On rows that it had not seen; the model itself was fitted on all rows afterwards.",
        "",
        *(f"- {name}: {value:.4g}" for name, value in trained.metrics.items()),
        "",
        "## Proof",
        "",
        f"- {certificate.rows:,} rows compared with the native model, {certificate.adversarial_rows:,} to break it",
        f"- largest difference {certificate.max_abs_diff:.2g}; answers that flip: {certificate.flips}",
        "",
    ]
    return "\n".join(lines)
