#!/usr/bin/env python3
"""Holds what `tardigrad advise` predicts against what happens.

    advice_accuracy.py PROGRAM [--out FILE] [--cases N] [--seconds S] [--runs R]

Each case is a problem with stragglers, on CPU streams in wall time. A run of asgd is measured for S seconds; `advise` predicts
the time to a target of six methods, each with the step size that it finds; then each of them runs in wall time, until it
reaches the target, with R seeds at once (workers mostly sleep). Prints, for each case and method, the predicted time, the median
of the measured ones and the error, and at the end the median error, in how many cases the predicted winner was the fastest or
within a tenth of it, and in how many the fastest was the predicted winner or said to be level with it. FILE gets the same as
JSON.
"""
import argparse
import concurrent.futures
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

METHODS = ["sync", "asgd", "fedbuff", "rennala", "dude", "ringleader"]
FASHION = "--model mlp:32 --dataset fashion-mnist --eval-examples 2000 --batch-size 8 --eval-every 1s"
CASES = {
    "one straggler of 20, a class each": f"{FASHION} --workers 10 --partition shards:1 --lr 0.01 "
    "--compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.02",
    "one straggler of 5, a class each": f"{FASHION} --workers 10 --partition shards:1 --lr 0.01 "
    "--compute-time 1,1,1,1,1,1,1,1,1,5 --time-unit 0.04",
    "speeds 1 to 10, dirichlet 0.1": f"{FASHION} --workers 10 --partition dirichlet:0.1 --lr 0.02 "
    "--compute-time linear:1:1 --time-unit 0.02",
    "speeds 1 to 10 with noise, equal data": f"{FASHION} --workers 10 --lr 0.02 "
    "--compute-time linear:1:1+halfnormal --time-unit 0.02",
    "exponential times, dirichlet 0.5": f"{FASHION} --workers 8 --partition dirichlet:0.5 --lr 0.02 "
    "--compute-time 1,1,1,1,1,1,1,1+exponential --time-unit 0.02",
    "speeds with a long tail, two classes each": f"{FASHION} --workers 6 --partition shards:2 --lr 0.01 "
    "--compute-time 1.1,1.3,1.8,2.6,4.5,12 --time-unit 0.03",
    "half of them slow, a class each": f"{FASHION} --workers 10 --partition shards:1 --lr 0.005 "
    "--compute-time 1,1,1,1,1,8,8,8,8,8 --time-unit 0.03",
    "equal speeds with noise, dirichlet 0.1": f"{FASHION} --workers 8 --partition dirichlet:0.1 --lr 0.02 "
    "--compute-time 1,1,1,1,1,1,1,1+halfnormal --time-unit 0.03",
    "noisy quadratic, speeds 1 to 16": "--model quadratic:tridiagonal:50:noise=0.02:spread=0.01 --workers 16 --lr 0.1 "
    "--compute-time linear:1:1 --time-unit 0.005 --eval-every 0.25s",
    "noisy quadratic, a straggler of 30": "--model quadratic:tridiagonal:50:noise=0.01:spread=0.02 --workers 8 --lr 0.1 "
    "--compute-time 1,1,1,1,1,1,1,30 --time-unit 0.01 --eval-every 0.25s",
}


def run(arguments, **options):
    return subprocess.run(arguments, capture_output=True, text=True, check=True, **options).stdout


def predictions(advice):
    """Time and step size of each method, from the table; None where it does not arrive."""
    found = {}
    for method in METHODS:
        row = re.search(rf"^{method}  +(\S+) +(\S+)", advice, re.MULTILINE)
        found[method] = {"lr": float(row[1]), "predicted": None if row[2] == "-" else float(row[2])}
    return found


def target_option(advice):
    """The option for what the advice measures time to."""
    if accuracy := re.search(r"time to ([0-9.]+) %", advice):
        return ["--target-accuracy", str(float(accuracy[1]) / 100)]
    return ["--target-loss", re.search(r"time to loss (\S+)", advice)[1]]


