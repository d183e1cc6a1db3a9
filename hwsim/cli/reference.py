"""The reference pages of the documentation, written from the parts themselves: ``python -m hwsim.cli.reference DIR``.

Nothing is said here that a docstring, a schema or a catalogue file does not say, so a page is stale as soon as one of
them changes; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hwsim.cli.shelves import Shelf, shelves

_PARTS = ("arrivals", "lengths", "readers", "routers", "handovers", "schedulers", "patterns", "networks")
_HEADING = "<!-- Written by `make reference` from the code. -->"


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    known = shelves()
    made = {
        "commands.md": _page("Commands", "Every command with its options.", _commands()),
        "language.md": _page("The scenario language", "Every record of a scenario and its keys.", _language()),
        "parts.md": _page("Parts", "What stands behind each name of a choice.", _parts(known)),
        "metrics.md": _page("Metrics", "Names for `slo`, `assert`, `study` and `claims`.", _metrics()),
        "catalogue.md": _page("Catalogue", "Devices, machines, models, engines.", _catalogue(known)),
    }
    made["README.md"] = _page(
        "Reference",
        "Pages written from the code: what `hwsim show`, `hwsim schema` and `--help` say, to read in one place.",
        [f"- [{text.splitlines()[2].removeprefix('# ')}]({name})" for name, text in made.items()],
    )
    return made


def _page(title: str, lead: str, lines: Iterable[str]) -> str:
    return "\n".join([_HEADING, "", f"# {title}", "", lead, "", *lines]).rstrip() + "\n"


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |"
    yield ""


def _commands() -> Iterator[str]:
    import typer

    from hwsim.cli.app import build

    group = typer.main.get_command(build())
    commands: dict[str, Any] = getattr(group, "commands", {})
    for name, command in commands.items():
        yield f"## hwsim {name}"
        yield ""
        yield " ".join(str(command.help or "").split())
        yield ""
        rows = []
        for option in command.params:
            shown = option.metavar or option.name if option.param_type_name == "argument" else ", ".join(option.opts)
            rows.append((f"`{shown}`", str(getattr(option, "help", "") or "")))
        yield from _table(("Option", "Meaning"), rows)


def _language() -> Iterator[str]:
    from hwsim.scenario.schema.export import json_schema

    schema = json_schema()
    top = {key: value for key, value in schema.items() if key != "$defs"}
    for title, record in [("Scenario", top), *sorted(schema["$defs"].items())]:
        yield f"## {title}"
        yield ""
        yield " ".join(str(record.get("description", "")).split())
        yield ""
        rows = [(f"`{key}`", _form(value), _default(value)) for key, value in record.get("properties", {}).items()]
        yield from _table(("Key", "Value", "If left out"), rows)


def _form(value: dict[str, Any]) -> str:
    """What may stand at a key, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.casefold()})"
    if "description" in value:
        return str(value["description"])
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{item}`" for item in value["enum"])
    for key in ("anyOf", "oneOf"):
        if key in value:
            forms = [_form(arm) for arm in value[key] if arm.get("type") != "null"]
            return "; or ".join(dict.fromkeys(form for form in forms if form))
    members = value.get("patternProperties") or value.get("additionalProperties")
    if isinstance(members, dict) and members:
        inner = next(iter(members.values())) if "patternProperties" in value else members
        return f"by name: {_form(inner)}"
    if value.get("type") == "array":
        return f"a list: {_form(value.get('items', {}))}".removesuffix(": ")
    kinds = value.get("type", "")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _default(value: dict[str, Any]) -> str:
    """The default that the language gives; None means that an engine, a device or the model decides."""
    if "default" not in value:
        inner = [_default(arm) for arm in value.get("anyOf", ())]
        return next((text for text in inner if text), "")
    return "" if value["default"] is None else f"`{value['default']}`"


def _parts(known: dict[str, Shelf]) -> Iterator[str]:
    for title in _PARTS:
        shelf = known[title]
        yield f"## {title}: {shelf.title}"
        yield ""
        for name in shelf.names():
            document, _, fields = shelf.text(name).partition("\n  ")
            yield f"### {name}"
            yield ""
            yield document.strip()
            yield ""
            if fields:
                pairs = (line.strip().partition(": ") for line in fields.splitlines())
                yield from _table(("Key", "Value"), [(f"`{key}`", text) for key, _, text in pairs])


def _metrics() -> Iterator[str]:
    from hwsim.metrics.registry import items

    rows = [(f"`{name}`", metric.unit, metric.definition) for name, metric in items()]
    yield from _table(("Name", "Unit", "Definition"), rows)


def _catalogue(known: dict[str, Shelf]) -> Iterator[str]:
    for title in ("nodes", "devices", "engines", "presets", "clients", "models"):
        yield f"## {title}: {known[title].title}"
        yield ""
        yield from _table(("Name", "About"), ((f"`{name}`", text) for name, text in known[title].names().items()))


def write(folder: Path) -> None:
    """Write every page to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
