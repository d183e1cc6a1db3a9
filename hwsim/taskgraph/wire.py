"""Messages in protobuf's plain wire format, without a schema compiler: fields by number, as they stand in the file.

Source: protobuf encoding reference (varint, 64 bit, length-delimited, 32 bit).  Groups, which nobody writes any more,
are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.errors import ScenarioError

Value = int | bytes
LONGEST = 10  # bytes of a varint


def varint(data: bytes, at: int, where: str) -> tuple[int, int]:
    """A number and the place behind it; ``ScenarioError`` if the data end before it does."""
    value = shift = 0
    for place in range(at, at + LONGEST):
        if place >= len(data):
            break
        byte = data[place]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place + 1
        shift += 7
    raise ScenarioError.of("is damaged: a number has no end", where=f"{where}: byte {at}")


def messages(data: bytes, where: str) -> Iterator[tuple[int, bytes]]:
    """Messages that stand one after the other, each after its length: where each begins, and its bytes."""
    at = 0
    while at < len(data):
        size, start = varint(data, at, where)
        if start + size > len(data):
            raise ScenarioError.of(
                "is damaged: a message goes beyond the end",
                where=f"{where}: byte {at}",
                got=f"{size} bytes",
                expected=f"at most {len(data) - start}",
            )
        yield at, data[start : start + size]
        at = start + size


def fields(data: bytes, where: str) -> dict[int, list[Value]]:
    """Values of a message by field number, in order; numbers as unsigned integers, everything else as bytes."""
    found: dict[int, list[Value]] = {}
    at = 0
    while at < len(data):
        key, at = varint(data, at, where)
        number, kind = key >> 3, key & 7
        value: Value
        if kind == 0:
            value, at = varint(data, at, where)
        elif kind in (1, 5, 2):
            size = {1: 8, 5: 4}.get(kind, 0)
            if kind == 2:
                size, at = varint(data, at, where)
            value = data[at : at + size]
            at += size
            if at > len(data):
                raise ScenarioError.of("is damaged: a field goes beyond its message", where=f"{where}: field {number}")
        else:
            raise ScenarioError.of("is no protobuf message", where=where, got=f"wire type {kind} of field {number}")
        found.setdefault(number, []).append(value)
    return found


def numbers(values: list[Value], where: str) -> list[int]:
    """A repeated number, packed or not."""
    found: list[int] = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            one, at = varint(value, at, where)
            found.append(one)
    return found
