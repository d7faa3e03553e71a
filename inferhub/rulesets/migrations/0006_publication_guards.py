"""Publications are history, and take the approval that their owner asks for, whoever writes."""

from django.db import migrations

from inferhub.audit.append_only import append_only, refuse_deletion
from inferhub.rulesets.publication_guard import guard_publications


class Migration(migrations.Migration):
    dependencies = [("rulesets", "0005_publish_what_was_in_use"), ("approvals", "0002_decided_once"), ("audit", "0002_append_only")]
    operations = [
        *guard_publications(owner="rule_set", subject="rule-set", app="rulesets"),
        refuse_deletion("rulesets_rulesetpublication"),
        append_only("rulesets_rulesettestrun"),
    ]
