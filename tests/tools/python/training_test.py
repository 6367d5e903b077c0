#!/usr/bin/env python3
"""Runs from Python, by the options of the command line."""

import inspect
import pydoc
import unittest

import numpy as np

import tardigrad as td
from package_case import PackageCase


class Training(PackageCase):
    def test_is_the_command_lines(self):
        run = self.train("quadratic:tridiagonal:50", "ringleader", workers=5, eval_every=20)
        self.assertEqual(run.stop_reason, "updates")
        self.assertEqual(run.options["method"], "ringleader")
        np.testing.assert_array_equal(run.evaluations.update, [0, 20, 40, 60])
        self.assertEqual(run.evaluations.loss.dtype, np.float64)
        self.assertTrue(np.isnan(run.evaluations.accuracy.astype(float)).all())
        self.assertEqual(run.parameters["x"].shape, (50,))
        self.assertEqual(run.summary["updates"], 60)
        self.assertIn("ringleader 0.05: 60 updates", repr(run))
        self.assertIn("tardigrad.train(", run.options["command_line"])

    def test_takes_lists_numpy_numbers_and_switches(self):
        run = self.train("quadratic:tridiagonal:8", "asgd", workers=np.int64(2), compute_time=[1, 2.5], lr=np.float32(0.125),
                         verify=True, momentum=None)
        self.assertEqual(run.options["compute_time"], "1,2.5")
        self.assertEqual((run.options["lr"], run.options["momentum"]), (0.125, 0))

    def test_refuses_as_the_command_line_does(self):
        for options, text in [(dict(method="ringleder"), "--method ringleder: unknown; did you mean ringleader?"),
                              (dict(lr="fast"), "--lr: fast is not a positive number"), (dict(updates=None), "no end given"),
                              (dict(gather=3), "--gather has no use with --method asgd"), (dict(verify=1), "verify=1: expected True or"),
                              (dict(lr=True), "lr=True"), (dict(lr={}), "lr: expected text, a number"),
                              (dict(method="own:x"), "--method own:x: a method of that kind is brought by a program"),
                              (dict(method=None), "--method"), (dict(errors="ignore"), "errors='ignore': expected raise or lose")]:
            with self.assertRaises(td.UsageError, msg=options) as refused:
                self.train(**{"model": "quadratic:tridiagonal:8", "method": "asgd", "workers": 2, **options})
            self.assertIn(text, str(refused.exception))
            self.assertNotIn("\n", str(refused.exception))
        with self.assertRaises(TypeError) as unknown:
            self.train("quadratic:tridiagonal:8", "asgd", wrokers=2)
        self.assertEqual(str(unknown.exception), "train() has no keyword 'wrokers'; did you mean 'workers'?")
        self.assertTrue(issubclass(td.UsageError, ValueError))

    def test_tells_of_what_is_not_finite(self):
        with self.assertRaises(td.NotFiniteError):
            self.train("quadratic:tridiagonal:8", "asgd", workers=2, lr=1e30, updates=1000)

    def test_has_a_manual(self):
        text = pydoc.plain(pydoc.render_doc(td.train))
        for words in ("compute_time", "Ctrl-C", "Options:"):
            self.assertIn(words, text)
        self.assertIn("clip_norm", inspect.signature(td.train).parameters)
        for thing in (td, td.Objective, td.Method, td.Run, td.compare, td.Job, td.FoldRow, td.objective.torch):
            self.assertTrue(thing.__doc__, thing)

    def test_keeps_a_log_where_it_is_told_to(self):
        run = self.train("quadratic:tridiagonal:8", "asgd", workers=2, log=self.folder / "run.jsonl", log_detail="jobs")
        again = td.load(self.folder / "run.jsonl")
        self.assertEqual(len(again.updates), 60)
        np.testing.assert_array_equal(again.evaluations.loss, run.evaluations.loss)
        self.assertIsNone(again.model)
        self.assertIn("<html", run.report(self.folder / "page.html").read_text()[:400])

    def test_reads_all_parts_of_a_log(self):
        run = self.train("quadratic:tridiagonal:8", "asgd", workers=2, updates=20000, eval_every=100, log=self.folder / "run.jsonl",
                         log_size="64K", log_files=99, log_detail="jobs")
        self.assertTrue((self.folder / "run.jsonl.1").exists())
        np.testing.assert_array_equal(run.updates.update, range(1, 20001))
        np.testing.assert_array_equal(run.evaluations.update, range(0, 20001, 100))

    def test_refuses_logs_that_are_none(self):
        for name, text in [("empty", ""), ("text", "hello\n"), ("list", "[1]\n"), ("late", '{"event": "eval"}\n')]:
            (self.folder / name).write_text(text)
            with self.assertRaises(td.UsageError, msg=name):
                td.load(self.folder / name)
        with self.assertRaises(td.UsageError):
            td.load(self.folder / "absent")

    def test_reads_the_log_of_a_run_that_was_killed(self):
        self.train("quadratic:tridiagonal:8", "asgd", workers=2, log=self.folder / "run.jsonl")
        text = (self.folder / "run.jsonl").read_text()
        (self.folder / "cut.jsonl").write_text(text[:text.index('{"event":"summary"') + 40])
        cut = td.load(self.folder / "cut.jsonl")
        self.assertEqual(cut.summary, {})
        self.assertIn("no end", repr(cut))


if __name__ == "__main__":
    unittest.main()
