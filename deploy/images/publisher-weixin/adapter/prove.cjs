// Proves the credential before anything is compiled or sent: signs the platform's random string and
// asks for the application's attributes, the way the client does. The client itself only logs a
// refusal here and goes on, so a bad key would be noticed after the product has been sent.
'use strict';
const crypto = require('crypto');
const http = require('http');
const https = require('https');
const tls = require('tls');

const HOST = 'servicewechat.com';
const MAX_REPLY = 1 << 20;

// kind: 'network' (nobody answered properly), 'refused' (the platform said no), 'key' (no usable key).
class ProveError extends Error {
  constructor(kind, message, details = {}) {
    super(message);
    Object.assign(this, { kind }, details);
  }
}

function tunnel(proxy, signal) {
  return new Promise((resolve, reject) => {
    const url = new URL(proxy);
    const headers = { host: `${HOST}:443` };
    if (url.username) {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      headers['proxy-authorization'] = `Basic ${Buffer.from(login).toString('base64')}`;
    }
    const client = url.protocol === 'https:' ? https : http;
    const request = client.request({
      host: url.hostname, port: url.port || (client === https ? 443 : 80), method: 'CONNECT', path: `${HOST}:443`, headers, agent: false, signal });
    const fail = (what) => reject(new ProveError('network', `the proxy ${url.host} ${what}`, { proxy: true }));
    request.on('connect', (response, socket) => {
      if (response.statusCode === 200) resolve(socket);
      else { socket.destroy(); fail(`refused to connect to ${HOST}:443: HTTP ${response.statusCode} ${response.statusMessage}`); }
    });
    request.on('response', (response) => { response.destroy(); fail(`answered HTTP ${response.statusCode} to CONNECT`); });
    request.on('error', (error) => fail(signal.aborted ? 'does not answer in time' : `cannot be used: ${error.message}`));
    request.end();
  });
}

async function post(request, path, document) {
  // One clock for connecting, asking and reading: a timeout of the socket would restart at every byte.
  const signal = AbortSignal.timeout(request.proveTimeoutSeconds * 1000);
  const body = Buffer.from(JSON.stringify(document));
  const socket = request.proxy ? await tunnel(request.proxy, signal) : null;
  const reply = await new Promise((resolve, reject) => {
    const outgoing = https.request({
      host: HOST, path, method: 'POST', signal,
      headers: { 'content-type': 'application/json', 'content-length': body.length },
      // An agent would ignore createConnection and go around the proxy.
      ...(socket ? { createConnection: () => tls.connect({ socket, servername: HOST }) } : { agent: false }),
    }, (response) => {
      const parts = [];
      let size = 0;
      response.on('data', (part) => {
        size += part.length;
        if (size > MAX_REPLY) response.destroy(new Error('the answer is larger than 1 MiB'));
        else parts.push(part);
      });
      response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString('utf8') }));
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  }).catch((error) => {
    const words = signal.aborted ? `no answer within ${request.proveTimeoutSeconds} s` : error.message;
    throw new ProveError('network', `${HOST}: ${words}`, { tls: /CERT|SIGNATURE|ISSUER|ALTNAME/.test(error.code || '') });
  });
  let parsed;
  try {
    parsed = JSON.parse(reply.text);
  } catch {
    throw new ProveError('network', `${HOST} answered HTTP ${reply.status}, and not in JSON: ${reply.text.slice(0, 200)}`);
  }
  if (parsed === null || typeof parsed.errCode !== 'number') {
    throw new ProveError('network', `${HOST} answered HTTP ${reply.status} without an errCode: ${reply.text.slice(0, 200)}`);
  }
  if (parsed.errCode !== 0) {
    throw new ProveError('refused', String(parsed.errMsg ?? ''), { apiCode: parsed.errCode });
  }
  return parsed.data ?? {};
}

// `key` is the PEM text. Throws ProveError.
async function proveCredential(request, key) {
  let privateKey;
  try {
    privateKey = crypto.createPrivateKey(key);
    if (privateKey.asymmetricKeyType !== 'rsa') throw new Error(`it is of type ${privateKey.asymmetricKeyType}, RSA is needed`);
  } catch (error) {
    throw new ProveError('key', `the upload key cannot be used: ${error.message}`);
  }
  const { randomString } = await post(request, '/wxa/ci/getrandstr', { appid: request.appId, clientRand: crypto.randomInt(1e8) });
  const claim = Buffer.from(JSON.stringify({ appid: request.appId, rand_str: randomString }));
  const signature = crypto.privateEncrypt({ key: privateKey, padding: crypto.constants.RSA_PKCS1_PADDING }, claim).toString('base64');
  await post(request, '/wxa/ci/getattr', { appid: request.appId, signature });
}

module.exports = { proveCredential, ask: post, HOST };
