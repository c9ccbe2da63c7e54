import ipaddress

from proxy.settings.presets import PRESETS


def known(preset: str, address: str) -> bool:
    client = ipaddress.ip_address(address)
    return any(client in network for network in PRESETS[preset])


def test_presets() -> None:
    assert known("cloudflare", "104.16.1.1")
    assert known("cloudflare", "2606:4700::1111")
    assert not known("cloudflare", "8.8.8.8")
    assert known("private", "172.20.0.3")
    assert not known("private", "172.32.0.1")
    assert known("loopback", "::1")
    assert not known("loopback", "10.0.0.1")


def test_no_preset_believes_the_internet() -> None:
    for networks in PRESETS.values():
        for network in networks:
            assert network.prefixlen >= (7 if network.version == 6 else 8)
