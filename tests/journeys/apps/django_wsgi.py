"""The Django project for gunicorn."""

from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]

from tests.journeys.apps import django_site

application = get_wsgi_application()
__all__ = ["application", "django_site"]
