#!/usr/bin/env bash
# Runs tests/e2e/clients.py: a real farm of build/dev, called by the Connect protocol's own client.
#   tests/e2e/clients_test.sh [REGEX]      only the cases whose titles match
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec python3 "$here/clients.py" "$@"
