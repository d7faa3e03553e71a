from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0028_test_runs_tell_no_values")]
    operations = [
        migrations.AlterField(
            model_name="decision",
            name="trace",
            field=models.JSONField(help_text="Which rules matched, and what they saw."),
        ),
    ]
