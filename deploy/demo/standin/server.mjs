// A stand-in for the upload clouds of WeChat, Alipay and Douyin: a proxy that takes CONNECT to their hosts
// only, and behind it a TLS server with a certificate of a CA made for this purpose.
//
//   node server.mjs STATE_DIR LISTEN_ADDRESS PORT
//
// STATE_DIR holds certs/, apps/ (see apps.mjs) and clouds/: HOST.mjs stands for a further host. Written there: requests.jsonl (every request with
// the size of its body; of uploads also version and file names), releases.jsonl (what was accepted),
// ready.json (the proxy's address, when it listens).
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { platform as alipay } from './alipay.mjs';
import { platform as douyin } from './douyin.mjs';
import { platform as weixin } from './weixin.mjs';

const [directory, address, port] = process.argv.slice(2);
const append = (file, document) => fs.appendFileSync(path.join(directory, file), `${JSON.stringify({ time: new Date().toISOString(), ...document })}\n`);
const recordRelease = (release) => append('releases.jsonl', release);
const douyinCloud = douyin(directory, recordRelease);
const further = path.join(directory, 'clouds');
const CLOUDS = new Map([
  ['servicewechat.com', weixin(directory, recordRelease)],
  ['ideservice.alipay.com', alipay(directory, recordRelease)],
  ['developer.toutiao.com', douyinCloud],
  ['microapp.bytedance.com', douyinCloud],
]);
for (const file of fs.existsSync(further) ? fs.readdirSync(further) : []) {
  CLOUDS.set(path.basename(file, '.mjs'), (await import(path.join(further, file))).platform(directory, recordRelease));
}

// The TLS server sees connections from this process; the proxy knows who asked. Keyed by local port.
const askedBy = new Map();

async function handle(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const raw = Buffer.concat(parts);
  const host = request.headers.host || '';
  const url = new URL(request.url, 'https://standin');
  const ip = askedBy.get(request.socket.remotePort) || request.socket.remoteAddress;
  let reply;
  try {
    reply = CLOUDS.get(host.replace(/:\d+$/, ''))?.({ method: request.method, path: url.pathname, query: url.searchParams, headers: request.headers, raw, ip });
  } catch (error) {
    reply = { status: 500, type: 'text/plain', text: `stand-in: ${error.message}` };
  }
  reply ??= { status: 404, type: 'text/plain', text: 'the stand-in has no such address' };
  const outcome = reply.hang ? 'hang' : reply.reset ? 'reset' : reply.status || 200;
  append('requests.jsonl', { ip, host, method: request.method, path: url.pathname, bytes: raw.length, outcome, ...reply.note });
  if (reply.hang) return;
  if (reply.reset) {
    request.socket.destroy();
    return;
  }
  if (reply.delayMs) await new Promise((resolve) => setTimeout(resolve, reply.delayMs));
  response.writeHead(reply.status || 200, { 'content-type': reply.type || 'application/json' });
  response.end(reply.text ?? JSON.stringify(reply.json));
}

const cloud = https.createServer({
  cert: fs.readFileSync(path.join(directory, 'certs/leaf.pem')), key: fs.readFileSync(path.join(directory, 'certs/leaf.key')),
}, (request, response) => handle(request, response).catch(() => request.socket.destroy()));
cloud.on('tlsClientError', (error) => append('requests.jsonl', { tlsError: error.code || error.message }));

const proxy = http.createServer((request, response) => {
  response.writeHead(405, { 'content-type': 'text/plain' });
  response.end('this proxy takes CONNECT only\n');
});
proxy.on('connect', (request, client, head) => {
  client.on('error', () => {});
  if (!request.url.endsWith(':443') || !CLOUDS.has(request.url.slice(0, -4))) {
    append('requests.jsonl', { refusedConnect: request.url });
    client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    return;
  }
  const upstream = net.connect(cloud.address().port, '127.0.0.1', () => {
    const { localPort } = upstream;
    askedBy.set(localPort, (client.remoteAddress || '').replace(/^::ffff:/, ''));
    upstream.once('close', () => askedBy.delete(localPort));
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length) upstream.write(head);
    client.pipe(upstream).pipe(client);
  });
  upstream.on('error', () => client.destroy());
  client.on('close', () => upstream.destroy());
});

const listening = (server, host, number) => new Promise((resolve, reject) => {
  server.once('error', reject);
  server.listen(number, host, () => resolve(server.address().port));
});
try {
  await listening(cloud, '127.0.0.1', 0);
  const bound = await listening(proxy, address, Number(port));
  const ready = path.join(directory, 'ready.json');
  fs.writeFileSync(`${ready}.part`, JSON.stringify({ address, port: bound, proxy: `http://${address}:${bound}` }));
  fs.renameSync(`${ready}.part`, ready);
} catch (error) {
  console.error(`stand-in: cannot listen on ${address}:${port}: ${error.message}`);
  process.exit(1);
}
process.once('SIGTERM', () => process.exit(0));
