import pickle

from proxy.compiler.sources import Sources


def test_sources_travel_between_processes_and_tell_nothing() -> None:
    sources = Sources({"site": ((b"chain", b"secret key"),)}, {"app": "PEM"}, {"/x": b"alice:hash"})
    again = pickle.loads(pickle.dumps(sources))  # noqa: S301 - just written
    assert again == sources
    assert "secret" not in repr(sources)
    assert "hash" not in repr(sources)
