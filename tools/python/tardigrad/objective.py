"""Problems of one's own."""

from __future__ import annotations

import abc
import functools
from typing import Any, Callable, Optional, Sequence, Tuple

from tardigrad._engine import DeviceVector
from tardigrad.numpy_later import np


class Job(int):
    """The number of a worker's job, counted from 0. `random` is a NumPy generator that gives the same numbers in every
    run for the same seed, worker and job: with it alone, a gradient in virtual time repeats to the bit. On a GPU `device`
    is the GPU's number, and `stream` the address of the CUDA stream that the job is computed on; on CPUs both are None."""

    worker: int
    seed: int
    stream: Optional[int]
    device: Optional[int]

    def __new__(cls, number: int, worker: int = 0, seed: int = 0, stream: Optional[int] = None,
                device: Optional[int] = None) -> "Job":
        job = super().__new__(cls, number)
        job.worker, job.seed, job.stream, job.device = worker, seed, stream, device
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
    (batch_size, partition, …) are not for these problems, and are refused. Where there is neither evaluate() nor
    full_gradient(), a model is evaluated by the losses of a job of each worker that has the number 2³¹ − 1. With
    full_gradient() the smoothness at the first model is estimated before the run, for warnings of large steps, by a dozen
    calls, unless `smoothness` is given.

    With cuda_gradient(worker, job, x, gradient) -> loss the problem is also computed on GPUs (device="cuda"), where it is
    refused without. It enqueues on the CUDA stream `job.stream` of GPU `job.device` what writes the gradient of a minibatch
    at x into `gradient`, which is all 0 there, and returns the loss: a number, or better an array of one float32 on that
    GPU that DLPack shows, as a detached torch.Tensor, which the engine copies in the stream's order. x and gradient are
    DeviceVectors [dimension] of the engine's own memory, x not to be written; whoever keeps one keeps a copy. ValueError is
    raised for one that is kept, and where nobody has asked for the memory of `gradient`; TypeError for another loss. All
    callbacks are called by the run's one thread there: they should not wait. cuda_evaluate(device, x) returns what
    evaluate(x) would, computed on GPU number `device`. It is optional, and gets x on the host, as all the other callbacks
    do on GPUs, too.

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

    cuda_gradient: Optional[Callable[[int, Job, DeviceVector, DeviceVector], Any]] = None
    cuda_evaluate: Optional[Callable[[int, np.ndarray], Any]] = None


def torch(module: Any, datasets: Sequence[Any], loss: Callable[[Any, Any], Any], *, batch_size: int = 32,
          test: Any = None) -> Objective:
    """Make an objective of a PyTorch module: worker i draws minibatches of `batch_size` from datasets[i]. With
    device="cuda" each worker computes on its own CUDA stream, PyTorch seeing the engine's model and gradient where they
    are; else on CPUs.

    module: any nn.Module of float32 parameters on the CPU; its values are x⁰, and it keeps them: run.parameters has the
    trained ones. Buffers, as those of BatchNorm, are not part of the model, and there is one set of them a device: whatever
    the module computes with them depends on the jobs before, and no run with them repeats. datasets: for each worker what
    has a length and gives pairs (input, target), on the CPU. loss(outputs, targets): a mean over the minibatch. test:
    another such data set, for evaluations; without one they are over all the workers'.

    Minibatches are the same on CPUs and GPUs; random numbers within the module, as dropout's, are seeded by the job on
    both, and differ from one to the other, as PyTorch's generators do.
    """
    from tardigrad.torch_objective import TorchObjective

    return TorchObjective(module, datasets, loss, batch_size, test)
