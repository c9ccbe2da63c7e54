"""YAML text as plain values, with the place of every one of them.

YAML 1.2's core schema without its odder numbers: only `null`, `~`, nothing, `true`, `false` and
canonical whole numbers are more than text, so that `off`, `80:30`, `0755` and `1.20` stay what was
written, and a field's own type decides what they mean. No tags, no merge keys, no key twice; the
size, the depth and the number of nodes are bounded, aliases counted as often as they are used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from proxy.settings.expand import expand
from proxy.settings.problem import Path, Problem, SettingsError, WrongValueError, dotted
from proxy.settings.source import PUBLIC_KEYS, Source, guards_secret
from proxy.settings.yaml_trouble import explain

TEXT_LIMIT = 1 << 20
NODE_LIMIT = 100_000
DEPTH_LIMIT = 50

_CANONICAL = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_WORDS: dict[str, object] = {"null": None, "~": None, "true": True, "false": False}
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml where it is
    """Composes nodes; resolves no plain scalar, since `_resolve` does that."""

    yaml_implicit_resolvers: dict[str, object] = {}  # noqa: RUF012 - PyYAML's own name and shape


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands. Lines and columns count from 0 here.

    Attributes:
        key: Line and column of its key; of itself in a list.
        value: Line and column of the value.
        written: A scalar as it stands in the file, before expansion; None for maps and lists.
        expanded: True where a `${…}` took part in the value, which may be secret then.
    """

    key: tuple[int, int]
    value: tuple[int, int]
    written: str | None = None
    expanded: bool = False


