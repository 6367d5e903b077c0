#!/usr/bin/env python3
"""What gpu_check asks of PyTorch's modules as workers (tardigrad.objective.torch): that a GPU comes to the CPU's losses, that
several workers share it in wall time, and that one which fails costs no other. The package is on PYTHONPATH. Each check
prints a line; the last line sums up. Exit code 1: something is not as it should be; 77: no PyTorch, or none that has the
device."""

import argparse
import sys

try:
    import torch
except ImportError:
    print("this Python has no PyTorch")
    sys.exit(77)

import numpy as np

import tardigrad as td

WORKERS = 4
# Sums in another order: of the loss, after 100 steps from the same model, that is far less.
TOLERANCE = 1e-3


class Failure(Exception):
    pass


class Fails(list):
    """A data set that cannot be read."""

    def __getitem__(self, index):
        raise ValueError("cannot be read")


class Runs:
    """Runs of a small network on images of 14×14 whose class is a bright row, 200 a worker."""

    def __init__(self, device):
        self.device = device
        numbers = np.random.default_rng(1)
        self.datasets = []
        for _ in range(WORKERS):
            labels = numbers.integers(10, size=200)
            images = numbers.random((200, 1, 14, 14), np.float32)
            images[np.arange(200), 0, 2 + labels] += 1
            self.datasets.append(list(zip(images, labels)))

    def module(self, dropout):
        torch.manual_seed(1)
        return torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                                   torch.nn.Flatten(), torch.nn.Linear(8 * 7 * 7, 32), torch.nn.ReLU(),
                                   torch.nn.Dropout(dropout), torch.nn.Linear(32, 10))

    def train(self, method, *, device=None, dropout=0.0, datasets=None, **options):
        objective = td.objective.torch(self.module(dropout), datasets or self.datasets, torch.nn.functional.cross_entropy,
                                       batch_size=16, test=self.datasets[0])
        return td.train(objective, method, lr=0.05, seed=3, device=device or self.device, quiet=True, **options)


def agrees_with_the_cpu(runs):
    options = dict(updates=100, eval_every=25, clock="virtual", compute_time="linear:1:1")
    for method in ("asgd", "ringleader"):
        on_gpu, on_cpu = (runs.train(method, device=device, **options).evaluations.loss for device in (None, "cpu:1"))
        difference = float(np.max(np.abs(on_gpu - on_cpu) / on_cpu))
        if not difference <= TOLERANCE:
            raise Failure(f"{method}: losses {on_gpu}, on the CPU {on_cpu}: {difference:.1e} apart, expected {TOLERANCE}")
        print(f"{method}: loss {on_gpu[-1]:.6f}, on the CPU {on_cpu[-1]:.6f}: at most {difference:.1e} apart", flush=True)
    return "the CPU's losses"


def learns_in_wall_time(runs):
    run = runs.train("dude", dropout=0.1, updates=400, eval_every=200)
    accuracy, rate = run.evaluations.accuracy[-1], run.summary["gradients"] / run.summary["train_time_s"]
    if not accuracy > 0.5:
        raise Failure(f"accuracy {accuracy} after 400 updates, expected more than 0.5")
    print(f"accuracy {accuracy:.3f} after {run.summary['gradients']} gradients, {rate:.0f} a second", flush=True)
    return f"{rate:.0f} gradients/s of {WORKERS} workers"


def loses_one_worker_alone(runs):
    datasets = [*runs.datasets[:2], Fails(runs.datasets[2]), *runs.datasets[3:]]
    run = runs.train("asgd", datasets=datasets, updates=200, errors="lose")
    lost, updates = list(run.worker_changes.worker), run.summary["updates"]
    if (lost, updates) != ([2], 200):
        raise Failure(f"{updates} updates, lost workers {lost}, expected 200 without worker 2")
    print("a data set that cannot be read costs its worker alone", flush=True)
    return "one worker lost"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"PyTorch {torch.__version__} has no GPU")
        sys.exit(77)
    torch.backends.cudnn.allow_tf32 = False
    runs = Runs(arguments.device)
    try:
        notes = [check(runs) for check in (agrees_with_the_cpu, learns_in_wall_time, loses_one_worker_alone)]
    except Failure as failure:
        print(failure)
        sys.exit(1)
    print(f"PyTorch {torch.__version__} on {arguments.device}: {'; '.join(notes)}")


if __name__ == "__main__":
    main()
