// How an adapter reaches its platform: through the target's proxy or directly, with TLS that is checked
// in either case, and to the platform's own hosts only. Proxies of the environment do not count.
'use strict';
const http = require('http');
const https = require('https');
const tls = require('tls');
const { urlToHttpOptions } = require('url');

const MAX_REPLY = 1 << 20;
const CONNECT_MS = 30000;
const original = { httpRequest: http.request, httpsRequest: https.request };

// kind: 'network' (nobody answered properly), 'refused' (the platform said no), 'key' (no usable
// credential), 'no-key' (the credential's file cannot be read), 'version-used' (the platform has this
// version, or a higher one where versions must rise: nothing was sent).
class ProveError extends Error {
  constructor(kind, message, details = {}) {
    super(message);
    Object.assign(this, { kind }, details);
  }
}

function tunnel(proxy, host, port, signal) {
  return new Promise((resolve, reject) => {
    const url = new URL(proxy);
    const authority = `${host}:${port}`;
    const headers = { host: authority };
    if (url.username) {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
      headers['proxy-authorization'] = `Basic ${Buffer.from(login).toString('base64')}`;
    }
    const secure = url.protocol === 'https:';
    const request = (secure ? original.httpsRequest : original.httpRequest)({
      host: url.hostname, port: url.port || (secure ? 443 : 80), method: 'CONNECT', path: authority, headers, agent: false, signal });
    const fail = (what) => reject(new ProveError('network', `the proxy ${url.host} ${what}`, { proxy: true }));
    request.on('connect', (response, socket) => {
      if (response.statusCode === 200) resolve(socket);
      else { socket.destroy(); fail(`refused to connect to ${authority}: HTTP ${response.statusCode} ${response.statusMessage}`); }
    });
    request.on('response', (response) => { response.destroy(); fail(`answered HTTP ${response.statusCode} to CONNECT`); });
    request.on('error', (error) => fail(signal.aborted ? 'does not answer in time' : `cannot be used: ${error.message}`));
    request.end();
  });
}

// Gives every request a connection of its own, whose TLS stands before the first byte is written.
class PlatformAgent extends https.Agent {
  constructor(proxy) {
    super({ keepAlive: false });
    this.platformProxy = proxy;
  }

  createConnection(options, callback) {
    const host = options.servername || options.host;
    const port = Number(options.port) || 443;
    const connect = async () => {
      const through = this.platformProxy
        ? { socket: await tunnel(this.platformProxy, host, port, AbortSignal.timeout(CONNECT_MS)) } : { host, port };
      const socket = tls.connect({ ...through, servername: host, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] });
      const timer = setTimeout(() => socket.destroy(new Error(`no TLS connection to ${host} within ${CONNECT_MS / 1000} s`)), CONNECT_MS);
      socket.once('close', () => clearTimeout(timer));
      socket.once('error', callback);
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        socket.off('error', callback);
        callback(null, socket);
      });
    };
    connect().catch(callback);
  }
}

