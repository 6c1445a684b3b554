// What can be known about a product before any byte leaves: it is a mini program, it is this one, and
// its version is one the platform takes.
'use strict';
const path = require('path');
const { build, productFile, rootInside } = require('./common/check.cjs');

// The client compiles the product in the process that holds the upload key. Less runs scripts of the
// product (`@plugin`) and takes in any file it can read (`@import (inline)`, `data-uri`), the key too;
// SWC loads plugins that its settings name. Both belong into the build script, which never sees a key.
const HARMLESS_COMPILERS = new Set(['typescript', 'sass']);

// Lists and objects that the client's own developer tool writes; others than these and plain values
// are not let through, since what a later compiler makes of them is not known.
const HARMLESS_STRUCTURES = new Set(['useCompilerPlugins', 'swcSetting', 'babelSetting', 'packNpmRelationList']);

function unsafeSetting(setting) {
  if (setting === undefined || setting === null) return null;
  if (typeof setting !== 'object' || Array.isArray(setting)) return 'setting is not an object';
  for (const [name, value] of Object.entries(setting)) {
    if (typeof value === 'object' && value !== null && !HARMLESS_STRUCTURES.has(name)) {
      return `setting.${name} is neither true, false, a number nor a text, and could change what the compiler does next to the upload key`;
    }
  }
  const plugins = setting.useCompilerPlugins || [];
  if (!Array.isArray(plugins)) return 'setting.useCompilerPlugins is not a list';
  const refused = plugins.find((name) => !HARMLESS_COMPILERS.has(name));
  if (refused !== undefined) {
    return `setting.useCompilerPlugins names ${JSON.stringify(refused)}, which could run code of the product next to the upload key`;
  }
  if (setting?.swcSetting?.rc) return 'setting.swcSetting.rc could load code of the product next to the upload key';
  return null;
}

// Returns null, or {class, reason, remedy}.
function checkProduct(request) {
  const config = productFile(request.projectDir, 'project.config.json');
  if (config.problem) return config.problem;
  const project = config.json;
  if (project.appid !== request.appId) {
    return build(`project.config.json says appid "${project.appid}", slipway.yaml says app_id "${request.appId}"`, 'appid');
  }
  const unsafe = unsafeSetting(project.setting);
  if (unsafe) return build(`project.config.json: ${unsafe}`, 'compiler');
  const own = productFile(request.projectDir, 'project.private.config.json');
  if (own.problem && !own.absent) return own.problem;
  const unsafeOwn = unsafeSetting(own.json?.setting);
  if (unsafeOwn) return build(`project.private.config.json: ${unsafeOwn}`, 'compiler');
  const root = rootInside(request, project.miniprogramRoot, 'miniprogramRoot of project.config.json:');
  if (root.problem) return root.problem;
  // A mini game has game.json in its place.
  const entry = project.compileType === 'game' ? 'game.json' : 'app.json';
  const app = productFile(root.directory, entry, path.join(project.miniprogramRoot || '', entry));
  if (app.problem) return app.problem;
  if (!/^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/.test(request.version)) {
    return build(`version "${request.version}" is not one WeChat takes`, 'version');
  }
  return null;
}

module.exports = { checkProduct };
