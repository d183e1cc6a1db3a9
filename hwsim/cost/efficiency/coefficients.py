"""Coefficients of the cost laws, read from the YAML of a device and stack and applied to a device's own peaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hwsim.cost.collective import CollectiveLaw
from hwsim.cost.decode import DecodeLaw
from hwsim.cost.efficiency.build import BUILDERS
from hwsim.cost.efficiency.relatives import Accelerator, distance
from hwsim.cost.gemm import GemmLaw
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
STATUSES = ("SEEN", "FIT", "BORROWED", "MEMORY")


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The laws of one device under one software stack.

    ``borrowed`` names the device whose file this is when the device has none of its own; ``sections`` says for each
    section of which device its coefficients are, ``statuses`` how well they are known.
    """

    name: str
    borrowed: str
    statuses: Mapping[str, str]
    sections: Mapping[str, str]
    launch: LaunchLaw
    gemm: GemmLaw
    decode: DecodeLaw
    prefill: PrefillLaw
    mla: MlaLaw
    moe: MoeLaw
    scan: ScanLaw
    stream: StreamLaw
    collective: CollectiveLaw

    @property
    def source(self) -> str:
        """Where a price comes from, in one line."""
        return f"roofline with {self.name}" + (f", borrowed from {self.borrowed}" if self.borrowed else "")


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
    """All files, the device's own first, then by stack and by how near their design is."""

    def order(path: Path) -> tuple[bool, bool, float, str]:
        mapping = _load(path)
        own = str(mapping["device"]).casefold() == device.product.casefold()
        other_stack = mapping["stack"] != stack
        return (not own, other_stack, distance(device.architecture, mapping["architecture"]), path.name)

    return sorted((FOLDER / f"{name}.yaml" for name in names()), key=order)


@cache
def _load(path: Path) -> dict[str, Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read(path: Path, device: Accelerator) -> Efficiency:
    """The laws in a file, with the peaks of ``device``; missing sources and wrong units raise ``ScenarioError``.

    A section that the file lacks is taken from the nearest relative that has it.
    """
    mapping = _load(path)
    stack = str(mapping.get("stack", "vllm"))
    laws: dict[str, Any] = {}
    statuses: dict[str, str] = {}
    sections: dict[str, str] = {}
    problems: list[Problem] = []
    for section, (field, build) in BUILDERS.items():
        owner = path if section in mapping else _owner(section, device, stack)
        part = _load(owner)[section]
        found = _check(part, f"{owner.name}: {section}")
        problems += found
        if found:
            continue
        try:
            laws[field] = build(part, device)
        except (KeyError, ValueError) as error:
            text = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
            problems.append(Problem(text, f"{owner.name}: {section}"))
        own = str(_load(owner)["device"])
        statuses[section] = part["status"] if own.casefold() == device.product.casefold() else "BORROWED"
        sections[section] = own
    if problems:
        raise ScenarioError(problems)
    other = "" if device.product.casefold() == mapping["device"].casefold() else mapping["device"]
    return Efficiency(path.stem, other, statuses, sections, **laws)


def _owner(section: str, device: Accelerator, stack: str) -> Path:
    return next(path for path in _relatives(device, stack) if section in _load(path))


def _check(part: Any, where: str) -> list[Problem]:
    if not isinstance(part, dict):
        return [Problem("not a section", where, str(part), "a mapping of coefficients")]
    if not part.get("source"):
        return [Problem("no source", where, expected="where the numbers come from")]
    if part.get("status") not in STATUSES:
        return [Problem("no status", where, str(part.get("status")), "one of " + ", ".join(STATUSES))]
    return []
