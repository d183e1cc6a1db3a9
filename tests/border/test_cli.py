"""The command line: exit codes, what goes where, and no traceback whatever comes in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.commands.run import _window
from hwsim.errors import FitError, Problem, ScenarioError
from hwsim.part import Parts

ROOT = Path(__file__).parents[2]
GOOD = """\
model: meta-llama/Llama-3.1-8B
system: {node: dgx-h100}
serve: {}
workload: {requests: 10, arrivals: {kind: poisson, rate: 10 /s}, input_tokens: 512, output_tokens: 512}
"""


class FakeResult:
    """What a run gives back, as far as the command line looks at it."""

    def __init__(self, name: str, misses: list[str]) -> None:
        self.summary = {"name": name, "digest": "0123456789abcdef", "cost_usd": None}
        self.misses = misses

    def screen(self) -> str:
        return f"screen of {self.summary['name']}"

    def folder_name(self) -> str:
        return f"{self.summary['name']}-0123456789".replace(" ", "-")

    def save(self, directory: Path | None = None, *, report: bool = True) -> Path:
        folder = directory or Path("runs") / self.folder_name()
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(self.summary))
        if report:
            (folder / "report.html").write_text("<html>")
        return folder


class FakeRun:
    """Stands for the simulation: remembers how it was called, gives a result or raises."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []
        self.misses: list[str] = []
        self.error: BaseException | None = None

    def __call__(self, scenario: Any, **options: Any) -> FakeResult:
        self.calls.append((scenario, options))
        if self.error is not None:
            raise self.error
        return FakeResult(scenario.name, self.misses)


class FakeCheck:
    """What a check gives back."""

    problems: list[Problem] = []  # noqa: RUF012

    def lines(self) -> list[str]:
        return ["fits: 42 sequences"]

    def to_json(self) -> dict[str, Any]:
        return {"fits": True}


def _module(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeRun:
    run = FakeRun()
    _module(monkeypatch, "hwsim.scenario.run", run=run)
    _module(monkeypatch, "hwsim.scenario.check", check=lambda scenario: FakeCheck())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HWSIM_TRACEBACK", raising=False)
    (tmp_path / "good.yaml").write_text(GOOD)
    return run


def test_run_prints_the_result_and_keeps_it(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "good.yaml", "-s", "serve.max_num_seqs=64", "--seed", "7", "--record", "full"]) == 0
    out, err = capsys.readouterr()
    assert out == "screen of good\n"
    assert "runs/good-0123456789" in err
    assert json.loads(Path("runs/latest/summary.json").read_text())["name"] == "good"
    scenario, options = fake.calls[0]
    assert scenario.spec.serve.max_num_seqs == 64
    assert options == {"seed": 7, "record": "full", "window": None, "single_step": False, "progress": None}


