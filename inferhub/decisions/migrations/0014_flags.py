import django.db.models.deletion
import django.utils.timezone
import inferhub.lib.ids
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('decisions', '0013_targets_of_present_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='Flag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(max_length=200)),
                ('name', models.SlugField(db_index=False, max_length=64)),
                ('is_held', models.BooleanField(default=False)),
                ('last_change_id', models.UUIDField(help_text='The change in force.', null=True)),
                ('changed_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(condition=models.Q(('is_held', True)), fields=['name', '-id'], name='held_flags')],
                'constraints': [models.UniqueConstraint(fields=('subject', 'name'), name='one_flag_per_subject_and_name')],
            },
        ),
        migrations.CreateModel(
            name='FlagChange',
            fields=[
                ('id', models.UUIDField(default=inferhub.lib.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ('is_held', models.BooleanField()),
                ('is_applied', models.BooleanField(help_text='False: it came late, and a later change was in force.')),
                ('actor', models.CharField(max_length=200)),
                ('reason', models.CharField(max_length=500)),
                ('decision_id', models.UUIDField(null=True)),
                ('made_at', models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ('flag', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='decisions.flag')),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
    ]