// One question to the platform, asked by the adapter itself: {status, text}. One clock for connecting,
// asking and reading: a timeout of the socket would restart at every byte. Throws ProveError.
async function ask(request, { host, path, method = 'POST', headers = {}, body = null }) {
  const signal = AbortSignal.timeout(request.proveTimeoutSeconds * 1000);
  const socket = request.proxy ? await tunnel(request.proxy, host, 443, signal) : null;
  return new Promise((resolve, reject) => {
    const outgoing = original.httpsRequest({
      // Without them Node names port 80 in the Host header of a connection that it did not make itself.
      host, port: 443, defaultPort: 443, path, method, signal,
      headers: { ...headers, ...(body ? { 'content-length': Buffer.byteLength(body) } : {}) },
      // An agent would ignore createConnection and go around the proxy.
      ...(socket ? { createConnection: () => tls.connect({ socket, servername: host }) } : { agent: false }),
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
    throw new ProveError('network', `${host}: ${words}`, { tls: /CERT|SIGNATURE|ISSUER|ALTNAME/.test(error.code || '') });
  });
}

// The same for an answer that must be a JSON object.
async function askJson(request, question) {
  const reply = await ask(request, question);
  let parsed = null;
  try {
    parsed = JSON.parse(reply.text);
  } catch { /* said below */ }
  if (parsed === null || typeof parsed !== 'object') {
    throw new ProveError('network', `${question.host} answered HTTP ${reply.status}, and not in JSON: ${reply.text.slice(0, 200)}`);
  }
  if (reply.status >= 500) throw new ProveError('network', `${question.host} answered HTTP ${reply.status}: ${reply.text.slice(0, 200)}`);
  return { status: reply.status, json: parsed, text: reply.text };
}

// (url, options, callback), (options, callback) → {options, callback}.
function normalise(args, protocol) {
  const rest = [...args];
  const callback = typeof rest[rest.length - 1] === 'function' ? rest.pop() : undefined;
  const options = {};
  for (const part of rest) {
    if (typeof part === 'string') Object.assign(options, urlToHttpOptions(new URL(part)));
    else if (part instanceof URL) Object.assign(options, urlToHttpOptions(part));
    else if (part) Object.assign(options, part);
  }
  options.protocol ??= protocol;
  return { options, callback };
}

// By their names in small letters; clients also give them as a list.
function headersOf({ headers }) {
  if (!headers || Array.isArray(headers)) return {};
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

const hostOf = (options) => String(options.hostname || options.host || '').replace(/:\d+$/, '');

// Tells when the platform's client begins to send the product: a request counts as begun when its TLS
// connection stands; a proxy that refuses or a certificate that fails before leaves nothing sent.
//   carriesProduct({host, path, method, headers})  whether a request carries the product
//   tell(message)                                  to the supervisor
function watch(outgoing, options, { carriesProduct, tell }) {
  const about = { host: hostOf(options), path: options.path || '', method: options.method || 'GET', headers: headersOf(options) };
  if (!carriesProduct(about)) return;
  const bytes = Number(headersOf(options)['content-length']) || null;
  const begun = () => tell({ event: 'upload-started', bytes });
  outgoing.once('socket', (socket) => {
    if (socket.secureConnecting || (socket.connecting && socket.encrypted)) socket.once('secureConnect', begun);
    else if (socket.connecting) socket.once('connect', begun);
    else begun();
  });
  outgoing.once('response', (response) => tell({ event: 'http-status', status: response.statusCode }));
}

// For a client that is told its proxy and checks TLS itself: its requests are watched, not changed.
function watchClient(rules) {
  const watching = (request) => function watched(...args) {
    const outgoing = request.apply(this, args);
    const options = args.find((argument) => argument && typeof argument === 'object') || {};
    // A tunnel to be, through which a request of its own goes.
    if (options.method !== 'CONNECT') watch(outgoing, options, rules);
    return outgoing;
  };
  https.request = watching(original.httpsRequest);
  http.request = watching(original.httpRequest);
}

const isLoopback = (options) => /^(localhost|127\.0\.0\.1|\[?::1\]?)$/.test(hostOf(options));

// A host, or with a dot in front all that lie below it; null: every host there is.
const allowed = (host, hosts) => hosts === null || hosts.some((one) => (one.startsWith('.') ? host.endsWith(one) : host === one));

// For a client that takes no proxy, or checks no TLS behind one: every request goes over our own
// connections, to `hosts` only (telemetry and the like never leave). With `local` its own processes may
// speak HTTP to each other.
function holdClient(request, { hosts, local = false, ...rules }) {
  const agent = new PlatformAgent(request.proxy);
  const refuse = (options) => {
    const what = hosts === null ? 'connections without TLS are not made' : `not a host of ${request.platform}`;
    const error = Object.assign(new Error(`connect ECONNREFUSED ${hostOf(options)}: ${what}`), { code: 'ECONNREFUSED' });
    const outgoing = original.httpsRequest({ agent: new (class extends https.Agent {
      createConnection(_, callback) { process.nextTick(callback, error); }
    })() });
    return outgoing;
  };
  const ended = (ask) => (...args) => {
    const outgoing = ask(...args);
    outgoing.end();
    return outgoing;
  };
  https.request = function held(...args) {
    const { options, callback } = normalise(args, 'https:');
    if (options.protocol !== 'https:' || !allowed(hostOf(options), hosts)) return refuse(options);
    const outgoing = original.httpsRequest({ ...options, agent, createConnection: undefined, rejectUnauthorized: true }, callback);
    watch(outgoing, options, rules);
    return outgoing;
  };
  http.request = (...args) => {
    const { options, callback } = normalise(args, 'http:');
    return local && isLoopback(options) ? original.httpRequest(options, callback) : refuse(options);
  };
  https.get = ended(https.request);
  http.get = ended(http.request);
}

module.exports = { ProveError, ask, askJson, holdClient, watchClient };
