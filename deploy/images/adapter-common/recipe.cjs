// What the recipes share: adapters of platforms to which nothing was ever sent from here. Their clients'
// words are known from hearsay only, so little is concluded from them: a refusal is believed when it says so
// plainly, and success when the client returned what belongs to it.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { format } = require('util');
const { NETWORK, refused } = require('./classify.cjs');
const { build, productFile, rootInside } = require('./check.cjs');
const { ProveError } = require('./wire.cjs');

const MOST_WORDS = 4000;
const MAX_IMAGE = 128 << 10;

// --- Credentials ---

function readToken(text) {
  const token = text.trim();
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw new ProveError('key', 'the token cannot be used: it must be one line without blanks');
  return token;
}

function readRsaKey(pem) {
  let key;
  try {
    key = crypto.createPrivateKey(pem);
  } catch (error) {
    throw new ProveError('key', `the upload key cannot be used: ${error.message}`);
  }
  if (key.asymmetricKeyType !== 'rsa') throw new ProveError('key', `the upload key cannot be used: it is of type ${key.asymmetricKeyType}, RSA is needed`);
  return pem;
}

// --- Products ---

// Commands of the project file run in the process that holds the credential; of settings that are more than
// a value nobody knows what a compiler makes of them. Returns what is wrong, or null.
function unsafe({ scripts, setting }, file) {
  const filled = (value) => value !== null && typeof value === 'object' && Object.keys(value).length > 0;
  if (scripts !== undefined && scripts !== null && (typeof scripts !== 'object' || filled(scripts))) {
    return build(`${file}: "scripts" would run code of the product next to the credential`, 'scripts');
  }
  if (setting !== undefined && (setting === null || typeof setting !== 'object')) return build(`${file}: setting is not an object`, 'scripts');
  const name = Object.keys(setting ?? {}).find((one) => filled(setting[one]));
  return name === undefined ? null : build(`${file}: setting.${name} could change what the compiler does next to the credential`, 'scripts');
}

// A product with a file `name` that says its app id under the first of `ids` there is, and where it lies under `rootKey`:
// {config, directory} or {problem}.
function readProduct(request, { name, ids = ['appid'], rootKey = 'miniprogramRoot' }) {
  const config = productFile(request.projectDir, name);
  if (config.problem) return config;
  const appId = ids.map((id) => config.json[id]).find((value) => value !== undefined && value !== '');
  if (String(appId) !== request.appId) {
    return { problem: build(`${name} says appid "${appId}", slipway.yaml says app_id "${request.appId}"`, 'appid') };
  }
  const problem = unsafe(config.json, name);
  if (problem) return { problem };
  const root = rootInside(request, config.json[rootKey], `${rootKey} of ${name}:`);
  if (root.problem) return root;
  const app = productFile(root.directory, 'app.json');
  return app.problem ? app : { config: config.json, directory: root.directory };
}

const dottedNumbers = (request, platform) => (/^\d{1,9}(\.\d{1,9}){1,3}$/.test(request.version)
  ? null : build(`version "${request.version}" is not one ${platform} takes`, 'version'));

// --- The client ---

// Runs act() and gives what it returns. The client may print its failures, end the process with any status, or
// both; all of that is the message of the error instead. secrets never get into it.
async function listen(secrets, act) {
  let said = '';
  const keep = (text) => { said = (said + text).slice(-MOST_WORDS); };
  for (const name of ['debug', 'log', 'info', 'warn', 'error']) console[name] = (...parts) => keep(`${format(...parts)}\n`);
  process.stdout.write = process.stderr.write = (text) => { keep(String(text)); return true; };
  const failure = (what) => new Error(`${said.trim() ? `${said.trim()}\n` : ''}(${what})`);
  const hidden = (text) => secrets.reduce((shown, secret) => shown.split(secret).join('[credential]'), text);
  const ended = new Promise((_, reject) => {
    const end = Symbol('end');
    process.exit = (status) => {
      const error = failure(`the client ended with exit status ${status ?? process.exitCode ?? 0} and without a result`);
      // One that hands over its result and ends at once has handed it over.
      setImmediate(reject, error);
      throw Object.assign(error, { [end]: true });
    };
    process.once('beforeExit', () => reject(failure('the client ended without a result')));
    for (const event of ['uncaughtException', 'unhandledRejection']) {
      process.on(event, (error) => { if (!error?.[end]) reject(error); });
    }
  });
  try {
    return await Promise.race([act(failure), ended]);
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(format(thrown));
    error.message = hidden(error.message || said);
    throw error;
  }
}

