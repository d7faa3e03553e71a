"""What rule sets and workflows share: a name, and versions of a definition of which one is in use."""

from typing import Any, ClassVar, TypeVar

import orjson
from django.db import models, transaction
from django.db.models.functions import Now

from inferhub.audit.services import record_event
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import canonical_json, digest_of
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug
from inferhub.lib.snapshots import Snapshots


class Authored(models.Model):
    """Something that people write and rewrite. A child adds `current`, the version in use."""

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_subject(self) -> str:
        """How the audit log names it, such as rule-set:screening."""
        return f"{str(self._meta.verbose_name).replace(' ', '-')}:{self.name}"


class AuthoredVersion(models.Model):
    """One definition as it was written; the database refuses any change. A child adds the key to what it belongs to."""

    number = models.PositiveIntegerField()
    definition = models.JSONField()
    digest = models.CharField(max_length=64)
    note = models.TextField(blank=True, help_text="What changed, and why.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        abstract = True


class AuthoredTest(models.Model):
    """A test case, by its name: what goes in and what must come out. A child adds the key to what it belongs to."""

    OWNER: ClassVar[str]

    name = models.CharField(max_length=200)
    case = models.JSONField(help_text="What goes in, and `expect`.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=200)

    class Meta:
        abstract = True

    @property
    def owner(self) -> Authored:
        found: Authored = getattr(self, self.OWNER)
        return found

    @property
    def document(self) -> dict[str, Any]:
        """The case as people write it: the database gives 1e300 back as a whole number of 301 digits."""
        return {"name": self.name, **orjson.loads(canonical_json(self.case))}


V = TypeVar("V", bound=AuthoredVersion)


def check_name(name: str) -> None:
    """Raises InvalidInput where `name` cannot stand in an address."""
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])


def save_definition(
    versions: type[V], *, name: str, definition: dict[str, Any], actor: str, description: str | None, note: str
) -> V:
    """Make a checked `definition` the next version of the thing called `name`, and put it in use.

    The same definition again makes no version.
    """
    owner_field: Any = versions._meta.get_field(versions.OWNER)  # type: ignore[attr-defined]
    owner_model: Any = owner_field.related_model
    digest = digest_of(definition)
    with transaction.atomic():
        owner_model.objects.get_or_create(name=name)
        owner = owner_model.objects.select_for_update(of=("self",)).select_related("current").get(name=name)
        if description is not None:
            owner.description = description
        if owner.current is None or owner.current.digest != digest:
            latest = owner.versions.order_by("-number").first()
            owner.current = owner.versions.create(
                number=latest.number + 1 if latest else 1,
                definition=definition,
                digest=digest,
                note=note,
                created_by=actor,
            )
            record_event(
                f"{versions.OWNER}.published",  # type: ignore[attr-defined]
                actor=actor,
                subject=owner.audit_subject,
                details={"version": owner.current.number, "digest": digest, "note": note},
            )
        owner.save(update_fields=["current", "description"])
    Snapshots.forget_all()
    version: V = owner.current
    return version
