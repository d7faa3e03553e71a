"""Schedules: when bulk jobs start by themselves."""

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from inferhub.console import fields, html
from inferhub.console.base import ConsoleAdmin, time_column
from inferhub.recommendations.models import Scenario

BULK_TASK = "inferhub.jobs.tasks.start_bulk_recommendations"

for _model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(_model)


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A schedule starts one thing: the bulk job of a scenario."""

    scenario = fields.model_choice("Scenario", Scenario.objects.all(), to_field_name="name")

    class Meta:
        model = PeriodicTask
        fields = ("name", "scenario", "crontab", "interval", "enabled", "description")
        labels = {"crontab": "Time of day", "interval": "Interval", "enabled": "On"}
        help_texts = {
            "name": "For example: recommendations for the home page, every night.",
            "enabled": "Off: it starts nothing.",
            "description": "",
            "crontab": "Minute, hour, day of the month, month, day of the week.",
            "interval": "Again and again, after so much time.",
        }
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.pk:
            self.fields["scenario"].initial = scenario_of(self.instance)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        times = [name for name in ("crontab", "interval") if self.cleaned_data.get(name)]
        if len(times) != 1:
            self.add_error("crontab", "Choose either a time of day (crontab) or an interval.")
        scenario = self.cleaned_data.get("scenario")
        if scenario is not None:
            self.instance.task = BULK_TASK
            self.instance.kwargs = json.dumps({"scenario": scenario.name})
        return cleaned


def scenario_of(task: PeriodicTask) -> str:
    """The scenario that a schedule names, as it stands in its arguments."""
    return str(json.loads(task.kwargs or "{}").get("scenario", ""))


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ConsoleAdmin):
    empty_title = "No schedules yet"
    empty_sentence = "A schedule starts the bulk job of a scenario by itself."
    audit_name = "schedule"
    form = ScheduleForm
    list_display = ("name", "starts", "when", "enabled", time_column("last_run_at", "Last run"))
    list_select_related = ("crontab", "interval")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("name", "scenario", "enabled", "description")}),
        ("When", {"fields": ("crontab", "interval"), "description": "Either a time of day (crontab) or an interval."}),
    )

    @admin.display(description="Starts")
    def starts(self, task: PeriodicTask) -> str:
        return f"bulk recommendations for {scenario_of(task)}"

    @admin.display(description="When")
    def when(self, task: PeriodicTask) -> str:
        return str(task.crontab or task.interval or html.NOTHING)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "description":
            return db_field.formfield(**options)  # the theme's own field would be half a page high
        return super().formfield_for_dbfield(db_field, request, **options)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        """The hub's own tasks (sweepers) are none of the user's business."""
        found: QuerySet[PeriodicTask] = super().get_queryset(request).filter(task=BULK_TASK)
        return found.select_related("crontab", "interval")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ConsoleAdmin):
    audit_name = "crontab"
    list_display = ("__str__", "human_readable", "timezone")
    fields = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "timezone":
            options["widget"] = UnfoldAdminSelectWidget()
        return super().formfield_for_dbfield(db_field, request, **options)


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ConsoleAdmin):
    audit_name = "interval"
    list_display = ("__str__", "every", "period")
    fields = ("every", "period")
