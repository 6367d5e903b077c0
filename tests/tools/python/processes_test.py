#!/usr/bin/env python3
"""What is seen of the package in a process of its own."""

import signal
import subprocess
import sys
import textwrap
import time
import unittest

from package_case import PackageCase


class Process(PackageCase):
    """What is seen in a process of its own."""

    def python(self, text, **options):
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)

    def test_ctrl_c_ends_a_run_and_leaves_what_there_is(self):
        process = self.python("""
            import tardigrad as td
            print("begins", flush=True)
            run = td.train("quadratic:tridiagonal:20", "asgd", workers=2, lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            print(run.interrupted, run.stop_reason, run.summary["updates"] > 0, flush=True)
        """)
        self.assertEqual(process.stdout.readline(), "begins\n")
        time.sleep(1)  # so that it has begun; that it has is checked by its updates
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(out, "True interrupted True\n", err)
        self.assertEqual(process.returncode, 0)

    def test_callbacks_do_not_keep_ctrl_c_away(self):
        process = self.python("""
            import numpy as np, tardigrad as td
            class Slow(td.Objective):
                dimension, workers = 2, 2
                def gradient(self, worker, job, x):
                    print("computes", flush=True)
                    sum(range(10**6))
                    return 0.0, np.zeros(2)
            run = td.train(Slow(), "asgd", lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            print(run.interrupted, flush=True)
        """)
        self.assertEqual(process.stdout.readline(), "computes\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertTrue(out.endswith("True\n"), err)

    def test_import_leaves_alone_what_takes_long(self):
        process = self.python("""
            import sys, tardigrad
            print([name for name in ("torch", "pandas", "matplotlib") if name in sys.modules])
        """)
        self.assertEqual(process.communicate()[0], "[]\n")


if __name__ == "__main__":
    unittest.main()
