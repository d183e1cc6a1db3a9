"""Read YAML to a tree that knows file, line and column of every value; data only, and bounded.

The parser's events are read, never its objects: no tag is followed, no class is built.  Refused, with their places:
files above 8 MB, more than 200,000 values after aliases are expanded, nesting deeper than 100, several documents,
duplicate keys, tags, merge keys and keys that are not text.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import Problem, ScenarioError
from hwsim.scenario.tree import Branch, Items, Leaf, Node, Origin, Plain

MAX_BYTES = 8 * 10**6
MAX_NODES = 200_000
MAX_DEPTH = 100
MAX_PROBLEMS = 50

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_STANDARD_TAGS = frozenset({None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def read(path: Path, shown: str | None = None) -> Branch:
    """The mapping in a YAML file; ``shown`` is the file's name in messages.  Raises ``ScenarioError``."""
    name = shown or str(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise ScenarioError.of("is a folder", where=name, expected="a YAML file")
        if not stat.S_ISREG(status.st_mode):
            raise ScenarioError.of("is not a regular file", where=name, expected="a YAML file")
        if status.st_size > MAX_BYTES:
            raise ScenarioError.of(
                "file is too large", where=name, got=f"{status.st_size} bytes", expected="8 MB at most"
            )
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ScenarioError.of("no such file", where=name, nearest=_neighbour(path)) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ScenarioError.of(f"cannot be read: {reason}", where=name) from None
    node = parse(data, name, path.resolve().parent)
    if not isinstance(node, Branch):
        raise ScenarioError.of(
            "is not a mapping", where=str(node.origin), expected="keys such as system, serve, workload"
        )
    return node


def parse(data: bytes | str, name: str, folder: Path | None = None) -> Node:
    """The tree of one YAML document; every problem is collected into one ``ScenarioError``."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1 if isinstance(data, bytes) else 1
        raise ScenarioError.of("is not UTF-8 text", where=f"{name}:{line}") from None
    reader = _Reader(name, folder)
    try:
        node = reader.document(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        context = f" ({error.context})" if error.context else ""
        reader.problems.append(Problem(f"is not YAML: {error.problem}{context}", where))
        raise ScenarioError(reader.problems) from None
    except yaml.YAMLError as error:
        raise ScenarioError.of(f"is not YAML: {_one_line(error)}", where=name) from None
    if reader.problems:
        raise ScenarioError(reader.problems)
    return node


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _neighbour(path: Path) -> str:
    from hwsim.errors import nearest

    try:
        return nearest(path.name, [entry.name for entry in path.parent.iterdir() if entry.suffix in {".yaml", ".yml"}])
    except OSError:
        return ""


class _Reader:
    """Turns the events of one document into nodes, counting as it goes."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name = name
        self.folder = folder
        self.problems: list[Problem] = []
        self.anchors: dict[str, tuple[Node | None, int]] = {}
        self.count = 0

    def document(self, events: Iterator[Any]) -> Node:
        node: Node = Leaf(None, Origin(self.name, 1, 1, self.folder))
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.fail("has more than one document", event, expected="one scenario a file")
            elif isinstance(event, yaml.NodeEvent):
                node = self.node(event, events, 0)
        return node

    def node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        origin = self.origin(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        start = self.count
        self.counted(1, event)
        if depth > MAX_DEPTH:
            self.fail("is nested too deeply", event, expected=f"at most {MAX_DEPTH} levels")
        if event.tag not in _STANDARD_TAGS:
            self.note("tags are not read: a scenario is data", event, got=_tag(event.tag), expected="a plain value")
        if event.anchor:
            self.anchors[event.anchor] = (None, 0)
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style and event.tag is None
            node: Node = Leaf(Plain(event.value) if plain else str(event.value), origin)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self.sequence(origin, events, depth)
        else:
            node = self.mapping(origin, events, depth)
        if event.anchor:
            self.anchors[event.anchor] = (node, self.count - start)
        return node

    def sequence(self, origin: Origin, events: Iterator[Any], depth: int) -> Items:
        items: list[Node] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self.node(event, events, depth + 1))
        return Items(items, origin)

    def mapping(self, origin: Origin, events: Iterator[Any], depth: int) -> Branch:
        branch = Branch({}, origin)
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.node(event, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            name = self.key(key, event)
            if name is None:
                continue
            if name in branch.children:
                first = branch.keys[name]
                self.note(f"key {name!r} stands twice; first on line {first.line}", event, expected="each key once")
                continue
            branch.children[name] = value
            branch.keys[name] = self.origin(event)
        return branch

    def key(self, key: Node, event: Any) -> str | None:
        if not isinstance(key, Leaf) or not key.value:
            self.note(
                "a key must be a name",
                event,
                got="a list or mapping" if not isinstance(key, Leaf) else "nothing",
            )
            return None
        if key.value == "<<" and isinstance(key.value, Plain):
            self.note("merge keys (<<) are not read", event, expected="extends: FILE, or the values themselves")
            return None
        return str(key.value)

    def alias(self, event: Any) -> Node:
        node, size = self.anchors.get(event.anchor, (None, 0))
        if node is None:
            self.fail(f"alias *{event.anchor} has no value before it", event)
            raise AssertionError
        self.counted(size, event)
        return node

    def counted(self, number: int, event: Any) -> None:
        self.count += number
        if self.count > MAX_NODES:
            self.fail("has too many values, aliases expanded", event, expected=f"at most {MAX_NODES}")

    def origin(self, event: Any) -> Origin:
        mark = event.start_mark
        return Origin(self.name, mark.line + 1, mark.column + 1, self.folder)

    def note(self, what: str, event: Any, *, got: str = "", expected: str = "") -> None:
        """Keep a problem and read on, so that all are reported at once."""
        self.problems.append(Problem(what, str(self.origin(event)), got, expected))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ScenarioError(self.problems)

    def fail(self, what: str, event: Any, *, expected: str = "") -> None:
        """A problem after which reading on would be pointless or dear."""
        self.problems.append(Problem(what, str(self.origin(event)), "", expected))
        raise ScenarioError(self.problems)


def _tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:60]
