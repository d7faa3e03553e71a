from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_append_only")]
    operations = [
        migrations.AddField(
            model_name="auditevent",
            name="digest",
            field=models.CharField(
                default="", editable=False, help_text="sha256 of the canonical form.", max_length=64
            ),
            preserve_default=False,
        ),
        # Part of the digest, and so no longer for the database to say.
        migrations.AlterField(
            model_name="auditevent",
            name="occurred_at",
            field=models.DateTimeField(editable=False),
        ),
    ]
