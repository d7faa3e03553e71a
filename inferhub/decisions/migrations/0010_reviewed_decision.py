from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0009_erase_permission")]
    operations = [
        migrations.AddField(
            model_name="decision",
            name="reviewed_decision_id",
            field=models.UUIDField(help_text="Made by a person who reviewed this decision.", null=True),
        ),
    ]