def test_run_as_json_into_a_folder(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", "good.yaml", "--json", "-o", "mine", "--window", "0:60s", "--single-step", "--report", "off"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["cost_usd"] is None
    assert sorted(path.name for path in Path("mine").iterdir()) == ["summary.json"]
    assert not Path("runs").exists()
    assert (fake.calls[0][1]["window"], fake.calls[0][1]["single_step"]) == ((0.0, 60.0), True)


def test_several_files_give_a_folder_and_a_line_each(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.yaml").write_text("extends: good.yaml\nname: second run\n")
    assert main(["run", "good.yaml", "other.yaml", "--json", "-o", "mine"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == ["good", "second run"]
    assert sorted(path.name for path in Path("mine").iterdir()) == [
        "good-0123456789",
        "second-run-0123456789",
    ]


def test_misses_count_only_under_assert(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    fake.misses = ["ttft.p99 <= 2 s: 3.1 s"]
    assert main(["run", "good.yaml", "-o", "a"]) == 0
    assert main(["run", "good.yaml", "-o", "b", "--assert"]) == 1
    assert "missed: good: ttft.p99 <= 2 s: 3.1 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (ScenarioError.of("bad", where="x.yaml:1:1"), 2, "error: x.yaml:1:1: bad"),
        (FitError.of("weights do not fit", got="140 GB"), 3, "cannot serve: weights do not fit; got 140 GB"),
        (ZeroDivisionError("by\nzero"), 4, "internal error: ZeroDivisionError: by zero"),
        (RecursionError(), 4, "nested too deeply"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_exit_codes(
    fake: FakeRun, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, says: str
) -> None:
    fake.error = error
    assert main(["run", "good.yaml"]) == code
    out, err = capsys.readouterr()
    assert out == "" and says in err and "Traceback" not in err
    assert not Path("runs").exists()


def test_a_traceback_only_on_request(fake: FakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_TRACEBACK", "1")
    fake.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["run", "good.yaml"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "none.yaml"],
        ["run"],
        ["run", "good.yaml", "-m", "x"],
        ["run", "good.yaml", "--yaml"],
        ["run", "good.yaml", "--record", "all"],
        ["run", "good.yaml", "--report", "maybe"],
        ["run", "good.yaml", "--window", "60"],
        ["run", "good.yaml", "--window", "9s:3s"],
        ["run", "good.yaml", "-s", "x"],
        ["run", "good.yaml", "--seed", "x"],
        ["run", "good.yaml", "--seed", "-1"],
        ["run", "good.yaml", "--parts", "none"],
        ["run", "good.yaml", "--no-such-option"],
        ["run", "-m", "x", "-n", "y"],
        ["run", "-m", "x", "-n", "y", "--rate", "10"],
        ["run", "-m", "x", "-n", "y", "--trace", "t", "--rate", "10/s"],
        ["run", "-m", "x", "-n", "y", "--trace", "t", "--input", "3"],
        ["run", "-n", "y", "--rate", "10/s", "--input", "many"],
        ["check"],
        ["check", "none.yaml"],
        ["show", "no-such-thing-anywhere"],
        ["export", "nowhere", "--to", "nothing"],
        ["new", "novel", "x"],
        ["new", "scenario", "../?"],
        ["dance"],
    ],
)
def test_bad_usage_ends_with_2(fake: FakeRun, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.strip() and "Traceback" not in err
    assert fake.calls == []


def test_the_problems_of_all_files_come_at_once(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("serv: {}\n")
    Path("b.yaml").write_text("serve: {max_num_seq: 1}\n")
    assert main(["run", "a.yaml", "b.yaml"]) == 2
    err = capsys.readouterr().err
    assert "a.yaml:1:1" in err and "b.yaml:1:9" in err and "did you mean max_num_seqs?" in err


def test_a_run_without_a_file_prints_the_file_that_does_the_same(
    fake: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-m", "meta-llama/Llama-3.1-8B", "-n", "dgx-h100", "--rate", "10/s"]
    options += [
        "--input",
        "512",
        "--output",
        "128",
        "--requests",
        "50",
        "--tp",
        "2",
        "-s",
        "serve.max_num_seqs=8",
    ]
    assert main(["run", *options]) == 0
    printed = capsys.readouterr()
    assert "max_num_seqs: 8" in printed.err and "screen of" in printed.out
    assert main(["run", *options, "--yaml"]) == 0
    text = capsys.readouterr().out
    Path("same.yaml").write_text(text)
    assert main(["run", "same.yaml", "-o", "same"]) == 0
    assert len(fake.calls) == 2
    assert fake.calls[0][0].spec == fake.calls[1][0].spec
    assert fake.calls[0][0].spec.workload.output_tokens.value == 128
    assert fake.calls[0][0].spec.serve.tensor_parallel_size == 2


def test_a_run_of_a_trace_without_a_file(fake: FakeRun) -> None:
    assert main(["run", "-m", "x", "-n", "y", "--trace", "azure_conv", "--requests", "100"]) == 0
    assert fake.calls[0][0].tree["workload"] == {"trace": "azure_conv", "first": 100}


@pytest.mark.parametrize(
    ("text", "window"),
    [("0:60s", (0.0, 60.0)), ("1 min:2 min", (60.0, 120.0)), (":5 ms", (0.0, 0.005)), (None, None)],
)
def test_windows(text: str | None, window: tuple[float, float] | None) -> None:
    assert _window(text) == window


def test_check(fake: FakeRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["check", "good.yaml"]) == 0
    assert capsys.readouterr().out == "fits: 42 sequences\n"
    assert main(["check", "good.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"fits": True}
    monkeypatch.setattr(FakeCheck, "problems", [Problem("weights do not fit")])
    assert main(["check", "good.yaml"]) == 3
    assert "weights do not fit" in capsys.readouterr().err
    Path("bad.yaml").write_text("serv: 1\n")
    assert main(["check", "good.yaml", "bad.yaml"]) == 3
    assert "bad.yaml:1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (None, "metrics"),
        ("metrics", "ttft.p99"),
        ("ttft.p99", "time to first token"),
        ("devices", "H100-SXM"),
        ("h100-sxm", "bandwidth: {value:"),
        ("nodes", "dgx-h100"),
        ("models", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/Llama-3.1-8B", "num_hidden_layers: 32"),
        ("engines", "vllm-0.33"),
        ("vllm-0.33", "block_size"),
        ("arrivals", "exponential gaps"),
        ("poisson", "rate: 10 /s"),
        ("lengths", "lognormal"),
        ("presets", "sharegpt-input"),
        ("sharegpt-input", "input_quantiles"),
        ("traces", "tiny"),
        ("tiny", "requests  "),
        ("data/tiny.csv", "requests/s"),
        ("formats", ""),
    ],
)
def test_show(
    fake: FakeRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    what: str | None,
    says: str,
) -> None:
    Path("data").mkdir()
    Path("data/tiny.csv").write_text("arrival_s,input_tokens,output_tokens\n0,10,5\n1,20,5\n2.5,30,5\n")
    monkeypatch.setenv("HWSIM_DATA", "data")
    assert main(["show"] if what is None else ["show", what]) == 0
    assert says in capsys.readouterr().out
    if what is None or not what.startswith("data/"):
        assert main(["show", "--json"] if what is None else ["show", what, "--json"]) == 0
        assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_new_writes_a_file_that_loads(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    from hwsim.scenario.load import load

    assert main(["new", "scenario", "mine"]) == 0
    assert load("mine.yaml").name == "mine"
    assert main(["new", "scenario", "mine"]) == 2
    assert "already" in capsys.readouterr().err


def test_schema_to_screen_and_file(fake: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert main(["schema", "-o", "hwsim.json"]) == 0
    assert json.loads(Path("hwsim.json").read_text()) == printed


def test_export_calls_the_part_of_that_format(
    fake: FakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine" / "export"
    folder.mkdir(parents=True)
    (folder / "shout.py").write_text(
        "class Shout:\n"
        "    suffix = '.txt'\n"
        "    def write(self, run, out):\n"
        "        out.write_text('LOUD')\n"
        "        return out\n"
        "PART = Shout()\n"
    )
    try:
        assert main(["export", ".", "--to", "shout", "--parts", "mine"]) == 2
        assert "not a run folder" in capsys.readouterr().err
        Path("manifest.json").write_text("{}")
        assert main(["export", ".", "--to", "shout"]) == 0
        assert Path(capsys.readouterr().out.strip()).read_text() == "LOUD"
        assert main(["export", ".", "--to", "shuot"]) == 2
        assert "did you mean shout?" in capsys.readouterr().err
    finally:
        Parts.remove_folder("mine")


def _python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60, **options)


HEAVY = ("plotly", "pyarrow", "joblib", "networkx", "pydantic", "rich", "numpy", "simpy", "yaml")


def test_import_and_help_stay_light() -> None:
    code = (
        "import sys, hwsim\n"
        f"heavy = {HEAVY!r}\n"
        "assert not [name for name in heavy if name in sys.modules]\n"
        "from hwsim.cli import main\n"
        "assert main(['--help']) == 0\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = _python("-c", code)
    assert done.returncode == 0, done.stderr
    assert "Simulate FILE" in done.stdout


def test_python_m_hwsim(tmp_path: Path) -> None:
    assert _python("-m", "hwsim", "--version", cwd=tmp_path).stdout.startswith("hwsim 0.")
    done = _python("-m", "hwsim", "check", "none.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: none.yaml: no such file"


@pytest.fixture
def reader() -> Iterator[Callable[[list[str]], tuple[int, str]]]:
    """Runs a command whose reader goes away before it has written."""

    def call(arguments: list[str]) -> tuple[int, str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [sys.executable, "-m", "hwsim", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        return process.wait(timeout=60), error

    yield call


def test_a_broken_pipe_is_quiet(reader: Callable[[list[str]], tuple[int, str]]) -> None:
    assert reader(["schema"]) == (0, "")
