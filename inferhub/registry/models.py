"""The model registry: registered models, their immutable versions, their movable aliases."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from inferhub.approvals.models import ChangeRequest

CHAMPION = "champion"
"""The alias that a request means where it names none."""


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


class Approval(models.TextChoices):
    """How an alias of a model moves."""

    FOUR_EYES = "four-eyes", "Asked for by one person, approved by another"
    DIRECT = "direct", "At once, by whoever may move aliases"


class VersionState(models.TextChoices):
    VALIDATING = "validating"
    READY = "ready"
    REJECTED = "rejected"
    ARCHIVED = "archived"


class RegisteredModel(models.Model):
    """A named entry, for example `order-value`.

    The database lets `approval` change to direct only by an approved change request (migration 0005).
    """

    name = models.SlugField(max_length=64, unique=True)
    task = models.CharField(max_length=30, choices=Task.choices)
    description = models.TextField(blank=True)
    owner = models.CharField(max_length=200, blank=True, help_text="The person or team that answers for it.")
    tags = ArrayField(models.SlugField(max_length=64), default=list, blank=True)
    approval = models.CharField(max_length=10, choices=Approval.choices, default=Approval.FOUR_EYES)
    gates = models.JSONField(
        default=dict, blank=True, help_text="What a version must show before an alias points at it."
    )
    approval_change = models.ForeignKey(
        ChangeRequest, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "registered model"

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """An immutable artifact with what is known of it.

    While it is validated, the check fills in what it finds; afterwards the database refuses any change but that of the
    state, from ready to archived and back (migration 0005).
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64, help_text="sha256 of the artifact that is run.")
    source_digest = models.CharField(max_length=64, help_text="sha256 of the file as it was given.")
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.READY)
    state_reason = models.TextField(blank=True, help_text="Why it was rejected or archived.")
    state_changed_at = models.DateTimeField(db_default=Now(), editable=False)
    size = models.PositiveBigIntegerField(help_text="Bytes.")
    memory_bytes = models.PositiveBigIntegerField(
        default=0, help_text="What a loaded session takes, as the check saw it."
    )
    signature = models.JSONField(default=dict, help_text="Inputs and outputs, read from the graph.")
    labels = models.JSONField(default=list, help_text="Names of the classes, where the file has them.")
    certificate = models.JSONField(default=dict, help_text="Parity report: the native model against this file.")
    metrics = models.JSONField(default=dict)
    lineage = models.JSONField(default=dict, help_text="Data digest, code version, parameters, trainer.")
    steps = models.JSONField(default=dict, help_text="Declared preprocess and postprocess steps.")
    golden = models.JSONField(default=dict, help_text="Golden rows: inputs with the outputs that they must give.")
    measured = models.JSONField(default=dict, help_text="What the check measured: load and run times, memory.")
    model_card = models.TextField(blank=True, help_text="Markdown.")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["model", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="one_version_per_number"),
            models.UniqueConstraint(
                fields=["model", "digest"], condition=~Q(state="rejected"), name="one_version_per_artifact"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} version {self.number}"


class Tuning(models.Model):
    """Session settings that were measured to be the best on one machine. Append-only; the newest counts."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="tunings")
    settings = models.JSONField(help_text="Threads, graph optimisation, batch size.")
    measured = models.JSONField(help_text="Every setting that was tried, with its times.")
    machine = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["version", "-id"]

    def __str__(self) -> str:
        return f"{self.version} on {self.machine}"


class Alias(models.Model):
    """A movable pointer to one version, for example `champion`.

    Requests may go to a second version as well: a share of them to the canary, whose answer they get, and each of them
    to the shadow, whose answer is only compared. The database refuses a version of another model or one that is not
    ready, a move without the approval that the model asks for, and the end of an alias (migration 0005).
    """

    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, related_name="aliases")
    name = models.SlugField(max_length=64)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="aliases")
    previous_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+", help_text="Where a rollback leads."
    )
    canary_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="+")
    canary_percent = models.PositiveSmallIntegerField(default=0)
    shadow_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, null=True, related_name="+")
    change = models.ForeignKey(
        ChangeRequest, on_delete=models.PROTECT, null=True, related_name="+", help_text="What allowed the last move."
    )
    moved_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "aliases"
        ordering = ["model", "name"]
        constraints = [
            models.UniqueConstraint(fields=["model", "name"], name="one_version_per_alias"),
            models.CheckConstraint(
                condition=Q(canary_version=None, canary_percent=0)
                | Q(canary_version__isnull=False, canary_percent__gte=1, canary_percent__lte=99),
                name="canary_has_a_share",
            ),
            models.CheckConstraint(
                condition=Q(canary_version=None) | ~Q(canary_version=F("version")), name="canary_is_another_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model.name}@{self.name}"


class ShadowComparison(models.Model):
    """One request that a shadow ran beside, off its road. Kept for INFERHUB_KEEP_COMPARISONS_DAYS."""

    alias = models.ForeignKey(Alias, on_delete=models.PROTECT, related_name="shadow_comparisons")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+", help_text="It answered.")
    shadow_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    is_equal = models.BooleanField(help_text="Every output is the same.")
    is_flipped = models.BooleanField(help_text="An output that is no measure, such as a label, is another one.")
    largest_difference = models.FloatField(null=True, help_text="Of the outputs that are measures, if any.")
    problem = models.CharField(max_length=200, blank=True, help_text="Why the shadow gave no answer.")
    version_ms = models.FloatField()
    shadow_ms = models.FloatField(null=True)
    left_out = models.PositiveIntegerField(default=0, help_text="Requests before it that were not compared.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["alias", "shadow_version", "created_at"], name="comparisons_of_a_shadow"),
            models.Index(fields=["created_at"], name="comparisons_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.alias}: version {self.shadow_version.number} beside {self.version.number}"
