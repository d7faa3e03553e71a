import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0006_erase_scope'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('predict', 'Predict with registered models'), ('recommend', 'Ask for recommendations'), ('decide', 'Ask for decisions'), ('read', 'Read models, workflows, decisions and jobs'), ('register', 'Register model versions and move aliases'), ('author', 'Write workflows, rule sets and their test cases'), ('run-jobs', 'Start jobs'), ('approve', "Approve for the key's owner what others ask for"), ('review', 'See, take and settle reviews'), ('erase', "Erase a person's data"), ('operate', 'Manage webhook endpoints, drive actions again'), ('hold', 'Hold and release subjects'), ('edit-lists', 'Edit look-up lists'), ('audit', 'Read, verify and prove the audit log')], max_length=20), help_text='What the key may do.', size=None),
        ),
    ]
