"""What a hub that knew no publications yet had in use stays in force, and goes on being published directly."""

from django.db import migrations

from inferhub.rulesets.publication_guard import publish_what_was_in_use


class Migration(migrations.Migration):
    dependencies = [("decisions", "0021_publications")]
    operations = [publish_what_was_in_use(owner="workflow", app="decisions")]
