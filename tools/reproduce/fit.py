"""Measured times against predicted ones."""

import itertools
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
    """Malenia and Ringleader (likewise), rescaled asynchronous SGD (Mahran et al. 2026), and the lower bound of Tyurin,
    Richtárik 2023."""
    return max(tau) + sum(tau) / len(tau) * noise


def first(tau, noise, m):
    """Synchronous rounds of the m that come first, data equal (Begunov, Tyurin 2026)."""
    return sorted(tau)[m - 1] * (1 + noise * len(tau) / m)


def best_m(tau, noise):
    """How many workers such rounds best have."""
    return min(range(1, len(tau) + 1), key=lambda m: first(tau, noise, m))


def first_best(tau, noise):
    return first(tau, noise, best_m(tau, noise))


def rennala(tau, noise):
    """Rennala, and the lower bound for equal data (Tyurin, Richtárik 2023): the m fastest as one, the best m."""
    rates = itertools.accumulate(1 / time for time in sorted(tau))
    return min(m / rate * (1 + noise * len(tau) / m) for m, rate in enumerate(rates, 1))


FORMULAS = {naive: "τ_n (1 + σ²/(nε))", optimal: "τ_n + τ_avg σ²/(nε)", first_best: "min_m τ_m (1 + σ²/(mε))",
            rennala: "min_m (mean of 1/τ_i, i ≤ m)⁻¹ (1 + σ²/(mε))"}
PREDICTED = {"sync": naive, "ia2sgd": naive, "malenia": optimal, "ringleader": optimal, "asgd-rescaled": optimal,
             "msync": first_best, "rennala": rennala}
