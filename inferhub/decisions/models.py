"""Workflows and their versions; decisions; actions and the attempts to deliver them; reviews."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from inferhub.lib.ids import uuid7
from inferhub.rulesets.authored import Authored, AuthoredPublication, AuthoredTest, AuthoredTestRun, AuthoredVersion
from inferhub.rulesets.models import RuleSetVersion


class Workflow(Authored):
    """A named road from input to action."""


class WorkflowVersion(AuthoredVersion):
    """One definition as it was written."""

    OWNER = "workflow"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="versions")

    class Meta:
        ordering = ["workflow", "-number"]
        constraints = [models.UniqueConstraint(fields=["workflow", "number"], name="one_workflow_per_number")]

    def __str__(self) -> str:
        return f"{self.workflow.name} version {self.number}"


class WorkflowTest(AuthoredTest):
    """A test case of a workflow: an input, perhaps predictions, and what must come out."""

    OWNER = "workflow"

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="tests")
    decision_id = models.UUIDField(null=True, help_text="Made of this decision: it goes when that is erased.")

    class Meta:
        ordering = ["workflow", "id"]
        constraints = [models.UniqueConstraint(fields=["workflow", "name"], name="one_workflow_test_per_name")]

    def __str__(self) -> str:
        return self.name


class WorkflowTestRun(AuthoredTestRun):
    """The test cases of a workflow, run against one of its versions."""

    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="test_runs")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version}: {self.count - self.failed} of {self.count} passed"


class WorkflowPublication(AuthoredPublication):
    """A version of a workflow, in force for a time."""

    OWNER = "workflow"

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="publications")
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="publications")

    class Meta(AuthoredPublication.Meta):
        indexes = [models.Index(fields=["workflow", "-effective_from", "-id"], name="workflow_schedule")]


class Decision(models.Model):
    """The record of one run: everything that is needed to explain and to repeat it.

    Append-only: the database lets one change through, the erasure of what may tell of a person
    (`inferhub.decisions.digests`). The table is partitioned by month, which the id begins with
    (`inferhub.decisions.partitions`).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # What is referred to is never deleted: the database keeps versions as they are, and so a workflow that has one. No
    # index is needed to look for who refers to it, and no constraint, which would lock a row that all decisions share.
    workflow = models.ForeignKey(
        Workflow, on_delete=models.PROTECT, related_name="decisions", db_constraint=False, db_index=False
    )
    version = models.ForeignKey(
        WorkflowVersion, on_delete=models.PROTECT, related_name="decisions", db_constraint=False, db_index=False
    )
    rule_set_version = models.ForeignKey(
        RuleSetVersion, on_delete=models.PROTECT, related_name="decisions", db_constraint=False, db_index=False
    )
    request_id = models.CharField(max_length=200)
    subject = models.CharField(max_length=200, blank=True, help_text="Who or what it is about.")
    input = models.JSONField()
    predictions = models.JSONField(help_text="By name: model, version, digest, output or error.")
    outcome = models.CharField(max_length=100)
    outputs = models.JSONField(help_text="All that the rules said.")
    trace = models.JSONField(help_text="Which rules matched, and what they saw.")
    timings = models.JSONField(help_text="Milliseconds by stage.")
    actor = models.CharField(max_length=200)
    salt = models.CharField(max_length=32, default="", blank=True, help_text="Of the commitment; gone once erased.")
    commitment = models.CharField(max_length=64, default="", help_text="sha256 of salt and content.")
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical form.")
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, help_text="When a person's data was taken out.")
    # No constraint: the reviewed decision may have been moved out with its month.
    reviewed_decision_id = models.UUIDField(null=True, help_text="Made by a person who reviewed this decision.")

    class Meta:
        ordering = ["-id"]
        permissions = [("erase_decision", "Can erase a person's data")]
        indexes = [
            models.Index(fields=["workflow", "outcome", "-id"], name="decisions_of_workflow"),
            models.Index(fields=["workflow", "-id"], name="decisions_by_workflow"),
            models.Index(fields=["outcome", "-id"], name="decisions_by_outcome"),
            models.Index(fields=["subject", "-id"], name="decisions_by_subject"),
            BrinIndex(fields=["created_at"], name="decisions_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow.name}: {self.outcome}"


class DecisionKey(models.Model):
    """Which decision stands for a request id: kept for ever, so that a month that was detached is not repeated."""

    pk = models.CompositePrimaryKey("workflow_id", "request_id")
    workflow = models.ForeignKey(  # no constraint, as a decision has none
        Workflow, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    request_id = models.CharField(max_length=200)
    decision_id = models.UUIDField()

    def __str__(self) -> str:
        return self.request_id


class WebhookEndpoint(models.Model):
    """Where webhooks of one name go. The signing secret is stored encrypted."""

    name = models.SlugField(max_length=64, unique=True)
    url = models.URLField(max_length=500)
    encrypted_secret = models.TextField(editable=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DeliveryTarget(models.Model):
    """A system that actions go to, such as `webhook:shop`, and its circuit breaker (`inferhub.decisions.breakers`)."""

    name = models.CharField(max_length=100, unique=True)
    failure_count = models.PositiveIntegerField(default=0, help_text="Failures in a row.")
    opened_at = models.DateTimeField(null=True, help_text="Since when nothing is sent there but a probe now and then.")
    open_until = models.DateTimeField(null=True, help_text="When the next probe may go; null while all is well.")
    failed_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True, help_text="What the last failure was.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ActionState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead", "dead letter"
    CANCELLED = "cancelled"  # what it would have told was erased


class Action(models.Model):
    """What is to be done because of a decision. Its id is the idempotency key that every attempt carries."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # No constraint: actions are written with their decisions, and to look one up in every month is dear.
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="actions", db_constraint=False)
    kind = models.CharField(max_length=50)
    settings = models.JSONField(help_text="As the workflow version states it.")
    state = models.CharField(max_length=10, choices=ActionState.choices, default=ActionState.PENDING)
    attempt_count = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(help_text="While an attempt runs: when it counts as lost.")
    finished_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    # These are null for most: decisions are written quickly, and only what has to wait needs them.
    target = models.CharField(  # noqa: DJ001 - written by workers, in a column that the decision log leaves out
        max_length=100, null=True, help_text="The system that it goes to, once it had to wait."
    )
    attempts_before = models.PositiveIntegerField(null=True, help_text="Attempts before it was last driven again.")
    lane = models.BigIntegerField(null=True, help_text="Where the order counts: a digest of place and subject.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["lane", "id"], name="actions_in_order", condition=Q(state="pending", lane__isnull=False)
            ),
            models.Index(fields=["target"], name="actions_waiting", condition=Q(state="pending", target__isnull=False)),
            models.Index(fields=["next_attempt_at"], name="actions_due", condition=Q(state="pending")),
            models.Index(fields=["state", "-id"], name="actions_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"


class ActionAttempt(models.Model):
    """One try to deliver an action, and how it ended."""

    action = models.ForeignKey(Action, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.FloatField()
    is_success = models.BooleanField()
    status_code = models.PositiveIntegerField(null=True, help_text="Of the HTTP answer, where there was one.")
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["action", "number"]
        constraints = [models.UniqueConstraint(fields=["action", "number"], name="one_attempt_per_number")]

    def __str__(self) -> str:
        return f"attempt {self.number}: {'delivered' if self.is_success else self.detail}"


class Verdict(models.TextChoices):
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGED = "changed"


class Priority(models.IntegerChoices):
    LOW = 1
    NORMAL = 2
    HIGH = 3


class Review(models.Model):
    """A decision that waits for a person, or that a person settled by making another one (`new_decision_id`)."""

    action = models.OneToOneField(Action, on_delete=models.PROTECT, related_name="review")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="reviews")
    title = models.CharField(max_length=200)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    due_at = models.DateTimeField(null=True, help_text="Empty: it may wait.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    assigned_to = models.CharField(max_length=200, blank=True, help_text="The actor who works on it.")
    assigned_at = models.DateTimeField(null=True)
    passed_by = ArrayField(
        models.CharField(max_length=200), default=list, help_text="Who put it off: the queue offers them others first."
    )
    verdict = models.CharField(max_length=10, choices=Verdict.choices, blank=True)
    outcome = models.CharField(max_length=100, blank=True, help_text="What the person's verdict led to.")
    new_decision_id = models.UUIDField(null=True, help_text="The decision that the verdict made.")
    reason = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["settled_at", "-id"]
        permissions = [
            ("settle_review", "Can settle a review"),
            ("assign_review", "Can assign reviews to people"),
            ("export_review", "Can export settled reviews as labelled data"),
        ]
        indexes = [
            models.Index(fields=["assigned_to", "id"], name="reviews_open", condition=Q(verdict="")),
            models.Index(fields=["settled_at"], name="reviews_settled", condition=~Q(verdict="")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", settled_at=None) | (~Q(verdict="") & Q(settled_at__isnull=False)),
                name="review_is_open_or_settled",
            )
        ]

    def __str__(self) -> str:
        return self.title


class Flag(models.Model):
    """Whether a subject is held for something, such as `shipping` (`inferhub.decisions.flags`)."""

    subject = models.CharField(max_length=200)
    name = models.SlugField(max_length=64, db_index=False)
    is_held = models.BooleanField(default=False)
    last_change_id = models.UUIDField(null=True, help_text="The change in force.")
    changed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["subject", "name"], name="one_flag_per_subject_and_name")]
        indexes = [models.Index(fields=["name", "-id"], name="held_flags", condition=Q(is_held=True))]

    def __str__(self) -> str:
        return f"{self.name} of {self.subject}"


class FlagChange(models.Model):
    """One hold or release. Its id is that of the action that caused it, or its own where a person or system did."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="changes")
    is_held = models.BooleanField()
    is_applied = models.BooleanField(help_text="False: it came late, and a later change was in force.")
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    decision_id = models.UUIDField(null=True)
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{'held' if self.is_held else 'released'} by {self.actor}"


class ReviewComment(models.Model):
    """What somebody noted about a review. It stays as it is, until the data of the decision's subject is erased."""

    review = models.ForeignKey(Review, on_delete=models.PROTECT, related_name="comments")
    actor = models.CharField(max_length=200)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.actor}: {self.text[:50]}"
