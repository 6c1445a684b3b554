// From what the client or the platform said to one failure class. The words themselves are kept: the
// class decides what the farm does next, the reason is for people.
'use strict';

const NETWORK = /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|socket hang up|tunneling socket|proxy|certificate|self.signed|issuer|SSL|TLS/i;
// Refusals that are about who asks, not about what was sent: bad signature or key, address not on the
// list of the platform's console. Codes nest, in numbers and in words.
const CREDENTIAL_CODES = new Set([-10007, -10008, -10002, -80002]);
const CREDENTIAL_WORDS = /invalid (ip|sign|signature|appid)|sign(ature)? invalid|get new ticket fail/i;
const IP_WORDS = /invalid ip/i;

const clean = (text) => String(text)
  .replace(/\u001b\[[0-9;]*m/g, '')
  .replace(/-----BEGIN [^-]*PRIVATE KEY-----[^]*?(-----END [^-]*PRIVATE KEY-----|$)/g, '[private key]')
  .replace(/(https?:\/\/)[^\s/@]+@/g, '$1')
  .trim()
  .slice(0, 4000);

// The platform's JSON inside a client's error text, e.g. `Error: {"errCode":-10008,"errMsg":"…"}`.
function platformReply(text) {
  const start = text.indexOf('{"');
  if (start < 0) return null;
  try {
    const reply = JSON.parse(text.slice(start, text.lastIndexOf('}') + 1));
    return typeof reply.errCode === 'number' && reply.errCode !== 0 ? reply : null;
  } catch {
    return null;
  }
}

function refusal(apiCode, words, clientCode) {
  const inner = /(?:innerCode|errcode|errCode)\s*[:=]\s*(-?\d+)/.exec(words);
  const apiInnerCode = inner ? Number(inner[1]) : null;
  const base = { ok: false, apiCode, apiInnerCode, clientCode: clientCode ?? null, reason: clean(words) || `errCode ${apiCode}` };
  if (CREDENTIAL_CODES.has(apiCode) || CREDENTIAL_CODES.has(apiInnerCode) || CREDENTIAL_WORDS.test(words)) {
    const ip = apiCode === -10008 || apiCode === -10002 || IP_WORDS.test(words);
    return { ...base, class: 'credential', remedy: ip ? 'ip' : 'key' };
  }
  const size = apiInnerCode === 80051 || /exceed max limit/i.test(words);
  return { ...base, class: 'platform_refused', remedy: size ? 'size' : 'refused' };
}

// error: {kind, message, clientCode?, systemCode?, apiCode?, tls?, proxy?} as client.cjs sends it.
// progress: how far the publish had come. Returns an outcome for finish().
function classify(error, progress, request) {
  const text = clean(error.message);
  const base = { ok: false, reason: text, clientCode: error.clientCode ?? null };
  switch (error.kind) {
    case 'key': return { ...base, class: 'credential', remedy: 'keyfile' };
    case 'no-key': return { ...base, class: 'infrastructure', remedy: 'request' };
    case 'refused': return refusal(error.apiCode, text);
    case 'network': return { ...base, class: 'network', remedy: error.tls ? 'tls' : error.proxy ? 'proxy' : 'network' };
    default: break;
  }
  // From here on it is about the client or about how it ended.
  const reply = platformReply(text);
  if (reply) return refusal(reply.errCode, String(reply.errMsg ?? ''), error.clientCode);
  if (progress.uploadStarted) {
    const status = progress.httpStatus === null ? '' : ` (the platform's HTTP status was ${progress.httpStatus})`;
    const unclear = { ...base, reason: `${text}${status}` };
    // A preview changes nothing that people see; making another one is harmless.
    return request.mode === 'preview'
      ? { ...unclear, class: 'network', remedy: 'network' }
      : { ...unclear, class: 'publish_unknown', remedy: 'unknown' };
  }
  if (error.kind === 'interrupted') return { ...base, class: 'infrastructure', remedy: 'interrupted' };
  const code = error.clientCode;
  if (code === 20002) return { ...base, class: 'credential', remedy: 'keyfile' };
  // 10005…10093 and 20000 are the compiler's: files missing, syntax, JSON, plugins.
  if ((code > 10000 && code < 10100) || code === 20000) return { ...base, class: 'build', remedy: 'compile' };
  if (code === 20001 || code === 20003 || NETWORK.test(error.systemCode || '') || NETWORK.test(text)) {
    return { ...base, class: 'network', remedy: /certificate|issuer|SSL|TLS/i.test(text) ? 'tls' : 'network' };
  }
  return { ...base, class: 'infrastructure', remedy: 'client' };
}

module.exports = { classify };
