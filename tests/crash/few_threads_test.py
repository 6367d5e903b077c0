#!/usr/bin/env python3
"""Runs for which the k-th thread is not to be had, alone or with all that come after it (README.md). $1: the tardigrad
program, $2: the library of few_threads.cpp."""
import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import runs  # noqa: E402

PROBLEM = "--model quadratic:tridiagonal:500:noise=0.5 --lr 0.002 --compute-time 1,2.5,3".split()
VIRTUAL = ["--clock", "virtual", "--device", "cpu:3"]
FOREVER = 10**6


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`model`: whether its bytes are the same, however few threads there are."""
    name: str
    arguments: list
    model: bool = True


SCENARIOS = [
    Scenario("virtual time, checkpoints",
             ["train", *PROBLEM, *VIRTUAL, "--workers", "3", "--method", "dude", "--updates", "300", "--save", "model",
              "--checkpoint-dir", "checkpoints", "--checkpoint-every", "100u"]),
    Scenario("live page", ["train", *PROBLEM, *VIRTUAL, "--workers", "3", "--method", "dude", "--updates", "300",
                           "--save", "model", "--serve", "0"]),
    Scenario("compare", ["compare", *PROBLEM, *VIRTUAL, "--workers", "3", "--methods", "dude,asgd,sync", "--updates",
                         "100"]),
    Scenario("wall time", ["train", *PROBLEM, "--workers", "3", "--method", "asgd", "--updates", "20", "--time-unit",
                           "0.001", "--device", "cpu:2", "--save", "model"], model=False),
]


class Runner:
    """Runs a scenario, in folders of its own."""

    def __init__(self, program, library, folder):
        self.program, self.library, self.folder = program, library, folder
        self.count = 0

    def run(self, scenario, first, count, exit_codes):
        """Returns its folder, the exit code and what is on stderr."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        environment = {**os.environ, "LD_PRELOAD": self.library, "FEW_THREADS_FIRST": str(first),
                       "FEW_THREADS_COUNT": str(count), "FEW_THREADS_LOG": str(folder / "threads")}
        code, errors = self.program.run(scenario.arguments, folder, exit_codes, environment)
        return folder, code, errors


def check(runner, scenario, first, count, whole):
    """Returns the exit code."""
    folder, code, errors = runner.run(scenario, first, count, (0, 1))
    last = errors.strip().splitlines()[-1] if errors.strip() else ""
    last = re.sub(r"^\d{4}-\d\d-\d\dT\S+ ", "", last)  # the time that stands before what a run says
    if code == 1:
        assert last.startswith("tardigrad: no thread can be started for "), errors
        assert "ulimit -u" in last and "pids.max" in last, errors
        assert scenario.name == "wall time" or first == 1 or "for the live page:" in last, f"would do without: {errors}"
    elif scenario.model and "--save" in scenario.arguments:
        runs.expect_same_bytes(whole / "model", folder / "model")
    shutil.rmtree(folder)
    return code


def go_through(runner, scenario, longest):
    """Every thread of a run, in turn."""
    whole, _, errors = runner.run(scenario, 0, 0, (0,))
    if "cpp-httplib" in errors or "Chart.js" in errors:
        print(f"{scenario.name}: not built in")
        return
    threads = len((whole / "threads").read_bytes())
    tried = range(1, min(threads, longest) + 1)
    codes = [check(runner, scenario, first, count, whole) for first in tried for count in (1, FOREVER)]
    print(f"{scenario.name}: {threads} threads, {len(codes)} runs, {codes.count(1)} of them refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("library", type=runs.preloaded)
    parser.add_argument("--longest", type=int, default=6, help="threads of a scenario that are tried")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tardigrad-few-threads-") as folder:
        runner = Runner(runs.Program(arguments.program.resolve()), arguments.library, pathlib.Path(folder))
        for scenario in SCENARIOS:
            go_through(runner, scenario, arguments.longest)


if __name__ == "__main__":
    main()
