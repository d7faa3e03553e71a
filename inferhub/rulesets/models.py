"""Rule sets: their immutable versions, test cases and publications."""

from django.db import models

from inferhub.rulesets.authored import Authored, AuthoredPublication, AuthoredTest, AuthoredTestRun, AuthoredVersion


class RuleSet(Authored):
    """A named decision table."""


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


class RuleSetTestRun(AuthoredTestRun):
    """The test cases of a rule set, run against one of its versions."""

    version = models.ForeignKey(RuleSetVersion, on_delete=models.PROTECT, related_name="test_runs")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version}: {self.count - self.failed} of {self.count} passed"


class RuleSetPublication(AuthoredPublication):
    """A version of a rule set, in force for a time."""

    OWNER = "rule_set"

    rule_set = models.ForeignKey(RuleSet, on_delete=models.PROTECT, related_name="publications")
    version = models.ForeignKey(RuleSetVersion, on_delete=models.PROTECT, related_name="publications")

    class Meta(AuthoredPublication.Meta):
        indexes = [models.Index(fields=["rule_set", "-effective_from", "-id"], name="rule_set_schedule")]
