#!/usr/bin/env bash
# The WeChat publish adapter with the real miniprogram-ci, confined as the farm confines it, against
# the stand-in cloud. One line "ok"/"not ok" per claim, at the end "N passed, M failed".
#
#   tests/e2e/adapter_test.sh            needs a Docker Engine; makes the images when they are missing
# Variables come from and go to adapter.sh.
# shellcheck disable=SC2034,SC2154
set -euo pipefail
platform=weixin
app=wx5e1f0c2d3b4a6978
sends='^/wxa/ci/(upload|testSourceURL)$'
request='{"options": {"robot": 3}}'
# shellcheck source=adapter.sh
. "$(dirname "${BASH_SOURCE[0]}")/adapter.sh"

"$repository/deploy/images/build" --builder --publisher
openssl genrsa -traditional -out "$work/keys/right.key" 2048 2>/dev/null
openssl genrsa -traditional -out "$work/keys/wrong.key" 2048 2>/dev/null
openssl pkey -in "$work/keys/right.key" -pubout -out "$work/keys/right.pub" 2>/dev/null
echo 'not a key' >"$work/keys/unreadable.key"
start_cloud --app "$app=$work/keys/right.pub"

# The products, each built by its own script or altered afterwards.
engine_docker run --rm --network none --volume "$repository/deploy/demo/pocket-shop:/source:ro" --volume "$work/product:/product" \
  --env SLIPWAY_OUTPUT=/product/good --env SLIPWAY_VERSION=1.4.2 --env SLIPWAY_APP_ID=$app \
  slipway-builder:1 sh -c 'cp -r /source /tmp/shop && sh /tmp/shop/scripts/build.sh && chmod -R a+rX /product' >/dev/null
as_root chown -R "$(id -u):$(id -g)" "$work/product"
for variant in broken other-app no-app page-missing big less swc proto null private setting fifo; do cp -r "$work/product/good" "$work/product/$variant"; done
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
for variant in proto private; do cp -r "$work/product/less/." "$work/product/$variant"; done
cp "$work/product/good/project.config.json" "$work/product/proto"
cp "$work/product/good/project.config.json" "$work/product/private"
sed -i 's/"setting": {/&"__proto__": {"useCompilerPlugins": ["less"]},/' "$work/product/proto/project.config.json"
echo '{"setting": {"useCompilerPlugins": ["less"]}}' >"$work/product/private/project.private.config.json"
sed -i 's/"setting": {/&"newCompiler": {"module": ".\/thief.js"},/' "$work/product/setting/project.config.json"
echo null >"$work/product/null/app.json"
rm "$work/product/fifo/app.json"
mkfifo "$work/product/fifo/app.json"
# 2.5 MB of text that minifying does not shrink.
{ printf 'module.exports = "'; head -c 1900000 /dev/urandom | base64 -w 0; echo '";'; } >"$work/product/big/lib/ballast.js"
sed -i '1i require("./lib/ballast.js");' "$work/product/big/app.js"

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

publish options right good '{}' '{"options": {"use_project_config": false, "es6": true, "minify_wxml": true, "prove_timeout_seconds": 40, "robot": 7}}'
expect "options of slipway.yaml reach the client" 'r["ok"] and uploads[0]["robot"] == "7"'

publish probe right good '{}' '{"operation": "probe", "projectDir": null}'
expect "a probe proves the key, sends nothing and says who can tell" \
  'r["ok"] and exit == 0 and r["probe"]["verdict"] == "cannot_tell" and "1.4.2" in r["probe"]["remedy"] and r["probe"]["remedyZh"] and len(log) == 2 and not uploads'
expect_always probe
publish probe-refused wrong good '{}' '{"operation": "probe"}'
expect "a probe with a wrong key has no answer" 'not r["ok"] and exit == 1 and r["class"] == "credential" and "probe" not in r and not uploads'

publish preview right good '{}' '{"mode": "preview"}'
expect "a preview brings its code as an image and what that says" 'r["ok"] and r["qrText"] == "https://example.invalid/preview" and r["qrFile"] == "preview-qr.jpg" and open(directory + "/out/preview-qr.jpg", "rb").read(4) in (b"\x89PNG", b"\xff\xd8\xff\xe0") and r["stage"] == "preview"'

publish older right good '{}' '{"contractVersion": "(absent)", "options": "(absent)", "robot": 9, "useProjectConfig": true, "settings": {"es6": true}}'
expect "an agent older than the contract is understood" 'r["ok"] and uploads[0]["robot"] == "9"'

publish verify right good '{}' '{"operation": "verify", "projectDir": null, "mode": null, "version": null}'
expect "a credential can be verified alone" 'r["ok"] and exit == 0 and r["stage"] == "prove" and len(log) == 2 and not uploads'

