// What platform clients send as forms and archives, as far as the stand-in looks into it.

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

// Names of the files in a zip, from its central directory.
export function zipNames(zip) {
  const names = [];
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  if (end < 0) return names;
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const length = zip.readUInt16LE(at + 28);
    names.push(zip.toString('utf8', at + 46, at + 46 + length));
    at += 46 + length + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return names;
}

// -1, 0, 1 for two versions x.y.z.
export function compareVersions(a, b) {
  const [x, y] = [a, b].map((text) => text.split('.').map(Number));
  const at = x.findIndex((number, index) => number !== y[index]);
  return at < 0 ? 0 : Math.sign(x[at] - y[at]);
}
