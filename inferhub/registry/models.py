"""The model registry: registered models, their immutable versions, their movable aliases."""

from django.db import models
from django.db.models.functions import Now


class Task(models.TextChoices):
    CLASSIFICATION = "classification", "Classification"
    REGRESSION = "regression", "Regression"
    RECOMMENDATION = "recommendation", "Recommendation"
    RANKING = "ranking", "Ranking"
    SEQUENCE_PREDICTION = "sequence-prediction", "Sequence prediction"
    OBJECT_DETECTION = "object-detection", "Object detection"
    GENERATION = "generation", "Generation"
    EMBEDDING = "embedding", "Embedding"
    OTHER = "other", "Other"


class RegisteredModel(models.Model):
    """A named entry, for example `order-value`."""

    name = models.SlugField(max_length=64, unique=True)
    task = models.CharField(max_length=30, choices=Task.choices)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "registered model"

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """An immutable artifact with what is known of it. The database refuses any change."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="sha256 of the artifact that is run.")
    source_digest = models.CharField(max_length=64, help_text="sha256 of the file as it was given.")
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    memory_bytes = models.PositiveBigIntegerField(help_text="What a loaded session takes, as the check saw it.")
    signature = models.JSONField(help_text="Inputs and outputs, read from the graph.")
    labels = models.JSONField(default=list, help_text="Names of the classes, where the file has them.")
    certificate = models.JSONField(default=dict, help_text="Parity report: the native model against this file.")
    metrics = models.JSONField(default=dict)
    lineage = models.JSONField(default=dict, help_text="Data digest, code version, parameters.")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["model", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number"),
            models.UniqueConstraint(fields=["model", "digest"], name="one_version_per_artifact"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} version {self.number}"


class Alias(models.Model):
    """A movable pointer to one version, for example `champion`."""

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.SlugField(max_length=64)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    moved_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ["model", "name"]
        constraints = [models.UniqueConstraint(fields=["model", "name"], name="one_version_per_alias")]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"
