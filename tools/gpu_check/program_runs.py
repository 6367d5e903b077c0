#!/usr/bin/env python3
"""What gpu_check asks of the program as a whole: how long it takes to start, how many gradients a second there are in
virtual time, that every method runs, that runs repeat to the byte, and that one which is killed goes on. Each run prints a
line; the last line sums up. Exit code 1: something is not as it should be."""

import argparse
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

STARTS = 3  # with what is kept from the one before; the median counts
IMAGES = {"train": 2000, "t10k": 200}


class Failure(Exception):
    pass


def write_images(folder):
    """Images of 28×28 whose class is a bright row, in the files of MNIST."""
    generator = random.Random(1)
    size = (28).to_bytes(4, "big")
    for split, count in IMAGES.items():
        labels = bytes(i % 10 for i in range(count))
        images = bytearray(generator.randbytes(count * 784))
        for i, label in enumerate(labels):
            bright = i * 784 + (4 + 2 * label) * 28
            images[bright:bright + 28] = bytes([255]) * 28
        written = count.to_bytes(4, "big")
        (folder / f"{split}-images-idx3-ubyte").write_bytes((0x803).to_bytes(4, "big") + written + 2 * size + images)
        (folder / f"{split}-labels-idx1-ubyte").write_bytes((0x801).to_bytes(4, "big") + written + labels)


