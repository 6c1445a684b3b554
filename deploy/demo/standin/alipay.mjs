// ideservice.alipay.com as minidev sees it: requests signed with RSA-SHA256, checked with the public key;
// versions that must rise; a build that takes two polls. Shapes follow what the client parses; the texts of
// refusals are this stand-in's own. Further settings of apps/APPID.json:
//   toolId      the tool whose key is in apps/APPID.pub; "tool-1" when absent
//   proveFault  also nodata: the newest version is not in the answer
//   buildError  what the platform's compiler says of the product
//   pollFault   odd: the build gets into a state that clients do not know
//   fault       also noqr: no code for the experience version
import crypto from 'node:crypto';
import { application, injected } from './apps.mjs';
import { compareVersions, formOf, tarNames, zipFile, zipNames } from './multipart.mjs';

const EXPERIENCE = 'https://mobilecodec.alipay.example/show.htm?code=';
const SETTLED_POLLS = 2;

export function platform(directory, recordRelease) {
  const builds = new Map();
  const newest = new Map();
  const ok = (data, note) => ({ json: { stat: 'ok', data }, note });
  const deny = (msg, note) => ({ json: { stat: 'deny', msg }, note: { ...note, refused: msg } });
  const nebula = (info) => encodeURIComponent(JSON.stringify(info));

  // Returns null when the signature is good, else the refusal.
  function verify(app, fields, sign, ip) {
    const { toolId, toolType, ...signed } = fields;
    if (!app || toolId !== (app.toolId || 'tool-1')) return deny(`toolId not found: ${toolId}`);
    const text = Object.keys(signed).sort().map((name) => `${name}=${signed[name]}`).join('&');
    const good = crypto.createVerify('RSA-SHA256').update(text).verify(app.publicKey, sign || '', 'base64');
    if (!good) return deny('signature verification failed');
    if (app.allowIps && !app.allowIps.includes(ip)) return deny(`${ip} is not on the white list of this tool`);
    return null;
  }

  function receive(fields, files, app, raw) {
    const version = fields.packageVersion || fields.version;
    const archive = files.packageFile || Buffer.alloc(0);
    // minidev sends a zip whose only file is a tar of the product.
    const product = tarNames(zipFile(archive, 'dist.tar'));
    const release = { kind: 'upload', appId: fields.appId, version, description: fields.remark, files: product.length ? product : zipNames(archive) };
    const withNote = (answer) => ({ ...answer, note: { ...release, ...answer.note } });
    const fault = injected(app.fault);
    if (fault) return withNote(fault);
    if (app.fault === 'refuse') return withNote(deny('the package holds content that is not permitted'));
    if (release.files.length === 0) return withNote(deny('packageFile is missing'));
    const last = newest.get(fields.appId);
    if (last && compareVersions(version, last) <= 0) return withNote(deny(`version ${version} must be greater than ${last}`));
    const packageId = crypto.randomBytes(6).toString('hex');
    builds.set(packageId, { release: { ...release, bytes: raw.length }, polls: 0 });
    // Nobody will ask how the build goes: it is done at once.
    if (app.fault === 'lost') {
      create(builds.get(packageId));
      return { reset: true, note: release };
    }
    return { ...ok({ nebulaInfo: nebula({ packageId, version }) }, release), delayMs: app.fault === 'slow' ? app.slowMs || 5000 : 0 };
  }

  function create(build) {
    newest.set(build.release.appId, build.release.version);
    recordRelease(build.release);
  }

  function poll(fields, app) {
    const build = builds.get(fields.packageId);
    if (!build) return deny('no such task');
    build.polls++;
    const log = ['[build] start', '[build] compile'].slice(0, build.polls);
    // A state that no client knows yet: the build goes on.
    let status = app.pollFault === 'odd' ? '7' : '1';
    if (build.polls >= SETTLED_POLLS && app.buildError) {
      status = '3';
      log.push(`[build] ERROR ${app.buildError}`);
    } else if (build.polls >= SETTLED_POLLS && app.pollFault !== 'odd') {
      status = '2';
      log.push('[build] done');
      if (build.polls === SETTLED_POLLS) create(build);
    }
    return ok({ versionCreated: status === '2', nebulaInfo: nebula({ status, detail: JSON.stringify({ log: log.join('\n') }) }) });
  }

  // Answers one request, or null for an address the platform does not have.
  return ({ method, path, query, headers, raw, ip }) => {
    const { fields, files } = method === 'GET' ? { fields: Object.fromEntries(query), files: {} } : formOf(raw, headers['content-type']);
    const app = application(directory, fields.appId);
    if (path === '/cli/miniapp/appUploadDetail.json') {
      const fault = injected(app?.proveFault);
      if (fault) return fault;
      if (app?.proveFault === 'nodata') return { json: { stat: 'ok' } };
    }
    const bad = verify(app, fields, headers.sign, ip);
    if (bad) return bad;
    switch (path) {
      case '/cli/miniapp/appUploadDetail.json': return ok({ lastVersion: newest.get(fields.appId) || null });
      case '/cli/miniapp/uploadCode.json': return receive(fields, files, app, raw);
      case '/cli/miniapp/pullingUploadCode.json': return poll(fields, app);
      case '/cli/miniapp/setExp.json': return ok({});
      case '/cli/miniapp/setExpQuery.json': return ok(app.fault === 'noqr' ? { packageStatus: 'fail' } : {
        packageStatus: 'success', expPackageVersion: fields.version, qrCodeUrl: EXPERIENCE + crypto.randomBytes(6).toString('hex') });
      default: return null;
    }
  };
}
