"""Results of ``vllm bench serve --save-result --save-detailed``: the requests of a measured run, to be sent again.

The file is one JSON object with lists per request; without ``start_times`` (older versions) it tells lengths only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwsim.workload.trace import BadRow, Remark, Row, items_of, moment, whole

LARGEST = 256_000_000
FAILED = "requests failed when the result was taken and are left out"


class Vllm:
    """The simulator's own ``hwsim export --to vllm`` is read back to the same requests."""

    UNORDERED = True

    @staticmethod
    def matches(head: str) -> bool:
        """True for a result file of vLLM's benchmark."""
        names = ('"request_throughput"', '"output_throughput"', '"total_input_tokens"')
        return head.lstrip().startswith("{") and ('"input_lens"' in head or sum(name in head for name in names) >= 2)

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every request; all of them stand on the line where the object begins."""
        results = items_of(path, LARGEST)
        number, result = next(results, (1, BadRow("the file is empty", "", "a JSON object")))
        try:
            if isinstance(result, BadRow):
                raise result
            if not isinstance(result, dict):
                raise BadRow("not a result", result, "one JSON object")
            if next(results, None) is not None:
                raise BadRow("several results in one file", "", "one; split the lines of --append-result")
            columns = _columns(result)
        except BadRow as problem:
            yield number, problem
            return
        for place, cells in enumerate(zip(*columns, strict=True)):
            try:
                yield number, _row(*cells)
            except BadRow as problem:
                problem.what += f" (request {place})"
                yield number, problem


def _columns(result: Mapping[str, Any]) -> list[list[Any]]:
    inputs = result.get("input_lens")
    if not isinstance(inputs, list):
        raise BadRow("input_lens is missing", ", ".join(list(result)[:6]), "a result saved with --save-detailed")
    count = len(inputs)
    found = []
    for name in ("start_times", "input_lens", "output_lens", "errors"):
        column = result.get(name)
        if column is None and name in ("start_times", "errors"):
            column = [None] * count
        if not isinstance(column, list) or len(column) != count:
            size = f"{len(column)} values" if isinstance(column, list) else column
            raise BadRow(f"{name} does not match input_lens", size, f"a list of {count}")
        found.append(column)
    return found


def _row(start: Any, prompt: Any, output: Any, error: Any) -> Row | Remark:
    tokens = whole(output, "output_lens", least=0)
    if error or not tokens:
        return Remark(FAILED)
    time = None if start is None else moment(start, "start_times")
    return Row(time, whole(prompt, "input_lens"), tokens)


PART = Vllm
