"""Load a scenario: a file (or a mapping), what it extends and what is set on top, read and checked as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.scenario import layers
from hwsim.scenario.merge import merge, setting, settings
from hwsim.scenario.tree import Branch, Origin, find, from_plain, leaves, to_plain
from hwsim.scenario.validate import shape, validated

if TYPE_CHECKING:
    from hwsim.scenario.schema.spec import Spec

__all__ = ["Scenario", "load", "setting"]


class Scenario:
    """A scenario that is well formed: its specification, the merged tree, and where every value came from.

    ``spec``: pydantic object, quantities in base units, short forms written out.  ``tree``: the same as plain dicts
    with the text that was written (``"10 /s"``).  ``origins``: dotted path to ``file:line``, ``-s``, ``given`` or the
    label of a :meth:`filled` layer.  ``path`` is ``None`` for a mapping.
    """

    def __init__(self, merged: Branch, path: Path | None) -> None:
        self._merged = merged
        self._filled: list[Branch] = []
        self.path = path
        spec, tree = validated(merged)
        self.spec: Spec = spec
        self._tree = tree
        self.name: str = spec.name or (path.stem if path is not None else "scenario")

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: everything but the specification, whose records are made when they are met."""
        return {name: value for name, value in self.__dict__.items() if name != "spec"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.spec, self._tree = validated(self._merged)

    @property
    def tree(self) -> dict[str, Any]:
        """The merged scenario as plain dicts, lists and scalars."""
        return to_plain(self._tree)

    @property
    def origins(self) -> dict[str, str]:
        """Where each value came from, by dotted path."""
        return {path: node.origin.short() for path, node in leaves(self._tree)}

    def origin(self, path: str) -> str:
        """Where the value (of a mapping, the key) at a dotted path stands (``file:line:column``), or ``""``."""
        keys = tuple(path.split("."))
        node, around = find(self._tree, keys), find(self._tree, keys[:-1])
        if isinstance(node, Branch) and isinstance(around, Branch) and node is not around:
            return str(around.keys[keys[-1]])
        return str(node.origin) if node is not None else ""

    def folder(self, path: str) -> Path:
        """The folder that a file name at this dotted path is relative to: that of the file it stands in."""
        node = find(self._tree, tuple(path.split(".")))
        folder = node.origin.folder if node is not None else None
        return folder or Path.cwd()

    def changed(self, change: Mapping[str, Any] | Iterable[str], origin: str = "-s") -> Scenario:
        """A new scenario with a mapping, or ``path=value`` texts, merged on top; ``origin`` labels the values."""
        if isinstance(change, Mapping):
            node = from_plain(change, Origin(origin, folder=Path.cwd()))
            assert isinstance(node, Branch)
            changes = [node]
        else:
            changes = settings(change, origin)
        merged = self._merged
        for layer in changes:
            merged = merge(merged, layer, shape())
        return self._again(merged, self._filled)

    def filled(self, values: Mapping[str, Any], origin: str) -> Scenario:
        """A new scenario where what was left open is filled in, such as the defaults of an engine's profile.

        ``values`` is a mapping like the scenario's own; what was written always wins.
        """
        layer = from_plain(values, Origin(origin))
        assert isinstance(layer, Branch)
        return self._again(self._merged, [*self._filled, layer])

    def _again(self, merged: Branch, filled: Sequence[Branch]) -> Scenario:
        whole = merged
        for layer in filled:
            # What the scenario takes out with a null need not be in what is filled in, so no problem is one here.
            whole = merge(layer, whole, shape(), problems=[])
        scenario = Scenario(whole, self.path)
        scenario._merged = merged
        scenario._filled = list(filled)
        return scenario

    def to_yaml(self) -> str:
        """The resolved scenario as YAML, each value with a comment that says where it came from."""
        from hwsim.scenario.resolve import resolved_yaml

        return resolved_yaml(self.spec, self._tree)

    def __repr__(self) -> str:
        return f"<Scenario {self.name!r} from {self.path or 'a mapping'}>"


def load(
    source: str | Path | Mapping[str, Any], sets: Iterable[str] = (), *, search: Sequence[str | Path] = ()
) -> Scenario:
    """The scenario of a file or mapping, with ``path=value`` texts set on top.

    ``search`` names folders in which a file (or what it extends) is looked for besides its own.  Raises
    ``ScenarioError`` with every problem found, each with file, line and column.
    """
    folders = [Path(folder) for folder in search]
    if isinstance(source, Mapping):
        path = None
        merged = layers.from_mapping(source, shape(), folders)
    else:
        path = layers.located(source, folders)
        merged = layers.from_file(path, shape(), folders)
    for layer in settings(sets):
        merged = merge(merged, layer, shape())
    return Scenario(merged, path)
