"""A device: its product and the figures that are known of it, each with its source; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwsim.errors import ScenarioError
from hwsim.hardware.curve import Curve
from hwsim.units import format_quantity

STATUSES = ("SEEN", "SEEN2", "FIT", "BORROWED", "MEMORY", "GIVEN")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in the base unit of ``dimension``, where it comes from and how surely it is known.

    ``SEEN`` read in the source, ``SEEN2`` in an account of it, ``FIT`` computed from such rows, ``MEMORY`` general
    knowledge not checked, ``BORROWED`` measured on a relative, ``GIVEN`` by the scenario.
    """

    value: float
    dimension: str
    source: str
    status: str

    def __str__(self) -> str:
        return format_quantity(self.value, self.dimension)


@dataclass(frozen=True)
class Device:
    """``count`` equal devices of one kind in a node; figures are those of a single one.

    ``figures`` go by dotted name (``hbm.bandwidth``, ``peak.bf16``), and so do ``curves`` (``random_read``); ``text``
    holds what is no number (``raid``, ``bridge``).  ``product`` is the catalogue name that efficiencies are looked up
    by, ``name`` says so when changed.  ``ideal`` names times of a step that a what-if takes away (``launch``,
    ``host``).
    """

    name: str
    product: str
    kind: str
    figures: Mapping[str, Figure]
    architecture: str = ""
    count: int = 1
    text: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    ideal: tuple[str, ...] = ()

    def get(self, name: str, default: float | None = None) -> float | None:
        """The value of a figure in base units, or ``default`` when nobody gave one."""
        figure = self.figures.get(name)
        return default if figure is None else figure.value

    def need(self, name: str) -> float:
        """The value of a figure; a device without it raises ``ScenarioError`` that says how to give one."""
        figure = self.figures.get(name)
        if figure is None:
            raise ScenarioError.of(
                f"no {name} is known for {self.name}",
                where=f"{self.kind}.{name}",
                expected="a figure in the scenario",
            )
        return figure.value

    def peak(self, dtype: str) -> float:
        """Dense peak in FLOP/s of a number format; formats the device does not have raise ``ScenarioError``."""
        figure = self.figures.get(f"peak.{dtype}")
        if figure is None and dtype in ("fp16", "bf16"):
            figure = self.figures.get("peak.bf16" if dtype == "fp16" else "peak.fp16")
        if figure is None and dtype == "fp8_block":  # the same units, scaled block by block
            figure = self.figures.get("peak.fp8")
        if figure is None:
            known = sorted(name.removeprefix("peak.") for name in self.figures if name.startswith("peak."))
            raise ScenarioError.of(
                f"{self.name} does not compute in {dtype}",
                where="model.dtype",
                got=dtype,
                expected="a format that computes in " + ", ".join(known) if known else "a device with peaks",
            )
        return figure.value

    @property
    def sms(self) -> int:
        """Streaming multiprocessors (or compute units) of one device."""
        return int(self.need("sms"))

    @property
    def hbm_bandwidth(self) -> float:
        """Data-sheet bytes/s of the device's own memory."""
        return self.need("hbm.bandwidth")

    @property
    def hbm_bytes(self) -> int:
        """Bytes of the device's own memory that software sees: the usable ones if known, else the nominal ones."""
        usable = self.get("hbm.usable")
        return int(self.need("hbm.capacity") if usable is None else usable)

    @property
    def link_bandwidth(self) -> float:
        """Bytes/s per direction between devices of a node; 0 without such a link."""
        return self.get("nvlink.bandwidth", 0.0) or 0.0

    def hourly_price(self) -> dict[str, float] | None:
        """USD/h to rent one device, ``low``, ``median`` and ``high`` as far as known; None when nobody gave a price."""
        found = {key: self.get(f"hourly_price.{key}") for key in ("low", "median", "high")}
        known = {key: value for key, value in found.items() if value is not None}
        return known or None
