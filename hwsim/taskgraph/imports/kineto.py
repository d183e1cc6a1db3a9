"""Kineto and Chrome JSON traces: complete events (``ph: X``) of kernels and copies, a stream per device and stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.taskgraph.imported import Event, kind_of, line_of, opened

GPU = ("kernel", "gpu_memcpy", "gpu_memset")


def read(path: Path) -> list[Event]:
    """The GPU's events, or all complete ones if it has none; damage raises ``ScenarioError`` with its line."""
    with opened(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ScenarioError.of(
            f"is damaged: {error.msg}", where=f"{path}:{error.lineno}:{error.colno}", expected="a Chrome trace in JSON"
        ) from None
    events = content.get("traceEvents") if isinstance(content, dict) else content
    if not isinstance(events, list):
        raise ScenarioError.of("has no traceEvents", where=str(path), expected="a Chrome trace in JSON")
    whole = [
        (number, event) for number, event in enumerate(events) if isinstance(event, dict) and event.get("ph") == "X"
    ]
    chosen = [(n, e) for n, e in whole if str(e.get("cat", "")).casefold() in GPU] or whole
    return [_event(path, text, number, event) for number, event in chosen]


def _event(path: Path, text: str, number: int, event: dict[str, Any]) -> Event:
    try:
        start, duration = float(event["ts"]), float(event["dur"])
        if not (duration >= 0 and abs(start) < 1e18 and duration < 1e15):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ScenarioError.of(
            f"event {number} has no time",
            where=f"{path}:{line_of(text, 'traceEvents', number)}",
            got=json.dumps(event)[:80],
            expected="ts and dur in microseconds",
        ) from None
    name = str(event.get("name", "event"))
    stream = (event.get("args") or {}).get("stream", event.get("tid", 0))
    return Event(name, kind_of(name), f"{event.get('pid', 0)}/{stream}", start, duration)


PART = read
