import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from proxy.settings.expand import FILE_LIMIT, expand
from proxy.settings.problem import WrongValueError

ENVIRON = {"A": "one", "EMPTY": "", "DOLLARS": "${A} $$"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("plain", "plain"), ("${A}", "one"), ("x${A}y${A}", "xoneyone"), ("${B:-two}", "two"),
        ("${EMPTY:-two}", "two"), ("${EMPTY}", ""), ("${A:-two}", "one"), ("${B:-}", ""),
        ("${A:?gone}", "one"), ("$$", "$"), ("$${A}", "${A}"), ("$A", "$A"), ("^/x$", "^/x$"),
        ("${B:-a:b-c?d}", "a:b-c?d"), ("${DOLLARS}", "${A} $$"),
    ],
)  # fmt: skip
def test_expansion(text: str, found: str) -> None:
    assert expand(text, ENVIRON, "") == found


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("${B}", "B is not set"), ("${B:?give it}", "B is not set in the environment: give it"),
        ("${EMPTY:?}", "EMPTY is not set"), ("${", "not closed"), ("${A", "not closed"),
        ("${B:-${A}}", "another brace"), ("${}", "cannot read"), ("${1}", "cannot read"),
        ("${A:+x}", "cannot read"), ("${A-x}", "cannot read"), ("${file:}", "path of a file"),
        ("${file:/nowhere/x}", "No such file"), ("${file:/}", "not a regular file"),
        ("${file:/dev/zero}", "not a regular file"),
    ],
)  # fmt: skip
def test_what_cannot_be_expanded(text: str, part: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        expand(text, ENVIRON, "")
    assert part in caught.value.reason


def test_a_file_relative_to_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"pass word\r\n")
    assert expand("x ${file:secret}", {}, str(tmp_path)) == "x pass word"


def test_a_file_keeps_all_but_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a\n\n")
    assert expand("${file:secret}", {}, str(tmp_path)) == "a\n"


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (FILE_LIMIT + 1))
    (tmp_path / "bytes").write_bytes(b"\xff")
    os.mkfifo(tmp_path / "fifo")
    for name, part in (("large", "larger"), ("bytes", "UTF-8"), ("fifo", "regular")):
        with pytest.raises(WrongValueError) as caught:
            expand(f"${{file:{name}}}", {}, str(tmp_path))
        assert part in caught.value.reason


@given(st.text("${}A:-?Bfile/ "))
def test_any_text_is_expanded_or_refused(text: str) -> None:
    try:
        found = expand(text, ENVIRON, "/nowhere")
    except WrongValueError:
        return
    assert "$" in text or found == text
