#!/usr/bin/env python3
"""Runs the tests of a GoogleTest program that have cuda or GPU in their name, several processes at once.

    tools/gpu_check/cuda_tests.py build-gpu/tests/kernels_test
    tools/gpu_check/cuda_tests.py --only '*/cuda*' --processes 6 --batches 6 --under 'compute-sanitizer --tool memcheck' ...

A process takes one test, unless --batches says how many processes take all: an error that stays with a CUDA context, a
crash or a hang costs only the tests of its process. What failed is printed whole, the last line sums up. Exit code 0:
some passed and none failed; 1: some failed; 77: none ran, the last line says why.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

EVERY_SPELLING = "*cuda*:*Cuda*:*CUDA*:*gpu*:*Gpu*:*GPU*"
SKIPPED = 77


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


def results_of(report):
    """Of each test that came to its end: whether it was skipped, and its failures."""
    if not report.exists():
        return {}
    suites = json.loads(report.read_text()).get("testsuites", [])
    return {f"{suite['name']}.{test['name']}": (test["result"] == "SKIPPED", test.get("failures", []))
            for suite in suites for test in suite["testsuite"]}


def run_batch(command, tests, limit_s, report):
    """(passed, skipped, failed) names, and the output."""
    command = [*command, f"--gtest_filter={':'.join(tests)}", f"--gtest_output=json:{report}"]
    try:
        run = subprocess.run(command, text=True, errors="replace", timeout=limit_s, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, code = run.stdout, run.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = (expired.stdout or b"").decode(errors="replace") + f"\nnot over after {limit_s:g} s", None
    results = results_of(report)
    failed = [test for test in tests if test not in results or results[test][1]]
    skipped = [test for test in tests if test in results and results[test][0]]
    passed = [test for test in tests if test not in failed and test not in skipped]
    if code != 0 and not failed:  # found beside the tests, by a sanitizer or at the program's end
        others = f" and {len(passed) - 1} more" if len(passed) > 1 else ""
        failed, passed = [f"exit code {code} after {passed[0] if passed else 'nothing'}{others}"], []
    return passed, skipped, failed, output


def reason_of_skip(output):
    """The line that GTEST_SKIP left, which stands below "file:line: Skipped"."""
    lines = [line.strip() for line in output.splitlines()]
    reasons = [after for line, after in zip(lines, lines[1:]) if line.endswith("Skipped")]
    return reasons[0] if reasons else "no reason given"


def in_batches(tests, batches):
    return [tests[i::batches] for i in range(batches) if tests[i::batches]] if batches else [[test] for test in tests]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--only", default=EVERY_SPELLING, help="which tests, as --gtest_filter")
    parser.add_argument("--processes", type=int, default=4, help="at once")
    parser.add_argument("--batches", type=int, default=0, help="processes in all; 0: one for each test")
    parser.add_argument("--limit", type=float, default=60, help="seconds a process may take")
    parser.add_argument("--under", default="", help="command that runs the program, such as compute-sanitizer")
    arguments = parser.parse_args()
    tests = list_tests(arguments.program, arguments.only)
    if not tests:
        print(f"no test is called {arguments.only}")
        sys.exit(SKIPPED)
    command = [*shlex.split(arguments.under), os.path.abspath(arguments.program)]
    passed, failed, skips = [], [], collections.Counter()
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(max_workers=arguments.processes) as pool:
        batches = [pool.submit(run_batch, command, batch, arguments.limit, pathlib.Path(folder) / f"{i}.json")
                   for i, batch in enumerate(in_batches(tests, arguments.batches))]
        for batch in concurrent.futures.as_completed(batches):
            batch_passed, batch_skipped, batch_failed, output = batch.result()
            passed += batch_passed
            failed += batch_failed
            skips[reason_of_skip(output)] += len(batch_skipped)
            if batch_failed or arguments.under:
                print(f"==== {', '.join(batch_failed) or 'passed'}\n{output}", flush=True)
            if arguments.under and "Device not supported" in output:
                pool.shutdown(cancel_futures=True)
                print(f"{command[0]}: device not supported")
                sys.exit(SKIPPED)
    skips = +skips
    parts = [f"{len(passed)} passed"]
    parts += [f"{count} skipped ({reason})" for reason, count in skips.most_common()]
    if failed:
        parts += [f"{len(failed)} failed: " + ", ".join(sorted(failed)[:4]) + (" …" if len(failed) > 4 else "")]
    print("; ".join(parts))
    sys.exit(1 if failed else 0 if passed else SKIPPED)


if __name__ == "__main__":
    main()
