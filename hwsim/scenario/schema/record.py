"""The base of every part of the schema: unknown keys are refused, values do not change after they are read."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import core_schema


class _Compiling:
    """Whether a record is being compiled, so that those within it wait."""

    busy: ClassVar[bool] = False


DEFINED_AS = "x-defined-as"  # stands for "$ref" until all definitions are together
# Under which name a JSON Schema defines each record that it refers to.
DEFINED: dict[str, type[BaseModel]] = {}


def defined_as(record: type[BaseModel]) -> str:
    """The name of a record among the definitions of a JSON Schema: its own, unless another has it."""
    name = record.__name__
    if DEFINED.setdefault(name, record) is record:
        return name
    name = f"{record.__module__.rpartition('.')[2]}_{name}"
    if DEFINED.setdefault(name, record) is not record:
        raise ValueError(f"two records of {record.__module__} are called {record.__name__}")
    return name


def _when_met(record: Callable[[], type[BaseModel]]) -> core_schema.CoreSchema:
    def validate(value: Any) -> Any:
        return record().__pydantic_validator__.validate_python(value)

    def described(_schema: core_schema.CoreSchema, _handler: Any) -> dict[str, Any]:
        return {DEFINED_AS: defined_as(record())}

    return core_schema.no_info_plain_validator_function(validate, metadata={"pydantic_js_functions": [described]})


class Promised:
    """In an annotation: the record that ``build`` makes when the first one is met."""

    def __init__(self, build: Callable[[], type[BaseModel]]) -> None:
        self.build = build
        self.made: type[BaseModel] | None = None

    def record(self) -> type[BaseModel]:
        """The record, made once (no ``functools.cache``: scenarios travel to worker processes with their types)."""
        if self.made is None:
            self.made = self.build()
        return self.made

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return _when_met(self.record)


class Record(BaseModel):
    """A mapping with known keys; a missing key is its default, or ``None`` where an engine or device decides."""

    # Keys of which a merge keeps one: setting another form of the same thing takes the inherited form away.
    alternatives: ClassVar[tuple[str, ...]] = ()
    # Short names of keys; a loaded tree has only the long ones.
    other_names: ClassVar[dict[str, str]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), defer_build=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The compiled schema; of a record within one that is being compiled, a promise to compile it when it is met.

        A scenario uses few of the language's records, and to compile all of them takes longer than reading it.
        """
        if _Compiling.busy:
            return _when_met(lambda: cls)
        _Compiling.busy = True
        try:
            return handler(source)
        finally:
            _Compiling.busy = False

    def given(self) -> dict[str, Any]:
        """What was written, by its YAML key, quantities in base units, without defaults."""
        return self.model_dump(by_alias=True, exclude_unset=True)

    def under(self, defaults: "Record") -> Self:
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
