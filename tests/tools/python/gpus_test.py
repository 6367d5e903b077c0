#!/usr/bin/env python3
"""Problems in Python on GPUs, emulated ones."""

import contextlib
import ctypes
import threading
import time
import traceback
import unittest
import unittest.mock

import emulated_gpu  # before the package
from emulated_gpu import Consumed, Number, array_of, cuda, managed, synchronize, views

import numpy as np

import tardigrad as td
from package_case import LeastSquares, PackageCase

GPUS = dict(device="cuda:0,1")
WALL = dict(clock="wall", compute_time=None, **GPUS)


class OnGpu(LeastSquares):
    def cuda_gradient(self, worker, job, x, gradient):
        with views(job, x, gradient) as (model, to):
            loss, to[:] = self.gradient(worker, job, model)
        return loss


class Does(LeastSquares):
    """Does what it is told in the place of a gradient."""

    def __init__(self, do):
        super().__init__()
        self.do = do

    def cuda_gradient(self, worker, job, x, gradient):
        return self.do(job, x, gradient)


def write_zeros(job, gradient):
    with views(job, gradient) as (to,):
        to[:] = 0


class Gpus(PackageCase):
    def test_give_the_bits_of_cpus_in_virtual_time(self):
        for method, options in [("asgd", {}), ("dude", {}), ("ringleader", {}), ("sync", {}),
                                ("fedbuff", dict(local_steps=3, local_lr=0.02, gather=2))]:
            models = [self.train(OnGpu(), method, device=device, **options).model.tobytes()
                      for device in ("cpu:2", "cuda:0", "cuda:0,1")]
            self.assertEqual(len(set(models)), 1, method)

    def test_reach_their_minimum_in_wall_time(self):
        class Seen(OnGpu):
            def cuda_gradient(self, worker, job, x, gradient):
                seen.add((worker, job.device, job.stream))
                return super().cuda_gradient(worker, job, x, gradient)

        seen = set()
        run = self.train(Seen(), "dude", updates=2000, eval_gradient=True, **WALL)
        self.assertLess(run.evaluations.gradient_norm_sq[-1], 1e-2 * run.evaluations.gradient_norm_sq[0])
        self.assertEqual({(worker, device) for worker, device, _ in seen}, {(0, 0), (1, 1), (2, 0), (3, 1)})
        self.assertEqual(len({stream for _, _, stream in seen}), 4)

    def test_are_refused_what_is_for_cpus_alone(self):
        with self.assertRaisesRegex(td.UsageError, "own:LeastSquares: it is computed on CPUs, and a worker is on cuda:0"):
            self.train(LeastSquares(), "asgd", **GPUS)

    def test_evaluate_by_a_callback_of_their_own(self):
        class Evaluates(OnGpu):
            def cuda_evaluate(self, device, x):
                seen.append((device, x))
                return 0.5, 0.25

        seen = []
        run = self.train(Evaluates(), "asgd", device="cuda:1")
        self.assertEqual((run.evaluations.loss[-1], run.evaluations.accuracy[-1]), (0.5, 0.25))
        self.assertEqual(seen[-1][0], 1)
        np.testing.assert_array_equal(seen[-1][1], run.model)
        count = len(seen)
        self.assertNotEqual(self.train(Evaluates(), "asgd").evaluations.loss[-1], 0.5)
        self.assertEqual(len(seen), count)

    def test_go_on_from_a_checkpoint_and_a_recording(self):
        checkpoints, recording = self.folder / "checkpoints", self.folder / "run.tgr"
        options = dict(checkpoint_dir=checkpoints, checkpoint_every=20, **GPUS)
        self.train(OnGpu(), "dude", updates=40, **options)
        resumed = td.train(OnGpu(), "dude", resume=checkpoints, updates=60, quiet=True)
        np.testing.assert_array_equal(resumed.model, self.train(OnGpu(), "dude", **GPUS).model)
        recorded = self.train(OnGpu(), "ringleader", record=recording, **WALL)
        np.testing.assert_array_equal(td.train(OnGpu(), replay=recording, quiet=True).model, recorded.model)

    def test_compare(self):
        found = td.compare(OnGpu(), ["dude", "asgd"], lr=0.05, seeds=2, updates=20, clock="virtual", compute_time="linear:1:1", **GPUS)
        self.assertEqual(len(found.runs), 4)

    def test_lose_a_worker_or_end_where_a_callback_raises(self):
        class Fails(OnGpu):
            def cuda_gradient(self, worker, job, x, gradient):
                if worker == 2:
                    rest = x.__dlpack__(stream=-1)
                    raise ValueError("worker 2 has had enough", len(repr(rest)))
                return super().cuda_gradient(worker, job, x, gradient)

        run = self.train(Fails(), "asgd", errors="lose", updates=300, **WALL)
        self.assertEqual((run.summary["updates"], list(run.worker_changes.worker)), (300, [2]))
        self.assertIn("ValueError: ('worker 2 has had enough'", run.worker_changes.reason[0])
        for options in (GPUS, WALL):
            frames = []
            try:
                self.train(Fails(), "asgd", updates=300, **options)
            except ValueError as error:
                frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
            self.assertIn("cuda_gradient", frames)

    def test_refuse_in_a_line_what_is_no_gradient(self):
        def with_zeros(give):
            def do(job, x, gradient):
                write_zeros(job, gradient)
                return give(job)
            return do

        for do, kind, text in [
                (lambda job, x, gradient: 1.0, ValueError, "nobody has asked for the memory of gradient"),
                (with_zeros(lambda job: None), TypeError, "expected a number as loss, got NoneType"),
                (with_zeros(lambda job: (1.0, 2)), TypeError, "expected a number as loss, got tuple"),
                (with_zeros(lambda job: Number(1, 2)), TypeError, "one float32 on cuda:0, got 2 of 32 bits on cuda:0"),
                (with_zeros(lambda job: Number(1, kind=float)), TypeError, "got 1 of 64 bits on cuda:0"),
                (with_zeros(lambda job: Number(1, device=1)), TypeError, "got 1 of 32 bits on cuda:1")]:
            with self.assertRaises(kind) as refused:
                self.train(Does(do), "asgd", device="cuda:0")
            self.assertRegex(str(refused.exception), r"^Does\.cuda_gradient\(worker \d, job 0\): [^\n]*$")
            self.assertIn(text, str(refused.exception))

    def test_tell_of_numbers_that_are_not_finite(self):
        def spoil(job, x, gradient):
            with views(job, gradient) as (to,):
                to[:] = np.nan
            return 1.0

        with self.assertRaises(td.NotFiniteError):
            self.train(Does(spoil), "asgd", **GPUS)
        with self.assertRaises(td.NotFiniteError):
            self.train(Does(lambda job, x, gradient: write_zeros(job, gradient) or float("nan")), "asgd", **GPUS)


