"""That everybody who stands behind a face has all of it, with the same parameters."""

import inspect
from collections.abc import Callable

import pytest

from proxy.net.http2_upstream_stream import Http2UpstreamStream
from proxy.net.relay import Relay
from proxy.net.tunnel import Tunnel
from proxy.net.upstream_connection import UpstreamConnection
from proxy.net.upstream_stream import AnswerTaker, UpstreamStream
from tests.fakes.relay_ends import FakeUpstream


def calls_of(face: type) -> dict[str, object]:
    return {name: call for name, call in vars(face).items() if not name.startswith("_")}


def parameters(call: Callable[..., object]) -> list[tuple[str, object, object]]:
    return [
        (each.name, each.kind, each.default)
        for each in inspect.signature(call, eval_str=True).parameters.values()
    ]


def test_the_faces_have_calls() -> None:
    assert {"answer_whole", "answer_end", "answer_lost"} <= calls_of(AnswerTaker).keys()
    assert {"hold", "drop", "close_after_writing"} <= calls_of(UpstreamStream).keys()


@pytest.mark.parametrize(
    ("made", "face"),
    [
        (UpstreamConnection, UpstreamStream),
        (Http2UpstreamStream, UpstreamStream),
        (FakeUpstream, UpstreamStream),
        (Relay, AnswerTaker),
        (Tunnel, AnswerTaker),
    ],
)
def test_who_stands_behind_a_face_has_all_of_it(made: type, face: type) -> None:
    for name, call in calls_of(face).items():
        if callable(call):
            assert parameters(getattr(made, name)) == parameters(call), name
        elif made is not FakeUpstream:  # whose properties are attributes
            assert name in made.__dict__ or name in getattr(made, "__slots__", ()), name
