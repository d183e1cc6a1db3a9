"""Calibrate every device that a folder of tables measured, one process per core, and write their files together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.cost.efficiency import coefficients
from hwsim.errors import HwsimError, ScenarioError
from hwsim.hardware import Device
from hwsim.hardware.short_name import device_of
from hwsim.study.calibrate import table
from hwsim.study.calibrate.calibrate import Fitted, calibrate, samples_of
from hwsim.study.calibrate.ops import registry
from hwsim.study.calibrate.sample import Sample
from hwsim.study.calibrate.score import Score
from hwsim.study.calibrate.write import document, write

SMALL = 20_000  # rows that one process fits before others have started
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Line:
    """The error of one law in one case, as printed."""

    device: str
    law: str
    case: str
    software: str
    families: Score
    rows: Score


@dataclass(frozen=True)
class Calibrated:
    """One device: its file and what it says."""

    device: Device
    path: Path
    text: str
    lines: tuple[Line, ...]


def by_device(data: Path) -> dict[str, list[Path]]:
    """Tables of a folder by the short name of their device."""
    found: dict[str, list[Path]] = {}
    for path in table.find(data, registry.ALL):
        name = table.split_name(path, registry.ALL)
        assert name is not None
        found.setdefault(name[0], []).append(path)
    return found


def calibrate_folder(
    data: Path,
    *,
    device: Device | None = None,
    stack: str = "vllm",
    out: Path | None = None,
    source: str = "",
    progress: Progress = lambda share, text: None,
) -> list[Calibrated]:
    """Fit all laws and write one file per device; any error leaves all files as they were.

    ``device`` names what the tables were measured on when their names do not say, or picks one of several.
    """
    groups = by_device(data)
    devices: dict[str, Device] = {}
    for gpu in groups:
        try:
            devices[gpu] = device_of(gpu)
        except HwsimError:
            if device is None or len(groups) > 1:
                raise
            devices[gpu] = device
    if device is not None and len(groups) > 1:
        groups = {gpu: paths for gpu, paths in groups.items() if devices[gpu].product == device.product}
        if not groups:
            known = ", ".join(sorted({each.product for each in devices.values()}))
            raise ScenarioError.of(
                "no table of this device", where=str(data), got=device.name, expected=f"one of {known}"
            )
    elif device is not None:
        devices = dict.fromkeys(groups, device)
    samples = {gpu: samples_of(paths, devices[gpu], stack) for gpu, paths in groups.items()}
    fitted: dict[str, list[Fitted]] = {gpu: [] for gpu in groups}
    count = sum(len(each) for each in samples.values())
    for done, (gpu, found) in enumerate(_fits(samples, devices)):
        fitted[gpu].append(found)
        progress((done + 1) / count, f"{devices[gpu].name}: {found.sample.section} {found.sample.part}")
    results = []
    for gpu, found in fitted.items():
        path = out_path(out, devices[gpu], stack, several=len(groups) > 1)
        old: Mapping[str, Any] = coefficients.load(path) if path.exists() else {}
        text = document(found, devices[gpu], stack, source, old)
        results.append(Calibrated(devices[gpu], path, text, _lines(found, devices[gpu])))
    for result in results:
        write(result.path, result.text)
    return results


def out_path(out: Path | None, device: Device, stack: str, *, several: bool) -> Path:
    """Where a device's file goes: the shipped coefficients, a folder, or the file given."""
    name = f"{device.product}-{stack}.yaml".lower()
    if out is None:
        return coefficients.FOLDER / name
    if out.suffix in (".yaml", ".yml") and not several:
        return out
    out.mkdir(parents=True, exist_ok=True)
    return out / name


def _fits(samples: dict[str, list[Sample]], devices: dict[str, Device]) -> Iterator[tuple[str, Fitted]]:
    """Fits of all samples in order, in parallel where it pays."""
    from joblib import Parallel, delayed

    jobs = [(gpu, sample) for gpu, found in samples.items() for sample in found]
    if sum(len(sample.seconds) for _, sample in jobs) < SMALL:
        yield from (_one(gpu, sample, devices[gpu]) for gpu, sample in jobs)
        return
    work = (delayed(_one)(gpu, sample, devices[gpu]) for gpu, sample in jobs)
    options: dict[str, Any] = {"return_as": "generator", "batch_size": 1, "max_nbytes": None}
    found: Any = Parallel(n_jobs=-1, **options)(work)
    yield from found


def _one(gpu: str, sample: Sample, device: Device) -> tuple[str, Fitted]:
    return gpu, calibrate(sample, device)


def _lines(fitted: list[Fitted], device: Device) -> tuple[Line, ...]:
    return tuple(
        Line(
            device.name, f"{each.sample.section}.{each.sample.part}", case, each.sample.software, found, each.rows[case]
        )
        for each in fitted
        for case, found in each.families.items()
    )
