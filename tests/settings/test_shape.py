from proxy.settings.models import Limits, Settings
from proxy.settings.shape import keys_at, meant, models_at


def test_keys() -> None:
    assert keys_at(("limits",)) == tuple(Limits.model_fields)
    assert "servers" in keys_at(("upstreams", "any"))
    assert "path" in keys_at(("sites", 0, "routes", 3))
    assert set(keys_at(("sites", 0, "tls"))) == {"cert", "key"}
    assert "acme" not in keys_at(())
    assert set(keys_at(("sites", 0, "routes", 0, "cache"))) == {"age", "immutable"}
    assert "ping_interval" in keys_at(("sites", 0, "routes", 0, "websocket"))


def test_models() -> None:
    assert models_at(()) == [Settings]
    assert models_at(("limits",)) == [Limits]


def test_words_of_other_proxies() -> None:
    assert meant(("sites", 0, "server_name")) == "hosts"
    assert meant(("sites", 0, "routes", 0, "proxy_pass")) == "proxy"
    assert meant(("sites", 0, "routes", 0, "proxy_read_timeout")) == "timeouts"
    assert meant(("sites", 0, "routes", 0, "upstrem")) == "proxy"
    assert meant(("worker_proceses",)) == "workers"
    assert meant(("sites", 0, "routes", 0, "root")) == "files"
    assert meant(("sites", 0, "routes", 0, "limit_req")) == "rate_limit"
    assert meant(("sites", 0, "routes", 0, "auth_request")) == "forward_auth"
    assert meant(("sites", 0, "routes", 0, "try_files")) == "fallback"
    assert meant(("sites", 0, "routes", 0, "expires")) == "cache"
    assert meant(("sites", 0, "gzip")) == "compress"
    assert meant(("sites", 0, "basic_auth", "auth_basic_user_file")) == "users_file"
    assert meant(("error_page",)) == "error_pages"
    assert meant(("zzz",)) == ""