expect_failures <<TABLE
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
a system error of the platform is no refusal | right | good | {"fault": "system"} | {} | r["class"] == "publish_unknown" and len(uploads) == 1
a preview that runs into the deadline is not the network's fault | right | good | {"fault": "hang"} | {"mode": "preview", "deadlineSeconds": 25} | r["class"] == "infrastructure" and "25 s" in r["reason"]
options that are no object are the farm's fault | right | good | {} | {"options": [1]} | r["class"] == "infrastructure" and "options" in r["reason"] and not log
an answer that is not JSON after the upload began is unknown | right | good | {"fault": "notjson"} | {} | r["class"] == "publish_unknown" and len(uploads) == 1
a preview without a code is not a success | right | good | {"fault": "noqr"} | {"mode": "preview"} | r["class"] == "network" and r["stage"] == "preview" and r["qrFile"] is None
silence before anything was sent is a network failure | right | good | {"proveFault": "hang"} | {"options": {"prove_timeout_seconds": 2}} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and not uploads
a gateway's HTML answer before anything was sent is a network failure | right | good | {"proveFault": "html502"} | {} | r["class"] == "network" and r["retryable"] and "502" in r["reason"] and not uploads
broken JavaScript names file and line | right | broken | {} | {} | r["class"] == "build" and "lib/money.js" in r["reason"] and "2" in r["reason"] and not uploads
a missing page names the page | right | page-missing | {} | {} | r["class"] == "build" and "pages/about/about" in r["reason"] and not uploads
a product of another application is not sent | right | other-app | {} | {} | r["class"] == "build" and r["stage"] == "check" and "wx0000000000000000" in r["reason"] and not log
a product without app.json is not sent | right | no-app | {} | {} | r["class"] == "build" and r["stage"] == "check" and "app.json" in r["reason"] and not log
a product whose compiler would run its code is not compiled | right | less | {} | {} | r["class"] == "build" and r["stage"] == "check" and "less" in r["reason"] and not log and not __import__("os").path.exists(directory + "/out/stolen")
a product whose SWC settings could load code is not compiled | right | swc | {} | {} | r["class"] == "build" and r["stage"] == "check" and "swcSetting" in r["reason"] and not log
a prototype in the settings does not bring a compiler back | right | proto | {} | {} | r["class"] == "build" and r["stage"] == "check" and "__proto__" in r["reason"] and not log and not __import__("os").path.exists(directory + "/out/stolen")
private settings are looked at, too | right | private | {} | {} | r["class"] == "build" and "project.private.config.json" in r["reason"] and not log and not __import__("os").path.exists(directory + "/out/stolen")
a setting of a form nobody knows is refused by name | right | setting | {} | {} | r["class"] == "build" and "setting.newCompiler" in r["reason"] and not log
an app.json that is null is the product's failure | right | null | {} | {} | r["class"] == "build" and "app.json" in r["reason"] and not log
an app.json that is a pipe does not hold up the check | right | fifo | {} | {} | r["class"] == "build" and "regular" in r["reason"] and not log
a version with blanks is not sent | right | good | {} | {"version": "1.0 beta"} | r["class"] == "build" and r["stage"] == "check" and not log
a proxy that is down is a network failure | right | good | {} | {"proxy": "http://$gateway:9"} | r["class"] == "network" and r["retryable"] and r["stage"] == "prove" and "proxy" in r["reason"] and not log
a certificate nobody vouches for is a network failure | right | good | {} | {"caFile": null} | r["class"] == "network" and r["stage"] == "prove" and "certificate" in r["reason"] and "CA" in r["remedy"] and not uploads
a malformed request is the farm's fault | right | good | {} | {"mode": "sell"} | r["class"] == "infrastructure" and r["stage"] == "check" and "mode" in r["reason"] and not log
an option out of range is named as in slipway.yaml | right | good | {} | {"options": {"prove_timeout_seconds": 999}} | r["class"] == "build" and r["stage"] == "check" and "prove_timeout_seconds" in r["reason"] and not log
an option nobody knows is refused with those there are | right | good | {} | {"options": {"minify_wxlm": true}} | r["class"] == "build" and "minify_wxlm" in r["reason"] and "minify_wxml" in r["reason"] and not log
a setting that would run code next to the key is no option | right | good | {} | {"options": {"use_compiler_plugins": "less"}} | r["class"] == "build" and "use_compiler_plugins" in r["reason"] and not log
TABLE

canceled "a publish stopped before the upload began is certainly not published" '{}' 'compiling' \
  'r["class"] == "infrastructure" and "SIGTERM" in r["reason"] and not uploads'
canceled "a publish stopped after the upload began is unknown" '{"fault": "hang"}' 'uploading' \
  'r["class"] == "publish_unknown" and "SIGTERM" in r["reason"] and len(uploads) == 1'

accepted_are 5  # three uploads, preview, and the preview whose code was withheld
echo "one upload took $success_ms ms"
finish
