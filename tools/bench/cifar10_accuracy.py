"""Means over the seeds of what cifar10_accuracy.sh ran; it calls this: LOGS SEEDS JSON_FILE_OR_NOTHING METHOD:LR..."""

import json
import pathlib
import statistics
import sys


def summary_of(log):
    run, *_, summary = map(json.loads, log.read_text().splitlines())
    return run, summary


def spread(values, form):
    return f"{statistics.mean(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


logs, seeds, json_file, *methods = sys.argv[1:]
print(f"{'method':<8}{'step size':>10}{'accuracy, %':>24}{'training, s':>24}{'images/s':>12}")
for method, lr in (entry.split(":") for entry in methods):
    runs = [summary_of(pathlib.Path(logs) / f"{method}-{seed}.jsonl") for seed in range(1, int(seeds) + 1)]
    accuracies = [100 * summary["final_accuracy"] for _, summary in runs]
    times = [summary["train_time_s"] for _, summary in runs]
    rate = statistics.mean(summary["gradients"] * run["batch_size"] / summary["train_time_s"] for run, summary in runs)
    print(f"{method:<8}{lr:>10}{spread(accuracies, '.2f'):>24}{spread(times, '.1f'):>24}{rate:>12.0f}")
    if json_file:
        line = {"benchmark": "cifar10_accuracy", "device": runs[0][0]["device"], "case": ["method"], "method": method,
                "lr": float(lr), "accuracy_percent": statistics.mean(accuracies), "accuracies_percent": accuracies,
                "train_time_s": statistics.mean(times), "train_times_s": times, "images_per_s": rate, "run": runs[0][0]}
        with open(json_file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
