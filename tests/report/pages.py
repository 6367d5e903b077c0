"""What the tests of pages have in common: runs, their logs and pages, and a browser that shows them."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import browser as chromium


def program():
    """The tardigrad program, by the command line."""
    return sys.argv[1]


def log_lines(method, seed, accuracy, job_times, **run):
    """A run of 20 s: worker i needs job_times[i] of each time[i] seconds between its jobs."""
    record = {"event": "run", "method": method, "workers": len(job_times), "clock": "wall", "seed": seed, "lr": 0.1,
              "model": "mlp", "dataset": "made-up", "devices": ["cpu:0"], "version": "1.2.3", "table": False,
              "command": f"tardigrad train --method {method} --seed {seed}", **run}
    jobs = sorted((job * every + busy, worker, job, busy)
                  for worker, (busy, every) in enumerate(job_times) for job in range(int(20 / every)))
    yield record
    evaluations = [(0, 2.0, 0.1), (10, 1.0, 0.5), (20, 0.5, accuracy)]
    for i, (time, worker, job, busy) in enumerate(jobs):
        while evaluations and evaluations[0][0] <= time:
            yield evaluation(i, *evaluations.pop(0))
        yield {"event": "update", "update": i + 1, "time": time, "worker": worker, "staleness": i, "lr": 0.1,
               "gradients": i + 1, "loss": 0.5, "job": job, "version": 0, "compute_time": busy, "hand_over_time": 0.25}
    for rest in evaluations:
        yield evaluation(len(jobs), *rest)


def evaluation(update, time, loss, accuracy):
    return {"event": "eval", "update": update, "time": time, "train_time_s": time, "gradients": update, "loss": loss,
            "accuracy": accuracy, "train_loss": None}


# Three workers: two need 0.75 s of every second, one 4 s of every 4.
JOB_TIMES = [(0.75, 1), (0.75, 1), (4, 4)]


class Folder:
    """Logs and pages, until the end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="tardigrad-report-")
        self.path = pathlib.Path(self.folder.name)

    def page(self, name, *runs):
        logs = []
        for i, run in enumerate(runs):
            logs.append(self.path / f"{name}-{i}.jsonl")
            logs[-1].write_text("".join(json.dumps(line) + "\n" for line in run))
        page = self.path / f"{name}.html"
        subprocess.run([program(), "report", *logs, "-o", page], check=True)
        return page


class BrowserTest(unittest.TestCase):
    """Every page that a test opens must not complain."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Folder()
        cls.browser = chromium.Browser(chromium.find_chromium())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.folder.folder.cleanup()

    def open(self, url, **options):
        page = chromium.Page(self.browser, url, **options)
        page.painted()
        self.addCleanup(lambda: self.assertEqual(page.complaints(), []))
        return page


class RunsTest(BrowserTest):
    """Has a page of three seeds of one method and one of another."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        seeds = ((1, 0.625), (2, 0.875), (3, 0.75))
        asgd = [log_lines("asgd", seed, accuracy, JOB_TIMES) for seed, accuracy in seeds]
        cls.several = cls.folder.page("several", *asgd, log_lines("sync", 1, 0.5, JOB_TIMES)).as_uri()


def main():
    if not chromium.find_chromium():
        print("skipped: no Chromium")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
