"""Notes of test runs say which outcomes differed, and no longer the values of the rest."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rulesets", "0007_remove_current")]
    operations = [
        migrations.AlterField(
            model_name="rulesettestrun",
            name="results",
            field=models.JSONField(help_text="By case: its name, whether it passed, and what differed."),
        ),
    ]
