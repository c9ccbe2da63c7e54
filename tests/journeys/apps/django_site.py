"""A Django project in one module: settings as behind a proxy that ends TLS, and its views."""

import hashlib

import django  # type: ignore[import-untyped]
from django.conf import settings  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse  # type: ignore[import-untyped]
from django.http.response import HttpResponseBase, StreamingHttpResponse  # type: ignore[import-untyped]
from django.urls import path, re_path  # type: ignore[import-untyped]

from tests.journeys.apps.patterned import pieces


def echo(request: HttpRequest) -> JsonResponse:
    told = {
        "method": request.method,
        "target": request.get_full_path(),
        "headers": [(name.lower(), value) for name, value in request.headers.items()],
        "body": request.body.decode(),
        "secure": request.is_secure(),
        "absolute": request.build_absolute_uri(request.path),
        "client": request.headers["X-Real-IP"],
    }
    return JsonResponse(told, headers={"X-Application": "django"})


def redirect(_request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/profile/?next=%2F")


def cookies(request: HttpRequest) -> HttpResponse:
    answer = HttpResponse("baked")
    host = request.get_host().partition(":")[0]
    answer.set_cookie("sessionid", "abc", secure=True, httponly=True, samesite="lax", path="/")
    answer.set_cookie("theme", "dark", samesite="none", secure=True, domain=host)
    return answer


def cors(_request: HttpRequest) -> HttpResponse:
    allow = {
        "Access-Control-Allow-Origin": "https://elsewhere.example",
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin",
    }
    return HttpResponse(headers=allow)


def status(_request: HttpRequest, code: int) -> HttpResponse:
    return HttpResponse(status=code, headers={"ETag": '"abc"'})


def download(request: HttpRequest) -> HttpResponseBase:
    size = int(request.GET["size"])
    answer = StreamingHttpResponse(pieces(size))
    answer["Content-Length"] = str(size)
    return answer


def chunked(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(pieces(int(request.GET["size"])))


def upload(request: HttpRequest) -> JsonResponse:
    found = hashlib.sha256()
    size = 0
    while piece := request.read(64 * 1024):
        found.update(piece)
        size += len(piece)
    length = request.headers.get("Content-Length", "")
    return JsonResponse({"size": size, "sha256": found.hexdigest(), "length": length})


urlpatterns = [
    re_path(r"^echo.*$", echo),
    path("redirect", redirect),
    path("cookies", cookies),
    path("cors", cors),
    path("status/<int:code>", status),
    path("download", download),
    path("chunked", chunked),
    path("upload", upload),
]

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of no use to anybody",
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    SECURE_SSL_REDIRECT=True,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
)
django.setup()
