// Publishes one finished mini program product, and says truthfully what came of it; or asks what became
// of an earlier publish (probe), or only whether the credential is good (verify).
//
//   SLIPWAY_PUBLISH_REQUEST=/path/request.json node publish.cjs
//
// This process only supervises. The work (child.cjs) runs in a child, because the platforms' clients
// set no timeouts, run processes of their own and may die; whatever happens to it, result.json is
// written, whole or not at all, and names the failure by class. Exit status: 0 published, 1 not (or
// not known). The contract of request and result is docs/adapters.md.
'use strict';
const childProcess = require('child_process');
const fs = require('fs');
const { O_WRONLY, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const os = require('os');
const path = require('path');
const { classify } = require('./classify.cjs');
const { heldSteps } = require('./hold.cjs');
const { CONTRACT_VERSION, readRequest } = require('./request.cjs');
const { remedyFor } = require('./remedies.cjs');

// How soon people see that an upload began which a process of the client's own told of.
const HELD_MS = 250;

// For the channel of a child that was killed, should somebody else hold it open.
const CHANNEL_MS = 5000;

const say = (text) => process.stdout.write(`${text}\n`);

// What the child has told so far. `uploadStarted` is the line between "certainly not published" and
// "perhaps": it is set when the first byte of the upload may have left. `published` is what the platform
// has confirmed already, when there is something left to do that can only add to it.
const progress = { stage: 'check', uploadStarted: false, uploadBytes: null, httpStatus: null, published: null };

// The agent reads no result above 64 KiB, and the platform decides how long its texts are.
const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : cut(value, 100));
const cut = (text, most = 1024) => (text === undefined || text === null ? null : String(text).slice(0, most));
const sizesOf = (list) => (Array.isArray(list) ? list : []).slice(0, 50)
  .filter((one) => typeof one?.name === 'string' && Number.isFinite(one.size))
  .map(({ name, size }) => ({ name: cut(name, 100), size }));

function finish(platform, request, outcome) {
  const failed = !outcome.ok;
  const result = {
    contractVersion: CONTRACT_VERSION,
    ok: outcome.ok,
    platform: platform.name,
    mode: request.mode,
    appId: request.appId,
    version: request.mode === 'preview' ? platform.previewVersion ?? request.version : request.version,
    stage: progress.stage,
    link: cut(outcome.link),
    qrText: cut(outcome.qrText, 2048),
    qrImageUrl: cut(outcome.qrImageUrl),
    qrFile: outcome.qrFile ?? null,
    qrExpiresAt: outcome.qrExpiresAt ?? null,
    sizes: sizesOf(outcome.sizes),
    ...(outcome.probe ? { probe: { ...outcome.probe, words: cut(outcome.probe.words) } } : {}),
    class: failed ? outcome.class : null,
    clientCode: number(outcome.clientCode),
    apiCode: number(outcome.apiCode),
    apiInnerCode: number(outcome.apiInnerCode),
    reason: failed ? cut(outcome.reason, 4000) : null,
    ...(failed ? remedyFor(platform, outcome) : { remedy: null, remedyZh: null }),
    retryable: failed && outcome.class === 'network' && !progress.uploadStarted,
    uploadStarted: progress.uploadStarted,
    uploadBytes: progress.uploadBytes,
  };
  if (request.outDir) {
    const target = path.join(request.outDir, 'result.json');
    // The client ran as the same user: what it may have left there is not written through.
    fs.rmSync(`${target}.part`, { recursive: true, force: true });
    const file = fs.openSync(`${target}.part`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
    fs.writeSync(file, `${JSON.stringify(result, null, 1)}\n`);
    fs.fsyncSync(file);
    fs.closeSync(file);
    fs.renameSync(`${target}.part`, target);
  }
  if (failed && request.operation === 'probe') {
    say(`the platform could not be asked (${result.class}): ${result.reason}`);
  } else if (failed) {
    say(`not published (${result.class}, at ${result.stage}): ${result.reason}`);
    say(`  what to do: ${result.remedy}`);
    say(`  怎么办：${result.remedyZh}`);
  }
  process.exitCode = failed ? 1 : 0;
}

// For the farm's list of steps: each stage as it begins. Its loss costs nothing but that.
function openProgress(request) {
  const file = path.join(request.outDir, 'progress');
  try {
    fs.rmSync(file, { recursive: true, force: true });
    return fs.openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK, 0o644);
  } catch {
    return null;
  }
}

function announce(steps, stage) {
  if (steps === null) return;
  try {
    fs.writeSync(steps, `${stage}\n`);
  } catch { /* the result says how far it came */ }
}

// The child sees the operator's proxy and CA only: proxies of the environment would win over them in
// the client, and may not be the ones this target is allowed to use.
function childEnvironment(platform, request, work) {
  const env = {
    PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: work, TMPDIR: work, NODE_ENV: 'production', ...platform.environment?.(work, request) };
  const bundles = [process.env.NODE_EXTRA_CA_CERTS, request.caFile].filter(Boolean);
  if (bundles.length > 0) {
    env.NODE_EXTRA_CA_CERTS = path.join(work, 'ca.pem');
    const text = [...new Set(bundles)].map((file) => fs.readFileSync(file, 'utf8')).join('\n');
    fs.writeFileSync(env.NODE_EXTRA_CA_CERTS, text);
  }
  return env;
}

