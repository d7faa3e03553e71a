"""Three versions of a model, which multiply by 2, 3 and 4."""

from inferhub.inference.services import predict, unload
from inferhub.registry.aliases import move_alias
from inferhub.registry.models import ModelVersion
from inferhub.registry.storage import artifact_storage, write_artifact
from tests.hub_fixtures import ACTOR, register_direct
from tests.models import linear_model

FACTORS = (2.0, 3.0, 4.0)


def three_versions() -> list[ModelVersion]:
    """The first is champion. None is loaded."""
    made = [register_direct(name="price-model", task="regression", data=linear_model(factor)) for factor in FACTORS]
    move(made[0])
    for version in made:
        unload(version.digest)
    return made


def move(version: ModelVersion, alias: str = "champion") -> None:
    move_alias(version=version, alias=alias, actor=ACTOR, reason="test")


def served(alias: str = "champion") -> int:
    """The version that answers, whose answer is the right one."""
    answer = predict(model="price-model", alias=alias, rows=[{"price": 10}])
    assert answer.rows == [{"value": 10 * FACTORS[answer.version - 1] + 1}]
    return answer.version


def damage(version: ModelVersion) -> None:
    unload(version.digest)
    with artifact_storage().open(f"{version.digest[:2]}/{version.digest}.onnx", "ab") as file:
        file.write(b"\x00")


def heal(version: ModelVersion) -> None:
    write_artifact(version.digest, linear_model(FACTORS[version.number - 1]))
