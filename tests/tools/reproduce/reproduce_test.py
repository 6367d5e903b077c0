#!/usr/bin/env python3
"""What tools/reproduce computes: forms, searches, fits, logs. Its drawings are made by the tiny form (reproduce_test.sh)."""

import json
import math
import pathlib
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "tools" / "reproduce"
sys.path.insert(0, str(FOLDER))

import curves  # noqa: E402
import fit  # noqa: E402
import forms  # noqa: E402
import runs  # noqa: E402
import search  # noqa: E402
import tuned  # noqa: E402


def log_of(values, measure="objective", diverged=False):
    """A log with an evaluation a unit of time."""
    records = [{"event": "eval", "time": i, "update": i, measure: value} for i, value in enumerate(values)]
    records.append({"event": "process", "flags": [], "cpu_s": 0})
    return runs.Log(records if diverged else [*records, {"event": "summary", "gradients": 1, "updates": 1}])


class Forms(unittest.TestCase):
    def test_a_form_changes_what_it_names_at_any_depth(self):
        table = {"a": 1, "options": {"x": 1, "y": 2}, "short": {"options": {"y": 3}}, "full": {"a": 7},
                 "setting": [{"name": "s", "short": {"time": 5}, "full": {"time": 50}}], "list": [1, 2]}
        self.assertEqual(forms.choose_form(table, "short"),
                         {"a": 1, "options": {"x": 1, "y": 3}, "setting": [{"name": "s", "time": 5}], "list": [1, 2]})
        self.assertEqual(forms.choose_form(table, "full")["a"], 7)

    def test_every_figure_has_every_form(self):
        for path in FOLDER.glob("*.toml"):
            for form in ("short", "full", "tiny"):
                loaded = forms.load_form(path, form)
                self.assertEqual(loaded["name"], path.stem)
                self.assertGreaterEqual(loaded["seeds"], 1, path)


    def test_a_form_that_a_figure_has_not_is_refused_by_name(self):
        with self.assertRaisesRegex(forms.NoSuchForm, r"ringleader.toml has no \[night\], only short, full, tiny"):
            forms.load_form(FOLDER / "ringleader.toml", "night")


class Search(unittest.TestCase):
    GRID = [0.001, 0.01, 0.1, 1.0]

    def walk(self, start, scores):
        return search.walk(self.GRID, start, lambda lr: scores[self.GRID.index(lr)])

    def test_walks_to_the_best(self):
        scores = [(4, 0), (3, 0), (1, 0), (2, 0)]
        for start in self.GRID:
            self.assertEqual(self.walk(start, scores)[0], 0.1)

    def test_tries_only_what_it_must(self):
        self.assertEqual(sorted(self.walk(0.001, [(1, 0), (2, 0), (0, 0), (0, 0)])[1]), [0.001, 0.01])

    def test_leaves_what_diverges(self):
        self.assertEqual(self.walk(1.0, [(1, 0), search.WORST, search.WORST, search.WORST])[0], 0.001)
        self.assertEqual(self.walk(1.0, [search.WORST] * 4)[0], 0.001)

    def test_where_no_target_is_reached_the_nearest_end_is_better(self):
        self.assertEqual(self.walk(0.01, [(math.inf, 9), (math.inf, 5), (math.inf, 2), (math.inf, 3)])[0], 0.1)

    def test_time_to_a_target(self):
        self.assertEqual(search.time_to(log_of([3, 2, 1, 2]), "objective", 1.5), 2)
        self.assertEqual(search.time_to(log_of([0.1, 0.5, 0.3], "accuracy"), "accuracy", 0.4), 1)
        self.assertEqual(search.time_to(log_of([3, 2]), "objective", 1.5), math.inf)

    def test_a_network_that_died_is_not_chosen_for_its_small_gradient(self):
        form = {"search_by": "gradient_norm_sq", "sane_objective": 1.5}
        dead, alive = log_of([2.3, 2.3]), log_of([2.3, 0.5])
        for log, norm in ((dead, 1e-4), (alive, 0.1)):
            for record in log.evals:
                record["gradient_norm_sq"] = norm
        self.assertLess(curves.search_score(form, alive), curves.search_score(form, dead))
        self.assertLess(curves.search_score(form, dead), curves.search_score(form, log_of([2.3], diverged=True)))


class Spread(unittest.TestCase):
    def test_the_median_with_extremes_or_quartiles(self):
        self.assertEqual(curves.show_spread([]), "–")
        self.assertEqual(curves.show_spread([0.12345]), "0.123")
        self.assertEqual(curves.show_spread([3, 1, math.inf]), "3 [1, –]")
        self.assertEqual(curves.show_spread([12345.5, *range(1, 9)]), "5 [3, 7]")  # of nine