@dataclass(slots=True)
class Document:
    """A file of configuration, read but not understood.

    Attributes:
        source: Its name and lines, for problems.
        value: Dicts, lists, str, int, bool and None.
        places: By path.
        broken: Paths whose value could not be had; a problem was told for each.
    """

    source: Source = field(compare=False)
    value: object = None
    places: dict[Path, Place] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Return the place of `path`, or of the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place((0, 0), (0, 0)))

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem with what is at `path`."""
        place = self.place(path)
        return self.source.problem(place.key if at_key else place.value, message, dotted(path))

    def at(self, path: Path) -> object:
        """Return the value at `path`, None where there is none."""
        value = self.value
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def given(self, path: Path) -> bool:
        """Tell whether the file itself says something at `path`."""
        return path in self.places


def _resolve(text: str) -> object:
    """Return what an unquoted scalar is."""
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _CANONICAL.fullmatch(text) else text


class _Reader:
    """One walk over the nodes of a document."""

    def __init__(self, document: Document, environ: Mapping[str, str], folder: str) -> None:
        self._document = document
        self._environ = environ
        self._folder = folder
        self._nodes = 0

    def _stop(self, node: yaml.Node, message: str) -> SettingsError:
        return SettingsError((self._document.source.problem(_mark(node), message),))

    def _wrong(self, path: Path, place: Place, message: str) -> None:
        self._document.places[path] = place
        self._document.problems.append(self._document.problem(path, message))
        self._document.broken.add(path)

    def read(self, node: yaml.Node, path: Path, key: tuple[int, int]) -> object:
        """Return the value of a node, its place and those below it noted."""
        self._nodes += 1
        if self._nodes > NODE_LIMIT:
            raise self._stop(node, f"more than {NODE_LIMIT} values, aliases counted at each use")
        if len(path) > DEPTH_LIMIT:
            raise self._stop(node, f"nested deeper than {DEPTH_LIMIT} levels")
        if node.tag not in _PLAIN_TAGS:
            place = Place(key, _mark(node))
            self._wrong(path, place, "a YAML tag (!…) has no meaning here: leave it out")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path, key)
        self._document.places[path] = Place(key, _mark(node))
        if isinstance(node, yaml.SequenceNode):
            return [
                self.read(item, (*path, index), _mark(item))
                for index, item in enumerate(node.value)
            ]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        raise AssertionError("YAML has three kinds of nodes")

    def _scalar(self, node: yaml.ScalarNode, path: Path, key: tuple[int, int]) -> object:
        written: str = node.value
        try:
            text = expand(written, self._environ, self._folder)
        except WrongValueError as error:
            self._wrong(path, Place(key, _mark(node), written, expanded=True), error.reason)
            return None
        self._document.places[path] = Place(key, _mark(node), written, expanded="${" in written)
        if node.style:
            return text
        if not written:
            return None
        # What a file holds is text, whatever it looks like; a variable may well be a port.
        return text if "${file:" in written else _resolve(text)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        value: dict[str, object] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode) or not key.value or key.tag not in _PLAIN_TAGS:
                self._note(key, path, "a key must be plain text; a value such as ${VAR} is quoted")
            elif key.value == "<<":
                self._note(key, path, "merge keys (<<) are not part of YAML 1.2: repeat the keys")
            elif key.value in value:
                first = self._document.places[(*path, key.value)].key[0] + 1
                self._note(key, (*path, key.value), f"given twice; the first is on line {first}")
            else:
                value[key.value] = self.read(item, (*path, key.value), _mark(key))
        return value

    def _note(self, node: yaml.Node, path: Path, message: str) -> None:
        problem = self._document.source.problem(_mark(node), message, dotted(path))
        self._document.problems.append(problem)


def _mark(node: yaml.Node) -> tuple[int, int]:
    """Return line and column, counted from 0, at which a node begins."""
    return node.start_mark.line, node.start_mark.column


def _end(node: yaml.Node) -> tuple[int, int]:
    """Return line and column, counted from 0, after the last character of a node."""
    return node.end_mark.line, node.end_mark.column


def _hide_secrets(root: yaml.Node, source: Source) -> None:
    """Keep out of every quotation what stands where hashes of passwords do.

    Before anything is told: a line may be quoted for what stands in front of them.
    """
    pending: list[tuple[yaml.Node, Path]] = [(root, ())]
    met: set[tuple[int, Path]] = set()
    while pending:
        node, path = pending.pop()
        if (id(node), path) in met:
            continue  # An alias, seen from the same side before.
        met.add((id(node), path))
        if isinstance(node, yaml.ScalarNode):
            if guards_secret(path, node.value):
                source.hide(_mark(node), _end(node))
        elif isinstance(node, yaml.SequenceNode):
            pending.extend((item, path) for item in node.value)
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                name = key.value if isinstance(key, yaml.ScalarNode) else ""
                pending.append((item, _guarded(path, name)))


def _guarded(path: Path, name: str) -> Path:
    """Return as much of a path as tells whether a secret is at its end: few differ."""
    if "basic_auth" not in path:
        return ("basic_auth",) if name == "basic_auth" else ()
    public = len(path) == 1 and name in PUBLIC_KEYS
    return ("basic_auth", name if public else "users")


def _check_depth(text: str, source: Source) -> None:
    """Refuse text whose nodes could not be composed.

    Both of PyYAML's composers call themselves for each level: the one in C overflows the stack
    and takes the process with it. The parsers below them do not.
    """
    loader = _Loader(text)
    depth = 0
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEPTH_LIMIT:
                mark = (event.start_mark.line, event.start_mark.column)
                message = f"nested deeper than {DEPTH_LIMIT} levels"
                raise SettingsError((source.problem(mark, message),))
    finally:
        loader.dispose()


def read_document(text: str, name: str, environ: Mapping[str, str], folder: str) -> Document:
    """Return the document in `text`; wrong scalars are noted in it.

    Raises:
        SettingsError: The text is no YAML, or is beyond a bound.
    """
    source = Source(name, text)
    if len(text) > TEXT_LIMIT:
        raise SettingsError((Problem(name, 0, 0, "", f"larger than {TEXT_LIMIT >> 20} MB"),))
    try:
        _check_depth(text, source)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise SettingsError((explain(error, source),)) from None
    except UnicodeEncodeError:
        raise SettingsError((Problem(name, 0, 0, "", "not UTF-8 text"),)) from None
    document = Document(source)
    if node is not None:
        _hide_secrets(node, source)
        document.value = _Reader(document, environ, folder).read(node, (), (0, 0))
    return document
