"""Publications are history, and take the approval that their owner asks for, whoever writes."""

from django.db import migrations

from inferhub.audit.append_only import append_only, refuse_deletion
from inferhub.rulesets.publication_guard import guard_publications


class Migration(migrations.Migration):
    dependencies = [("decisions", "0022_publish_what_was_in_use"), ("approvals", "0002_decided_once"), ("audit", "0002_append_only")]
    operations = [
        *guard_publications(owner="workflow", subject="workflow", app="decisions"),
        refuse_deletion("decisions_workflowpublication"),
        append_only("decisions_workflowtestrun"),
    ]
