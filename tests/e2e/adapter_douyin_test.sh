#!/usr/bin/env bash
# The Douyin publish adapter with the real tt-ide-cli, confined as the farm confines it, against the
# stand-in cloud. One line "ok"/"not ok" per claim, at the end "N passed, M failed".
#
#   tests/e2e/adapter_douyin_test.sh     needs a Docker Engine; makes the images when they are missing
# Variables come from and go to adapter.sh.
# shellcheck disable=SC2034,SC2154
set -euo pipefail
platform=douyin
app=tt0123456789abcdef01
sends='^/api/v2/app/[^/]+/(testing|preview)$'
# shellcheck source=adapter.sh
. "$(dirname "${BASH_SOURCE[0]}")/adapter.sh"

"$repository/deploy/images/build" --builder --publisher-douyin
token=$(openssl rand -hex 32)
echo "$token" >"$work/keys/right.key"
openssl rand -hex 32 >"$work/keys/wrong.key"
printf 'two\nlines\n' >"$work/keys/unreadable.key"
start_cloud --token "$app=$work/keys/right.key"

good=$work/product/good
mkdir -p "$good/pages/index"
echo '{"pages": ["pages/index/index"], "window": {"navigationBarTitleText": "shop"}}' >"$good/app.json"
echo "{\"appid\": \"$app\", \"projectname\": \"shop\", \"setting\": {\"es6\": true}}" >"$good/project.config.json"
echo 'App({});' >"$good/app.js"
echo 'Page({});' >"$good/pages/index/index.js"
echo '{}' >"$good/pages/index/index.json"
echo '<view>hello</view>' >"$good/pages/index/index.ttml"
for variant in no-app other-app outside; do cp -r "$good" "$work/product/$variant"; done
rm "$work/product/no-app/app.json"
sed -i "s/$app/tt0000000000000000/" "$work/product/other-app/project.config.json"
sed -i 's/"setting"/"miniprogramRoot": "..", &/' "$work/product/outside/project.config.json"

# A token is short, so it is looked for itself.
expect_no_token() {
  ! grep -rqF "$token" "$out/output" "$out/out" || not_ok "$1: the token is in log or result"
}

publish success right good '{}' '{"version": "1.0.1"}'
success_ms=$milliseconds
expect "a good product with the right token is uploaded" \
  'r["ok"] and exit == 0 and r["contractVersion"] == 1 and r["class"] is None and r["stage"] == "upload" and r["version"] == "1.0.1"'
expect "the platform's code comes as a text, with its end" 'r["qrText"].startswith("https://z.douyin.example/") and r["link"] == r["qrText"] and r["qrExpiresAt"].endswith("Z")'
expect "the platform got version, description and source" \
  'len(uploads) == 1 and uploads[0]["version"] == "1.0.1" and "适配器测试" in uploads[0]["description"] and any(f.endswith("app.json") for f in uploads[0]["files"])'
expect "only the platform's own hosts are spoken to" 'log and all(e.get("host") in ("developer.toutiao.com", "microapp.bytedance.com") for e in log)'
expect "progress is short and for people" 'len(output.splitlines()) <= 6 and "uploading" in output and "credential proved" in output'
expect "it announces its stages" 'open(directory + "/out/progress").read() == "prove\nupload\n"'
expect_always success
expect_no_token success

publish verify right good '{}' '{"operation": "verify", "mode": null, "version": null}'
expect "a credential can be verified alone" 'r["ok"] and r["stage"] == "prove" and len(log) == 1 and not uploads'

publish preview right good '{}' '{"mode": "preview"}'
expect "a preview brings its code as a text" 'r["ok"] and r["qrText"].startswith("https://") and r["stage"] == "preview" and uploads[0]["kind"] == "preview"'

expect_failures <<TABLE
a lost answer after the platform took it is unknown | right | good | {"fault": "lost"} | {"version": "1.0.3"} | r["class"] == "publish_unknown" and r["uploadStarted"] and not r["retryable"] and len(uploads) == 1
TABLE
publish found right good '{}' '{"operation": "probe", "version": "1.0.3"}'
expect "a probe finds the version whose answer was lost" 'r["ok"] and exit == 0 and r["probe"]["verdict"] == "published" and r["probe"]["version"] == "1.0.3" and not uploads'
publish not-named right good '{}' '{"operation": "probe", "version": "1.0.4"}'
expect "a probe does not judge a version that the platform does not name" 'r["ok"] and r["probe"]["verdict"] == "cannot_tell" and "1.0.3" in r["probe"]["words"] and r["probe"]["remedyZh"]'
publish probe-refused wrong good '{}' '{"operation": "probe", "version": "1.0.3"}'
expect "a probe with a wrong token has no answer" 'not r["ok"] and exit == 1 and r["class"] == "credential" and "probe" not in r'

