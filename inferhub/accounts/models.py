"""People who sign in to the console, and the keys of systems that call the REST API."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class User(AbstractUser):
    """A person. Roles are Django groups (`inferhub.accounts.roles`)."""


class Scope(models.TextChoices):
    """What an API key may do; a key without a scope may do nothing."""

    PREDICT = "predict", "Predict with registered models"
    RECOMMEND = "recommend", "Ask for recommendations"
    DECIDE = "decide", "Ask for decisions"
    READ = "read", "Read models, workflows, decisions and jobs"
    REGISTER = "register", "Register model versions and move aliases"
    AUTHOR = "author", "Write workflows, rule sets and their test cases"
    RUN_JOBS = "run-jobs", "Start jobs"
    APPROVE = "approve", "Approve for the key's owner what others ask for"
    ERASE = "erase", "Erase a person's data"
    EDIT_LISTS = "edit-lists", "Edit look-up lists"


class ApiKey(models.Model):
    """A key of one system. Only the sha256 of the secret is stored; the prefix tells keys apart."""

    name = models.CharField(max_length=100, help_text="The system that uses the key, for example 'web shop'.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), help_text="What the key may do.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, editable=False)
    owner = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="api_keys",
        help_text="The person who made it, and who therefore cannot approve what it asks for.",
    )
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="More are refused until the minute is over. Empty: as many as it likes."
    )
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]
        constraints = [models.CheckConstraint(condition=~Q(scopes=[]), name="api_key_has_a_scope")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class RepeatableWrite(models.Model):
    """A write that a key made under an Idempotency-Key, and the answer that the same write gets again for a day."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=200, help_text="The Idempotency-Key.")
    fingerprint = models.CharField(max_length=64, help_text="sha256 of method, address and body.")
    started_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP status of the answer; empty: not done yet.")
    headers = models.JSONField(default=dict)
    content = models.BinaryField(default=bytes)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api_key", "name"], name="one_write_per_idempotency_key")]

    def __str__(self) -> str:
        return self.name
