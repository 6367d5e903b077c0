#!/usr/bin/env python3
"""Methods, step sizes and seeds against each other."""

import copy
import pickle
import unittest

import numpy as np

import tardigrad as td
from package_case import VIRTUAL, LeastSquares, PackageCase

import methods


class Comparisons(PackageCase):
    def test_of_built_in_methods(self):
        found = td.compare("quadratic:tridiagonal:30:spread=1", ["dude", "asgd"], lr={"dude": [0.1, 0.3], "asgd": 0.1}, seeds=2,
                           workers=4, updates=80, eval_every=20, **{**VIRTUAL, "compute_time": "linear:1:1"})
        self.assertEqual(len(found.runs), 6)
        self.assertEqual(set(found.best()), {"dude", "asgd"})
        self.assertEqual(set(found.groups()), {("dude", 0.1), ("dude", 0.3), ("asgd", 0.1)})
        self.assertIn("dude", repr(found))

    def test_of_own_methods_and_problems(self):
        found = td.compare(LeastSquares(), [methods.Dude(), "dude", "asgd"], lr=[0.05, 0.1], seeds=[3, 5], updates=40,
                           eval_every=10, log_dir=self.folder / "logs", **VIRTUAL)
        self.assertEqual(len(found.runs), 12)
        own, built_in = found.groups()["Dude", 0.1], found.groups()["dude", 0.1]
        for one, other in zip(own, built_in):
            np.testing.assert_array_equal(one.model, other.model)
        self.assertEqual(len(list((self.folder / "logs").glob("*.jsonl"))), 12)
        page = found.report(self.folder / "page.html")
        self.assertGreater(page.stat().st_size, 10000)

    def test_of_one_class_need_names(self):
        options = dict(lr=0.05, seeds=2, updates=40, **VIRTUAL)
        with self.assertRaisesRegex(td.UsageError, "two methods are called Rennala"):
            td.compare(LeastSquares(), [methods.Rennala(2), methods.Rennala(4)], **options)
        few, many = methods.Rennala(2), methods.Rennala(4)
        few.name, many.name = "few", "many"
        self.assertEqual(set(td.compare(LeastSquares(), [few, many], **options).groups()), {("few", 0.05), ("many", 0.05)})

    def test_runs_that_fail_are_worse_than_any_other(self):
        for model in (LeastSquares(), "quadratic:tridiagonal:6:noise=5"):
            options = dict(workers=4) if isinstance(model, str) else {}
            found = td.compare(model, ["asgd"], lr=[0.05, 1e30], seeds=2, updates=200, **options, **VIRTUAL)
            self.assertEqual(len(found.runs), 4)
            self.assertEqual(sum(run.failed for run in found.runs), 2)
            self.assertEqual(found.best()["asgd"][0], 0.05)
            self.assertIn("lr 0.05", repr(found))

    def test_leave_logs_of_others_alone(self):
        logs = self.folder / "logs"
        options = dict(lr=0.05, updates=20, log_dir=logs, **VIRTUAL)
        td.compare(LeastSquares(), ["asgd"], **options)
        with self.assertRaisesRegex(td.UsageError, "there is a log of asgd at 0.05 with seed 0 already"):
            td.compare(LeastSquares(), ["asgd"], **options)
        (logs / "notes.jsonl").write_text("mine\n")
        found = td.compare("quadratic:tridiagonal:6", ["dude"], workers=2, **options)
        self.assertEqual([run.options["method"] for run in found.runs], ["dude"])

    def test_runs_keep_their_logs_and_can_be_copied(self):
        run = td.compare(LeastSquares(), ["asgd"], lr=0.05, updates=20, **VIRTUAL).runs[0]
        self.assertTrue(run.log.exists())
        again = pickle.loads(pickle.dumps(run))
        np.testing.assert_array_equal(again.model, run.model)
        np.testing.assert_array_equal(copy.deepcopy(run.evaluations).loss, run.evaluations.loss)
        with self.assertRaisesRegex(KeyError, "no column 'nope'; there are update"):
            run.evaluations["nope"]
        with self.assertRaisesRegex(AttributeError, "the log has no such records"):
            run.updates.loss

    def test_draw_bands(self):
        try:
            import matplotlib
        except ImportError:
            self.skipTest("no matplotlib")
        matplotlib.use("Agg")
        found = td.compare(LeastSquares(), ["dude", "asgd"], lr=0.05, seeds=3, updates=40, eval_every=10, **VIRTUAL)
        ax = found.plot()
        self.assertEqual([line.get_label() for line in ax.get_lines()], ["dude 0.05", "asgd 0.05"])
        self.assertEqual(len(ax.collections), 2)
        self.assertEqual(ax.get_ylabel(), "loss")
        found.runs[0].plot("loss", ax=ax)
        try:
            import pandas  # noqa: F401
        except ImportError:
            return
        frame = found.to_pandas()
        self.assertEqual(len(frame), sum(len(run.evaluations) for run in found.runs))
        self.assertLessEqual({"method", "lr", "seed", "loss", "time"}, set(frame.columns))

    def test_refuse_what_does_not_fit(self):
        for options, text in [(dict(lr={"dude": 0.1}), "no step size for asgd"), (dict(lr={"dude": 1, "asgd": 1, "sync": 1}), "sync"),
                              (dict(lr=None), "needs lr"), (dict(methods=[]), "needs methods"), (dict(seeds=0), "seeds=0"),
                              (dict(seeds="12"), "seeds='12'"), (dict(seeds=[]), "seeds="), (dict(seeds=[1.5]), "seeds="),
                              (dict(seeds=[1, 1]), "seeds="), (dict(lr=[]), "no step size"), (dict(lr=True), "lr=True"),
                              (dict(methods=["dude", "dude"]), "two methods are called dude")]:
            with self.assertRaisesRegex(td.UsageError, text):
                td.compare(**{"model": "quadratic:tridiagonal:9", "methods": ["dude", "asgd"], "lr": 0.1, "workers": 2, "updates": 5,
                              **VIRTUAL, **options})


if __name__ == "__main__":
    unittest.main()
