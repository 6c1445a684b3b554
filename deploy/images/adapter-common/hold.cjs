// For clients whose processes nobody here has seen at work: every process of theirs that is Node.js is held
// as wire.cjs holds the first one, and tells through a file when it begins to send the product. Loaded into
// each by NODE_OPTIONS (preload.cjs).
'use strict';
const fs = require('fs');
const http2 = require('http2');
const { syncBuiltinESMExports } = require('module');
const path = require('path');
const { holdClient } = require('./wire.cjs');

const SETTINGS = 'hold.json';
const STEPS = 'held-steps';

// A package has at least a few files, whose names and sizes alone need more; a signed question needs less.
const LONGEST_QUESTION = 512;

// Without knowing the platform's addresses: all that is sent but short questions.
function carriesProduct({ method, headers }) {
  if (/^(GET|HEAD|OPTIONS)$/i.test(method)) return false;
  const length = Number(headers['content-length'] ?? NaN);
  return !(length <= LONGEST_QUESTION && /json|x-www-form-urlencoded/i.test(headers['content-type'] || ''));
}

// The environment that holds the client of one publish, in `work`. hosts: as holdClient takes them.
// In a file, because a proxy's address may hold a password.
function holdingEnvironment(work, request, hosts) {
  const file = path.join(work, SETTINGS);
  fs.writeFileSync(file, JSON.stringify({ platform: request.platform, proxy: request.proxy, hosts, steps: path.join(work, STEPS) }), { mode: 0o600 });
  return { NODE_OPTIONS: `--require=${path.join(__dirname, 'preload.cjs')}`, SLIPWAY_HOLD: file };
}

// Nothing else is taken from a file that the client's processes can write.
const HEARD = new Set(['upload-started', 'http-status']);

// What processes of the client told, as child.cjs tells it over the channel.
function heldSteps(work) {
  try {
    const lines = fs.readFileSync(path.join(work, STEPS), 'utf8').split('\n');
    // The last one may be in the middle of being written.
    return lines.slice(0, -1).map((line) => JSON.parse(line)).filter(({ event }) => HEARD.has(event));
  } catch {
    return [];
  }
}

// In a process of the client. What has another way to the network than Node's https is not let out.
function holdProcess(settingsFile) {
  const { steps, hosts, ...request } = JSON.parse(fs.readFileSync(settingsFile, 'utf8'));
  const tell = (message) => fs.appendFileSync(steps, `${JSON.stringify(message)}\n`);
  holdClient(request, { hosts, local: true, carriesProduct, tell });
  const refused = () => new Error(`connect ECONNREFUSED: requests of this kind cannot be held, so this client of ${request.platform} cannot be used`);
  globalThis.fetch = async () => { throw refused(); };
  http2.connect = () => { throw refused(); };
  syncBuiltinESMExports();
}

module.exports = { heldSteps, holdProcess, holdingEnvironment };
