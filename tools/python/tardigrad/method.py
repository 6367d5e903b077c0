"""Methods of one's own."""

import abc
from typing import Any, List, Sequence

from tardigrad._engine import Accumulate, Arrival, AverageRows, Correct, CountRow, Discard, FoldRow, HandOver, Memory, \
    ScaleMean, Step, SwapTables


class Method(abc.ABC):
    """A method: what is done with a gradient that arrives. It holds no vector; the engine does the arithmetic.

    Before start() the engine sets `workers` (n), `lr`, `seed` and `compute_times` (a worker each where the delays are
    known, else empty). What it is called is its `name`, or that of its class. Each function returns a list of actions, carried out in order; what it decides must depend on
    nothing but arrivals and options. One object serves one run after another: start() begins anew.

        class Asgd(td.Method):
            def memory(self):
                return td.Memory()

            def start(self):
                return [td.HandOver(worker) for worker in range(self.workers)]

            def arrive(self, arrival):
                return [td.Step(), td.HandOver(arrival.worker)]
    """

    workers: int
    lr: float
    seed: int
    compute_times: Sequence[float]

    @abc.abstractmethod
    def memory(self) -> Memory:
        """Say what is to be kept besides the model."""

    @abc.abstractmethod
    def start(self) -> List[Any]:
        """Return the actions before the first arrival; some HandOver is among them."""

    @abc.abstractmethod
    def arrive(self, arrival: Arrival) -> List[Any]:
        """Return the actions for a gradient that has arrived."""

    def lose(self, worker: int) -> List[Any]:
        """Return what follows for the others when a worker is lost: its jobs are gone, it is handed none before
        regain(). Nobody may wait for it."""
        return []

    def regain(self, worker: int) -> List[Any]:
        """Return what follows when a lost worker is back, without a job."""
        return [HandOver(worker)]

    @property
    def state(self) -> Any:
        """All that the next decisions depend on, as JSON can hold it; for checkpoints. By default, the attributes."""
        return {name: value for name, value in vars(self).items() if name not in ("workers", "lr", "seed", "compute_times")}

    @state.setter
    def state(self, state: Any) -> None:
        vars(self).update(state)


__all__ = ["Accumulate", "AverageRows", "Correct", "CountRow", "Discard", "FoldRow", "HandOver", "Method", "ScaleMean", "Step",
           "SwapTables"]
