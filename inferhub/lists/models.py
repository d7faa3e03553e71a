"""Look-up lists: allow lists, block lists and the like, which rules ask and people edit without a new rule version."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

LONGEST_VALUE = 200
ERASED = ""
"""The value of an entry that was a person's and was erased. No value that is on a list is empty."""


class LookupList(models.Model):
    """A named set of texts. `version` is the number of its last change."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(blank=True, help_text="What its values are, and who keeps it.")
    version = models.PositiveIntegerField(default=0)
    entry_count = models.PositiveIntegerField(default=0, help_text="Entries of the last version, expired ones too.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = "look-up list"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ListVersion(models.Model):
    """One change of a list: what it did, who made it and why. Rows are append-only."""

    list = models.ForeignKey(LookupList, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    added = models.PositiveIntegerField(help_text="Entries that this version added.")
    removed = models.PositiveIntegerField(help_text="Entries that this version removed.")
    reason = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["list", "-number"]
        constraints = [models.UniqueConstraint(fields=["list", "number"], name="one_list_per_number")]

    def __str__(self) -> str:
        return f"{self.list.name} version {self.number}"


class ListEntry(models.Model):
    """A value, from the version that added it to before the one that removed it.

    Another note or expiry is another entry. The database lets nothing change but `removed_in`, once: so every past
    version can be read. Of an entry that is removed, value and note can be erased (`ERASED`), for a person's sake.
    """

    list = models.ForeignKey(LookupList, on_delete=models.PROTECT, related_name="entries", db_index=False)
    value = models.CharField(max_length=LONGEST_VALUE, db_collation="C")
    note = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField(null=True, help_text="From then on it does not belong to the list any more.")
    added_in = models.PositiveIntegerField()
    removed_in = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "list entries"
        indexes = [
            models.Index(fields=["list", "added_in"], name="entries_by_addition"),
            models.Index(fields=["list", "removed_in"], name="entries_by_removal"),
            models.Index(fields=["list", "value"], name="entries_by_value"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["list", "value"], condition=Q(removed_in=None), name="one_entry_per_value"),
            models.CheckConstraint(condition=Q(removed_in=None) | Q(removed_in__gt=F("added_in")), name="added_first"),
        ]

    def __str__(self) -> str:
        return self.value