// --- Codes ---

const isImage = (bytes) => bytes.subarray(0, 4).toString('hex') === '89504e47' || bytes.subarray(0, 3).toString('hex') === 'ffd8ff';

// Keeps an image of the platform in outDir; {} when it is none.
function keepImage(request, bytes) {
  if (bytes.length === 0 || bytes.length > MAX_IMAGE || !isImage(bytes)) return {};
  const qrFile = `platform-code.${bytes[0] === 0x89 ? 'png' : 'jpg'}`;
  fs.rmSync(path.join(request.outDir, qrFile), { recursive: true, force: true });
  fs.writeFileSync(path.join(request.outDir, qrFile), bytes, { flag: 'wx' });
  return { qrFile };
}

// An image that a client gave: its address, or its bytes in base64, alone or as a data address.
function imageOf(request, value) {
  if (typeof value !== 'string' || value === '') return {};
  if (/^https?:\/\//i.test(value)) return { qrImageUrl: value };
  const base64 = /^(?:data:image\/[a-z+]+;base64,)?([A-Za-z0-9+/=\s]+)$/.exec(value)?.[1];
  return base64 ? keepImage(request, Buffer.from(base64, 'base64')) : {};
}

function imageIn(request, file) {
  try {
    return fs.statSync(file).size > MAX_IMAGE ? {} : keepImage(request, fs.readFileSync(file));
  } catch {
    return {};
  }
}

// When a code ends, in seconds, milliseconds or words; {} when the platform does not say it.
function endOf(value) {
  if (value === undefined || value === null || value === '') return {};
  const number = Number(value);
  const time = new Date(Number.isNaN(number) ? value : number * (number < 1e11 ? 1000 : 1));
  return Number.isNaN(time.getTime()) ? {} : { qrExpiresAt: time.toISOString() };
}

// --- Classes ---

const SYSTEM = /system|busy|time.?out|retry|try again|internal|unavailable|系统|繁忙|超时|重试|稍后|服务异常/i;
const IP = /\bip\b.*(invalid|white|allow|not in)|invalid ip|白名单/i;
const CREDENTIAL = /(token|bduss|private.?key|key|sign(ature)?|密钥|秘钥|签名|令牌|登录状态)\W{0,3}.{0,40}?(invalid|error|expire|wrong|not match|mismatch|fail|illegal|无效|错误|过期|失效|不匹配|不正确|非法)|(invalid|expired|wrong|illegal|无效的?|错误的?)\W{0,3}(token|private.?key|key|sign(ature)?|密钥|秘钥|签名)|not logged.?in|no permission|permission denied|unauthori[sz]ed|not authori[sz]ed|未登录|登录状态过期|无权限|没有权限|未授权/i;
const SIZE = /exceed|too large|too big|超过|过大|超出/i;
const VERSION = /version|版本/i;
const REFUSED = /refus|reject|denied|forbid|illegal|violat|not (allowed|permitted)|不允许|不合规|不符合|违规|拒绝|禁止|审核/i;
const PRODUCT = /compil|syntax|unexpected token|(app|page|game|project\.config|project\.swan)[\w/-]*\.json|could not find|编译|语法|不存在|未找到|找不到/i;

// The last code and text as programs print them, in JSON or not: {apiCode, text}, or null.
function reply(words) {
  const code = [...words.matchAll(/\b(?:err_?code|err_?no|ret_?code|code|result|ret)["']?\s*[:=]\s*["']?(-?\d+)\b/gi)].pop();
  const text = [...words.matchAll(/\b(?:err_?msg|error_?msg|error_?message|message|msg)["']?\s*[:=]\s*(["'])((?:\\.|(?!\1).)*)\1/gi)].pop();
  if (!code || Number(code[1]) === 0) return null;
  return { apiCode: Number(code[1]), text: text ? text[2] : words };
}

const credentialOutcome = (codes, words) => refused('credential', IP.test(words) ? 'ip' : 'key', codes, words);

function refusal(error, words) {
  if (IP.test(words) || CREDENTIAL.test(words)) return credentialOutcome(error, words);
  return refused('platform_refused', SIZE.test(words) ? 'size' : VERSION.test(words) ? 'version-used' : 'refused', error, words);
}

function answer(error, words) {
  if (NETWORK.test(error.systemCode || '') || NETWORK.test(words)) return null;
  const said = reply(words);
  if (said === null || SYSTEM.test(said.text)) return null;
  const plain = [IP, CREDENTIAL, SIZE, VERSION, REFUSED].some((pattern) => pattern.test(said.text));
  return plain ? refusal({ ...error, apiCode: said.apiCode }, said.text) : null;
}

function clientError(error, words) {
  if (error.systemCode === 'MODULE_NOT_FOUND') return { class: 'infrastructure', remedy: 'no-client' };
  if (NETWORK.test(error.systemCode || '') || NETWORK.test(words)) return null;
  if (IP.test(words) || CREDENTIAL.test(words)) return { class: 'credential', remedy: IP.test(words) ? 'ip' : 'key' };
  return PRODUCT.test(words) ? { class: 'build', remedy: 'compile' } : null;
}

// The remedies that a recipe adds; `where` says in both languages where its client is had.
const remedies = ({ platform, platformZh }, where) => ({
  scripts: ['Let the build script do this, and remove it from the product.',
    '请在构建脚本中完成这些工作，并从产物中删除该设置。'],
  keyfile: [`Copy the upload credential of this app from the ${platform} console and seal it anew: slipway credentials seal.`,
    `请从${platformZh}开放平台重新获取此小程序的上传凭据，并用 slipway credentials seal 重新加密保存。`],
  key: [`The credential does not belong to this app or is no longer valid: get the current one from the ${platform} console and seal it anew: slipway credentials seal.`,
    `凭据与此小程序不匹配或已失效：请从${platformZh}开放平台获取当前的凭据，并用 slipway credentials seal 重新加密保存。`],
  ip: [`Add the address named above to the allow-list in the ${platform} console, or route the publish through an allowed proxy.`,
    `请把上述 IP 加入${platformZh}开放平台的白名单，或通过白名单内的代理发布。`],
  size: [`Move pages into subpackages, or images and data out of the package; the limit is ${platform}'s.`,
    `请使用分包，或把图片和数据移出代码包；该限制由${platformZh}平台规定。`],
  'version-used': [`Choose another version: ${platform}'s own words are above.`,
    `请更换版本号：${platformZh}平台的原话见上。`],
  'no-client': [`This image was made without ${platform}'s client: ${where[0]}`,
    `此镜像不含${platformZh}的客户端：${where[1]}`],
});

// A platform that cannot be asked about versions, or not by what is known of it here.
const cannotTell = ({ platform, versions, versionsZh }) => async ({ version }) => ({
  verdict: 'cannot_tell',
  words: `${platform} was not asked: no question is known here that tells which versions it holds.`,
  remedy: `Look at ${versions} for version ${version}, then say what you saw: slipway releases resolve.`,
  remedyZh: `请在${versionsZh}中查看 ${version}，再用 slipway releases resolve 告知农场。`,
});

module.exports = {
  answer, cannotTell, clientError, dottedNumbers, endOf, imageIn, imageOf, listen, readProduct, readRsaKey, readToken,
  refusal, remedies,
};
