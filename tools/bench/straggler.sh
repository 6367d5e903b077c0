#!/usr/bin/env bash
# The main job with one worker that is 20 times slower than the nine others, wall clock: how long DuDe-ASGD takes to the
# accuracy that synchronous SGD ends with. Each method has the best of the step sizes tried for it. Needs a build and
# tools/fetch_data.sh fashion-mnist.
#   SECONDS_EACH=120   training time of each method    SEED=1
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds_each=${SECONDS_EACH:-120}
eval_every=$(awk "BEGIN { print $seconds_each / 24 }")s
runs=runs/straggler
mkdir -p "$runs"
train() {  # METHOD LR
  build/tools/tardigrad train --model cnn --dataset fashion-mnist --method "$1" --lr "$2" \
    --workers 10 --partition dirichlet:0.1 --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.1 --seed "${SEED:-1}" \
    --time-limit "$seconds_each" --eval-every "$eval_every" --log "$runs/$1-$2.jsonl" >/dev/null 2>&1
}
train sync 0.1
train sync 0.2
train dude 0.01
build/tools/tardigrad table "$runs"/{sync-0.1,sync-0.2,dude-0.01}.jsonl
