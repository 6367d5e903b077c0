"""Measured times against predicted ones."""

import math


def regress(xs, ys):
    """Least squares of log y = intercept + slope · log x. Returns (slope, intercept, share of variance explained)."""
    xs, ys = [math.log(x) for x in xs], [math.log(y) for y in ys]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    xx = sum((x - mean_x) ** 2 for x in xs)
    xy = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    yy = sum((y - mean_y) ** 2 for y in ys)
    slope = xy / xx if xx > 0 else math.nan
    return slope, mean_y - slope * mean_x, xy * xy / (xx * yy) if xx > 0 and yy > 0 else math.nan


def constant(predicted, measured):
    """The factor that fits measured = factor · predicted best, in logarithms, and the largest ratio left either way."""
    ratios = [math.log(y / x) for x, y in zip(predicted, measured)]
    middle = sum(ratios) / len(ratios)
    return math.exp(middle), math.exp(max(abs(ratio - middle) for ratio in ratios))


def naive(tau, noise):
    """Sync and, by its analysis, IA2SGD, in units of L·Delta/eps; `noise` is sigma²/(n·eps). Maranjyan, Richtárik 2025,
    table 1."""
    return max(tau) * (1 + noise)


def optimal(tau, noise):
    """Malenia and Ringleader (likewise), and the lower bound of Tyurin, Richtárik 2023."""
    return max(tau) + sum(tau) / len(tau) * noise


PREDICTED = {"sync": naive, "ia2sgd": naive, "malenia": optimal, "ringleader": optimal}
