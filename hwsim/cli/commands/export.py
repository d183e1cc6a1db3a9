"""``hwsim export``: a finished run in the format of another program, or a scenario as a launch command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import PartsFolder, one_of, use_parts
from hwsim.errors import ScenarioError
from hwsim.part import Parts

_ENDINGS = {"perfetto": "pftrace", "vllm": "json", "aiperf": "json", "csv": "csv", "parquet": "parquet"}


def export(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A run folder, such as runs/latest, or a scenario (its launch command)."),
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="FORMAT", help="perfetto, vllm, aiperf, csv, …; of a scenario: vllm or sglang."),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Where to write it.")] = None,
    parts: PartsFolder = None,
) -> None:
    """Write a run folder in another format, or print the launch command of a scenario file."""
    use_parts(parts)
    if run.suffix in (".yaml", ".yml") and not run.is_dir():
        _launch(run, to, output)
        return
    part = Parts("hwsim.export").get(to)
    if not (run / "manifest.json").is_file():
        raise ScenarioError.of("is not a run folder", where=str(run), expected="a folder that hwsim run has written")
    written = part.write(run, output or run / f"{to}.{getattr(part, 'suffix', _ENDINGS.get(to, to)).lstrip('.')}")
    print(written)


def _launch(file: Path, to: str, output: Path | None) -> None:
    """The commands that start what the scenario simulates."""
    from hwsim.scenario.load import load

    launchers = Parts("hwsim.cli.launch")
    engines = tuple(name for name in ("vllm", "sglang") if name in launchers)
    text = launchers.get(one_of("--to", to, engines))(load(file))
    if output is None:
        print(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")
        print(output)


PART = export
