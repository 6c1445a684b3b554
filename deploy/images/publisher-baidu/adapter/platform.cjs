// Baidu, by the programming interface behind the command line of swan-toolkit. A compiler that Baidu's servers
// hand out, a process of its own, compiles and sends the product. Asked by ourselves is only whether the login
// may see the application, as the client asks it. Nothing was ever sent to this platform from here.
'use strict';
const fs = require('fs');
const path = require('path');
const { build, exists, productFile } = require('./common/check.cjs');
const { holdingEnvironment } = require('./common/hold.cjs');
const recipe = require('./common/recipe.cjs');
const { ProveError, askJson } = require('./common/wire.cjs');

const HOST = 'smartprogram.baidu.com';
// Where compiled packages go is known to the compiler only; bcebos.com is Baidu's object store.
const HOSTS = ['.baidu.com', '.bcebos.com'];
const CONFIG = 'project.swan.json';
const COMPILER = 'comp-bin-linux';
const words = { platform: 'Baidu', platformZh: '百度', host: HOST, credential: 'login token',
  versions: 'the development versions in the Baidu smart program console', versionsZh: '百度智能小程序平台的开发版本' };

async function prove(request, token) {
  const { status, json } = await askJson(request, {
    host: HOST, path: `/mappconsole/api/checkAppid?${new URLSearchParams({ appId: request.appId })}`, method: 'GET', headers: { cookie: `BDUSS=${token}` } });
  if (json.errno === 0) return {};
  if (typeof json.errno !== 'number') throw new ProveError('network', `${HOST} answered HTTP ${status} without an errno`);
  throw new ProveError('refused', String(json.errmsg ?? json.errMsg ?? json.msg ?? ''), { apiCode: json.errno });
}

// Of the login: not logged in, no right to the application.
const CREDENTIAL_CODES = new Set([30000004, 30001002, 30001003]);

function refusal(error, said) {
  return CREDENTIAL_CODES.has(error.apiCode) ? { ...recipe.refusal(error, said), class: 'credential', remedy: 'key' } : recipe.refusal(error, said);
}

function clientError(error, said) {
  // What the client had Baidu's servers hand out when the image was made.
  if (/configuration file failed/.test(said)) return { class: 'infrastructure', remedy: 'no-client' };
  return recipe.clientError(error, said);
}

// Arguments for the compiler, or settings of a form that nobody knows, would reach the process that has the login.
function unsafeCompilation(config) {
  const problem = (what) => build(`${CONFIG}: ${what}`, 'scripts');
  const given = config['compilation-args'];
  if (given === undefined) return null;
  if (given === null || typeof given !== 'object') return problem('compilation-args is not an object');
  const { options = [], common = {} } = given;
  if (!Array.isArray(options)) return problem('compilation-args.options is not a list');
  for (const { extra = {} } of options.filter((one) => one !== null && typeof one === 'object')) {
    for (const value of [extra?.compileArgs, extra?.compilationArgs, extra?.index].filter((one) => one !== undefined && one !== '')) {
      if (!/^(--module (cmd|amd)|[\w/-]+)$/.test(value)) return problem(`compilation-args gives the compiler "${value}"`);
    }
  }
  const name = Object.keys(common ?? {}).find((one) => common[one] !== null && typeof common[one] === 'object' && Object.keys(common[one]).length > 0);
  if (name !== undefined) return problem(`compilation-args.common.${name} could change what the compiler does next to the login`);
  return given.useOldCompiler === false ? problem('compilation-args.useOldCompiler chooses a compiler that cannot be held to checked connections') : null;
}

function check(request) {
  const { problem, config } = recipe.readProduct(request, { name: CONFIG, rootKey: 'smartProgramRoot' });
  if (problem) return problem;
  if (!['normal', undefined].includes(config.developType)) return build(`${CONFIG}: developType "${config.developType}" is no mini program`, 'output');
  const compilation = unsafeCompilation(config);
  if (compilation) return compilation;
  const ext = productFile(request.projectDir, 'ext.json');
  if (ext.problem && !ext.absent) return ext.problem;
  if (ext.json?.extAppid) return build(`ext.json names another application: ${ext.json.extAppid}`, 'appid');
  return request.mode === 'preview' ? null : recipe.dottedNumbers(request, 'Baidu');
}

