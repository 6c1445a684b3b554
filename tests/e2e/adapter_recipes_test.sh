#!/usr/bin/env bash
# The recipes for Baidu, Kuaishou, JD and QQ, confined as the farm confines them. Nothing was ever sent to these
# platforms from here, and most of their clients are not on npm: in the clients' place lie programs that speak as
# these are said to speak (recipes/clients), which send to a stand-in (recipes/cloud.mjs). What holds is that
# whatever such a client does, the adapter's answer is true. One line "ok"/"not ok" per claim, at the end
# "N passed, M failed".
#
#   tests/e2e/adapter_recipes_test.sh    needs a Docker Engine; makes the builder's image when it is missing
#   SLIPWAY_REAL_SWAN=1 …                installs swan-toolkit itself, too (15 s), and looks how far it comes
# Variables come from and go to adapter.sh.
# shellcheck disable=SC2034,SC2154
set -euo pipefail
platform=kuaishou
app=ks0001
sends='^/upload$'
# shellcheck source=adapter.sh
. "$(dirname "${BASH_SOURCE[0]}")/adapter.sh"

"$repository/deploy/images/build" --builder
images=$repository/deploy/images
# place WITH_CLIENT PLATFORM: what an image has below /opt/slipway. One with the client, one without.
place() {
  local directory=$work/slipway/$1-$2
  mkdir -p "$directory/client/node_modules"
  cp -r "$images/publisher-$2/adapter" "$directory/adapter"
  cp -r "$images/adapter-common" "$directory/adapter/common"
  [[ $1 == with ]] || return 0
  cp -r "$here/recipes/clients/." "$directory/client/node_modules"
  install -D -m 0644 "$here/recipes/compiler.js" "$directory/client/swan/vendor/comp-bin-linux/1.0.0/compiler/src/entry/index.js"
}
for one in kuaishou jd qq baidu; do place with $one; place without $one; done

# One container for all runs: so many of them would cost minutes.
mkdir -p "$work/runs"
image='slipway-builder:1'
engine_docker run --detach --name "$container" "${confined[@]}" --volume "$work/slipway:/slipway:ro" --volume "$work/product:/product:ro" \
  --volume "$work/runs:/runs" --volume "$work/keys:/keys:ro" "$image" sh -c 'while :; do sleep 60; done' >/dev/null
place_product() { echo "/product/$1"; }
place_in() { echo "/runs/$1/in"; }
place_out() { echo "/runs/$1/out"; }
slipway=with
run_adapter() {
  engine_docker exec --env SLIPWAY_PUBLISH_REQUEST="/runs/${out##*/}/in/request.json" "$container" \
    /bin/sh -c '(umask 377; rm -f /secret/upload.key; cat "/keys/$1.key" >/secret/upload.key); exec node "/slipway/$2/adapter/publish.cjs"' \
    - "$1" "$slipway-$platform"
}

openssl genrsa -out "$work/keys/rsa.key" 2048 2>/dev/null
openssl genrsa -out "$work/keys/rsa-wrong.key" 2048 2>/dev/null
openssl pkey -in "$work/keys/rsa.key" -pubout -out "$work/keys/rsa.pub" 2>/dev/null
token=$(openssl rand -hex 32)
echo "$token" >"$work/keys/token.key"
wrong=$(openssl rand -hex 32)
echo "$wrong" >"$work/keys/token-wrong.key"
printf 'two\nlines\n' >"$work/keys/unreadable.key"
start_cloud --app "ks0001=$work/keys/rsa.pub" --token "jd0001=$work/keys/token.key" --token "112233=$work/keys/token.key" --token "1234567=$work/keys/token.key" \
  --cloud "upload.kuaishou.test=$here/recipes/cloud.mjs" --cloud "upload.jd.test=$here/recipes/cloud.mjs" \
  --cloud "upload.qq.test=$here/recipes/cloud.mjs" --cloud "smartprogram.baidu.com=$here/recipes/cloud.mjs"

# adapter PLATFORM APP_ID KEY CONFIG_FILE: what follows is about this one; its good product is good-PLATFORM.
adapter() {
  platform=$1 app=$2 right=$3 good=good-$1
  mkdir -p "$work/product/$good/pages/index"
  echo '{"pages": ["pages/index/index"]}' >"$work/product/$good/app.json"
  echo 'Page({});' >"$work/product/$good/pages/index/index.js"
  [[ -z $4 ]] || echo "{\"appid\": \"$2\", \"setting\": {\"es6\": true}}" >"$work/product/$good/$4"
}
# variant NAME FILE JSON: the good product with another file.
variant() {
  cp -r "$work/product/$good" "$work/product/$1"
  printf '%s' "$3" >"$work/product/$1/$2"
}
expect_secret_kept() {
  ! grep -rqF -e "$token" -e "$wrong" -e 'PRIVATE KEY' "$out/output" "$out/out" || not_ok "$1: the credential is in log or result"
}

