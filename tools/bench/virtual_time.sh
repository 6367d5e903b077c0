#!/usr/bin/env bash
# Gradients a second in virtual time, on the benchmark of the Ringleader paper: MNIST, mlp 784-128-10, 100 workers with few
# classes each, batches of 4, compute times 1, 2, …, 100 and noise. Methods in turn, five times; medians. The simulator its
# researchers use does 2,460 (ringleader), 2,920 (malenia) and 3,760 (ia2sgd) on one core (of another machine).
# With RIVAL, another build of the program, that runs in turn with this one.
# Usage: tools/bench/virtual_time.sh [THREADS [RIVAL]]
set -euo pipefail
cd "$(dirname "$0")/../.."
threads=${1:-$(nproc)}
programs=(build/tools/tardigrad ${2:+"$2"})
tools/fetch_data.sh mnist
log=$(mktemp)
rates=$(mktemp)
trap 'rm -f "$log" "$rates"' EXIT
for _ in 1 2 3 4 5; do
  for method in ringleader malenia ia2sgd dude; do
    for program in "${programs[@]}"; do
      "$program" train --model mlp --dataset mnist --method "$method" --lr 0.002 --workers 100 \
        --partition dirichlet:0.1 --batch-size 4 --compute-time linear:1:1+halfnormal --clock virtual \
        --device "cpu:$threads" --time-limit 10000 --log "$log" >/dev/null 2>&1
      python3 - "$log" "$method" "$program" >>"$rates" <<'PYTHON'
import json, sys
summary = json.loads(open(sys.argv[1]).readlines()[-1])
print(sys.argv[2], summary["gradients"] / summary["train_time_s"], sys.argv[3])
PYTHON
    done
  done
done
python3 - "$rates" "$threads" "${programs[@]}" <<'PYTHON'
import statistics, sys
simulator = {"ringleader": 2460, "malenia": 2920, "ia2sgd": 3760}
programs = sys.argv[3:]
rates = {}
for line in open(sys.argv[1]):
    method, rate, program = line.split(maxsplit=2)
    rates.setdefault(method, {}).setdefault(program.strip(), []).append(float(rate))
print(f"gradients/s on {sys.argv[2]} threads, medians of 5")
for method, of_method in rates.items():
    medians = [statistics.median(of_method[program]) for program in programs]
    text = f"{method:>12} {medians[0]:9,.0f}"
    if method in simulator:
        text += f"  {medians[0] / simulator[method]:5.1f} × the researchers' simulator"
    if len(medians) > 1:
        text += f"  {medians[0] / medians[1]:5.2f} × the {medians[1]:,.0f} of {programs[1]}"
    print(text)
PYTHON
