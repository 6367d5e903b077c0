#!/usr/bin/env python3
"""How long workers wait for their models while checkpoints are taken: tools/bench/checkpoint_pause.py PROGRAM [SECONDS]

Runs with and without checkpoints take turns, in wall time. A gradient's hand_over_time, from the end of its worker's job
before until it begins, is what the server needs for an update and the hand-over; of the gradients that begin while
vectors of a checkpoint are being copied it may be that of one update more.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WORKERS = 10
DIMENSION = 620_362  # that of the cnn on 32x32x3
TURNS = 5
# A table of 10 rows and as many models of jobs, 3 an arrival, and what is copied at once.
ARRIVALS_OF_A_CHECKPOINT = 10


def run(program, seconds, folder, checkpoints):
    log = Path(folder) / "run.jsonl"
    command = [program, "train", "--model", f"quadratic:tridiagonal:{DIMENSION}", "--method", "dude", "--lr", "0.001",
               "--workers", str(WORKERS), "--device", "cpu:2", "--compute-time", "linear:1:0.1", "--time-unit", "0.1",
               "--time-limit", str(seconds), "--log", str(log), "--log-size", "1G"]
    if checkpoints:
        where = tempfile.mkdtemp(dir=folder)
        command += ["--checkpoint-dir", where, "--checkpoint-every", "1s"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [json.loads(line) for line in log.read_text().splitlines()]


def waits(records):
    """Hand-over times in ms of the gradients while checkpoints were copied, and of the others."""
    during, others, left = [], [], 0
    for record in records:
        if record["event"] == "checkpoint":
            left = ARRIVALS_OF_A_CHECKPOINT
        if "hand_over_time" in record:
            (during if left > 0 else others).append(1e3 * record["hand_over_time"])
            left -= 1
    return during, others


def show(name, times):
    times = sorted(times)
    quantile = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"{name:<36} {len(times):>9} {statistics.median(times):>9.2f} {quantile(0.95):>9.2f} {times[-1]:>9.2f}")


def main():
    program = sys.argv[1]
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    during, between, without = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TURNS):
            without += waits(run(program, seconds, folder, False))[1]
            one, other = waits(run(program, seconds, folder, True))
            during += one
            between += other
    print(f"{'wait for the model, ms':<36} {'gradients':>9} {'median':>9} {'95 %':>9} {'longest':>9}")
    show("no checkpoints", without)
    show("between checkpoints", between)
    show("while a checkpoint is copied", during)


if __name__ == "__main__":
    main()
