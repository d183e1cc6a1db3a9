"""Which nodes of the catalogue hold a model, with the smallest tensor parallelism that fits on each, cheapest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import FitError, HwsimError, ScenarioError
from hwsim.scenario.check import check
from hwsim.scenario.load import load


@dataclass(frozen=True)
class Place:
    """A node and the GPUs of it that one replica needs; ``usd_per_hour`` is their median rent, if one is known."""

    node: str
    gpu: str
    gpus: int
    tensor_parallel_size: int
    kv_tokens: int
    least_tpot_ms: float
    usd_per_hour: float | None

    def to_json(self) -> dict[str, Any]:
        """The figures with their units in the names."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def places(model: str, sets: Sequence[str] = ()) -> tuple[list[Place], dict[str, str]]:
    """The places that fit, cheapest first, and for every other node why not.

    A model that is not known, and a setting that is wrong everywhere, raise ``ScenarioError``.
    """
    from hwsim.hardware.catalogue import names
    from hwsim.hardware.find import find_node
    from hwsim.model.find import find

    name = load(_mapping(model, names("node")[0]), sets).spec.model
    assert name is not None
    find(name.like or model)  # says what is wrong with the model once, not once per node
    found: list[Place] = []
    refused: dict[str, str] = {}
    for node_name in names("node"):
        node = find_node(node_name)
        if "gpu" not in node.devices:
            refused[node_name] = "has no GPU that an engine can use"
            continue
        try:
            found.append(_smallest(model, sets, node_name, node.gpus, (node.gpu.hourly_price() or {}).get("median")))
        except HwsimError as error:
            refused[node_name] = str(error).partition("\n")[0]
    found.sort(key=lambda place: (place.usd_per_hour is None, place.usd_per_hour or 0.0, place.node))
    return found, refused


def _smallest(model: str, sets: Sequence[str], node: str, gpus: int, price: float | None) -> Place:
    """The first power of two of GPUs that holds the model (or the size that the settings ask for)."""
    given = any(item.replace(" ", "").startswith("serve.tensor_parallel_size=") for item in sets)
    sizes = [1 << power for power in range(10) if 1 << power <= gpus] if not given else [0]
    last: HwsimError = ScenarioError.of("has no GPU")
    for size in sizes:
        own = [*sets, *([f"serve.tensor_parallel_size={size}"] if size else [])]
        try:
            facts = check(load(_mapping(model, node), own)).facts
        except (FitError, ScenarioError) as error:
            last = error
            continue
        if "kv_tokens" not in facts:
            raise ScenarioError.of("is not simulated yet: " + ", ".join(facts.get("not_built", ["its kind"])))
        used = facts["tensor_parallel_size"]
        cost = None if price is None else price * used
        return Place(node, facts["gpu"], gpus, used, facts["kv_tokens"], facts["least_tpot_s"] * 1e3, cost)
    raise last


def _mapping(model: str, node: str) -> dict[str, Any]:
    return {"model": model, "system": {"node": node}, "serve": {"replicas": 1}}
