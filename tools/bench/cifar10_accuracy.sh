#!/usr/bin/env bash
# Accuracy on CIFAR-10 and the time it takes: the cnn with --augment, ten workers, sync, asgd and dude, each with three
# seeds; means, and the range over the seeds. Needs a build and CIFAR-10: where tools/fetch_data.sh puts it, or the pieces
# of tools/gpu_check/pack_cifar10.sh in build-gpu-cifar10/, or the internet. Exit code 77: neither is there.
#   tools/bench/cifar10_accuracy.sh [--json FILE] [tardigrad train flag…]     e.g. --device cuda --precision bf16
# From the environment: BUILD=build EPOCHS=20 SEEDS=3 METHODS="sync:0.1 asgd:0.02 dude:0.02" (each with its step size,
# which decays by half a cosine).
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
epochs=${EPOCHS:-20}
seeds=${SEEDS:-3}
read -ra methods <<<"${METHODS:-sync:0.1 asgd:0.02 dude:0.02}"
json=
if [ "${1:-}" = --json ]; then
  json=${2:?"--json: a file is missing"}
  shift 2
fi
die() { echo "cifar10_accuracy.sh: $*" >&2; exit 2; }
[ -x "$build/tools/tardigrad" ] || die "no $build/tools/tardigrad; BUILD says where to look"

# join_pieces FOLDER: leaves the files of the data set there.
join_pieces() {
  mkdir -p "$1"
  python3 - "$1" build-gpu-cifar10/cifar10.xz.* <<'PYTHON'
import lzma, pathlib, sys
folder, *pieces = map(pathlib.Path, sys.argv[1:])
count = int(pieces[0].name.rsplit("-", 1)[1])
if len(pieces) != count:
    sys.exit(f"{len(pieces)} of the {count} pieces of CIFAR-10 are here")
images = lzma.decompress(b"".join(piece.read_bytes() for piece in sorted(pieces)))
names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
size = len(images) // len(names)
for i, name in enumerate(names):
    (folder / name).write_bytes(images[i * size:(i + 1) * size])
PYTHON
}

if compgen -G 'build-gpu-cifar10/cifar10.xz.*' >/dev/null; then
  data="build-gpu-cifar10/cifar10"
  [ -e "$data/test_batch.bin" ] || join_pieces "$data" || exit 77
  data=$(tools/fetch_data.sh cifar10 "$data")  # which checks them
else
  data=$(tools/fetch_data.sh cifar10) || exit 77
fi

logs=$build/cifar10
mkdir -p "$logs"
for method in "${methods[@]}"; do
  for ((seed = 1; seed <= seeds; ++seed)); do
    echo "cifar10_accuracy.sh: $method, seed $seed" >&2
    run=$logs/${method%:*}-$seed
    "$build/tools/tardigrad" train --model cnn --dataset cifar10 --data-dir "$data" --augment --workers 10 \
      --method "${method%:*}" --lr "${method#*:}" --lr-schedule cosine --epochs "$epochs" --seed "$seed" "$@" \
      --log "$run.jsonl" >"$run.txt" 2>&1 || die "$(tail -n 1 "$run.txt")"
  done
done
python3 tools/bench/cifar10_accuracy.py "$logs" "$seeds" "$json" "${methods[@]}"
