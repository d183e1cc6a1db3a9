"""``hwsim schema``: the JSON Schema of the scenario language, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import PartsFolder, print_json, use_parts


def schema(
    output: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it to a file.")] = None,
    parts: PartsFolder = None,
) -> None:
    """Print the JSON Schema of scenario files; editors then complete keys and show units."""
    from hwsim.scenario.schema.export import json_schema

    use_parts(parts)
    if output is None:
        print_json(json_schema())
        return
    import json
    import os

    fresh = output.with_name(f".{output.name}.{os.getpid()}")
    fresh.write_text(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    fresh.replace(output)


PART = schema