// The client keeps what it writes beside what it was given; the image cannot be written.
function environment(work, request) {
  const home = path.join(work, 'swan');
  fs.mkdirSync(home);
  return { ...holdingEnvironment(work, request, HOSTS), SWAN_IDE_CLI_ROOT: home, IS_CLI: '1', RUNTIME: 'SWAN_IDE_CLI',
    PROJECT_CONFIG_PATH: path.join(work, 'swan-cli-project-config') };
}

// Lets the client find the compiler, and not look for newer ones.
function prepare(clientDirectory, version) {
  const vendor = path.join(clientDirectory, 'swan/vendor');
  const compiler = path.join(vendor, COMPILER);
  if (!exists(compiler)) throw Object.assign(new Error(`the image has no compiler of Baidu's (${compiler})`), { code: 'MODULE_NOT_FOUND' });
  // A program that is not Node.js would take the login over connections that nobody checks.
  if (fs.readdirSync(compiler).some((one) => exists(path.join(compiler, one, 'compiler-bin')))) {
    throw Object.assign(new Error('Baidu\'s compiler in this image cannot be held to checked connections'), { code: 'MODULE_NOT_FOUND' });
  }
  const home = process.env.SWAN_IDE_CLI_ROOT;
  for (const name of fs.readdirSync(path.dirname(vendor)).filter((entry) => entry !== 'vendor')) {
    fs.symlinkSync(path.join(clientDirectory, 'swan', name), path.join(home, name));
  }
  for (const name of fs.readdirSync(vendor)) {
    fs.mkdirSync(path.join(home, 'vendor', name), { recursive: true });
    // It chooses among the versions, and writes down its choice beside them.
    for (const one of fs.readdirSync(path.join(vendor, name)).filter((entry) => entry !== 'current')) {
      fs.symlinkSync(path.join(vendor, name, one), path.join(home, 'vendor', name, one));
    }
  }
  fs.mkdirSync(path.join(home, 'first-run'));
  fs.writeFileSync(path.join(home, 'first-run', version), '');
}

async function publish(request, token, { tell, requireClient, clientDirectory }) {
  return recipe.listen([token], async (failure) => {
    const { version } = requireClient('swan-toolkit/package.json');
    prepare(clientDirectory, version);
    await tell({ event: 'client', doing: 'compiling', client: `swan-toolkit ${version}` });
    const given = {
      token, json: true, base64: true, projectPath: request.projectDir, minSwanVersion: request.options.min_swan_version, desc: request.description };
    if (request.mode === 'preview') {
      const { CLIPreview } = requireClient('swan-toolkit/bin/api/sdk/preview');
      const [made] = (await new CLIPreview(given).preview())?.list ?? [];
      if (typeof made?.url !== 'string' || made.url === '') throw failure('the client returned no preview code');
      return { qrText: made.url, ...recipe.imageOf(request, made.urlBase64) };
    }
    const { CLIUpload } = requireClient('swan-toolkit/bin/api/sdk/upload');
    const done = await new CLIUpload({ ...given, releaseVersion: request.version, sourcemap: request.options.source_map }).upload();
    const text = done?.schemeUrlOpti || done?.schemeUrl;
    if (typeof text !== 'string' || text === '') throw failure('the client returned no address of what was uploaded');
    return { qrText: text, link: text, sizes: Number.isFinite(done.fileSize) ? [{ name: 'package', size: done.fileSize }] : [],
      ...recipe.imageOf(request, done.schemeUrlOpti ? done.schemeUrlOptiBase64 : done.schemeUrlBase64) };
  });
}

module.exports = {
  name: 'baidu',
  words,
  options: {
    min_swan_version: { type: 'text', standard: '3.350.6', form: /^\d{1,5}(\.\d{1,5}){1,3}$/, example: '3.350.6' },
    source_map: { type: 'flag', standard: false },
  },
  environment,
  remedies: {
    ...recipe.remedies(words, [
      'make it where mbd.baidu.com can be reached, which hands out the compiler: deploy/images/build --publisher-baidu.',
      '请在能访问 mbd.baidu.com（提供编译器）的机器上运行 deploy/images/build --publisher-baidu。']),
    version: ['Use two to four numbers with dots, for example 1.4.2.',
      '版本号请使用二到四段数字，例如 1.4.2。'],
  },
  check,
  probe: async (request) => ({ ...await recipe.cannotTell(words)(request),
    words: `Baidu accepts the login for ${request.appId}, but no question is known here that tells which versions it holds.` }),
  prove,
  publish,
  readCredential: recipe.readToken,
  answer: recipe.answer,
  clientError,
  refusal,
};
