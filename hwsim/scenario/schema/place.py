"""``place:``, where data lives: fixed at a place, split over places, or moving between tiers."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import At, Bytes, Share, Text
from hwsim.scenario.schema.record import Record
from hwsim.scenario.schema.short import Short


class PlaceRule(Record):
    """One class of data: ``at`` one place, a fixed ``split``, or ``tiers`` between which it moves by policies."""

    alternatives: ClassVar[tuple[str, ...]] = ("at", "split", "tiers")

    at: At | None = None
    split: dict[At, Share] | None = None
    by: Literal["layer", "token", "page"] | None = None
    tiers: list[At] | None = None
    limit: dict[At, Bytes] | None = None
    evict: Text | None = None
    fetch: Text | None = None
    write: Text | None = None
    miss: Text | None = None
    route: Text | None = None
    amount: Text | None = None
    keep: Text | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = [name for name in self.alternatives if getattr(self, name) is not None]
        if len(forms) > 1:
            raise PydanticCustomError("value", "{text}", {"text": f"has both {forms[0]} and {forms[1]}; expected one"})
        if not forms:
            raise PydanticCustomError("value", "has no place; expected at, split or tiers")
        if self.split is not None and abs(sum(self.split.values()) - 1) > 1e-6:
            total = f"split adds up to {100 * sum(self.split.values()):g} %; expected 100 %"
            raise PydanticCustomError("value", "{text}", {"text": total})
        if self.tiers is not None and len(set(self.tiers)) != len(self.tiers):
            raise PydanticCustomError("value", "names a tier twice; expected each tier once")
        if self.limit and self.tiers is not None:
            for place in self.limit:
                if place not in self.tiers:
                    text = f"limits {place!r}, which is not one of its tiers; expected one of {', '.join(self.tiers)}"
                    raise PydanticCustomError("value", "{text}", {"text": text})
        return self


Rule = Annotated[PlaceRule, Short("at", items="tiers")]


class Place(Record):
    """Where each class of data lives; the most specific class wins (``experts`` before ``ffn`` before ``weights``)."""

    weights: Rule | None = None
    embeddings: Rule | None = None
    attention: Rule | None = None
    ffn: Rule | None = None
    experts: Rule | None = None
    adapters: Rule | None = None
    kv: Rule | None = None
    activations: Rule | None = None
    gradients: Rule | None = None
    optimizer: Rule | None = None
    features: Rule | None = None