# What holds of all four, whatever their clients are like: the parts in which their adapters differ.
same_of_all() { # WRONG_KEY
  expect_failures <<TABLE
$platform: a credential that the platform refuses keeps its words | $1 | $good | {} | {} | r["class"] == "credential" and ("invalid signature or token" in r["reason"] or "登录状态过期" in r["reason"]) and r["apiCode"]
$platform: silence after the upload began ends at the deadline, unknown | $right | $good | {"fault": "hang"} | {"deadlineSeconds": 4} | r["class"] == "publish_unknown" and r["uploadStarted"] and "4 s" in r["reason"] and len(uploads) == 1
$platform: an answer that was lost is unknown | $right | $good | {"fault": "lost"} | {} | r["class"] == "publish_unknown" and not r["retryable"] and len(uploads) == 1
$platform: a certificate nobody vouches for gets nothing, though the client would not mind | $right | $good | {} | {"caFile": null} | r["class"] == "network" and "certificate" in r["reason"] and not any(e.get("path") for e in log)
$platform: a product without app.json is not sent | $right | no-app-$platform | {} | {} | r["class"] == "build" and "app.json" in r["reason"] and not log
TABLE
  publish "probe-$platform" "$right" "$good" '{}' '{"operation": "probe", "projectDir": null}'
  expect "$platform: a probe says that it cannot tell, and where to look" 'r["ok"] and r["probe"]["verdict"] == "cannot_tell" and "1.4.2" in r["probe"]["remedy"] and r["probe"]["remedyZh"] and not uploads'
}
# What they have from recipe.cjs alone, so that one of them shows it.
same_of_one() {
  expect_failures <<TABLE
$platform: a gateway's HTML answer is unknown | $right | $good | {"fault": "html502"} | {} | r["class"] == "publish_unknown" and "502" in r["reason"]
$platform: a package above the limit is refused in the platform's words | $right | $good | {"say": {"errCode": 80051, "errMsg": "size exceed max limit 2048KB"}} | {} | r["class"] == "platform_refused" and r["apiCode"] == 80051 and "2048KB" in r["reason"] and "subpackages" in r["remedy"]
$platform: a code without a plain refusal is unknown | $right | $good | {"say": {"errCode": 5, "errMsg": "oops"}} | {} | r["class"] == "publish_unknown"
$platform: a proxy that is down is a network failure | $right | $good | {} | {"proxy": "http://$gateway:9"} | r["class"] == "network" and r["retryable"] and "proxy" in r["reason"] and not log
$platform: an option nobody knows is refused | $right | $good | {} | {"options": {"minify_wxlm": true}} | r["class"] == "build" and "minify_wxlm" in r["reason"] and not log
TABLE
  slipway=without
  publish "no-client-$platform" "$right" "$good" '{}' '{}'
  expect "$platform: an image without the client says where it is had" 'r["class"] == "infrastructure" and "deploy/images/build" in r["remedy"] and r["remedyZh"] and not uploads'
  slipway=with
}
no_app() { cp -r "$work/product/$good" "$work/product/no-app-$platform"; rm "$work/product/no-app-$platform/app.json"; }

# --- Kuaishou ---

