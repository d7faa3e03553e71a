"""Rule sets and their immutable versions."""

from django.db import models

from inferhub.rulesets.authored import Authored, AuthoredTest, AuthoredVersion


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


class RuleSetTest(AuthoredTest):
    """A test case of a rule set: facts, and what the rules must say of them."""

    OWNER = "rule_set"

    rule_set = models.ForeignKey(RuleSet, on_delete=models.CASCADE, related_name="tests")

    class Meta:
        ordering = ["rule_set", "id"]
        constraints = [models.UniqueConstraint(fields=["rule_set", "name"], name="one_rule_set_test_per_name")]

    def __str__(self) -> str:
        return self.name
