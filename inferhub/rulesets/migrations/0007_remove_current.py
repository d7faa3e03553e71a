"""What is in force follows from the publications."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("rulesets", "0006_publication_guards")]
    operations = [migrations.RemoveField(model_name="ruleset", name="current")]
