"""A scenario as it was written: a tree whose every value still knows where it stood.

Scalars stay text until the schema reads them, because YAML 1.1 and people disagree about ``3e12``, ``1:30`` and
``on``; :func:`natural` reads plain scalars by the few rules of YAML 1.2 for those who want ordinary Python values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: a place in a file, or a label such as ``-s``, ``default`` or ``engine vllm-0.33``."""

    label: str
    line: int = 0
    column: int = 0
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.label}:{self.line}:{self.column}" if self.line else self.label

    def short(self) -> str:
        """The origin as one prints it beside a value: the file and line, without the column."""
        if self.line:
            return f"{self.label}:{self.line}"
        return "-s" if self.label.startswith("-s ") else self.label


class Plain(str):
    """Text of an unquoted scalar, which may stand for a number, a truth value or nothing."""

    __slots__ = ()


@dataclass(slots=True)
class Leaf:
    """A scalar (or a Python value given by a program) with its origin."""

    value: Any
    origin: Origin


@dataclass(slots=True)
class Items:
    """A list with its origin."""

    items: list[Node]
    origin: Origin


@dataclass(slots=True)
class Branch:
    """A mapping; ``keys`` has the place of each key.

    ``passed_on`` names the keys inherited from a thing of another ``kind``: they hold as far as the new kind knows
    them and are given up without an error where it does not.
    """

    children: dict[str, Node]
    origin: Origin
    keys: dict[str, Origin] = field(default_factory=dict)
    passed_on: frozenset[str] = frozenset()


Node = Leaf | Items | Branch

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_WHOLE = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?")


def is_null(node: Node) -> bool:
    """Whether the node is a null, which removes an inherited entry."""
    return isinstance(node, Leaf) and (node.value is None or (isinstance(node.value, Plain) and node.value in _NULLS))


def is_text(node: Node) -> bool:
    """Whether the node is a scalar that reads as a name, not as a number, a truth value or nothing."""
    return isinstance(node, Leaf) and isinstance(natural(node.value), str)


def natural(value: Any) -> Any:
    """A scalar as an ordinary Python value: whole numbers, decimals, true, false and null; all else is text."""
    if not isinstance(value, Plain):
        return value
    if value in _NULLS:
        return None
    if value in {"true", "True", "TRUE"}:
        return True
    if value in {"false", "False", "FALSE"}:
        return False
    if len(value) < 40 and _WHOLE.fullmatch(value):
        return int(value)
    if len(value) < 40 and _FLOAT.fullmatch(value):
        return float(value)
    return str(value)


def to_plain(node: Node) -> Any:
    """The tree as ordinary dicts, lists and scalars."""
    if isinstance(node, Branch):
        return {key: to_plain(child) for key, child in node.children.items()}
    if isinstance(node, Items):
        return [to_plain(item) for item in node.items]
    return natural(node.value)


def to_text(node: Node) -> Any:
    """The tree as dicts and lists whose scalars are still text, as the schema wants them; nulls become ``None``."""
    if isinstance(node, Branch):
        return {key: to_text(child) for key, child in node.children.items()}
    if isinstance(node, Items):
        return [to_text(item) for item in node.items]
    return None if is_null(node) else node.value


def from_plain(value: Any, origin: Origin) -> Node:
    """A tree of ordinary Python values that all have one origin."""
    if isinstance(value, Mapping):
        children = {str(key): from_plain(child, origin) for key, child in value.items()}
        return Branch(children, origin, dict.fromkeys(children, origin))
    if isinstance(value, (list, tuple)):
        return Items([from_plain(item, origin) for item in value], origin)
    return Leaf(value, origin)


def copied(node: Node) -> Node:
    """A copy whose mappings can be changed without changing the original."""
    if isinstance(node, Branch):
        children = {key: copied(child) for key, child in node.children.items()}
        return Branch(children, node.origin, dict(node.keys), node.passed_on)
    if isinstance(node, Items):
        return Items([copied(item) for item in node.items], node.origin)
    return node


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every scalar and list with its dotted path, in the order of the file."""
    if isinstance(node, Branch) and node.children:
        for key, child in node.children.items():
            yield from leaves(child, f"{path}.{key}" if path else key)
    else:
        yield path, node


def find(node: Node, path: tuple[str, ...]) -> Node | None:
    """The node at a path, or ``None``."""
    for key in path:
        if not isinstance(node, Branch) or key not in node.children:
            return None
        node = node.children[key]
    return node
