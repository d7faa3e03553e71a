"""Starters that were put into this hub."""

from django.db import models
from django.db.models.functions import Now

from inferhub.jobs.models import State
from inferhub.lib.ids import uuid7


class Installation(models.Model):
    """One starter under one name, and how far its installation is. One that failed goes on where it stopped."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    starter = models.SlugField(max_length=64)
    name = models.SlugField(max_length=64, unique=True, help_text="What everything that it makes is called.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    done = models.PositiveSmallIntegerField(default=0, help_text="Steps that are done.")
    problem = models.TextField(blank=True)
    requested_by = models.CharField(max_length=200)
    attempt_count = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "starter"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], name="installations_open", condition=models.Q(state__in=["queued", "running"]))
        ]

    def __str__(self) -> str:
        return self.name
