#!/usr/bin/env bash
# The Alipay publish adapter with the real minidev, confined as the farm confines it, against the stand-in
# cloud. One line "ok"/"not ok" per claim, at the end "N passed, M failed".
#
#   tests/e2e/adapter_alipay_test.sh     needs a Docker Engine; makes the images when they are missing
# Variables come from and go to adapter.sh.
# shellcheck disable=SC2034,SC2154
set -euo pipefail
platform=alipay
app=2021000000000001
sends='^/cli/miniapp/uploadCode\.json$'
# shellcheck source=adapter.sh
. "$(dirname "${BASH_SOURCE[0]}")/adapter.sh"

"$repository/deploy/images/build" --builder --publisher-alipay
for name in right wrong; do openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/$name.pem" 2>/dev/null; done
openssl pkey -in "$work/right.pem" -pubout -out "$work/keys/right.pub" 2>/dev/null
identity() { # PEM_FILE NAME [TOOL_ID]
  python3 -c 'import json, sys; print(json.dumps({"alipay": {"authentication": {"privateKey": open(sys.argv[1]).read(), "toolId": sys.argv[2]}}}))' \
    "$1" "${3:-tool-1}" >"$work/keys/$2.key"
}
identity "$work/right.pem" right
identity "$work/wrong.pem" wrong
identity "$work/right.pem" other-tool tool-2
openssl rsa -in "$work/right.pem" -traditional -out "$work/pkcs1.pem" 2>/dev/null
identity "$work/pkcs1.pem" pkcs1
echo '{"alipay": {}}' >"$work/keys/unreadable.key"
start_cloud --app "$app=$work/keys/right.pub"

good=$work/product/good
mkdir -p "$good/pages/index"
echo '{"pages": ["pages/index/index"], "window": {"defaultTitle": "shop"}}' >"$good/app.json"
echo '{"component2": true, "format": 2, "compileType": "mini"}' >"$good/mini.project.json"
echo 'App({});' >"$good/app.js"
echo 'Page({});' >"$good/pages/index/index.js"
echo '{}' >"$good/pages/index/index.json"
echo '<view>hello</view>' >"$good/pages/index/index.axml"
for variant in no-app scripts config link outside prototype; do cp -r "$good" "$work/product/$variant"; done
rm "$work/product/no-app/app.json"
# Each would run code of the product, or send the identity elsewhere, in the process that holds it.
echo '{"format": 2, "compileType": "mini", "scripts": {"beforeUpload": "cp /secret/upload.key /out/stolen"}}' >"$work/product/scripts/mini.project.json"
mkdir "$work/product/config/.minidev"
echo '{"env.prod.hosts.IDE_SERVICE": "http://attacker.example"}' >"$work/product/config/.minidev/config.json"
ln -s elsewhere "$work/product/link/.minidev"
echo '{"format": 2, "miniprogramRoot": ".."}' >"$work/product/outside/mini.project.json"
echo '{"format": 2, "__proto__": {"scripts": {"beforeUpload": "true"}}}' >"$work/product/prototype/mini.project.json"

publish success right good '{}' '{"version": "1.0.1", "options": {"experience": true}}'
success_ms=$milliseconds
expect "a good product with the right identity is uploaded" \
  'r["ok"] and exit == 0 and r["contractVersion"] == 1 and r["class"] is None and r["stage"] == "upload" and r["version"] == "1.0.1"'
expect "the code of the experience version comes as the address of an image" 'r["qrImageUrl"].startswith("https://mobilecodec.alipay.example/") and r["qrText"] is None and r["qrFile"] is None'
expect "the platform got version, description and package" \
  'len(uploads) == 1 and uploads[0]["version"] == "1.0.1" and "适配器测试" in uploads[0]["description"] and uploads[0]["files"] and r["uploadStarted"]'
expect "only the platform's own host is spoken to" 'all(e.get("host") == "ideservice.alipay.com" for e in log)'
expect "progress is short and for people" 'len(output.splitlines()) <= 6 and "uploading" in output and "credential proved" in output'
expect "it announces its stages" 'open(directory + "/out/progress").read() == "prove\nupload\n"'
expect_always success

publish verify right good '{}' '{"operation": "verify", "mode": null, "version": null}'
expect "a credential can be verified alone" 'r["ok"] and r["stage"] == "prove" and len(log) == 1 and not uploads'

publish no-code right good '{"fault": "noqr"}' '{"version": "1.0.2", "options": {"experience": true}}'
expect "a version whose code could not be made is published all the same" 'r["ok"] and r["qrImageUrl"] is None and "published, but then" in output'

expect_failures <<TABLE
a lost answer after the platform took it is unknown | right | good | {"fault": "lost"} | {"version": "1.0.3"} | r["class"] == "publish_unknown" and r["uploadStarted"] and not r["retryable"] and len(uploads) == 1
TABLE
publish found right good '{}' '{"operation": "probe", "version": "1.0.3"}'
expect "a probe finds the version whose answer was lost" 'r["ok"] and exit == 0 and r["probe"]["verdict"] == "published" and r["probe"]["version"] == "1.0.3" and not uploads'
publish not-there right good '{}' '{"operation": "probe", "version": "1.0.4"}'
expect "a probe does not call a version absent that may be compiled still" 'r["ok"] and r["probe"]["verdict"] == "cannot_tell" and "1.0.3" in r["probe"]["words"] and "compiling" in r["probe"]["remedy"]'
publish overtaken right good '{}' '{"operation": "probe", "version": "1.0.0"}'
expect "a probe does not judge a version that others followed" 'r["probe"]["verdict"] == "cannot_tell" and r["probe"]["remedyZh"]'
publish probe-refused wrong good '{}' '{"operation": "probe", "version": "1.0.3"}'
expect "a probe with a wrong identity has no answer" 'not r["ok"] and exit == 1 and r["class"] == "credential" and "probe" not in r'

