"""Coefficients of the cost laws, read from the YAML of a device and stack and applied to a device's own peaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from hwsim.cost.attention import DecodeLaw, PrefillLaw
from hwsim.cost.collective import Algorithm, AllReduceLaw
from hwsim.cost.gemm import GemmLaw
from hwsim.cost.launch import LaunchLaw
from hwsim.cost.stream import StreamLaw
from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.units import parse

FOLDER = Path(__file__).parent
SECTIONS = ("launch", "gemm", "attention_decode", "attention_prefill", "stream", "all_reduce")
STATUSES = ("SEEN", "FIT", "BORROWED", "MEMORY")


class Accelerator(Protocol):
    """What the laws need to know of a device."""

    @property
    def name(self) -> str: ...
    @property
    def product(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def sms(self) -> int: ...
    @property
    def hbm_bandwidth(self) -> float: ...
    @property
    def link_bandwidth(self) -> float: ...
    def peak(self, dtype: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The laws of one device under one software stack.

    ``borrowed`` names the device whose coefficients these are when the device has none of its own; ``statuses`` is
    how well each section is known.
    """

    name: str
    borrowed: str
    statuses: Mapping[str, str]
    launch: LaunchLaw
    gemm: GemmLaw
    decode: DecodeLaw
    prefill: PrefillLaw
    stream: StreamLaw
    collective: AllReduceLaw

    @property
    def source(self) -> str:
        """Where a price comes from, in one line."""
        return f"roofline with {self.name}" + (f", borrowed from {self.borrowed}" if self.borrowed else "")


def names() -> list[str]:
    """All files of coefficients, without ending."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(device: Accelerator, stack: str = "vllm", *, name: str | None = None) -> Efficiency:
    """The coefficients of ``device`` under ``stack``; those of its architecture are borrowed if it has none.

    ``name`` asks for one file.  Nothing to borrow and unknown names raise ``ScenarioError``.
    """
    known = names()
    if name is not None:
        if name not in known:
            raise ScenarioError.of(
                "unknown efficiency",
                where="cost.efficiency",
                got=name,
                expected="one of " + ", ".join(known),
                nearest=nearest(name, known),
            )
        return read(FOLDER / f"{name}.yaml", device)
    own = f"{device.product}-{stack}".casefold()
    if own in known:
        return read(FOLDER / f"{own}.yaml", device)
    for other in known:
        mapping = _load(FOLDER / f"{other}.yaml")
        if mapping["stack"] == stack and device.architecture and mapping["architecture"] == device.architecture:
            return read(FOLDER / f"{other}.yaml", device)
    raise ScenarioError.of(
        f"no efficiency is known for {device.name} under {stack}",
        where="cost.efficiency",
        expected="one of " + ", ".join(known) + " to borrow from",
    )


@cache
def _load(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read(path: Path, device: Accelerator) -> Efficiency:
    """The laws in a file, with the peaks of ``device``; missing sources and wrong units raise ``ScenarioError``."""
    mapping = _load(path)
    problems: list[Problem] = []
    for section in SECTIONS:
        part = mapping.get(section)
        where = f"{path.name}: {section}"
        if not isinstance(part, dict):
            problems.append(Problem("missing section", where))
        elif not part.get("source"):
            problems.append(Problem("no source", where, expected="where the numbers come from"))
        elif part.get("status") not in STATUSES:
            problems.append(Problem("no status", where, str(part.get("status")), "one of " + ", ".join(STATUSES)))
    if problems:
        raise ScenarioError(problems)
    try:
        return _laws(path.stem, mapping, device)
    except (KeyError, ValueError) as error:
        text = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ScenarioError.of(text, where=path.name) from error


def _laws(name: str, mapping: dict[str, Any], device: Accelerator) -> Efficiency:
    bandwidth = device.hbm_bandwidth
    launch, gemm, stream = mapping["launch"], mapping["gemm"], mapping["stream"]
    decode, prefill = mapping["attention_decode"], mapping["attention_prefill"]
    return Efficiency(
        name=name,
        borrowed="" if device.product.casefold() == mapping["device"].casefold() else mapping["device"],
        statuses={section: mapping[section]["status"] for section in SECTIONS},
        launch=LaunchLaw(*(_seconds(launch[key]) for key in ("graph", "eager", "host"))),
        gemm=GemmLaw(
            sms=device.sms,
            bandwidth=bandwidth,
            memory_efficiency=_share(gemm["memory"]),
            ramp=_seconds(gemm["ramp"]),
            tile_half=float(gemm["tile_half"]),
            depth=float(gemm["depth"]),
            exponent=float(gemm["exponent"]),
            compute={dtype: _share(share) for dtype, share in gemm["compute"].items()},
        ),
        decode=DecodeLaw(
            bandwidth=bandwidth,
            efficiency=_share(decode["memory"]),
            half=float(decode["half"]),
            floor=_seconds(decode["floor"]),
            base=_seconds(decode["base"]),
            per_item=_seconds(decode["per_item"]),
        ),
        prefill=PrefillLaw(
            efficiency=_share(prefill["compute"]),
            memory_efficiency=_share(prefill["memory"]),
            extra=float(prefill["extra"]),
            floor=_seconds(prefill["floor"]),
            exponent=float(prefill["exponent"]),
        ),
        stream=StreamLaw(bandwidth, _share(stream["memory"]), _seconds(stream["ramp"])),
        collective=_collective(mapping["all_reduce"], device.link_bandwidth),
    )


def _collective(section: dict[str, Any], link: float) -> AllReduceLaw:
    """Algorithms by group size; bandwidths scale with the device's own link."""
    scale = link / parse(section["link"], "bytes/s")
    custom = float(parse(section["most_custom"], "bytes"))
    found: dict[int, tuple[Algorithm, ...]] = {}
    if not link:
        return AllReduceLaw(found)
    for ranks in (key for key in section if isinstance(key, int)):
        ring = 2 * (ranks - 1) / ranks
        factors = {"one_shot": (ranks - 1, custom), "two_shot": (ring, custom), "ring": (ring, float("inf"))}
        found[ranks] = tuple(
            Algorithm(_seconds(row["alpha"]), parse(row["bandwidth"], "bytes/s") * scale, *factors[kind])
            for kind, rows in section[ranks].items()
            for row in rows
        )
    return AllReduceLaw(found)


def _seconds(text: object) -> float:
    return float(parse(text, "s"))


def _share(text: object) -> float:
    return float(parse(text, "share"))