adapter kuaishou ks0001 rsa project.config.json
no_app
variant ks-other project.config.json '{"appid": "ks0002"}'
variant ks-scripts project.config.json '{"appid": "ks0001", "scripts": {"beforeUpload": "cp /secret/upload.key /out/stolen"}}'
variant ks-plugins project.config.json '{"appid": "ks0001", "setting": {"useCompilerPlugins": ["less"]}}'
publish ks-upload rsa $good '{}' '{"options": {"es6": true}}'
expect "kuaishou: a good product with the right key is uploaded" 'r["ok"] and exit == 0 and r["stage"] == "upload" and r["uploadStarted"] and len(uploads) == 1 and r["uploadBytes"] == 3000 and r["sizes"][0]["size"] == 3000'
expect "kuaishou: nothing is said of a proof that there was not" '"credential proved" not in output and "uploading" in output'
expect "kuaishou: the client's temporary directory is the publish's own" 'uploads[0]["tmp"].startswith("/tmp/publish-")'
expect_always ks-upload
expect_secret_kept ks-upload
publish ks-preview rsa $good '{}' '{"mode": "preview"}'
expect "kuaishou: a preview brings its code as an image, with its end" 'r["ok"] and r["qrFile"] == "platform-code.png" and open(directory + "/out/platform-code.png", "rb").read(4) == b"\x89PNG" and r["qrExpiresAt"] == "2030-01-01T00:00:00.000Z"'
publish ks-verify rsa $good '{}' '{"operation": "verify", "mode": null, "version": null, "projectDir": null}'
expect "kuaishou: a key that cannot be tried alone is not called good" 'not r["ok"] and r["class"] == "infrastructure" and r["stage"] == "prove" and "nothing was sent" in r["remedy"] and not log'
publish ks-leak rsa $good '{}' '{"description": "leaks"}'
expect "kuaishou: a client that prints the key gives it to nobody" 'not r["ok"] and "[credential]" in r["reason"]'
expect_secret_kept ks-leak
same_of_all rsa-wrong
same_of_one
expect_failures <<TABLE
kuaishou: what the client compiles wrongly names the place | rsa | $good | {} | {"description": "broken"} | r["class"] == "build" and "index.js" in r["reason"] and not log
kuaishou: a client that ends with 0 is heard, not its status | rsa | $good | {} | {"description": "ends"} | r["class"] == "credential" and r["apiCode"] == -3 and r["reason"] == "invalid private key"
kuaishou: a client that ends for no known reason before anything was sent | rsa | $good | {} | {"description": "ends strangely"} | r["class"] == "infrastructure" and "exit status 0" in r["reason"] and "Segmentation" in r["reason"] and not log
kuaishou: a client that dies after it sent the product leaves it unknown | rsa | $good | {} | {"description": "dies"} | r["class"] == "publish_unknown" and "SIGKILL" in r["reason"] and len(uploads) == 1
kuaishou: a client that returns nothing has not published | rsa | $good | {} | {"description": "says nothing"} | r["class"] == "publish_unknown" and r["uploadStarted"]
kuaishou: a preview without a code is none | rsa | $good | {} | {"mode": "preview", "description": "no code"} | r["class"] == "network" and r["qrFile"] is None and not r["retryable"]
kuaishou: what cannot be held is not let out | rsa | $good | {} | {"description": "fetch"} | not r["uploadStarted"] and "cannot be held" in r["reason"] and not log
kuaishou: nothing goes out without TLS | rsa | $good | {} | {"description": "plain"} | not r["uploadStarted"] and "without TLS" in r["reason"] and not log
kuaishou: a refused address is the credential's failure | rsa | $good | {"allowIps": ["203.0.113.9"]} | {} | r["class"] == "credential" and r["reason"].startswith("invalid ip") and "allow-list" in r["remedy"]
kuaishou: an unreadable key ends before any request | unreadable | $good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and not log
kuaishou: a product of another application is not sent | rsa | ks-other | {} | {} | r["class"] == "build" and "ks0002" in r["reason"] and not log
kuaishou: commands of the product are not run beside the key | rsa | ks-scripts | {} | {} | r["class"] == "build" and "scripts" in r["reason"] and not log
kuaishou: settings that could change the compiler are refused | rsa | ks-plugins | {} | {} | r["class"] == "build" and "useCompilerPlugins" in r["reason"] and not log
TABLE

# --- JD ---

adapter jd jd0001 token ''
no_app
publish jd-upload token $good '{}' '{"options": {"robot": 2}}'
expect "jd: an upload brings its code as the address of an image" 'r["ok"] and r["qrImageUrl"] == "https://img.jd.test/code.png" and r["qrFile"] is None and uploads[0]["version"] == "1.4.2"'
expect_secret_kept jd-upload
publish jd-preview token $good '{}' '{"mode": "preview"}'
expect "jd: a preview brings its code as the bytes of an image" 'r["ok"] and r["qrFile"] == "platform-code.png" and r["qrImageUrl"] is None'
same_of_all token-wrong
expect_failures <<TABLE
jd: a refusal that is printed only is one | token | $good | {"say": {"errCode": 9, "errMsg": "内容违规"}} | {"description": "prints"} | r["class"] == "platform_refused" and "违规" in r["reason"]
jd: a wrong directory that is printed only is no success | token | $good | {} | {"description": "directory"} | r["class"] == "build" and "目录错误" in r["reason"] and not log
TABLE

# --- QQ ---

adapter qq 112233 token project.config.json
no_app
publish qq-upload token $good '{}' '{"options": {"experience": true}}'
expect "qq: an upload brings its code as a text and as an image" 'r["ok"] and r["qrText"] == "https://m.example/112233" and r["qrFile"] == "platform-code.png" and uploads[0]["kind"] == "experience"'
expect_secret_kept qq-upload
same_of_all token-wrong
publish qq-printed token-wrong $good '{}' '{}'
expect_secret_kept qq-printed
expect_failures <<TABLE
qq: a preview is refused with what to do instead | token | $good | {} | {"mode": "preview"} | r["class"] == "build" and "experience" in r["remedy"] and not log
TABLE

