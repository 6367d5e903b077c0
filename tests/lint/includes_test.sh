#!/usr/bin/env bash
# Includes point one way (includes.py has the list).
command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
exec python3 "$(dirname "$0")/includes.py"
