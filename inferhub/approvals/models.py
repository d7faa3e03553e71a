"""Changes that one person asks for and another person decides about."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class ChangeState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class ChangeRequest(models.Model):
    """Somebody's wish to change something that takes two people.

    The database itself refuses a row that starts approved, a decision by the person who asked, and any other change
    (migration 0002). `applied_at` is set by the trigger of the table that the change is for: an approval is used once.
    """

    kind = models.CharField(max_length=50, help_text="alias.move, model.policy, ...")
    subject = models.CharField(max_length=200, help_text="What it changes, for example model:order-value@champion.")
    payload = models.JSONField(help_text="What exactly is to be done.")
    reason = models.TextField()
    evidence = models.JSONField(default=dict, help_text="What speaks for it: the gates as they were when it was asked.")
    requested_by = models.CharField(max_length=200)
    requested_person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="The person behind it, where there is one: the owner of an API key, for example.",
    )
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.CharField(max_length=10, choices=ChangeState.choices, default=ChangeState.PENDING)
    decided_by = models.CharField(max_length=200, blank=True)
    decided_person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.TextField(blank=True)
    applied_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("approve_changerequest", "Can approve or reject what somebody else asked for")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="pending", decided_at=None) | (~Q(state="pending") & Q(decided_at__isnull=False)),
                name="change_is_pending_or_decided",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | (
                    Q(decided_person__isnull=False)
                    & ~Q(decided_by=F("requested_by"))
                    & (Q(requested_person=None) | ~Q(decided_person=F("requested_person")))
                ),
                name="change_is_approved_by_another_person",
            ),
            models.UniqueConstraint(
                fields=["subject", "kind"], condition=Q(state="pending"), name="one_pending_change_per_subject"
            ),
        ]
        indexes = [models.Index(fields=["state", "-id"], name="changes_by_state")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject} ({self.state})"
