// JD, by jd-miniprogram-ci: it packs the product's source, the platform compiles it. Nothing was ever sent to
// this platform from here.
'use strict';
const path = require('path');
const { build, exists, productFile } = require('./common/check.cjs');
const { holdingEnvironment } = require('./common/hold.cjs');
const recipe = require('./common/recipe.cjs');
const { ProveError } = require('./common/wire.cjs');

const CLIENT = 'jd-miniprogram-ci';
const CONFIG = 'project.config.json';
const words = { platform: 'JD', platformZh: '京东', host: 'JD\'s upload hosts', credential: 'key',
  versions: 'the version list of the JD mini program console', versionsZh: '京东小程序控制台的版本列表' };

// The client takes the key's content, whatever its form is.
function readCredential(text) {
  const key = text.trim();
  if (key.length < 16 || key.length > 65536 || /[^\t\r\n\x20-\x7e]/.test(key)) {
    throw new ProveError('key', 'the upload key cannot be used: it must be the text that the console shows');
  }
  return key;
}

// The client reads no project file, and the key says which application it is for; so a product may lack one.
function look(request) {
  if (exists(path.join(request.projectDir, CONFIG))) return recipe.readProduct(request, { name: CONFIG, ids: ['jdappid', 'appid'] });
  const app = productFile(request.projectDir, 'app.json');
  return app.problem ? app : { directory: request.projectDir };
}

function check(request) {
  const { problem } = look(request);
  if (problem) return problem;
  return /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/.test(request.version) ? null : build(`version "${request.version}" is not one JD takes`, 'version');
}

async function publish(request, privateKey, { tell, requireClient }) {
  return recipe.listen([privateKey], async (failure) => {
    const ci = requireClient(CLIENT);
    await tell({ event: 'client', doing: 'packing', client: `${CLIENT} ${requireClient(`${CLIENT}/package.json`).version}` });
    const { robot } = request.options;
    // Its package lies under a fixed name in the temporary directory, which is the job's own here.
    const done = await ci[request.mode]({
      desc: request.description, privateKey, projectPath: look(request).directory, uv: request.version, qrcodeFormat: 'image',
      ...(robot === undefined ? {} : { robot }) });
    // It prints some failures and returns as if there were none.
    const code = recipe.imageOf(request, done?.imgUrl);
    if (!code.qrImageUrl && !code.qrFile) throw failure('the client returned no code');
    return { ...code, ...recipe.endOf(done.expireTime) };
  });
}

module.exports = {
  name: 'jd',
  words,
  options: { robot: { type: 'number', low: 1, high: 30 } },
  environment: (work, request) => holdingEnvironment(work, request, null),
  remedies: recipe.remedies(words, [
    'install jd-miniprogram-ci from a registry that has it, and make the image with deploy/images/build --publisher-jd --client DIR.',
    '请从提供 jd-miniprogram-ci 的 npm 源安装，再运行 deploy/images/build --publisher-jd --client 目录。']),
  check,
  probe: recipe.cannotTell(words),
  publish,
  readCredential,
  answer: recipe.answer,
  clientError: recipe.clientError,
  refusal: recipe.refusal,
};
