from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0025_note_unsealed_decisions")]
    operations = [
        migrations.AlterField(
            model_name="action",
            name="state",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("delivered", "Delivered"),
                    ("dead", "dead letter"),
                    ("cancelled", "Cancelled"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
    ]
