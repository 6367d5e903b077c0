"""Problems of PyTorch modules: what objective.torch() makes."""

from __future__ import annotations

import contextlib
import copy
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple, Union

import torch

from tardigrad._engine import DeviceVector
from tardigrad.numpy_later import np
from tardigrad.objective import Job, Objective

CPU = torch.device("cpu")
EVALUATED_AT_ONCE = 256  # examples


def _as_tensor(vector: DeviceVector) -> torch.Tensor:
    """A tensor of the engine's own memory."""
    return torch.from_dlpack(vector)


def _on_stream(job: Job) -> Any:
    """Makes the job's stream PyTorch's current one."""
    return torch.cuda.stream(torch.cuda.ExternalStream(job.stream, device=job.device))


def _gpu(number: int) -> torch.device:
    return torch.device("cuda", number)


def _onto(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on a device; to a GPU in the order of the current stream, without a wait."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Gives PyTorch's generators a seed for a while, on the CPU and on the device."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)
        if on_gpu:
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield


class _Placed:
    """A module on a device, whose parameters can be parts of a flat vector for a while."""

    def __init__(self, module: torch.nn.Module):
        self.module = module
        self._parameters = list(module.parameters())
        self._sizes = [parameter.numel() for parameter in self._parameters]

    @contextlib.contextmanager
    def at(self, x: torch.Tensor) -> Iterator[torch.nn.Module]:
        """The module at a model [dimension]."""
        before = [parameter.data for parameter in self._parameters]
        try:
            for parameter, part in zip(self._parameters, x.split(self._sizes)):
                parameter.data = part.view(parameter.shape)
            yield self.module
        finally:
            for parameter, data in zip(self._parameters, before):
                parameter.data = data

    @contextlib.contextmanager
    def adding_to(self, gradient: torch.Tensor) -> Iterator[None]:
        """Lets backward() add to a vector [dimension]."""
        before = [parameter.grad for parameter in self._parameters]
        try:
            for parameter, part in zip(self._parameters, gradient.split(self._sizes)):
                parameter.grad = part.view(parameter.shape)
            yield
        finally:
            for parameter, grad in zip(self._parameters, before):
                parameter.grad = grad


class TorchObjective(Objective):
    """See tardigrad.objective.torch()."""

    def __init__(self, module: torch.nn.Module, datasets: Sequence[Any], loss: Callable[[Any, Any], Any], batch_size: int,
                 test: Any):
        datasets = list(datasets)
        if not datasets or not all(len(dataset) > 0 for dataset in datasets) or (test is not None and len(test) == 0):
            raise ValueError("objective.torch: expected a data set a worker, each with an example or more")
        if batch_size < 1:
            raise ValueError(f"objective.torch: batch_size {batch_size}, expected 1 or more")
        parameters = dict(module.named_parameters())
        for name, tensor in parameters.items():
            if tensor.dtype != torch.float32 or tensor.device != CPU:
                raise ValueError(f"objective.torch: {name} is {tensor.dtype} on {tensor.device}, expected float32 on the CPU")
        self._module, self._datasets, self._loss, self._test, self._batch_size = module, datasets, loss, test, batch_size
        self._placed: Dict[torch.device, _Placed] = {CPU: _Placed(module)}
        self.shapes = {name: tuple(tensor.shape) for name, tensor in parameters.items()}
        self.dimension = sum(tensor.numel() for tensor in parameters.values())
        self.workers = len(datasets)

    def initial_model(self, _rng: np.random.Generator) -> np.ndarray:
        return np.concatenate([tensor.detach().numpy().ravel() for tensor in self._module.parameters()])

    def gradient(self, worker: int, job: Job, x: np.ndarray) -> Tuple[float, np.ndarray]:
        gradient = torch.zeros(self.dimension)
        loss = self._backward(worker, job, CPU, torch.from_numpy(x.copy()), gradient)
        return float(loss), gradient.numpy()

    def cuda_gradient(self, worker: int, job: Job, x: DeviceVector, gradient: DeviceVector) -> torch.Tensor:
        with _on_stream(job):
            return self._backward(worker, job, _gpu(job.device), _as_tensor(x), _as_tensor(gradient))

    def evaluate(self, x: np.ndarray) -> Union[float, Tuple[float, float]]:
        return self._evaluate(CPU, torch.from_numpy(x.copy()))

    def cuda_evaluate(self, device: int, x: np.ndarray) -> Union[float, Tuple[float, float]]:
        return self._evaluate(_gpu(device), torch.from_numpy(x.copy()).to(_gpu(device)))

    def _on(self, device: torch.device) -> _Placed:
        if device not in self._placed:
            self._placed[device] = _Placed(copy.deepcopy(self._module).to(device))
        return self._placed[device]

    @staticmethod
    def _batch(dataset: Any, chosen: Sequence[int], device: torch.device) -> Tuple[torch.Tensor, torch.Tensor]:
        examples = [dataset[int(i)] for i in chosen]
        inputs = torch.stack([torch.as_tensor(example[0]) for example in examples])
        targets = torch.as_tensor(np.array([np.asarray(example[1]) for example in examples]))
        return _onto(inputs, device), _onto(targets, device)

    def _backward(self, worker: int, job: Job, device: torch.device, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """The loss of the job at x; its gradient is added to `gradient`."""
        dataset, placed = self._datasets[worker], self._on(device)
        chosen = job.random.integers(len(dataset), size=min(self._batch_size, len(dataset)))
        inputs, targets = self._batch(dataset, chosen, device)
        seed = int(job.random.integers(1 << 62))  # of dropout
        with placed.at(x) as module, placed.adding_to(gradient), _seeded(seed, device):
            module.train()
            loss = self._loss(module(inputs), targets)
            loss.backward()
        return loss.detach().float()

    def _evaluate(self, device: torch.device, x: torch.Tensor) -> Union[float, Tuple[float, float]]:
        with self._on(device).at(x) as module, torch.no_grad():
            module.eval()
            datasets = self._datasets if self._test is None else [self._test]
            parts = [self._evaluate_part(module, dataset, begin, device)
                     for dataset in datasets for begin in range(0, len(dataset), EVALUATED_AT_ONCE)]
        count = sum(part[0] for part in parts)
        mean = sum(part[1] for part in parts) / count
        hits: List[int] = [part[2] for part in parts if part[2] is not None]
        return (mean, sum(hits) / count) if len(hits) == len(parts) else mean

    def _evaluate_part(self, module: torch.nn.Module, dataset: Any, begin: int, device: torch.device) -> Tuple[int, float, Any]:
        """How many examples these are, the sum of their losses, and how many are classified rightly, if they have classes."""
        chosen = range(begin, min(begin + EVALUATED_AT_ONCE, len(dataset)))
        inputs, targets = self._batch(dataset, chosen, device)
        outputs = module(inputs)
        loss = float(self._loss(outputs, targets)) * len(chosen)
        classifies = targets.ndim == 1 and outputs.ndim == 2 and not targets.is_floating_point()
        return len(chosen), loss, int((outputs.argmax(1) == targets).sum()) if classifies else None
