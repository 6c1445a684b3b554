# shellcheck shell=bash
# What the tests of the publish adapters share: a stand-in cloud, an adapter's image run as the farm runs
# it, and claims about what came of it. One line "ok"/"not ok" per claim.
#
# The test sets, before it sources this file: platform (weixin, alipay, …), app (its app id), sends (a
# regular expression of the addresses that take the product), request (JSON: the request's fields beside
# those of every platform).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
# shellcheck source=../../deploy/lib/engine.sh
. "$repository/deploy/lib/engine.sh"

: "${platform:?}" "${app:?}" "${sends:?}"
request=${request:-{\}}
image=slipway-publisher-$platform:1
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok - $1"; }
not_ok() { failed=$((failed + 1)); echo "not ok - $1"; shift; (($# == 0)) || printf '  %s\n' "$@"; }

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

# start_cloud ARGUMENT...: of deploy/demo/standin/start; leaves $proxy, $ca.
start_cloud() {
  chmod 0444 "$work"/keys/*
  "$repository/deploy/demo/standin/start" "$work/cloud" --listen "$gateway" "$@" >"$work/standin"
  touch "$work/cloud/requests.jsonl" "$work/cloud/releases.jsonl"
  proxy=$(sed -n 's/^proxy //p' "$work/standin")
  ca=$(sed -n 's/^ca //p' "$work/standin")
}

# How the farm confines an adapter.
confined=(--label io.slipway.role=test --network "$network" --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges --read-only
  --memory 1g --memory-swap 1g --pids-limit 256 --tmpfs /tmp --tmpfs "/secret:uid=1000,gid=1000,mode=0700"
  --workdir /tmp --env TMPDIR=/tmp --env HOME=/tmp)
# Where an adapter finds the product, what it is given and what it leaves.
place_product() { echo /product; }
place_in() { echo /in; }
place_out() { echo /out; }
# run_adapter KEY PRODUCT: a container for this run alone.
run_adapter() {
  # The key comes to lie in a tmpfs, readable by the step's user only, as the farm puts it there.
  engine_docker run --rm --name "$container" "${confined[@]}" --env SLIPWAY_PUBLISH_REQUEST=/in/request.json \
    --volume "$work/product/$2:/product:ro" --volume "$out/in:/in:ro" --volume "$out/out:/out" --volume "$work/keys/$1.key:/key:ro" \
    "$image" \
    /bin/sh -c '(umask 377; cat /key >/secret/upload.key); exec node /opt/slipway/adapter/publish.cjs'
}

# publish NAME KEY PRODUCT FAULTS_JSON REQUEST_JSON: one run of the adapter; leaves $out/result.json,
# $out/output, $out/exit, and in $out/requests what the stand-in saw of it.
publish() {
  local name=$1 key=$2 product=$3 faults=$4 extra=$5 before
  out=$work/runs/$name
  mkdir -p "$out/in" "$out/out"
  chmod 0777 "$out/out"
  printf '%s' "$faults" >"$work/cloud/apps/$app.json"
  python3 - "$out/in/request.json" "$request" "$extra" <<PYTHON
import json, sys
request = {"contractVersion": 1, "platform": "$platform", "appId": "$app", "projectDir": "$(place_product "$product")", "version": "1.4.2",
           "description": "adapter test 适配器测试", "mode": "upload", "proxy": "$proxy", "caFile": "$(place_in "$name")/ca.pem",
           "credentialFile": "/secret/upload.key", "outDir": "$(place_out "$name")", "deadlineSeconds": 120}
for fields in sys.argv[2:]:
    request.update(json.loads(fields))
json.dump({k: v for k, v in request.items() if v != "(absent)"}, open(sys.argv[1], "w"))
PYTHON
  cp "$ca" "$out/in/ca.pem"
  chmod -R a+rX "$out/in"
  before=$(wc -l <"$work/cloud/requests.jsonl")
  local started status=0
  started=$(date +%s%3N)
  run_adapter "$key" "$product" >"$out/output" 2>&1 || status=$?
  # shellcheck disable=SC2034  # for the test that sources this
  milliseconds=$(($(date +%s%3N) - started))
  echo "$status" >"$out/exit"
  tail -n "+$((before + 1))" "$work/cloud/requests.jsonl" >"$out/requests"
}

# expect NAME PYTHON_EXPRESSION: over r (result.json), log (requests), uploads (those that carried the product), exit (status), output (text).
expect() {
  local answer
  if answer=$(python3 - "$out" "$sends" "$2" <<'PYTHON' 2>&1
import json, re, sys
directory, sends, claim = sys.argv[1:]
r = json.load(open(directory + "/out/result.json"))
log = [json.loads(line) for line in open(directory + "/requests")]
uploads = [entry for entry in log if re.search(sends, entry.get("path", ""))]
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

# expect_failures: runs what standard input lists and wants each to fail as its claim says:
#   name | key | product | faults at the platform | request fields | claim
expect_failures() {
  local name key product faults request_fields claim
  while IFS='|' read -r name key product faults request_fields claim; do
    [[ -n $name ]] || continue
    trimmed() { sed 's/^ *//;s/ *$//' <<<"$1"; }
    name=$(trimmed "$name")
    publish "${name//[^a-zA-Z0-9]/-}" "$(trimmed "$key")" "$(trimmed "$product")" "$(trimmed "$faults")" "$(trimmed "$request_fields")"
    expect "$name" "$(trimmed "$claim") and not r['ok'] and exit == 1 and r['reason'] and r['remedy'] and r['remedyZh']"
    expect_always "$name"
  done
}

# A cancelled publish: the answer depends on whether the upload had begun.
canceled() {
  local name=$1 faults=$2 until=$3 claim=$4
  ( wait_until 60 grep -q "$until" "$work/runs/$name/output" && engine_docker kill --signal TERM "$container" >/dev/null ) &
  publish "$name" right good "$faults" '{}'
  wait
  expect "$name" "$claim and not r['ok'] and exit == 1"
}
# accepted_are N: how many products the platform took in all.
accepted_are() {
  local accepted
  accepted=$(wc -l <"$work/cloud/releases.jsonl")
  if [[ $accepted -eq $1 ]]; then
    ok "the platform accepted exactly what the adapter published"
  else
    not_ok "the platform accepted exactly what the adapter published" "$(cat "$work/cloud/releases.jsonl")"
  fi
}

finish() {
  echo "$passed passed, $failed failed"
  ((failed == 0))
}
