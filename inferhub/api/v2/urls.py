"""The addresses of the Open Inference Protocol, below /v2."""

from django.urls import URLPattern, path, re_path
from django.views import View

from inferhub.api.v2 import views


def _of_model(end: str, view: type[View]) -> list[URLPattern]:
    """The same view for a model's champion and for one of its versions."""
    handler = view.as_view()
    return [path(f"models/<str:name>{end}", handler), path(f"models/<str:name>/versions/<str:version>{end}", handler)]


_MISSING = views.MissingExtensionView.as_view()

urlpatterns = [
    path("models/<str:name>/infer", views.infer_view),
    path("models/<str:name>/versions/<str:version>/infer", views.infer_view),
    path("", views.ServerView.as_view()),
    path("health/live", views.LiveView.as_view()),
    path("health/ready", views.ReadyView.as_view()),
    path("models/stats", views.StatisticsView.as_view()),
    *_of_model("", views.ModelView),
    *_of_model("/ready", views.ModelReadyView),
    *_of_model("/config", views.ConfigView),
    *_of_model("/stats", views.StatisticsView),
    path("repository/index", views.RepositoryIndexView.as_view()),
    path("repository/models/<str:name>/load", views.LoadView.as_view()),
    path("repository/models/<str:name>/unload", views.UnloadView.as_view()),
    re_path(r"^(?:models/[^/]+/)?trace/setting$", _MISSING),
    re_path(r"^(?:logging$|systemsharedmemory/|cudasharedmemory/)", _MISSING),
    re_path("", views.unknown_address),
]
