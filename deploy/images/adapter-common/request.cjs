// Reads and checks the publish request. A wrong one is the farm's fault, but for the options, which
// come from slipway.yaml.
'use strict';
const fs = require('fs');
const path = require('path');

const CONTRACT_VERSION = 1;

// Agents older than the versioned contract spread the options over these fields.
function optionsOf(raw) {
  if (raw.contractVersion !== undefined) return raw.options ?? {};
  const options = { ...raw.settings };
  const fields = { robot: 'robot', proveTimeoutSeconds: 'prove_timeout_seconds', useProjectConfig: 'use_project_config' };
  for (const [field, name] of Object.entries(fields)) {
    if (raw[field] !== undefined && raw[field] !== null) options[name] = raw[field];
  }
  return options;
}

// platform.options: name → {type: 'number', standard, low, high} | {type: 'flag', standard} | {type: 'text',
// standard, form, example}; an option without a standard stays absent when slipway.yaml does not say it.
function readOptions(platform, raw, badOption) {
  const known = { prove_timeout_seconds: { type: 'number', standard: 20, low: 1, high: 300 }, ...platform.options };
  const given = optionsOf(raw);
  const values = {};
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name)) throw badOption(`"${name}" is unknown; there are ${Object.keys(known).join(', ')}`);
  }
  for (const [name, { type, standard, low, high, form, example }] of Object.entries(known)) {
    const value = given[name] ?? standard;
    if (value === undefined) continue;
    if (type === 'number' && (!Number.isInteger(value) || value < low || value > high)) {
      throw badOption(`"${name}" must be a whole number from ${low} to ${high}`);
    }
    if (type === 'text' && (typeof value !== 'string' || !form.test(value))) throw badOption(`"${name}" must be a text such as "${example}"`);
    if (type === 'flag' && typeof value !== 'boolean') throw badOption(`"${name}" must be true or false`);
    values[name] = value;
  }
  return values;
}

function readRequest(file, platform) {
  const partial = {};
  const bad = (message) => Object.assign(new Error(message), { partial });
  const badOption = (message) => Object.assign(
    bad(`slipway.yaml: platforms.${platform.name}.publish: ${message}`), { outcome: { class: 'build', remedy: 'options' } });
  if (!file) throw bad('SLIPWAY_PUBLISH_REQUEST is not set');
  let raw;
  try {
    raw = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw bad(`the publish request ${file} cannot be read: ${error.message}`);
  }
  if (raw === null || typeof raw !== 'object') throw bad('the publish request is not an object');
  if (typeof raw.outDir === 'string' && path.isAbsolute(raw.outDir)) partial.outDir = raw.outDir;
  const text = (key, pattern) => {
    if (typeof raw[key] !== 'string' || !pattern.test(raw[key])) throw bad(`publish request: "${key}" is missing or malformed`);
    partial[key] = raw[key];
    return raw[key];
  };
  const absolute = /^\/[^\0]*$/;
  text('outDir', absolute);
  if (raw.contractVersion !== undefined && raw.contractVersion !== CONTRACT_VERSION) {
    throw bad(`publish request: contract version ${raw.contractVersion}; this image speaks ${CONTRACT_VERSION}: make the publisher images anew (deploy/images/build)`);
  }
  if (raw.platform !== platform.name) throw bad(`publish request: this image publishes to ${platform.name}, not to "${raw.platform}"`);
  const operation = raw.operation === undefined ? 'publish' : text('operation', /^(publish|probe|verify)$/);
  partial.operation = operation;
  const proxy = raw.proxy || null;
  if (proxy !== null && !/^https?:\/\/[^\s/]+\/?$/.test(proxy)) throw bad('publish request: "proxy" must look like http://host:port');
  const deadlineSeconds = Number.isInteger(raw.deadlineSeconds) ? Math.min(raw.deadlineSeconds, 7200) : raw.deadlineSeconds ?? 600;
  if (!Number.isInteger(deadlineSeconds) || deadlineSeconds < 1) {
    throw bad('publish request: "deadlineSeconds" must be a whole number above 0');
  }
  const { options = null, description = null } = raw;
  if (options !== null && (typeof options !== 'object' || Array.isArray(options))) throw bad('publish request: "options" must be an object');
  if (description !== null && typeof description !== 'string') throw bad('publish request: "description" must be a text');
  const request = {
    operation,
    platform: platform.name,
    appId: text('appId', /^[A-Za-z0-9_-]{1,64}$/),
    mode: operation === 'verify' ? 'upload' : text('mode', /^(upload|preview)$/),
    projectDir: operation === 'publish' ? text('projectDir', absolute) : null,
    version: operation === 'verify' ? '' : text('version', /^[^\0\n]{0,256}$/),  // its form is judged with the product
    description: description ?? '',
    proxy,
    caFile: raw.caFile ? text('caFile', absolute) : null,
    credentialFile: text('credentialFile', absolute),
    outDir: raw.outDir,
    deadlineSeconds,
  };
  request.options = readOptions(platform, raw, badOption);
  request.proveTimeoutSeconds = request.options.prove_timeout_seconds;
  return request;
}

module.exports = { CONTRACT_VERSION, readRequest };
