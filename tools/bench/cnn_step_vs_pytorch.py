#!/usr/bin/python3
"""Training step of the cnn on 32x32x3 images: tardigrad against PyTorch on one thread, measured in turn (A B A B ...).

    taskset -c 1 tools/bench/cnn_step_vs_pytorch.py build/tools/bench/cnn_step_bench

A step is loss and gradient of one minibatch, no optimizer. PyTorch runs in channels_last, its fastest format here.
Printed for each batch size: the median of each side, in milliseconds of processor time, which other programs on the
machine do not lengthen as they do the wall clock's, and the median of the ratios of neighbours.
PyTorch needs a real BLAS for its linear layers: apt-get install libopenblas0-pthread.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

# PyTorch at its best: freed memory stays in the process (else page faults are a third of its step), and OpenBLAS
# chooses its own kernels (some environments pin it to an older processor). Both are read when a process starts.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}
if "OPENBLAS_CORETYPE" in os.environ or not KEEP_MEMORY.items() <= os.environ.items():
    environment = {**os.environ, **KEEP_MEMORY}
    environment.pop("OPENBLAS_CORETYPE", None)
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)

import torch
from torch import nn


def pytorch_cnn():
    layers = []
    for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 256), nn.ReLU(), nn.Linear(256, 10))


class PyTorch:
    def __init__(self, batch):
        self.model = pytorch_cnn().to(memory_format=torch.channels_last)
        self.images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
        self.labels = torch.randint(10, (batch,))

    def run_s(self, steps):
        start = time.process_time()
        for _ in range(steps):
            self.model.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(self.model(self.images), self.labels).backward()
        return time.process_time() - start


class Tardigrad:
    def __init__(self, program, batch):
        self.process = subprocess.Popen([program, "--serve", "--batch", str(batch)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run_s(self, steps):
        print(steps, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def compare(program, batch, rounds):
    sides = Tardigrad(program, batch), PyTorch(batch)
    for side in sides:
        side.run_s(3)
    steps = max(1, round(0.2 / sides[0].run_s(1)))
    times_ms = [[side.run_s(steps) / steps * 1e3 for side in sides] for _ in range(rounds)]
    ours, theirs = (statistics.median(column) for column in zip(*times_ms))
    ratio = statistics.median(a / b for a, b in times_ms)
    print(f"batch {batch}: tardigrad {ours:.2f} ms, PyTorch {theirs:.2f} ms, ratio {ratio:.3f} "
          f"({rounds} rounds of {steps} steps)", flush=True)


def blas_of_pytorch():
    torch.ones(2, 2) @ torch.ones(2, 2)
    libraries = set(re.findall(r"/\S*(?:blas|blis|mkl_rt)\S*", pathlib.Path("/proc/self/maps").read_text()))
    return ", ".join(sorted(libraries)) or "built in"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("program", help="the built cnn_step_bench")
parser.add_argument("--batch", type=int, nargs="+", default=[32, 128])
parser.add_argument("--rounds", type=int, default=15)
arguments = parser.parse_args()
torch.set_num_threads(1)
blas = blas_of_pytorch()
if re.search("/blas/", blas):
    sys.exit(f"PyTorch would run on the reference BLAS ({blas}), four times slower: see --help")
print(f"PyTorch {torch.__version__} with BLAS {blas}, one thread each")
for batch_size in arguments.batch:
    compare(arguments.program, batch_size, arguments.rounds)
