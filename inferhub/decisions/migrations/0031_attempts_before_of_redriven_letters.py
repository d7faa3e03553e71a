from typing import Any

from django.db import migrations
from django.db.models import F
from django.db.models.functions import Mod

_MOST_ATTEMPTS = 15


def note(apps: Any, editor: Any) -> None:
    """What was driven again before this version counts on as it did: anew with each 15 attempts."""
    actions = apps.get_model("decisions", "Action").objects
    driven = actions.filter(state="pending", attempt_count__gte=_MOST_ATTEMPTS)
    driven.update(attempts_before=F("attempt_count") - Mod(F("attempt_count"), _MOST_ATTEMPTS))


class Migration(migrations.Migration):
    dependencies = [("decisions", "0030_attempts_before_a_redrive")]
    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
