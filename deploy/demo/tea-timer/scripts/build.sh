#!/bin/sh
# Builds the mini program of one platform into $SLIPWAY_OUTPUT. Needs the packages of package-lock.json:
# the image slipway-builder-uni:1 has them, elsewhere `npm ci --ignore-scripts` brings them. No network.
set -eu
cd "$(dirname "$0")/.."
: "${SLIPWAY_PLATFORM:=weixin}" "${UNI_TARGET:=mp-weixin}" "${SLIPWAY_OUTPUT:=$PWD/dist/$SLIPWAY_PLATFORM}"
: "${SLIPWAY_VERSION:=$(node -p 'require("./package.json").version')}"
export SLIPWAY_VERSION UNI_OUTPUT_DIR="$SLIPWAY_OUTPUT" PATH="$PWD/node_modules/.bin:/node_modules/.bin:$PATH"
rm -rf "$SLIPWAY_OUTPUT"
echo "tea-timer: building for $SLIPWAY_PLATFORM ($UNI_TARGET) with node $(node --version)"
uni build -p "$UNI_TARGET"
echo "done: $(find "$SLIPWAY_OUTPUT" -type f | wc -l) files, version $SLIPWAY_VERSION"
[ -z "${SLIPWAY_RESULT:-}" ] || echo "{\"version\": \"$SLIPWAY_VERSION\"}" >"$SLIPWAY_RESULT"
