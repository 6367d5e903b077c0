#!/usr/bin/env python3
"""What the Python package costs: the engine's share of a gradient that NumPy computes, and a method in Python against the
same in C++. With the package on the path: PYTHONPATH=build/tools/python /usr/bin/python3 tools/bench/python_package.py

Sides run in turn, on one thread and in virtual time; printed are medians of the rounds. The plain simulator is dude as a
loop over a heap of events in NumPy, with the same gradients.
"""

import argparse
import heapq
import os
import pathlib
import statistics
import subprocess
import sys
import time

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python" / "examples"))

import methods  # noqa: E402
import tardigrad as td  # noqa: E402

DIMENSION, WORKERS, BATCH, LR = 1000, 100, 32, 0.01


class Logistic(td.Objective):
    """Logistic regression of 200 rows a worker."""

    dimension, workers = DIMENSION, WORKERS

    def __init__(self):
        numbers = np.random.default_rng(1)
        self.rows = numbers.standard_normal((WORKERS, 200, DIMENSION)).astype(np.float32) / 30
        self.labels = np.sign(numbers.standard_normal((WORKERS, 200))).astype(np.float32)

    def gradient(self, worker, job, x):
        begin = int(job) * BATCH % (200 - BATCH)
        rows, labels = self.rows[worker, begin:begin + BATCH], self.labels[worker, begin:begin + BATCH]
        margins = labels * (rows @ x)
        shares = labels / (1 + np.exp(margins))
        return float(np.log1p(np.exp(-margins)).mean()), rows.T @ shares / np.float32(-BATCH)

    def evaluate(self, x):
        return 0.0


class Free(Logistic):
    """Costs nothing."""

    def __init__(self):
        self.nothing = np.zeros(DIMENSION, np.float32)

    def gradient(self, worker, job, x):
        return 0.0, self.nothing


def engine_per_s(objective, gradients):
    run = td.train(objective, "dude", lr=LR, updates=gradients, device="cpu:1", clock="virtual", compute_time="linear:1:0.1",
                   quiet=True)
    return run.summary["gradients"] / run.summary["train_time_s"]


def simulator_per_s(objective, gradients):
    model, mean = np.zeros(DIMENSION, np.float32), np.zeros(DIMENSION, np.float32)
    table = np.zeros((WORKERS, DIMENSION), np.float32)
    heap = [(1 + 0.1 * worker, worker, 0, model) for worker in range(WORKERS)]
    heapq.heapify(heap)
    begin = time.perf_counter()
    for _ in range(gradients):
        now, worker, job, handed = heapq.heappop(heap)
        _, gradient = objective.gradient(worker, job, handed)
        mean += (gradient - table[worker]) / np.float32(WORKERS)
        table[worker] = gradient
        model = model - np.float32(LR) * mean
        heapq.heappush(heap, (now + 1 + 0.1 * worker, worker, job + 1, model))
    return gradients / (time.perf_counter() - begin)


def callback_per_s(objective, gradients):
    model = np.zeros(DIMENSION, np.float32)
    begin = time.perf_counter()
    for i in range(gradients):
        objective.gradient(i % WORKERS, i // WORKERS, model)
    return gradients / (time.perf_counter() - begin)


def us_of_method(method, updates):
    run = td.train("quadratic:tridiagonal:100", method, workers=WORKERS, lr=0.001, updates=updates, device="cpu:1",
                   clock="virtual", compute_time="linear:1:0.1", quiet=True)
    return 1e6 * run.summary["train_time_s"] / run.summary["gradients"]


def seconds_of(command):
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", command], check=True)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for name, objective in (("logistic regression in NumPy", Logistic()), ("a gradient that costs nothing", Free())):
        found = [(engine_per_s(objective, 20000), simulator_per_s(objective, 20000), callback_per_s(objective, 20000))
                 for _ in range(rounds)]
        ours, theirs, alone = map(statistics.median, zip(*found))
        shares = statistics.median(1e6 / engine - 1e6 / callback for engine, _, callback in found)
        ratio = statistics.median(engine / simulator for engine, simulator, _ in found)
        print(f"{name}, d = {DIMENSION}, batch {BATCH}: {ours:.0f} arrivals/s, the engine's share {shares:.1f} us an arrival; plain "
              f"simulator {theirs:.0f}/s, {ratio:.2f} times as many; the callback alone {alone:.0f}/s")
    for own, name in ((methods.Dude(), "dude"), (methods.Ringleader(), "ringleader")):
        found = [(us_of_method(own, 100000), us_of_method(name, 100000)) for _ in range(rounds)]
        in_python, in_cpp = map(statistics.median, zip(*found))
        print(f"{name}, d = 100, {WORKERS} workers: {in_python:.2f} us an arrival in Python, {in_cpp:.2f} in C++, "
              f"{statistics.median(a - b for a, b in found):.2f} more")
    found = [(seconds_of("import tardigrad"), seconds_of("import numpy")) for _ in range(rounds)]
    ours, numpy = map(statistics.median, zip(*found))
    print(f"import tardigrad {ours:.2f} s; import numpy {numpy:.2f} s")


if __name__ == "__main__":
    main()
