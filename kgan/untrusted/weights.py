"""Reads untrusted weights from HDF5 files, without the HDF5 library.

The library believes what a file says of itself: of 4,000 files with a few flipped bytes 11 crashed
the process and 9 kept it busy for ever (HDF5 1.14.6). Here is the little of the format that h5py
writes for Keras, and every other feature is refused: links (a name is all there is to an object),
filters, external and virtual storage, types other than numbers, newer layouts. After the "HDF5 File
Format Specification", version 3.0: sections II.A, III.A, III.B, III.D and IV.A.
"""

import math
from struct import calcsize, unpack
from typing import NamedTuple

import numpy as np

from kgan.errors import KganError

_MOST_STEPS = 100_000  # in reading all headers and names
_MOST_NAMES = 1 << 22  # bytes, of all names together
_MOST_MESSAGE = 1 << 10  # bytes
_MOST_LEVELS = 32  # of groups

# Of header messages: what describes the values, what does not matter, and where more of them are.
_DATASPACE, _DATATYPE, _LAYOUT, _CONTINUATION, _SYMBOLS = 0x01, 0x03, 0x08, 0x10, 0x11
_IGNORED = {0x00, 0x04, 0x05, 0x0C, 0x12}  # padding, fill values, attributes, time of change
_SHARED = 2  # flag of a message that is somewhere else


def _integer(size, signed):
    return bytes([0x10, 8 * signed, 0, 0, size, 0, 0, 0, 0, 0, 8 * size, 0])


def _float(size, mantissa):
    bits = 8 * size
    exponent = bits - 1 - mantissa
    fields = bytes([0, 0, bits, 0, mantissa, exponent, 0, mantissa])
    bias = (2 ** (exponent - 1) - 1).to_bytes(4, "little")
    return bytes([0x11, 0x20, bits - 1, 0, size, 0, 0, 0]) + fields + bias


# Datatype messages, to the byte, and what they mean. Keras stores bfloat16 as two opaque bytes.
_TYPES = {
    **{_integer(size, signed=1): f"<i{size}" for size in (1, 2, 4, 8)},
    **{_integer(size, signed=0): f"<u{size}" for size in (1, 2, 4, 8)},
    **{_float(size, mantissa): f"<f{size}" for size, mantissa in ((2, 10), (4, 23), (8, 52))},
    bytes([0x15, 0, 0, 0, 2, 0, 0, 0]): "V2",
}


