// QQ, by the program inside Tencent's container image for continuous integration (qqminiapp/build): it compiles
// and sends the product. Nothing was ever sent to this platform from here.
'use strict';
const fs = require('fs');
const path = require('path');
const { build } = require('./common/check.cjs');
const { holdingEnvironment } = require('./common/hold.cjs');
const recipe = require('./common/recipe.cjs');

// The name under which an image has it; Tencent gives it none on npm.
const CLIENT = 'qq-miniapp-ci';
const words = { platform: 'QQ', platformZh: 'QQ ', host: 'QQ\'s upload hosts', credential: 'token',
  versions: 'the development versions in the QQ mini program console', versionsZh: 'QQ 小程序管理端的开发版本' };

function check(request) {
  if (request.mode === 'preview') return build('QQ\'s client has no call for a preview that is known here', 'preview');
  const { problem } = recipe.readProduct(request, { name: 'project.config.json', ids: ['qqappid', 'appid'] });
  if (problem) return problem;
  return /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/.test(request.version) ? null : build(`version "${request.version}" is not one QQ takes`, 'version');
}

async function publish(request, token, { tell, requireClient }) {
  // The client writes its code beside the product, which cannot be written, and fails after the upload if it cannot.
  const copy = path.resolve('product');
  fs.cpSync(request.projectDir, copy, { recursive: true, verbatimSymlinks: true });
  return recipe.listen([token], async (failure) => {
    const client = requireClient(CLIENT);
    await tell({ event: 'client', doing: 'compiling', client: `qqminiapp/build ${requireClient(`${CLIENT}/package.json`).version ?? ''}`.trim() });
    const { first_page: firstPage, experience } = request.options;
    // Of its entries the one that takes the token as an argument: the others read it from the environment.
    const { status, image } = await new Promise((resolve) => {
      client.initLandun({
        PLUGIN_VERSION: request.version, PLUGIN_DESC: request.description || request.version, PLUGIN_APPTOKEN: token, PLUGIN_BUILDUSER: 'slipway',
        PLUGIN_EXPERIENCE: experience, PLUGIN_USEPACKAGEJSON: false, PLUGIN_NPMBUILD: false, bkWorkspace: copy,
        ...(firstPage ? { PLUGIN_FIRSTPAGE: firstPage } : {}),
      }, (status, image) => resolve({ status, image }));
    });
    if (status !== 0 || !image?.link) throw failure(`the client told status ${status}`);
    return { link: String(image.link), qrText: String(image.link), ...recipe.imageOf(request, image.base64) };
  });
}

module.exports = {
  name: 'qq',
  words,
  options: { experience: { type: 'flag', standard: false }, first_page: { type: 'text', form: /^[\w./?=&%-]{1,256}$/, example: 'pages/index/index' } },
  environment: (work, request) => holdingEnvironment(work, request, null),
  remedies: {
    ...recipe.remedies(words, [
      'take the program out of Tencent\'s image qqminiapp/build (docs/adapters.md), and make the image with deploy/images/build --publisher-qq --client DIR.',
      '请从腾讯的镜像 qqminiapp/build 中取出程序（见 docs/adapters.md），再运行 deploy/images/build --publisher-qq --client 目录。']),
    preview: ['Publish instead, with "experience: true" under platforms.qq.publish for a code that testers can open.',
      '请改为发布；如需供体验者扫码，请在 platforms.qq.publish 下设置 "experience: true"。'],
  },
  check,
  probe: recipe.cannotTell(words),
  publish,
  readCredential: recipe.readToken,
  answer: recipe.answer,
  clientError: recipe.clientError,
  refusal: recipe.refusal,
};