function runClient(platform, request, work) {
  const steps = openProgress(request);
  return new Promise((resolve) => {
    const child = childProcess.fork(path.join(__dirname, 'child.cjs'), [], {
      cwd: work,  // clients make cache folders in the current directory
      env: childEnvironment(platform, request, work),
      detached: true,  // a group of its own, so that the client's processes end with it
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let settled = false;
    let stderr = '';
    let ended = null;
    const open = new Set(['process', 'channel']);
    const kill = () => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* all of it has ended */ } };
    const settle = (outcome) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      clearInterval(held);
      kill();
      resolve(outcome);
    };
    const fail = (error) => {
      heldSteps(work).forEach(hear);
      if (progress.published) {
        say(`published, but then: ${error.message}`);
        settle({ ok: true, ...progress.published });
      } else {
        settle(classify(platform, error, progress, request));
      }
    };
    // What the child told before its end may still be on the way, above all that the upload began: it is
    // judged when nothing more can come.
    const conclude = () => { if (!settled) fail({ kind: 'interrupted', message: ended }); };
    const interrupted = (what) => {
      if (settled || ended !== null) return;
      ended = what;
      kill();
      if (open.size > 0) setTimeout(conclude, CHANNEL_MS);
    };
    const closed = (part) => {
      open.delete(part);
      if (open.size === 0 && ended !== null) setImmediate(conclude);
    };
    const timer = setTimeout(
      () => interrupted(`no answer within ${request.deadlineSeconds} s; the client was stopped`), request.deadlineSeconds * 1000);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
      process.on(signal, () => interrupted(`stopped by ${signal}`));
    }
    child.stderr.on('data', (data) => { stderr = (stderr + data).slice(-2000); });
    const hear = (message) => {
      switch (message.event) {
        case 'stage':
          progress.stage = message.stage;
          announce(steps, message.stage);
          break;
        case 'proved': say(`credential proved: ${platform.words.platform} accepts the ${platform.words.credential} of ${request.appId}`); break;
        case 'client': say(`${message.doing} with ${message.client}`); break;
        case 'upload-started':
          if (!progress.uploadStarted) {
            progress.uploadStarted = true;
            progress.uploadBytes = message.bytes;
            const size = message.bytes ? ` ${Math.ceil(message.bytes / 1000)} kB` : '';
            say(`uploading${size} as ${request.mode === 'preview' ? 'preview' : `version ${request.version}`} …`);
          }
          break;
        case 'http-status': progress.httpStatus = message.status; break;
        case 'published': progress.published = message.outcome; break;
        case 'done':
          heldSteps(work).forEach(hear);
          settle({ ok: true, ...message.outcome });
          break;
        case 'failed': fail(message.error); break;
        default: break;
      }
    };
    child.on('message', hear);
    const held = setInterval(() => heldSteps(work).forEach(hear), HELD_MS);
    child.on('error', (error) => interrupted(`the client could not be started: ${error.message}`));
    child.on('disconnect', () => closed('channel'));
    child.on('exit', (code, signal) => {
      interrupted(
        `the client ended without a result (${signal || `exit status ${code}`})${stderr ? `: ${stderr.trim().split('\n').pop()}` : ''}`);
      closed('process');
    });
    // The credential's path is told over the channel: arguments and environment can be read by others.
    child.send({ request });
  });
}

function closingWords(platform, request, outcome) {
  if (request.operation === 'verify') return 'verified: nothing was sent';
  if (request.operation === 'probe') return outcome.probe.words;
  return request.mode === 'preview' ? 'preview made' : `uploaded: ${platform.describe?.(request) ?? `version ${request.version}`}`;
}

async function main(platform, request) {
  if (request.operation === 'publish') {
    const problem = platform.check(request);
    if (problem) {
      finish(platform, request, { ok: false, ...problem });
      return;
    }
    say(`product checked: ${request.appId}, version ${request.version}`);
  }
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'publish-'));
  try {
    const outcome = await runClient(platform, request, work);
    if (outcome.ok) say(closingWords(platform, request, outcome));
    finish(platform, request, outcome);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

const farmFault = (reason) => ({ ok: false, class: 'infrastructure', remedy: 'request', reason });

async function start(platform) {
  process.umask(0o022);  // the agent reads the result under another uid
  let request;
  try {
    request = readRequest(process.env.SLIPWAY_PUBLISH_REQUEST, platform);
  } catch (error) {
    finish(platform, { ...error.partial }, { ...farmFault(error.message), ...error.outcome });
    return;
  }
  try {
    await main(platform, request);
  } catch (error) {
    finish(platform, request, farmFault(`publish adapter: ${error.message}`));
  }
}

function run(platform) {
  start(platform).catch((error) => {
    say(`publish adapter: the result cannot be written: ${error.message}`);
    process.exitCode = 1;
  }).finally(() => process.exit());
}

module.exports = { run };
