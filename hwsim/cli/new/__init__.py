"""What ``hwsim new`` can write, one file each: ``PART`` is a function from :class:`Wish` to the text of a file.

``FILE`` is the path of that file, with ``{name}`` in it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wish:
    """What was asked for: the name and the options that some kinds of file take."""

    name: str
    file: str
    fit: str | None = None
    from_vllm: str | None = None
    node: str | None = None
    like: str | None = None
    question: str | None = None
