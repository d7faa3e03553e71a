"""Who did what, when: rows that the database itself refuses to change. And what proves that nobody changed them."""

from django.db import models
from django.db.models.functions import Now

from inferhub.audit.chain import SealHeader
from inferhub.lib.ids import uuid7


class AuditEvent(models.Model):
    """One thing that somebody or something did, written in the transaction that did it."""

    occurred_at = models.DateTimeField(editable=False)
    action = models.CharField(max_length=100, help_text="Dotted, in the past: model_version.registered.")
    actor = models.CharField(max_length=200, help_text="user:alice, api-key:1a2b3c4d or system:worker.")
    subject = models.CharField(max_length=200, help_text="What it was done to, for example model:order-value.")
    request_id = models.CharField(max_length=100, blank=True)
    details = models.JSONField(default=dict)
    digest = models.CharField(max_length=64, editable=False, help_text="sha256 of the canonical form.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} by {self.actor}"


class Unsealed(models.Model):
    """Rows that no seal covers yet: what one statement wrote, noted by a trigger in the same transaction."""

    stream = models.CharField(max_length=20)
    records = models.BinaryField(help_text="For each row 16 bytes of its id and 32 of its digest.")

    def __str__(self) -> str:
        return f"{self.stream}, statement {self.pk}"


class Seal(models.Model):
    """One link of the chain: a Merkle root over rows of one stream. The database refuses to change it."""

    number = models.PositiveBigIntegerField(primary_key=True)
    stream = models.CharField(max_length=20)
    count = models.PositiveIntegerField(help_text="Rows.")
    first_id = models.UUIDField(help_text="The smallest id among its rows.")
    last_id = models.UUIDField(help_text="The largest.")
    records = models.BinaryField(help_text="In order of their ids; for each 16 bytes of the id and 32 of the digest.")
    root = models.CharField(max_length=64, help_text="Of the Merkle tree over the records (RFC 6962).")
    previous = models.CharField(max_length=64, help_text="Digest of the seal before it.")
    skip = models.CharField(max_length=64, help_text="Digest of a seal far before it.")
    sealed_at = models.DateTimeField()
    digest = models.CharField(max_length=64, help_text="sha256 of the canonical form of all but the records.")

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["stream", "first_id"], name="seals_by_first_id"),
            models.Index(fields=["stream", "last_id"], name="seals_by_last_id"),
        ]

    def __str__(self) -> str:
        return f"seal {self.number}"

    @property
    def header(self) -> SealHeader:
        return SealHeader(
            number=self.number,
            stream=self.stream,
            count=self.count,
            root=self.root,
            previous=self.previous,
            skip=self.skip,
            sealed_at=self.sealed_at,
        )


class SealCopy(models.Model):
    """How far one place outside of the database knows the chain."""

    target = models.CharField(max_length=600, primary_key=True, help_text="file:/path or webhook:name.")
    number = models.PositiveBigIntegerField(default=0, help_text="The last seal that it got.")
    written_at = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField(default=0, help_text="Failures since then.")
    next_attempt_at = models.DateTimeField(db_default=Now())
    problem = models.CharField(max_length=500, blank=True, help_text="Why the last attempt failed.")

    def __str__(self) -> str:
        return self.target


class VerificationState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed", "failed: findings"
    BROKEN = "broken", "not finished"


class Verification(models.Model):
    """One run over chain and rows, asked for or on a schedule, and what it found."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    state = models.CharField(max_length=10, choices=VerificationState.choices, default=VerificationState.QUEUED)
    since_seal = models.PositiveBigIntegerField(default=0, help_text="Rows of later seals were checked.")
    head = models.PositiveBigIntegerField(default=0, help_text="The newest seal that was checked.")
    rows = models.PositiveBigIntegerField(default=0, help_text="Checked so far.")
    total = models.PositiveBigIntegerField(default=0, help_text="Rows that the seals cover.")
    report = models.JSONField(default=dict)
    problem = models.TextField(blank=True)
    requested_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempt_count = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("run_verification", "Can verify the log")]

    def __str__(self) -> str:
        return f"verification of {self.created_at:%Y-%m-%d %H:%M}"
