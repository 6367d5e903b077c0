#!/usr/bin/env python3
"""Training step of the cnn, or another network, on 32x32x3 images: tardigrad against PyTorch, in turn (A B C A B C ...).

    taskset -c 1 /usr/bin/python3 tools/bench/cnn_step_vs_pytorch.py build/tools/bench/cnn_step_bench
    taskset -c 1 /usr/bin/python3 tools/bench/cnn_step_vs_pytorch.py build/tools/bench/cnn_step_bench --architecture resnet18 --batch 32
    tools/bench/cnn_step_vs_pytorch.py build/tools/bench/cnn_step_bench --device cuda

A step is loss and gradient of one minibatch, no optimizer. PyTorch runs in channels_last, its fastest format here.
Printed for each batch size and precision: the median of each side in milliseconds, and how many times as fast as
PyTorch tardigrad is, by the median of the ratios of neighbours.

On the CPU: one thread each, a minibatch that is there, in processor time, which other programs on the machine do not
lengthen as they do the wall clock's. PyTorch needs a real BLAS for its linear layers: apt-get install
libopenblas0-pthread.

On a GPU: all sides gather each minibatch out of uint8 images that lie on the GPU and normalise them; PyTorch reads what
to gather from a permutation that is there, tardigrad draws it. PyTorch runs eager, and as a CUDA graph of the whole
step; with --compile, also the step that torch.compile makes by measuring (max-autotune), launched kernel by kernel and as
a CUDA graph. Of bf16 it has two ways, autocast and weights in bf16; the faster counts, for each of those. cuDNN chooses
its algorithms by measurement. By the wall clock, until the last step is finished.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

# PyTorch at its best on a CPU: freed memory stays in the process (else page faults are a third of its step), and
# OpenBLAS chooses its own kernels (some environments pin it to an older processor). Both are read when a process starts.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}
if "OPENBLAS_CORETYPE" in os.environ or not KEEP_MEMORY.items() <= os.environ.items():
    environment = {**os.environ, **KEEP_MEMORY}
    environment.pop("OPENBLAS_CORETYPE", None)
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)

import torch
from torch import nn

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "models"))
import pytorch_module  # noqa: E402

DATA_SET_SIZE = 50000
KINDS = ("eager", "graphs", "compiled", "compiled_graphs")
WITHOUT = ("one_stream", "unfused", "legacy")


def pytorch_network(program, architecture):
    """The class of the module that the network's file describes."""
    text = subprocess.run([program, "--print", "--architecture", architecture], check=True, capture_output=True, text=True)
    scope = {}
    exec(pytorch_module.module_source(text.stdout, (3, 32, 32), 10), scope)
    return scope["Network"]


class PyTorchOnCpu:
    def __init__(self, network, batch):
        self.model = network().to(memory_format=torch.channels_last)
        self.images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
        self.labels = torch.randint(10, (batch,))

    def run_s(self, steps):
        start = time.process_time()
        for _ in range(steps):
            self.model.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(self.model(self.images), self.labels).backward()
        return time.process_time() - start


