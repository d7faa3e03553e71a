"""The addresses of the REST API, version 1."""

from django.urls import path, re_path, register_converter
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from inferhub.api import aliases, approvals, auditing, calls, erasing, reading, registering
from inferhub.api.converters import SlugConverter
from inferhub.api.errors import not_found

register_converter(SlugConverter, "name")

urlpatterns = [
    path("schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("v1/models", reading.ModelsView.as_view()),
    path("v1/models/<name:name>", registering.EditModelView.as_view()),
    path("v1/models/<name:name>/policy", registering.PolicyView.as_view()),
    path("v1/models/<name:name>/versions", registering.RegisterVersionView.as_view()),
    path("v1/models/<name:name>/versions/<int:number>", reading.ModelVersionView.as_view()),
    path("v1/models/<name:name>/versions/<int:number>/artifact", registering.ArtifactView.as_view()),
    path("v1/models/<name:name>/versions/<int:number>/archive", registering.ArchiveView.as_view()),
    path("v1/models/<name:name>/versions/<int:number>/unarchive", registering.UnarchiveView.as_view()),
    path("v1/models/<name:name>/versions/<int:number>/comparison/<int:other>", reading.ComparisonView.as_view()),
    path("v1/models/<name:name>/aliases/<name:alias>", aliases.AliasView.as_view()),
    path("v1/models/<name:name>/aliases/<name:alias>/rollback", aliases.RollbackView.as_view()),
    path("v1/models/<name:name>/aliases/<name:alias>/canary", aliases.CanaryView.as_view()),
    path("v1/models/<name:name>/aliases/<name:alias>/shadow", aliases.ShadowView.as_view()),
    path("v1/models/<name:name>/predictions", calls.PredictView.as_view()),
    path("v1/scenarios/<name:name>/recommendations", calls.RecommendView.as_view()),
    path("v1/scenarios/<name:name>/recommendations/<path:user_id>", reading.StoredRecommendationView.as_view()),
    path("v1/changes", reading.ChangesView.as_view()),
    path("v1/changes/<int:change_id>", reading.ChangeView.as_view()),
    path("v1/changes/<int:change_id>/approve", approvals.ApproveView.as_view()),
    path("v1/changes/<int:change_id>/reject", approvals.RejectView.as_view()),
    path("v1/changes/<int:change_id>/withdraw", approvals.WithdrawView.as_view()),
    path("v1/workflows", reading.WorkflowsView.as_view()),
    path("v1/workflows/<name:name>", reading.WorkflowView.as_view()),
    path("v1/workflows/<name:name>/decisions", calls.DecideView.as_view()),
    path("v1/decisions", reading.DecisionsView.as_view()),
    path("v1/decisions/<uuid:decision_id>", reading.DecisionView.as_view()),
    path("v1/decisions/<uuid:decision_id>/proof", auditing.DecisionProofView.as_view()),
    path("v1/audit/events", auditing.EventsView.as_view()),
    path("v1/audit/events/<int:number>/proof", auditing.EventProofView.as_view()),
    path("v1/audit/seals", auditing.SealsView.as_view()),
    path("v1/audit/verifications", auditing.VerificationsView.as_view()),
    path("v1/audit/verifications/<uuid:verification_id>", auditing.VerificationView.as_view()),
    path("v1/erasures", erasing.ErasuresView.as_view()),
    path("v1/jobs", reading.JobsView.as_view()),
    path("v1/jobs/<uuid:job_id>", reading.JobView.as_view()),
    path("v1/calls/<uuid:call_id>", calls.DeferredCallView.as_view()),
    re_path("", not_found),
]
