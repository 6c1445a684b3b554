// What platform clients send as forms and archives, as far as the stand-in looks into it.
import zlib from 'node:zlib';

// The fields (text) and files (bytes) of a multipart/form-data body.
export function formOf(raw, type) {
  const fields = {};
  const files = {};
  const boundary = /boundary=("?)([^";]+)\1/.exec(type || '');
  if (!boundary) return { fields, files };
  const separator = Buffer.from(`--${boundary[2]}`);
  for (let at = raw.indexOf(separator), next; at >= 0; at = next) {
    next = raw.indexOf(separator, at + separator.length);
    if (next < 0) break;
    const part = raw.subarray(at + separator.length + 2, next - 2);
    const end = part.indexOf('\r\n\r\n');
    if (end < 0) continue;
    const head = part.toString('utf8', 0, end);
    const name = /name="([^"]*)"/.exec(head)?.[1];
    if (name === undefined) continue;
    if (/filename="/.test(head)) files[name] = part.subarray(end + 4);
    else fields[name] = part.toString('utf8', end + 4);
  }
  return { fields, files };
}

const LARGEST_ENTRY = 256 << 20;

// The entries of a zip, from its central directory.
function* zipEntries(zip) {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0) return;
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const length = zip.readUInt16LE(at + 28);
    yield { name: zip.toString('utf8', at + 46, at + 46 + length), method: zip.readUInt16LE(at + 10), size: zip.readUInt32LE(at + 20), header: zip.readUInt32LE(at + 42) };
    at += 46 + length + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
}

// Names of the files in a zip.
export const zipNames = (zip) => [...zipEntries(zip)].map(({ name }) => name);

// The bytes of one file in a zip; empty when it is not there.
export function zipFile(zip, wanted) {
  const entry = [...zipEntries(zip)].find(({ name }) => name === wanted);
  if (!entry) return Buffer.alloc(0);
  const start = entry.header + 30 + zip.readUInt16LE(entry.header + 26) + zip.readUInt16LE(entry.header + 28);
  const bytes = zip.subarray(start, start + entry.size);
  return entry.method === 0 ? bytes : zlib.inflateRawSync(bytes, { maxOutputLength: LARGEST_ENTRY });
}

// Names of the files in a tar.
export function tarNames(tar) {
  const names = [];
  const text = (from, length) => tar.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  for (let at = 0, size; at + 512 <= tar.length && tar[at] !== 0; at += 512 + Math.ceil(size / 512) * 512) {
    size = parseInt(text(at + 124, 12), 8) || 0;
    const prefix = text(at + 345, 155);
    if ('0\0'.includes(String.fromCharCode(tar[at + 156]))) names.push(prefix ? `${prefix}/${text(at, 100)}` : text(at, 100));
  }
  return names;
}

// -1, 0, 1 for two versions x.y.z.
export function compareVersions(a, b) {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number));
  const at = x.findIndex((number, index) => number !== y[index]);
  return at < 0 ? 0 : Math.sign(x[at] - y[at]);
}