class Classes(unittest.TestCase):
    @staticmethod
    def curve(owners, share, accuracies):
        records = [{"event": "run", "classes": [{"name": str(i), "worker": worker, "share": share}
                                                for i, worker in enumerate(owners)]}]
        records += [{"event": "eval", "time": i, "class_accuracy": values} for i, values in enumerate(accuracies)]
        records += [{"event": "process", "flags": [], "cpu_s": 0}, {"event": "summary"}]
        return curves.Curve("asgd", [1], 1, {}, [runs.Log(records)])

    def test_the_class_of_each_worker(self):
        curve = self.curve([2, 0, 1], 1.0, [[0.9, 0.9, 0.9], [0, 0.5, 1], [0, 0.5, 1], [0.3, 0.5, 1]])
        self.assertEqual(list(curves.class_table([curve]))[2:],
                         ["| method | worker 0 | worker 1 | worker 2 |", "|---|---|---|---|",
                          "| `asgd` | 50% | 100% | 10% |"])
        self.assertEqual(curve.logs[0].series("worst_class"), ([0, 1, 2, 3], [0.9, 0, 0, 0.3]))
        self.assertEqual(search.time_to(curve.logs[0], "worst_class", 0.5), 0)

    def test_shared_classes_from_the_worst_on(self):
        table = list(curves.class_table([self.curve([2, 0, 1], 0.5, [[0.3, 1, 0]])]))
        self.assertEqual(table[2:], ["| method | worst | 2 | best |", "|---|---|---|---|", "| `asgd` | 0% | 30% | 100% |"])


class Fit(unittest.TestCase):
    def test_finds_the_power_and_the_constant(self):
        x = [1, 2, 5, 10]
        slope, intercept, explained = fit.regress(x, [3 * value**0.5 for value in x])
        self.assertAlmostEqual(slope, 0.5)
        self.assertAlmostEqual(math.exp(intercept), 3)
        self.assertAlmostEqual(explained, 1)
        factor, spread = fit.constant(x, [7 * value for value in x])
        self.assertAlmostEqual(factor, 7)
        self.assertAlmostEqual(spread, 1)

    def test_the_complexities_by_hand(self):
        tau = tuned.stragglers(4, 7)  # mean 2.5
        self.assertEqual(tau, [1, 1, 1, 7])
        self.assertEqual(fit.naive(tau, 3), 7 * 4)
        self.assertEqual(fit.optimal(tau, 3), 7 + 2.5 * 3)
        # 1 + 12/1, 1 + 12/2, 1 + 12/3, and 7 (1 + 12/4) with all
        self.assertEqual(fit.best_m(tau, 3), 3)
        self.assertEqual(fit.first_best(tau, 3), 5)
        # Of the three fast ones 1 · (1 + 12/3); with all 4 / (3 + 1/7) · (1 + 12/4) = 5.09
        self.assertAlmostEqual(fit.rennala(tau, 3), 5)
        self.assertAlmostEqual(fit.rennala([1, 2], 10), 2 / 1.5 * (1 + 20 / 2))


class Logs(unittest.TestCase):
    def test_condenses_updates_into_their_mean_staleness(self):
        lines = ['{"event":"run","method":"asgd"}', '{"event":"eval","time":0}',
                 '{"event":"update","staleness":2}', '{"event":"update","staleness":5}',
                 '{"event":"eval","time":1}', '{"event":"eval","time":2}', '{"event":"worker"}', '{"event":"summary"}']
        records, staleness = runs.condense(lines, keep_evals=True)
        self.assertEqual(staleness, 3.5)
        self.assertEqual([record["event"] for record in records], ["run", "summary", "eval", "eval", "eval"])
        records, _ = runs.condense(lines, keep_evals=False)
        self.assertEqual([record["time"] for record in records if record["event"] == "eval"], [0, 2])

    def test_flags_leave_out_what_is_not_asked_for(self):
        self.assertEqual(runs.to_flags({"lr": 0.1, "eval-gradient": True, "augment": False, "dataset": ""}),
                         ["--lr=0.1", "--eval-gradient"])

    def test_a_run_is_executed_once_and_again_when_its_options_change(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            program = folder / "program"  # counts its calls; "--lr=9" diverges, "--lr=bad" is refused
            program.write_text(f"""#!{sys.executable}
import sys
open("{folder}/calls", "a").write("x")
if "--lr=bad" in sys.argv: sys.exit("no such lr")
log = open(sys.argv[-1], "w")
log.write('{{"event":"eval","time":0,"objective":1}}\\n')
if "--lr=9" in sys.argv: sys.exit(4)
log.write('{{"event":"summary"}}\\n')
""")
            program.chmod(0o755)
            calls = lambda: len((folder / "calls").read_text())
            runner = runs.Runner(program, folder, "cpu:1", tell=lambda text: None)
            self.assertFalse(runner.train("a/run", {"lr": 1}).diverged)
            runner.train("a/run", {"lr": 1})
            self.assertEqual(calls(), 1)
            self.assertTrue(runner.train("a/run", {"lr": 9}).diverged)
            self.assertEqual(calls(), 2)
            with self.assertRaisesRegex(runs.RunFailed, "no such lr"):
                runner.train("b", {"lr": "bad"})
            self.assertFalse((folder / "b.jsonl").exists())
            out_of_time = runs.Runner(program, folder, "cpu:1", tell=lambda text: None, ends=0)
            self.assertTrue(out_of_time.train("a/run", {"lr": 9}).diverged)  # it is there
            with self.assertRaises(runs.OutOfTime):
                out_of_time.train("a/run", {"lr": 2})
            (folder / "a" / "run.jsonl").write_text(json.dumps({"event": "eval"}) + "\n{cut")  # as a full disk leaves it
            self.assertTrue(runner.train("a/run", {"lr": 9}).diverged)


if __name__ == "__main__":
    unittest.main()