class Stored(NamedTuple):
    """Where in a file the values of a dataset are."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int


def layout(content: bytes, where: str) -> dict[str, Stored]:
    """The datasets of a file by name, such as `"generator/dense/kernel"`.

    Args:
        content: of the file.
        where: named in errors.

    Raises:
        KganError: unless the file is as h5py writes numbers, with all of them inside it.
    """
    try:
        return _Reader(content).read()
    except _Refused as error:
        raise KganError(
            f"Damaged preset: expected weights as Keras writes them. Received: {error} in {where}"
        ) from None


def values(content: bytes, stored: Stored) -> np.ndarray:
    """The values of one dataset of `layout`, not to be changed: they are those in `content`.

    Raises:
        KganError: if some are not finite, of which nothing but black pictures would come.
    """
    flat = np.frombuffer(content, stored.dtype, math.prod(stored.shape), stored.offset)
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise KganError(
            "Damaged preset: expected finite weights. Received: NaN or infinity, as of a training "
            "that has diverged"
        )
    return flat.reshape(stored.shape)


class _Refused(Exception):
    """What a file holds instead of the expected."""


class _Reader:
    def __init__(self, content):
        self.content = content
        self.size = len(content)
        self.steps_left = _MOST_STEPS
        self.names_left = _MOST_NAMES
        self.bytes_left = self.size  # of values: no two datasets share any
        self.seen = set()  # addresses of objects
        self.found = {}

    def read(self):
        signature, versions, sizes = self.unpack("<8s5s2s", 0)
        base, _, end = self.unpack("<QQQ", 24)
        self.expect(signature == b"\x89HDF\r\n\x1a\n", "no HDF5")
        self.expect(versions == bytes(5) and sizes == b"\x08\x08", "another version of HDF5")
        self.expect(base == 0 and end <= self.size, "a part of a file")
        (root,) = self.unpack("<Q", 64)
        self.visit(root, "", 0)
        return self.found

    def visit(self, address, name, level):
        """Adds the dataset, or all datasets of the group, that has its header at an address."""
        self.expect(address not in self.seen and level < _MOST_LEVELS, "a link")
        self.seen.add(address)
        messages = self.messages(address)
        if _SYMBOLS in messages:
            tree, heap = self.unpack_from("<QQ", messages[_SYMBOLS])
            for child, header in self.children(tree, self.names(heap)):
                self.visit(header, f"{name}/{child}" if name else child, level + 1)
        else:
            self.expect(name not in self.found, f"{name} twice")
            self.found[name] = self.dataset(messages)

    def messages(self, address):
        """The messages of an object's header, by type."""
        version, _, _, _, size = self.unpack("<BBHII", address)
        self.expect(version == 1, "a header of another version")
        result, blocks = {}, [(address + 16, size)]
        for start, length in blocks:
            end = start + length
            while start + 8 <= end:
                self.step()
                kind, size, flags = self.unpack("<HHB", start)
                start += 8
                self.expect(start + size <= end, "a header that does not end")
                body, start = start, start + size
                if kind == _CONTINUATION:
                    blocks.append(self.unpack("<QQ", body))
                elif kind not in _IGNORED:
                    known = kind in (_DATASPACE, _DATATYPE, _LAYOUT, _SYMBOLS)
                    self.expect(
                        known and kind not in result and not flags & _SHARED,
                        f"a feature (0x{kind:02x}) that no weights need",
                    )
                    result[kind] = self.bytes(body, min(size, _MOST_MESSAGE))
        return result

    def children(self, address, names, level=None):
        """Name and header's address of each object in a group, from the tree at an address."""
        signature, kind, depth, used = self.unpack("<4sBBH", address)
        self.expect(signature == b"TREE" and kind == 0 and level in (None, depth), "a broken group")
        for index in range(used):
            self.step()
            (below,) = self.unpack("<Q", address + 32 + 16 * index)
            if depth:
                yield from self.children(below, names, depth - 1)
                continue
            signature, version, _, count = self.unpack("<4sBBH", below)
            self.expect(signature == b"SNOD" and version == 1, "a broken group")
            for entry in range(count):
                self.step()
                offset, header, kind = self.unpack("<QQI", below + 8 + 40 * entry)
                self.expect(kind in (0, 1), "a link")
                yield self.name(names, offset), header

    def names(self, address):
        signature, version, size, _, start = self.unpack("<4sB3xQQQ", address)
        self.expect(signature == b"HEAP" and version == 0, "a broken group")
        self.names_left -= size
        self.expect(self.names_left >= 0, "too many names")
        return self.bytes(start, size)

    def name(self, names, offset):
        try:
            name = names[offset : names.index(0, offset)].decode()
        except ValueError:
            raise _Refused("a broken name") from None
        self.expect(name.isprintable() and name and "/" not in name, "a broken name")
        return name

    def dataset(self, messages):
        self.expect(messages.keys() == {_DATASPACE, _DATATYPE, _LAYOUT}, "an object of no kind")
        version, rank, flags = self.unpack_from("<BBB", messages[_DATASPACE])
        self.expect(version == 1 and rank <= 8 and flags <= 1, "a shape of another version")
        shape = self.unpack_from(f"<8x{rank}Q", messages[_DATASPACE])
        kinds = [t for m, t in _TYPES.items() if messages[_DATATYPE].startswith(m)]
        self.expect(kinds, "values that are no numbers")
        dtype = np.dtype(kinds[0])
        version, storage, offset, size = self.unpack_from("<BBQQ", messages[_LAYOUT])
        self.expect((version, storage) == (3, 1), "values that are not simply there")
        self.expect(
            0 < size == math.prod(shape) * dtype.itemsize and offset <= self.size - size,
            f"{size:,} bytes where others are described",
        )
        self.bytes_left -= size
        self.expect(self.bytes_left >= 0, "more values than bytes")
        return Stored(dtype, shape, offset)

    def step(self):
        self.steps_left -= 1
        self.expect(self.steps_left, "too many objects")

    def expect(self, condition, received):
        if not condition:
            raise _Refused(received)

    def bytes(self, address, count):
        self.expect(address + count <= self.size, "an address outside the file")
        return self.content[address : address + count]

    def unpack(self, format, address):
        return unpack(format, self.bytes(address, calcsize(format)))

    def unpack_from(self, format, content):
        size = calcsize(format)
        self.expect(size <= len(content), "a message cut short")
        return unpack(format, content[:size])
