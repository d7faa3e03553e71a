"""Comparisons with a shadow lose the key of their request, which named a person and which nobody read."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("registry", "0006_shadow_comparisons")]
    operations = [migrations.RemoveField(model_name="shadowcomparison", name="request_key")]
