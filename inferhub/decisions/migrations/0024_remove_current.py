"""What is in force follows from the publications."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("decisions", "0023_publication_guards")]
    operations = [migrations.RemoveField(model_name="workflow", name="current")]
