#!/usr/bin/env bash
# Sets up what is missing, builds, gets Fashion-MNIST, and runs the main job: a convolutional network trained by ten
# workers of uneven speed (drawn from a truncated normal distribution) and uneven data (few classes each), by
# synchronous SGD, asynchronous SGD and DuDe-ASGD on the same delays, each with about the best of the step sizes tried
# (sync 0.05, 0.1, 0.2, 0.4; asgd 0.02, 0.05, 0.1; dude 0.01, 0.02, 0.03). Logs and models are left in runs/quickstart.
#   SECONDS_EACH=60   training time of each method, at least 6
set -euo pipefail
cd "$(dirname "$0")/.."
seconds_each=${SECONDS_EACH:-60}

tools/dependencies.sh build
tools/build.sh build tardigrad
data=$(tools/fetch_data.sh fashion-mnist)

runs=runs/quickstart
mkdir -p "$runs"
train() {  # METHOD LR
  echo
  echo "== $1, $seconds_each s"
  build/tools/tardigrad train --model cnn --dataset fashion-mnist --data-dir "$data" \
    --method "$1" --lr "$2" --workers 10 --partition dirichlet:0.1 \
    --compute-time truncnorm:1:5 --time-unit 0.03 --seed 1 \
    --time-limit "$seconds_each" --eval-every "$((seconds_each / 6))s" \
    --log "$runs/$1.jsonl" --save "$runs/$1.safetensors"
}
train sync 0.2
train asgd 0.05
train dude 0.03
echo
build/tools/tardigrad table "$runs"/sync.jsonl "$runs"/asgd.jsonl "$runs"/dude.jsonl
