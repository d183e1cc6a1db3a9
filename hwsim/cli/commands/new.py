"""``hwsim new``: a commented file to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.cli.options import one_of
from hwsim.errors import ScenarioError
from hwsim.part import Parts

_TAKES = {
    "fit": ("--fit", ("workload",)),
    "from_vllm": ("--from-vllm", ("scenario",)),
    "node": ("--node", ("scenario",)),
    "like": ("--like", ("device",)),
    "question": ("--for", ("policy",)),
}


def new(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="scenario, workload, device or policy")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Its name.", show_default=False)] = None,
    fit: Annotated[
        str | None, typer.Option("--fit", metavar="TRACE", help="workload: resemble this trace (a name or a file).")
    ] = None,
    from_vllm: Annotated[
        str | None, typer.Option("--from-vllm", metavar="COMMAND", help='scenario: from "vllm serve MODEL …".')
    ] = None,
    node: Annotated[str | None, typer.Option("-n", "--node", help="scenario: where --from-vllm runs.")] = None,
    like: Annotated[str | None, typer.Option("--like", metavar="DEVICE", help="device: start from this one.")] = None,
    question: Annotated[
        str | None, typer.Option("--for", metavar="QUESTION", help="policy: what it decides (router, …).")
    ] = None,
) -> None:
    """Write a commented file to start from: hwsim new scenario|workload|device|policy NAME."""
    from hwsim.cli.new import Wish

    one_of("hwsim new", what, tuple(Parts("hwsim.cli.new").names()))
    options = {"fit": fit, "from_vllm": from_vllm, "node": node, "like": like, "question": question}
    for key, value in options.items():
        option, takers = _TAKES[key]
        if value is not None and what not in takers:
            raise ScenarioError.of(f"is not for a {what}", where=option, expected=f"hwsim new {takers[0]}")
    if name is None and fit is not None:
        name = Path(fit).name.partition(".")[0] + "-like"
    if name is None:
        raise ScenarioError.of("has no name", where=f"hwsim new {what}", expected=f"hwsim new {what} NAME")
    title = name.removesuffix(".yaml").removesuffix(".py")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/+-]*", title) or ".." in title:
        raise ScenarioError.of("is not a name", where="hwsim new", got=repr(name), expected="letters, digits, - and _")
    module = _module(what)
    path = Path(module.FILE.format(name=title, folder=module.folder(question) if what == "policy" else ""))
    if path.exists():
        raise ScenarioError.of("there is such a file already", where=str(path), expected="another name")
    text = module.PART(Wish(path.stem, str(path), **options))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise ScenarioError.of(f"cannot be written: {error.strerror}", where=str(path)) from None
    print(path)


def _module(kind: str) -> Any:
    return Parts("hwsim.cli.new").module(kind)


PART = new
