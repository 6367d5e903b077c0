"""What the tests of the Python package share: problems and methods to train, and how."""

import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools" / "python" / "examples"))

import numpy as np  # noqa: E402

import tardigrad as td  # noqa: E402

VIRTUAL = dict(clock="virtual", compute_time="exponential:1", device="cpu:2", quiet=True)


class LeastSquares(td.Objective):
    """Of n workers with data of their own."""

    def __init__(self, workers=4, dimension=10):
        self.workers, self.dimension = workers, dimension
        numbers = np.random.default_rng(1)
        self.A = numbers.standard_normal((workers, 50, dimension))
        self.b = self.A @ np.ones(dimension) + numbers.standard_normal((workers, 1))

    def gradient(self, worker, job, x):
        rows = job.random.integers(50, size=8)
        A = self.A[worker][rows]
        residual = A @ x - self.b[worker][rows]
        return residual @ residual / 16, A.T @ residual / 8

    def full_gradient(self, x):
        residual = self.A @ x - self.b
        gradient = np.einsum("nmd,nm->d", self.A, residual) / residual.size
        return np.square(residual).mean() / 2, gradient


class FullAccuracy(LeastSquares):
    def evaluate(self, x):
        return float(np.square(self.A @ x - self.b).mean()), 0.25


class Returns(LeastSquares):
    """Gives what it is told instead of a gradient."""

    def __init__(self, make):
        super().__init__()
        self.make = make

    def gradient(self, worker, job, x):
        return self.make(x)


class Gives(td.Method):
    """Gives what it is told for an arrival, and, unless told otherwise, what asgd would for the rest."""

    def __init__(self, arrive=lambda arrival: [td.Step(), td.HandOver(arrival.worker)], start=None, memory=td.Memory()):
        self.give, self.first, self.kept = arrive, start, memory

    def memory(self):
        return self.kept

    def start(self):
        return [td.HandOver(worker) for worker in range(self.workers)] if self.first is None else self.first

    def arrive(self, arrival):
        return self.give(arrival)


class PackageCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def train(self, *arguments, **options):
        return td.train(*arguments, **{"lr": 0.05, "updates": 60, "seed": 3, **VIRTUAL, **options})
