"""``hwsim calibrate``: cost laws from measured kernels, a device from measuring tools, or this machine."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Json, print_json
from hwsim.errors import ScenarioError


def calibrate(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="A table GPU_OP_SOFTWARE-VERSION.csv.gz or a folder.", show_default=False),
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Output of fio (JSON), mlc, nvbandwidth (JSON) or nccl-tests."),
    ] = None,
    bench: Annotated[
        list[Path] | None,
        typer.Option("--from-bench", metavar="FILE", help="Results of a benchmark client; may be given several times."),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="FILE", help="--from-bench: what was measured, as a scenario.")
    ] = None,
    constants: Annotated[
        str, typer.Option("--fit", metavar="NAMES", help="--from-bench: at most three constants of serve.site.")
    ] = "server_before,host_base,host_per_kernel",
    local: Annotated[bool, typer.Option("--local", help="Measure this machine.")] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="PATH", help="The file (or, for DATA, folder) to write.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", metavar="PRODUCT", help="DATA: the device (default: from file names).")
    ] = None,
    stack: Annotated[str, typer.Option("--stack", help="DATA: the software stack; its tables come first.")] = "vllm",
    source: Annotated[str, typer.Option("--source", help="DATA: where the tables are from, for the file.")] = "",
    like: Annotated[str | None, typer.Option(help="--from: the product whose other figures the device keeps.")] = None,
    name: Annotated[str | None, typer.Option(help="--from: name of the device; otherwise that of the file.")] = None,
    full: Annotated[bool, typer.Option("--full", help="--local: more sizes and longer runs.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--disk", metavar="DIR", help="--local: where to measure the disk (here).")
    ] = None,
    json: Json = False,
) -> int:
    """Fit cost laws to measured kernels in DATA, a site's host times to benchmarks, or write a device's file."""
    if (data is not None) + (measured is not None) + bool(bench) + local != 1:
        raise ScenarioError.of(
            "takes one source of figures",
            where="hwsim calibrate",
            expected="DATA, --from FILE, --from-bench FILE or --local",
        )
    if local:
        return _local(out, folder, full, json)
    if bench:
        return _bench(bench, scenario, constants, out, json)
    if measured is not None:
        return _tool(measured, out or Path("device.yaml"), like, name)
    assert data is not None
    return _tables(data, device, stack, out, source, json)


def _tool(measured: Path, out: Path, like: str | None, name: str | None) -> int:
    """Figures and curves of one device as a catalogue file, every number with the measurement as source."""
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


def _bench(files: list[Path], scenario: str | None, constants: str, out: Path | None, json: bool) -> int:
    """Host times of a site from results of a benchmark client."""
    from hwsim.study.calibrate.site import fit_site
    from hwsim.study.calibrate.write import write

    if scenario is None:
        raise ScenarioError.of("needs the scenario that was measured", where="--from-bench", expected="--scenario FILE")
    found = fit_site(scenario, files, [name.strip() for name in constants.split(",") if name.strip()])
    if json:
        print_json(found.to_json())
    else:
        print("\n".join(found.text()))
    if out is not None:
        write(out, found.document())
        print(f"written {out}", file=sys.stderr)
    return 0


def _local(out: Path | None, folder: Path | None, full: bool, json: bool) -> int:
    from hwsim.cli.progress import progress_bar
    from hwsim.study.calibrate.local.machine import document, measure
    from hwsim.study.calibrate.write import write

    with progress_bar("measure") as bar:
        found = measure(folder or Path("."), quick=not full, progress=bar or (lambda share, text: None))
    if json:
        print_json(found.to_json())
    elif out is None:
        print(document(found), end="")
    if out is not None:
        write(out, document(found))
        print(f"written {out}", file=sys.stderr)
    return 0


def _tables(data: Path, device: str | None, stack: str, out: Path | None, source: str, json: bool) -> int:
    from hwsim.cli.progress import progress_bar
    from hwsim.hardware.find import find_device
    from hwsim.study.calibrate.folder import calibrate_folder

    chosen = find_device(device, "gpu", where="--device") if device is not None else None
    with progress_bar("calibrate") as bar:
        results = calibrate_folder(
            data, device=chosen, stack=stack, out=out, source=source, progress=bar or (lambda share, text: None)
        )
    lines = [line for result in results for line in result.lines]
    if json:
        print_json(
            [{**asdict(line), "families": line.families._asdict(), "rows": line.rows._asdict()} for line in lines]
        )
    else:
        print(f"{'device':16}{'law':40}{'case':15}{'families left out':>30}{'random rows':>26}")
        print(f"{'':71}{'n':>9}{'median':>7}{'p90':>7}{'bias':>7}{'n':>8}{'median':>9}{'p90':>9}")
        for line in lines:
            one, two = line.families, line.rows
            left = f"{one.n:>9}{one.median:>7.1%}{one.p90:>7.1%}{one.bias:>+7.1%}" if one.n else f"{'none':>9}{'':21}"
            right = f"{two.n:>8}{two.median:>9.1%}{two.p90:>9.1%}"
            print(f"{line.device:16}{line.law:40}{line.case:15}{left}{right}")
    for result in results:
        print(f"written {result.path}", file=sys.stderr)
    return 0


PART = calibrate
