// From what the client or the platform said to one failure class. The words themselves are kept: the
// class decides what the farm does next, the reason is for people.
'use strict';

const NETWORK = /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|socket hang up|tunneling socket|proxy|certificate|self.signed|issuer|SSL|TLS/i;
const CERTIFICATE = /certificate|issuer|SSL|TLS/i;

const clean = (text) => String(text)
  .replace(/\u001b\[[0-9;]*m/g, '')
  .replace(/-----BEGIN [^-]*PRIVATE KEY-----[^]*?(-----END [^-]*PRIVATE KEY-----|$)/g, '[private key]')
  .replace(/(https?:\/\/)[^\s/@]+@/g, '$1')
  .trim()
  .slice(0, 4000);

// An outcome for a no of the platform in its own words; what is about the caller and not about what was
// sent is the credential's failure.
//   remedy  one of the platform's or of the common remedies
const refused = (klass, remedy, { apiCode = null, apiInnerCode = null, clientCode = null }, words) => ({
  ok: false, class: klass, remedy, apiCode, apiInnerCode, clientCode, reason: clean(words) || `code ${apiCode}` });

// error: as child.cjs describes it. progress: how far the publish had come. The platform's own part:
//   refusal(error, words)     for a no of the platform that the adapter heard itself
//   answer(error, words)      the same inside a client's error; null: there is none
//   clientError(error, words) of the client, nothing having been sent; null: not known
function classify(platform, error, progress, request) {
  const text = clean(error.message);
  const base = { ok: false, reason: text, clientCode: error.clientCode ?? null };
  switch (error.kind) {
    case 'key': return { ...base, class: 'credential', remedy: 'keyfile' };
    case 'no-question': return { ...base, class: 'infrastructure', remedy: 'no-question' };
    case 'no-key': return { ...base, class: 'infrastructure', remedy: 'request' };
    case 'refused': {
      // Nothing was sent yet that could be refused.
      const said = platform.refusal(error, text);
      return said.class === 'platform_refused' ? { ...said, class: 'network', remedy: 'network' } : said;
    }
    case 'version-used': return refused('platform_refused', 'version-used', {}, text);
    case 'network': return { ...base, class: 'network', remedy: error.tls ? 'tls' : error.proxy ? 'proxy' : 'network' };
    default: break;
  }
  // From here on it is about the client or about how it ended.
  // A fault of the platform's servers is no answer, whatever it says.
  const answer = error.kind === 'client' && !(progress.httpStatus >= 500) ? platform.answer(error, text) : null;
  if (answer) return answer;
  if (error.kind === 'interrupted' && (request.mode === 'preview' || !progress.uploadStarted)) {
    return { ...base, class: 'infrastructure', remedy: 'interrupted' };
  }
  if (progress.uploadStarted) {
    const status = progress.httpStatus === null ? '' : ` (the platform's HTTP status was ${progress.httpStatus})`;
    const unclear = { ...base, reason: `${text}${status}` };
    // A preview changes nothing that people see; making another one is harmless.
    return request.mode === 'preview'
      ? { ...unclear, class: 'network', remedy: 'network' }
      : { ...unclear, class: 'publish_unknown', remedy: 'unknown' };
  }
  const known = platform.clientError(error, text);
  if (known) return { ...base, ...known };
  if (NETWORK.test(error.systemCode || '') || NETWORK.test(text)) {
    return { ...base, class: 'network', remedy: CERTIFICATE.test(text) ? 'tls' : 'network' };
  }
  return { ...base, class: 'infrastructure', remedy: 'client' };
}

module.exports = { classify, clean, refused, CERTIFICATE, NETWORK };
