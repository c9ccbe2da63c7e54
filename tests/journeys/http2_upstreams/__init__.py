"""Journeys to upstreams that speak HTTP/2: gRPC's own server, and one that nobody here wrote."""
