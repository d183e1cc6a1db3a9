"""Coefficients of the cost laws, read from the YAML of a device and stack and applied to a device's own peaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.cost.collective import CollectiveLaw
from hwsim.cost.decode import DecodeLaw
from hwsim.cost.efficiency.build import BUILDERS, PLAIN
from hwsim.cost.efficiency.relatives import SOFTWARE_YEARS, Accelerator, distance, lent_share
from hwsim.cost.gemm import GemmLaw
from hwsim.cost.gguf import GgufGemmLaw, GgufMoeLaw
from hwsim.cost.launch import LaunchLaw
from hwsim.cost.mla import MlaLaw
from hwsim.cost.moe import MoeLaw
from hwsim.cost.prefill import PrefillLaw
from hwsim.cost.scan import ScanLaw
from hwsim.cost.stream import StreamLaw
from hwsim.errors import Problem, ScenarioError, nearest

__all__ = ["Accelerator", "Efficiency", "find", "names", "read"]

FOLDER = Path(__file__).parent
SECTIONS = tuple(BUILDERS)
BORROWED_SPREAD = 2.0  # how much wider errors are on a device that was not measured
STATUSES = ("SEEN", "FIT", "BORROWED", "MEMORY")
OWN_KERNELS = ("llama.cpp",)  # stacks whose kernels are their own: the others share libraries


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The laws of one device under one software stack.

    ``borrowed`` names the device whose file this is when the device has none of its own; ``sections`` says for each
    section and part (``gemm.bf16``) of which device its coefficients are, ``statuses`` how well they are known, and
    ``spreads`` the standard deviation of the logarithm of their error on shapes that no fit saw (twice as wide where
    borrowed).  ``ranges`` are the least and the most of each argument among the rows that a part was fitted on.
    """

    name: str
    borrowed: str
    statuses: Mapping[str, str]
    sections: Mapping[str, str]
    spreads: Mapping[str, float]
    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    launch: LaunchLaw
    gemm: GemmLaw | GgufGemmLaw
    decode: DecodeLaw
    prefill: PrefillLaw
    mla: MlaLaw
    moe: MoeLaw | GgufMoeLaw
    scan: ScanLaw
    stream: StreamLaw
    collective: CollectiveLaw

    @property
    def source(self) -> str:
        """Where a price comes from, in one line."""
        return f"roofline with {self.name}" + (f", borrowed from {self.borrowed}" if self.borrowed else "")

    def without_launches(self) -> Efficiency:
        """The same laws with kernels that start in no time: what an ideal runtime would leave."""
        return replace(self, launch=LaunchLaw(0.0, 0.0, 0.0))

    def with_start(self, seconds: float) -> Efficiency:
        """The same laws with kernels that take so long to start in a graph."""
        return replace(self, launch=replace(self.launch, graph=seconds))


def names() -> list[str]:
    """All files of coefficients, without ending."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(device: Accelerator, stack: str = "vllm", *, name: str | None = None) -> Efficiency:
    """The coefficients of ``device`` under ``stack``; what it has none of is borrowed from its nearest relatives.

    ``name`` asks for one file.  Unknown names raise ``ScenarioError``.
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
    return read(_relatives(device, stack)[0], device)


def _relatives(device: Accelerator, stack: str) -> list[Path]:
    """Files of the stack, the device's own first, then by stack and by how near their design is.

    A stack with kernels of its own comes before all others, and the others never borrow from it.
    """

    def order(path: Path) -> tuple[bool, bool, float, str]:
        mapping = load(path)
        other = SOFTWARE_YEARS * (mapping["stack"] != stack)
        near = min(distance(device.architecture, each) for each in _designs(mapping)) + other
        return (_foreign(mapping, stack), not _is(device, path), near, path.name)

    paths = [FOLDER / f"{name}.yaml" for name in names()]
    return sorted((path for path in paths if not _foreign(load(path), stack) or stack in OWN_KERNELS), key=order)


def _foreign(mapping: dict[str, Any], stack: str) -> bool:
    """Whether kernels of a file are other than those of ``stack``."""
    return mapping["stack"] != stack and (mapping["stack"] in OWN_KERNELS or stack in OWN_KERNELS)


def _designs(mapping: dict[str, Any]) -> list[str]:
    """The designs that a file was measured on."""
    return [str(mapping["architecture"]), *mapping.get("architectures", ())]


