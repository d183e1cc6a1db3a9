"""A trace on disk as text: found by name, opened plain or gzipped, read by lines or JSON items of bounded size."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest

ENDINGS = ("", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet")
LONGEST_LINE = 4_000_000
LONGEST_ITEM = 16_000_000
HEAD = 1 << 16


class BadRow(ValueError):
    """A line that is no request: ``what``, ``got`` and ``expected`` for the message."""

    def __init__(self, what: str, got: object = "", expected: str = "") -> None:
        super().__init__(what)
        text = got if isinstance(got, str) else json.dumps(got, default=str) if isinstance(got, (dict, list)) else got
        self.what, self.got, self.expected = what, str(text)[:80], expected


def locate(name: str, folder: Path) -> Path:
    """The file that ``trace: name`` means: in the folders of ``HWSIM_DATA`` (and their ``traces/``), then beside."""
    folders = [Path(entry) for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep) if entry]
    places = [place for entry in folders for place in (entry, entry / "traces")] + [folder]
    for place in places:
        for ending in ENDINGS:
            path = place / f"{name}{ending}"
            if path.is_file():
                return path
    known = sorted({stem(path) for place in places if place.is_dir() for path in place.iterdir() if path.is_file()})
    searched = ", ".join(str(place) for place in places)
    raise ScenarioError.of(
        "trace not found",
        where="workload.trace",
        got=name,
        expected=f"a file in {searched} (folders of traces are named by HWSIM_DATA)",
        nearest=nearest(name, known),
    )


def stem(path: Path) -> str:
    """The file's name without the ending that ``trace:`` may leave out."""
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if ending and name.endswith(ending):
            return name.removesuffix(ending)
    return name


@contextmanager
def opened(path: Path) -> Iterator[io.TextIOWrapper]:
    """The text of a plain or gzipped file (gzip is known by its first bytes, not by its name)."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
            yield text


DAMAGE = (OSError, EOFError, UnicodeDecodeError, zlib.error)


def unreadable(path: Path, line: int, error: BaseException) -> ScenarioError:
    """The error for a file that ends in the middle, is no text, or cannot be opened."""
    return ScenarioError.of("cannot read the trace", where=f"{path}:{line}", got=str(error)[:120])


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a plain or gzipped text file, bounded in length; damaged files are named."""
    number = 0
    try:
        with opened(path) as text:
            while line := text.readline(LONGEST_LINE):
                number += 1
                if len(line) >= LONGEST_LINE:
                    raise ScenarioError.of("line too long", where=f"{path}:{number}", expected="under 4 MB a line")
                yield number, line
    except DAMAGE as error:
        raise unreadable(path, number + 1, error) from error


def head_of(path: Path) -> str:
    """The first 64 KiB of the text, by which formats are told apart; a file that is no text has none."""
    try:
        with opened(path) as text:
            return text.read(HEAD)
    except DAMAGE as error:
        raise unreadable(path, 1, error) from error


def items_of(path: Path, longest: int = LONGEST_ITEM) -> Iterator[tuple[int, Any]]:
    """(line, value) of every item of a JSON array, or of JSON values one after the other, each at most ``longest``.

    The value is a :class:`BadRow` where the text is no JSON; after it nothing more is read.
    """
    try:
        with opened(path) as text:
            yield from _Items(text, longest).all()
    except DAMAGE as error:
        raise unreadable(path, 1, error) from error


class _Items:
    """JSON values read piece by piece: only the item at hand and what was read beyond it are kept."""

    def __init__(self, text: io.TextIOWrapper, longest: int) -> None:
        self.text = text
        self.longest = longest
        self.buffer = ""
        self.at = 0
        self.line = 1
        self.ended = False
        self.decoder = json.JSONDecoder()

    def all(self) -> Iterator[tuple[int, Any]]:
        array = self._skip("") == "["
        self.at += array
        while True:
            here = self._skip("," if array else "")
            if here == "":
                if array:
                    yield self.line, BadRow("the file ends inside the list", "the end of the file", "a closing ]")
                return
            if array and here == "]":
                return
            value = self._value()
            yield self.line, value
            if isinstance(value, BadRow):
                return

    def _more(self) -> bool:
        """Read on, as much again as there is, so that a long item is scanned a few times only."""
        piece = self.text.read(max(HEAD, len(self.buffer) - self.at))
        self.buffer = self.buffer[self.at :] + piece
        self.at = 0
        self.ended = not piece
        return bool(piece)

    def _skip(self, separators: str) -> str:
        """The next character that is neither white space nor a separator, or nothing at the end."""
        while True:
            while self.at < len(self.buffer):
                mark = self.buffer[self.at]
                if mark == "\n":
                    self.line += 1
                elif not mark.isspace() and mark not in separators:
                    return mark
                self.at += 1
            if not self._more():
                return ""

    def _value(self) -> Any:
        while True:
            try:
                value, end = self.decoder.raw_decode(self.buffer, self.at)
            except RecursionError:
                return BadRow("nested too deeply", self.buffer[self.at : self.at + 40])
            except json.JSONDecodeError as error:
                # What is cut off by the end of what has been read fails at that end, or in a text that begins earlier.
                cut = error.pos >= len(self.buffer) - 32 or error.msg.startswith("Unterminated")
                if cut and not self.ended:
                    if len(self.buffer) - self.at >= self.longest:
                        return BadRow("too long", f"an item of over {self.longest // 10**6} MB")
                    self._more()
                    continue
                self.line += self.buffer.count("\n", self.at, error.pos)
                got = self.buffer[error.pos : error.pos + 40].strip()
                return BadRow("not JSON", got or "the end of the file", error.msg)
            self.line += self.buffer.count("\n", self.at, end)
            self.at = end
            return value
