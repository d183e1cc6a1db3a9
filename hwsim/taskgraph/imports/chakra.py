"""Chakra execution traces as JSON lines or one JSON object: nodes with data and control dependencies and durations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.taskgraph.imported import Event, opened

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


def _nodes(path: Path) -> list[tuple[int, dict[str, Any]]]:
    with opened(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
        nodes = content.get("nodes") if isinstance(content, dict) else content
        if isinstance(nodes, list):
            return [(1, node) for node in nodes if isinstance(node, dict)]
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
