#!/usr/bin/env python3
"""Methods, step sizes and seeds against each other."""

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
                              (dict(lr=None), "needs lr"), (dict(methods=[]), "needs methods"), (dict(seeds=0), "seeds=0")]:
            with self.assertRaisesRegex(td.UsageError, text):
                td.compare(**{"model": "quadratic:tridiagonal:9", "methods": ["dude", "asgd"], "lr": 0.1, "workers": 2, "updates": 5,
                              **VIRTUAL, **options})


if __name__ == "__main__":
    unittest.main()
