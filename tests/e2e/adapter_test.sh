#!/usr/bin/env bash
# The WeChat publish adapter with the real miniprogram-ci, confined as the farm confines it, against
# the stand-in cloud. One line "ok"/"not ok" per claim, at the end "N passed, M failed".
#
#   tests/e2e/adapter_test.sh            needs a Docker Engine; makes the images when they are missing
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
# shellcheck source=../../deploy/lib/engine.sh
. "$repository/deploy/lib/engine.sh"

app=wx5e1f0c2d3b4a6978
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; shift; (($# == 0)) || printf '  %s\n' "$@"; }

"$repository/deploy/images/build" --builder --publisher
work=$(mktemp -d "${TMPDIR:-/tmp}/slipway-adapter.XXXXXX")
network=slipway-test-$$
container=slipway-adapter-test-$$
cleanup() {
  engine_docker rm -f "$container" >/dev/null 2>&1 || true
  "$repository/deploy/demo/standin/stop" "$work/cloud" || true
  engine_docker network rm "$network" >/dev/null 2>&1 || true
  as_root rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# The farm's own kind of network: containers reach the host's gateway address, not each other.
engine_docker network create --label io.slipway.role=test --opt com.docker.network.bridge.enable_icc=false "$network" >/dev/null
gateway=$(engine_docker network inspect --format '{{(index .IPAM.Config 0).Gateway}}' "$network")

mkdir -p "$work/keys" "$work/product"
chmod 0755 "$work"
openssl genrsa -traditional -out "$work/keys/right.key" 2048 2>/dev/null
openssl genrsa -traditional -out "$work/keys/wrong.key" 2048 2>/dev/null
openssl pkey -in "$work/keys/right.key" -pubout -out "$work/keys/right.pub" 2>/dev/null
echo 'not a key' >"$work/keys/unreadable.key"
chmod 0444 "$work"/keys/*.key
"$repository/deploy/demo/standin/start" "$work/cloud" --listen "$gateway" --app "$app=$work/keys/right.pub" >"$work/standin"
touch "$work/cloud/requests.jsonl" "$work/cloud/releases.jsonl"
proxy=$(sed -n 's/^proxy //p' "$work/standin")
ca=$(sed -n 's/^ca //p' "$work/standin")

# The products, each built by its own script or altered afterwards.
engine_docker run --rm --network none --volume "$repository/deploy/demo/pocket-shop:/source:ro" --volume "$work/product:/product" \
  --env SLIPWAY_OUTPUT=/product/good --env SLIPWAY_VERSION=1.4.2 --env SLIPWAY_APP_ID=$app \
  slipway-builder:1 sh -c 'cp -r /source /tmp/shop && sh /tmp/shop/scripts/build.sh && chmod -R a+rX /product' >/dev/null
as_root chown -R "$(id -u):$(id -g)" "$work/product"
for variant in broken other-app no-app page-missing big less swc; do cp -r "$work/product/good" "$work/product/$variant"; done
printf 'const a = 1;\nfunction broken( {\n' >"$work/product/broken/lib/money.js"
sed -i "s/$app/wx0000000000000000/" "$work/product/other-app/project.config.json"
rm "$work/product/no-app/app.json"
rm "$work/product/page-missing/pages/about/about.wxml"
# A stylesheet whose plugin would hand the key out.
sed -i 's/"setting": {/&"useCompilerPlugins": ["sass", "less"],/' "$work/product/less/project.config.json"
sed -i 's/"setting": {/&"swcSetting": {"rc": {"jsc": {}}},/' "$work/product/swc/project.config.json"
mv "$work/product/less/pages/home/home.wxss" "$work/product/less/pages/home/home.less"
sed -i '1i @plugin "../../thief.js";' "$work/product/less/pages/home/home.less"
echo 'require("fs").copyFileSync("/secret/upload.key", "/out/stolen");' >"$work/product/less/thief.js"
# 2.5 MB of text that minifying does not shrink.
{ printf 'module.exports = "'; head -c 1900000 /dev/urandom | base64 -w 0; echo '";'; } >"$work/product/big/lib/ballast.js"
sed -i '1i require("./lib/ballast.js");' "$work/product/big/app.js"

# publish NAME KEY PRODUCT FAULTS_JSON REQUEST_JSON: one run of the adapter; leaves $out/result.json,
# $out/output, $out/exit, and in $out/requests what the stand-in saw of it.
publish() {
  local key=$2 product=$3 faults=$4 extra=$5 before
  out=$work/runs/$1
  mkdir -p "$out/in" "$out/out"
  chmod 0777 "$out/out"
  printf '%s' "$faults" >"$work/cloud/apps/$app.json"
  python3 - "$out/in/request.json" "$extra" <<PYTHON
import json, sys
request = {"platform": "weixin", "appId": "$app", "projectDir": "/product", "version": "1.4.2",
           "description": "adapter test 适配器测试", "mode": "upload", "robot": 3, "proxy": "$proxy", "caFile": "/in/ca.pem",
           "credentialFile": "/secret/upload.key", "outDir": "/out", "useProjectConfig": True,
           "settings": {}, "deadlineSeconds": 120}
request.update(json.loads(sys.argv[2]))
json.dump(request, open(sys.argv[1], "w"))
PYTHON
  cp "$ca" "$out/in/ca.pem"
  chmod -R a+rX "$out/in"
  before=$(wc -l <"$work/cloud/requests.jsonl")
  # The key comes to lie in a tmpfs, readable by the step's user only, as the farm puts it there.
  local started status=0
  started=$(date +%s%3N)
  engine_docker run --rm --name "$container" --label io.slipway.role=test --network "$network" \
    --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --read-only --memory 1g --memory-swap 1g --pids-limit 256 \
    --tmpfs /tmp --tmpfs /secret:uid=1000,gid=1000,mode=0700 --workdir /tmp --env TMPDIR=/tmp --env HOME=/tmp \
    --env SLIPWAY_PUBLISH_REQUEST=/in/request.json \
    --volume "$work/product/$product:/product:ro" --volume "$out/in:/in:ro" --volume "$out/out:/out" --volume "$work/keys/$key.key:/key:ro" \
    slipway-publisher-weixin:1 \
    /bin/sh -c '(umask 377; cat /key >/secret/upload.key); exec node /opt/slipway/adapter/publish.cjs' >"$out/output" 2>&1 || status=$?
  milliseconds=$(($(date +%s%3N) - started))
  echo "$status" >"$out/exit"
  tail -n "+$((before + 1))" "$work/cloud/requests.jsonl" >"$out/requests"
}

# expect NAME PYTHON_EXPRESSION: over r (result.json), log (requests), exit (status), output (text).
expect() {
  local answer
  if answer=$(python3 - "$out" "$2" <<'PYTHON' 2>&1
import json, sys
directory, claim = sys.argv[1:]
r = json.load(open(directory + "/out/result.json"))
log = [json.loads(line) for line in open(directory + "/requests")]
uploads = [entry for entry in log if entry.get("path") in ("/wxa/ci/upload", "/wxa/ci/testSourceURL")]
exit = int(open(directory + "/exit").read())
output = open(directory + "/output").read()
if not eval(claim):
    print("claim:", claim)
    print("result:", json.dumps(r, ensure_ascii=False))
    print("requests:", json.dumps(log, ensure_ascii=False)[:1500])
    print("output:", output[-1500:])
    sys.exit(1)
PYTHON
  ); then
    ok "$1"
  else
    not_ok "$1" "$answer"
  fi
}

# What holds after every run, whatever came of it.
expect_always() {
  if grep -rlE 'PRIVATE KEY|[A-Za-z0-9+/]{60,}' "$out/output" "$out/out/result.json" >/dev/null; then
    not_ok "$1: no key material in log or result"
  fi
  if [[ -e $out/out/result.json.part ]]; then not_ok "$1: result.json is written whole"; fi
}

publish success right good '{}' '{}'
success_ms=$milliseconds
expect "a good product with the right key is uploaded" \
  'r["ok"] and exit == 0 and r["class"] is None and r["stage"] == "upload" and r["link"].startswith("https://open.weixin.qq.com/") and r["version"] == "1.4.2"'
expect "the platform got the version and the files" \
  'len(uploads) == 1 and uploads[0]["version"] == "1.4.2" and uploads[0]["robot"] == "3" and any(f.endswith("/app.json") or f == "app.json" for f in uploads[0]["files"]) and any("pages/home/home" in f for f in uploads[0]["files"])'
expect "the result says what the platform counted" 'any(s["name"] == "__FULL__" and s["size"] > 1000 for s in r["sizes"]) and r["uploadBytes"] == uploads[0]["bytes"]'
expect "progress is short and for people" 'len(output.splitlines()) <= 6 and "uploading" in output and "credential proved" in output'
expect "it announces its stages" 'open(directory + "/out/progress").read() == "prove\nupload\n"'
expect_always success

publish options right good '{}' '{"useProjectConfig": false, "settings": {"es6": true, "minify_wxml": true}, "proveTimeoutSeconds": 40, "robot": 7}'
expect "options of slipway.yaml reach the client" 'r["ok"] and uploads[0]["robot"] == "7"'

publish probe right good '{}' '{"operation": "probe", "projectDir": null}'
expect "a probe proves the key, sends nothing and says who can tell" \
  'r["ok"] and exit == 0 and r["probe"]["verdict"] == "cannot_tell" and "1.4.2" in r["probe"]["remedy"] and r["probe"]["remedyZh"] and len(log) == 2 and not uploads'
expect_always probe
publish probe-refused wrong good '{}' '{"operation": "probe"}'
expect "a probe with a wrong key has no answer" 'not r["ok"] and exit == 1 and r["class"] == "credential" and "probe" not in r and not uploads'

publish preview right good '{}' '{"mode": "preview"}'
expect "a preview brings its code as an image" 'r["ok"] and r["qrFile"] == "preview-qr.jpg" and r["stage"] == "preview"'
if [[ $(zbarimg -q --raw "$out/out/preview-qr.jpg" 2>/dev/null) == https://example.invalid/preview ]]; then
  ok "the preview's code can be decoded"
else
  not_ok "the preview's code can be decoded"
fi

# name | key | product | faults at the platform | request fields | claim
while IFS='|' read -r name key product faults request claim; do
  [[ -n $name ]] || continue
  trimmed() { sed 's/^ *//;s/ *$//' <<<"$1"; }
  name=$(trimmed "$name")
  publish "${name//[^a-zA-Z0-9]/-}" "$(trimmed "$key")" "$(trimmed "$product")" "$(trimmed "$faults")" "$(trimmed "$request")"
  expect "$name" "$(trimmed "$claim") and not r['ok'] and exit == 1 and r['reason'] and r['remedy'] and r['remedyZh']"
  expect_always "$name"
done <<TABLE
a wrong key ends at the proof, not one byte of the product sent | wrong | good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and r["apiCode"] == -10007 and not uploads and sum(e.get("bytes", 0) for e in log) < 2000 and r["uploadStarted"] is False
an unreadable key is a credential failure without any request | unreadable | good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and not log
a refused address keeps the platform's words | right | good | {"allowIps": ["203.0.113.9"]} | {} | r["class"] == "credential" and r["apiCode"] == -10008 and r["reason"].startswith("invalid ip: ") and not uploads and "allow-list" in r["remedy"]
an application the platform does not know | right | good | {} | {"appId": "wx5e1f0c2d3b4a6979"} | r["class"] == "build" and r["stage"] == "check"
a package above the limit is refused in the platform's words | right | big | {} | {} | r["class"] == "platform_refused" and r["stage"] == "upload" and r["apiInnerCode"] == 80051 and "exceed max limit 2048KB" in r["reason"] and len(uploads) == 1
a refusal of the content | right | good | {"fault": "refuse"} | {} | r["class"] == "platform_refused" and r["apiInnerCode"] == 80082 and "no permission to use this plugin" in r["reason"]
a ticket refused at the upload is about the credential | right | good | {"fault": "ticket"} | {} | r["class"] == "credential" and r["stage"] == "upload" and r["apiInnerCode"] == -80002
silence after the upload began ends at the deadline, unknown | right | good | {"fault": "hang"} | {"deadlineSeconds": 25} | r["class"] == "publish_unknown" and r["uploadStarted"] and "25 s" in r["reason"] and len(uploads) == 1
a connection reset after the upload began is unknown | right | good | {"fault": "reset"} | {} | r["class"] == "publish_unknown" and not r["retryable"] and len(uploads) == 1
a gateway's HTML answer after the upload began is unknown | right | good | {"fault": "html502"} | {} | r["class"] == "publish_unknown" and "502" in r["reason"] and len(uploads) == 1
an answer that is not JSON after the upload began is unknown | right | good | {"fault": "notjson"} | {} | r["class"] == "publish_unknown" and len(uploads) == 1
a preview without a code is not a success | right | good | {"fault": "noqr"} | {"mode": "preview"} | r["class"] == "network" and r["stage"] == "preview" and r["qrFile"] is None
silence before anything was sent is a network failure | right | good | {"proveFault": "hang"} | {"proveTimeoutSeconds": 2} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and not uploads
a gateway's HTML answer before anything was sent is a network failure | right | good | {"proveFault": "html502"} | {} | r["class"] == "network" and r["retryable"] and "502" in r["reason"] and not uploads
broken JavaScript names file and line | right | broken | {} | {} | r["class"] == "build" and "lib/money.js" in r["reason"] and "2" in r["reason"] and not uploads
a missing page names the page | right | page-missing | {} | {} | r["class"] == "build" and "pages/about/about" in r["reason"] and not uploads
a product of another application is not sent | right | other-app | {} | {} | r["class"] == "build" and r["stage"] == "check" and "wx0000000000000000" in r["reason"] and not log
a product without app.json is not sent | right | no-app | {} | {} | r["class"] == "build" and r["stage"] == "check" and "app.json" in r["reason"] and not log
a product whose compiler would run its code is not compiled | right | less | {} | {} | r["class"] == "build" and r["stage"] == "check" and "less" in r["reason"] and not log and not __import__("os").path.exists(directory + "/out/stolen")
a product whose SWC settings could load code is not compiled | right | swc | {} | {} | r["class"] == "build" and r["stage"] == "check" and "swcSetting" in r["reason"] and not log
a version with blanks is not sent | right | good | {} | {"version": "1.0 beta"} | r["class"] == "build" and r["stage"] == "check" and not log
a proxy that is down is a network failure | right | good | {} | {"proxy": "http://$gateway:9"} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and "proxy" in r["reason"] and not log
a certificate nobody vouches for is a network failure | right | good | {} | {"caFile": null} | r["class"] == "network" and r["stage"] == "prove" and "certificate" in r["reason"] and "CA" in r["remedy"] and not uploads
a malformed request is the farm's fault | right | good | {} | {"mode": "sell"} | r["class"] == "infrastructure" and r["stage"] == "check" and "mode" in r["reason"] and not log
an option out of range is named as in slipway.yaml | right | good | {} | {"proveTimeoutSeconds": 999} | r["class"] == "build" and r["stage"] == "check" and "prove_timeout_seconds" in r["reason"] and not log
an option nobody knows is refused with those there are | right | good | {} | {"settings": {"minify_wxlm": true}} | r["class"] == "build" and "minify_wxlm" in r["reason"] and "minify_wxml" in r["reason"] and not log
a setting that would run code next to the key is no option | right | good | {} | {"settings": {"use_compiler_plugins": "less"}} | r["class"] == "build" and "use_compiler_plugins" in r["reason"] and not log
TABLE

# A cancelled publish: the answer depends on whether the upload had begun.
canceled() {
  local name=$1 faults=$2 until=$3 claim=$4
  ( wait_until 60 grep -q "$until" "$work/runs/$name/output" && engine_docker kill --signal TERM "$container" >/dev/null ) &
  publish "$name" right good "$faults" '{}'
  wait
  expect "$name" "$claim and not r['ok'] and exit == 1"
}
canceled "a publish stopped before the upload began is certainly not published" '{}' 'compiling' \
  'r["class"] == "infrastructure" and "SIGTERM" in r["reason"] and not uploads'
canceled "a publish stopped after the upload began is unknown" '{"fault": "hang"}' 'uploading' \
  'r["class"] == "publish_unknown" and "SIGTERM" in r["reason"] and len(uploads) == 1'

accepted=$(wc -l <"$work/cloud/releases.jsonl")
if [[ $accepted -eq 4 ]]; then # two uploads, preview, and the preview whose code was withheld
  ok "the platform accepted exactly what the adapter published"
else
  not_ok "the platform accepted exactly what the adapter published" "$(cat "$work/cloud/releases.jsonl")"
fi

echo "one upload took $success_ms ms"
echo "$passed passed, $failed failed"
((failed == 0))
