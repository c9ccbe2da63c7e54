"""What a configuration is compiled from beside its settings: what was read, and what is shared."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.settings.models import Route, Settings, Site
from proxy.state.rate_store import RateStore

Pairs = tuple[tuple[bytes, bytes], ...]
"""Certificates of one site: (chain PEM, key PEM), more than one to offer several key types."""


@dataclass(frozen=True, slots=True)
class Sources:
    """See the module's docstring.

    Attributes:
        certificates: By `sites.certificate_name`, for each site that has TLS.
        authorities: Content of `ca_file`, by upstream, for each that names one.
        contents: What is in the files that policies name, by their path as the settings have it.
        rate_store: Keeps the buckets of rate limits. It is given where a program is compiled, and
            cannot be pickled; None for a program that is not to serve.
    """

    certificates: Mapping[str, Pairs] = field(default_factory=dict, repr=False)
    authorities: Mapping[str, str] = field(default_factory=dict, repr=False)
    contents: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    rate_store: RateStore | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """One route, with what stands around it: what each policy of it is compiled from.

    Attributes:
        label: How the route is called in answers and logs.
    """

    settings: Settings
    site: Site
    route: Route
    label: str
    sources: Sources