@cache
def load(path: Path) -> dict[str, Any]:
    """A file of coefficients as it stands."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read(path: Path, device: Accelerator, *, only: bool = False) -> Efficiency:
    """The laws in a file, with the peaks of ``device``; missing sources and wrong units raise ``ScenarioError``.

    Sections and parts that the file lacks are taken from the nearest relatives that have them (``only``: no file of
    the device itself is a relative, as if it had never been measured).
    """
    mapping = load(path)
    others = [other for other in _relatives(device, str(mapping["stack"])) if other != path]
    if only:
        others = [other for other in others if not _is(device, other)]
    laws: dict[str, Any] = {}
    statuses: dict[str, str] = {}
    sections: dict[str, str] = {}
    spreads: dict[str, float] = {}
    ranges: dict[str, dict[str, tuple[float, float]]] = {}
    problems: list[Problem] = []
    for section, (field, build) in BUILDERS.items():
        merged = _merge(section, [path, *others], device)
        for part, (owner, content) in merged.items():
            where = f"{section}.{part}" if part else section
            problems += _check(content, f"{owner.name}: {where}")
            statuses[where] = _status(content, owner, device)
            sections[where] = str(load(owner)["device"])
            if part and isinstance(content, dict) and "range" in content:
                ranges[where] = {name: (float(low), float(high)) for name, (low, high) in content["range"].items()}
            if part and isinstance(content, dict) and "spread" in content:
                spreads[where] = content["spread"] * (1 if _is(device, owner) else BORROWED_SPREAD)
        if problems or not merged:
            continue
        first = next(iter(merged))
        key = f"{section}.{first}" if first else section
        statuses[section], sections[section] = statuses[key], sections[key]
        try:
            content = {
                part: each | {"status": statuses[f"{section}.{part}"]} | _lent(section, owner, device)
                for part, (owner, each) in merged.items()
                if part
            }
            laws[field] = build(content or merged[""][1], device)
        except (KeyError, ValueError) as error:
            text = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(text, f"{path.name}: {section}"))
    if problems:
        raise ScenarioError(problems)
    return Efficiency(
        path.stem, "" if _is(device, path) else str(mapping["device"]), statuses, sections, spreads, ranges, **laws
    )


def _lent(section: str, owner: Path, device: Accelerator) -> dict[str, float]:
    """Fused experts are written with a design's instructions; libraries of other laws choose theirs by device."""
    if section != "moe" or _is(device, owner):
        return {}
    return {"lent_share": lent_share(device.architecture, str(load(owner)["architecture"]))}


def _merge(section: str, paths: list[Path], device: Accelerator) -> dict[str, tuple[Path, Any]]:
    """Parts of a section, each with the first file that has it (``""``: a section without parts)."""
    found: dict[str, tuple[Path, Any]] = {}
    for path in _wired_alike(paths, device) if section == "collective" else paths:
        content = load(path).get(section)
        if content is None:
            continue
        if section in PLAIN:
            return {"": (path, content)}
        if not isinstance(content, dict):
            return {"": (path, content)}
        for part, each in content.items():
            found.setdefault(part, (path, each))
    return found


def _wired_alike(paths: list[Path], device: Accelerator) -> list[Path]:
    """Devices with NVLink or its like learn from each other about collectives, and so do those on PCIe."""
    direct = bool(device.link_bandwidth)
    return sorted(paths, key=lambda path: bool(load(path).get("direct_link", True)) != direct)


def _is(device: Accelerator, path: Path) -> bool:
    mapping = load(path)
    return device.product.casefold() in [str(name).casefold() for name in (mapping["device"], *mapping.get("on", ()))]


def _status(part: Any, owner: Path, device: Accelerator) -> str:
    status = part.get("status", "") if isinstance(part, dict) else ""
    return status if _is(device, owner) else "BORROWED"


def _check(part: Any, where: str) -> list[Problem]:
    if not isinstance(part, dict):
        return [Problem("not a section", where, str(part), "a mapping of coefficients")]
    if not part.get("source"):
        return [Problem("no source", where, expected="where the numbers come from")]
    if part.get("status") not in STATUSES:
        return [Problem("no status", where, str(part.get("status")), "one of " + ", ".join(STATUSES))]
    return []
