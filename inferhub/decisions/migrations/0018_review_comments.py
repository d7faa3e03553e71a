"""Comments on reviews. They stay as they were written; only the erasure of a person's data takes their text away.

A comment can be deleted, since it goes with its month where decisions are detached; the audit event stays.
"""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

_GUARD = """
CREATE FUNCTION inferhub_guard_review_comment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.text = '' AND to_jsonb(NEW) - 'text' = to_jsonb(OLD) - 'text' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'rows of % are append-only: UPDATE refused', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON decisions_reviewcomment
    FOR EACH ROW EXECUTE FUNCTION inferhub_guard_review_comment();
"""
_UNDO = """
DROP TRIGGER guard ON decisions_reviewcomment;
DROP FUNCTION inferhub_guard_review_comment();
"""


class Migration(migrations.Migration):
    dependencies = [("decisions", "0017_review_queue")]
    operations = [
        migrations.CreateModel(
            name="ReviewComment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("actor", models.CharField(max_length=200)),
                ("text", models.TextField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False),
                ),
                (
                    "review",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="comments", to="decisions.review"
                    ),
                ),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.RunSQL(_GUARD, _UNDO),
    ]
