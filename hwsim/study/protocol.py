"""How a client measured: what a data set says about its load generator, or what is assumed of it, as a YAML file.

Every field has a value and where it is from; a field marked ``assumed`` has ``others``, the values under which the
sensitivity of the results is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.study.launch import Setup, options

FOLDER = Path(__file__).parent / "protocols"


@dataclass(frozen=True)
class Protocol:
    """A closed-loop or queued client.

    ``prompts_per_client`` times the clients (at least ``least_prompts``) requests are sent, all clients starting at
    once; prompt and answer lengths are uniform between ``length_low`` and ``length_high`` times the nominal ones;
    ``statistic`` is what is reported of TTFT and TPOT; ``seconds`` how long an open loop sends.
    ``arrivals`` is how an open loop spreads requests (poisson, constant).
    ``prompt`` and ``answer`` are the lengths of rows that give none.
    ``recv_interval`` is SGLang's ``scheduler_recv_interval`` for models whose names hold one of ``recv_models``, with
    ``recv_busy`` clients or more ``recv_interval_busy``.
    ``kv_cache_dtype`` is the format of the cache of models in 8 bits or less, with the engines of ``kv_engines``.
    ``rules`` are launch options of the server (:mod:`hwsim.study.launch`).
    ``fitted`` names the rows (``engine``, ``clients``, ``input_tokens``) on which constants were fitted.
    """

    name: str
    prompts_per_client: float = 10
    least_prompts: int = 1
    length_low: float = 1.0
    length_high: float = 1.0
    statistic: str = "mean"
    seconds: float = 30.0
    prompt: int = 512
    answer: int = 512
    arrivals: str = "poisson"
    recv_interval: int = 1
    recv_interval_busy: int = 1
    recv_busy: int = 1 << 30
    recv_models: tuple[str, ...] | list[str] = ()
    kv_cache_dtype: str | None = None
    kv_engines: tuple[str, ...] | list[str] = ("",)
    rules: tuple[Mapping[str, Any], ...] | list[Mapping[str, Any]] = ()
    fitted: Mapping[str, Any] | None = None
    others: tuple[tuple[str, Any], ...] = ()
    text: str = ""

    def launch(self, setup: Setup) -> dict[str, Any]:
        """Launch options of the server that the client's scripts set."""
        found = options(self.rules, setup)
        if setup.engine.casefold().startswith("sglang") and any(
            name in setup.model.casefold() for name in self.recv_models
        ):
            busy = setup.clients >= self.recv_busy
            found["scheduler_recv_interval"] = self.recv_interval_busy if busy else self.recv_interval
        return found

    def cache(self, engine: str) -> str | None:
        """Format of the KV cache of models in 8 bits or less, None where the engine's default holds."""
        return self.kv_cache_dtype if engine.casefold().startswith(tuple(self.kv_engines)) else None

    def split(self, engine: str, clients: int, tokens: int) -> str:
        """``fit`` for a row on which constants were fitted, otherwise ``score``."""
        if self.fitted is None or not engine.startswith(self.fitted["engine"]):
            return "score"
        return "fit" if (clients, tokens) == (self.fitted["clients"], self.fitted["input_tokens"]) else "score"

    def requests(self, clients: int) -> int:
        """Requests of a run with that many clients."""
        return max(self.least_prompts, round(self.prompts_per_client * clients), clients)

    def lengths(self, nominal: int) -> Any:
        """A length as a scenario writes it."""
        low, high = max(1, round(nominal * self.length_low)), max(1, round(nominal * self.length_high))
        return low if low == high else {"kind": "uniform", "min": low, "max": high}

    def longest(self, nominal: int) -> int:
        """The longest length that can be drawn."""
        return max(1, round(nominal * self.length_high))

    def alternatives(self) -> list[tuple[str, Protocol]]:
        """The protocol with one assumption changed at a time."""
        return [(f"{name} {value}", replace(self, **{name: value})) for name, value in self.others]


@cache
def protocol(name: str) -> Protocol:
    """The committed protocol of that name."""
    import yaml

    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    fields = {key: item["value"] for key, item in data["client"].items()}
    others = tuple((key, other) for key, item in data["client"].items() for other in item.get("others", ()))
    return Protocol(name, **fields, others=others, text=text)
