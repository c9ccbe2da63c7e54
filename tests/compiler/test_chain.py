from proxy.compiler.chain import Chains
from proxy.exchange.answer import Answer
from proxy.exchange.exchange import Exchange
from proxy.message.edit import NO_EDIT, FieldEdit
from proxy.message.head import ResponseHead
from proxy.policy.part import Part


def passes(_exchange: Exchange) -> Answer | None:
    return None


def answers(_exchange: Exchange) -> Answer | None:
    return Answer(ResponseHead(204, ""))


def test_gates_come_in_the_order_of_the_list() -> None:
    chain = Chains().chain(
        [Part("body_limit", gate=passes), Part("redirect", gate=answers), Part("request_headers")]
    )
    assert chain.gates == (answers, passes)


def test_no_parts_no_work() -> None:
    chain = Chains().chain([])
    assert chain.gates == ()
    assert chain.request_edit is chain.edit is chain.edit_plain is NO_EDIT


def test_edits_of_several_parts_work_one_after_the_other() -> None:
    first = FieldEdit(["a"], b"A: 1\r\nB: 1\r\n")
    second = FieldEdit(["b", "c"], b"C: 2\r\n")
    parts = [
        Part("request_headers", request_edit=first),
        Part("response_headers", request_edit=second),
    ]
    merged = Chains().chain(parts).request_edit
    block = b"a: 0\r\nb: 0\r\nc: 0\r\nd: 0\r\n"
    assert merged.apply(block) == second.apply(first.apply(block)) == b"d: 0\r\nA: 1\r\nC: 2\r\n"


def test_equal_edits_are_one_object() -> None:
    chains = Chains()
    made = [
        chains.chain([Part("response_headers", response_edit=FieldEdit(["a"], b"A: 1\r\n"))])
        for _ in range(2)
    ]
    assert made[0].edit is made[1].edit
    other = chains.chain([Part("response_headers", response_edit=FieldEdit(["a"]))])
    assert other.edit is not made[0].edit


def test_the_parts_are_kept_for_they_are_shared() -> None:
    first, second = Part("body_limit", gate=passes), Part("redirect", gate=answers)
    assert Chains().chain([first, second]).parts == (second, first)
