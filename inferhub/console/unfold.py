"""How the console looks and where its sidebar leads (django-unfold).

The settings read this, so nothing here may load models.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _allowed(permission: str) -> Callable[[HttpRequest], bool]:
    def is_allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return is_allowed


def _page(title: str, icon: str, model: str, *, badge: str = "") -> dict[str, Any]:
    """A list in the sidebar, for people who may see it. `model` is app_label.modelname."""
    app, _, name = model.partition(".")
    page = {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _allowed(f"{app}.view_{name}"),
    }
    return page | ({"badge": badge} if badge else {})


_HOME = {"title": "Home", "icon": "home", "link": reverse_lazy("admin:index")}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Inferhub",
    "SITE_HEADER": "Inferhub",
    "SITE_SUBHEADER": "Inference and decisions",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SHOW_HISTORY": False,  # the audit log is the history, and nobody can change it
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/favicon.svg")},
    ],
    "STYLES": [lambda request: static("console/console.css")],
    "DASHBOARD_CALLBACK": "inferhub.console.dashboard.add_dashboard",
    "COLORS": {
        "primary": {
            "50": "#eef6ff",
            "100": "#d9eaff",
            "200": "#bcdaff",
            "300": "#8ec3ff",
            "400": "#59a1ff",
            "500": "#337bfb",
            "600": "#1d5df0",
            "700": "#1649dd",
            "800": "#183cb3",
            "900": "#1a378d",
            "950": "#152356",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {"title": "", "items": [_HOME]},
            {
                "title": "Work",
                "separator": True,
                "items": [
                    _page(
                        "Approvals",
                        "how_to_reg",
                        "approvals.changerequest",
                        badge="inferhub.console.badges.pending_changes",
                    ),
                    _page("Reviews", "rate_review", "decisions.review", badge="inferhub.console.badges.open_reviews"),
                    _page("Decisions", "call_split", "decisions.decision"),
                    _page("Actions", "bolt", "decisions.action", badge="inferhub.console.badges.dead_letters"),
                ],
            },
            {
                "title": "Models",
                "separator": True,
                "items": [
                    _page("Registered models", "model_training", "registry.registeredmodel"),
                    _page("Versions", "deployed_code", "registry.modelversion"),
                    _page("Aliases", "label", "registry.alias"),
                ],
            },
            {
                "title": "Rules and workflows",
                "separator": True,
                "items": [
                    _page("Workflows", "account_tree", "decisions.workflow"),
                    _page("Rule sets", "rule", "rulesets.ruleset"),
                    _page("Back-tests", "compare_arrows", "backtests.backtest"),
                    _page("Challengers", "swords", "backtests.challenger"),
                    _page("Look-up lists", "checklist", "lists.lookuplist"),
                    _page("Workflow versions", "history", "decisions.workflowversion"),
                    _page("Rule set versions", "history", "rulesets.rulesetversion"),
                ],
            },
            {
                "title": "Recommendations",
                "separator": True,
                "items": [
                    _page("Scenarios", "recommend", "recommendations.scenario"),
                    _page("Jobs", "pending_actions", "jobs.job"),
                    _page("Schedules", "schedule", "django_celery_beat.periodictask"),
                    _page("Catalogue items", "inventory_2", "catalog.item"),
                    _page("Users' events", "shopping_cart", "catalog.event"),
                ],
            },
            {
                "title": "Administration",
                "separator": True,
                "items": [
                    _page("Users", "person", "accounts.user"),
                    _page("Roles", "groups", "auth.group"),
                    _page("API keys", "key", "accounts.apikey"),
                    _page("Webhook endpoints", "webhook", "decisions.webhookendpoint"),
                    _page("Deferred calls", "hourglass_empty", "jobs.deferredcall"),
                    _page("Audit log", "policy", "audit.auditevent"),
                ],
            },
        ],
    },
}
