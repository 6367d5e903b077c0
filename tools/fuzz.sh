#!/usr/bin/env bash
# Builds the fuzz targets of tests/fuzz with clang and runs them one after the other, each for that many seconds
# (default 600): tools/fuzz.sh [SECONDS] [TARGET…]. Ends with a table; exit code 1 on a find, which then lies in
# build-fuzz/finds/TARGET. What an earlier run has learned (build-fuzz/corpus) is used again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=600
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for seeds in tests/fuzz/seeds/*/; do targets+=("$(basename "$seeds")"); done
fi

tools/dependencies.sh build fuzz
for target in "${targets[@]}"; do
  tools/build.sh build-fuzz "fuzz_$target" -DCMAKE_CXX_COMPILER=clang++ -DTARDIGRAD_FUZZ=ON -DTARDIGRAD_CUDA=OFF \
    -DTARDIGRAD_ONEDNN=OFF -DTARDIGRAD_BENCHMARKS=OFF
done

table=$(printf '%-16s %8s %12s %9s %6s' target seconds executions coverage finds)
status=0
for target in "${targets[@]}"; do
  corpus=build-fuzz/corpus/$target
  finds=build-fuzz/finds/$target
  log=build-fuzz/$target.log
  rm -rf "$finds"
  mkdir -p "$corpus" "$finds"
  kept=()
  for folder in tests/fuzz/{seeds,finds}/"$target"; do
    if [ -d "$folder" ]; then kept+=("$folder"); fi
  done
  echo "fuzzing $target for $seconds s"
  build-fuzz/tests/fuzz/"fuzz_$target" -max_total_time="$seconds" -rss_limit_mb=512 -malloc_limit_mb=512 -timeout=10 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$finds/" "$corpus" "${kept[@]}" >"$log" 2>&1 || status=1
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -n 1)
  count=$(find "$finds" -type f | wc -l)
  if [ "$count" -gt 0 ]; then grep -E 'ERROR|SUMMARY|runtime error|^expected ' "$log" | head -n 5; fi
  table+=$'\n'$(printf '%-16s %8s %12s %9s %6s' "$target" "$seconds" "${executions:-?}" "${coverage#cov: }" "$count")
done
echo "$table"
exit $status
