import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('decisions', '0004_erasure_guard'),
    ]

    operations = [
        migrations.CreateModel(
            name='DecisionKey',
            fields=[
                ('pk', models.CompositePrimaryKey('workflow_id', 'request_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('workflow', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='decisions.workflow')),
                ('request_id', models.CharField(max_length=200)),
                ('decision_id', models.UUIDField()),
            ],
        ),
    ]
