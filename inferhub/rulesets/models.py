"""Rule sets and their immutable versions."""

from django.db import models

from inferhub.rulesets.authored import Authored, AuthoredVersion


class RuleSet(Authored):
    """A named decision table. `current` is the version that decisions use."""

    current = models.ForeignKey("RuleSetVersion", on_delete=models.PROTECT, null=True, related_name="+")


class RuleSetVersion(AuthoredVersion):
    """One decision table as it was written."""

    OWNER = "rule_set"

    rule_set = models.ForeignKey(RuleSet, on_delete=models.PROTECT, related_name="versions")

    class Meta:
        ordering = ["rule_set", "-number"]
        constraints = [models.UniqueConstraint(fields=["rule_set", "number"], name="one_rule_set_per_number")]

    def __str__(self) -> str:
        return f"{self.rule_set.name} version {self.number}"
