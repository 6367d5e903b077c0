#!/usr/bin/env python3
"""Problems that Python computes."""

import json
import threading
import traceback
import unittest

import numpy as np

import tardigrad as td
from package_case import VIRTUAL, FullAccuracy, Gives, LeastSquares, PackageCase, Returns


class Objectives(PackageCase):
    def test_reach_their_minimum(self):
        run = self.train(LeastSquares(), "dude", updates=2000, eval_gradient=True)
        self.assertLess(run.evaluations.gradient_norm_sq[-1], 1e-2 * run.evaluations.gradient_norm_sq[0])
        self.assertEqual(run.options["model"], "own:LeastSquares")
        self.assertAlmostEqual(run.evaluations.loss[-1], LeastSquares().full_gradient(run.model)[0], places=6)

    def test_repeat_their_bits_on_any_number_of_threads(self):
        class Safe(LeastSquares):
            thread_safe = True

        models = [self.train(objective, "ia2sgd", device=device).model.tobytes()
                  for objective in (LeastSquares(), Safe()) for device in ("cpu:1", "cpu:2")]
        self.assertEqual(len(set(models)), 1)
        self.assertNotEqual(self.train(LeastSquares(), "ia2sgd", seed=4).model.tobytes(), models[0])

    def test_draw_other_numbers_with_each_draw_worker_job_and_seed(self):
        job = td.Job(3, 1, 2)
        draws = [job.random.random(), job.random.random(), td.Job(4, 1, 2).random.random(), td.Job(3, 2, 2).random.random(),
                 td.Job(3, 1, 3).random.random()]
        self.assertEqual(len(set(draws)), 5)
        self.assertEqual(td.Job(3, 1, 2).random.random(), draws[0])

    def test_may_give_float32_and_views(self):
        class Single(LeastSquares):
            def gradient(self, worker, job, x):
                loss, gradient = super().gradient(worker, job, x)
                return np.float32(loss), np.stack([gradient, gradient], 1).astype(np.float32)[:, 0]

        np.testing.assert_array_equal(self.train(Single(), "asgd").model, self.train(LeastSquares(), "asgd").model)

    def test_may_evaluate_and_begin_as_they_like(self):
        class Begins(FullAccuracy):
            shapes = {"weight": (2, 4), "bias": (2,)}

            def initial_model(self, rng):
                return rng.standard_normal(self.dimension)

        run = self.train(Begins(), "asgd", updates=1, lr=1e-9)
        np.testing.assert_allclose(run.model, np.random.default_rng(3).standard_normal(10), rtol=1e-6)
        self.assertEqual({name: part.shape for name, part in run.parameters.items()}, {"weight": (2, 4), "bias": (2,)})
        self.assertEqual(run.evaluations.accuracy[-1], 0.25)

    def test_are_evaluated_by_their_minibatches_where_there_is_nothing_else(self):
        class Bare:
            dimension, workers = 3, 2

            def gradient(self, worker, job, x):
                return float(x @ x) / 2 + worker, x

        run = self.train(Bare(), "asgd")
        self.assertAlmostEqual(run.evaluations.loss[0], 0.5)
        with self.assertRaisesRegex(td.UsageError, "no full_gradient"):
            self.train(Bare(), "asgd", eval_gradient=True)

    def test_see_a_model_that_cannot_be_written(self):
        def write(x):
            x[0] = 1

        with self.assertRaisesRegex(ValueError, "read-only"):
            self.train(Returns(write), "asgd")

    def test_may_not_keep_the_engines_memory(self):
        for keep in (lambda x: kept.append(x), lambda x: kept.append(x[1:])):
            kept = []

            def gradient(x):
                keep(x)
                return 0.0, np.zeros(10)

            with self.assertRaisesRegex(ValueError, "keep a copy"):
                self.train(Returns(gradient), "asgd")
            self.assertEqual(float(kept[0].sum()), 0)  # and it is still there

    def test_what_is_kept_behind_an_error_is_still_there(self):
        for give, kind in ((lambda: None, TypeError), (lambda: 1 / 0, ZeroDivisionError)):
            kept = []
            with self.assertRaises(kind):
                self.train(Returns(lambda x: kept.append(x) or give()), "asgd")
            self.assertEqual(float(kept[0].sum()), 0)

    def test_evaluations_may_keep_what_they_see(self):
        seen = []

        class Keeps(LeastSquares):
            def evaluate(self, x):
                seen.append(x)
                return 0.0

        run = self.train(Keeps(), "asgd")
        np.testing.assert_array_equal(seen[-1], run.model)

    def test_may_begin_where_the_gradient_is_nothing(self):
        class Flat(LeastSquares):
            def gradient(self, worker, job, x):
                return 1.0, np.zeros(10)

            def full_gradient(self, x):
                return (1.0, np.zeros(10)) if np.isfinite(x).all() else self.fail()

        self.assertEqual(self.train(Flat(), "asgd").summary["updates"], 60)

    def test_errors_without_words_are_still_errors(self):
        class Mute(Exception):
            def __str__(self):
                raise ValueError("no words")

        def fail(x):
            raise Mute

        for options in (VIRTUAL, dict(device="cpu:2", clock="wall", compute_time=None)):
            with self.assertRaises(Mute):
                self.train(Returns(fail), "asgd", **options)

    def test_errors_end_a_run_with_their_traceback(self):
        def fail(x):
            rest = x[2:]
            raise KeyError("mine", len(rest))

        for options in (VIRTUAL, dict(device="cpu:2", clock="wall", compute_time=None)):
            frames = []
            try:
                self.train(Returns(fail), "asgd", **options)
            except KeyError as error:
                frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            self.assertIn("fail", frames)

    def test_errors_may_cost_a_worker_instead(self):
        class Fails(LeastSquares):
            thread_safe = True

            def gradient(self, worker, job, x):
                if worker == 2 and job == 3:
                    raise ValueError("worker 2 has had enough")
                if job > 3:  # however slow worker 2 is
                    is_known.wait(60)
                return super().gradient(worker, job, x)

        is_known, own = threading.Event(), Gives()
        own.lose = lambda worker: is_known.set() or []
        run = self.train(Fails(), own, errors="lose", device="cpu:2", clock="wall", compute_time=None, updates=300,
                         worker_timeout=60)
        self.assertEqual(run.summary["updates"], 300)
        log = [json.loads(line) for line in run.log.read_text().splitlines()]
        lost = [record for record in log if record["event"] == "worker-lost"]
        self.assertEqual(list(run.worker_changes.worker), [2])
        self.assertEqual([record["worker"] for record in lost], [2])
        self.assertIn("ValueError: worker 2 has had enough", lost[0]["reason"])

    def test_bad_gradients_are_refused_in_a_line(self):
        for make, kind, text in [(lambda x: None, TypeError, "expected a pair (loss, gradient), got NoneType"),
                                 (lambda x: (1, 2, 3), TypeError, "got tuple of 3"),
                                 (lambda x: (1.0, [0.0] * 10), TypeError, "expected a NumPy array [10] of floats, got list"),
                                 (lambda x: (1.0, np.zeros(10, int)), TypeError, "float32 or float64, got one of int64"),
                                 (lambda x: (1.0, np.zeros(9)), ValueError, "expected an array of shape (10,), got (9,)"),
                                 (lambda x: (1.0, np.zeros((10, 1))), ValueError, "got (10, 1)"),
                                 (lambda x: ("much", np.zeros(10)), TypeError, "expected a number as loss, got str"),
                                 (lambda x: (1.0, np.full(10, np.nan)), td.NotFiniteError, "element 0 is nan"),
                                 (lambda x: (1.0, np.full(10, 1e300)), td.NotFiniteError, "element 0 is inf")]:
            with self.assertRaises(kind) as refused:
                self.train(Returns(make), "asgd")
            self.assertIn(text, str(refused.exception))
            self.assertRegex(str(refused.exception), r"^Returns\.gradient\(worker \d, job 0\): [^\n]*$")

    def test_bad_objectives_are_refused(self):
        for changes, kind, text in [(dict(workers=0), ValueError, "workers is 0, expected 1 to"),
                                    (dict(workers=2.5), TypeError, "workers is 2.5, expected a whole number"),
                                    (dict(dimension=None), TypeError, "has no dimension"),
                                    (dict(shapes={"x": (3,)}), ValueError, "shapes have 3 elements, and dimension is 10"),
                                    (dict(shapes={"x": (-10, -1)}), ValueError, "an extent of -10"),
                                    (dict(shapes={"x": 10}), TypeError, "expected a dict from names to tuples"),
                                    (dict(shapes={1: (10,)}), TypeError, "expected a dict from names to tuples")]:
            objective = LeastSquares()
            for name, value in changes.items():
                setattr(objective, name, value)
            with self.assertRaisesRegex(kind, text.replace("(", r"\(")):
                self.train(objective, "asgd")
        with self.assertRaisesRegex(TypeError, "object has no gradient"):
            self.train(object(), "asgd")
        with self.assertRaisesRegex(TypeError, "expected an objective, got the class LeastSquares"):
            self.train(LeastSquares, "asgd")
        with self.assertRaisesRegex(td.UsageError, "errors='lose' has no use in virtual time"):
            self.train(LeastSquares(), "asgd", errors="lose")

        class Broken(LeastSquares):
            @property
            def full_gradient(self):
                raise RuntimeError("a property that fails")

        with self.assertRaisesRegex(RuntimeError, "a property that fails"):
            self.train(Broken(), "asgd")
        with self.assertRaisesRegex(td.UsageError, "--workers: 3 for the 4 workers of own:LeastSquares"):
            self.train(LeastSquares(), "asgd", workers=3)
        with self.assertRaisesRegex(td.UsageError, "--dataset has no use with --model own:LeastSquares"):
            self.train(LeastSquares(), "asgd", dataset="mnist")
        for name, value in dict(batch_size=8, partition="shards:2", sampling="replacement", data_dir="data").items():
            flag = name.replace("_", "-")
            with self.assertRaisesRegex(td.UsageError, f"--{flag} has no use with --model own:LeastSquares"):
                self.train(LeastSquares(), "asgd", **{name: value})

    def test_of_pytorch_gives_pytorchs_gradients(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no PyTorch")
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
        numbers = np.random.default_rng(5)
        datasets = [[(numbers.standard_normal(6).astype(np.float32), int(numbers.integers(3))) for _ in range(20)] for _ in range(3)]
        first = {name: tensor.detach().clone().numpy() for name, tensor in module.named_parameters()}
        objective = td.objective.torch(module, datasets, torch.nn.functional.cross_entropy, batch_size=20)
        run = self.train(objective, "sync", lr=0.5, updates=1, compute_time="linear:1:1")
        chosen = td.Job(0, 1, 3).random.integers(20, size=20)
        self.assertEqual(set(run.parameters), set(first))
        self.assertEqual(run.parameters["0.weight"].shape, (5, 6))
        for name, tensor in module.named_parameters():
            tensor.data = torch.from_numpy(first[name].copy())
        gradients = {name: 0 for name in first}
        for worker, dataset in enumerate(datasets):
            rows = td.Job(0, worker, 3).random.integers(20, size=20)
            module.zero_grad()
            outputs = module(torch.tensor(np.stack([dataset[i][0] for i in rows])))
            torch.nn.functional.cross_entropy(outputs, torch.tensor([dataset[i][1] for i in rows])).backward()
            gradients = {name: gradients[name] + tensor.grad.numpy() / 3 for name, tensor in module.named_parameters()}
        for name, value in first.items():
            np.testing.assert_allclose(run.parameters[name], value - 0.5 * gradients[name], atol=1e-6)
        self.assertEqual(len(chosen), 20)
        self.assertGreater(self.train(objective, "dude", updates=300, lr=0.3).evaluations.accuracy[-1], 0.6)


if __name__ == "__main__":
    unittest.main()
