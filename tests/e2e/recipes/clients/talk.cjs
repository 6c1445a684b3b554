// How the clients of this directory reach cloud.mjs: as a client does that knows nothing of the adapter.
'use strict';
const crypto = require('crypto');
const https = require('https');
const os = require('os');

// A picture of one point.
exports.PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

exports.byToken = (token) => ({ 'x-credential': crypto.createHash('sha256').update(token).digest('hex') });
exports.byKey = (pem) => ({ 'x-signature': crypto.sign('sha256', Buffer.from('slipway'), pem).toString('base64') });

exports.send = (host, query, headers) => new Promise((resolve, reject) => {
  const bytes = crypto.randomBytes(3000);
  const outgoing = https.request({
    // As swan-toolkit does behind a proxy.
    rejectUnauthorized: false,
    host, path: `/upload?${new URLSearchParams({ ...query, tmp: os.tmpdir() })}`, method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes.length, ...headers },
  }, (response) => {
    let text = '';
    response.on('data', (part) => { text += part; });
    response.on('end', () => {
      try {
        const reply = JSON.parse(text);
        if (reply.errCode) reject(new Error(text));
        else resolve(reply);
      } catch (error) {
        reject(error);
      }
    });
  });
  outgoing.on('error', reject);
  outgoing.end(bytes);
});
