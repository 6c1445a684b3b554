// What can be known about a product before any byte leaves: it is a mini program, it is this one, and
// its version is one the platform takes.
'use strict';
const path = require('path');
const { build, productFile, rootInside } = require('./common/check.cjs');

// The client compiles the product in the process that holds the upload key. Less runs scripts of the
// product (`@plugin`) and takes in any file it can read (`@import (inline)`, `data-uri`), the key too;
// SWC loads plugins that its settings name. Both belong into the build script, which never sees a key.
const HARMLESS_COMPILERS = new Set(['typescript', 'sass']);

function unsafeSetting(setting) {
  const plugins = setting?.useCompilerPlugins || [];
  if (!Array.isArray(plugins)) return 'setting.useCompilerPlugins is not a list';
  const names = plugins.map((plugin) => (Array.isArray(plugin) ? plugin[0] : plugin));
  const refused = names.find((name) => !HARMLESS_COMPILERS.has(name));
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
