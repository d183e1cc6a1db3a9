"""The run folder, where a run is kept: resolved scenario, manifest, summary, tables, report.  As a format: a copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.export._replacing import replacing
from hwsim.export._tables import read_parquet, write_parquet

REQUIRED = {
    "requests": (
        "request_id",
        "arrival_s",
        "first_token_s",
        "finish_s",
        "input_tokens",
        "output_tokens",
        "status",
    ),
    "steps": (
        "replica",
        "steps",
        "start",
        "start_ticks",
        "first_duration",
        "slope",
        "decode_rows",
        "running",
        "waiting",
    ),
}
LATEST = "latest"

Tables = dict[str, dict[str, Any]]


def write_run_folder(
    directory: str | Path,
    resolved_yaml: str,
    manifest: Mapping[str, Any],
    summary: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, Any]],
    report_html: str | None = None,
) -> Path:
    """Write a run folder, whole or not at all, and return its path.

    It replaces an earlier run or an empty folder; any other folder or file there raises ``ScenarioError``.  In a
    folder called ``runs`` the link ``latest`` then leads to it.
    """
    target = Path(directory)
    _refuse_foreign(target)
    with replacing(target, folder=True) as fresh:
        _write_text(fresh / "scenario.yaml", resolved_yaml)
        _write_json(fresh / "manifest.json", manifest)
        _write_json(fresh / "summary.json", summary)
        for name, table in tables.items():
            write_parquet(fresh / f"{name}.parquet", table)
        from hwsim.export.vllm import document

        if "requests" in summary:  # a task graph serves nobody
            _write_json(fresh / "vllm.json", document(summary, manifest, tables))
        if report_html is not None:
            _write_text(fresh / "report.html", report_html)
    if target.parent.name == "runs":
        point_latest(target)
    return target


def _refuse_foreign(target: Path) -> None:
    """Replacing a folder deletes what is in it, so it must be an earlier run."""
    if not target.exists() or (target.is_dir() and (target / "manifest.json").is_file()):
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    raise ScenarioError.of(
        "exists and is not a run folder; it is left alone",
        where=str(target),
        expected="a new name, an empty folder or an earlier run",
    )


def point_latest(folder: Path) -> None:
    """Let ``latest`` beside ``folder`` lead to it: a link, or a file with its name where links cannot be made."""
    link, fresh = folder.parent / LATEST, folder.parent / f".{LATEST}-{folder.name}"
    if link.is_dir() and not link.is_symlink():
        return  # somebody's own folder
    try:
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(folder.name, target_is_directory=True)
        except (OSError, NotImplementedError):
            _write_text(fresh, folder.name + "\n")
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)


def resolve(path: str | Path) -> Path:
    """The folder meant by a path: itself, or the one that a ``latest`` written as a file names."""
    folder = Path(path)
    if folder.name == LATEST and folder.is_file():
        return folder.parent / folder.read_text(encoding="utf-8").strip()
    return folder


def read_run_folder(path: str | Path) -> tuple[dict[str, Any], dict[str, Any], Tables]:
    """Summary, manifest and tables of a run folder.

    A folder that is none, and missing or damaged files, raise ``ScenarioError`` with all that is wrong.
    """
    folder = resolve(path)
    if not (folder / "manifest.json").is_file():
        what = "is not a run folder" if folder.exists() else "no such run folder"
        raise ScenarioError.of(what, where=str(path), expected="a folder that hwsim run has written")
    problems: list[Problem] = []
    manifest = _read_json(folder / "manifest.json", problems)
    summary = _read_json(folder / "summary.json", problems)
    tables: Tables = {}
    for file in sorted(folder.glob("*.parquet")):
        try:
            tables[file.stem] = read_parquet(file)
        except ScenarioError as error:
            problems.extend(error.problems)
    for name, columns in REQUIRED.items():
        missing = [column for column in columns if name in tables and column not in tables[name]]
        if missing:
            problems.append(Problem(f"lacks the columns {', '.join(missing)}", str(folder / f"{name}.parquet")))
    if problems:
        raise ScenarioError(problems)
    return summary, manifest, tables


def read_resolved(path: str | Path) -> str:
    """The resolved scenario of a run folder, empty where it is missing."""
    file = resolve(path) / "scenario.yaml"
    return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _read_json(path: Path, problems: list[Problem]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(Problem("is missing", str(path), expected="a whole run folder"))
        return {}
    except (OSError, ValueError) as error:
        problems.append(Problem(f"is damaged: {error}", str(path), expected="JSON"))
        return {}
    if not isinstance(content, dict):
        problems.append(Problem("is damaged", str(path), got=type(content).__name__, expected="an object"))
        return {}
    return content


class RunFolderCopy:
    """A run folder as a format: everything is read, checked and written again."""

    suffix = "copy"

    def write(self, run_folder: str | Path, out: str | Path) -> Path:
        """Write a copy of ``run_folder`` to ``out``."""
        summary, manifest, tables = read_run_folder(run_folder)
        page = resolve(run_folder) / "report.html"
        report = page.read_text(encoding="utf-8") if page.is_file() else None
        return write_run_folder(out, read_resolved(run_folder), manifest, summary, tables, report)


PART = RunFolderCopy()
