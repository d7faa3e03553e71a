"""Chunks that nobody works on any more lose the ids of the users that they were cut at."""

from django.db import migrations

_FORGET = """
UPDATE jobs_chunk AS chunk SET first_user_id = '', last_user_id = ''
FROM jobs_job AS job
WHERE job.id = chunk.job_id AND (chunk.is_done OR job.state NOT IN ('queued', 'running'))
"""


class Migration(migrations.Migration):
    dependencies = [("jobs", "0004_options_hold_boosts")]
    operations = [migrations.RunSQL(_FORGET, migrations.RunSQL.noop)]
