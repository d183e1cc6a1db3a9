"""Short forms and choices: a bare string stands for ``{kind: …}``, ``{like: …}`` or ``{at: …}``.

A *choice* is a mapping whose ``kind`` names one of several parameter models.  The kinds of the language are listed in
``hwsim/scenario/kinds/<question>.py``; a part from outside adds one by a ``Parameters`` model in its own module.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic_core import core_schema

from hwsim.part import Parts
from hwsim.scenario.schema.quantity import Reader
from hwsim.scenario.schema.record import Kind, Promised
from hwsim.scenario.tree import natural


@dataclass(frozen=True)
class Short:
    """The key that a bare string, a list or a number is short for; a number also needs the ``kind`` that it means."""

    text: str
    items: str = ""
    number: tuple[str, str] | None = None

    def expand(self, value: Any) -> Any:
        """The long form of a value given in its short form, and any other value as it is."""
        if isinstance(value, list) and self.items:
            return {self.items: value}
        if isinstance(value, (dict, list)) or value is None:
            return value
        if isinstance(natural(value), str) and not (self.number and str(value)[:1].isdigit()):
            return {self.text: value}
        if self.number and not isinstance(natural(value), bool):
            kind, key = self.number
            return {self.text: kind, key: value}
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        forms: list[dict[str, Any]] = [{"type": "string", "description": f"short for {{{self.text}: …}}"}]
        if self.number:
            forms.append(
                {
                    "type": "number",
                    "description": f"short for {{{self.text}: {self.number[0]}, {self.number[1]}: …}}",
                }
            )
        if self.items:
            forms.append({"type": "array", "description": f"short for {{{self.items}: […]}}"})
        return {"anyOf": [*forms, handler(schema)]}


@dataclass(frozen=True)
class Spread(Short):
    """One figure that stands for low, median and high."""

    def expand(self, value: Any) -> Any:
        """All three figures from one, or the mapping as it is."""
        return value if isinstance(value, (dict, list)) or value is None else dict.fromkeys(PRICES, value)


PRICES = ("low", "median", "high")


@dataclass(frozen=True)
class Choice:
    """A mapping with a ``kind``; ``home`` is the package whose modules implement the kinds."""

    question: str
    home: str = ""

    def models(self) -> dict[str, type[Kind]]:
        """The parameter model of every kind, by name."""
        return _models(self.question, self.home)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        choices = {name: handler.generate_schema(model) for name, model in self.models().items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")


@cache
def _models(question: str, home: str) -> dict[str, type[Kind]]:
    found: dict[str, type[Kind]] = {}
    for model in Parts("hwsim.scenario.kinds").get(question):
        found[model.model_fields["kind"].annotation.__args__[0]] = model
    parts = Parts(home)
    for name in parts.names() if home else ():
        if name not in found and parts.mentions(name, "Parameters"):
            parameters = getattr(parts.module(name), "Parameters", None)
            if parameters is not None:
                found[name] = parameters
    return found


@dataclass(frozen=True)
class Shape:
    """What the schema knows about one place in a scenario: its model, its members, its short form, its choice.

    ``free``: anything may stand here and stays as it was written (a variant, a claim's changes).
    """

    model: type[BaseModel] | None = None
    promised: Promised | None = None
    member: Any = None
    short: Short | None = None
    choice: Choice | None = None
    free: bool = False

    def keys(self, kind: str = "") -> dict[str, Any]:
        """The known keys and their types; of a choice, those of the given kind (or of all of them)."""
        if self.choice is not None:
            models = self.choice.models()
            chosen = [models[kind]] if kind in models else list(models.values())
            return {key: hint for model in chosen for key, hint in _hints(model).items()}
        model = self.promised.record() if self.promised else self.model
        return _hints(model) if model else {}

    def child(self, key: str, kind: str = "") -> Shape:
        """The shape under a key."""
        if self.free:
            return self
        if self.member is not None:
            return shape_of(self.member)
        hint = self.keys(kind).get(key)
        return shape_of(hint) if hint is not None else Shape()


@cache
def _hints(model: type[BaseModel]) -> dict[str, Any]:
    hints = typing.get_type_hints(model, include_extras=True)
    return {field.alias or name: hints[name] for name, field in model.model_fields.items()}


def shape_of(hint: Any) -> Shape:
    """The shape behind a type annotation."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *marks = get_args(hint)
        shape = shape_of(base)
        for mark in marks:
            if isinstance(mark, Short):
                shape = replace(shape, short=mark)
            elif isinstance(mark, Choice):
                shape = replace(shape, choice=mark)
            elif isinstance(mark, Promised):
                shape = replace(shape, model=None, promised=mark)
            elif isinstance(mark, Reader) and mark.free:
                shape = replace(shape, free=True)
        return shape
    if origin in (typing.Union, types.UnionType):
        shapes = [shape_of(arm) for arm in get_args(hint)]
        return next((shape for shape in shapes if shape != Shape()), Shape())
    if origin is dict:
        member = get_args(hint)[1]
        return Shape(free=True) if shape_of(member).free else Shape(member=member)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return Shape(model=hint)
    return Shape()
