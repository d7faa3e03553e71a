from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0015_roles_that_hold_and_deliver")]
    operations = [
        migrations.AddField(
            model_name="decision",
            name="reviewed_decision_id",
            field=models.UUIDField(help_text="Made by a person who reviewed this decision.", null=True),
        ),
    ]
