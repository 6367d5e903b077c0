#!/usr/bin/env bash
# Every source is laid out as .clang-format says. Mend with: clang-format -i FILE
set -euo pipefail
source "$(dirname "$0")/sources.sh"
formatter=$(command -v clang-format-14 || command -v clang-format) || { echo "skipped: no clang-format"; exit 77; }
sources cpp h cu cuh | xargs "$formatter" --dry-run --Werror
