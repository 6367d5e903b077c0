"""Figures of a measure over time: for each setting and method, a search of the step size, then whole runs."""

import math
import statistics

from search import WORST, at_edge, tail_mean, time_to, walk


def search_score(form, log):
    """Less is better: the chosen measure late in the search. A run whose f did not come down to `sane_objective` has
    not learnt, however small its gradient is (all ReLUs of a network may have died)."""
    if log.diverged:
        return WORST
    final_objective = tail_mean(log, "objective")
    if final_objective > form.get("sane_objective", math.inf):
        return (math.inf, final_objective)
    return (tail_mean(log, form["search_by"]), final_objective)


class Curve:
    """The runs of a method in a setting with its best step size, one for each seed."""

    def __init__(self, method, grid, lr, scores, logs):
        self.method = method
        self.lr = lr
        self.edge = at_edge(grid, lr)
        self.scores = scores
        self.logs = logs

    def whole(self):
        return [log for log in self.logs if not log.diverged]

    def times_to(self, measure, target):
        return [math.inf if log.diverged else time_to(log, measure, target) for log in self.logs]

    def finals(self, measure):
        """For each seed the mean of the last three evaluations: single ones jump."""
        return [statistics.mean(log.series(measure)[1][-3:]) for log in self.whole()]


def run_options(form, setting, method, lr, seed, time_limit):
    of_method = [table.get("method_options", {}).get(method, {}) for table in (form, setting)]
    return {**form["options"], **setting["options"], **of_method[0], **of_method[1], "method": method, "lr": lr, "seed": seed, "time-limit": time_limit,
            "eval-every": f"{setting['time-limit'] / form['evaluations']:g}s"}


