"""What rule sets and workflows share: versions of a definition, their test cases, and which is in force when."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from inferhub.approvals.models import ChangeRequest
from inferhub.errors import FieldError, InvalidInput
from inferhub.lib.canonical import plain_json
from inferhub.lib.describe import describe
from inferhub.lib.slug import SLUG_EXPECTED, is_slug


class Approval(models.TextChoices):
    """How a version is published."""

    FOUR_EYES = "four-eyes", "Asked for by one person, approved by another"
    DIRECT = "direct", "At once, by whoever may write it"


class AuthoredQuerySet(models.QuerySet[Any]):
    def with_current(self) -> Self:
        """With the versions that are in force now, in one more query however many there are."""
        publications: Any = self.model._meta.get_field("publications").related_model
        owner = publications.OWNER
        in_force = (
            publications.objects.in_force().order_by(f"{owner}_id", "-effective_from", "-id").distinct(f"{owner}_id")
        )
        wanted = in_force.select_related("version", f"version__{owner}")
        return self.prefetch_related(models.Prefetch("publications", wanted, to_attr="in_force_now"))

    def where_current(self, **conditions: Any) -> Self:
        """Those of which the version in force meets `conditions` (look-ups of the version)."""
        publications: Any = self.model._meta.get_field("publications").related_model
        versions: Any = self.model._meta.get_field("versions").related_model
        owner = publications.OWNER
        in_force = publications.objects.in_force().order_by(f"{owner}_id", "-effective_from", "-id")
        ids = in_force.distinct(f"{owner}_id").values("version_id")
        return self.filter(pk__in=versions.objects.filter(pk__in=ids, **conditions).values(f"{owner}_id"))


class Authored(models.Model):
    """Something that people write and rewrite.

    The database lets `approval` change from four eyes only by an approved change request, and the name never.
    """

    name = models.SlugField(max_length=64, unique=True)
    description = models.TextField(blank=True)
    approval = models.CharField(max_length=10, choices=Approval.choices, default=Approval.FOUR_EYES)
    approval_change = models.ForeignKey(
        ChangeRequest, on_delete=models.PROTECT, null=True, editable=False, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = AuthoredQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def audit_subject(self) -> str:
        """How the audit log names it, such as rule-set:screening."""
        return f"{str(self._meta.verbose_name).replace(' ', '-')}:{self.name}"

    @property
    def current(self) -> Any:
        """The version in force now, None where there is none. A query, unless `with_current` fetched it."""
        if (fetched := self.__dict__.get("in_force_now")) is not None:
            return fetched[0].version if fetched else None
        publications: Any = getattr(self, "publications")  # noqa: B009 - of the child
        found = publications.in_force().select_related("version").newest_first().first()
        return found.version if found else None

    @property
    def current_id(self) -> int | None:
        """The same by its id."""
        current = self.current
        return current.pk if current else None


class AuthoredVersion(models.Model):
    """One definition as it was written; the database refuses any change. A child adds the key to what it belongs to."""

    OWNER: ClassVar[str]
    is_unchanged = False  # True where the save that returned this neither made nor published it

    number = models.PositiveIntegerField()
    definition = models.JSONField()
    digest = models.CharField(max_length=64)
    note = models.TextField(blank=True, help_text="What changed, and why.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200)

    class Meta:
        abstract = True

    @property
    def owner(self) -> Any:
        """The rule set or workflow."""
        return getattr(self, self.OWNER)


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
        """The case as people write it."""
        return {"name": self.name, **plain_json(self.case)}


class AuthoredTestRun(models.Model):
    """All test cases of a version, run once. Append-only. A child adds the key to the version."""

    cases_digest = models.CharField(max_length=64, help_text="sha256 of the cases as they were.")
    count = models.PositiveIntegerField()
    failed = models.PositiveIntegerField()
    results = models.JSONField(help_text="By case: its name, whether it passed, and what differed.")
    ran_at = models.DateTimeField(db_default=Now(), editable=False)
    ran_by = models.CharField(max_length=200)

    class Meta:
        abstract = True


class PublicationQuerySet(models.QuerySet[Any]):
    def in_force(self, at: Any = None) -> Self:
        """Those whose time it is, of which the one that began last decides; `at` another moment than now."""
        moment = Now() if at is None else at
        is_unfinished = Q(effective_until=None) | Q(effective_until__gt=moment)
        return self.filter(is_unfinished, cancelled_at=None, effective_from__lte=moment)

    def newest_first(self) -> Self:
        return self.order_by("-effective_from", "-id")


class AuthoredPublication(models.Model):
    """A version that is in force from one moment on, until another or until a later publication begins.

    History: the database refuses every change but the cancellation of one that has not begun, a beginning in the past,
    and a publication without the approval that its owner asks for. A rollback to the version before needs none: that
    one was approved then. A child adds the keys to owner and version.
    """

    OWNER: ClassVar[str]

    effective_from = models.DateTimeField(db_default=Now())
    effective_until = models.DateTimeField(null=True, help_text="Empty: until a later publication begins.")
    reason = models.TextField(blank=True)
    is_rollback = models.BooleanField(default=False)
    change = models.ForeignKey(
        ChangeRequest, on_delete=models.PROTECT, null=True, related_name="+", help_text="What allowed it."
    )
    published_at = models.DateTimeField(db_default=Now(), editable=False)
    published_by = models.CharField(max_length=200)
    cancelled_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=200, blank=True)
    cancel_reason = models.TextField(blank=True)

    objects = PublicationQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-effective_from", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="%(class)s_ends_after_it_begins",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} from {self.effective_from:%Y-%m-%d %H:%M}"  # type: ignore[attr-defined]


def check_name(name: str) -> None:
    """Raises InvalidInput where `name` cannot stand in an address."""
    if not is_slug(name):
        raise InvalidInput(errors=[FieldError(pointer="/name", expected=SLUG_EXPECTED, got=describe(name))])
