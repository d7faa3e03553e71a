import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0016_reviewed_decision")]
    operations = [
        migrations.AlterModelOptions(
            name="review",
            options={
                "ordering": ["settled_at", "-id"],
                "permissions": [
                    ("settle_review", "Can settle a review"),
                    ("assign_review", "Can assign reviews to people"),
                    ("export_review", "Can export settled reviews as labelled data"),
                ],
            },
        ),
        migrations.AddField(
            model_name="review",
            name="priority",
            field=models.PositiveSmallIntegerField(choices=[(1, "Low"), (2, "Normal"), (3, "High")], default=2),
        ),
        migrations.AddField(
            model_name="review",
            name="due_at",
            field=models.DateTimeField(help_text="Empty: it may wait.", null=True),
        ),
        migrations.AddField(
            model_name="review",
            name="assigned_to",
            field=models.CharField(blank=True, help_text="The actor who works on it.", max_length=200),
        ),
        migrations.AddField(
            model_name="review",
            name="assigned_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="review",
            name="passed_by",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=200),
                default=list,
                help_text="Who put it off: the queue offers them others first.",
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="review",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=[("approved", "Approved"), ("rejected", "Rejected"), ("changed", "Changed")],
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="review",
            name="outcome",
            field=models.CharField(blank=True, help_text="What the person's verdict led to.", max_length=100),
        ),
        migrations.AddField(
            model_name="review",
            name="new_decision_id",
            field=models.UUIDField(help_text="The decision that the verdict made.", null=True),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(condition=models.Q(verdict=""), fields=["assigned_to", "id"], name="reviews_open"),
        ),
        migrations.AddIndex(
            model_name="review",
            index=models.Index(condition=~models.Q(verdict=""), fields=["settled_at"], name="reviews_settled"),
        ),
    ]
