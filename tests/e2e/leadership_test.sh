#!/usr/bin/env bash
# Runs tests/e2e/leadership.py: real controllers of build/dev on one PostgreSQL.
#   tests/e2e/leadership_test.sh [REGEX]      only the cases whose titles match
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec python3 "$here/leadership.py" "$@"
