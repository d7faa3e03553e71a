"""Long work: bulk jobs in chunks, and REST calls that were asked to run on a worker."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from inferhub.lib.ids import uuid7
from inferhub.recommendations.models import Generation, Scenario


class State(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Job(models.Model):
    """One bulk run: recommendations of one scenario for every user with a history."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="jobs")
    generation = models.ForeignKey(Generation, on_delete=models.SET_NULL, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    options = models.JSONField(default=dict, help_text="k, exclude_purchased and boosts as they were at the start.")
    total = models.PositiveIntegerField(default=0, help_text="Users.")
    done = models.PositiveIntegerField(default=0, help_text="Users whose chunk is stored.")
    problem = models.TextField(blank=True)
    requested_by = models.CharField(max_length=200)
    action_id = models.UUIDField(null=True, unique=True, help_text="The action of a decision that started it.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    worked_on_at = models.DateTimeField(null=True, help_text="When a worker last began a chunk.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("run_job", "Can start a job")]
        constraints = [
            models.UniqueConstraint(
                fields=["scenario"], condition=Q(state__in=["queued", "running"]), name="one_running_job_per_scenario"
            ),
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="job_done_within_total"),
        ]

    def __str__(self) -> str:
        return f"bulk recommendations for {self.scenario.name}"


class Chunk(models.Model):
    """A range of users that one worker claims at a time. A lease that ran out is claimed again.

    Once it is done, or its job failed, the ids of the users are gone.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="chunks")
    number = models.PositiveIntegerField()
    first_user_id = models.CharField(max_length=100)
    last_user_id = models.CharField(max_length=100)
    users = models.PositiveIntegerField()
    is_done = models.BooleanField(default=False)
    attempt_count = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["job", "number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_chunk_per_number")]
        indexes = [models.Index(fields=["job", "number"], name="chunks_open", condition=Q(is_done=False))]

    def __str__(self) -> str:
        return f"chunk {self.number}"


class DeferredCall(models.Model):
    """A REST call that runs on a worker (RFC 7240, `Prefer: respond-async`); its answer is kept here."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=30, help_text="predict, recommend or decide.")
    target = models.CharField(max_length=64, help_text="The model, scenario or workflow.")
    body = models.JSONField()
    actor = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempt_count = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    answer = models.JSONField(null=True, help_text="What the same call would have answered at once.")
    problem = models.JSONField(null=True, help_text="The error where it failed (inferhub.errors.error_to_dict).")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["id"], name="deferred_open", condition=Q(state__in=["queued", "running"]))]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"
