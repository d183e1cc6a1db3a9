"""Just enough of the protobuf wire format to write messages: varints, doubles and length-delimited fields.

Source: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from struct import Struct

_DOUBLE = Struct("<d").pack
VARINT, FIXED64, LENGTH = 0, 1, 2


def varint(value: int) -> bytes:
    """A number below 2^64 in groups of seven bits; negative ones as two's complement of 64 bits."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """An integer, enum or boolean field."""
    return varint(field << 3 | VARINT) + varint(value)


def double(field: int, value: float) -> bytes:
    """A double field."""
    return varint(field << 3 | FIXED64) + _DOUBLE(value)


def text(field: int, value: str) -> bytes:
    """A string field; halves of surrogate pairs are replaced."""
    return message(field, value.encode("utf-8", "replace"))


def message(field: int, content: bytes) -> bytes:
    """A field that holds another message or bytes."""
    return varint(field << 3 | LENGTH) + varint(len(content)) + content
