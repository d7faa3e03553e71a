"""Every address but those of health, which a middleware answers: REST, the Open Inference Protocol, the console."""

from django.contrib import admin
from django.urls import include, path, re_path

from inferhub.api.exposition import metrics_view

urlpatterns = [
    path("api/", include("inferhub.api.urls")),
    re_path(r"^v2(?:/|$)", include("inferhub.api.v2.urls")),
    path("metrics", metrics_view),
    path("", admin.site.urls),
]
handler500 = "inferhub.api.errors.server_error"
handler404 = "inferhub.api.errors.page_not_found"
handler400 = "inferhub.api.errors.bad_request"
