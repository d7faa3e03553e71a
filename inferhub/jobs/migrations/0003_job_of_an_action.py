from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('jobs', '0002_options'),
    ]

    operations = [
        migrations.AddField(
            model_name='job',
            name='action_id',
            field=models.UUIDField(help_text='The action of a decision that started it.', null=True, unique=True),
        ),
    ]
