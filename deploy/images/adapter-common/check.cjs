// What can be known of a product of any platform before a byte leaves.
'use strict';
const fs = require('fs');
const path = require('path');

const build = (reason, remedy) => ({ class: 'build', reason, remedy });

const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));

// Reads projectDir/name. Returns {json} or {problem}.
function productFile(directory, name, shown = name) {
  try {
    return { json: readJson(path.join(directory, name)) };
  } catch (error) {
    return { problem: error.code === 'ENOENT' ? build(`the product has no ${shown}`, 'output') : build(`${shown}: ${error.message}`, 'output') };
  }
}

// Where the mini program lies when the project's file names a directory of it: {directory} or {problem}.
function rootInside(request, named, where) {
  const inside = (child, parent) => child === parent || child.startsWith(`${parent}/`);
  let real;
  try {
    real = fs.realpathSync(path.resolve(request.projectDir, named || '.'));
  } catch {
    return { problem: build(`${where} "${named}" does not exist in the product`, 'output') };
  }
  if (!inside(real, fs.realpathSync(request.projectDir))) {
    return { problem: build(`${where} "${named}" points outside of the product`, 'output') };
  }
  return { directory: real };
}

// x.y.z, as platforms want it whose versions must rise.
function threeNumbers(request, platform) {
  return /^(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){2}$/.test(request.version)
    ? null : build(`version "${request.version}" is not one ${platform} takes`, 'version');
}

// -1, 0, 1 for two versions x.y.z; null when one is none.
function compareVersions(a, b) {
  const numbers = [a, b].map((text) => (/^\d+\.\d+\.\d+$/.test(text) ? text.split('.').map(Number) : null));
  if (numbers.includes(null)) return null;
  const at = numbers[0].findIndex((number, index) => number !== numbers[1][index]);
  return at < 0 ? 0 : Math.sign(numbers[0][at] - numbers[1][at]);
}

module.exports = { build, compareVersions, productFile, readJson, rootInside, threeNumbers };
