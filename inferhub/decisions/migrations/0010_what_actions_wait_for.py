from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('decisions', '0009_erase_permission'),
    ]

    operations = [
        migrations.AddField(
            model_name='action',
            name='target',
            field=models.CharField(help_text='The system that it goes to, once it had to wait.', max_length=100, null=True),
        ),
        migrations.AddField(
            model_name='action',
            name='lane',
            field=models.BigIntegerField(help_text='Where the order counts: a digest of place and subject.', null=True),
        ),
    ]
