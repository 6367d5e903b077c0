#!/usr/bin/env bash
# Sets up what is missing, builds the program, gets Fashion-MNIST, and shows what the project is for: ten workers, each
# with the images of one class, one of them 20 times slower than the others, trained by synchronous SGD, asynchronous SGD
# and DuDe-ASGD in wall time, each with about the best of the step sizes that were tried in virtual time (accuracies of
# seed 1: sync 0.1: 79.1, 0.2: 81.0, 0.4: 80.0, 0.8: 64.3; asgd 0.005: 76.3, 0.01: 78.6, 0.02: 79.3, 0.05: 81.1, where it is
# near to diverging, 0.1: 23.7; dude 0.002: 84.4, 0.005: 85.9, 0.01: 85.2, 0.02: 82.7, 0.03: 56.9 %).
# Logs and models are left in runs/quickstart. Takes build/ where that is there and up to date; else builds for this
# machine alone, its GPU if it has one, in build-quickstart/.
#   SECONDS_EACH=30   training time of each method
set -euo pipefail
cd "$(dirname "$0")/.."
seconds_each=${SECONDS_EACH:-30}
eval_every=$(awk "BEGIN { print $seconds_each / 8 }")s

# Whether the program in that folder is newer than all it is made of.
up_to_date() {
  local program=$1/tools/tardigrad
  [ -x "$program" ] && [ -z "$(find CMakeLists.txt kernels runtime data models tools -type f -newer "$program" \
    -regex '.*\.\(h\|cpp\|cuh?\|cmake\|txt\|in\|proto\|js\|css\|html\)' -print -quit)" ]
}

tools/dependencies.sh build
folder=build
if ! up_to_date "$folder"; then
  folder=build-quickstart
  # What takes the time runs in oneDNN and in kernels that are always optimised.
  options=(-DTARDIGRAD_TESTS=OFF -DTARDIGRAD_BENCHMARKS=OFF "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG"
           -DTARDIGRAD_WARNINGS_AS_ERRORS=OFF)
  if nvidia-smi -L >/dev/null 2>&1; then
    options+=(-DTARDIGRAD_CUDA=AUTO)
  else
    options+=(-DTARDIGRAD_CUDA=OFF)
  fi
  tools/build.sh "$folder" tardigrad "${options[@]}"
fi
tardigrad=$folder/tools/tardigrad
data=$(tools/fetch_data.sh fashion-mnist)

runs=runs/quickstart
mkdir -p "$runs"
train() {  # METHOD LR
  echo
  echo "== $1, $seconds_each s"
  "$tardigrad" train --model mlp --dataset fashion-mnist --data-dir "$data" \
    --method "$1" --lr "$2" --workers 10 --partition shards:1 \
    --compute-time 1,1,1,1,1,1,1,1,1,20 --time-unit 0.02 --seed 1 \
    --time-limit "$seconds_each" --eval-every "$eval_every" \
    --log "$runs/$1.jsonl" --save "$runs/$1.safetensors"
}
train sync 0.2
train asgd 0.02
train dude 0.005

logs=("$runs"/{sync,asgd,dude}.jsonl)
echo
"$tardigrad" table "${logs[@]}"
echo
"$tardigrad" table --by-class "${logs[@]}" | tee "$runs/classes.txt"

# The row of the class that worker 9 alone has: its number and name, three accuracies, and the worker.
read -r class sync asgd dude < <(awk '/worker 9 has 100 %$/ {
  name = $2; for (i = 3; i <= NF - 11; ++i) name = name "_" $i
  print name, $(NF - 10), $(NF - 8), $(NF - 6)
}' "$runs/classes.txt")
cat <<END

What is seen: worker 9 alone has the images of "${class//_/ }", and computes 20 times as slowly as the others.
  sync  classifies $sync % of them rightly. It waits for worker 9 in every round, so it made few updates.
  asgd  classifies $asgd % of them rightly. It steps along each gradient as it comes, 20 along those of any other
        class for one along theirs, and forgets them in between.
  dude  classifies $dude % of them rightly. It steps as often as asgd, but always along the mean of the newest gradients of
        all ten workers: no worker waits, and none is forgotten.
END
