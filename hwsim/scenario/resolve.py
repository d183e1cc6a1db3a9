"""The resolved scenario on paper: every value that holds, with a comment that says where it came from."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from hwsim.scenario.schema.short import Shape, shape_of
from hwsim.scenario.tree import Branch, Items, Leaf, Node, Origin, Plain, copied, is_null, natural
from hwsim.scenario.yaml_nodes import parse
from hwsim.units import format_quantity

_DEFAULT = Origin("default")


def resolved_yaml(spec: BaseModel, tree: Branch) -> str:
    """The scenario as YAML that loads to the same specification, defaults of the schema included."""
    whole = copied(tree)
    assert isinstance(whole, Branch)
    _with_defaults(whole, spec, shape_of(type(spec)))
    lines: list[str] = []
    _block(whole, 0, lines)
    return "\n".join(lines) + "\n"


def _with_defaults(branch: Branch, record: Any, shape: Shape) -> None:
    if isinstance(record, dict):
        for key, value in record.items():
            child = branch.children.get(str(key))
            if isinstance(child, Branch) and isinstance(value, (BaseModel, dict)):
                _with_defaults(child, value, shape.child(str(key)))
        return
    for name, field in type(record).model_fields.items():
        key, value = field.alias or name, getattr(record, name)
        child = branch.children.get(key)
        if isinstance(child, Branch) and isinstance(value, (BaseModel, dict)):
            _with_defaults(child, value, shape.child(key, str(getattr(record, "kind", ""))))
        elif child is None and value is not None and not isinstance(value, (BaseModel, dict)):
            branch.children[key] = Leaf(_written(value, field.metadata), _DEFAULT)
            branch.keys[key] = _DEFAULT


def _written(value: Any, marks: list[Any]) -> Any:
    """A default as one would write it, with its unit."""
    dimension = next((mark.dimension for mark in marks if hasattr(mark, "dimension")), "")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and dimension:
        return Plain(format_quantity(value, dimension, digits=12))
    return value


def _block(branch: Branch, indent: int, lines: list[str]) -> None:
    for key, child in branch.children.items():
        start = " " * indent + f"{_scalar(key)}:"
        if isinstance(child, Branch) and child.children:
            lines.append(start)
            _block(child, indent + 2, lines)
        elif isinstance(child, Items) and any(isinstance(item, Branch) for item in child.items):
            lines.append(start)
            lines.extend(f"{' ' * indent}  - {_flow(item)}  # {item.origin.short()}" for item in child.items)
        else:
            lines.append(f"{start} {_flow(child)}  # {' '.join(child.origin.short().split())}")


def _flow(node: Node) -> str:
    if isinstance(node, Branch):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(child)}" for key, child in node.children.items()) + "}"
    if isinstance(node, Items):
        return "[" + ", ".join(_flow(item) for item in node.items) + "]"
    if is_null(node):
        return "null"
    return _scalar(node.value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value)
    bare = isinstance(value, Plain) or isinstance(natural(Plain(text)), str)
    return text if bare and _reads_back(text) else json.dumps(text, ensure_ascii=False)


def _reads_back(text: str) -> bool:
    """Whether the text, unquoted and inside a flow mapping, is read as itself."""
    from hwsim.errors import ScenarioError

    try:
        node = parse(f"{{k: {text}}}", "text")
    except ScenarioError:
        return False
    value = node.children.get("k") if isinstance(node, Branch) and len(node.children) == 1 else None
    return isinstance(value, Leaf) and isinstance(value.value, Plain) and value.value == text
