from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0027_versions_stay_without_constraints")]
    operations = [
        migrations.AlterField(
            model_name="decision",
            name="trace",
            field=models.JSONField(help_text="Which rules matched, and what they saw."),
        ),
    ]
