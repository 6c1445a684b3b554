// Sources → product: check every script, see that pages and components are whole and speak all
// languages, merge the language files, stamp the version, copy.
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const root = process.cwd();
const source = path.join(root, 'src');
const output = process.env.SLIPWAY_OUTPUT;
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
const version = process.env.SLIPWAY_VERSION || manifest.version;
const commit = process.env.SLIPWAY_COMMIT || 'local';
const started = Date.now();
let stepNumber = 0;

function step(text) {
  stepNumber += 1;
  console.log(`[${stepNumber}/5] ${text}`);
}

function fail(message) {
  console.error(`build failed: ${message}`);
  if (process.env.SLIPWAY_RESULT) {
    fs.writeFileSync(process.env.SLIPWAY_RESULT, JSON.stringify({ error: message }));
  }
  process.exit(1);
}

function filesBelow(folder) {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const full = path.join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(full) : [full];
  }).sort();
}

const readJson = (file) => {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    return fail(`${path.relative(root, file)}: ${error.message}`);
  }
};

const files = filesBelow(source);
const scripts = files.filter((file) => file.endsWith('.js'));
step(`checking ${scripts.length} scripts`);
for (const file of scripts) {
  try {
    execFileSync(process.execPath, ['--check', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    console.error(String(error.stderr));
    fail(`${path.relative(root, file)} is not valid JavaScript`);
  }
}

const app = readJson(path.join(source, 'app.json'));
const components = files.filter((file) => file.includes('/components/') && file.endsWith('.wxml'));
step(`checking ${app.pages.length} pages and ${components.length} components`);
for (const part of [...app.pages, ...components.map((file) => path.relative(source, file).replace(/\.wxml$/, ''))]) {
  for (const extension of ['.js', '.json', '.wxml', '.wxss']) {
    if (!fs.existsSync(path.join(source, part + extension))) fail(`${part}${extension} is missing`);
  }
}

const languages = fs.readdirSync(path.join(source, 'i18n')).filter((name) => name.endsWith('.json')).sort();
step(`merging languages: ${languages.map((name) => name.replace('.json', '')).join(', ')}`);
const texts = Object.fromEntries(languages.map((name) => [name.replace('.json', ''), readJson(path.join(source, 'i18n', name))]));
const everyKey = new Set(Object.values(texts).flatMap((table) => Object.keys(table)));
for (const [language, table] of Object.entries(texts)) {
  const missing = [...everyKey].filter((key) => !(key in table));
  if (missing.length) fail(`i18n/${language}.json lacks ${missing.join(', ')}`);
}

step(`writing ${path.relative(root, output) || output}`);
fs.rmSync(output, { recursive: true, force: true });
let bytes = 0;
for (const file of files) {
  const relative = path.relative(source, file);
  if (relative.startsWith(`i18n${path.sep}`)) continue;
  const target = path.join(output, relative);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(file, target);
  bytes += fs.statSync(target).size;
}
fs.writeFileSync(path.join(output, 'lib/texts.js'), `module.exports = ${JSON.stringify(texts, null, 2)};\n`);
fs.writeFileSync(path.join(output, 'lib/build-info.js'), `module.exports = ${JSON.stringify({ version, commit: commit.slice(0, 12) }, null, 2)};\n`);
const project = readJson(path.join(root, 'project.config.json'));
if (process.env.SLIPWAY_APP_ID) project.appid = process.env.SLIPWAY_APP_ID;
project.miniprogramRoot = './';
fs.writeFileSync(path.join(output, 'project.config.json'), `${JSON.stringify(project, null, 2)}\n`);

const product = filesBelow(output);
const digest = crypto.createHash('sha256');
for (const file of product) digest.update(path.relative(output, file)).update('\0').update(fs.readFileSync(file));
step(`stamped version ${version}, commit ${commit.slice(0, 12)}`);
console.log(`done: ${product.length} files, ${(bytes / 1000).toFixed(1)} kB, content ${digest.digest('hex').slice(0, 12)}, ${Date.now() - started} ms`);
if (process.env.SLIPWAY_RESULT) {
  fs.writeFileSync(process.env.SLIPWAY_RESULT, JSON.stringify({ version }));
}
