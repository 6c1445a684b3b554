// developer.toutiao.com and microapp.bytedance.com as tt-ide-cli sees them: a token per application, a
// version not below the newest, a build that takes two polls. Shapes follow what the client parses; the
// texts of refusals are this stand-in's own. Further settings of apps/APPID.json:
//   pollFault     busy: nobody says how the compilation goes
//   compileError  what the platform's compiler says of the product
//   fault         also noqr: no link to what was uploaded
import crypto from 'node:crypto';
import { application, injected } from './apps.mjs';
import { compareVersions, formOf, zipNames } from './multipart.mjs';

const SETTLED_POLLS = 2;
const MAX_SOURCE = 32 << 20;
const LINK_SECONDS = 86400;

export function platform(directory, recordRelease) {
  const builds = new Map();
  const newest = new Map();
  const refuse = (error, message, note) => ({ json: { error, message }, note: { ...note, refused: message } });

  function authorized(appId, headers) {
    const app = application(directory, appId);
    return app?.token && headers['x-cli-appid'] === appId && headers['x-cli-token'] === app.token ? app : null;
  }

  function create(build) {
    if (build.release.kind === 'upload') newest.set(build.release.appId, build.release.version);
    recordRelease(build.release);
  }

  function receive(appId, kind, app, { raw, headers }) {
    const { fields, files } = formOf(raw, headers['content-type']);
    const source = Object.values(files)[0] ?? Buffer.alloc(0);
    const release = { kind, appId, version: fields.version ?? null, description: fields.intro, files: zipNames(source) };
    const withNote = (answer) => ({ ...answer, note: { ...release, ...answer.note } });
    const fault = injected(app.fault);
    if (fault) return withNote(fault);
    if (app.fault === 'refuse') return withNote(refuse(5, '代码包内容不符合规范'));
    if (release.files.length === 0) return withNote(refuse(6, 'source.zip is missing'));
    if (source.length > MAX_SOURCE) return withNote(refuse(7, 'source.zip is larger than 32 MB'));
    const last = newest.get(appId);
    if (kind === 'upload' && last && compareVersions(fields.version, last) <= 0) {
      return withNote(refuse(8, `version ${fields.version} exists already`));
    }
    const build = { release: { ...release, bytes: raw.length }, polls: 0 };
    builds.set(appId, build);
    // Nobody will ask how the build goes: it is done at once.
    if (app.fault === 'lost') {
      create(build);
      return { reset: true, note: release };
    }
    return { json: { error: 0, data: {} }, note: release, delayMs: app.fault === 'slow' ? app.slowMs || 5000 : 0 };
  }

  function progress(appId, app) {
    const build = builds.get(appId);
    if (!build) return refuse(1, 'no task');
    if (++build.polls < SETTLED_POLLS) return { json: { error: 0, status: 1 } };
    if (app.pollFault === 'busy') return refuse(1, '服务繁忙');
    if (app.compileError) return refuse(1, app.compileError);
    if (build.polls === SETTLED_POLLS) create(build);
    return { json: { error: 0, status: 2, pass_json: JSON.stringify({ packageSize: { full: build.release.bytes } }) } };
  }

  // Answers one request, or null for an address the platform does not have.
  return (request) => {
    const { path, query, headers, ip } = request;
    const [, uploadOf, step] = /^\/api\/v2\/app\/([^/]+)\/(testing|preview)$/.exec(path) ?? [];
    const [, progressOf] = /^\/api\/v1\/app\/([^/]+)\/compile_progress$/.exec(path) ?? [];
    if (path === '/api/apps/v3/meta') {
      const appId = query.get('appid');
      return application(directory, appId)
        ? { json: { error: 0, data: { appid: appId, version: newest.get(appId) || '0.0.0', type: 1 } } } : refuse(1, 'appid not found');
    }
    const appId = uploadOf ?? progressOf ?? headers['x-cli-appid'];
    if (path.endsWith('/microapp/versions')) {
      const fault = injected(application(directory, appId)?.proveFault);
      if (fault) return fault;
    }
    const app = authorized(appId, headers);
    if (!app) return refuse(401, 'cli token 不匹配', { appId });
    if (app.allowIps && !app.allowIps.includes(ip)) return refuse(403, `IP ${ip} 不在白名单`);
    if (uploadOf) return receive(uploadOf, step === 'testing' ? 'upload' : 'preview', app, request);
    if (progressOf) return progress(progressOf, app);
    switch (path) {
      case '/api/developer/ide/v1/microapp/versions': return { json: { code: 0, data: { audit_version: newest.get(appId) || '' } } };
      case '/api/developer/ide/v1/microapp/make_schema': return app.fault === 'noqr' ? { json: { code: 1, msg: 'schema service busy' } } : {
        json: { code: 0, data: { origin_schema: `sslocal://microapp?app_id=${appId}`,
          short_url: `https://z.douyin.example/${crypto.randomBytes(4).toString('hex')}`,
          expire_time: String(Math.floor(Date.now() / 1000) + LINK_SECONDS) } } };
      default: return null;
    }
  };
}
