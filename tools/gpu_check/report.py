"""From the stages of a check and the JSON lines of its benchmarks to results.json, table.txt and log.txt."""

import json
import operator

# What is asked of one H100 or H200: (benchmark, what its lines must hold, the measure, goal).
GOALS = [
    ("server_update", {"work": "fused, launched alone", "dimension": 620362}, "over_empty_kernel", "<=", 2),
    ("server_update", {"work": "fused", "dimension": 10000000}, "share_of_copy", ">=", 0.9),
    ("server_update", {"work": "fused", "dimension": 10000000}, "naive_over_this", ">=", 1.5),
    ("server_update", {"work": "fused", "dimension": 100000000}, "share_of_copy", ">=", 0.9),
    ("server_update", {"work": "fused", "dimension": 100000000}, "naive_over_this", ">=", 1.5),
    ("turnaround", {"faster": True}, "median_us", "<=", 20),
    ("turnaround", {"faster": True}, "p99_us", "<=", 40),
    ("turnaround", {"on_device": True}, "median_us", "<=", 20),
    ("turnaround", {"on_device": True}, "p99_us", "<=", 40),
    ("workers", {"workers": 10, "batch": 32}, "over_one_worker", ">=", 3.5),
    ("start", {"model": "cnn", "plan": "kept"}, "seconds", "<=", 2),
    ("start", {"model": "mlp", "plan": "kept"}, "seconds", "<=", 1),
    ("virtual_time", {"method": "dude"}, "gradients_per_s", ">=", 500000),
    ("cnn_step", {}, "over_pytorch_eager", ">=", 1.3),
    ("cnn_step", {}, "over_pytorch_graphs", ">=", 1.3),
    ("cnn_step_compiled", {}, "over_pytorch", ">=", 1.3),
    ("resnet18_step", {}, "over_pytorch_graphs", ">=", 1.0),
]
COMPARE = {">=": operator.ge, "<=": operator.le}


def read_measurements(folder):
    lines = []
    for path in sorted(folder.glob("*.jsonl")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return lines


def judge(measurements):
    """One row for each goal and measurement that it is about."""
    rows = []
    for benchmark, conditions, measure, relation, bound in GOALS:
        for line in measurements:
            fits = line["benchmark"] == benchmark and all(line.get(key) == value for key, value in conditions.items())
            if fits and measure in line:
                which = {key: line[key] for key in line.get("case", [])}
                rows.append({"benchmark": benchmark, "case": which, "measure": measure, "value": line[measure],
                             "goal": f"{relation} {bound}", "met": COMPARE[relation](line[measure], bound)})
    return rows


def heading(machine):
    gpus = ", ".join(gpu["name"] for gpu in machine["gpus"]) or "no GPU"
    driver = "".join(f", driver {gpu['driver']}" for gpu in machine["gpus"][:1] if "driver" in gpu)
    lines = [f"tardigrad {machine['commit'][:12]}, {machine['date']}: {gpus}{driver}"]
    return lines + [", ".join(f"{name} {version}" for name, version in machine["versions"].items())]


def table(machine, stages, goals):
    lines = heading(machine) + ["", f"{'stage':<16}{'result':<9}{'s':>6}  "]
    for stage in stages:
        lines.append(f"{stage['stage']:<16}{stage['status']:<9}{stage['seconds']:>6.1f}  {stage['note']}")
        for goal in goals:
            if goal["benchmark"] == stage["stage"]:
                case = ", ".join(f"{key} {value}" for key, value in goal["case"].items())
                lines.append(f"    {case:<44}{goal['measure']:<22}{goal['value']:>10.3f}   {goal['goal']:<7} "
                             f"{'met' if goal['met'] else 'MISSED'}")
    counts = {status: sum(stage["status"] == status for stage in stages) for status in ("PASS", "FAIL", "SKIPPED")}
    met = sum(goal["met"] for goal in goals)
    return "\n".join(lines + ["", f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIPPED']} skipped; "
                              f"goals: {met} of {len(goals)} measured ones met"]) + "\n"


def write(out, machine, stages):
    """What is known so far; returns the table."""
    measurements = read_measurements(out / "logs")
    goals = judge(measurements)
    results = {**machine, "stages": stages, "goals": goals, "measurements": measurements}
    (out / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    text = table(machine, stages, goals)
    (out / "table.txt").write_text(text)
    (out / "log.txt").write_text("".join(f"==> {path.name}\n{path.read_text(errors='replace')}\n"
                                         for path in sorted((out / "logs").glob("*.log"))))
    return text
