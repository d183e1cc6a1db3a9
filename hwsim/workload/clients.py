"""Many clients, each with its own rate, burstiness and lengths, as production services have them (ServeGen).

A client is a renewal process of its own; their superposition is neither Poisson nor one renewal process, and its
lengths depend on who is busy.  Simplification: a client's mean rate does not change during the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hwsim.errors import ScenarioError, nearest
from hwsim.units import parse
from hwsim.workload.drawn import drawn
from hwsim.workload.merged import merged
from hwsim.workload.requests import Requests

FOLDER = Path(__file__).parent / "presets" / "clients"
FIRST_CHUNK = 32
SIDES = ("input", "output")


def presets() -> list[str]:
    """The services whose clients were fitted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def preset(name: str) -> list[dict[str, Any]]:
    """The clients of a service, busiest first: share of the rate, gaps, lengths."""
    known = presets()
    if name not in known:
        raise ScenarioError.of(
            "unknown preset of clients",
            where="workload.clients.preset",
            got=name,
            expected=", ".join(known),
            nearest=nearest(name, known),
        )
    found = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    pooled = {side: _quantiles(found, side, found["pooled_probabilities"]) for side in SIDES}
    return [
        {**client, **{side: _quantiles(client, side, found["probabilities"]) or pooled[side] for side in SIDES}}
        for client in found["clients"].values()
    ]


def _quantiles(found: Mapping[str, Any], side: str, probabilities: list[float]) -> dict[str, Any] | None:
    values = found.get(f"{side}_quantiles")
    return {"kind": "empirical", "quantiles": values, "probabilities": probabilities} if values else None


def clients_of(name: str, spec: Mapping[str, Any], seed: int, folder: Path) -> Iterator[Requests]:
    """The requests of all clients of a stream in order of arrival, as many or as long as the stream says."""
    most = int(parse(spec["requests"], "count")) if spec.get("requests") is not None else None
    if most is None and not spec.get("duration"):
        raise ScenarioError.of("how many requests?", where="workload.requests", expected="requests: N or duration")
    members = _members(spec)
    streams = [
        drawn(f"{name}/client{i}", member, seed, folder, endless=True, chunk=FIRST_CHUNK)
        for i, member in enumerate(members)
    ]
    done = 0
    for chunk in merged(streams):
        if most is not None and done + len(chunk) >= most:
            yield chunk.part(0, most - done)
            return
        done += len(chunk)
        yield chunk


def _members(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A stream for every client, with what it leaves out taken from the stream that they share."""
    asked = spec["clients"]
    rate = float(parse(asked["rate"], "1/s"))
    count = int(parse(asked["count"], "count")) if asked.get("count") is not None else None
    if asked.get("preset") is not None:
        found = [dict(client) for client in preset(str(asked["preset"]))[:count]]
    else:
        skew = float(parse(asked.get("skew", 1), "number"))
        cv = asked.get("cv", 1)
        found = [{"share": (rank + 1) ** -skew, "cv": cv} for rank in range(count or 1)]
    total = sum(client["share"] for client in found)
    common = {key: value for key, value in spec.items() if key not in ("clients", "requests")}
    return [{**_stream(client, rate / total), **common} for client in found]


def _stream(client: Mapping[str, Any], rate: float) -> dict[str, Any]:
    own = f"{client['share'] * rate!r} /s"
    if client.get("weibull") is not None:
        arrivals = {"kind": "weibull", "rate": own, "shape": client["weibull"], "stationary": True}
    else:
        arrivals = {"kind": "gamma", "rate": own, "cv": client["cv"], "stationary": True}
    found: dict[str, Any] = {"arrivals": arrivals}
    return found | {f"{side}_tokens": client[side] for side in SIDES if side in client}
