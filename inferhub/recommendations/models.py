"""Scenarios, and the result sets that bulk jobs publish for them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from inferhub.registry.models import ModelVersion, RegisteredModel
from inferhub.rulesets.models import RuleSet


class Scenario(models.Model):
    """A named use of a recommendation model, for example `home-page`."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    model = models.ForeignKey(RegisteredModel, on_delete=models.PROTECT, limit_choices_to={"task": "recommendation"})
    alias = models.SlugField(max_length=64, default="champion")
    k = models.PositiveIntegerField(default=10, help_text="How many items, where a request does not say.")
    exclude_purchased = models.BooleanField(
        default=False, help_text="Leave out what the user bought before. People often buy again, so this is off."
    )
    boosts = models.ForeignKey(
        RuleSet,
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        help_text="Rules that move items up or down the list, or take them off.",
    )
    current = models.ForeignKey("Generation", on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Generation(models.Model):
    """One result set of a bulk job. Readers see it from `published_at` on, whole."""

    scenario = models.ForeignKey(Scenario, on_delete=models.CASCADE, related_name="generations")
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"generation {self.pk} of {self.scenario.name}"


class Recommendation(models.Model):
    """The recommended items of one user in one generation, best first."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="recommendations")
    user_id = models.CharField(max_length=100)
    items = ArrayField(models.CharField(max_length=100))
    scores = ArrayField(models.FloatField())
    reasons = ArrayField(models.CharField(max_length=100, blank=True))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "user_id"], name="one_list_per_user")]

    def __str__(self) -> str:
        return f"{len(self.items)} items for {self.user_id}"
