"""Who did what, when: rows that the database itself refuses to change."""

from django.db import models
from django.db.models.functions import Now


class AuditEvent(models.Model):
    """One thing that somebody or something did, written in the transaction that did it."""

    occurred_at = models.DateTimeField(db_default=Now(), editable=False)
    action = models.CharField(max_length=100, help_text="Dotted, in the past: model_version.registered.")
    actor = models.CharField(max_length=200, help_text="user:alice, api-key:1a2b3c4d or system:worker.")
    subject = models.CharField(max_length=200, help_text="What it was done to, for example model:order-value.")
    request_id = models.CharField(max_length=100, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["subject", "-id"], name="audit_by_subject"),
            models.Index(fields=["actor", "-id"], name="audit_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject} by {self.actor}"
