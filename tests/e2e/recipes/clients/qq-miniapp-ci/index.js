// The program of Tencent's image as its published source behaves: it prints what it was given, token included,
// writes the code beside the product, calls back with a status and ends the process.
'use strict';
const fs = require('fs');
const path = require('path');
const { PNG, byToken, send } = require('../talk.cjs');

exports.initLandun = (params, callback) => {
  console.log('params', params);
  const end = (status, image = {}) => { callback(status, image); process.exit(status); };
  if (!params.PLUGIN_VERSION || !params.PLUGIN_DESC || !params.PLUGIN_APPTOKEN) { end(1); return; }
  const { qqappid, appid } = JSON.parse(fs.readFileSync(path.join(params.bkWorkspace, 'project.config.json')));
  const query = { appId: qqappid || appid, version: params.PLUGIN_VERSION, kind: params.PLUGIN_EXPERIENCE ? 'experience' : 'development' };
  send('upload.qq.test', query, byToken(params.PLUGIN_APPTOKEN)).then(({ link }) => {
    const qrcodePath = path.join(params.bkWorkspace, 'qrcode.png');
    fs.writeFileSync(qrcodePath, Buffer.from(PNG, 'base64'));
    end(0, { link, qrcodePath, base64: PNG });
  }).catch((error) => {
    console.error('upload error', error);
    end(1);
  });
};
