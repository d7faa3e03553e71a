from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0029_what_a_trace_tells")]
    operations = [
        migrations.AddField(
            model_name="action",
            name="attempts_before",
            field=models.PositiveIntegerField(help_text="Attempts before it was last driven again.", null=True),
        ),
    ]
