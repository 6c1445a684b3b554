// The registered applications of all platforms, and the faults that can be had of each.
import fs from 'node:fs';
import path from 'node:path';

// apps/APPID.pub is the public key of an application (weixin, alipay), apps/APPID.token its token (douyin),
// apps/APPID.json (may be absent) its settings. Read at every request, so that tests and demonstrations
// change them at run time. Of all platforms:
//   fault       on what carries the product: hang | reset | html502 | error500 | notjson | refuse | slow |
//               lost (accepted, then the connection is cut before the answer)
//   slowMs      how long a slow upload, accepted at once, waits for its answer; 5000 when absent
//   proveFault  on the first question: hang | reset | html502 | notjson
//   allowIps    addresses that may ask
// Returns null for an unknown application.
export function application(directory, appId) {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(appId || '')) return null;
  const read = (extension) => {
    try { return fs.readFileSync(path.join(directory, 'apps', appId + extension), 'utf8'); } catch { return null; }
  };
  const publicKey = read('.pub');
  const token = read('.token')?.trim();
  return publicKey || token ? { ...JSON.parse(read('.json') || '{}'), publicKey, token } : null;
}

export function injected(fault) {
  switch (fault) {
    case 'hang': return { hang: true };
    case 'reset': return { reset: true };
    case 'html502': return { status: 502, type: 'text/html', text: '<html><body><h1>502 Bad Gateway</h1></body></html>' };
    case 'error500': return { status: 500, type: 'text/plain', text: 'Internal Server Error' };
    case 'notjson': return { text: 'ok' };
    default: return null;
  }
}
