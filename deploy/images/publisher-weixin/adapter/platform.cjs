// WeChat, by miniprogram-ci, which compiles and sends the product. The credential is proved by ourselves
// before: the client only logs a refusal there and goes on.
'use strict';
const fs = require('fs');
const path = require('path');
const { refused } = require('./common/classify.cjs');
const { watchClient } = require('./common/wire.cjs');
const { checkProduct } = require('./check.cjs');
const { HOST, loadKey, proveCredential } = require('./prove.cjs');

// Refusals that are about who asks, not about what was sent: bad signature or key, address not on the
// list of the platform's console. Codes nest, in numbers and in words.
const CREDENTIAL_CODES = new Set([-10007, -10008, -10002, -80002]);
const CREDENTIAL_WORDS = /invalid (ip|sign|signature|appid)|sign(ature)? invalid|get new ticket fail/i;
const IP_WORDS = /invalid ip/i;

// Settings of the client that a project may decide about, by their names in slipway.yaml. Others are
// refused: some make the client run code next to the upload key.
const CLIENT_SETTINGS = {
  es6: 'es6',
  es7: 'es7',
  minify: 'minify',
  minify_js: 'minifyJS',
  minify_wxml: 'minifyWXML',
  minify_wxss: 'minifyWXSS',
  code_protect: 'codeProtect',
  auto_prefix_wxss: 'autoPrefixWXSS',
  disable_use_strict: 'disableUseStrict',
  compile_worklet: 'compileWorklet',
};

// People reach the uploaded version under this fixed address, once a robot's version has been marked
// as the experience version in the platform's console; `upload` itself returns no code.
const experienceLink = (appId) => `https://open.weixin.qq.com/sns/getexpappinfo?appid=${appId}#wechat-redirect`;

function clientSettings(options) {
  const settings = { useProjectConfig: options.use_project_config };
  for (const [name, setting] of Object.entries(CLIENT_SETTINGS)) {
    if (options[name] !== undefined) settings[setting] = options[name];
  }
  return settings;
}

// From these requests on the product may be at the platform: the upload itself, and any request to
// another host (packages above 5 MB go to the vendor's object store).
const carriesProduct = ({ host, path: where }) => host !== HOST || /^\/wxa\/ci\/(upload|testSourceURL)\b/.test(where);

// What the image of a code says, read with the client's own libraries, so that it can be drawn anew in any
// size; nothing when it cannot be read, which depends on how large it is drawn.
async function textOfCode(file, requireClient) {
  const Jimp = requireClient('jimp');
  const Reader = requireClient('qrcode-reader');
  for (const scale of [1, 2, 0.5]) {
    try {
      const image = await Jimp.read(file);
      if (scale !== 1) image.scale(scale, Jimp.RESIZE_NEAREST_NEIGHBOR);
      const text = await new Promise((resolve, reject) => {
        const reader = new Reader();
        reader.callback = (error, value) => (error ? reject(new Error(String(error))) : resolve(value.result));
        reader.decode(image.bitmap);
      });
      if (text && text.length <= 2048) return text;
    } catch {
      // The next size.
    }
  }
  return null;
}

async function publish(request, { pem }, { tell, requireClient }) {
  watchClient({ tell, carriesProduct });
  const ci = requireClient('miniprogram-ci');
  await tell({ event: 'client', doing: 'compiling', client: `miniprogram-ci ${requireClient('miniprogram-ci/package.json').version}` });
  if (request.proxy) ci.proxy(request.proxy);
  const project = new ci.Project({
    appid: request.appId,
    type: 'miniProgram',
    projectPath: request.projectDir,
    privateKey: pem,
    ignores: ['node_modules/**/*'],
  });
  const common = {
    project,
    version: request.version,
    desc: request.description,
    robot: request.options.robot,
    setting: clientSettings(request.options),
    onProgressUpdate: () => {},  // otherwise hundreds of lines
  };
  if (request.mode === 'preview') {
    const qrFile = path.join(request.outDir, 'preview-qr.jpg');
    const done = await ci.preview({ ...common, qrcodeFormat: 'image', qrcodeOutputDest: qrFile });
    if (!fs.existsSync(qrFile) || fs.statSync(qrFile).size === 0) throw new Error('the platform sent no preview code');
    const qrText = await textOfCode(qrFile, requireClient);
    return { sizes: done.subPackageInfo ?? [], qrFile: path.basename(qrFile), ...(qrText ? { qrText } : {}) };
  }
  const done = await ci.upload(common);
  return { sizes: done.subPackageInfo ?? [], link: experienceLink(request.appId) };
}