class Runs:
    """Runs of the program, on the data and in the folder of this check."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder, self.done = arguments, folder, 0
        write_images(folder)

    def command(self, model, *options, device=None, batch_size=32):
        images = ["--dataset", "mnist", "--data-dir", self.folder, "--batch-size", batch_size]
        data = [] if model.startswith("quadratic") else images
        return [self.arguments.program, "train", "--model", model, *data, "--lr", "0.01", "--device",
                device or self.arguments.device, *options]

    def environment(self, plans="plans"):
        return {**os.environ, "TARDIGRAD_PLANS": str(self.folder / plans)}

    def run(self, name, command, plans="plans"):
        """What it says on stderr, and the summary of its log."""
        log = self.folder / "run.jsonl"
        log.unlink(missing_ok=True)
        words = [str(word) for word in (*command, "--log", log)]
        run = subprocess.run(words, env=self.environment(plans), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            raise Failure(f"{name}: exit code {run.returncode}: {run.stderr.strip().splitlines()[-1:]}")
        self.done += 1
        return run.stderr, json.loads(log.read_text().splitlines()[-1])

    def model_and_summary(self, name, command):
        """The bytes of the model that a run leaves, and the summary of its log."""
        saved = self.folder / "model.npy"
        _, summary = self.run(name, [*command, "--save", saved])
        return saved.read_bytes(), summary

    def model(self, name, command):
        return self.model_and_summary(name, command)[0]


def write_lines(runs, lines):
    if runs.arguments.json:
        runs.arguments.json.write_text("".join(json.dumps(line) + "\n" for line in lines))


def start(runs):
    lines = []
    for model in ("quadratic:tridiagonal:1000", "mlp", "cnn"):
        for plan in ("chosen", "kept"):
            taken = []
            for _ in range(1 if plan == "chosen" else STARTS):
                said, _ = runs.run(model, runs.command(model, "--method", "dude", "--workers", "2", "--updates", "1",
                                                       "--timings"))
                whole, parts = re.search(r"starting took ([\d.]+) s: (.*)", said).groups()
                taken.append((float(whole), {part: float(s) for part, s in re.findall(r"([a-zA-Z ]+?) ([\d.]+)(?:, |$)", parts)}))
            seconds = statistics.median(whole for whole, _ in taken)
            lines.append({"benchmark": "start", "case": ["model", "plan"], "model": model.split(":")[0], "plan": plan,
                          "seconds": seconds, "parts": min(taken, key=lambda one: abs(one[0] - seconds))[1]})
            print(f"{model}, plan {plan}: {seconds:.2f} s to the first update", flush=True)
    write_lines(runs, lines)
    return ", ".join(f"{line['model']} {line['seconds']:.2f} s" for line in lines if line["plan"] == "kept")


def methods(runs):
    refused = subprocess.run([runs.arguments.program, "train", "--model", "mlp", "--method", "none", "--lr", "1"],
                             stderr=subprocess.PIPE, text=True, check=False).stderr
    names = re.search(r"known: ([^;]*)", refused)[1].split(", ")
    for name in names:
        options = ["--local-steps", "2", "--local-lr", "0.01"] if name == "fedbuff" else []
        _, summary = runs.run(name, runs.command("mlp", "--method", name, "--workers", "4", "--time-limit",
                                                 runs.arguments.seconds, "--verify", *options))
        if summary["updates"] == 0:
            raise Failure(f"{name}: not one update in {runs.arguments.seconds} s")
        print(f"{name}: {summary['updates']} updates, loss {summary['final_loss']:.3f}", flush=True)
    return f"{len(names)} methods"


def repeats(runs):
    virtual = ["--method", "dude", "--workers", "5", "--clock", "virtual", "--compute-time", "linear:1:1", "--updates", "200"]
    for model, options in (("quadratic:tridiagonal:5000:noise=0.5", []), ("mlp", ["--deterministic"])):
        command = runs.command(model, *virtual, *options)
        first = runs.model(model, command)
        if runs.model(model, command) != first:
            raise Failure(f"{model}: two runs in virtual time left different models")
        print(f"{model}: the same bytes twice", flush=True)
    command = runs.command("mlp", *virtual, "--deterministic")
    losses = [runs.run("mlp", one)[1]["final_loss"] for one in (command, runs.command("mlp", *virtual, device="cpu:1"))]
    # Sums in another order: of the loss, after 200 steps from the same model, that is far less than a hundredth.
    if abs(losses[0] - losses[1]) > 0.01 * losses[1]:
        raise Failure(f"mlp: the loss is {losses[0]} at the end, and {losses[1]} on the CPU")
    print(f"mlp: loss {losses[0]:.6f}, on the CPU {losses[1]:.6f}", flush=True)
    recording = runs.folder / "run.tgr"
    for options in (["ringleader"], ["asgd", "--hand-over", "device"], ["dude", "--hand-over", "device"]):
        recorded = runs.model("recorded", runs.command("mlp", "--method", *options, "--workers", "3", "--updates", "100",
                                                       "--eval-every", "30", "--deterministic", "--record", recording))
        if runs.model("replayed", [runs.arguments.program, "train", "--replay", recording]) != recorded:
            raise Failure(f"{' '.join(options)}: a run in wall time and its replay left different models")
    return "twice, on the CPU, replayed"


def resume(runs):
    """Killed without warning, from the first checkpoint on."""
    common = ["--method", "dude", "--workers", "4", "--clock", "virtual", "--compute-time", "linear:1:1", "--deterministic",
              "--updates", "400"]
    whole = runs.model("whole", runs.command("mlp", *common))
    checkpoints = runs.folder / "checkpoints"
    saved = runs.folder / "resumed.npy"
    command = [str(word) for word in runs.command("mlp", *common, "--checkpoint-dir", checkpoints, "--checkpoint-every", "50",
                                                  "--resume", "latest", "--save", saved)]
    kills = 0
    generator = random.Random(1)
    while not saved.exists():
        process = subprocess.Popen(command, env=runs.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        before = set(checkpoints.glob("*"))
        while process.poll() is None and (kills == 3 or set(checkpoints.glob("*")) <= before):
            time.sleep(0.001)
        if process.poll() is None:
            time.sleep(generator.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            kills += 1
        if process.wait() > 0:
            raise Failure(f"exit code {process.returncode} after {kills} kills")
        runs.done += 1
    if saved.read_bytes() != whole:
        raise Failure(f"killed {kills} times, a run left another model than one that was not")
    return f"killed {kills} times, the same bytes"


def virtual_time(runs):
    """Gradients a second of 100 workers with small minibatches, which leave the same bytes each time."""
    lines = []
    for method in ("dude", "ringleader", "ia2sgd"):
        command = runs.command("mlp", "--method", method, "--workers", "100", "--clock", "virtual", "--compute-time",
                               "linear:1:1+halfnormal", "--deterministic", "--time-limit", 5000 * runs.arguments.seconds,
                               batch_size=4)
        rates = []
        models = set()
        for _ in range(3):
            model, summary = runs.model_and_summary(method, command)
            rates.append(summary["gradients"] / summary["train_time_s"])
            models.add(model)
        if len(models) > 1:
            raise Failure(f"{method}: runs in virtual time left different models")
        lines.append({"benchmark": "virtual_time", "case": ["method"], "method": method,
                      "gradients_per_s": statistics.median(rates)})
        print(f"{method}: {statistics.median(rates):,.0f} gradients/s", flush=True)
    write_lines(runs, lines)
    return ", ".join(f"{line['method']} {line['gradients_per_s']:,.0f} gradients/s" for line in lines)


CHECKS = {"start": start, "virtual_time": virtual_time, "methods": methods, "repeats": repeats, "resume": resume}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("check", choices=CHECKS, nargs="+")
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--json", type=pathlib.Path, help="what `start` or `virtual_time` measures, a JSON object a line")
    parser.add_argument("--seconds", type=float, default=2, help="of each of the `methods`; `virtual_time` takes 5,000 times as much")
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(arguments, pathlib.Path(folder))
        try:
            notes = [CHECKS[name](runs) for name in arguments.check]
        except Failure as failure:
            print(failure)
            sys.exit(1)
    print(f"{runs.done} runs: {'; '.join(notes)}")


if __name__ == "__main__":
    main()
