"""The search of a step size."""

import math

WORST = (math.inf, math.inf)
GROWING = ("accuracy", "worst_class")  # measures of which more is better


def walk(grid, start, score):
    """Walks along the ascending grid from the step size nearest to `start`, to the better neighbour for as long as
    that is better. `score(lr)` is a tuple, the less the better; WORST is a run that diverged, below which the smaller
    step size is the better one. Returns the best step size and the scores of those tried."""
    at = min(range(len(grid)), key=lambda i: abs(math.log(grid[i] / start)))
    scores = {}

    def score_at(i):
        if grid[i] not in scores:
            scores[grid[i]] = score(grid[i])
        return scores[grid[i]]

    while True:
        if score_at(at) == WORST and at > 0:
            at -= 1
            continue
        neighbours = [i for i in (at - 1, at + 1) if 0 <= i < len(grid)]
        best = min([at, *neighbours], key=score_at)
        if best == at:
            return grid[at], scores
        at = best


def at_edge(grid, lr):
    return lr in (grid[0], grid[-1])


def time_to(log, measure, target):
    """The first evaluation that reached a target (an accuracy from below, anything else from above), or infinity."""
    times, values = log.series(measure)
    for time, value in zip(times, values):
        if (value >= target) if measure in GROWING else (value <= target):
            return time
    return math.inf


def tail_mean(log, measure):
    """The mean over the second half of the evaluations: one lucky evaluation does not choose a step size."""
    _, values = log.series(measure)
    tail = values[len(values) // 2:]
    return sum(tail) / len(tail)
