// Douyin, by the JS interface of tt-ide-cli (its command line ends with 0 whatever happens): it sends the
// product's source, the platform compiles it. Asked by ourselves is only which versions the platform
// names, which tries the token and answers a probe.
'use strict';
const fs = require('fs');
const path = require('path');
const { refused } = require('./common/classify.cjs');
const { build, productFile, rootInside, threeNumbers } = require('./common/check.cjs');
const { ProveError, askJson, holdClient } = require('./common/wire.cjs');

const HOST = 'developer.toutiao.com';
const HOSTS = [HOST, 'microapp.bytedance.com'];
const CREDENTIAL_WORDS = /token|cookie|login|登录|权限|permission|not authori[sz]ed|白名单/i;

function readCredential(text) {
  const token = text.trim();
  if (!/^[\x21-\x7e]{1,4096}$/.test(token)) throw new ProveError('key', 'the token cannot be used: it must be one line without blanks');
  return token;
}

// The versions that the platform names, for whatever reason it names them.
async function prove(request, token) {
  const { status, json } = await askJson(request, {
    host: HOST, path: `/api/developer/ide/v1/microapp/versions?${new URLSearchParams({ app_id: request.appId })}`, method: 'GET',
    headers: { 'x-cli-token': token, 'x-cli-appid': request.appId } });
  const code = json.code ?? json.error;
  if (code === undefined) throw new ProveError('network', `${HOST} answered HTTP ${status} without a code`);
  if (code !== 0) throw new ProveError('refused', String(json.msg ?? json.message ?? ''), { apiCode: Number(code) });
  return { named: Object.values(json.data ?? {}).filter((value) => typeof value === 'string') };
}

async function probe({ appId, version }, { named }) {
  if (named.includes(version)) {
    return { verdict: 'published', version, words: `Douyin names ${version} among the versions of ${appId}.` };
  }
  // What it names follows an upload only when the version is the newest; its absence shows nothing.
  const shown = named.filter((one) => /^\d+\.\d+\.\d+$/.test(one)).join(', ') || 'none';
  return {
    verdict: 'cannot_tell',
    words: `Douyin accepts the token of ${appId} and names these versions: ${shown}.`,
    remedy: `Look at the versions in the Douyin console for ${version}, then say what you saw: slipway releases resolve.`,
    remedyZh: `请在抖音开放平台的版本管理中查看 ${version}，再用 slipway releases resolve 告知农场。`,
  };
}

function check(request) {
  const config = productFile(request.projectDir, 'project.config.json');
  if (config.problem) return config.problem;
  // The client takes the first where there are both.
  const appId = config.json.ttappid ?? config.json.appid;
  if (appId !== request.appId) {
    return build(`project.config.json says appid "${appId}", slipway.yaml says app_id "${request.appId}"`, 'appid');
  }
  const root = rootInside(request, config.json.miniprogramRoot, 'miniprogramRoot of project.config.json:');
  if (root.problem) return root.problem;
  const app = productFile(root.directory, 'app.json');
  if (app.problem) return app.problem;
  return request.mode === 'preview' ? null : threeNumbers(request, 'Douyin');
}

async function publish(request, token, { tell, requireClient }) {
  holdClient(request, { hosts: HOSTS, tell, carriesProduct: ({ path: where, method }) => method !== 'GET' && /testing|preview|upload/.test(where) });
  const client = requireClient('tt-ide-cli');
  await tell({ event: 'client', doing: 'packing', client: `tt-ide-cli ${requireClient('tt-ide-cli/package.json').version}` });
  // Writes the token in clear under TMA_CLI_HOME: the job's own directory, in memory. The proxy is ours:
  // the client would switch the check of certificates off with it.
  await client.setAppConfig({ appid: request.appId, config: { token } });
  const common = { project: { path: request.projectDir }, qrcode: { format: 'terminal', output: '', options: {} }, copyToClipboard: false };
  const done = request.mode === 'preview'
    ? await client.preview({ ...common, page: { path: '', query: '', scene: '', launchFrom: '', location: '' }, cache: false })
    : await client.upload({ ...common, version: request.version, changeLog: request.description,
      needUploadSourcemap: request.options.upload_source_map });
  if (typeof done?.shortUrl !== 'string' || done.shortUrl === '') throw new Error('the platform sent no link to what was uploaded');
  const expires = Number(done.expireTime);
  return {
    link: done.shortUrl, qrText: done.shortUrl,
    qrExpiresAt: Number.isFinite(expires) && expires > 0 && expires < 8e9 ? new Date(expires * 1000).toISOString() : null,
  };
}

// What may not be used, rather than who may not use it.
const ABOUT_CONTENT = /plug-?in|插件|content|内容/i;

const refusal = (error, words) => ((CREDENTIAL_WORDS.test(words) && !ABOUT_CONTENT.test(words)) || error.apiCode === 401
  ? refused('credential', 'key', error, words)
  : refused('platform_refused', /version|版本/i.test(words) ? 'version-used' : 'refused', error, words));

// The client makes these errors of broken connections and of its own limits, too; the platform's no has
// a code above zero.
function answer(error, words) {
  if (!(error.clientCode > 0)) return null;
  const said = { ...error, apiCode: error.clientCode };
  // So it also ends when asking how the compilation goes fails.
  if (error.name === 'Compile Error' && !/https?:\/\/|\.(js|ts|json|ttml|ttss)\b|compil|syntax|编译|语法/i.test(words)) return null;
  if (error.name === 'Compile Error') return refused('platform_refused', 'compile', said, words);
  return error.name === 'Upload Error' ? refusal(said, words) : null;
}

function clientError(error, words) {
  if (error.name === 'Upload Error' && /is smaller than/.test(words)) return { class: 'platform_refused', remedy: 'version-used' };
  if (/无 Cookie|重新登录/.test(words)) return { class: 'credential', remedy: 'key' };
  if (error.name === 'Project Error' || error.name === 'PackageSize Error') return { class: 'build', remedy: 'compile' };
  return null;
}

module.exports = {
  name: 'douyin',
  words: { platform: 'Douyin', platformZh: '抖音', host: HOST, credential: 'token',
    versions: 'the versions in the Douyin console', versionsZh: '抖音开放平台的版本管理' },
  options: { upload_source_map: { type: 'flag', standard: true } },
  environment: (work) => {
    const home = path.join(work, 'tma');
    fs.mkdirSync(home);
    return { TMA_CLI_HOME: home, ALLOW_REPORT_EVENT: 'no' };
  },
  remedies: {
    keyfile: ['Copy the CI token of this app from the Douyin console (Development settings) and seal it anew: slipway credentials seal.',
      '请从抖音开放平台的开发设置复制此小程序的 CI token，并用 slipway credentials seal 重新加密保存。'],
    key: ['The token does not belong to this app or is no longer valid: copy the current one from the Douyin console and seal it anew: slipway credentials seal.',
      'token 与此小程序不匹配或已失效：请从抖音开放平台复制当前的 token，并用 slipway credentials seal 重新加密保存。'],
    'version-used': ['Choose a higher version: Douyin takes none below the one that it has.',
      '请使用更高的版本号：抖音不接受低于现有版本的版本号。'],
  },
  answer, check, clientError, probe, prove, publish, readCredential, refusal,
};
