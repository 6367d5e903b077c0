#!/usr/bin/env python3
"""Runs the public code of Ringleader ASGD's authors and this program side by side, on the same problem.

    git clone https://github.com/vectozavr/ringmaster-lmo && git -C ringmaster-lmo checkout 9013e25
    tools/reproduce/authors.py ringmaster-lmo build/tools/tardigrad --dataset mnist --lr ringleader=0.005,malenia=0.5,ia2sgd=0.005

Their code is fetched by whoever runs this, and is no part of the project; it needs PyTorch. Both train the same network
(784-128-10, batch 4) from the same first model, on the same shares of the same images, which are their partition, with the
same base delays, 1 to n in an order drawn by the seed. What differs is which minibatches and which noise of the delays are
drawn. Printed are f and ||grad f||^2 over all training images at the same times of their clock and ours, and how many gradients a
second each computes, evaluations not counted; --out keeps it all as JSON. Each is one process on one thread, one after the other.
"""
import argparse
import gzip
import json
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import types

import numpy as np

THEIR_NAMES = {"ringleader": "RingleaderASGD", "malenia": "MaleniaSGD", "ia2sgd": "IAASGD"}
STANDARD = {"mnist": (0.1307, 0.3081), "fashion-mnist": (0.2860406, 0.35302424)}  # as their prepare_dataset has them
TENSORS = {"fc1.weight": (128, 784), "fc1.bias": (128,), "fc2.weight": (10, 128), "fc2.bias": (10,)}


def read_idx(folder, name):
    path = next(folder.glob(f"{name}*"))
    data = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    dimensions = data[3]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(struct.unpack_from(f">{dimensions}i", data, 4))


class Problem:
    """The data, the partition and the delays, as their code makes them."""

    def __init__(self, folder, dataset, workers, seed):
        from prep_data import dirichlet_partition_equal_size  # their file

        mean, deviation = STANDARD[dataset]
        images = read_idx(folder, "train-images").reshape(-1, 784).astype(np.float32) / 255
        self.features = (images - np.float32(mean)) / np.float32(deviation)
        self.labels = read_idx(folder, "train-labels").astype(np.int64)
        self.shares, self.share_labels, self.splits = dirichlet_partition_equal_size(
            self.features, self.labels, 10, num_nodes=workers, alpha=0.1, seed=654321)
        self.delays = np.random.default_rng(seed).permutation(np.arange(1, workers + 1))
        self.seed = seed


class Theirs:
    """A run of their code: its optimizer takes one step (a round, an update, or n arrivals) at a time."""

    def __init__(self, problem, method, lr):
        import asynchronous.algorithm as algorithm  # their files
        from asynchronous.asynchronous_transport import RandomDelayedAsynchronousTransport
        from model import SimpleNeuralNetFunction
        from signature import Signature

        owner = self
        self.gradients = 0

        class Counted(SimpleNeuralNetFunction):
            def stochastic_gradient(self, *arguments, **options):
                owner.gradients += 1
                return super().stochastic_gradient(*arguments, **options)

        noise = [np.random.default_rng(problem.seed + worker) for worker in range(len(problem.delays))]
        nodes = [Signature(algorithm.StochasticGradientNodeAlgorithm, Counted(x, y, seed=problem.seed))
                 for x, y in zip(problem.shares, problem.share_labels)]
        transport = RandomDelayedAsynchronousTransport(
            nodes, problem.delays.copy(), lambda i: abs(noise[i].normal(0.0, np.sqrt(i + 1))))
        self.function = SimpleNeuralNetFunction(problem.features, problem.labels, seed=problem.seed)
        self.first_model = np.array(self.function.get_current_point(), copy=True)
        self.optimizer = getattr(algorithm, THEIR_NAMES[method])(transport, self.first_model.copy(), gamma=lr)

    def run(self, times):
        """Evaluations at the first steps that end at those times or later, and gradients per second."""
        evaluations, seconds = [], 0.0
        for wanted in times:
            while self.optimizer.get_time() < wanted:
                began = time.perf_counter()
                self.optimizer.step()
                seconds += time.perf_counter() - began
            point = self.optimizer.get_point()
            evaluations.append({"time": float(self.optimizer.get_time()), "objective": self.function.value(point),
                                "gradient_norm_sq": float(np.linalg.norm(self.function.gradient(point)) ** 2)})
        return {"evaluations": evaluations, "gradients_per_s": self.gradients / seconds}


