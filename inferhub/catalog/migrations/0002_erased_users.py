"""Digests of users whose events were erased, so that an import does not bring them back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="ErasedUser",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(help_text="Of the user id, keyed.", max_length=64, unique=True)),
                ("erased_at", models.DateTimeField()),
            ],
        ),
    ]
