#!/usr/bin/env python3
"""What the warning of too large step sizes is worth: tools/bench/step_size_guard.py PROGRAM [FOLDER] [--models mlp,cnn]

Trains networks on Fashion-MNIST in virtual time by several methods, delays, step sizes and seeds, and compares what the
program warned of with what came of the runs. A run is harmed where it left the finite numbers, or ends more than 2
points of accuracy (the mean of its last three evaluations) below the best step size of the same problem and seed, with
a larger step than that. Logs are kept in FOLDER (default runs/step_size_guard): a run that is there is not done again.

Prints a row a step size, and what each tolerance would have made of all runs: warnings where there was harm (hits),
where there was none (false alarms), and harm without a warning (misses).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

DELAYS = {"even": "1,1,1,1,1,1,1,1,1,1", "straggler": "1,1,1,1,1,1,1,1,1,20"}
SEEDS = (1, 2, 3)
WORSE = 0.02  # of accuracy
TOLERANCES = (1, 1.25, 1.5, 2, 3, 4, 4.5, 5, 6, 8, 10)

# model, method, delays, units of time, step sizes
CASES = [
    ("mlp", "sync", "even", 400, (0.1, 0.2, 0.4, 0.8, 1.6)),
    ("mlp", "asgd", "even", 400, (0.01, 0.02, 0.05, 0.1, 0.2)),
    ("mlp", "asgd", "straggler", 400, (0.01, 0.02, 0.05, 0.1, 0.2)),
    ("mlp", "dude", "even", 400, (0.01, 0.02, 0.05, 0.1, 0.2)),
    ("mlp", "dude", "straggler", 400, (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)),
    ("mlp", "ia2sgd", "straggler", 400, (0.005, 0.01, 0.02, 0.03, 0.05, 0.1)),
    ("cnn", "asgd", "even", 100, (0.02, 0.05, 0.1, 0.2)),
    ("cnn", "dude", "straggler", 100, (0.01, 0.02, 0.03, 0.05)),
]


class Run:
    """One run, from its log."""

    def __init__(self, path, lr):
        self.lr = lr
        records = [json.loads(line) for line in path.read_text().splitlines()]
        self.table = records[0]["table"]
        self.workers = records[0]["workers"]
        evaluations = [record for record in records if record["event"] == "eval"]
        self.smoothness = evaluations[0]["smoothness"]
        finished = records[-1]["event"] == "summary"
        self.accuracy = statistics.mean(record["accuracy"] for record in evaluations[-3:]) if finished else 0.0
        self.warned = any(record["event"] == "warning" and record["kind"] == "step-size" for record in records)
        self.delay = self.largest_delay(records)

    def largest_delay(self, records):
        """The mean delay as GuardRails takes it, where it was largest: of the gradients of the last rounds, or of the
        table's rows."""
        versions, staleness, gradients = [0] * self.workers, 0, 0
        delay_sum, steps, largest, next_check = 0.0, 0.0, 0.0, self.workers
        for record in records:
            if record["event"] not in ("update", "gradient") or "job" not in record:
                continue
            versions[record["worker"]] = max(versions[record["worker"]], record["version"])
            made = record.get("update", 0)
            staleness += made - 1 - record["version"] if made else record["staleness"]
            gradients += 1
            if not made:
                continue
            delay_sum += made - 1 - sum(versions) / self.workers if self.table else staleness / gradients
            staleness, gradients, steps = 0, 0, steps + 1
            if made < next_check:
                continue
            next_check = made + self.workers
            largest = max(largest, delay_sum / steps)
            if steps >= 20 * self.workers:
                delay_sum, steps = delay_sum / 2, steps / 2
        return largest

    def ratio(self):
        """How many times as long the step is as a quadratic bears (largest_stable_step)."""
        import math
        if self.delay == 0:
            return self.lr * self.smoothness / 2
        return self.lr * self.smoothness / (2 * math.sin(math.pi / (4 * self.delay + 2)))


def train(program, folder, case, lr, seed):
    model, method, delays, units, _ = case
    log = folder / f"{model}-{method}-{delays}-{lr:g}-{seed}.jsonl"
    if not log.exists():
        partial = log.with_suffix(".partial")
        command = [program, "train", "--model", model, "--dataset", "fashion-mnist", "--method", method, "--lr", str(lr),
                   "--workers", "10", "--partition", "dirichlet:0.1", "--compute-time", DELAYS[delays], "--clock",
                   "virtual", "--seed", str(seed), "--time-limit", str(units), "--eval-every", f"{units / 10:g}s",
                   "--log", str(partial), "--log-size", "1G"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode not in (0, 4):  # 4: not finite
            sys.exit(f"{' '.join(command)}: {done.stderr.splitlines()[-1]}")
        partial.rename(log)
    return Run(log, lr)


def span(values, form):
    least, most = min(values), max(values)
    return f"{least:{form}}" if f"{least:{form}}" == f"{most:{form}}" else f"{least:{form}} to {most:{form}}"


def study(program, folder, case, seeds):
    """The runs of a case, each with whether it is harmed; prints a row a step size."""
    model, method, delays, _, step_sizes = case
    runs = {lr: [train(program, folder, case, lr, seed) for seed in seeds] for lr in step_sizes}
    judged = []
    for place in range(len(seeds)):
        of_seed = [runs[lr][place] for lr in step_sizes]
        best = max(of_seed, key=lambda run: run.accuracy)
        judged += [(run, run.lr > best.lr and run.accuracy < best.accuracy - WORSE) for run in of_seed]
    for lr in step_sizes:
        of_lr = [(run, harmed) for run, harmed in judged if run.lr == lr]
        print(f"| {model} {method} {delays} | {lr:g} | {span([run.ratio() for run, _ in of_lr], '.1f')} "
              f"| {span([100 * run.accuracy for run, _ in of_lr], '.1f')} | {sum(harmed for _, harmed in of_lr)} "
              f"| {sum(run.warned for run, _ in of_lr)} |", flush=True)
    return judged


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("folder", nargs="?", default="runs/step_size_guard", type=pathlib.Path)
    parser.add_argument("--models", default="mlp,cnn")
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    options = parser.parse_args()
    folder = pathlib.Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    print("| run | lr | times the step a quadratic bears | accuracy, % | harmed | warned |\n|---|---|---|---|---|---|")
    judged = []
    for case in CASES:
        if case[0] in options.models.split(","):
            judged += study(options.program, folder, case, SEEDS[:options.seeds])
    harmed = sum(harm for _, harm in judged)
    print(f"\n{len(judged)} runs, {harmed} of them harmed\n\n| tolerance | hits | false alarms | misses |\n|---|---|---|---|")
    for tolerance in TOLERANCES:
        hits = sum(run.ratio() > tolerance for run, harm in judged if harm)
        alarms = sum(run.ratio() > tolerance for run, harm in judged if not harm)
        print(f"| {tolerance} | {hits} | {alarms} | {harmed - hits} |")


if __name__ == "__main__":
    main()
