"""Notes of test runs say which cases passed, and no longer how the others differed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("rulesets", "0007_remove_current")]
    operations = [
        migrations.AlterField(
            model_name="rulesettestrun",
            name="results",
            field=models.JSONField(help_text="By case: its name, and whether it passed."),
        ),
    ]
