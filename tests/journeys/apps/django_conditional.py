"""A Django project with ConditionalGetMiddleware: strong ETags and 304s."""

import json

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse, JsonResponse  # type: ignore[import-untyped]
from django.http.response import HttpResponseBase, StreamingHttpResponse  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from django.views.decorators.gzip import gzip_page  # type: ignore[import-untyped]

ROWS = [{"id": number, "name": f"customer {number * 7919 % 1000}"} for number in range(400)]


def rows(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(ROWS, safe=False)


def few(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(ROWS[:3], safe=False)


def picture(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"P5 1 1 255 " + bytes(5000), content_type="image/png")


def streamed(_request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(
        (json.dumps(row) + "\n" for row in ROWS), content_type="application/x-ndjson"
    )


urlpatterns = [
    path("rows", rows),
    path("few", few),
    path("picture", picture),
    path("streamed", streamed),
    path("zipped", gzip_page(rows)),
]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of no use to anybody",
    MIDDLEWARE=[
        "django.middleware.http.ConditionalGetMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
)
django.setup()
application = get_wsgi_application()
