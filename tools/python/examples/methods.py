"""Three of the built-in methods, written again in Python: they take the same decisions, so a run has the same bits."""

import tardigrad as td


class Dude(td.Method):
    """DuDe-ASGD (Wang, Sun, Wai, Zhang 2024, arXiv:2405.16966, Algorithm 1): a step along the mean of every worker's
    last gradient, with each arrival. Before the first step every worker computes once."""

    def memory(self):
        return td.Memory(tables=1, mean=True)

    def start(self):
        self.working = list(range(self.workers))
        self.waiting = []
        self.warm = False
        return [td.HandOver(worker) for worker in self.working]

    def arrive(self, arrival):
        self.waiting.append(arrival.worker)
        return [td.FoldRow(arrival.worker), *self.update_if_due()]

    def update_if_due(self):
        if not self.waiting or len(self.waiting) < (1 if self.warm else len(self.working)):
            return []
        restarted, self.waiting, self.warm = self.waiting, [], True
        return [td.Step(), *map(td.HandOver, restarted)]

    def lose(self, worker):
        self.working.remove(worker)
        if worker in self.waiting:
            self.waiting.remove(worker)
        return self.update_if_due()

    def regain(self, worker):
        self.working.append(worker)
        return [td.HandOver(worker)]


class Rennala(td.Method):
    """Rennala SGD (Tyurin, Richtárik 2023, arXiv:2305.12387): a step along the mean of the first B gradients of the
    newest model, whoever computes them; what is in flight by then is thrown away."""

    def __init__(self, gather):
        self.gather = gather

    def memory(self):
        return td.Memory(mean=True)

    def start(self):
        self.gathered = 0
        self.working = list(range(self.workers))
        return [td.HandOver(worker) for worker in self.working]

    def arrive(self, arrival):
        actions = [td.Accumulate(1 / self.gather, restart=self.gathered == 0)]
        self.gathered += 1
        if self.gathered < self.gather:
            return actions + [td.HandOver(arrival.worker)]
        self.gathered = 0
        others = [worker for worker in self.working if worker != arrival.worker]
        return actions + [td.Step(), *map(td.Discard, others), *map(td.HandOver, self.working)]

    def lose(self, worker):
        self.working.remove(worker)
        return []

    def regain(self, worker):
        self.working = sorted([*self.working, worker])
        return [td.HandOver(worker)]


class Ca2fl(td.Method):
    """CA²FL (Wang et al. 2024, ICLR) of workers that are never lost: a step along the mean of the rows, corrected by what M
    arrivals differ from their rows as they were at the step before."""

    def __init__(self, gather=10):
        self.gather = gather

    def memory(self):
        return td.Memory(tables=1, mean=True, corrected=True, kept_rows=min(self.gather - 1, self.workers))

    def start(self):
        self.gathered, self.kept = 0, []
        return [td.HandOver(worker) for worker in range(self.workers)]

    def arrive(self, arrival):
        worker = arrival.worker
        self.gathered += 1
        correction = {"weight": 1 / self.gather, "restart": self.gathered == 1}
        if worker in self.kept:
            correction["kept"] = self.kept.index(worker)
        elif self.gathered < self.gather:
            correction["keep"] = len(self.kept)
            self.kept.append(worker)
        if self.gathered < self.gather:
            return [td.Correct(worker, **correction), td.HandOver(worker)]
        self.gathered, self.kept = 0, []
        return [td.Correct(worker, **correction), td.Step(), td.HandOver(worker)]

    def lose(self, worker):
        raise NotImplementedError("workers that stay")


class Ringleader(td.Method):
    """Ringleader ASGD (Maranjyan, Richtárik 2025, arXiv:2509.22860, Algorithm 1) of workers that are never lost: rounds of n
    updates along the mean of the rows, each row the mean of its worker's gradients."""

    def memory(self):
        return td.Memory(tables=2, mean=True)

    def start(self):
        self.main, self.next = [0] * self.workers, [0] * self.workers
        self.pending = []
        return [td.HandOver(worker) for worker in range(self.workers)]

    def arrive(self, arrival):
        worker = arrival.worker
        if worker in self.pending:
            self.main[worker] += 1
            return [td.FoldRow(worker, 1 / self.main[worker]), *self.update(worker)]
        if self.pending:
            self.next[worker] += 1
            return [td.FoldRow(worker, 1 / self.next[worker], "next", False), td.HandOver(worker)]
        self.main[worker] += 1
        actions = [td.FoldRow(worker, 1 / self.main[worker], "main", False)]
        if 0 in self.main:
            return actions + [td.HandOver(worker)]
        self.pending = list(range(self.workers))
        return actions + [td.AverageRows(), *self.update(worker)]

    def update(self, worker):
        self.pending.remove(worker)
        actions = [td.Step(), td.HandOver(worker)]
        if not self.pending:
            self.main, self.next = self.next, [0] * self.workers
            actions.append(td.SwapTables())
        return actions

    def lose(self, worker):
        raise NotImplementedError("this Ringleader is for workers that stay")