def make_curve(runner, form, setting, method, searched):
    """A search with the first seed and a part of the time, or the step size found in another setting (`searched`, a
    future), then all seeds for the whole time."""
    grid = form["step_sizes"].get(method, form["step_sizes"]["default"])
    seeds = setting["seeds"][:form["seeds"]]
    shares = form["search_share"]
    search_share = shares.get(method, setting.get("search_share", shares["default"]))

    def run(lr, seed, share):
        time_limit = round(setting["time-limit"] * share, 6)
        return runner.train(f"{form['name']}/{setting['name']}/{method}-{lr:g}-seed{seed}-t{time_limit:g}",
                            run_options(form, setting, method, lr, seed, time_limit))

    if searched:
        lr, scores = searched.result().lr, {}
    else:
        start = form.get("start", {}).get(method, grid[len(grid) // 2])
        lr, scores = walk(grid, start, lambda lr: search_score(form, run(lr, seeds[0], search_share)))
    return Curve(method, grid, lr, scores, [run(lr, seed, 1) for seed in seeds])


def reproduce(runner, form, pool):
    """{setting's name: [curves]}, all settings and methods side by side. A setting with `step_sizes_of` comes after
    the one it names."""
    futures = {}
    for setting in form["setting"]:
        for method in form["methods"]:
            # The pool takes tasks in this order, so what one waits for is done or under way.
            searched = futures.get((setting.get("step_sizes_of"), method))
            futures[setting["name"], method] = pool.submit(make_curve, runner, form, setting, method, searched)
    return {setting["name"]: [futures[setting["name"], method].result() for method in form["methods"]]
            for setting in form["setting"]}


def show_spread(values):
    """The median over the seeds, with the quartiles, or with the extremes of less than four; what is not finite was not
    reached."""
    def show(value):
        return f"{value:.3g}" if abs(value) < 100 else "–" if math.isinf(value) else f"{value:g}"

    if not values:
        return "–"
    ordered = sorted(values)
    quarter = (len(ordered) - 1) // 4 if len(ordered) >= 4 else 0
    band = f" [{show(ordered[quarter])}, {show(ordered[-1 - quarter])}]" if len(ordered) > 1 else ""
    return show(statistics.median_high(ordered)) + band


def show_target(measure, target):
    return {"accuracy": f"accuracy {target:.0%}", "worst_class": f"{target:.0%} of every class", "objective": f"f ≤ {target:g}",
            "gradient_norm_sq": f"‖∇f‖² ≤ {target:g}"}[measure]


def verdict(form, curves):
    """Whether the first method of `best` is the first of them at each target, by the median over the seeds."""
    ours, *others = [curve for name in form["best"] for curve in curves if curve.method == name]
    said = []
    for measure, targets in form["targets"].items():
        for target in targets:
            time = statistics.median_high(ours.times_to(measure, target))
            rivals = {curve.method: statistics.median_high(curve.times_to(measure, target)) for curve in others}
            earliest = min(rivals, key=rivals.get)
            if math.isinf(min(time, rivals[earliest])):
                result = "none gets there"
            elif time < rivals[earliest]:
                result = "first"
            else:
                result = f"{'with' if time == rivals[earliest] else 'after'} {earliest}"
            said.append(f"{show_target(measure, target)}: {result}")
    return f"`{ours.method}` among {', '.join(form['best'])}: " + "; ".join(said) + "."


def tables(form, curves):
    """Markdown: a table for each setting."""
    lines = []
    for setting in form["setting"]:
        targets = [(measure, target) for measure, values in form["targets"].items() for target in values]
        finals = form["measures"]
        tuned = f"; step sizes found in {setting['step_sizes_of']}" if "step_sizes_of" in setting else ""
        lines += ["", f"### {setting['title']}", "",
                  f"Seeds {', '.join(map(str, setting['seeds'][:form['seeds']]))}; "
                  f"{setting['time-limit']:g} units of time{tuned}.", "",
                  "| method | step size | " + " | ".join(f"time to {show_target(*t)}" for t in targets) + " | " +
                  " | ".join(f"{m} at the end" for m in finals) + " | gradients | updates |",
                  "|---" * (4 + len(targets) + len(finals)) + "|"]
        for curve in curves[setting["name"]]:
            summaries = [log.summary for log in curve.whole()]
            count = lambda key: f"{statistics.median([s[key] for s in summaries]):.0f}" if summaries else "–"
            cells = [f"`{curve.method}`", f"{curve.lr:g}" + (" (edge of the grid)" if curve.edge else "")]
            cells += [show_spread(curve.times_to(*target)) for target in targets]
            cells += [show_spread(curve.finals(measure)) for measure in finals]
            lines.append("| " + " | ".join([*cells, count("gradients"), count("updates")]) + " |")
        lines += ["", verdict(form, curves[setting["name"]])]
        if form.get("classes"):
            lines += ["", *class_table(curves[setting["name"]])]
    return lines


def class_table(curves):
    """Accuracies of the classes at the end: by worker where each worker has a class, and has it alone, else the worst
    first. Medians over the seeds of the mean of the last three evaluations, as Curve.finals() takes it."""
    by_worker = all(one["share"] == 1 for curve in curves for log in curve.logs for one in log.classes)
    count = len(curves[0].logs[0].classes)
    heads = [f"worker {i}" for i in range(count)] if by_worker else ["worst", *map(str, range(2, count)), "best"]
    yield f"Accuracy of the class of each worker:" if by_worker else "Accuracy of the classes, the worst first:"
    yield ""
    yield "| method | " + " | ".join(heads) + " |"
    yield "|---" * (1 + count) + "|"
    for curve in curves:
        columns = zip(*(classes_at_the_end(log, by_worker) for log in curve.whole()))
        yield f"| `{curve.method}` | " + " | ".join(f"{statistics.median(column):.0%}" for column in columns) + " |"


def classes_at_the_end(log, by_worker):
    accuracies = [statistics.mean(values) for values in zip(*(record["class_accuracy"] for record in log.evals[-3:]))]
    if not by_worker:
        return sorted(accuracies)
    return [accuracy for _, accuracy in sorted(zip((one["worker"] for one in log.classes), accuracies))]