def measure(program, options, method, prediction, target, folder, seed):
    """Seconds of a run to the target, on the problem of the measured run, whatever the seed; None where it takes three times
    what was predicted."""
    log = folder / f"{method}-{seed}.jsonl"
    limit = 3 * prediction["predicted"] + 2
    run([program, "train", *options, "--method", method, "--lr", str(prediction["lr"]), "--seed", str(seed), "--problem-seed",
         "0", *target, "--time-limit", str(limit), "--log", log, "--log-detail", "evaluations", "--quiet"])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    reached = records[-1]["stop_reason"].startswith("target")
    return next(r["time"] for r in reversed(records) if r["event"] == "eval") if reached else None


def without(options, flag):
    at = options.index(flag)
    return options[:at] + options[at + 2:]


def try_case(program, name, text, seconds, runs):
    options = text.split() + ["--device", "cpu:2"]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(runs) as pool:
        folder = pathlib.Path(folder)
        log = folder / "run.jsonl"
        run([program, "train", *options, "--method", "asgd", "--time-limit", str(seconds), "--log", log, "--quiet"])
        advice = run([program, "advise", "--from", log, "--methods", ",".join(METHODS), "--seeds", "5", "--quiet"])
        target = target_option(advice)
        results = predictions(advice)
        level = re.search(r"level with it: (.*)", advice)
        for method, result in results.items():
            if not result["predicted"]:
                continue
            result["measured"] = list(pool.map(lambda seed: measure(program, without(options, "--lr"), method, result,
                                                                    target, folder, seed), range(1, runs + 1)))
    return {"case": name, "target": target, "level": level[1].split(", ") if level else [], "methods": results}


def time_of(result):
    """The median of what was measured; infinite where that did not arrive, or was not predicted to."""
    return statistics.median_low([seconds or math.inf for seconds in result.get("measured", [None])])


def error_of(result):
    """Relative to what was measured; nothing where one of both did not arrive."""
    return abs(result["predicted"] / time_of(result) - 1) if math.isfinite(time_of(result)) else None


def predicted_winner(case):
    return min((name for name, result in case["methods"].items() if result["predicted"]),
               key=lambda name: case["methods"][name]["predicted"])


def winner_holds(case):
    """Whether the predicted winner was the fastest that was measured, or within a tenth of it."""
    return time_of(case["methods"][predicted_winner(case)]) <= 1.1 * min(map(time_of, case["methods"].values()))


def fastest_is_named(case):
    """Whether the fastest that was measured was the predicted winner, or said to be level with it."""
    named = [predicted_winner(case), *case["level"]]
    return min(time_of(case["methods"][name]) for name in named) == min(map(time_of, case["methods"].values()))


def show(case):
    print(f"{case['case']}: {' '.join(case['target'])}; level with the winner: {', '.join(case['level']) or 'none'}")
    for method, result in case["methods"].items():
        error = error_of(result)
        print(f"  {method:<11} lr {result['lr']:<9g} predicted {result['predicted'] or '-'} s, measured "
              f"{', '.join(f'{seconds:.4g}' if seconds else '-' for seconds in result.get('measured', [])) or '-'} s"
              + (f", off by {100 * error:.0f} %" if error is not None else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--cases", type=int, default=len(CASES))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    cases = []
    for name, text in list(CASES.items())[: given.cases]:
        cases.append(try_case(given.program, name, text, given.seconds, given.runs))
        show(cases[-1])
        if given.out:
            given.out.write_text(json.dumps(cases, indent=1) + "\n")
    errors = [error for case in cases for result in case["methods"].values() if (error := error_of(result)) is not None]
    print(f"median error {100 * statistics.median(errors):.0f} % of {len(errors)}; the predicted winner holds in "
          f"{sum(map(winner_holds, cases))} of {len(cases)} cases, the fastest is named in {sum(map(fastest_is_named, cases))}")


if __name__ == "__main__":
    sys.exit(main())
