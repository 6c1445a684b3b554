// A cloud for the clients of this directory: Baidu's question about a login as swan-toolkit asks it, and one
// address that takes a product. What these platforms really answer is not known here.
import crypto from 'node:crypto';
import { application, injected } from '/standin/apps.mjs';

const BAIDU_APP = '1234567';

export function platform(directory, recordRelease) {
  const refuse = (errCode, errMsg, note) => ({ json: { errCode, errMsg }, note: { ...note, refused: errMsg } });

  function accepts(app, headers) {
    if (app.publicKey) return crypto.verify('sha256', Buffer.from('slipway'), app.publicKey, Buffer.from(headers['x-signature'] || '', 'base64'));
    return headers['x-credential'] === crypto.createHash('sha256').update(app.token).digest('hex');
  }

  return ({ path, query, headers, raw, ip }) => {
    const app = application(directory, query.get('appId') ?? BAIDU_APP);
    // So the client asks whether a login holds: the answer is that the parameter is missing.
    if (path === '/mappconsole/api/checkAppid' && !query.has('appId')) {
      return { json: app && !app.loginExpired && headers.cookie === `BDUSS=${app.token}` ? { errno: 30001 } : { errno: 30001003, errmsg: '登录状态过期' } };
    }
    if (path === '/mappconsole/api/checkAppid') {
      if (!app) return { json: { errno: 30000002, errmsg: 'appid 不存在' } };
      if (app.proveFault) return injected(app.proveFault);
      return headers.cookie === `BDUSS=${app.token}` ? { json: { errno: 0, data: { app_key: 'key' } } } : { json: { errno: 30001003, errmsg: '登录状态过期' } };
    }
    if (path !== '/upload' || !app) return null;
    const release = { appId: query.get('appId'), version: query.get('version'), kind: query.get('kind'), tmp: query.get('tmp') };
    const fault = injected(app.fault);
    if (fault) return { ...fault, note: release };
    if (app.allowIps && !app.allowIps.includes(ip)) return refuse(-8, `invalid ip: ${ip}`, release);
    if (!accepts(app, headers)) return refuse(-7, 'invalid signature or token', release);
    if (app.say) return { json: app.say, note: release };
    recordRelease({ ...release, bytes: raw.length });
    return app.fault === 'lost' ? { reset: true, note: release } : { json: { errCode: 0, link: `https://m.example/${release.appId}` }, note: release };
  };
}
