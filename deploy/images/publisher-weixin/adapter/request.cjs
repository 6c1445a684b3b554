// Reads and checks the publish request. A wrong one is the farm's fault, but for the options, which
// come from slipway.yaml.
'use strict';
const fs = require('fs');
const path = require('path');

// Settings of the client that a project may decide about, by their names in slipway.yaml. Others are
// refused: some make the client run code next to the upload key.
const CLIENT_SETTINGS = {
  es6: 'es6',
  es7: 'es7',
  minify: 'minify',
  minify_js: 'minifyJS',
  minify_wxml: 'minifyWXML',
  minify_wxss: 'minifyWXSS',
  code_protect: 'codeProtect',
  auto_prefix_wxss: 'autoPrefixWXSS',
  disable_use_strict: 'disableUseStrict',
  compile_worklet: 'compileWorklet',
};

function readRequest(file) {
  const partial = {};
  const bad = (message) => Object.assign(new Error(message), { partial });
  const badOption = (message) => Object.assign(
    bad(`slipway.yaml: platforms.weixin.publish: ${message}`), { outcome: { class: 'build', remedy: 'options' } });
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
  const numberOption = (name, key, standard, low, high) => {
    const value = raw[key] ?? standard;
    if (!Number.isInteger(value) || value < low || value > high) throw badOption(`"${name}" must be a whole number from ${low} to ${high}`);
    return value;
  };
  const flag = (name, value) => {
    if (typeof value !== 'boolean') throw badOption(`"${name}" must be true or false`);
    return value;
  };
  const clientSettings = () => {
    const settings = { useProjectConfig: flag('use_project_config', raw.useProjectConfig ?? true) };
    for (const [name, value] of Object.entries(raw.settings ?? {})) {
      if (!Object.hasOwn(CLIENT_SETTINGS, name)) {
        throw badOption(`"${name}" is unknown; there are robot, prove_timeout_seconds, use_project_config, ${Object.keys(CLIENT_SETTINGS).join(', ')}`);
      }
      settings[CLIENT_SETTINGS[name]] = flag(name, value);
    }
    return settings;
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
    robot: numberOption('robot', 'robot', 1, 1, 30),
    proxy,
    caFile: raw.caFile ? text('caFile', absolute) : null,
    credentialFile: text('credentialFile', absolute),
    outDir: raw.outDir,
    settings: clientSettings(),
    deadlineSeconds: number('deadlineSeconds', 600, 1, 7200),
    proveTimeoutSeconds: numberOption('prove_timeout_seconds', 'proveTimeoutSeconds', 20, 1, 300),
  };
}

module.exports = { readRequest };
