// Reads and checks the publish request; a wrong one is the farm's fault, never the product's.
'use strict';
const fs = require('fs');
const path = require('path');

function readRequest(file) {
  const partial = {};
  const bad = (message) => Object.assign(new Error(message), { partial });
  if (!file) throw bad('SLIPWAY_PUBLISH_REQUEST is not set');
  let raw;
  try {
    raw = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw bad(`the publish request ${file} cannot be read: ${error.message}`);
  }
  if (typeof raw.outDir === 'string' && path.isAbsolute(raw.outDir)) partial.outDir = raw.outDir;
  const text = (key, pattern) => {
    if (typeof raw[key] !== 'string' || !pattern.test(raw[key])) throw bad(`publish request: "${key}" is missing or malformed`);
    partial[key] = raw[key];
    return raw[key];
  };
  const number = (key, standard, low, high) => {
    const value = raw[key] ?? standard;
    if (!Number.isInteger(value) || value < low || value > high) throw bad(`publish request: "${key}" must be a whole number from ${low} to ${high}`);
    return value;
  };
  const absolute = /^\/[^\0]*$/;
  text('outDir', absolute);
  if (raw.platform !== 'weixin') throw bad(`publish request: this image publishes to weixin, not to "${raw.platform}"`);
  const operation = raw.operation === undefined ? 'publish' : text('operation', /^(publish|probe)$/);
  const proxy = raw.proxy || null;
  if (proxy !== null && !/^https?:\/\/[^\s/]+\/?$/.test(proxy)) throw bad('publish request: "proxy" must look like http://host:port');
  return {
    operation,
    platform: 'weixin',
    appId: text('appId', /^[A-Za-z0-9_-]{1,64}$/),
    mode: text('mode', /^(upload|preview)$/),
    projectDir: operation === 'probe' ? null : text('projectDir', absolute),
    version: text('version', /^[^\0\n]{0,256}$/),  // its form is judged with the product
    description: String(raw.description ?? ''),
    robot: number('robot', 1, 1, 30),
    proxy,
    caFile: raw.caFile ? text('caFile', absolute) : null,
    credentialFile: text('credentialFile', absolute),
    outDir: raw.outDir,
    settings: { useProjectConfig: raw.useProjectConfig !== false, ...(raw.settings ?? {}) },
    deadlineSeconds: number('deadlineSeconds', 600, 1, 7200),
    proveTimeoutSeconds: number('proveTimeoutSeconds', 20, 1, 300),
  };
}

module.exports = { readRequest };
