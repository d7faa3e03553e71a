"""The pages of the console, one module per area. Importing them registers them with Django's admin."""

from inferhub.console.admin import (
    accounts,
    actions,
    approvals,
    audit,
    catalog,
    decisions,
    jobs,
    proof,
    recommendations,
    registry,
    reviews,
    rulesets,
    schedules,
    webhooks,
    workflows,
)

__all__ = [
    "accounts",
    "actions",
    "approvals",
    "audit",
    "catalog",
    "decisions",
    "jobs",
    "proof",
    "recommendations",
    "registry",
    "reviews",
    "rulesets",
    "schedules",
    "webhooks",
    "workflows",
]
