// Alipay, by minidev: it packs the product's source, the platform compiles it. Asked by ourselves is only
// which version the platform holds (appUploadDetail), which proves the credential and answers a probe.
'use strict';
const crypto = require('crypto');
const path = require('path');
const { CERTIFICATE, refused } = require('./common/classify.cjs');
const { build, compareVersions, exists, productFile, rootInside, threeNumbers } = require('./common/check.cjs');
const { ProveError, askJson, holdClient } = require('./common/wire.cjs');

const HOST = 'ideservice.alipay.com';
const MAX_DESCRIPTION = 199;
const CREDENTIAL_WORDS = /toolId|sign(ature)?\b.*(fail|invalid|error|wrong)|no permission|not authori[sz]ed|white ?list|验签|签名|权限|白名单|未授权/i;
const KEY_HEADER = '-----BEGIN PRIVATE KEY-----';

function readCredential(text) {
  const bad = (why) => new ProveError('key', `the identity file cannot be used: ${why}`);
  let identity;
  try {
    identity = JSON.parse(text)?.alipay?.authentication;
  } catch {
    throw bad('it is not JSON');
  }
  const { privateKey, toolId } = identity ?? {};
  if (typeof privateKey !== 'string' || typeof toolId !== 'string') throw bad('alipay.authentication lacks privateKey or toolId');
  if (privateKey.includes('BEGIN RSA')) throw bad('the key must be in PKCS#8 form');
  // The client takes a key without its header and trailer, too.
  const pem = privateKey.includes(KEY_HEADER) ? privateKey : `${KEY_HEADER}\n${privateKey.trim()}\n-----END PRIVATE KEY-----`;
  let key;
  try {
    key = crypto.createPrivateKey(pem);
  } catch (error) {
    throw bad(error.message);
  }
  if (key.asymmetricKeyType !== 'rsa') throw bad(`the key is of type ${key.asymmetricKeyType}, RSA is needed`);
  return { key, privateKey: pem, toolId };
}

// The newest version that the platform holds of the application.
async function prove(request, { key, toolId }) {
  const fields = { appId: request.appId, clientId: 'com.alipay.alipaywallet', clientType: 'alipay' };
  const text = Object.keys(fields).sort().map((name) => `${name}=${fields[name]}`).join('&');
  const sign = crypto.createSign('RSA-SHA256').update(text).sign(key, 'base64');
  const query = new URLSearchParams({ ...fields, toolId, toolType: 'CLI' });
  const { status, json } = await askJson(request, {
    host: HOST, path: `/cli/miniapp/appUploadDetail.json?${query}`, method: 'GET',
    headers: { sign, signType: 'SHA256WithRSA', referer: `https://${HOST}`, origin: `https://${HOST}` } });
  if (json.stat === 'ok') {
    const newest = json.data?.lastVersion ?? '0.0.0';
    // Without it nothing would show that a version is absent.
    if (!json.data || typeof json.data !== 'object' || !/^\d+\.\d+\.\d+$/.test(newest)) {
      throw new ProveError('network', `${HOST} answered without the newest version: ${JSON.stringify(json).slice(0, 200)}`);
    }
    return { newest };
  }
  if (typeof json.stat !== 'string') throw new ProveError('network', `${HOST} answered HTTP ${status} without a "stat"`);
  throw new ProveError('refused', String(json.msg ?? json.stat), {});
}

async function probe({ appId, version }, { newest }) {
  const words = `Alipay holds ${newest} as the newest version of ${appId}.`;
  switch (compareVersions(newest, version)) {
    case 0: return { verdict: 'published', version, words };
    // A version appears once Alipay has compiled it, which nobody can see going on.
    case -1: return {
      verdict: 'cannot_tell', words,
      remedy: `If ${version} arrived, Alipay may still be compiling it. Probe again in some minutes; if it stays away, look at the version list of the Alipay console and say what you saw: slipway releases resolve.`,
      remedyZh: `若 ${version} 已上传，支付宝可能仍在编译。请几分钟后再次探测；若仍未出现，请查看支付宝开放平台的版本列表，再用 slipway releases resolve 告知农场。` };
    default: return {
      verdict: 'cannot_tell', words,
      remedy: `A newer version was uploaded since. Look at the version list of the Alipay console for ${version}, then say what you saw: slipway releases resolve.`,
      remedyZh: `此后已上传了更新的版本。请在支付宝开放平台的版本列表中查看 ${version}，再用 slipway releases resolve 告知农场。` };
  }
}

function check(request) {
  if (request.mode === 'preview') {
    return build('Alipay compiles a preview with a builder that is not in this image', 'preview');
  }
  const config = productFile(request.projectDir, 'mini.project.json');
  if (config.problem && !config.absent) return config.problem;
  // The client would run them in the process that holds the identity.
  if (config.json?.scripts && Object.keys(config.json.scripts).length > 0) {
    return build('mini.project.json: "scripts" would run code of the product next to the identity', 'scripts');
  }
  if (exists(path.join(request.projectDir, '.minidev'))) {
    return build('the product has a .minidev, which would change what the upload client does', 'scripts');
  }
  const root = rootInside(request, config.json?.miniprogramRoot, 'miniprogramRoot of mini.project.json:');
  if (root.problem) return root.problem;
  const app = productFile(root.directory, 'app.json');
  if (app.problem) return app.problem;
  return threeNumbers(request, 'Alipay');
}