# name | token | product | faults at the platform | request fields | claim
expect_failures <<TABLE
a wrong token ends at the proof, not one byte of the product sent | wrong | good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and r["apiCode"] == 401 and "token" in r["reason"] and not uploads and r["uploadStarted"] is False
a file that is no token is found before any request | unreadable | good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and not log
a refused address keeps the platform's words | right | good | {"allowIps": ["203.0.113.9"]} | {} | r["class"] == "credential" and "白名单" in r["reason"] and not uploads
a version below the newest is not sent | right | good | {} | {"version": "1.0.2"} | r["class"] == "platform_refused" and "1.0.2" in r["reason"] and "higher version" in r["remedy"] and not uploads
a version that exists already is refused in the platform's words | right | good | {} | {"version": "1.0.3"} | r["class"] == "platform_refused" and r["apiCode"] == 8 and "exists already" in r["reason"] and len(uploads) == 1
a refusal of the content | right | good | {"fault": "refuse"} | {} | r["class"] == "platform_refused" and r["apiCode"] == 5 and "不符合规范" in r["reason"]
what the platform's compiler says is a refusal | right | good | {"compileError": "pages/index/index.ttml: unclosed tag"} | {} | r["class"] == "platform_refused" and "unclosed tag" in r["reason"] and r["uploadStarted"]
a failure to ask how the compilation goes is unknown | right | good | {"pollFault": "busy"} | {} | r["class"] == "publish_unknown" and r["uploadStarted"]
a missing link is not a success | right | good | {"fault": "noqr"} | {} | r["class"] == "publish_unknown" and r["link"] is None
silence after the upload began ends at the deadline, unknown | right | good | {"fault": "hang"} | {"deadlineSeconds": 7} | r["class"] == "publish_unknown" and r["uploadStarted"] and "7 s" in r["reason"] and len(uploads) == 1
a connection reset after the upload began is unknown | right | good | {"fault": "reset"} | {} | r["class"] == "publish_unknown" and not r["retryable"] and len(uploads) == 1
a gateway's HTML answer after the upload began is unknown | right | good | {"fault": "html502"} | {} | r["class"] == "publish_unknown" and "502" in r["reason"] and len(uploads) == 1
an answer 500 after the upload began is unknown | right | good | {"fault": "error500"} | {} | r["class"] == "publish_unknown" and len(uploads) == 1
an answer that is not JSON after the upload began is unknown | right | good | {"fault": "notjson"} | {"version": "1.5.0"} | r["class"] == "publish_unknown" and len(uploads) == 1
a slow platform runs into the deadline, unknown | right | good | {"fault": "slow", "slowMs": 60000} | {"deadlineSeconds": 7, "version": "1.5.0"} | r["class"] == "publish_unknown" and r["uploadStarted"]
silence before anything was sent is a network failure | right | good | {"proveFault": "hang"} | {"options": {"prove_timeout_seconds": 2}} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and not uploads
a gateway's HTML answer before anything was sent is a network failure | right | good | {"proveFault": "html502"} | {} | r["class"] == "network" and r["retryable"] and "502" in r["reason"] and not uploads
a proxy that is down is a network failure | right | good | {} | {"proxy": "http://$gateway:9"} | r["class"] == "network" and r["retryable"] and "proxy" in r["reason"] and not log
a certificate nobody vouches for gets no token | right | good | {} | {"caFile": null} | r["class"] == "network" and "certificate" in r["reason"] and "CA" in r["remedy"] and not any(e.get("path") for e in log)
a product of another application is not sent | right | other-app | {} | {} | r["class"] == "build" and "tt0000000000000000" in r["reason"] and not log
a product without app.json is not sent | right | no-app | {} | {} | r["class"] == "build" and "app.json" in r["reason"] and not log
a product whose root lies outside is not sent | right | outside | {} | {} | r["class"] == "build" and "outside" in r["reason"] and not log
a version that is not three numbers is not sent | right | good | {} | {"version": "v1"} | r["class"] == "build" and "1.4.2" in r["remedy"] and not log
an option of another platform is refused with those there are | right | good | {} | {"options": {"robot": 1}} | r["class"] == "build" and "robot" in r["reason"] and "upload_source_map" in r["reason"] and not log
TABLE

canceled "a publish stopped after the upload began is unknown" '{"fault": "hang"}' 'uploading' \
  'r["class"] == "publish_unknown" and "SIGTERM" in r["reason"] and len(uploads) == 1'
expect_no_token canceled
accepted_are 4  # the upload, the preview, those whose answer was lost and whose link was withheld
echo "one upload took $success_ms ms"
finish
