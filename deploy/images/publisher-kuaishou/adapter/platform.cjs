// Kuaishou, by ks-miniprogram-ci, which is said to have the programming interface of WeChat's client: it
// compiles and sends the product. Nothing was ever sent to this platform from here.
'use strict';
const fs = require('fs');
const path = require('path');
const { build } = require('./common/check.cjs');
const { holdingEnvironment } = require('./common/hold.cjs');
const recipe = require('./common/recipe.cjs');

const CLIENT = 'ks-miniprogram-ci';
const words = { platform: 'Kuaishou', platformZh: '快手', host: 'Kuaishou\'s upload hosts', credential: 'key',
  versions: 'the version list of the Kuaishou console', versionsZh: '快手开放平台的版本列表' };

function check(request) {
  const { problem } = recipe.readProduct(request, { name: 'project.config.json', ids: ['ksappid', 'appid'] });
  if (problem) return problem;
  return /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/.test(request.version) ? null : build(`version "${request.version}" is not one Kuaishou takes`, 'version');
}

async function publish(request, pem, { tell, requireClient }) {
  // The client is said to refuse a key file that others could read. The current directory is the job's own.
  const privateKeyPath = path.resolve('upload.key');
  fs.writeFileSync(privateKeyPath, pem, { mode: 0o600, flag: 'wx' });
  return recipe.listen([pem.trim()], async (failure) => {
    const ci = requireClient(CLIENT);
    await tell({ event: 'client', doing: 'compiling', client: `${CLIENT} ${requireClient(`${CLIENT}/package.json`).version}` });
    const { es6, minify } = request.options;
    const common = {
      project: new ci.Project({ appid: request.appId, type: 'miniProgram', projectPath: request.projectDir, privateKeyPath, ignores: ['node_modules/**/*'] }),
      desc: request.description,
      setting: { ...(es6 === undefined ? {} : { es6 }), ...(minify === undefined ? {} : { minify }) },
      onProgressUpdate: () => {},  // otherwise hundreds of lines
    };
    if (request.mode === 'preview') {
      const drawn = path.resolve('preview.png');
      const done = await ci.preview({ ...common, qrcodeFormat: 'image', qrcodeOutputDest: drawn });
      const code = recipe.imageIn(request, drawn);
      if (!code.qrFile) throw failure('the client made no preview code');
      return { sizes: done?.subPackageInfo ?? [], ...code, ...recipe.endOf(done?.expireTime) };
    }
    const done = await ci.upload({ ...common, version: request.version });
    if (!Array.isArray(done?.subPackageInfo)) throw failure('the client returned nothing about what was uploaded');
    return { sizes: done.subPackageInfo };
  });
}

module.exports = {
  name: 'kuaishou',
  words,
  options: { es6: { type: 'flag' }, minify: { type: 'flag' } },
  environment: (work, request) => holdingEnvironment(work, request, null),
  remedies: recipe.remedies(words, [
    'install ks-miniprogram-ci where Kuaishou offers it, and make the image with deploy/images/build --publisher-kuaishou --client DIR.',
    '请从快手获取并安装 ks-miniprogram-ci，再运行 deploy/images/build --publisher-kuaishou --client 目录。']),
  check,
  probe: recipe.cannotTell(words),
  publish,
  readCredential: recipe.readRsaKey,
  answer: recipe.answer,
  clientError: recipe.clientError,
  refusal: recipe.refusal,
};
