"""The addresses of the REST API, version 1."""

from django.urls import path, re_path, register_converter
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from inferhub.api import (
    aliases,
    approvals,
    backtests,
    calls,
    challengers,
    erasing,
    lists,
    reading,
    registering,
    replaying,
    rule_files,
)
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
    path("v1/lists", lists.ListsView.as_view()),
    path("v1/lists/<name:name>", lists.ListView.as_view()),
    path("v1/lists/<name:name>/entries", lists.ListEntriesView.as_view()),
    path("v1/lists/<name:name>/versions", lists.ListVersionsView.as_view()),
    path("v1/lists/<name:name>/file", lists.ListFileView.as_view()),
    path("v1/workflows", reading.WorkflowsView.as_view()),
    path("v1/workflows/<name:name>", reading.WorkflowView.as_view()),
    path("v1/workflows/<name:name>/decisions", calls.DecideView.as_view()),
    path("v1/rule-sets/<name:name>/file", rule_files.RuleFileView.as_view()),
    path("v1/decisions", reading.DecisionsView.as_view()),
    path("v1/decisions/<uuid:decision_id>", reading.DecisionView.as_view()),
    path("v1/decisions/<uuid:decision_id>/replay", replaying.ReplayView.as_view()),
    path("v1/erasures", erasing.ErasuresView.as_view()),
    path("v1/backtests", backtests.BacktestsView.as_view()),
    path("v1/backtests/<uuid:backtest_id>", backtests.BacktestView.as_view()),
    path("v1/backtests/<uuid:backtest_id>/changes", backtests.ChangesView.as_view()),
    path("v1/backtests/<uuid:backtest_id>/changes.csv", backtests.ChangesFileView.as_view()),
    path("v1/backtests/<uuid:backtest_id>/cancel", backtests.CancelView.as_view()),
    path("v1/challengers", challengers.ChallengersView.as_view()),
    path("v1/challengers/<uuid:challenger_id>", challengers.ChallengerView.as_view()),
    path("v1/challengers/<uuid:challenger_id>/changes", challengers.ChallengerChangesView.as_view()),
    path("v1/challengers/<uuid:challenger_id>/end", challengers.EndChallengerView.as_view()),
    path("v1/jobs", reading.JobsView.as_view()),
    path("v1/jobs/<uuid:job_id>", reading.JobView.as_view()),
    path("v1/calls/<uuid:call_id>", calls.DeferredCallView.as_view()),
    re_path("", not_found),
]
