// The child process: runs the platform's own code (prove, probe, publish), and tells the supervisor
// every step over the channel, above all the moment the upload begins.
'use strict';
const fs = require('fs');
const { createRequire } = require('module');
const path = require('path');
const { ProveError } = require('./wire.cjs');

// Where the image has the platform's client with its dependencies.
const clientDirectory = path.join(__dirname, '../../client');
const requireClient = createRequire(`${clientDirectory}/`);
// A client may replace it (recipe.cjs).
const exit = process.exit.bind(process);
const tell = (message) => new Promise((resolve) => { process.send(message, resolve); });

function readCredential(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new ProveError('no-key', `the credential cannot be read: ${error.message}`);
  }
}

async function work(platform, request) {
  await tell({ event: 'stage', stage: 'prove' });
  const credential = platform.readCredential(readCredential(request.credentialFile));
  // Before anything of the product is compiled or sent. Where no question is known that could be asked,
  // nothing is claimed either.
  let proof = null;
  if (platform.prove) {
    proof = await platform.prove(request, credential);
    await tell({ event: 'proved' });
  } else if (request.operation === 'verify') {
    throw new ProveError('no-question', `${platform.words.platform} can be asked nothing with this credential but to take a product`);
  }
  if (request.operation === 'verify') return {};
  if (request.operation === 'probe') return { probe: await platform.probe(request, proof) };
  await tell({ event: 'stage', stage: request.mode });
  return platform.publish(request, credential, { tell, requireClient, clientDirectory, proof });
}

function describe(error) {
  return {
    kind: error.kind || 'client',
    name: typeof error.name === 'string' ? error.name : null,
    message: String(error.message || error),
    clientCode: typeof error.code === 'number' ? error.code : error.errorCode ?? null,
    systemCode: typeof error.code === 'string' ? error.code : null,
    apiCode: error.apiCode ?? null,
    payload: error.payload ?? null,
    tls: error.tls === true,
    proxy: error.proxy === true,
  };
}

function run(platform) {
  process.once('message', async ({ request }) => {
    let last;
    try {
      last = { event: 'done', outcome: await work(platform, request) };
    } catch (error) {
      last = { event: 'failed', error: describe(error) };
    }
    await tell(last);
  });
  // Without a supervisor nobody would enforce the deadline.
  process.once('disconnect', () => exit(1));
}

// Clients that end the process on their own take their last words along; the supervisor waits for
// ours alone.
if (require.main === module) run(require('../platform.cjs'));

module.exports = { run };
