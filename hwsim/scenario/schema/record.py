"""The base of every part of the schema: unknown keys are refused, values do not change after they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A mapping with known keys; a missing key is its default, or ``None`` where an engine or device decides."""

    # Keys of which a merge keeps one: setting another form of the same thing takes the inherited form away.
    alternatives: ClassVar[tuple[str, ...]] = ()
    # Short names of keys; a loaded tree has only the long ones.
    other_names: ClassVar[dict[str, str]] = {}

    # Only the whole scenario is compiled, when the first one is read; its parts need not be compiled alone.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), defer_build=True)

    def given(self) -> dict[str, Any]:
        """What was written, by its YAML key, quantities in base units, without defaults."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def under(self, defaults: Record) -> Self:
        """This record with what it leaves out taken from ``defaults``; mappings are merged deep."""
        names = type(self).model_fields
        other = {name for name in self.alternatives if name in defaults.model_fields_set - self.model_fields_set}
        lost = other if self.model_fields_set & set(self.alternatives) else set()
        values = {name: getattr(self, name) if name in lost else _one(defaults, self, name) for name in names}
        written = self.model_fields_set | (defaults.model_fields_set & names.keys() - lost)
        return type(self).model_construct(_fields_set=set(written), **values)


def _one(low: Record, high: Record, name: str) -> Any:
    below = getattr(low, name, None)
    above = getattr(high, name)
    if name not in high.model_fields_set:
        return below if name in low.model_fields_set else above
    if isinstance(above, Record) and isinstance(below, Record) and type(above) is type(below):
        return above.under(below)
    if isinstance(above, dict) and isinstance(below, dict):
        return {**below, **above}
    return above


class Kind(Record):
    """One kind of a choice and its parameters; subclasses fix ``kind`` to one name."""

    kind: Any

    if TYPE_CHECKING:
        # Each kind has its own fields; who reads one has looked at ``kind`` first.
        def __getattr__(self, name: str) -> Any: ...
