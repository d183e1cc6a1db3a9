"""Chakra execution traces, JSON (lines or one object) or protobuf: nodes with dependencies and durations.

In protobuf a file is messages after their lengths, first the metadata, then nodes with the field numbers of Chakra's
``et_def.proto`` (MLCommons): id 1, name 2, type 3, control and data dependencies 4 and 5, duration in microseconds 7.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.taskgraph.imported import Event, opened
from hwsim.taskgraph.wire import fields, messages, numbers

TYPES = ("INVALID", "METADATA", "MEM_LOAD", "MEM_STORE", "COMP", "COMM_SEND", "COMM_RECV", "COMM_COLL")
KINDS = {"COMM": "collective", "MEM": "copy", "COMP": "compute"}


def read(path: Path) -> list[Event]:
    """All timed nodes in an order in which each follows what it depends on; damage names its line."""
    nodes = _nodes(path)
    place: dict[Any, int] = {}
    events: list[Event] = []
    problems: list[Problem] = []
    for line, node in nodes:
        where = f"{path}:{line}"
        after: list[int] = []
        for other in [*(node.get("data_deps") or ()), *(node.get("ctrl_deps") or ())]:
            if other in place:
                after.append(place[other])
            else:
                problems.append(Problem("depends on a node that does not come before it", where, got=str(other)))
        kind = str(node.get("type", "COMP"))
        duration = node.get("duration_micros", 0)
        if "id" not in node or not isinstance(duration, (int, float)) or not 0 <= duration < 1e15:
            problems.append(Problem("is no node", where, json.dumps(node)[:80], "id and duration_micros"))
            continue
        start = max([events[i].start + events[i].duration for i in after], default=0.0)
        word = next((KINDS[key] for key in KINDS if kind.upper().startswith(key)), "compute")
        place[node["id"]] = len(events)
        events.append(Event(str(node.get("name", kind)), word, word, start, float(duration), tuple(after)))
    if problems:
        raise ScenarioError(problems[:10])
    return events


def _protobuf(path: Path) -> list[tuple[int, dict[str, Any]]] | None:
    """Nodes of a binary file with the byte at which each begins; None if it is text."""
    try:
        data = path.read_bytes()
    except OSError:
        return None  # said where text is read
    if data[:2] == b"\x1f\x8b" or data[:64].lstrip()[:1] in (b"{", b"["):
        return None
    found: list[tuple[int, dict[str, Any]]] = []
    for number, (at, message) in enumerate(messages(data, str(path))):
        if not number:  # the metadata of the whole trace
            continue
        where = f"{path}: node at byte {at}"
        node = fields(message, where)
        kind = numbers(node.get(3, []), where)[-1:] or [0]
        found.append(
            (
                at,
                {
                    "id": (numbers(node.get(1, []), where) or [0])[-1],
                    "name": b"".join(part for part in node.get(2, []) if isinstance(part, bytes)).decode(
                        errors="replace"
                    ),
                    "type": TYPES[kind[0]] if kind[0] < len(TYPES) else "COMP",
                    "ctrl_deps": numbers(node.get(4, []), where),
                    "data_deps": numbers(node.get(5, []), where),
                    "duration_micros": (numbers(node.get(7, []), where) or [0])[-1],
                },
            )
        )
    return found


def _lines(text: str, nodes: list[Any]) -> Iterator[tuple[int, Any]]:
    """The nodes of a JSON list, each with the line on which it begins."""
    decoder, line, before = json.JSONDecoder(), 1, 0
    at = text.find("[", max(text.find('"nodes"'), 0)) + 1
    for node in nodes:
        while text[at] in " \t\r\n,":
            at += 1
        line += text.count("\n", before, at)
        yield line, node
        before, at = at, decoder.raw_decode(text, at)[1]


def _nodes(path: Path) -> list[tuple[int, dict[str, Any]]]:
    binary = _protobuf(path)
    if binary is not None:
        return binary
    with opened(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
        nodes = content.get("nodes") if isinstance(content, dict) else content
        if isinstance(nodes, list):
            return [(line, node) for line, node in _lines(text, nodes) if isinstance(node, dict)]
    except json.JSONDecodeError:
        pass
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            node = json.loads(line)
        except json.JSONDecodeError as error:
            raise ScenarioError.of(f"is damaged: {error.msg}", where=f"{path}:{number}:{error.colno}") from None
        if isinstance(node, dict) and "id" in node:
            found.append((number, node))
    return found


PART = read
