#!/usr/bin/env python3
"""How fast own data are read, and how fast logistic regression on them is, against a NumPy loop.

    tools/bench/own_data.py build/tools/tardigrad [--images 50000] [--rounds 5]

Images: so many PNGs of 32x32 pixels are made in a folder of ten classes; printed is how long `tardigrad data` takes to decode
them into its cache, and how long with the cache there (medians of the rounds). Rows: a file in the form of a9a (32,561 x 123,
about 14 features a row) is made; printed are the gradients a second of minibatches of 32, of asgd in virtual time on one
thread, and of the same gradients and steps in NumPy, in turn, and how many times as many that is.
"""

import argparse
import json
import os
import pathlib
import statistics
import struct
import subprocess
import tempfile
import time
import zlib

for library in ("OMP", "OPENBLAS", "MKL"):  # one thread, as the other side has
    os.environ[f"{library}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

ROWS, FEATURES, BATCH = 32561, 123, 32


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_images(folder, count):
    noise = np.random.default_rng(1)
    for label in range(10):
        (folder / f"class_{label}").mkdir(parents=True)
    for i in range(count):
        rows = noise.integers(256, size=(32, 96), dtype=np.uint8)
        rows[:, 48:] = rows[:, :1]  # half noise, half flat, so that there is something to inflate
        packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 6)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) + chunk(b"IDAT", packed)
        (folder / f"class_{i % 10}" / f"{i}.png").write_bytes(png + chunk(b"IEND", b""))


def time_images(program, folder, count, rounds):
    write_images(folder / "images", count)
    cache = folder / "cache"
    cold, warm = [], []

    def seconds():
        start = time.perf_counter()
        subprocess.run([program, "data", "--dataset", f"folder:{folder}/images"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env={**os.environ, "TARDIGRAD_DATA": str(cache)})
        return time.perf_counter() - start

    for _ in range(rounds):
        for file in cache.rglob("*.images"):
            file.unlink()
        cold.append(seconds())
        warm.append(seconds())
    print(f"{count} PNGs of 32x32: decoded in {statistics.median(cold):.2f} s, from the cache in {statistics.median(warm):.2f} s "
          f"({os.cpu_count()} threads)")


def make_rows(path):
    random = np.random.default_rng(2)
    dense = (random.random((ROWS, FEATURES)) < 14 / FEATURES).astype(np.float32)
    labels = (dense @ random.standard_normal(FEATURES) + random.standard_normal(ROWS) > 0).astype(np.int64)
    with open(path, "w", encoding="ascii") as file:
        for row, label in zip(dense, labels):
            file.write(f"{2 * label - 1:+d} " + " ".join(f"{j + 1}:1" for j in np.flatnonzero(row)) + "\n")
    return dense, labels


def numpy_per_s(dense, labels, steps):
    weights, bias = np.zeros((FEATURES, 2), np.float32), np.zeros(2, np.float32)
    order = np.random.default_rng(3).integers(ROWS, size=(steps, BATCH))
    start = time.perf_counter()
    for chosen in order:
        rows = dense[chosen]
        logits = rows @ weights + bias
        logits -= logits.max(axis=1, keepdims=True)
        errors = np.exp(logits)
        errors /= errors.sum(axis=1, keepdims=True)
        errors[np.arange(BATCH), labels[chosen]] -= 1
        errors /= BATCH
        weights -= np.float32(0.1) * (rows.T @ errors)
        bias -= np.float32(0.1) * errors.sum(axis=0)
    return steps / (time.perf_counter() - start)


def tardigrad_per_s(program, file, folder, updates):
    log = folder / "log.jsonl"
    subprocess.run([program, "train", "--model", "logistic", "--dataset", f"libsvm:{file}", "--test-share", "0", "--method", "asgd",
                    "--lr", "0.1", "--batch-size", str(BATCH), "--workers", "10", "--device", "cpu:1", "--clock", "virtual",
                    "--compute-time", "linear:1:0.1", "--updates", str(updates), "--log", log, "--log-detail", "evaluations",
                    "--quiet"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    summary = json.loads(log.read_text().splitlines()[-1])
    return summary["gradients"] / summary["train_time_s"]


def time_rows(program, folder, rounds):
    file = folder / "rows"
    dense, labels = make_rows(file)
    ours, theirs, ratios = [], [], []
    for _ in range(rounds):
        ours.append(tardigrad_per_s(program, file, folder, 200000))
        theirs.append(numpy_per_s(dense, labels, 20000))
        ratios.append(ours[-1] / theirs[-1])
    print(f"logistic regression, {ROWS} x {FEATURES}, batch {BATCH}: {statistics.median(ours):.0f} gradients/s, NumPy "
          f"{statistics.median(theirs):.0f}, {statistics.median(ratios):.1f} times as many")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path, help="the built tardigrad")
    parser.add_argument("--images", type=int, default=50000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    program = arguments.program.resolve()
    with tempfile.TemporaryDirectory() as folder:
        time_rows(program, pathlib.Path(folder), arguments.rounds)
        time_images(program, pathlib.Path(folder), arguments.images, arguments.rounds)


if __name__ == "__main__":
    main()
