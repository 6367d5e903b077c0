#!/usr/bin/env python3
"""Runs the tests of a GoogleTest program that have cuda or GPU in their name, in one process.

    tools/gpu_check/cuda_tests.py build-gpu/tests/kernels_test
    tools/gpu_check/cuda_tests.py --only '*/cuda*' --under 'compute-sanitizer --tool memcheck' build-gpu/tests/kernels_test

A process takes a second or more to start on a GPU, and several share its time. Only where the process ends or stands still
within a test, that test is run again alone, and those behind it go on in a new process. What the program says is printed as
it comes; the last line sums up. Exit code 0: some passed and none failed; 1: some failed; 77: none ran, the last line says
why.
"""

import argparse
import collections
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

EVERY_SPELLING = "*cuda*:*Cuda*:*CUDA*:*gpu*:*Gpu*:*GPU*"
SKIPPED = 77
BEGUN = re.compile(r"\[ RUN      \] (\S+)$")
ENDED = re.compile(r"\[ +(OK|FAILED|SKIPPED) +\] ([^\s,]+)(?:,.*)? \(\d+ ms\)$")


def list_tests(program, only):
    listing = subprocess.run([program, "--gtest_list_tests", f"--gtest_filter={only}"], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    tests, suite = [], ""
    for line in listing.splitlines():
        name = line.split("#")[0].rstrip()
        if line.startswith("  "):
            tests.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return tests


class Run:
    """One process: how each of its tests ended, the one that had not when the process did, and why tests were skipped."""

    def __init__(self, command, tests, silence_s):
        self.ended, self.within, self.skips, self.stood_still = {}, None, collections.Counter(), False
        self.unsupported = False
        self.process = subprocess.Popen([*command, f"--gtest_filter={':'.join(tests)}"], text=True, errors="replace",
                                        start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.last_line = time.monotonic()
        threading.Thread(target=self.watch, args=(silence_s,), daemon=True).start()
        before = ""
        for line in self.process.stdout:
            self.last_line = time.monotonic()
            print(line, end="", flush=True)
            self.take(line.rstrip(), before)
            before = line.rstrip()
        self.code = self.process.wait()

    def watch(self, silence_s):
        while self.process.poll() is None:
            if time.monotonic() - self.last_line > silence_s:
                self.stood_still = True
                os.killpg(self.process.pid, signal.SIGKILL)
                return
            time.sleep(0.1)

    def take(self, line, before):
        if begun := BEGUN.search(line):
            self.within = begun[1]
        elif ended := ENDED.search(line):
            self.ended[ended[2]], self.within = ended[1], None
        elif before.endswith(": Skipped"):
            self.skips[line.strip()] += 1
        self.unsupported |= "Device not supported" in line


def run_all(command, tests, silence_s):
    """(how each test ended, why tests were skipped, what else went wrong)"""
    ended, skips, beside = {}, collections.Counter(), []
    left = tests
    while left:
        run = Run(command, left, silence_s)
        if run.unsupported:
            print(f"{command[0]}: device not supported")
            sys.exit(SKIPPED)
        ended |= run.ended
        skips += run.skips
        left = [test for test in left if test not in ended]
        how = f"no word for {silence_s:g} s" if run.stood_still else f"exit code {run.code}"
        if run.within is None:
            if left or (run.code != 0 and "FAILED" not in run.ended.values()):
                beside.append(f"{how} beside the tests" + (f", {len(left)} of which had not begun" if left else ""))
            break
        print(f"==== {how} within {run.within}, which is run again alone", flush=True)
        alone = Run(command, [run.within], silence_s).ended.get(run.within)
        ended[run.within] = "FAILED"  # also where it was well alone
        beside.append(f"{how} within {run.within}" + (" (not when alone)" if alone == "OK" else ""))
        left.remove(run.within)
    return ended, skips, beside


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--only", default=EVERY_SPELLING, help="which tests, as --gtest_filter")
    parser.add_argument("--silence", type=float, default=60, help="seconds without a word after which a process is ended")
    parser.add_argument("--under", default="", help="command that runs the program, such as compute-sanitizer")
    arguments = parser.parse_args()
    tests = list_tests(arguments.program, arguments.only)
    if not tests:
        print(f"no test is called {arguments.only}")
        sys.exit(SKIPPED)
    command = [*shlex.split(arguments.under), os.path.abspath(arguments.program)]
    ended, skips, beside = run_all(command, tests, arguments.silence)
    failed = sorted(test for test, how in ended.items() if how == "FAILED")
    passed = sum(how == "OK" for how in ended.values())
    parts = [f"{passed} passed"]
    parts += [f"{count} skipped ({reason})" for reason, count in skips.most_common()]
    if failed:
        parts += [f"{len(failed)} failed: " + ", ".join(failed[:4]) + (" …" if len(failed) > 4 else "")]
    print("; ".join(parts + beside))
    sys.exit(1 if failed or beside else 0 if passed else SKIPPED)


if __name__ == "__main__":
    main()
