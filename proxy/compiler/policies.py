"""What yields the parts of a route, one function a policy. Their order is `policy.order`'s."""

from collections.abc import Callable, Iterator

from proxy.compiler.access import compile_access
from proxy.compiler.basic_auth import compile_basic_auth
from proxy.compiler.cache_headers import compile_cache_headers
from proxy.compiler.compression import compile_compression
from proxy.compiler.forward_auth import compile_forward_auth
from proxy.compiler.intercept import compile_intercept
from proxy.compiler.maintenance import compile_maintenance
from proxy.compiler.rate_limits import compile_rate_limits
from proxy.compiler.sources import Scope
from proxy.policy.part import Part

Compile = Callable[[Scope], Part | None]
"""Returns a policy's part for a route, or None where the route does not use it."""

POLICIES: tuple[Compile, ...] = (
    compile_maintenance,
    compile_access,
    compile_rate_limits,
    compile_basic_auth,
    compile_forward_auth,
    compile_intercept,
    compile_cache_headers,
    compile_compression,
)


def policy_parts(scope: Scope) -> Iterator[Part]:
    """Yield a part for each policy that a route uses."""
    for compile_policy in POLICIES:
        part = compile_policy(scope)
        if part is not None:
            yield part
