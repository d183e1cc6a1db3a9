"""Chrome trace JSON for chrome://tracing and older tools; perfetto is the better choice for long runs.

Times are microseconds.  A process is a replica, a thread a track; nested slices are complete events (``X``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hwsim.export._format import Format, Run
from hwsim.export._graph_timeline import tasks
from hwsim.export._timeline import Slice, lanes, samples, stretches
from hwsim.metrics.graph_summary import is_graph


def events(run: Run) -> Iterator[dict[str, Any]]:
    """All events of a run, names of processes and threads where they first appear."""
    threads: dict[tuple[int, str], int] = {}
    name = run.summary["name"]
    graph = is_graph(run.summary)
    items = tasks(run.table("spans")) if graph else (*stretches(run.table("steps")), *lanes(run.table("requests")))
    for item in items:
        key = (item.process, item.track)
        if key not in threads:
            if not any(process == item.process for process, _ in threads):
                yield _named("process_name", item.process, 0, f"{name}: replica {item.process}")
            threads[key] = len(threads) + 1
            yield _named("thread_name", item.process, threads[key], item.track)
            yield {
                **_named("thread_sort_index", *key[:1], threads[key], ""),
                "args": {"sort_index": threads[key]},
            }
        yield from _complete(item, threads[key])
    for process, counter, time, value in () if graph else samples(run.table("steps")):
        yield {"ph": "C", "pid": process, "name": counter, "ts": time / 1000, "args": {counter: value}}


def _named(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _complete(item: Slice, thread: int) -> Iterator[dict[str, Any]]:
    place = {"ph": "X", "pid": item.process, "tid": thread, "cat": item.category}
    span = {"ts": item.start / 1000, "dur": (item.end - item.start) / 1000}
    yield {**place, **span, "name": item.name, "args": item.arguments}
    for name, start, end in item.parts:
        yield {**place, "name": name, "ts": start / 1000, "dur": (end - start) / 1000}


def _render(run: Run, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
        for number, event in enumerate(events(run)):
            file.write((",\n" if number else "") + json.dumps(event, ensure_ascii=False))
        file.write("\n]}\n")


PART = Format("json", _render)
