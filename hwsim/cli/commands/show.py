"""``hwsim show``: what names there are, and what stands behind a name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Json, PartsFolder, print_json, use_parts
from hwsim.errors import ScenarioError, nearest


def show(
    what: Annotated[
        str | None,
        typer.Argument(metavar="WHAT", help="A list (metrics, devices, nodes, models, …), a name, a trace."),
    ] = None,
    json: Json = False,
    parts: PartsFolder = None,
) -> None:
    """List names (hwsim show devices) or print what stands behind one (hwsim show H100-SXM)."""
    from hwsim.cli.shelves import shelves, trace_facts, trace_statistics

    use_parts(parts)
    known = shelves()
    if what is None:
        _print_lines({name: shelf.title for name, shelf in known.items()}, json)
    elif what in known:
        _print_lines(known[what].names(), json)
    elif Path(what).is_file():
        if json:
            print_json(trace_facts(what))
        else:
            print(trace_statistics(what))
    else:
        _print_entry(what, json)


def _print_lines(lines: dict[str, str], json: bool) -> None:
    if json:
        print_json(lines)
        return
    width = min(40, max(map(len, lines), default=0))
    for name, text in lines.items():
        print(f"{name:<{width}}  {text}".rstrip())


def _print_entry(name: str, json: bool) -> None:
    """The entry of that name, from whichever shelf has it."""
    from hwsim.cli.shelves import shelves, trace_facts

    names: dict[str, str] = {title: title for title in shelves()}
    for title, shelf in shelves().items():
        found = shelf.names()
        folded = {entry.casefold(): entry for entry in found}
        if name.casefold() in folded:
            entry = folded[name.casefold()]
            if json and title == "traces":
                print_json(trace_facts(entry))
                return
            text = shelf.text(entry)
            if json:
                print_json({"name": entry, "list": title, "text": text})
            else:
                print(text)
            return
        names |= dict.fromkeys(found, title)
    raise ScenarioError.of(
        f"nothing is called {name!r}",
        where="hwsim show",
        expected="one of the lists " + ", ".join(shelves()) + ", or a name from them",
        nearest=nearest(name, names),
    )


PART = show
