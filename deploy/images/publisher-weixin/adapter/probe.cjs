// What became of an earlier upload, as far as an upload key is told. The credential has been proved.
//
// WeChat answers an upload key about the application (getattr) and hands out the source map of each
// robot's newest upload (get_dev_sourcemap), which names no version: neither tells whether this
// version arrived. So the answer is that only a person can see it, and where.
'use strict';

async function probe(request) {
  const { appId, version, robot } = request;
  return {
    verdict: 'cannot_tell',
    words: `WeChat accepts the key of ${appId}, but tells an upload key nothing about the versions it holds.`,
    remedy: `Look at Version management in the WeChat console for version ${version} by CI robot ${robot}, then say what you saw: slipway releases resolve.`,
    remedyZh: `请在公众平台“版本管理”中查看 CI 机器人 ${robot} 是否提交了版本 ${version}，再用 slipway releases resolve 告知农场。`,
  };
}

module.exports = { probe };
