// What can be known of a product of any platform before a byte leaves.
'use strict';
const fs = require('fs');
const path = require('path');

const build = (reason, remedy) => ({ class: 'build', reason, remedy });

const MAX_JSON = 1 << 20;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

// JSON.parse makes these plain keys; a client that copies them sets the prototype of its own settings,
// which no look at the keys would show.
const PROTOTYPE_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

function refusePrototypes(key, value) {
  if (PROTOTYPE_KEYS.has(key)) throw new Error(`the key "${key}" could change what the upload client does`);
  return value;
}

// Neither a pipe nor something endless may hold up the check.
function readText(file) {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const found = fs.fstatSync(descriptor);
    if (!found.isFile()) throw new Error('not a regular file');
    if (found.size > MAX_JSON) throw new Error('larger than 1 MiB');
    return fs.readFileSync(descriptor, 'utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}

function readJson(file) {
  const json = JSON.parse(readText(file).replace(/^\uFEFF/, ''), refusePrototypes);
  if (json === null || typeof json !== 'object' || Array.isArray(json)) throw new Error('not a JSON object');
  return json;
}

// Reads projectDir/name. Returns {json}, or {problem, absent}.
function productFile(directory, name, shown = name) {
  try {
    return { json: readJson(path.join(directory, name)) };
  } catch (error) {
    const absent = error.code === 'ENOENT';
    return { absent, problem: build(absent ? `the product has no ${shown}` : `${shown}: ${error.message}`, 'output') };
  }
}

// Whether anything at all bears this name, a link to nowhere too.
const exists = (file) => fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;

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

module.exports = { build, compareVersions, exists, productFile, readJson, rootInside, threeNumbers };
