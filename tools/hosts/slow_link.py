#!/usr/bin/env python3
"""Accuracy over time where one of four hosts has a slow link, and where none has: slow_link.py PROGRAM --out FOLDER

Four hosts with a worker each, and one with the server (hosts.py; needs root). Each gradient takes 10 ms. The step size of each
method is searched where a link is slow, by one seed and the accuracy at the end. Then three seeds run in both settings, in turn.
Writes slow_link.json, with every evaluation of every run, and slow_link.svg (matplotlib). About ten minutes.
"""

import argparse
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from hosts import Hosts

METHODS = ("dude", "ringleader", "asgd-delay-adaptive", "sync")
STEP_SIZES = (0.2, 0.05, 0.0125)
SEEDS = (1, 2, 3)
SETTINGS = {"all links alike": None, "one link of 50 Mbit/s": "50mbit"}
SLOW = list(SETTINGS)[-1]
OPTIONS = ("--ranks mpi --model mlp --dataset fashion-mnist --workers 4 --partition dirichlet:0.3 --batch-size 32 --device cpu:1 "
           "--compute-time 1,1,1,1 --time-unit 0.01 --eval-every 0.5s --log-detail evaluations --quiet").split()


def run(program, setting, method, step_size, seed, seconds):
    """(time in s, accuracy) of each evaluation, and the jobs of each worker."""
    with tempfile.TemporaryDirectory() as folder, Hosts(5) as hosts:
        hosts.shape(4, rate=SETTINGS[setting])
        words = [program, "train", *OPTIONS, "--method", method, "--lr", step_size, "--seed", seed, "--time-limit", f"{seconds}s",
                 "--log", "log.jsonl"]
        job = hosts.mpirun(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        printed, _ = job.communicate(timeout=seconds + 60)
        if job.returncode not in (0, 4):  # 4: the step size was too large
            sys.exit(f"slow_link.py: {method} ended with exit code {job.returncode}: {printed}")
        records = [json.loads(line) for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines()]
    return {"setting": setting, "method": method, "step_size": step_size, "seed": seed, "exit_code": job.returncode,
            "curve": [(r["time"], r["accuracy"]) for r in records if r["event"] == "eval"],
            "jobs": [r["jobs"] for r in records if r["event"] == "worker"]}


def final(one):
    return one["curve"][-1][1] if one["exit_code"] == 0 else 0


def draw(runs, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, panels = pyplot.subplots(1, len(SETTINGS), figsize=(9, 3.2), sharey=True)
    for panel, setting in zip(panels, SETTINGS):
        for method in METHODS:
            curves = [one["curve"] for one in runs if one["setting"] == setting and one["method"] == method]
            points = list(zip(*curves))  # of the same number of evaluations, half a second apart
            times = [statistics.median(time for time, _ in point) for point in points]
            sorted_values = [sorted(accuracy for _, accuracy in point) for point in points]
            line, = panel.plot(times, [100 * statistics.median(values) for values in sorted_values], label=method)
            panel.fill_between(times, [100 * values[0] for values in sorted_values], [100 * values[-1] for values in sorted_values],
                               color=line.get_color(), alpha=0.2, linewidth=0)
        panel.set_title(setting)
        panel.set_xlabel("time, s")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy, %")
    panels[0].set_ylim(40, 90)
    panels[-1].legend()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    parser.add_argument("--seconds", type=int, default=15, help="of each run")
    options = parser.parse_args()
    program = options.program.resolve()
    step_sizes, searched, runs = {}, [], []
    for method in METHODS:
        tried = [run(program, SLOW, method, step_size, 0, options.seconds) for step_size in STEP_SIZES]
        step_sizes[method] = max(tried, key=final)["step_size"]
        searched += [{key: one[key] for key in ("method", "step_size", "exit_code")} | {"accuracy": final(one)} for one in tried]
    for seed in SEEDS:
        for setting in SETTINGS:
            for method in METHODS:
                runs.append(run(program, setting, method, step_sizes[method], seed, options.seconds))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "slow_link.json").write_text(json.dumps(
        {"date": str(datetime.date.today()), "options": OPTIONS, "seconds": options.seconds, "searched": searched, "runs": runs}))
    for setting in SETTINGS:
        for method in METHODS:
            those = [one for one in runs if one["setting"] == setting and one["method"] == method]
            finals = sorted(100 * final(one) for one in those)
            to_80 = [next((round(time, 1) for time, accuracy in one["curve"] if accuracy >= 0.8), None) for one in those]
            jobs = [round(statistics.median(one["jobs"][i] for one in those)) for i in range(4)]
            print(f"{setting:22} {method:20} step size {step_sizes[method]:<7} accuracy {statistics.median(finals):.1f} % ({finals[0]:.1f} to "
                  f"{finals[-1]:.1f}); to 80 %: {to_80} s; jobs {jobs}")
    draw(runs, options.out / "slow_link.svg")


if __name__ == "__main__":
    main()
