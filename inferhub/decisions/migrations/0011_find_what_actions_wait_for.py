from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    atomic = False  # the table may be large, and decisions go on meanwhile

    dependencies = [
        ('decisions', '0010_what_actions_wait_for'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='action',
            index=models.Index(condition=models.Q(('lane__isnull', False), ('state', 'pending')), fields=['lane', 'id'], name='actions_in_order'),
        ),
        AddIndexConcurrently(
            model_name='action',
            index=models.Index(condition=models.Q(('state', 'pending'), ('target__isnull', False)), fields=['target'], name='actions_waiting'),
        ),
    ]