class Memory(PackageCase):
    """What a callback is shown."""

    def during(self, look):
        """Has a look at the first job's arguments."""
        seen = []

        def do(job, x, gradient):
            write_zeros(job, gradient)
            if not seen:
                seen.append(look(job, x, gradient))
            return 0.0

        self.train(Does(do), "asgd", device="cuda:1", updates=3)
        return seen[0]

    def test_is_that_of_dlpack(self):
        def look(job, x, gradient):
            self.assertEqual((x.__dlpack_device__(), x.shape, len(gradient), x.device, job.device), ((2, 1), (10,), 10, 1, 1))
            self.assertEqual(repr(x), "<DeviceVector [10] on cuda:1>")
            for vector in (x, gradient):
                for version in (None, (0, 8), (1, 0), (1, 3)):
                    capsule = vector.__dlpack__(stream=job.stream, max_version=version)
                    is_versioned = version is not None and version[0] >= 1
                    self.assertIn("dltensor_versioned" if is_versioned else '"dltensor"', repr(capsule))
                    tensor = managed(capsule).tensor
                    self.assertEqual((tensor.device_type, tensor.device, tensor.ndim, tensor.shape[0], tensor.strides[0],
                                      tensor.byte_offset), (2, 1, 1, 10, 1, 0))
                    self.assertEqual((tensor.code, tensor.bits, tensor.lanes), (2, 32, 1))
                    if is_versioned:
                        self.assertEqual((managed(capsule).major, managed(capsule).flags), (1, int(vector is x)))

        self.during(look)

    def test_is_that_of_cudas_array_interface(self):
        def look(job, x, gradient):
            capsule = x.__dlpack__(stream=-1)
            self.assertEqual(x.__cuda_array_interface__,
                             {"shape": (10,), "typestr": "<f4", "data": (managed(capsule).tensor.data, True), "strides": None,
                              "version": 3, "stream": job.stream})
            self.assertFalse(gradient.__cuda_array_interface__["data"][1])

        self.during(look)

    def test_begins_as_nothing_for_gradients(self):
        def do(job, x, gradient):
            with views(job, gradient) as (to,):
                seen.append(to.tobytes())
                to[:] = 7
            return 0.0

        seen = []
        self.train(Does(do), "asgd", lr=1e-9, updates=20, **GPUS)
        self.assertEqual(set(seen), {bytes(40)})

    def test_is_ordered_for_other_streams(self):
        def look(job, x, gradient):
            other = ctypes.c_void_p()
            cuda.cudaStreamCreateWithFlags(ctypes.byref(other), 1)
            done, waited = [], []
            slow = emulated_gpu.HostFunction(lambda _: (time.sleep(0.05), done.append(1)))
            for stream in (other.value, 1, 2, None):
                cuda.cudaLaunchHostFunc(ctypes.c_void_p(job.stream), slow, None)
                x.__dlpack__(stream=stream)
                synchronize(stream if stream == other.value else 0)
                waited.append(len(done))
            cuda.cudaLaunchHostFunc(ctypes.c_void_p(job.stream), slow, None)
            x.__dlpack__(stream=-1)
            x.__dlpack__(stream=job.stream)
            synchronize(other.value)
            waited.append(len(done))
            synchronize(job.stream)
            cuda.cudaStreamDestroy(other)
            return waited

        self.assertEqual(self.during(look), [1, 2, 3, 4, 4])

    def test_is_not_shown_as_it_is_not(self):
        def look(job, x, gradient):
            for options, kind, text in [(dict(stream=0), ValueError, "stream=0"), (dict(stream=-2), ValueError, "stream=-2"),
                                        (dict(stream=-1, copy=True), BufferError, "copy=True"),
                                        (dict(stream=-1, dl_device=(1, 0)), BufferError, r"the vector is on cuda:1, expected \(2, 1\)")]:
                with self.assertRaisesRegex(kind, text):
                    x.__dlpack__(**options)
            x.__dlpack__(stream=-1, dl_device=(2, 1), copy=False)

        self.during(look)

    def test_of_losses_is_read_in_the_streams_order(self):
        def do(job, x, gradient):
            with views(job, x, gradient) as (model, to):
                kept.append(Number(float(len(kept)), device=job.device))
                to[:] = 0
            asked.append((kept[-1].streams, job.stream))
            return kept[-1]

        kept, asked = [], []
        run = self.train(Does(do), "asgd", updates=5, device="cuda:0", log_detail="jobs", log=self.folder / "run.jsonl")
        np.testing.assert_array_equal(run.updates.loss, range(5))
        self.assertTrue(all(streams == [stream] for streams, stream in asked))

    def test_must_not_be_kept_and_is_still_there_where_it_is(self):
        for keep in (lambda x: x, lambda x: x.__dlpack__(stream=-1), lambda x: x.__dlpack__(stream=-1, max_version=(1, 0))):
            for which, options in (("x", GPUS), ("gradient", WALL)):
                kept = []

                def do(job, x, gradient):
                    write_zeros(job, gradient)
                    kept.append(keep(x if which == "x" else gradient))
                    return 0.0

                with self.assertRaisesRegex(ValueError, f"{which} or a view of it is kept, .* keep a copy"):
                    self.train(Does(do), "asgd", **options)
                last = kept[0]
                array = array_of(last if not isinstance(last, td.DeviceVector) else last.__dlpack__(stream=-1))
                self.assertEqual(float(array.sum()), 0)

    def test_is_given_back_by_deleters_of_any_thread(self):
        def do(job, x, gradient):
            write_zeros(job, gradient)
            consumed = [Consumed(vector.__dlpack__(stream=-1, max_version=version))
                        for vector in (x, gradient) for version in (None, (1, 0))]
            if are_kept:
                kept.extend(consumed)
                return 0.0
            thread = threading.Thread(target=lambda: [one.give_back() for one in consumed])
            thread.start()
            thread.join()
            return 0.0

        kept, are_kept = [], False
        self.train(Does(do), "asgd", updates=20, **GPUS)
        are_kept = True
        with self.assertRaisesRegex(ValueError, "x or a view of it is kept"):
            self.train(Does(do), "asgd", **GPUS)
        for one in kept:
            one.give_back()

    def test_may_be_given_back_late(self):
        def keep_for_a_while(job, x, gradient):
            write_zeros(job, gradient)
            threading.Thread(target=lambda vector: time.sleep(0.004), args=(x,)).start()
            return 0.0

        self.assertEqual(self.train(Does(keep_for_a_while), "asgd", updates=5, **GPUS).summary["updates"], 5)


