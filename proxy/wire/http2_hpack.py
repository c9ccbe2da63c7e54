"""Reads field sections in HPACK (RFC 7541). Strict, bounded, and an index or a string at a time.

The `hpack` library is made for either side and copies the rest of a section at each field; a head
that differs from the one before costs it 20 to 40 us. This is its reading half alone; a property
test holds it to the library. The static table and the Huffman code are the library's.
"""

from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable

Field = tuple[bytes, bytes]

TABLE_SIZE = 4096
"""Bytes of the dynamic table, as RFC 7541, 4.1 counts them; the default, and we set no other."""

_STATIC: tuple[Field, ...] = ((b"", b""), *HeaderTable.STATIC_TABLE)
_DYNAMIC = len(_STATIC)  # the index of the newest entry
_ENTRY = 32  # bytes that every entry counts beside its name and value
_MOST_UPDATES = 2  # of the table's size, before the first field (RFC 7541, 4.2)
_HIGHEST = 1 << 24  # what no index and no length of ours comes near
_EOS = 256


class SectionError(Exception):
    """The section cannot be decoded, and so no later one."""


class SectionTooLargeError(SectionError):
    """It unfolds to more than is allowed."""


class SectionDecoder:
    """Decodes the sections of one connection, in their order.

    Attributes:
        changes: Counts what may make the same bytes mean something else.
    """

    __slots__ = ("_entries", "_most", "_size", "_table_size", "changes")

    def __init__(self, most: int) -> None:
        """Begin with an empty table.

        Args:
            most: Bytes that a section may unfold to, with 32 more for each field.
        """
        self._most = most
        self._entries: list[Field] = []  # the newest last
        self._size = 0
        self._table_size = TABLE_SIZE
        self.changes = 0

    def decode(self, section: bytes) -> list[Field]:
        """Return the fields of a section.

        Raises:
            SectionError: See there. Its text tells nothing of what came.
        """
        fields: list[Field] = []
        at = size = updates = 0
        end = len(section)
        while at < end:
            first = section[at]
            if first >= 0x80:
                index, at = _integer(section, at, 0x7F)
                field = self._entry(index)
            elif first & 0xE0 == 0x20:
                updates += 1
                if fields or updates > _MOST_UPDATES:
                    raise SectionError("a new size of the table out of place")
                index, at = _integer(section, at, 0x1F)
                self._resize(index)
                continue
            else:
                index, at = _integer(section, at, 0x3F if first >= 0x40 else 0x0F)
                if index:
                    name = self._entry(index)[0]
                else:
                    name, at = _string(section, at)
                value, at = _string(section, at)
                field = (name, value)
                if first >= 0x40:
                    self._add(field)
            size += len(field[0]) + len(field[1]) + _ENTRY
            if size > self._most:
                raise SectionTooLargeError("more than is allowed")
            fields.append(field)
        return fields

    def _entry(self, index: int) -> Field:
        if index >= _DYNAMIC:
            index -= _DYNAMIC
            if index >= len(self._entries):
                raise SectionError("an index beyond the table")
            return self._entries[-1 - index]
        if not index:
            raise SectionError("index 0")
        return _STATIC[index]

    def _add(self, field: Field) -> None:
        self.changes += 1
        self._entries.append(field)
        self._size += len(field[0]) + len(field[1]) + _ENTRY
        self._shrink()

    def _resize(self, size: int) -> None:
        if size > TABLE_SIZE:
            raise SectionError("a larger table than was agreed")
        self.changes += 1
        self._table_size = size
        self._shrink()

    def _shrink(self) -> None:
        """Let go of the oldest; of all, if the newest alone is too large (RFC 7541, 4.4)."""
        while self._size > self._table_size:
            name, value = self._entries.pop(0)
            self._size -= len(name) + len(value) + _ENTRY


def _integer(section: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read an integer whose first byte has these bits of it (5.1); return what follows, too."""
    value = section[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    for byte in section[at : at + 4]:
        value += (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:
            if value > _HIGHEST:
                break
            return value, at
    raise SectionError("an integer without end")


def _string(section: bytes, at: int) -> tuple[bytes, int]:
    """Read a string literal (5.2); return what follows, too."""
    if at >= len(section):
        raise SectionError("cut short")
    coded = section[at] >= 0x80
    length, at = _integer(section, at, 0x7F)
    end = at + length
    if end > len(section):
        raise SectionError("cut short")
    data = section[at:end]
    return (unfold(data) if coded else data), end


def _tree() -> list[list[int]]:
    """Return the code's tree: each node's two children, a symbol as its complement."""
    nodes = [[0, 0]]
    for symbol, (code, length) in enumerate(zip(REQUEST_CODES, REQUEST_CODES_LENGTH, strict=True)):
        node = 0
        for bit in range(length - 1, 0, -1):
            side = code >> bit & 1
            if not nodes[node][side]:
                nodes[node][side] = len(nodes)
                nodes.append([0, 0])
            node = nodes[node][side]
        nodes[node][code & 1] = ~symbol
    return nodes


_TREE = _tree()
# By node and byte, which node comes next and what was read; worked out when first met.
_nodes = bytearray(1 << 16)
_symbols: list[bytes | None] = [None] * (1 << 16)
_pairs: dict[bytes, bytes] = {}  # so that what is the same is one object


def _padding() -> frozenset[int]:
    """Return the nodes at which a string may end: after less than eight bits of EOS, all ones."""
    node, found = 0, {0}
    for _ in range(7):
        node = _TREE[node][1]
        found.add(node)
    return frozenset(found)


_ENDS = _padding()


def _step(key: int) -> bytes:
    node = key >> 8
    symbols = bytearray()
    for bit in range(7, -1, -1):
        node = _TREE[node][key >> bit & 1]
        if node < 0:
            if ~node == _EOS:
                raise SectionError("EOS within a string")
            symbols.append(~node)
            node = 0
    found = bytes(symbols)
    _symbols[key] = found = _pairs.setdefault(found, found)
    _nodes[key] = node
    return found


def unfold(data: bytes) -> bytes:
    """Decode a string in Huffman code.

    Raises:
        SectionError: It is none (RFC 7541, 5.2).
    """
    node = 0
    out: list[bytes] = []
    for byte in data:
        key = node << 8 | byte
        symbols = _symbols[key]
        out.append(_step(key) if symbols is None else symbols)
        node = _nodes[key]
    if node not in _ENDS:
        raise SectionError("padding that is none")
    return b"".join(out)
