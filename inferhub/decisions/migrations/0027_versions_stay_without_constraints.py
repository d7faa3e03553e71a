import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0026_cancelled_actions")]
    operations = [
        migrations.AlterField(
            model_name="decision",
            name=name,
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="decisions",
                to=to,
            ),
        )
        for name, to in (
            ("workflow", "decisions.workflow"),
            ("version", "decisions.workflowversion"),
            ("rule_set_version", "rulesets.rulesetversion"),
        )
    ]
