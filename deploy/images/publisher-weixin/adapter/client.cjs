// The child process: proves the credential, then lets the real miniprogram-ci compile and upload.
// It tells its supervisor every step over the channel, above all the moment the upload begins.
'use strict';
const fs = require('fs');
const https = require('https');
const path = require('path');
const { createRequire } = require('module');
const { probe } = require('./probe.cjs');
const { proveCredential, HOST } = require('./prove.cjs');

const CLIENT = '/opt/slipway/client/';
// People reach the uploaded version under this fixed address, once a robot's version has been marked
// as the experience version in the platform's console; `upload` itself returns no code.
const experienceLink = (appId) => `https://open.weixin.qq.com/sns/getexpappinfo?appid=${appId}#wechat-redirect`;

const tell = (message) => new Promise((resolve) => { process.send(message, resolve); });

// From these requests on the product may be at the platform: the upload itself, and any request to
// another host (packages above 5 MB go to the vendor's object store).
function carriesProduct(options) {
  const host = options.host || options.hostname || '';
  return !host.startsWith(HOST) || /^\/wxa\/ci\/(upload|testSourceURL)\b/.test(options.path || '');
}

// Watches the client's requests without changing them. A request counts as begun when its TLS
// connection stands; a proxy that refuses or a certificate that fails before leaves nothing sent.
function watchUploads() {
  const original = https.request;
  https.request = function watched(...args) {
    const request = original.apply(this, args);
    const options = args.find((argument) => argument && typeof argument === 'object') || {};
    if (carriesProduct(options)) {
      const bytes = Number((options.headers || {})['content-length']) || null;
      const begun = () => tell({ event: 'upload-started', bytes });
      request.once('socket', (socket) => {
        if (socket.connecting || socket.secureConnecting) socket.once('secureConnect', begun);
        else begun();
      });
      request.once('response', (response) => tell({ event: 'http-status', status: response.statusCode }));
    }
    return request;
  };
}

function readKey(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw Object.assign(new Error(`the credential cannot be read: ${error.message}`), { kind: 'no-key' });
  }
}

async function publish(request) {
  await tell({ event: 'stage', stage: 'prove' });
  const key = readKey(request.credentialFile);
  await proveCredential(request, key);
  await tell({ event: 'proved' });
  if (request.operation === 'probe') return { probe: await probe(request) };

  await tell({ event: 'stage', stage: request.mode });
  watchUploads();
  const requireClient = createRequire(CLIENT);
  const ci = requireClient('miniprogram-ci');
  await tell({ event: 'compiling', client: requireClient('miniprogram-ci/package.json').version });
  if (request.proxy) ci.proxy(request.proxy);
  const project = new ci.Project({
    appid: request.appId,
    type: 'miniProgram',
    projectPath: request.projectDir,
    privateKey: key,
    ignores: ['node_modules/**/*'],
  });
  const common = {
    project,
    version: request.version,
    desc: request.description,
    robot: request.robot,
    setting: request.settings,
    onProgressUpdate: () => {},  // otherwise hundreds of lines
  };
  if (request.mode === 'preview') {
    const qrFile = path.join(request.outDir, 'preview-qr.jpg');
    const done = await ci.preview({ ...common, qrcodeFormat: 'image', qrcodeOutputDest: qrFile });
    if (!fs.existsSync(qrFile) || fs.statSync(qrFile).size === 0) throw new Error('the platform sent no preview code');
    return { sizes: done.subPackageInfo ?? [], qrFile: path.basename(qrFile) };
  }
  const done = await ci.upload(common);
  return { sizes: done.subPackageInfo ?? [], link: experienceLink(request.appId) };
}

process.once('message', async ({ request }) => {
  let last;
  try {
    last = { event: 'done', outcome: await publish(request) };
  } catch (error) {
    last = {
      event: 'failed',
      error: {
        kind: error.kind || 'client',
        message: String(error.message || error),
        clientCode: typeof error.code === 'number' ? error.code : null,
        systemCode: typeof error.code === 'string' ? error.code : null,
        apiCode: error.apiCode ?? null,
        tls: error.tls === true,
        proxy: error.proxy === true,
      },
    };
  }
  await tell(last);
});
// Without a supervisor nobody would enforce the deadline.
process.once('disconnect', () => process.exit(1));