// WeChat answers an upload key about the application (getattr) and hands out the source map of each
// robot's newest upload (get_dev_sourcemap), which names no version: neither tells whether this
// version arrived. So the answer is that only a person can see it, and where.
async function probe({ appId, version, options: { robot } }) {
  return {
    verdict: 'cannot_tell',
    words: `WeChat accepts the key of ${appId}, but tells an upload key nothing about the versions it holds.`,
    remedy: `Look at Version management in the WeChat console for version ${version} by CI robot ${robot}, then say what you saw: slipway releases resolve.`,
    remedyZh: `请在公众平台“版本管理”中查看 CI 机器人 ${robot} 是否提交了版本 ${version}，再用 slipway releases resolve 告知农场。`,
  };
}

function refusal({ apiCode, clientCode }, words) {
  const inner = /(?:innerCode|errcode|errCode)\s*[:=]\s*(-?\d+)/.exec(words);
  const codes = { apiCode, apiInnerCode: inner ? Number(inner[1]) : null, clientCode };
  if (CREDENTIAL_CODES.has(codes.apiCode) || CREDENTIAL_CODES.has(codes.apiInnerCode) || CREDENTIAL_WORDS.test(words)) {
    const ip = apiCode === -10008 || apiCode === -10002 || IP_WORDS.test(words);
    return refused('credential', ip ? 'ip' : 'key', codes, words);
  }
  const size = codes.apiInnerCode === 80051 || /exceed max limit/i.test(words);
  return refused('platform_refused', size ? 'size' : 'refused', codes, words);
}

// The platform's JSON inside a client's error text, e.g. `Error: {"errCode":-10008,"errMsg":"…"}`.
function answer(error, words) {
  const start = words.indexOf('{"');
  if (start < 0) return null;
  try {
    const reply = JSON.parse(words.slice(start, words.lastIndexOf('}') + 1));
    if (typeof reply.errCode !== 'number' || reply.errCode === 0) return null;
    const said = String(reply.errMsg ?? '');
    if (reply.errCode === -1 && /system|time.?out|busy|系统|超时/i.test(said)) return null;
    return refusal({ apiCode: reply.errCode, clientCode: error.clientCode }, said);
  } catch {
    return null;
  }
}

function clientError({ clientCode: code }, words) {
  if (code === 20002) return { class: 'credential', remedy: 'keyfile' };
  // 10005…10093 and 20000 are the compiler's: files missing, syntax, JSON, plugins.
  if ((code > 10000 && code < 10100) || code === 20000) return { class: 'build', remedy: 'compile' };
  if (code === 20001 || code === 20003) return { class: 'network', remedy: /certificate|issuer|SSL|TLS/i.test(words) ? 'tls' : 'network' };
  return null;
}

module.exports = {
  name: 'weixin',
  previewVersion: '0.0.1',
  words: { platform: 'WeChat', platformZh: '微信', host: HOST, credential: 'key',
    versions: 'Version management in the WeChat console', versionsZh: '公众平台“版本管理”' },
  options: {
    robot: { type: 'number', standard: 1, low: 1, high: 30 },
    use_project_config: { type: 'flag', standard: true },
    ...Object.fromEntries(Object.keys(CLIENT_SETTINGS).map((name) => [name, { type: 'flag' }])),
  },
  remedies: {
    version: ['Use 1 to 64 letters, digits and dots, for example 1.4.2.',
      '版本号请使用 1 到 64 个字母、数字或点，例如 1.4.2。'],
    compiler: ['Let the build script compile these files, and remove the setting from the product\'s project.config.json; only "typescript" and "sass" may be compiled while publishing.',
      '请在构建脚本中完成这些文件的编译，并从产物的 project.config.json 中删除该设置；发布时只允许 "typescript" 和 "sass"。'],
    keyfile: ['Download the upload key of this app (Development › Development settings › Mini program code upload) and seal that file anew: slipway credentials seal.',
      '请在公众平台“开发管理 › 开发设置 › 小程序代码上传”重新下载上传密钥，并用 slipway credentials seal 重新加密保存。'],
    key: ['The key does not belong to this app or has been reset: download the current upload key in the WeChat console and seal it anew: slipway credentials seal.',
      '密钥与此小程序不匹配或已被重置：请在公众平台下载当前的上传密钥，并用 slipway credentials seal 重新加密保存。'],
    ip: ['Add the address named above to the IP allow-list next to the upload key in the WeChat console, or route the publish through an allowed proxy.',
      '请把上述 IP 加入公众平台上传密钥旁的“IP 白名单”，或通过白名单内的代理发布。'],
    size: ['Move pages into subpackages, or images and data out of the package; the limit is WeChat\'s.',
      '请使用分包，或把图片和数据移出代码包；该限制由微信平台规定。'],
  },
  answer,
  check: checkProduct,
  clientError,
  describe: (request) => `version ${request.version}, robot ${request.options.robot}`,
  probe,
  prove: proveCredential,
  publish,
  readCredential: loadKey,
  refusal,
};
