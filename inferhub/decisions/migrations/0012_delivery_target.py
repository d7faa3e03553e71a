from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('decisions', '0011_find_what_actions_wait_for'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeliveryTarget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True)),
                ('failure_count', models.PositiveIntegerField(default=0, help_text='Failures in a row.')),
                ('opened_at', models.DateTimeField(help_text='Since when nothing is sent there but a probe now and then.', null=True)),
                ('open_until', models.DateTimeField(help_text='When the next probe may go; null while all is well.', null=True)),
                ('failed_at', models.DateTimeField(null=True)),
                ('problem', models.CharField(blank=True, help_text='What the last failure was.', max_length=500)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
    ]
