"""The rules of the house that neither ruff nor mypy nor import-linter know."""

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import proxy

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "proxy").rglob("*.py"))
SIGNS = [path for path in MODULES if path.name == "__init__.py"]
CODE = [path for path in MODULES if path.name != "__init__.py"]

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
VAGUE = {
    "common", "context", "core", "helper", "helpers", "lib", "manager", "misc", "stuff", "tools",
    "util", "utils",
}  # fmt: skip

# Modules whose own test is still owed. The list may only shrink: a module that has its test, or
# that is gone, must leave it.
DEBTS: set[str] = set()

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions_of(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def docstring_lines(function: Function) -> range:
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None or first.end_lineno is None:
        return range(0)
    return range(first.lineno, first.end_lineno + 1)


SILENT = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


def lines_with_code(path: Path) -> set[int]:
    lines: set[int] = set()
    for token in tokenize.tokenize(io.BytesIO(path.read_bytes()).readline):
        if token.type not in SILENT:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_names_say_something(path: Path) -> None:
    assert path.stem not in VAGUE
    assert path.parent.name not in VAGUE


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_are_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_functions_are_short_enough_to_see_at_once(path: Path) -> None:
    code = lines_with_code(path)
    too_long = {}
    for function in functions_of(path):
        assert function.end_lineno is not None
        own = code.intersection(range(function.lineno, function.end_lineno + 1))
        length = len(own.difference(docstring_lines(function)))
        if length > MAX_FUNCTION_LINES:
            too_long[function.name] = length
    assert not too_long


def test_code_lines_leave_out_docstrings_comments_and_blanks(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'def f(a,\n      b):\n    """Two\n    lines."""\n\n    # why\n    return (\n  a)\n'
    )
    (function,) = functions_of(module)
    assert lines_with_code(module).difference(docstring_lines(function)) == {1, 2, 7, 8}


@pytest.mark.parametrize("path", SIGNS, ids=name_of)
def test_packages_hold_their_sign_and_nothing_else(path: Path) -> None:
    body = ast.parse(path.read_bytes()).body
    assert isinstance(body[0], ast.Expr), "the sign is missing"
    rest = [ast.unparse(node) for node in body[1:]]
    if path.parent.name == "proxy":
        assert rest == [f"__version__ = {proxy.__version__!r}"]
    else:
        assert rest == []


def floors() -> list[str]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in contracts["contracts"] if each["id"] == "floors"]
    return [room for floor in layers for room in floor.split(" | ")]


@pytest.mark.parametrize("path", SIGNS[1:], ids=name_of)
def test_signs_end_with_what_may_be_imported(path: Path) -> None:
    sign = ast.get_docstring(ast.parse(path.read_bytes())) or ""
    found = re.search(
        r"^May import: ([a-z_, ]+|[Nn]othing)\.\Z", " ".join(tail(sign)), re.MULTILINE
    )
    assert found, 'the sign has to end with "May import: a, b, c."'
    named = set() if found[1].lower() == "nothing" else set(found[1].split(", "))
    room = path.parent.relative_to(ROOT / "proxy").parts[0]
    assert not named.difference(floors()[floors().index(room) + 1 :]), "not on a floor below"
    assert not rooms_imported_by(path.parent).difference(named, {room}), "not on the sign"


def rooms_imported_by(folder: Path) -> set[str]:
    names: list[str] = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                names += [f"{node.module}.{each.name}" for each in node.names]
            elif isinstance(node, ast.Import):
                names += [each.name for each in node.names]
    return {name.split(".")[1] for name in names if name.startswith("proxy.")}


def tail(sign: str) -> list[str]:
    """The last paragraph, whose lines are one sentence."""
    return sign.rsplit("\n\n", maxsplit=1)[-1].splitlines()


def test_the_map_shows_every_room() -> None:
    assert proxy.__doc__ is not None
    assert re.findall(r"^    (\w+)  +\S", proxy.__doc__, re.MULTILINE) == floors()


def test_the_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_of(path: Path) -> Path:
    inside = path.relative_to(ROOT / "proxy")
    return ROOT / "tests" / inside.parent / f"test_{path.stem.strip('_')}.py"


test_of.__test__ = False  # type: ignore[attr-defined]  # a name for people, not for pytest


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_every_module_has_its_test(path: Path) -> None:
    if not any(functions_of(path)):
        return
    if name_of(path) in DEBTS:
        assert not test_of(path).exists(), "has its test: take it off DEBTS"
    else:
        assert test_of(path).exists(), f"{name_of(test_of(path))} is missing"


def test_debts_name_modules_that_exist() -> None:
    assert not DEBTS.difference(map(name_of, CODE))


def files_of_the_project() -> list[Path]:
    """What git tracks; where there is no git, everything that is not ignored by name."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        command = [git, "-c", "safe.directory=*", "ls-files", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
        return [path for path in paths if path.is_file()]
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in {".git", "__pycache__", "certs", "dist", "results"}
            and not name.startswith((".venv", ".mypy", ".ruff", ".pytest", ".hypo", ".import"))
        ]
        found.extend(Path(folder, name) for name in names if not name.endswith(".pyc"))
    return found


# In pieces, so that this file does not break its own rule.
HOSTS = [
    "pypi" + ".org", "python" + "hosted.org", "npmjs" + ".", "docker" + ".io", "ghcr" + ".io",
    "quay" + ".io", "crates" + ".io",
]  # fmt: skip
MACHINE = re.compile(rb"(?<![\w./~-])/(?:" + b"|".join([b"wo" + b"rk", b"ro" + b"ot"]) + rb")/")


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    wrong = []
    for path in files_of_the_project():
        data = path.read_bytes()
        wrong += [f"{name_of(path)}: {host}" for host in HOSTS if host.encode() in data]
        wrong += [f"{name_of(path)}: {found.decode()}" for found in MACHINE.findall(data)]
    assert not wrong