class OfPyTorch(PackageCase):
    """With PyTorch for CPUs, which looks into the emulated GPU's memory."""

    def setUp(self):
        super().setUp()
        try:
            import torch
            from tardigrad import torch_objective
        except ImportError:
            self.skipTest("no PyTorch")

        @contextlib.contextmanager
        def on_stream(job):
            self.streams.add(job.stream)
            synchronize(job.stream)
            yield

        self.torch, self.streams, self.evaluated = torch, set(), []
        tensors = dict(_as_tensor=lambda vector: torch.from_numpy(array_of(self.capsule(vector))), _on_stream=on_stream,
                       _gpu=lambda number: torch.device("cpu", number))
        for name, function in tensors.items():
            patch = unittest.mock.patch.object(torch_objective, name, function)
            patch.start()
            self.addCleanup(patch.stop)

    @staticmethod
    def capsule(vector):
        return vector.__dlpack__(stream=-1)

    def objective(self):
        torch = self.torch
        torch.manual_seed(1)
        module = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Dropout(0.25), torch.nn.Linear(5, 3))
        numbers = np.random.default_rng(5)
        datasets = [[(numbers.standard_normal(6).astype(np.float32), int(numbers.integers(3))) for _ in range(20)] for _ in range(3)]
        return td.objective.torch(module, datasets, torch.nn.functional.cross_entropy, batch_size=4), module

    def test_gives_the_bits_of_cpus_in_virtual_time(self):
        (on_gpu, module), (on_cpu, _) = self.objective(), self.objective()
        before = [tensor.detach().clone() for tensor in module.parameters()]
        runs = [self.train(on_gpu, "dude", **GPUS), self.train(on_cpu, "dude")]
        np.testing.assert_array_equal(runs[0].model, runs[1].model)
        np.testing.assert_array_equal(runs[0].evaluations.accuracy, runs[1].evaluations.accuracy)
        self.assertGreater(len(self.streams), 1)
        for tensor, old in zip(module.parameters(), before):
            self.assertTrue(self.torch.equal(tensor, old))
            self.assertIsNone(tensor.grad)

    def test_learns_in_wall_time(self):
        run = self.train(self.objective()[0], "dude", updates=600, lr=0.1, **WALL)
        self.assertLess(run.evaluations.loss[-1], run.evaluations.loss[0])
        self.assertEqual(len(self.streams), 3)


if __name__ == "__main__":
    unittest.main()
