#!/usr/bin/env bash
# Includes point one way: tools → models → runtime → kernels, models → data → kernels. Tests may include anything.
set -euo pipefail
source "$(dirname "$0")/sources.sh"

declare -A allowed=(
  [kernels]="kernels"
  [data]="data kernels"
  [runtime]="runtime kernels"
  [models]="models data runtime kernels"
  [tools]="tools models data runtime kernels"
)
failed=0
for folder in "${!allowed[@]}"; do
  while IFS=: read -r file line text; do
    included=${text#*\"}
    target=${included%%/*}
    if [[ " ${allowed[$folder]} " != *" $target "* ]]; then
      echo "$file:$line: $folder/ may include only: ${allowed[$folder]}; found \"${included%\"*}\""
      failed=1
    fi
  done < <(grep -rnE '^\s*#\s*include\s+"' "$folder" --include='*.h' --include='*.cpp' --include='*.cu' --include='*.cuh' || true)
done
exit $failed