def save_model(model, path):
    """As safetensors."""
    header, at = {}, 0
    for name, shape in TENSORS.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + model.astype("<f4").tobytes())


def run_ours(program, folder, problem, dataset, method, lr, first_model, times, work):
    save_model(first_model, work / "first.safetensors")
    owners = np.empty(len(problem.labels), int)
    for worker, examples in enumerate(problem.splits):
        owners[examples] = worker
    (work / "owners.csv").write_text("".join(f"{owner}\n" for owner in owners))
    log = work / "ours.jsonl"
    delays = ",".join(map(str, problem.delays))
    subprocess.run(
        [program, "train", "--model", "mlp", "--dataset", dataset, "--data-dir", folder, "--method", method, "--lr", str(lr),
         "--workers", str(len(problem.delays)), "--batch-size", "4", "--partition", f"file:{work / 'owners.csv'}",
         "--sampling", "replacement", "--init", work / "first.safetensors", "--seed", str(problem.seed), "--clock", "virtual",
         "--compute-time", f"{delays}+halfnormal:worker", "--time-limit", str(times[-1]), "--eval-every", f"{times[0]}s",
         "--eval-gradient", "--device", "cpu:1", "--log", log, "--log-detail", "evaluations", "--quiet"],
        check=True, stdout=subprocess.DEVNULL)
    records = [json.loads(line) for line in log.read_text().splitlines()]
    evaluations = [{key: r[key] for key in ("time", "objective", "gradient_norm_sq")}
                   for r in records if r["event"] == "eval" and r["time"] > 0]
    summary = records[-1]
    return {"evaluations": evaluations[:len(times)], "gradients_per_s": summary["gradients"] / summary["train_time_s"]}


def show(method, runs, times):
    """Medians over the seeds of both."""
    print(f"\n{method}: gradients/s theirs {statistics.median(r['theirs']['gradients_per_s'] for r in runs):.0f}, ours "
          f"{statistics.median(r['ours']['gradients_per_s'] for r in runs):.0f}, "
          f"{statistics.median(r['ours']['gradients_per_s'] / r['theirs']['gradients_per_s'] for r in runs):.1f} times")
    print(f"{'time':>8}  {'f theirs':>9} {'ours':>9}  {'||grad f||^2 theirs':>19} {'ours':>9}")
    for i, wanted in enumerate(times):
        def median(whose, key, i=i):
            return statistics.median(r[whose]["evaluations"][i][key] for r in runs)
        print(f"{wanted:>8g}  {median('theirs', 'objective'):>9.4f} {median('ours', 'objective'):>9.4f}  "
              f"{median('theirs', 'gradient_norm_sq'):>19.3g} {median('ours', 'gradient_norm_sq'):>9.3g}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("code", type=pathlib.Path, help="their repository, at commit 9013e25")
    parser.add_argument("program", help="build/tools/tardigrad")
    parser.add_argument("--dataset", choices=list(STANDARD), default="mnist")
    parser.add_argument("--data-dir", type=pathlib.Path, help="default: where tools/fetch_data.sh leaves it")
    parser.add_argument("--lr", default="ringleader=0.005,malenia=0.5,ia2sgd=0.005")
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--time-limit", type=float, default=20_000)
    parser.add_argument("--evaluations", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=pathlib.Path)
    given = parser.parse_args()
    sys.path.insert(0, str(given.code / "code" / "experiments"))
    sys.modules["function"] = types.SimpleNamespace(OptimizationProblemMeta=object)  # other problems; it needs scikit-learn
    folder = given.data_dir or pathlib.Path.home() / ".cache/tardigrad" / given.dataset
    times = [given.time_limit * (i + 1) / given.evaluations for i in range(given.evaluations)]
    results = {}
    for method, lr in (part.split("=") for part in given.lr.split(",")):
        results[method] = []
        for seed in given.seeds:
            problem = Problem(folder, given.dataset, given.workers, seed)
            theirs = Theirs(problem, method, float(lr))
            with tempfile.TemporaryDirectory() as work:
                ours = run_ours(given.program, folder, problem, given.dataset, method, lr, theirs.first_model, times,
                                pathlib.Path(work))
            results[method].append({"seed": seed, "lr": float(lr), "ours": ours, "theirs": theirs.run(times)})
        show(method, results[method], times)
        if given.out:
            given.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
