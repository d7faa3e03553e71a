"""Back-tests: what other versions would have decided, and the rows that they would have decided otherwise."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from inferhub.decisions.models import Workflow
from inferhub.lib.ids import uuid7


class BacktestState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (BacktestState.QUEUED, BacktestState.RUNNING)


class Backtest(models.Model):
    """One comparison of a baseline with a candidate, over the same inputs.

    Once it is finished the database lets nothing of it change: approvals point to it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="backtests")
    options = models.JSONField(help_text="Where the inputs come from, both sides, the fields of money and segments.")
    state = models.CharField(max_length=10, choices=BacktestState.choices, default=BacktestState.QUEUED)
    total = models.PositiveIntegerField(default=0, help_text="Rows.")
    done = models.PositiveIntegerField(default=0, help_text="Rows that both sides decided.")
    report = models.JSONField(null=True)
    digest = models.CharField(max_length=64, blank=True, help_text="sha256 of the report's canonical form.")
    timings = models.JSONField(default=dict, help_text="Seconds by stage.")
    problem = models.TextField(blank=True)
    requested_by = models.CharField(max_length=200)
    attempt_count = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "back-test"
        permissions = [("run_backtest", "Can start and cancel a back-test")]
        constraints = [
            models.CheckConstraint(condition=Q(done__lte=F("total")), name="backtest_done_within_total"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"], finished_at=None)
                | Q(state__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="backtest_is_open_or_finished",
            ),
        ]
        indexes = [models.Index(fields=["id"], name="backtests_open", condition=Q(finished_at=None))]

    def __str__(self) -> str:
        return f"back-test of {self.workflow.name}"


class BacktestFile(models.Model):
    """The rows of an uploaded file, until its back-test is finished; in the place of an erased one an empty line.

    Where rows are erased another file takes the place of this one, with an id of its own.
    """

    backtest = models.OneToOneField(Backtest, on_delete=models.CASCADE, related_name="file")
    rows = models.BinaryField(help_text="JSON lines, compressed by zlib.")

    def __str__(self) -> str:
        return f"file of {self.backtest_id}"


class BacktestChange(models.Model):
    """A row that the candidate decides otherwise: of each kind of change the first ones.

    It holds nothing that tells who it is about: of a row of the decision log the decision's id, of a file the line. Its
    amount goes, and the database lets nothing else of it change, when the decision is erased.
    """

    backtest = models.ForeignKey(Backtest, on_delete=models.CASCADE, related_name="changes")
    row = models.PositiveIntegerField(help_text="Its number, from 1, in the order of time or of the file.")
    decision_id = models.UUIDField(null=True, help_text="Empty where the row comes from a file.")
    baseline = models.CharField(max_length=100, help_text="Outcome.")
    candidate = models.CharField(max_length=100, help_text="Outcome.")
    amount = models.FloatField(null=True)

    class Meta:
        ordering = ["row"]
        constraints = [models.UniqueConstraint(fields=["backtest", "row"], name="one_change_per_row")]

    def __str__(self) -> str:
        return f"row {self.row}: {self.baseline} to {self.candidate}"


class Challenger(models.Model):
    """A candidate that decides beside a workflow's live traffic, without actions, until somebody ends it.

    The decision log is its queue: a worker decides again what was committed, a few seconds behind, and `last_id` is the
    last decision that it has seen. So it takes nothing from those who decide, and misses none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="challengers")
    candidate = models.JSONField(help_text="Versions, as a back-test has them.")
    last_id = models.UUIDField(help_text="Decisions after this one are yet to be seen.")
    rows = models.PositiveBigIntegerField(default=0, help_text="Decisions seen.")
    problem = models.TextField(blank=True, help_text="Why it stands still, where it does.")
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    started_by = models.CharField(max_length=200)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow"], condition=Q(ended_at=None), name="one_open_challenger_per_workflow"
            )
        ]

    def __str__(self) -> str:
        return f"challenger of {self.workflow.name}"


class ChallengerCount(models.Model):
    """How many decisions came out as `baseline`, and as `candidate` by the challenger."""

    challenger = models.ForeignKey(Challenger, on_delete=models.CASCADE, related_name="counts")
    baseline = models.CharField(max_length=100, help_text="Outcome.")
    candidate = models.CharField(max_length=100, help_text="Outcome.")
    rows = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["challenger", "baseline", "candidate"]
        constraints = [
            models.UniqueConstraint(fields=["challenger", "baseline", "candidate"], name="one_count_per_pair")
        ]

    def __str__(self) -> str:
        return f"{self.baseline} to {self.candidate}: {self.rows}"


class ChallengerChange(models.Model):
    """A decision that the challenger makes otherwise: of each kind the newest ones. It holds nothing of a person."""

    challenger = models.ForeignKey(Challenger, on_delete=models.CASCADE, related_name="changes")
    decision_id = models.UUIDField()
    baseline = models.CharField(max_length=100, help_text="Outcome.")
    candidate = models.CharField(max_length=100, help_text="Outcome.")

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["challenger", "baseline", "candidate", "-id"], name="changes_by_kind")]

    def __str__(self) -> str:
        return f"{self.decision_id}: {self.baseline} to {self.candidate}"
