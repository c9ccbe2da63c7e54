import pytest

from proxy.message.conditional import Outcome, Validators, evaluate, is_plain, range_holds

NOW = 1_800_000_000.0
AT = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
STRONG = Validators('"a"', 784111777, settled=True)
WEAK = Validators('W/"a"', 784111777, settled=False)
BARE = Validators()

PASSED, UNCHANGED, FAILED = Outcome.PASSED, Outcome.NOT_MODIFIED, Outcome.FAILED


def block(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("Accept: */*", *lines)).encode("latin-1")


def outcome(*lines: str, of: Validators = STRONG, method: str = "GET") -> Outcome:
    return evaluate(method, block(*lines), of, NOW)


@pytest.mark.parametrize(
    ("line", "strong", "weak"),
    [
        ('If-None-Match: "a"', UNCHANGED, UNCHANGED),
        ('If-None-Match: W/"a"', UNCHANGED, UNCHANGED),
        ('If-None-Match: "b"', PASSED, PASSED),
        ('If-None-Match: "b", W/"a" ,"c"', UNCHANGED, UNCHANGED),
        ('If-None-Match: ,, "a"', UNCHANGED, UNCHANGED),
        ('If-None-Match: "b,c", "a,"', PASSED, PASSED),
        ("If-None-Match: *", UNCHANGED, UNCHANGED),
        ("If-None-Match: a", PASSED, PASSED),
        ("If-None-Match:", PASSED, PASSED),
        ('If-Match: "a"', PASSED, FAILED),
        ('If-Match: W/"a"', FAILED, FAILED),
        ('If-Match: "b", "a"', PASSED, FAILED),
        ('If-Match: "b"', FAILED, FAILED),
        ("If-Match: *", PASSED, PASSED),
        ("If-Match: a", FAILED, FAILED),
    ],
)
def test_entity_tags_are_compared(line: str, strong: Outcome, weak: Outcome) -> None:
    assert outcome(line) is strong
    assert outcome(line, of=WEAK) is weak


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"If-Modified-Since: {AT}", UNCHANGED),
        (f"If-Modified-Since: {AFTER}", UNCHANGED),
        (f"If-Modified-Since: {BEFORE}", PASSED),
        ("If-Modified-Since: last week", PASSED),
        (f"If-Unmodified-Since: {AT}", PASSED),
        (f"If-Unmodified-Since: {AFTER}", PASSED),
        (f"If-Unmodified-Since: {BEFORE}", FAILED),
        ("If-Unmodified-Since: 0", PASSED),
    ],
)
def test_dates_are_compared(line: str, expected: Outcome) -> None:
    assert outcome(line) is expected
    assert outcome(line, of=BARE) is PASSED


def test_a_date_that_is_sent_twice_is_none() -> None:
    line = f"If-Modified-Since: {AT}"
    assert outcome(line, line) is PASSED


def test_tags_in_several_fields_are_one_list() -> None:
    assert outcome('If-None-Match: "b"', 'if-none-match: "a"') is UNCHANGED
    assert outcome('IF-MATCH: "b"', 'If-Match: "a"') is PASSED


def test_the_order_is_the_standards() -> None:
    """RFC 9110, 13.2.2."""
    assert outcome('If-Match: "b"', 'If-None-Match: "a"') is FAILED
    assert outcome('If-Match: "a"', f"If-Unmodified-Since: {BEFORE}") is PASSED
    assert outcome('If-None-Match: "b"', f"If-Modified-Since: {AT}") is PASSED
    assert outcome('If-None-Match: "a"', f"If-Modified-Since: {BEFORE}") is UNCHANGED
    assert outcome(f"If-Unmodified-Since: {BEFORE}", 'If-None-Match: "a"') is FAILED
    assert outcome('If-Match: "a"', 'If-None-Match: "a"') is UNCHANGED


def test_other_methods_than_get_and_head_fail_in_place_of_304() -> None:
    assert outcome('If-None-Match: "a"', method="HEAD") is UNCHANGED
    assert outcome('If-None-Match: "a"', method="PUT") is FAILED
    assert outcome(f"If-Modified-Since: {AT}", method="PUT") is PASSED


def test_what_has_no_tag_matches_only_a_star() -> None:
    assert outcome('If-None-Match: ""', of=BARE) is PASSED
    assert outcome("If-None-Match: *", of=BARE) is UNCHANGED
    assert outcome('If-Match: ""', of=BARE) is FAILED


@pytest.mark.parametrize(
    ("line", "strong", "weak"),
    [
        ('If-Range: "a"', True, False),
        ('If-Range: "b"', False, False),
        ('If-Range: W/"a"', False, False),
        (f"If-Range: {AT}", True, False),
        (f"If-Range: {AFTER}", False, False),
        (f"If-Range: {BEFORE}", False, False),
        ("If-Range: ", False, False),
        ("If-Range: *", False, False),
        ("Accept: again", True, True),
    ],
)
def test_if_range_is_strict(line: str, *, strong: bool, weak: bool) -> None:
    assert range_holds(block(line), STRONG, NOW) is strong
    assert range_holds(block(line), WEAK, NOW) is weak


def test_if_range_is_said_once() -> None:
    assert not range_holds(block('If-Range: "a"', 'If-Range: "a"'), STRONG, NOW)


@pytest.mark.parametrize("name", ["If-Match", "if-none-match", "IF-RANGE", "Range", "rAnGe"])
def test_what_has_a_condition_or_a_range_is_not_plain(name: str) -> None:
    assert not is_plain(block(f"{name}: x"))
    assert not is_plain(f"{name}: x\r\n".encode())


def test_what_only_looks_like_one_is_plain() -> None:
    assert is_plain(b"")
    assert is_plain(block("Accept-Ranges: x", "X-If-Match: Range: y", "Ranger: z", "Iffy: 1"))
