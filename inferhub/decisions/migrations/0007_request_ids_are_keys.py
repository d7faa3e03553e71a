import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0006_fill_decision_keys")]
    operations = [
        migrations.RemoveConstraint(model_name="decision", name="one_decision_per_request"),
        *(
            migrations.AlterField(
                model_name="decision",
                name=name,
                field=models.ForeignKey(
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
        ),
        migrations.AlterField(
            model_name="action",
            name="decision",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="actions",
                to="decisions.decision",
            ),
        ),
    ]
