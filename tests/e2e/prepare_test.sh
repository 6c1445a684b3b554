#!/usr/bin/env bash
# Runs tests/e2e/prepare.py: real programs of build/dev, a real Docker Engine, git and PostgreSQL.
#   tests/e2e/prepare_test.sh [REGEX]      only the cases whose titles match
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/../../deploy/images/build" --builder --builder-node22 --test-min
exec python3 "$here/prepare.py" "$@"
