"""Errors keep all their problems, print one per line, and survive a trip to another process."""

from __future__ import annotations

import pickle

from hwsim.errors import FitError, HwsimError, Problem, ScenarioError, nearest


def test_a_problem_says_what_where_got_expected_and_nearest() -> None:
    problem = Problem("unknown key 'max_seqs'", "a.yaml:3:5", "'x'", "a count", "max_num_seqs")
    assert str(problem) == ("a.yaml:3:5: unknown key 'max_seqs'; got 'x', expected a count; did you mean max_num_seqs?")


def test_an_error_prints_every_problem_and_has_its_exit_code() -> None:
    error = ScenarioError([Problem("one", "f:1:1"), Problem("two", "f:2:1")])
    assert str(error).splitlines() == ["f:1:1: one", "f:2:1: two"]
    assert (HwsimError.exit_code, ScenarioError.exit_code, FitError.exit_code) == (4, 2, 3)
    assert isinstance(FitError.of("does not fit"), HwsimError)


def test_errors_can_be_pickled() -> None:
    error = FitError.of("weights do not fit", got="140 GB", expected="80 GB")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FitError
    assert again.problems == error.problems


def test_nearest() -> None:
    assert nearest("max_num_seq", ["max_num_seqs", "max_model_len"]) == "max_num_seqs"
    assert nearest("h100-sxm", ["H100-SXM", "A100-SXM-80GB"]) == "H100-SXM"
    assert nearest("H200", ["H200-SXM", "H100-SXM"]) == "H200-SXM"
    assert nearest("zzzz", ["alpha", "beta"]) == ""