# --- Baidu ---

adapter baidu 1234567 token project.swan.json
no_app
variant bd-scripts project.swan.json '{"appid": 1234567, "setting": {"enableScripts": true}, "scripts": {"beforeUpload": "true"}}'
variant bd-arguments project.swan.json '{"appid": 1234567, "compilation-args": {"options": [{"id": 1, "extra": {"compileArgs": "--require ./thief.js"}}]}}'
variant bd-native project.swan.json '{"appid": 1234567, "compilation-args": {"useOldCompiler": false}}'
variant bd-ext ext.json '{"extAppid": "7654321"}'
publish bd-upload token $good '{}' '{}'
expect "baidu: what its compiler sends, a process of its own, is seen" 'r["ok"] and r["qrText"] == "https://m.example/1234567" and r["qrFile"] == "platform-code.png" and r["uploadStarted"] and "credential proved" in output and len(uploads) == 1'
expect "baidu: the platform's host is named without a port" '{e["host"] for e in log} == {"smartprogram.baidu.com"}'
expect_secret_kept bd-upload
publish bd-preview token $good '{}' '{"mode": "preview"}'
expect "baidu: a preview brings its code" 'r["ok"] and r["qrText"].startswith("https://") and r["stage"] == "preview"'
publish bd-verify token $good '{}' '{"operation": "verify", "mode": null, "version": null, "projectDir": null}'
expect "baidu: a login can be verified alone" 'r["ok"] and len(log) == 1 and not uploads'
same_of_all token-wrong
expect_failures <<TABLE
baidu: a login that is refused ends at the proof | token-wrong | $good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and r["apiCode"] == 30001003 and not uploads
baidu: silence to the proof is a network failure | token | $good | {"proveFault": "hang"} | {"options": {"prove_timeout_seconds": 1}} | r["class"] == "network" and r["retryable"] and not uploads
baidu: what the compiler says is the product's failure | token | $good | {} | {"description": "compile error"} | r["class"] == "build" and "标签未闭合" in r["reason"] and not uploads
baidu: what the image lacks of Baidu's is not the product's failure | token | $good | {} | {"description": "no configuration"} | r["class"] == "infrastructure" and "mbd.baidu.com" in r["remedy"] and not uploads
baidu: a version of the base library that there is not | token | $good | {} | {"options": {"min_swan_version": "9.9.9"}} | not r["uploadStarted"] and "min-swan-version" in r["reason"]
baidu: commands of the product are not run beside the login | token | bd-scripts | {} | {} | r["class"] == "build" and "scripts" in r["reason"] and not log
baidu: arguments for the compiler are refused | token | bd-arguments | {} | {} | r["class"] == "build" and "thief" in r["reason"] and not log
baidu: a compiler that cannot be held is refused | token | bd-native | {} | {} | r["class"] == "build" and "useOldCompiler" in r["reason"] and not log
baidu: a product for another application is not sent | token | bd-ext | {} | {} | r["class"] == "build" and "7654321" in r["reason"] and not log
baidu: a version that is no numbers is not sent | token | $good | {} | {"version": "v1"} | r["class"] == "build" and "1.4.2" in r["remedy"] and not log
TABLE

slipway=without
publish no-compiler token $good '{}' '{}'
expect "baidu: an image without the client says what it takes to make it" 'r["class"] == "infrastructure" and "mbd.baidu.com" in r["remedy"] and r["remedyZh"] and not uploads'
slipway=with

if [[ ${SLIPWAY_REAL_SWAN:-} ]]; then
  slipway=real
  place real baidu
  cp "$images/publisher-baidu/"package*.json "$work/slipway/real-baidu/client"
  (cd "$work/slipway/real-baidu/client" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  cp -r "$work/slipway/with-baidu/client/swan" "$work/slipway/real-baidu/client/swan"
  publish real-expired token $good '{"loginExpired": true}' '{}'
  expect "baidu: the real client's words about a login are the credential's failure" '"swan-toolkit 3.23.0" in output and len(log) == 2 and r["class"] == "credential" and "登录状态过期" in r["reason"] and not uploads'
  publish real-swan token $good '{}' '{}'
  expect "baidu: the real client goes on with a good one, to where it needs what Baidu alone has" 'len(log) >= 2 and r["class"] == "infrastructure" and "compileOptimizations" in r["reason"] and not uploads'
  cat "$out/output" "$out/requests"
fi

# Kuaishou: an upload, a preview, one that died, one without an answer, a preview without a code. The others: an
# upload, and but for QQ a preview. Of each the one whose answer was lost.
accepted_are 14
finish