async function publish(request, { privateKey, toolId }, { tell, requireClient, proof }) {
  // Otherwise a probe could take the earlier upload for this one.
  if (compareVersions(proof.newest, request.version) >= 0) {
    throw new ProveError('version-used', `Alipay holds version ${proof.newest} already; ${request.version} is not above it`);
  }
  holdClient(request, { hosts: [HOST], tell, carriesProduct: ({ path }) => path.startsWith('/cli/miniapp/uploadCode.json') });
  process.env.MINIDEV_SKIP_DOWNLOAD_ASSETS = '1';
  const { minidev, setSilent } = requireClient('minidev');
  setSilent(true);
  await tell({ event: 'client', doing: 'packing', client: `minidev ${requireClient('minidev/package.json').version}` });
  await minidev.config.useRuntime({ 'alipay.authentication': { privateKey, toolId } });
  const app = { appId: request.appId, clientType: 'alipay' };
  const done = await minidev.upload({
    ...app, project: request.projectDir, version: request.version, versionDescription: request.description.slice(0, MAX_DESCRIPTION) });
  if (done?.version !== request.version) throw new Error(`the client says that it uploaded version ${done?.version}`);
  const outcome = {};
  if (request.options.experience) {
    // The version is there whatever becomes of its code.
    await tell({ event: 'published', outcome });
    const { qrCodeUrl } = await minidev.app.setExperience({ ...app, version: request.version });
    if (qrCodeUrl) outcome.qrImageUrl = String(qrCodeUrl);
  }
  return outcome;
}

// What may not be used, rather than who may not use it.
const ABOUT_CONTENT = /plug-?in|插件|content|内容/i;

const refusal = (error, words) => ((CREDENTIAL_WORDS.test(words) && !ABOUT_CONTENT.test(words))
  ? refused('credential', 'key', error, words)
  : refused('platform_refused', /version|版本/i.test(words) ? 'version-used' : 'refused', error, words));

// Only these two are the platform's no to what was sent; others leave open what became of it.
function answer(error, words) {
  if (error.clientCode === 'FailedToPublish' && error.payload?.stat === 'deny') return refusal(error, String(error.payload.msg ?? words));
  if (error.clientCode === 'PublishBuildError') {
    const log = Array.isArray(error.payload) ? error.payload.filter((line) => typeof line === 'string' && line !== '') : [];
    // The client says the same of any state that it does not know, one that goes on among them.
    if (!log.some((line) => /error|fail|错误|失败/i.test(line))) return null;
    return refused('platform_refused', 'compile', error, [words, ...log].join('\n'));
  }
  return null;
}

function clientError(error, words) {
  if (/DECODER|PEM/.test(words)) return { class: 'credential', remedy: 'keyfile' };
  if (error.clientCode === 'InValidVersion') return { class: 'build', remedy: 'version' };
  if (CERTIFICATE.test(words)) return { class: 'network', remedy: 'tls' };
  return null;
}

module.exports = {
  name: 'alipay',
  words: { platform: 'Alipay', platformZh: '支付宝', host: HOST, credential: 'identity',
    versions: 'the version list of the Alipay console', versionsZh: '支付宝开放平台的版本列表' },
  options: { experience: { type: 'flag', standard: false } },
  remedies: {
    keyfile: ['Make a tool key in the Alipay console (Development settings › Developer tools) and seal the JSON identity file anew: slipway credentials seal.',
      '请在支付宝开放平台“开发设置 › 开发工具密钥”生成密钥，并用 slipway credentials seal 重新加密保存 JSON 身份文件。'],
    key: ['The tool key is not registered, or has no right to this app: look at the tool keys in the Alipay console, and seal the identity file anew: slipway credentials seal.',
      '工具密钥未登记，或无权操作此小程序：请在支付宝开放平台检查工具密钥，并用 slipway credentials seal 重新加密保存身份文件。'],
    'version-used': ['Choose a higher version: Alipay wants every upload to have one above the last.',
      '请使用更高的版本号：支付宝要求每次上传的版本号都大于上一次。'],
    preview: ['Publish with "experience: true" under platforms.alipay.publish: its code opens the uploaded version.',
      '请在 platforms.alipay.publish 下设置 "experience: true" 后发布：所得二维码可打开上传的版本。'],
    scripts: ['Let the build script do this, and remove it from the product.',
      '请在构建脚本中完成这些工作，并从产物中删除该设置。'],
  },
  answer, check, clientError, probe, prove, publish, readCredential, refusal,
};
