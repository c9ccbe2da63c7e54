from proxy.compiler.policies import POLICIES, policy_parts
from proxy.compiler.sources import Scope, Sources
from proxy.policy.order import ORDER
from tests.compiler.compiling import settings

PLAIN = """
sites:
  - hosts: [localhost]
    compress: off
    routes: [{path: /, proxy: "http://app:8000"}]
"""


def test_a_route_without_policies_has_no_parts() -> None:
    made = settings(PLAIN)
    site = made.sites[0]
    assert list(policy_parts(Scope(made, site, site.routes[0], "/", Sources()))) == []


def test_every_policy_is_listed_once() -> None:
    assert len(set(POLICIES)) == len(POLICIES)
    assert len(set(ORDER)) == len(ORDER)
