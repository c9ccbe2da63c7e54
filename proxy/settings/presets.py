"""Networks that have a name in `trusted_proxies`."""

import ipaddress

from proxy.settings.addresses import IPNetwork

CLOUDFLARE_AS_OF = "2026-09-29"
"""When the list at https://www.cloudflare.com/ips/ was compared with this one; it changed last in
September 2023."""

_CLOUDFLARE = (
    "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18",
    "108.162.192.0/18", "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22",
    "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13",
    "131.0.72.0/22", "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32",
    "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32",
)  # fmt: skip
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
"""RFC 1918 and RFC 4193: where a load balancer or a container network usually is."""


def _networks(texts: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    return tuple(map(ipaddress.ip_network, texts))


PRESETS: dict[str, tuple[IPNetwork, ...]] = {
    "cloudflare": _networks(_CLOUDFLARE),
    "private": _networks(_PRIVATE),
    "loopback": _networks(_LOOPBACK),
}