# name | identity | product | faults at the platform | request fields | claim
expect_failures <<TABLE
a wrong key ends at the proof, not one byte of the product sent | wrong | good | {} | {} | r["class"] == "credential" and r["stage"] == "prove" and "signature" in r["reason"] and not uploads and r["uploadStarted"] is False
a tool that is not registered is the credential's failure | other-tool | good | {} | {} | r["class"] == "credential" and "toolId not found" in r["reason"] and not uploads
a key in another form is found before any request | pkcs1 | good | {} | {} | r["class"] == "credential" and "PKCS#8" in r["reason"] and not log
an identity file without its parts is found before any request | unreadable | good | {} | {} | r["class"] == "credential" and "toolId" in r["reason"] and not log
a refused address keeps the platform's words | right | good | {"allowIps": ["203.0.113.9"]} | {} | r["class"] == "credential" and "white list" in r["reason"] and not uploads
a version that the platform has is not sent again | right | good | {} | {"version": "1.0.3"} | r["class"] == "platform_refused" and "1.0.3 is not above" in r["reason"] and "higher version" in r["remedy"] and not uploads
a state of the build that nobody knows is unknown | right | good | {"pollFault": "odd"} | {} | r["class"] == "publish_unknown" and r["clientCode"] == "PublishBuildError"
keys that would change the client's settings are refused | right | prototype | {} | {} | r["class"] == "build" and "__proto__" in r["reason"] and not log
a refusal of the content | right | good | {"fault": "refuse"} | {} | r["class"] == "platform_refused" and "not permitted" in r["reason"]
what the platform's compiler says is a refusal with its log | right | good | {"buildError": "pages/index/index.axml: unclosed tag"} | {} | r["class"] == "platform_refused" and "unclosed tag" in r["reason"] and r["clientCode"] == "PublishBuildError"
silence after the upload began ends at the deadline, unknown | right | good | {"fault": "hang"} | {"deadlineSeconds": 7} | r["class"] == "publish_unknown" and r["uploadStarted"] and "7 s" in r["reason"] and len(uploads) == 1
a connection reset after the upload began is unknown | right | good | {"fault": "reset"} | {} | r["class"] == "publish_unknown" and not r["retryable"] and len(uploads) == 1
a gateway's HTML answer after the upload began is unknown | right | good | {"fault": "html502"} | {} | r["class"] == "publish_unknown" and "502" in r["reason"] and len(uploads) == 1
an answer without the newest version proves nothing | right | good | {"proveFault": "nodata"} | {"operation": "probe"} | r["class"] == "network" and "probe" not in r
a slow platform runs into the deadline, unknown | right | good | {"fault": "slow", "slowMs": 60000} | {"deadlineSeconds": 7} | r["class"] == "publish_unknown" and r["uploadStarted"]
silence before anything was sent is a network failure | right | good | {"proveFault": "hang"} | {"options": {"prove_timeout_seconds": 2}} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and not uploads
a gateway's HTML answer before anything was sent is a network failure | right | good | {"proveFault": "html502"} | {} | r["class"] == "network" and r["retryable"] and "502" in r["reason"] and not uploads
a proxy that is down is a network failure | right | good | {} | {"proxy": "http://$gateway:9"} | r["class"] == "network" and r["retryable"] and "proxy" in r["reason"] and not log
a certificate nobody vouches for is a network failure | right | good | {} | {"caFile": null} | r["class"] == "network" and "certificate" in r["reason"] and "CA" in r["remedy"] and not uploads
a product without app.json is not sent | right | no-app | {} | {} | r["class"] == "build" and r["stage"] == "check" and "app.json" in r["reason"] and not log
a product whose scripts the client would run is not packed | right | scripts | {} | {} | r["class"] == "build" and "scripts" in r["reason"] and not log and not __import__("os").path.exists(directory + "/out/stolen")
a product that would set up the client is not packed | right | config | {} | {} | r["class"] == "build" and ".minidev" in r["reason"] and not log
a product whose set-up of the client is a link is not packed | right | link | {} | {} | r["class"] == "build" and ".minidev" in r["reason"] and not log
a product whose root lies outside is not packed | right | outside | {} | {} | r["class"] == "build" and "outside" in r["reason"] and not log
a version that is not three numbers is not sent | right | good | {} | {"version": "1.0"} | r["class"] == "build" and "1.4.2" in r["remedy"] and not log
a preview is not made here, and says what is | right | good | {} | {"mode": "preview"} | r["class"] == "build" and "experience" in r["remedy"] and not log
an option of another platform is refused with those there are | right | good | {} | {"options": {"robot": 1}} | r["class"] == "build" and "robot" in r["reason"] and "experience" in r["reason"] and not log
a contract that this image does not speak is the farm's fault | right | good | {} | {"contractVersion": 2} | r["class"] == "infrastructure" and "contract version 2" in r["reason"] and not log
TABLE

canceled "a publish stopped after the upload began is unknown" '{"fault": "hang"}' 'uploading' \
  'r["class"] == "publish_unknown" and "SIGTERM" in r["reason"] and len(uploads) == 1'
accepted_are 3  # the upload, that without its code and that whose answer was lost
echo "one upload took $success_ms ms"
finish
