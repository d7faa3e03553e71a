"""Items and what users did with them."""

from django.db import models
from django.db.models.functions import Now


class Item(models.Model):
    """One thing that is sold."""

    item_id = models.CharField(max_length=100, unique=True, help_text="The shop's own id.")
    name = models.CharField(max_length=300)
    category = models.CharField(max_length=200, blank=True)
    price = models.DecimalField(max_digits=14, decimal_places=4, null=True)
    is_available = models.BooleanField(default=True, db_default=True)

    class Meta:
        ordering = ["item_id"]
        indexes = [models.Index(fields=["item_id"], name="item_unavailable", condition=models.Q(is_available=False))]

    def __str__(self) -> str:
        return f"{self.name} ({self.item_id})"


class EventKind(models.TextChoices):
    VIEW = "view"
    BASKET = "basket"
    PURCHASE = "purchase"


class Event(models.Model):
    """What one user did with one item. Ids are the shop's own."""

    # Bytewise order, whatever the locale of the database: chunks of a bulk job are ranges of user ids.
    user_id = models.CharField(max_length=100, db_collation="C")
    item_id = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=EventKind.choices, default=EventKind.PURCHASE)
    quantity = models.FloatField(default=1)
    occurred_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-occurred_at"]
        indexes = [models.Index(fields=["user_id", "occurred_at"], include=["item_id"], name="events_of_a_user")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.kind} {self.item_id}"


class ErasedUser(models.Model):
    """Somebody whose events were erased: an import does not bring back those until `erased_at`.

    Of the user only a digest is kept, which says nothing without the hub's secret key.
    """

    digest = models.CharField(max_length=64, unique=True, help_text="Of the user id, keyed.")
    erased_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest
