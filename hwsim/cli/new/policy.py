"""A policy (or another one-file part) of one's own: Python found with ``--parts``, with a body that works."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from hwsim.cli.new import Wish
from hwsim.cli.options import one_of
from hwsim.errors import ScenarioError

_FOLDERS = {
    "router": "serving/policies/router",
    "arrivals": "workload/arrivals",
    "lengths": "workload/lengths",
    "trace": "workload/traces",
}
DEFAULT = "router"
FILE = "parts/{folder}/{name}.py"


def folder(question: str | None) -> str:
    """The folder under ``--parts`` where such a part is found."""
    return _FOLDERS[one_of("--for", question or DEFAULT, tuple(_FOLDERS))]


def policy(wish: Wish) -> str:
    """The text of the module: parameters, a docstring that says what it models, and ``PART``."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", wish.name) or keyword.iskeyword(wish.name):
        raise ScenarioError.of(
            "is no name of a module", where="hwsim new policy", got=repr(wish.name), expected="small letters, digits, _"
        )
    question = wish.question or DEFAULT
    title = "".join(word.capitalize() for word in wish.name.split("_"))
    template = Path(__file__).with_name("templates") / f"{question}.txt"
    return template.read_text(encoding="utf-8").replace("NAME", wish.name).replace("TITLE", title)


PART = policy
