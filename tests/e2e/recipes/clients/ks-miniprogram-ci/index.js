// Kuaishou's client as shared experience describes it: WeChat's interface, a key file that nobody else may read.
// What it is told as description makes it misbehave.
'use strict';
const fs = require('fs');
const path = require('path');
const { PNG, byKey, send } = require('../talk.cjs');

exports.Project = class Project {
  constructor(settings) {
    if ((fs.statSync(settings.privateKeyPath).mode & 0o777) !== 0o600) throw new Error('key file permission must be 600');
    Object.assign(this, settings);
  }
};

async function run(kind, { project, version, desc }) {
  switch (desc) {
    case 'broken': throw new Error('pages/index/index.js: Unexpected token (3:14)');
    case 'ends': console.error('Error: {"errCode":-3,"errMsg":"invalid private key"}'); process.exit(0); break;
    case 'ends strangely': console.error('Segmentation fault'); process.exit(0); break;
    case 'fetch': await fetch('https://upload.kuaishou.test/upload', { method: 'POST', body: 'product' }); break;
    case 'plain': await new Promise((_, reject) => require('http').get('http://upload.kuaishou.test/').on('error', reject)); break;
    case 'leaks': throw new Error(`cannot sign with ${fs.readFileSync(project.privateKeyPath, 'utf8').trim()}`);
    default: break;
  }
  if (!fs.existsSync(path.join(project.projectPath, 'app.json'))) throw new Error('app.json does not exist');
  await send('upload.kuaishou.test', { appId: project.appid, version, kind }, byKey(fs.readFileSync(project.privateKeyPath)));
  if (desc === 'dies') process.kill(process.pid, 'SIGKILL');
}

exports.upload = async (given) => {
  await run('upload', given);
  return given.desc === 'says nothing' ? undefined : { subPackageInfo: [{ name: '__FULL__', size: 3000 }] };
};
exports.preview = async (given) => {
  await run('preview', given);
  if (given.desc !== 'no code') fs.writeFileSync(given.qrcodeOutputDest, Buffer.from(PNG, 'base64'));
  return { subPackageInfo: [], expireTime: 1893456000 };
};
