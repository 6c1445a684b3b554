// servicewechat.com as miniprogram-ci sees it: random strings for one use, RSA signatures checked with
// the public key, refusals in the platform's manner. Shapes follow what the client parses; the texts of
// refusals other than "invalid ip" and the size limit are this stand-in's own. Further settings of
// apps/APPID.json (apps.mjs has those of all platforms):
//   fault      also noqr (a preview without its code), ticket (a refusal about the credential)
//   maxMainKB  limit per package, 2048 when absent
import crypto from 'node:crypto';
import fs from 'node:fs';
import zlib from 'node:zlib';
import { application, injected } from './apps.mjs';

const HELP = 'https://developers.weixin.qq.com/miniprogram/dev/devtools/ci.html';
const MAX_UNPACKED = 256 << 20;
const previewCode = fs.readFileSync(new URL('preview-code.png', import.meta.url)).toString('base64');

// 0xbe | 0 | infoLength | dataLength | 0xed | count | {nameLength name offset size}* | data, big endian.
export function unpack(buffer) {
  if (buffer[0] !== 0xbe || buffer[13] !== 0xed) throw new Error('not a package');
  const files = new Map();
  let at = 14;
  const next = () => { at += 4; return buffer.readInt32BE(at - 4); };
  for (let left = next(); left > 0; left--) {
    const length = next();
    const name = buffer.toString('utf8', at, at + length);
    at += length;
    const offset = next();
    files.set(name, buffer.subarray(offset, offset + next()));
  }
  return files;
}

const refuse = (errCode, errMsg) => ({ json: { errCode, errMsg }, note: { refused: errMsg } });

// Sizes as the platform counts them: what lies outside of every subpackage is the main package.
function packageSizes(files) {
  const apps = [...files.keys()].filter((name) => name.endsWith('/app.json')).sort((a, b) => a.length - b.length);
  const config = apps.length ? JSON.parse(files.get(apps[0])) : {};
  const roots = (config.subPackages || config.subpackages || []).map((part) => `/${part.root.replace(/^\/|\/$/g, '')}/`);
  const sizes = new Map([['__FULL__', 0], ['__APP__', 0], ...roots.map((root) => [root, 0])]);
  for (const [name, bytes] of files) {
    if (name.endsWith('.map')) continue;
    const own = roots.find((root) => name.startsWith(root)) || '__APP__';
    sizes.set(own, sizes.get(own) + bytes.length);
    sizes.set('__FULL__', sizes.get('__FULL__') + bytes.length);
  }
  return sizes;
}

export function platform(directory, recordRelease) {
  const nonces = new Map();
  const accepted = [];

  // Returns null when the signature is good, else the refusal.
  function verify(appId, signature, ip) {
    const app = application(directory, appId);
    if (!app) return refuse(-1, `invalid appid ${appId}`);
    let claim;
    try {
      const clear = crypto.publicDecrypt({ key: app.publicKey, padding: crypto.constants.RSA_PKCS1_PADDING }, Buffer.from(signature || '', 'base64'));
      claim = JSON.parse(clear.toString());
    } catch {
      return refuse(-10007, 'sign invalid: signature does not match the public key of this appid');
    }
    if (claim.appid !== appId || nonces.get(claim.rand_str) !== appId) return refuse(-10007, 'sign invalid: wrong appid or rand_str');
    nonces.delete(claim.rand_str);
    if (app.allowIps && !app.allowIps.includes(ip)) return refuse(-10008, `invalid ip: ${ip}, reference: ${HELP}`);
    return null;
  }

  function receive({ path: where, query, raw, ip }) {
    const preview = where.endsWith('/testSourceURL');
    const appId = query.get('appid');
    const files = unpack(zlib.gunzipSync(raw, { maxOutputLength: MAX_UNPACKED }));
    const signatureName = [...files.keys()].find((name) => /signature/i.test(name));
    const signed = signatureName ? JSON.parse(files.get(signatureName).toString()) : {};
    files.delete(signatureName);
    const release = {
      kind: preview ? 'preview' : 'upload', appId, version: query.get('version'), description: query.get('desc'),
      robot: query.get('robot'), client: signed.version, files: [...files.keys()].sort(),
    };
    const withNote = (answer) => ({ ...answer, note: { ...release, ...answer.note } });
    const bad = verify(appId, signed.signature, ip);
    if (bad) return withNote(bad);
    const app = application(directory, appId);
    const fault = injected(app.fault);
    if (fault) return withNote(fault);
    if (app.fault === 'refuse') return withNote(refuse(-1, 'inner upload fail with errcode: 80082, errmsg: no permission to use this plugin'));
    if (app.fault === 'system') return withNote(refuse(-1, 'system error, try again'));
    if (app.fault === 'ticket') return withNote(refuse(-1, 'get new ticket fail: innerCode: -80002'));
    const limit = app.maxMainKB || 2048;
    const sizes = packageSizes(files);
    for (const [name, bytes] of sizes) {
      if (name !== '__FULL__' && bytes > limit * 1024) {
        const which = name === '__APP__' ? 'main package ' : `${name} `;
        return withNote(refuse(-1, `inner upload fail with errcode: 80051, errmsg: ${which}source size ${Math.ceil(bytes / 1024)}KB exceed max limit ${limit}KB`));
      }
    }
    const body = { subpackage_info: [...sizes].map(([name, size]) => ({ name, size })) };
    if (preview && app.fault !== 'noqr') body.qrcode_img = previewCode;
    recordRelease({ ...release, bytes: raw.length });
    accepted.push(release);
    if (app.fault === 'lost') return { reset: true, note: release };
    return { json: { errCode: 0, body }, note: release, delayMs: app.fault === 'slow' ? app.slowMs || 5000 : 0 };
  }

  // Answers one request, or null for an address the platform does not have.
  return (request) => {
    const document = () => JSON.parse(request.raw.toString('utf8'));
    switch (request.path) {
      case '/wxa/ci/getrandstr': {
        const { appid } = document();
        const fault = injected(application(directory, appid)?.proveFault);
        if (fault) return fault;
        const randomString = crypto.randomBytes(16).toString('hex');
        nonces.set(randomString, appid);
        if (nonces.size > 10000) nonces.delete(nonces.keys().next().value);
        return { json: { errCode: 0, data: { randomString } } };
      }
      case '/wxa/ci/getattr': {
        const { appid, signature } = document();
        return verify(appid, signature, request.ip) || {
          json: { errCode: 0, data: { platform: false, appType: 0, isSandbox: false, released: false, setting: {
            MaxCodeSize: 2, MaxSubpackageSubCodeSize: 2, MaxSubpackageFullCodeSize: 20, NavigateMiniprogramLimit: 10,
            MaxSubPackageLimit: 100, MinTabbarCount: 2, MaxTabbarCount: 5, MaxCustomTabbarCount: 10, MaxTabbarIconSize: 40 } } } };
      }
      case '/wxa/ci/getwhiteextlist': return { json: { errCode: 0, data: {} } };
      case '/wxa-dev-logic/clientreportv2': return { json: { errCode: 0 } };
      // The real platform has nothing like it: for adapters that can ask what became of an upload.
      case '/standin/versions': {
        const { appid } = document();
        return { json: { errCode: 0, data: { versions: accepted.filter((one) => one.appId === appid && one.kind === 'upload').map((one) => one.version) } } };
      }
      case '/wxa/ci/upload':
      case '/wxa/ci/testSourceURL': return receive(request);
      default: return null;
    }
  };
}
