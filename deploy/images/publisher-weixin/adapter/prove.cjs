// Proves the credential before anything is compiled or sent: signs the platform's random string and
// asks for the application's attributes, the way the client does.
'use strict';
const crypto = require('crypto');
const { ProveError, askJson } = require('./common/wire.cjs');

const HOST = 'servicewechat.com';

function loadKey(pem) {
  try {
    const privateKey = crypto.createPrivateKey(pem);
    if (privateKey.asymmetricKeyType !== 'rsa') throw new Error(`it is of type ${privateKey.asymmetricKeyType}, RSA is needed`);
    return { pem, privateKey };
  } catch (error) {
    throw new ProveError('key', `the upload key cannot be used: ${error.message}`);
  }
}

async function post(request, path, document) {
  const { status, json, text } = await askJson(request, {
    host: HOST, path, headers: { 'content-type': 'application/json' }, body: JSON.stringify(document) });
  if (typeof json.errCode !== 'number') {
    throw new ProveError('network', `${HOST} answered HTTP ${status} without an errCode: ${text.slice(0, 200)}`);
  }
  if (json.errCode !== 0) throw new ProveError('refused', String(json.errMsg ?? ''), { apiCode: json.errCode });
  return json.data ?? {};
}

async function proveCredential(request, { privateKey }) {
  const { randomString } = await post(request, '/wxa/ci/getrandstr', { appid: request.appId, clientRand: crypto.randomInt(1e8) });
  const claim = Buffer.from(JSON.stringify({ appid: request.appId, rand_str: randomString }));
  const signature = crypto.privateEncrypt({ key: privateKey, padding: crypto.constants.RSA_PKCS1_PADDING }, claim).toString('base64');
  await post(request, '/wxa/ci/getattr', { appid: request.appId, signature });
}

module.exports = { HOST, ask: post, loadKey, proveCredential };
