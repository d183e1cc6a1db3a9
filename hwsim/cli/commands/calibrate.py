"""``hwsim calibrate``: a device's catalogue file from what measuring tools printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.errors import ScenarioError


def calibrate(
    measured: Annotated[
        Path,
        typer.Option("--from", metavar="FILE", help="Output of fio (JSON), mlc, nvbandwidth (JSON) or nccl-tests."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")] = Path("device.yaml"),
    like: Annotated[str | None, typer.Option(help="The product whose other figures the device keeps.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the device; otherwise that of the file.")] = None,
) -> int:
    """Write the figures and curves of one device as a catalogue file, every number with the measurement as source."""
    from hwsim.study.calibrate.measured import device_yaml, read

    found = read(measured)
    called = name or out.stem
    if out.exists() and out.is_dir():
        raise ScenarioError.of("is a folder", where="-o", got=str(out), expected="a file to write")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(device_yaml(found, called, f"measured with {found.tool}, {measured.name}", like), encoding="utf-8")
    what = [f"{len(found.figures)} figures"] + [
        f"{key} at {len(points)} points" for key, points in found.points.items()
    ]
    print(f"{out}: {found.kind} {called}, {', '.join(what)}")
    return 0


PART = calibrate
