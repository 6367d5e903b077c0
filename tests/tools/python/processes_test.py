#!/usr/bin/env python3
"""What is seen of the package in a process of its own."""

import signal
import subprocess
import sys
import textwrap
import unittest

from package_case import PackageCase

# A shell that runs the tests in the background has them ignore it, and every process with them.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Process(PackageCase):
    """What is seen in a process of its own."""

    def python(self, text, **options):
        return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)

    def test_ctrl_c_ends_a_run_and_leaves_what_there_is(self):
        process = self.python("""
            import numpy as np, tardigrad as td
            class Tells(td.Objective):
                dimension, workers = 2, 2
                def gradient(self, worker, job, x):
                    if (worker, job) == (0, 9):
                        print("goes on", flush=True)
                    return 0.0, np.zeros(2)
            run = td.train(Tells(), "asgd", lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            print(run.interrupted, run.stop_reason, run.summary["updates"] > 0, flush=True)
        """)
        self.assertEqual(process.stdout.readline(), "goes on\n")
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
                    if (worker, job) == (0, 2):  # the run has begun
                        print("goes on", flush=True)
                    sum(range(10**6))
                    return 0.0, np.zeros(2)
            run = td.train(Slow(), "asgd", lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            print(run.interrupted, flush=True)
        """)
        self.assertEqual(process.stdout.readline(), "goes on\n")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(out, "True\n", err)

    def test_a_second_ctrl_c_ends_a_callback_that_does_not_come_back(self):
        process = self.python("""
            import time, numpy as np, tardigrad as td
            class Hangs(td.Objective):
                dimension, workers = 2, 2
                def gradient(self, worker, job, x):
                    print("hangs", flush=True)
                    while True:
                        time.sleep(0.01)
            try:
                td.train(Hangs(), "asgd", lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            except KeyboardInterrupt:
                print("ended", flush=True)
        """)
        self.assertEqual(process.stdout.readline(), "hangs\n")
        for _ in range(40):  # the first two that are taken apart from each other
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                pass
        out, err = process.communicate(timeout=60)
        self.assertTrue(out.endswith("ended\n"), err)

    def test_what_other_signal_handlers_raise_goes_on(self):
        # NumPy is there before the signal: while it is being imported, it turns what is raised into an ImportError.
        process = self.python("""
            import signal, sys, numpy.core, tardigrad as td
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
            print("begins", flush=True)
            td.train("quadratic:tridiagonal:20", "asgd", workers=2, lr=0.1, updates=10**9, device="cpu:1", quiet=True)
        """)
        self.assertEqual(process.stdout.readline(), "begins\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual((process.communicate(timeout=60), process.returncode)[1], 7)

    def test_runs_of_other_threads_end_with_the_program(self):
        process = self.python("""
            import threading, time, numpy as np, tardigrad as td
            begun = threading.Event()
            class Slow(td.Objective):
                dimension, workers = 2, 2
                def gradient(self, worker, job, x):
                    begun.set()
                    time.sleep(0.01)
                    return 0.0, np.zeros(2)
            run = lambda: td.train(Slow(), "asgd", lr=0.1, updates=10**9, device="cpu:1", quiet=True)
            threading.Thread(target=run, daemon=True).start()
            begun.wait()
            print("over", flush=True)
        """)
        out, err = process.communicate(timeout=60)
        self.assertEqual((out, process.returncode), ("over\n", 0), err)

    def test_a_resumed_run_says_nothing_of_a_log_that_nobody_asked_for(self):
        process = self.python(f"""
            import tardigrad as td
            options = dict(checkpoint_dir={str(self.folder)!r}, quiet=True)
            td.train("quadratic:tridiagonal:8", "asgd", workers=2, lr=0.1, updates=20, checkpoint_every=10, device="cpu:1", **options)
            print(td.train(resume="latest", updates=30, **options).summary["updates"])
        """)
        out, err = process.communicate(timeout=60)
        self.assertEqual(out, "30\n", err)
        self.assertNotIn("anew", err)

    def test_import_leaves_alone_what_takes_long(self):
        process = self.python("""
            import sys, tardigrad
            print([name for name in ("torch", "pandas", "matplotlib") if name in sys.modules])
        """)
        self.assertEqual(process.communicate()[0], "[]\n")


if __name__ == "__main__":
    unittest.main()
