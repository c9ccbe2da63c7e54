"""pyproxy: a TLS-terminating reverse proxy."""

__version__ = "0.1.0"
