#!/usr/bin/env python3
"""What tools/gpu_check makes of programs that fail, crash or stand still, and of too little time. Needs no GPU."""

import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "tools" / "gpu_check"
sys.path.insert(0, str(FOLDER))

import check  # noqa: E402
import report  # noqa: E402

# A program of tests in GoogleTest's words; how a test ends stands in its name.
PROGRAM = """#!/usr/bin/env python3
import os, sys, time
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
chosen = options["gtest_filter"].split(":")
if "gtest_list_tests" in options:
    print("Suite.", *(f"  {name}" for name in os.environ["TESTS"].split()), sep="\\n")
    sys.exit()
failed = False
for test in chosen:
    print(f"[ RUN      ] {test}", flush=True)
    if "Crashes" in test and not ("BesideOthers" in test and len(chosen) == 1):
        os.abort()
    if "StandsStill" in test:
        time.sleep(1000)
    if "Skips" in test:
        print("some_test.cpp:7: Skipped\\nno second GPU\\n")
    failed |= "Fails" in test
    word = "  FAILED  " if "Fails" in test else "  SKIPPED " if "Skips" in test else "       OK "
    print(f"[{word}] {test}, where GetParam() = cuda (3 ms)" if "Fails" in test else f"[{word}] {test} (3 ms)", flush=True)
sys.exit(int(os.environ["EXIT_CODE"] or failed))
"""


class CudaTests(unittest.TestCase):
    def run_tests(self, *tests, exit_code="", silence="100"):
        """(exit code, last line, all that was said)"""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "some_test"
            program.write_text(PROGRAM)
            program.chmod(0o755)
            run = subprocess.run([sys.executable, FOLDER / "cuda_tests.py", "--silence", silence, program], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                 env={"TESTS": " ".join(f"{test}/cuda" for test in tests), "PATH": "/usr/bin:/bin",
                                      "EXIT_CODE": exit_code})
        return run.returncode, run.stdout.splitlines()[-1], run.stdout

    def test_sums_up(self):
        code, last, _ = self.run_tests("Passes", "Skips", "Last")
        self.assertEqual((code, last), (0, "2 passed; 1 skipped (no second GPU)"))

    def test_a_failure_stops_no_other(self):
        code, last, _ = self.run_tests("Passes", "Fails", "Last")
        self.assertEqual((code, last), (1, "2 passed; 1 failed: Suite.Fails/cuda"))

    def test_those_behind_a_crash_go_on(self):
        code, last, said = self.run_tests("Passes", "Crashes", "Last")
        self.assertEqual(code, 1)
        self.assertEqual(last, "2 passed; 1 failed: Suite.Crashes/cuda; exit code -6 within Suite.Crashes/cuda")
        self.assertEqual(said.count("RUN      ] Suite.Passes"), 1)
        self.assertEqual(said.count("RUN      ] Suite.Crashes"), 2)

    def test_a_crash_that_needs_the_tests_before_it_says_so(self):
        code, last, _ = self.run_tests("Passes", "CrashesBesideOthers", "Last")
        self.assertEqual(code, 1)
        self.assertTrue(last.endswith("within Suite.CrashesBesideOthers/cuda (not when alone)"), last)

    def test_those_behind_one_that_stands_still_go_on(self):
        code, last, _ = self.run_tests("StandsStill", "Last", silence="5")  # a busy machine starts a Python in less
        self.assertEqual(code, 1)
        self.assertEqual(last, "1 passed; 1 failed: Suite.StandsStill/cuda; no word for 5 s within Suite.StandsStill/cuda")

    def test_what_goes_wrong_beside_the_tests_is_a_failure(self):
        code, last, _ = self.run_tests("Passes", exit_code="9")
        self.assertEqual((code, last), (1, "1 passed; exit code 9 beside the tests"))

    def test_nothing_to_run(self):
        self.assertEqual(self.run_tests("Skips")[:2], (77, "0 passed; 1 skipped (no second GPU)"))


class Stages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name)
        (self.out / "logs").mkdir()
        self.machine = {"commit": "c0ffee", "date": "today", "gpus": [{"name": "a GPU"}], "versions": {"nvcc": "13"}}

    def check(self, budget_s):
        return check.Check(self.out, list(check.STAGES), budget_s, self.machine)

    def test_what_is_known_is_on_disk_as_soon_as_a_stage_ends(self):
        some = self.check(1000)
        some.stage("kernels", 10, [["echo", "81 passed"]])
        self.assertIn("81 passed", (self.out / "table.txt").read_text())
        some.stage("models", 10, [["sh", "-c", "echo no such GPU; exit 3"]])
        self.assertIn("exit code 3: no such GPU", (self.out / "table.txt").read_text())
        self.assertIn("81 passed", (self.out / "results.json").read_text())

    def test_a_stage_that_no_longer_fits_is_left_out_and_a_shorter_one_is_not(self):
        some = self.check(check.STAGES["cnn_step"] - 1)
        for name in ("cnn_step", "turnaround"):
            some.stage(name, 10, [["echo", "done"]])
        self.assertEqual([result["status"] for result in some.results.values()], ["SKIPPED", "PASS"])

    def test_a_stage_without_end_is_ended(self):
        some = self.check(1000)
        some.stage("tools", 1, [["sleep", "1000"]])
        self.assertIn("not over after 1 s", some.results["tools"]["note"])

    def test_goals_are_judged_by_what_was_measured(self):
        lines = [{"benchmark": "turnaround", "case": ["workers"], "workers": 1, "faster": True, "median_us": median}
                 for median in (19, 21)]
        self.assertEqual([goal["met"] for goal in report.judge(lines)], [True, False])

    def test_bad_usage(self):
        for words in (["--only", "nonsense"], ["--budget", "0"], ["--budget", "nan"]):
            with unittest.mock.patch("sys.argv", ["gpu_check.sh", *words]), self.assertRaises(SystemExit) as end, \
                    unittest.mock.patch("sys.stderr"):
                check.parse()
            self.assertEqual(end.exception.code, 2)


if __name__ == "__main__":
    unittest.main()
