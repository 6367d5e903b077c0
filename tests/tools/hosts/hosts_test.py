#!/usr/bin/env python3
"""Runs over hosts that have nothing in common but a network (tools/hosts): hosts_test.py PROGRAM

Exit code 77: no root, no iproute2, no mpirun, or no network namespaces that mpirun can reach.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools" / "hosts"))
import hosts as hosts_module  # noqa: E402

PROGRAM = sys.argv.pop(1)
PROBLEM = {"A": [[[1, 0], [0, 2]], [[2, 0], [0, 1]]], "b": [[1, 0], [0, 1]], "x0": [0.5, -0.5]}


class OverHosts(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "problem.json").write_text(json.dumps(PROBLEM))
        self.hosts = self.enterContext(hosts_module.Hosts(3))

    def words(self, *options):
        return [PROGRAM, "train", "--model", "quadratic:problem.json", "--lr", "0.02", "--log", "log.jsonl", *options]

    def start(self, *options):
        self.printed = open(self.folder / "printed", "w+")
        self.addCleanup(self.printed.close)
        return self.hosts.mpirun(self.words("--ranks", "mpi", *options), cwd=self.folder, stdout=self.printed,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def train(self, *options):
        code = self.start(*options).wait(timeout=100)
        self.assertEqual(code, 0, (self.folder / "printed").read_text())

    def records(self, event):
        log = self.folder / "log.jsonl"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        lines = [line for line in lines if line.endswith("\n")]
        return [record for record in map(json.loads, lines) if record["event"] == event]

    def test_virtual_time_gives_the_bytes_of_one_process(self):
        virtual = ["--method", "dude", "--updates", "60", "--clock", "virtual", "--compute-time", "2,3"]
        subprocess.run(self.words(*virtual, "--save", "alone.safetensors"), cwd=self.folder, check=True, capture_output=True)
        self.hosts.shape(2, rate="1mbit")
        self.train(*virtual, "--save", "hosts.safetensors")
        self.assertEqual((self.folder / "hosts.safetensors").read_bytes(), (self.folder / "alone.safetensors").read_bytes())

    def test_nobody_waits_for_the_host_on_a_slow_link(self):
        self.hosts.shape(2, rate="100kbit")  # 24 + 40 bytes and headers: some 40 ms an update
        self.train("--method", "asgd", "--updates", "2000")
        fast, slow = (record["jobs"] for record in self.records("worker"))
        self.assertEqual(fast + slow, 2000)
        self.assertGreater(fast, 2 * slow)

    def start_to_be_cut_off(self, *options):
        """Asynchronous SGD in wall time, as soon as it has begun."""
        job = self.start("--method", "asgd", "--updates", "100000000", "--worker-timeout", "0.5", *options)
        self.addCleanup(job.wait)  # mpirun itself waits for a host that it cannot reach
        self.addCleanup(job.kill)
        self.wait_until(lambda: self.records("update"))
        return job

    def of_worker_1(self, event):
        return [record for record in self.records(event) if record["worker"] == 1]  # others when the machine stalls

    def test_a_host_that_is_cut_off_is_lost_and_the_run_goes_on_to_its_end(self):
        self.start_to_be_cut_off("--time-limit", "10", "--save", "m.safetensors")
        self.hosts.cut(2)
        self.wait_until(lambda: (self.folder / "m.safetensors").exists())
        self.assertTrue(self.of_worker_1("worker-lost"))
        self.assertEqual(self.records("summary")[0]["stop_reason"], "time-limit")

    def test_a_host_that_was_cut_off_is_back(self):
        self.start_to_be_cut_off()
        self.hosts.cut(2)
        self.wait_until(lambda: self.of_worker_1("worker-lost"))
        self.hosts.mend(2)
        self.wait_until(lambda: self.of_worker_1("worker-back"))

    def wait_until(self, condition):
        until = time.monotonic() + 100
        while not condition():
            self.assertLess(time.monotonic(), until, (self.folder / "printed").read_text())
            time.sleep(0.02)


def why_not():
    for tool in ("ip", "tc", "mpirun", "unshare"):
        if shutil.which(tool) is None:
            return f"no {tool}"
    try:
        with hosts_module.Hosts(2) as hosts:
            job = hosts.mpirun(["hostname"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
            printed, _ = job.communicate(timeout=60)
            return None if job.returncode == 0 else f"mpirun cannot reach such hosts here: {printed}"
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return str(error)


if __name__ == "__main__":
    if missing := why_not():
        print(f"skipped: {missing}")
        sys.exit(77)
    unittest.main()
