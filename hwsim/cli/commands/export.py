"""``hwsim export``: a finished run in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import PartsFolder, use_parts
from hwsim.errors import ScenarioError
from hwsim.part import Parts

_ENDINGS = {"perfetto": "pftrace", "vllm": "json", "aiperf": "json", "csv": "csv", "parquet": "parquet"}


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/latest.")],
    to: Annotated[str, typer.Option("--to", metavar="FORMAT", help="perfetto, vllm, aiperf, csv, parquet, …")],
    output: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Where to write it.")] = None,
    parts: PartsFolder = None,
) -> None:
    """Write the run folder RUN in another format."""
    use_parts(parts)
    part = Parts("hwsim.export").get(to)
    if not (run / "manifest.json").is_file():
        raise ScenarioError.of("is not a run folder", where=str(run), expected="a folder that hwsim run has written")
    written = part.write(run, output or run / f"{to}.{getattr(part, 'suffix', _ENDINGS.get(to, to)).lstrip('.')}")
    print(written)


PART = export
