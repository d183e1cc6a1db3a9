"""What the schema finds wrong, as problems with their place in the file and the nearest known name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import Problem, nearest
from hwsim.scenario.schema.quantity import Quantity
from hwsim.scenario.schema.short import Shape
from hwsim.scenario.tree import Branch, Items, Leaf, Node, Origin

if TYPE_CHECKING:
    from pydantic import ValidationError


class Place:
    """A location that pydantic reports, found again in the tree: keys, node, and the mapping around it."""

    def __init__(self, root: Branch, shape: Shape, location: Sequence[Any]) -> None:
        self.keys: list[str] = []
        self.node: Node | None = root
        self.parent: Branch | None = None
        self.shape, self.around = shape, shape
        self.origin: Origin = root.origin
        self.of_key = location[-1:] == ("[key]",)
        for step in location:
            if step != "[key]":
                self._down(step)

    def _down(self, step: Any) -> None:
        node = self.node
        if isinstance(node, Branch) and step in node.children:
            self._enter(node, str(step))
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
            self.keys.append(f"[{step}]")
            self.node, self.parent, self.shape = node.items[step], None, Shape()
            self.origin = self.node.origin
        elif isinstance(node, Branch) and _kind(node) != step:
            # The key is missing; a step that repeats the kind is only pydantic's name for the arm it took.
            self.keys.append(str(step))
            self.parent, self.around = node, self.shape
            self.shape, self.node = self.shape.child(str(step), _kind(node)), None

    def _enter(self, node: Branch, key: str) -> None:
        self.keys.append(key)
        self.parent, self.around = node, self.shape
        self.shape = self.shape.child(key, _kind(node))
        self.node = node.children[key]
        self.origin = node.keys[key]

    @property
    def path(self) -> str:
        return ".".join(self.keys).replace(".[", "[")

    @property
    def value_at(self) -> str:
        """Where the value stands; that of a mapping is where its key stands."""
        scalar = isinstance(self.node, (Leaf, Items)) and not self.of_key
        return str(self.node.origin if scalar and self.node is not None else self.origin)

    @property
    def known(self) -> list[str]:
        """The keys that may stand beside this one."""
        return list(self.around.keys(_kind(self.parent)) if self.parent is not None else ())


def _kind(branch: Branch) -> str:
    node = branch.children.get("kind")
    return str(node.value) if isinstance(node, Leaf) else ""


def problems_of(error: ValidationError, root: Branch, shape: Shape) -> list[Problem]:
    """Every error as a problem, in the order of the file."""
    found = [(Place(root, shape, item["loc"]), item) for item in error.errors(include_url=False)]
    found.sort(key=lambda pair: (pair[0].origin.label, pair[0].origin.line, pair[0].origin.column))
    return [_problem(place, dict(item), shape) for place, item in found]


def given_up(error: ValidationError, root: Branch, shape: Shape) -> list[tuple[Branch, str]]:
    """Unknown keys that were inherited from another kind of the same choice, to be dropped without an error."""
    dropped: list[tuple[Branch, str]] = []
    for item in error.errors(include_url=False):
        place = Place(root, shape, item["loc"])
        if item["type"] == "extra_forbidden" and place.parent is not None and place.keys[-1] in place.parent.passed_on:
            dropped.append((place.parent, place.keys[-1]))
    return dropped


def _problem(place: Place, item: dict[str, Any], root: Shape) -> Problem:
    kind, context = item["type"], item.get("ctx", {})
    path = place.path
    if kind == "extra_forbidden":
        return _unknown_key(place, root)
    if kind == "missing":
        return Problem(f"{path} is missing", place.value_at, expected=_wanted(place))
    if kind in {"model_type", "model_attributes_type", "dict_type", "tagged_union"} or "attributes" in kind:
        keys = ", ".join(list(place.shape.keys())[:8])
        expected = f"a mapping with keys such as {keys}" if keys else "a mapping by name"
        return Problem(f"{path} is not a mapping", place.value_at, _got(place.node), expected)
    if kind == "list_type":
        return Problem(f"{path} is not a list", place.value_at, _got(place.node), "a list")
    if kind == "literal_error":
        names = [name.strip(" '") for name in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        got = _got(place.node)
        return Problem(
            f"{path} is not one of its values",
            place.value_at,
            got,
            _any_of(names),
            nearest(got.strip("'"), names),
        )
    if kind == "union_tag_invalid":
        return _unknown_kind(place, context)
    if kind == "union_tag_not_found":
        return Problem(
            f"{path} does not say which kind",
            place.value_at,
            _got(place.node),
            "kind: " + _any_of(_kinds(place)),
        )
    what = str(item["msg"])
    if place.of_key:
        return Problem(f"{path}: the key {what}", place.value_at)
    return Problem(f"{path}: {what}" if path else what, place.value_at)


def _unknown_key(place: Place, root: Shape) -> Problem:
    key, known = place.keys[-1], place.known
    near = nearest(key, known)
    if not near:
        near = _elsewhere(key, root)
    expected = "" if near or not known else _any_of(known)
    return Problem(f"unknown key {place.path}", str(place.origin), expected=expected, nearest=near)


def _elsewhere(key: str, root: Shape) -> str:
    """Where one level down a key of that name is at home."""
    for section in ("serve", "workload", "system", "model", "slo", "train", "study"):
        if key in root.child(section).keys("") or key == section:
            return section if key == section else f"{section}.{key}"
    return ""


def _unknown_kind(place: Place, context: dict[str, Any]) -> Problem:
    node = place.node.children.get("kind") if isinstance(place.node, Branch) else place.node
    name, kinds = str(context.get("tag", "")), _kinds(place)
    where = str(node.origin) if node is not None else place.value_at
    return Problem(f"{place.path} has an unknown kind", where, repr(name), _any_of(kinds), nearest(name, kinds))


def _kinds(place: Place) -> list[str]:
    return sorted(place.shape.choice.models()) if place.shape.choice else []


def _wanted(place: Place) -> str:
    """What a missing value should look like."""
    from typing import get_args

    if place.parent is None:
        return ""
    hint = place.around.keys(_kind(place.parent)).get(place.keys[-1])
    marks = [mark for mark in get_args(hint) if isinstance(mark, Quantity)]
    return str(marks[0].json["description"]) if marks else "a value"


def _any_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "one of " + ", ".join(names)


def _got(node: Node | None) -> str:
    if isinstance(node, Branch):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node is None or node.value is None:
        return "nothing"
    text = repr(str(node.value)) if isinstance(node.value, str) else str(node.value)
    return text if len(text) <= 60 else text[:57] + "..."
