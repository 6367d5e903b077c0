#!/usr/bin/env python3
"""Methods that Python decides for."""

import random
import threading
import unittest

import numpy as np

import tardigrad as td
from package_case import Gives, LeastSquares, PackageCase, Returns

import methods


class Methods(PackageCase):
    def pairs(self):
        return [(methods.Dude(), "dude", {}), (methods.Ringleader(), "ringleader", {}),
                (methods.Rennala(3), "rennala", {"gather": 3}), (methods.Ca2fl(), "ca2fl", {})]

    def test_written_again_have_the_bits_of_the_built_in_ones(self):
        for model in ("quadratic:tridiagonal:30:noise=0.1:spread=1", LeastSquares()):
            for own, name, options in self.pairs():
                workers = None if isinstance(model, LeastSquares) else 5
                want = self.train(model, name, workers=workers, updates=150, **options)
                for device in ("cpu:1", "cpu:2"):
                    run = self.train(model, own, workers=workers, updates=150, device=device, verify=True)
                    np.testing.assert_array_equal(run.model, want.model, err_msg=name)
                    self.assertEqual(run.summary["staleness_max"], want.summary["staleness_max"])

    def test_run_in_wall_time(self):
        for own, _, _ in self.pairs():
            run = self.train("quadratic:tridiagonal:20", own, workers=3, clock="wall", compute_time=None, updates=100)
            self.assertEqual(run.summary["updates"], 100)

    def test_go_on_without_a_worker_that_is_lost(self):
        class Fails(LeastSquares):
            thread_safe = True

            def gradient(self, worker, job, x):
                if worker == 2 and job >= 3:  # job 3 itself may have been thrown away
                    raise ValueError("worker 2 has had enough")
                if job > 3:  # however slow worker 2 is
                    is_known.wait(60)
                return super().gradient(worker, job, x)

        def train(own):
            lose = own.lose
            own.lose = lambda worker: lost.append(worker) or is_known.set() or lose(worker)
            return self.train(Fails(), own, errors="lose", clock="wall", compute_time=None, updates=300,
                              worker_timeout=60)

        for own in (methods.Dude(), methods.Rennala(3)):
            lost, is_known = [], threading.Event()
            self.assertEqual(train(own).summary["updates"], 300)
            self.assertEqual(lost, [2])
        is_known = threading.Event()
        with self.assertRaisesRegex(NotImplementedError, "workers that stay"):
            train(methods.Ringleader())

    def test_serve_a_gpu(self):
        options = dict(workers=3, updates=30, deterministic=True, device="cuda:0")
        try:
            want = self.train("quadratic:tridiagonal:20", "dude", **options)
        except td.UsageError as none:
            self.skipTest(str(none))
        run = self.train("quadratic:tridiagonal:20", methods.Dude(), **options)
        np.testing.assert_array_equal(run.model, want.model)
        with self.assertRaisesRegex(td.UsageError, "it is computed on CPUs"):
            self.train(LeastSquares(), "dude", updates=30, device="cuda:0")

    def test_replay_what_they_have_recorded(self):
        record = self.folder / "run.record"
        for own, _, _ in self.pairs():
            run = self.train("quadratic:tridiagonal:20", own, workers=3, clock="wall", compute_time=None, updates=100, record=record)
            again = td.train(None, own, replay=record, quiet=True)
            np.testing.assert_array_equal(again.model, run.model)

    def test_resume_from_their_checkpoints(self):
        for own, _, _ in self.pairs():
            kept = self.folder / type(own).__name__
            whole = self.train(LeastSquares(), own, updates=120)
            self.train(LeastSquares(), own, updates=50, checkpoint_dir=kept)
            resumed = td.train(LeastSquares(), type(own)(3) if isinstance(own, methods.Rennala) else type(own)(), resume=kept,
                               updates=120, quiet=True)
            np.testing.assert_array_equal(resumed.model, whole.model, err_msg=type(own).__name__)

    def test_are_told_what_they_need_to_know(self):
        class Asks(Gives):
            def start(self):
                self.seen = (self.workers, self.lr, self.seed, list(self.compute_times))
                return super().start()

        own = Asks()
        self.train("quadratic:tridiagonal:8", own, workers=2, compute_time="linear:1:1")
        self.assertEqual(own.seen, (2, 0.05, 3, [1.0, 2.0]))

    def test_are_of_one_run_at_a_time(self):
        own = Gives()

        class Trains(LeastSquares):
            def gradient(inner, worker, job, x):
                self.train("quadratic:tridiagonal:4", own, workers=2)

        with self.assertRaisesRegex(ValueError, "this Gives is in use by another run"):
            self.train(Trains(), own)
        self.assertEqual(self.train("quadratic:tridiagonal:4", own, workers=2).summary["updates"], 60)

    def test_actions_can_be_compared_and_read(self):
        self.assertEqual(td.FoldRow(1, 0.5), td.FoldRow(1, weight=0.5))
        self.assertNotEqual(td.HandOver(1), td.HandOver(2))
        self.assertEqual(repr([td.Step(), td.HandOver(3), td.FoldRow(1, table="next", update_mean=False), td.AverageRows()]),
                         "[Step(1), HandOver(3), FoldRow(1, weight=1, table='next', update_mean=False), AverageRows()]")
        self.assertEqual(repr([td.CountRow(1), td.CountRow(2, False, update_mean=True), td.Correct(1, 0.5, keep=2)]),
                         "[CountRow(1, True), CountRow(2, False, update_mean=True), Correct(1, 0.5, restart=False, keep=2, kept=None)]")
        self.assertNotEqual(td.Correct(1, keep=0), td.Correct(1, kept=0))
        self.assertEqual(td.Memory(1, True, corrected=True, kept_rows=3).kept_rows, 3)

    def test_bad_ones_are_refused_in_a_line(self):
        step, over = [td.Step()], td.HandOver
        for own, kind, text in [
                (Gives(lambda arrival: None), TypeError, "expected a list of actions, got NoneType"),
                (Gives(lambda arrival: [42]), TypeError, "42 is no action of tardigrad's"),
                (Gives(lambda arrival: step + [over(9)]), ValueError, "worker 9, expected 0 to 1"),
                (Gives(lambda arrival: step + [over(-1)]), ValueError, "worker -1"),
                (Gives(lambda arrival: step + [over(1 - arrival.worker)]), ValueError, "which still computes"),
                (Gives(lambda arrival: step), ValueError, "no worker has a job now"),
                (Gives(start=[td.Step(), over(0)]), ValueError, "no gradient has arrived"),
                (Gives(start=[]), ValueError, "no worker has a job now"),
                (Gives(lambda arrival: [over(arrival.worker)]), ValueError, "no Step in 100000 arrivals"),
                (Gives(lambda arrival: [td.FoldRow(0), *step, over(arrival.worker)]), ValueError, "needs Memory(tables=1)"),
                (Gives(lambda arrival: [td.Accumulate(), *step, over(arrival.worker)]), ValueError, "needs Memory(mean=True)"),
                (Gives(lambda arrival: [td.Correct(0), *step, over(arrival.worker)]), ValueError, "needs Memory(corrected=True)"),
                (Gives(lambda arrival: [td.Correct(0, kept=1), *step, over(arrival.worker)],
                       memory=td.Memory(tables=1, mean=True, corrected=True, kept_rows=1)), ValueError, "kept row 1, of Memory(kept_rows=1)"),
                (Gives(lambda arrival: [td.Correct(0, restart=True, kept=0), *step, over(arrival.worker)],
                       memory=td.Memory(tables=1, mean=True, corrected=True, kept_rows=1)), ValueError, "neither keep nor restart"),
                (Gives(start=[td.Correct(0), over(0)], memory=td.Memory(tables=1, mean=True, corrected=True)), ValueError,
                 "no gradient has arrived"),
                (Gives(memory=td.Memory(tables=1, corrected=True)), ValueError, "a corrected mean needs a table and a mean"),
                (Gives(memory=td.Memory(tables=1, mean=True, kept_rows=1)), ValueError, "1 kept rows, expected 0, or more with"),
                (Gives(lambda arrival: [td.CountRow(0, False, update_mean=True), *step, over(arrival.worker)],
                       memory=td.Memory(tables=1)), ValueError, "needs Memory(mean=True)"),
                (Gives(lambda arrival: [td.Step(float("nan")), over(arrival.worker)]), ValueError, "scale nan"),
                (Gives(lambda arrival: [td.Discard(arrival.worker), over(arrival.worker)]), ValueError, "which has no job"),
                (Gives(memory=None), TypeError, "expected a tardigrad.Memory, got NoneType"),
                (Gives(memory=td.Memory(tables=3)), ValueError, "3 tables, expected 0, 1 or 2"),
                (Gives(lambda arrival: 1 / 0), ZeroDivisionError, "division by zero")]:
            with self.assertRaises(kind, msg=text) as refused:
                self.train("quadratic:tridiagonal:4", own, workers=2, updates=10**6)
            self.assertIn(text, str(refused.exception))
            self.assertNotIn("\n", str(refused.exception))
        with self.assertRaisesRegex(TypeError, "object has no memory"):
            self.train("quadratic:tridiagonal:4", object(), workers=2)
        with self.assertRaisesRegex(TypeError, "expected a method, got the class Gives"):
            self.train("quadratic:tridiagonal:4", Gives, workers=2)
        with self.assertRaisesRegex(ValueError, "expected main or next"):
            td.FoldRow(0, table="third")

    def test_states_that_json_cannot_hold_are_refused(self):
        own = Gives()
        with self.assertRaisesRegex(ValueError, r"Gives\.state: expected what JSON can hold"):
            self.train("quadratic:tridiagonal:4", own, workers=2, checkpoint_dir=self.folder / "kept")

    def test_nothing_that_is_returned_crashes(self):
        numbers = random.Random(5)
        things = [None, 0, -1, 2**70, 1.5, float("nan"), "x", b"x", [], {}, object(), np.zeros(10), np.zeros(0), np.float32(3),
                  td.Step(), td.HandOver(0), td.HandOver(1), td.HandOver(10**9), td.FoldRow(1), td.Discard(1), td.SwapTables(),
                  td.AverageRows(), td.CountRow(0, False), td.CountRow(1, False, True), td.Correct(0), td.Correct(0, 0.5, keep=0),
                  td.Correct(1, kept=0), td.Accumulate(2.0), td.ScaleMean(0.0), ValueError, lambda: 0]
        for trial in range(200):
            def give(*_):
                kind = numbers.random()
                if kind < 0.2:
                    return numbers.choice(things)
                return [numbers.choice(things[14:-2] if kind < 0.8 else things) for _ in range(numbers.randrange(4))]

            tables, mean = numbers.randrange(3), numbers.random() < 0.5
            corrected = tables > 0 and mean and numbers.random() < 0.5
            own = Gives(give, memory=td.Memory(tables=tables, mean=mean, corrected=corrected, kept_rows=1 if corrected else 0,
                                               jobs=numbers.choice(["rounds", "one_each", "anywhere"])))
            objective = Returns(lambda x: (numbers.choice(things), numbers.choice(things)) if numbers.random() < 0.1
                                else (0.0, np.zeros(10)))
            try:
                self.train(objective, own, updates=20)
            except Exception as error:  # of any kind, as long as there is one
                self.assertNotIsInstance(error, MemoryError)


if __name__ == "__main__":
    unittest.main()
