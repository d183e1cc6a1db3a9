"""The files behind a scenario: a file, what it extends, and what that extends, lowest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.scenario.merge import merge
from hwsim.scenario.schema.short import Shape
from hwsim.scenario.tree import Branch, Leaf, Origin, from_plain, is_null
from hwsim.scenario.yaml_nodes import read

MAX_CHAIN = 30


def located(name: str | Path, search: Sequence[Path] = ()) -> Path:
    """The file of that name: as it is given, or in one of the folders of ``search``."""
    path = Path(name)
    if path.exists() or path.is_absolute():
        return path
    return next((folder / path for folder in search if (folder / path).exists()), path)


def from_file(path: Path, shape: Shape, search: Sequence[Path] = ()) -> Branch:
    """The mapping of a file merged over everything that it extends."""
    return _with_bases(read(path), path, shape, search, [path.resolve()])


def from_mapping(mapping: Mapping[str, Any], shape: Shape, search: Sequence[Path] = ()) -> Branch:
    """The mapping a program gives, merged over the file that it extends (relative to the working folder)."""
    node = from_plain(mapping, Origin("given", folder=Path.cwd()))
    assert isinstance(node, Branch)
    return _with_bases(node, Path("given"), shape, search, [])


def _with_bases(node: Branch, path: Path, shape: Shape, search: Sequence[Path], chain: list[Path]) -> Branch:
    base = node.children.get("extends")
    if base is None or is_null(base):
        node.children.pop("extends", None)
        return node
    where = str(base.origin)
    if not isinstance(base, Leaf) or not isinstance(base.value, str):
        raise ScenarioError.of(
            "extends is not a file name", where=where, expected="one YAML file, relative to this one"
        )
    if "://" in base.value:
        raise ScenarioError.of("extends is a URL", where=where, got=str(base.value), expected="a file on this machine")
    target = path.parent / base.value
    if not target.exists():
        target = located(base.value, search) if located(base.value, search).exists() else target
    if target.resolve() in chain:
        names = " -> ".join(item.name for item in [*chain[chain.index(target.resolve()) :], target.resolve()])
        raise ScenarioError.of("extends runs in a circle", where=where, got=names, expected="files that end somewhere")
    if len(chain) >= MAX_CHAIN:
        raise ScenarioError.of(f"extends more than {MAX_CHAIN} files", where=where)
    try:
        below = read(target)
    except ScenarioError as error:
        if not target.exists():
            near = error.problems[0].nearest
            raise ScenarioError.of(
                "extends a file that does not exist", where=where, got=str(target), nearest=near
            ) from None
        raise
    lower = _with_bases(below, target, shape, search, [*chain, target.resolve()])
    del node.children["extends"]
    return merge(lower, node, shape)
