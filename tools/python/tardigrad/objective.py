"""Problems of one's own."""

from __future__ import annotations

import abc
import functools
from typing import Any, Callable, Optional, Sequence, Tuple

from tardigrad.numpy_later import np


class Job(int):
    """The number of a worker's job, counted from 0. `random` is a NumPy generator that gives the same numbers in every
    run for the same seed, worker and job: with it alone, a gradient in virtual time repeats to the bit."""

    worker: int
    seed: int

    def __new__(cls, number: int, worker: int = 0, seed: int = 0) -> "Job":
        job = super().__new__(cls, number)
        job.worker, job.seed = worker, seed
        return job

    @functools.cached_property
    def random(self) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, self.worker], counter=[0, 0, 0, int(self)]))


class Objective(abc.ABC):
    """A problem: minimise f(x) = 1/n Σ f_i(x) over vectors x of `dimension` numbers; worker i knows f_i alone.

    A subclass sets `dimension` and `workers` (n), and writes gradient(). It may also write evaluate(), full_gradient()
    and initial_model(rng), which returns x⁰ [dimension] (else it is 0), and set

    - `thread_safe = True`: callbacks may run on several threads at once; else one runs at a time;
    - `shapes`, a dict from names to shapes: what the parts of x are, in order, for `run.parameters` and saved models.

    x is a read-only float32 array, in gradient() of the engine's own memory: whoever keeps it keeps x.copy(). Any object
    with these attributes will do; to be a subclass is not needed. The command line's options for data sets
    (batch_size, partition, …) are not for these problems. Where there is neither evaluate() nor full_gradient(), a model
    is evaluated by the losses of a job of each worker that has the number 2³¹ − 1. With full_gradient() the smoothness at
    the first model is estimated before the run, for warnings of large steps, by a dozen calls, unless `smoothness` is given.

        class LeastSquares(td.Objective):
            def __init__(self, A, b):                    # A [n, m, d], b [n, m]
                self.A, self.b = A, b
                self.workers, _, self.dimension = A.shape

            def gradient(self, worker, job, x):
                rows = job.random.integers(len(self.b[worker]), size=8)
                A, residual = self.A[worker][rows], self.A[worker][rows] @ x - self.b[worker][rows]
                return residual @ residual / 16, A.T @ residual / 8
    """

    dimension: int
    workers: int
    thread_safe: bool = False

    @abc.abstractmethod
    def gradient(self, worker: int, job: Job, x: np.ndarray) -> Tuple[float, np.ndarray]:
        """Return the loss of a minibatch of the worker's at x [dimension], and its gradient, an array [dimension] of
        float32 or float64. The minibatch should depend on nothing but worker and job (job.random)."""

    evaluate: Optional[Callable[[np.ndarray], Any]] = None
    full_gradient: Optional[Callable[[np.ndarray], Tuple[float, np.ndarray]]] = None
    initial_model: Optional[Callable[[np.random.Generator], np.ndarray]] = None


class _TorchObjective(Objective):
    """See torch()."""

    def __init__(self, module, datasets, loss, batch_size, test):
        import torch

        datasets = list(datasets)
        if not datasets or not all(len(dataset) > 0 for dataset in datasets) or (test is not None and len(test) == 0):
            raise ValueError("objective.torch: expected a data set a worker, each with an example or more")
        if batch_size < 1:
            raise ValueError(f"objective.torch: batch_size {batch_size}, expected 1 or more")

        self._torch, self._module, self._datasets, self._loss, self._test = torch, module, datasets, loss, test
        self._batch_size = batch_size
        self._parameters = list(module.named_parameters())
        self.shapes = {name: tuple(tensor.shape) for name, tensor in self._parameters}
        self.dimension = sum(tensor.numel() for _, tensor in self._parameters)
        self.workers = len(datasets)
        self._initial = np.concatenate([tensor.detach().numpy().ravel() for _, tensor in self._parameters])

    def initial_model(self, _rng):
        return self._initial.astype(np.float32)

    def _put(self, x):
        with self._torch.no_grad():
            begin = 0
            for _, tensor in self._parameters:
                part = self._torch.from_numpy(x[begin:begin + tensor.numel()].copy())
                tensor.copy_(part.view_as(tensor))
                begin += tensor.numel()

    @staticmethod
    def _batch(dataset, chosen, torch):
        examples = [dataset[int(i)] for i in chosen]
        inputs = torch.stack([torch.as_tensor(example[0]) for example in examples])
        return inputs, torch.as_tensor(np.array([np.asarray(example[1]) for example in examples]))

    def gradient(self, worker, job, x):
        dataset = self._datasets[worker]
        chosen = job.random.integers(len(dataset), size=min(self._batch_size, len(dataset)))
        self._put(x)
        self._module.train()
        self._module.zero_grad(set_to_none=True)
        inputs, targets = self._batch(dataset, chosen, self._torch)
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(int(job.random.integers(1 << 62)))  # of dropout
            loss = self._loss(self._module(inputs), targets)
            loss.backward()
        parts = [np.zeros(tensor.numel(), np.float32) if tensor.grad is None else tensor.grad.numpy().ravel()
                 for _, tensor in self._parameters]
        return float(loss.detach()), np.concatenate(parts)

    def evaluate(self, x):
        self._put(x)
        self._module.eval()
        losses, hits, count, classifies = 0.0, 0, 0, True
        with self._torch.no_grad():
            for dataset in [self._test] if self._test is not None else self._datasets:
                for begin in range(0, len(dataset), 256):
                    chosen = range(begin, min(begin + 256, len(dataset)))
                    inputs, targets = self._batch(dataset, chosen, self._torch)
                    outputs = self._module(inputs)
                    losses += float(self._loss(outputs, targets)) * len(chosen)
                    count += len(chosen)
                    classifies = targets.ndim == 1 and outputs.ndim == 2 and not targets.is_floating_point()
                    if classifies:
                        hits += int((outputs.argmax(1) == targets).sum())
        mean = losses / count
        return (mean, hits / count) if classifies else mean


def torch(module: Any, datasets: Sequence[Any], loss: Callable[[Any, Any], Any], *, batch_size: int = 32,
          test: Any = None) -> Objective:
    """Make an objective of a PyTorch module, on CPUs: worker i draws minibatches of `batch_size` from datasets[i].

    module: any nn.Module of float32 parameters; its first values are x⁰. Buffers, as those of BatchNorm, are not part of
    the model: whatever the module computes with them depends on the jobs before, and no run with them repeats. datasets: for each worker what has a length and gives pairs (input, target). loss(outputs, targets): a mean
    over the minibatch. test: another such data set, for evaluations; without one they are over all the workers'.
    """
    return _TorchObjective(module, datasets, loss, batch_size, test)