class PyTorchOnGpu:
    """`kind`: of KINDS. `weights`: torch.float32 or torch.bfloat16; autocast is for fp32 weights."""

    def __init__(self, network, data, batch, kind, weights=torch.float32, autocast=False):
        self.data, self.batch, self.weights, self.autocast = data, batch, weights, autocast
        self.model = network().to("cuda", weights, memory_format=torch.channels_last)
        self.scale, self.shift = data.scale.to(weights), data.shift.to(weights)
        self.chosen = torch.zeros(batch, dtype=torch.int64, device="cuda")
        self.position = 0
        self.loss = self.loss_of
        if kind.startswith("compiled"):  # the graph is captured by ourselves: it then holds the backward pass, too
            self.loss = torch.compile(self.loss_of, mode="max-autotune-no-cudagraphs", fullgraph=True, dynamic=False)
        self.graph = self.capture() if kind.endswith("graphs") else None

    def loss_of(self, chosen):
        pixels = self.data.images.index_select(0, chosen).permute(0, 3, 1, 2)  # channels_last by its strides
        images = torch.addcmul(self.shift, pixels.to(self.weights), self.scale)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.autocast, cache_enabled=False):
            logits = self.model(images)
            return nn.functional.cross_entropy(logits.float(), self.data.labels.index_select(0, chosen))

    def compute(self):
        """Loss and gradient of the minibatch `chosen`."""
        self.model.zero_grad(set_to_none=True)
        self.loss(self.chosen).backward()

    def capture(self):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # algorithms are chosen before
                self.compute()
        torch.cuda.current_stream().wait_stream(stream)
        self.model.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.compute()
        return graph

    def run_s(self, steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            if self.position + self.batch > DATA_SET_SIZE:
                self.position = 0
            chosen = self.data.order[self.position:self.position + self.batch]
            self.position += self.batch
            if self.graph:
                self.chosen.copy_(chosen)
                self.graph.replay()
            else:
                self.chosen = chosen
                self.compute()
        torch.cuda.synchronize()
        return time.perf_counter() - start


class DataOnGpu:
    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randint(256, (DATA_SET_SIZE, 32, 32, 3), dtype=torch.uint8, generator=generator).cuda()
        self.labels = torch.randint(10, (DATA_SET_SIZE,), generator=generator).cuda()
        self.order = torch.randperm(DATA_SET_SIZE, generator=generator).cuda()
        self.scale = torch.full((1, 3, 1, 1), 1 / (255 * 0.25)).cuda()  # mean ½, deviation ¼
        self.shift = torch.full((1, 3, 1, 1), -2.0).cuda()


class Tardigrad:
    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, "--serve", *map(str, options)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run_s(self, steps, how=""):
        print(steps, how, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.process.args[0]} ended, exit code {self.process.wait()}")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Without:
    """The steps of a Tardigrad's GPU without one of what may make them fast: see cnn_step_bench.cpp."""

    def __init__(self, tardigrad, way):
        self.tardigrad = tardigrad
        self.way = way

    def run_s(self, steps):
        return self.tardigrad.run_s(steps, self.way)


def in_turn(sides, rounds, block_s):
    """Milliseconds a step: for each side a list over the rounds."""
    for side in sides.values():
        side.run_s(5)
    # Many steps in a block, since the wall clock's ends at a synchronisation, of every side as many as suit the first.
    first = next(iter(sides.values()))
    steps = max(1, round(10 * block_s / first.run_s(10)))
    times_ms = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times_ms[name].append(side.run_s(steps) / steps * 1e3)
    return times_ms


def compare(sides, arguments, batch, precision):
    """Prints and keeps how the first side does against the best of PyTorch's ways of each kind."""
    times_ms = in_turn(sides, arguments.rounds, arguments.block)
    ours = times_ms.pop("tardigrad")
    found = {"ms": statistics.median(ours), "images_per_s": batch / statistics.median(ours) * 1e3}
    without = ""
    for way in WITHOUT:
        theirs = times_ms.pop(way, None)
        if theirs:
            found[f"{way}_ms"] = statistics.median(theirs)
            found[f"over_{way}"] = statistics.median(b / a for a, b in zip(ours, theirs))
            without += f", {way} {found[f'over_{way}']:.3f} times as long"
    for kind in KINDS:
        ways = {name: times for name, times in times_ms.items() if name.split()[0] == kind}
        if ways:
            best = min(ways, key=lambda name: statistics.median(ways[name]))
            found[f"pytorch_{kind}_ms"] = statistics.median(ways[best])
            found[f"pytorch_{kind}"] = best
            found[f"over_pytorch_{kind}"] = statistics.median(b / a for a, b in zip(ours, ways[best]))
    found["over_pytorch"] = min(found[f"over_pytorch_{kind}"] for kind in KINDS if f"over_pytorch_{kind}" in found)
    print(f"batch {batch}, {precision}: tardigrad {found['ms']:.3f} ms{without}" + "".join(
        f"; PyTorch {found[f'pytorch_{kind}']} {found[f'pytorch_{kind}_ms']:.3f} ms, {found[f'over_pytorch_{kind}']:.3f} "
        "times as fast" for kind in KINDS if f"pytorch_{kind}" in found), flush=True)
    if arguments.json:
        benchmark = f"{arguments.architecture}_step{'_compiled' if arguments.compile else ''}"
        line = {"benchmark": benchmark, "device": arguments.device, "case": ["architecture", "batch", "precision"],
                "architecture": arguments.architecture, "batch": batch, "precision": precision, **found}
        with open(arguments.json, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def gpu_sides(network, data, batch, precision, kinds):
    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    ways = {"": {}}
    if precision == "bf16":
        ways = {" with autocast": {"autocast": True}, " with bf16 weights": {"weights": torch.bfloat16}}
    if "compiled" in kinds:
        torch._dynamo.reset()  # it compiles one function no more often than so, else
    return {kind + way: PyTorchOnGpu(network, data, batch, kind, **options) for kind in kinds for way, options in ways.items()}


def compare_on_gpu(arguments):
    torch.backends.cudnn.benchmark = True
    data = DataOnGpu()
    network = pytorch_network(arguments.program, arguments.architecture)
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    kinds = KINDS if arguments.compile else KINDS[:2]
    # Of a cnn the first layers may be fused: a convolution, ReLU and pool. An mlp has no convolutions.
    no_use = {"cnn": (), "mlp": ("unfused", "legacy")}.get(arguments.architecture[:3], ("unfused",))
    ways = [way for way in WITHOUT if way not in no_use]
    for batch in arguments.batch:
        for precision in arguments.precision:
            ours = Tardigrad(arguments.program, "--architecture", arguments.architecture, "--batch", batch, "--device", arguments.device, "--precision", precision,
                             "--without", *ways)
            sides = {"tardigrad": ours, **{way: Without(ours, way) for way in ways}, **gpu_sides(network, data, batch, precision, kinds)}
            compare(sides, arguments, batch, precision)
            ours.close()


def blas_of_pytorch():
    torch.ones(2, 2) @ torch.ones(2, 2)
    libraries = set(re.findall(r"/\S*(?:blas|blis|mkl_rt)\S*", pathlib.Path("/proc/self/maps").read_text()))
    return ", ".join(sorted(libraries)) or "built in"


def compare_on_cpu(arguments):
    torch.set_num_threads(1)
    network = pytorch_network(arguments.program, arguments.architecture)
    blas = blas_of_pytorch()
    if re.search("/blas/", blas):
        sys.exit(f"PyTorch would run on the reference BLAS ({blas}), four times slower: see --help")
    print(f"PyTorch {torch.__version__} with BLAS {blas}, one thread each")
    for batch in arguments.batch:
        ours = Tardigrad(arguments.program, "--architecture", arguments.architecture, "--batch", batch)
        compare({"tardigrad": ours, "eager": PyTorchOnCpu(network, batch)}, arguments, batch, "fp32")
        ours.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the built cnn_step_bench")
    parser.add_argument("--architecture", default="cnn", help="a built-in network (cnn) or a network file")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, nargs="+", help="32 128, on a GPU also 512")
    parser.add_argument("--precision", nargs="+", default=["fp32", "tf32", "bf16"], help="of a GPU")
    parser.add_argument("--compile", action="store_true", help="also PyTorch's compiled steps; takes minutes")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--block", type=float, help="seconds that a side runs in a round: 0.2, on a GPU 0.05")
    parser.add_argument("--json", help="add what was measured to this file, a JSON object a line")
    arguments = parser.parse_args()
    on_gpu = arguments.device != "cpu"
    arguments.batch = arguments.batch or ([32, 128, 512] if on_gpu else [32, 128])
    arguments.block = arguments.block or (0.05 if on_gpu else 0.2)
    if on_gpu and not torch.cuda.is_available():
        print("PyTorch finds no GPU")
        sys.exit(77)
    if arguments.compile and not (on_gpu and hasattr(torch, "compile")):
        parser.error(f"--compile: expected a GPU and PyTorch 2, found {arguments.device} and PyTorch {torch.__version__}")
    compare_on_gpu(arguments) if on_gpu else compare_on_cpu(arguments)


main()
