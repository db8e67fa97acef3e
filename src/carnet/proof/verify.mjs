/**
 * Carnet's second verifier: what a stranger can conclude from one proof bundle, and nothing else.
 *
 * Written from docs/spec (format version 1) alone; it shares no code with the Python verifier, and the two must give
 * the same report on every input. Comments name the clause that a check comes from. It refuses to know networks, files
 * and clocks: bytes, a policy and a time come in, a report goes out. Only the command line at the end touches Node.
 *
 * Needs WebCrypto with Ed25519, TextEncoder and TextDecoder: Node >= 20 or a current browser. No dependency.
 */

const MAX_BUNDLE_BYTES = 33_554_432;
const MAX_BUNDLE_VALUES = 2_000_000;
const MAX_POLICY_BYTES = 65_536;
const MAX_POLICY_LINES = 1_000;
const MAX_DEPTH = 16;
const MAX_U64 = Number.MAX_SAFE_INTEGER;
const HASH_SIZE = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Verdicts (5.2).

/** What ends a finding: thrown by the first check that does not hold. Anything else that is thrown is our own bug. */
class Ending {
  constructor(state, code) {
    this.state = state;
    this.code = code;
  }
}

const fail = (code) => { throw new Ending("failed", code); };
const cannotTell = (code) => { throw new Ending("cannot_tell", code); };

/** Runs the checks of one finding and returns its state and code. */
async function judge(checks) {
  try {
    await checks();
    return { code: null, state: "ok" };
  } catch (ending) {
    if (ending instanceof Ending) return { code: ending.code, state: ending.state };
    throw ending;
  }
}

// Bytes.

const concat = (...parts) => concatAll(parts);

/** Joins a list of any length; spread into arguments, a long one would overflow the stack. */
function concatAll(parts) {
  let size = 0;
  for (const part of parts) size += part.length;
  const joined = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function equal(left, right) {
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}

/** Byte order: negative, zero or positive. */
function compareBytes(left, right) {
  const shared = Math.min(left.length, right.length);
  for (let i = 0; i < shared; i++) if (left[i] !== right[i]) return left[i] - right[i];
  return left.length - right.length;
}

const isZero = (bytes) => bytes.every((byte) => byte === 0);
const startsWith = (bytes, prefix) => equal(bytes.subarray(0, prefix.length), prefix);
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function toHex(bytes) {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}

const u8 = (n) => Uint8Array.of(n);
const u32 = (n) => Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n);
const u64 = (n) => concat(u32(Math.floor(n / 2 ** 32)), u32(n % 2 ** 32));
const lengthPrefixed = (bytes) => concat(u32(bytes.length), bytes);

/** A big-endian unsigned integer; an eight-byte one above 2^53-1 comes out above it too, never rounded into range. */
const readUint = (bytes) => bytes.reduce((n, byte) => n * 256 + byte, 0);

const tags = new Map();

/** T(x), clause 1.6. */
function tag(name) {
  if (!tags.has(name)) tags.set(name, encoder.encode(`carnet/1/${name}\n`));
  return tags.get(name);
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) BASE64_VALUES[BASE64.charCodeAt(i)] = i;

/** Standard base64 with padding, clause 1.4. */
export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i], bytes[i + 1], bytes[i + 2]];
    text += BASE64[a >> 2] + BASE64[((a & 3) << 4) | (b >> 4)];
    text += b === undefined ? "=" : BASE64[((b & 15) << 2) | (c >> 6)];
    text += c === undefined ? "=" : BASE64[c & 63];
  }
  return text;
}

/** The bytes of standard base64 with padding; null unless the text is what those bytes encode to (clause 1.4). */
export function fromBase64(text) {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  let pending = 0;
  let at = 0;
  for (let i = 0; i < digits; i++) {
    const code = text.charCodeAt(i);
    const value = code < 128 ? BASE64_VALUES[code] : -1;
    if (value < 0) return null;
    pending = ((pending << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = pending >> bits;
    }
  }
  // Bits that no byte takes must be zero, or several texts would stand for the same bytes.
  return pending & ((1 << bits) - 1) ? null : bytes;
}

// SHA-256.

// FIPS 180-4, 4.2.2 and 5.3.3.
const ROUND_CONSTANTS = Int32Array.of(
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
);
const INITIAL_STATE = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
const schedule = new Int32Array(64);

function compress(state, block, start) {
  const w = schedule;
  for (let i = 0, p = start; i < 16; i++, p += 4) {
    w[i] = (block[p] << 24) | (block[p + 1] << 16) | (block[p + 2] << 8) | block[p + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15];
    const y = w[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0;
    d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

/** H: SHA-256 of the parts joined; synchronous, which WebCrypto's digest is not. */
export function sha256(...parts) {
  const message = parts.length === 1 ? parts[0] : concat(...parts);
  const state = Int32Array.from(INITIAL_STATE);
  const whole = message.length - (message.length % 64);
  for (let at = 0; at < whole; at += 64) compress(state, message, at);
  const rest = message.length - whole;
  const last = new Uint8Array(rest < 56 ? 64 : 128);
  last.set(message.subarray(whole));
  last[rest] = 0x80;
  last.set(u64(message.length * 8), last.length - 8);
  for (let at = 0; at < last.length; at += 64) compress(state, last, at);
  const digest = new Uint8Array(HASH_SIZE);
  for (let i = 0; i < 8; i++) digest.set(u32(state[i]), i * 4);
  return digest;
}

// Canonical JSON (1.1 to 1.3).

const NAME = /^[a-z][a-z0-9_]{0,39}$/;
const INTEGER = /(?:0|-?[1-9][0-9]{0,15})(?![0-9.eE])/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Clause 1.2: controls and bidirectional controls, all of them single UTF-16 units. */
function isForbidden(unit) {
  if (unit < 0x7f) return unit < 0x20;
  return unit <= 0x9f || unit === 0x061c || unit === 0x200e || unit === 0x200f ||
    (unit >= 0x202a && unit <= 0x202e) || (unit >= 0x2066 && unit <= 0x2069);
}

class NotCanonical extends Error {}

/** Reads canonical text only: each value has one spelling, so nothing needs to be encoded again and compared. */
class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  refuse(why) { throw new NotCanonical(`${why} at character ${this.at}`); }

  skip(character) {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  expect(character) { if (!this.skip(character)) this.refuse(`no ${character}`); }

  word(word, value) {
    if (!this.text.startsWith(word, this.at)) this.refuse("no value");
    this.at += word.length;
    return value;
  }

  value(depth) {
    switch (this.text[this.at]) {
      case "{": return this.object(depth + 1);
      case "[": return this.array(depth + 1);
      case '"': return this.string();
      case "t": return this.word("true", true);
      case "f": return this.word("false", false);
      case "n": return this.word("null", null);
      default: return this.integer();
    }
  }

  object(depth) {
    if (depth > MAX_DEPTH) this.refuse("too deep");
    // No prototype: a member may be called "constructor" (clause 1.5); "__proto__" is no name by clause 1.1.
    const members = Object.create(null);
    let previous = "";
    this.at += 1;
    if (this.skip("}")) return members;
    do {
      const name = this.string();
      if (!NAME.test(name)) this.refuse("no name");
      if (name <= previous) this.refuse("name out of order");
      this.expect(":");
      members[name] = this.value(depth);
      previous = name;
    } while (this.skip(","));
    this.expect("}");
    return members;
  }

  array(depth) {
    if (depth > MAX_DEPTH) this.refuse("too deep");
    const items = [];
    this.at += 1;
    if (this.skip("]")) return items;
    do items.push(this.value(depth)); while (this.skip(","));
    this.expect("]");
    return items;
  }

  string() {
    this.expect('"');
    const { text } = this;
    let done = "";
    let from = this.at;
    for (; ; this.at++) {
      const unit = text.charCodeAt(this.at);
      if (unit === QUOTE) break;
      if (unit === BACKSLASH) {
        // All other characters that JSON must escape are forbidden, so no other escape is ever needed.
        const escaped = text.charCodeAt(this.at + 1);
        if (escaped !== QUOTE && escaped !== BACKSLASH) this.refuse("needless escape");
        done += text.slice(from, this.at);
        this.at += 1;
        from = this.at;
      } else if (isForbidden(unit) || Number.isNaN(unit)) this.refuse("forbidden character");
    }
    this.at += 1;
    return done + text.slice(from, this.at - 1);
  }

  integer() {
    INTEGER.lastIndex = this.at;
    const match = INTEGER.exec(this.text);
    if (!match) this.refuse("no value");
    const value = Number(match[0]);
    if (!Number.isSafeInteger(value)) this.refuse("integer out of range");
    this.at += match[0].length;
    return value;
  }
}

/** The value whose canonical encoding these bytes are; throws for all other bytes (clause 1.3). */
export function decodeCanonical(bytes) {
  let text;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new NotCanonical("invalid UTF-8");
  }
  const reader = new Reader(text);
  const value = reader.value(0);
  if (reader.at !== text.length) reader.refuse("bytes after the end");
  return value;
}

function canonicalString(text) {
  if (/\p{Surrogate}/u.test(text)) throw new NotCanonical("lone surrogate");
  for (let i = 0; i < text.length; i++) {
    if (isForbidden(text.charCodeAt(i))) throw new NotCanonical("forbidden character");
  }
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** The text whose UTF-8 bytes are cj(value), clause 1.1; throws for a value that has none. */
export function canonical(value, depth = 0) {
  if (value === null || value === true || value === false) return String(value);
  if (typeof value === "string") return canonicalString(value);
  if (typeof value === "number" && Number.isSafeInteger(value) && !Object.is(value, -0)) return String(value);
  if (typeof value !== "object") throw new NotCanonical("no value of canonical JSON");
  if (depth === MAX_DEPTH) throw new NotCanonical("too deep");
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, depth + 1)).join(",")}]`;
  const names = Object.keys(value).sort();
  if (!names.every((name) => NAME.test(name))) throw new NotCanonical("no name");
  return `{${names.map((name) => `"${name}":${canonical(value[name], depth + 1)}`).join(",")}}`;
}

const cj = (value) => encoder.encode(canonical(value));

// Ed25519 (1.7 and 1.8).

const GROUP_ORDER = hexBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
const FIELD_PRIME = hexBytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
// The y of the eight torsion points: orders 1, 2, 4 and, twice, 8. Each comes with x and -x.
const SMALL_ORDER_Y = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(hexBytes);

function hexBytes(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function isBelowLittleEndian(bytes, bound) {
  for (let i = bytes.length - 1; i >= 0; i--) if (bytes[i] !== bound[i]) return bytes[i] < bound[i];
  return false;
}

/** Clause 1.8 for A and R: canonical, and none of the torsion points (which include both points with x = 0). */
function isSoundPoint(point) {
  const y = Uint8Array.from(point);
  y[31] &= 0x7f;
  return isBelowLittleEndian(y, FIELD_PRIME) && !SMALL_ORDER_Y.some((small) => equal(y, small));
}

/**
 * Whether an Ed25519 signature holds under clause 1.8. `cache`, a Map that the caller may keep, remembers the answers.
 */
export async function verifyEd25519(key, message, signature, cache = null) {
  if (key.length !== 32 || signature.length !== 64) return false;
  if (!isBelowLittleEndian(signature.subarray(32), GROUP_ORDER)) return false;
  if (!isSoundPoint(key) || !isSoundPoint(signature.subarray(0, 32))) return false;
  if (!cache) return holdsEquation(key, message, signature);
  const name = toBase64(sha256(key, signature, message));
  if (!cache.has(name)) {
    if (cache.size >= 200_000) cache.clear();
    cache.set(name, await holdsEquation(key, message, signature));
  }
  return cache.get(name);
}

async function holdsEquation(key, message, signature) {
  const { subtle } = globalThis.crypto;
  let imported;
  try {
    imported = await subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    // A key that is no point may be refused on import; a platform without Ed25519 must not look like a forgery.
    if (error.name === "NotSupportedError") throw error;
    return false;
  }
  return subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

const keyDigest = (alg, key) => sha256(tag("key"), u8(alg), key);

// Merkle trees (RFC 9162; census tree 3.9).

const LEAF_PREFIX = u8(0);
const NODE_PREFIX = u8(1);
const leafHash = (leaf) => sha256(LEAF_PREFIX, leaf);
const nodeHash = (left, right) => sha256(NODE_PREFIX, left, right);
const half = (n) => Math.floor(n / 2); // sizes reach 2^53: no bit operators
const isOdd = (n) => n % 2 === 1;

/**
 * The root to which leaf hashes at strictly ascending indices lead by their joint path (1.10); null if there is no leaf,
 * if the indices do not ascend or reach the size, or if the path has more or fewer hashes than it takes.
 */
export function rootOfJoint(size, indices, hashes, path) {
  if (indices.length === 0 || indices.at(-1) >= size) return null;
  if (indices.some((index, i) => i > 0 && indices[i - 1] >= index)) return null;
  let known = indices.map((index, i) => ({ index, hash: hashes[i] }));
  let used = 0;
  for (let width = size; width > 1; width = half(width + 1)) {
    const above = [];
    for (let i = 0; i < known.length; i++) {
      let { index, hash } = known[i];
      if (isOdd(index)) {
        if (used === path.length) return null;
        hash = nodeHash(path[used++], hash);
      } else if (known[i + 1]?.index === index + 1) {
        i += 1;
        hash = nodeHash(hash, known[i].hash);
      } else if (index + 1 < width) {
        if (used === path.length) return null;
        hash = nodeHash(hash, path[used++]);
      }
      above.push({ index: half(index), hash });
    }
    known = above;
  }
  return used === path.length ? known[0].hash : null;
}

/** As rootOfJoint, for leaves in any order: [{ index, leaf }], each leaf as its bytes. */
function rootOfLeaves(size, leaves, path) {
  const placed = leaves.map(({ index, leaf }) => ({ index, hash: leafHash(leaf) })).sort(byIndex);
  return rootOfJoint(size, placed.map(({ index }) => index), placed.map(({ hash }) => hash), path);
}

function areIncluded(size, leaves, path, root) {
  const reached = rootOfLeaves(size, leaves, path);
  return reached !== null && equal(reached, root);
}

/** Whether the tree of the second size continues that of the first (RFC 9162 2.1.4.2), both sizes >= 1. */
export function isConsistent(firstSize, secondSize, firstRoot, secondRoot, path) {
  if (firstSize < 1 || firstSize > secondSize) return false;
  if (firstSize === secondSize) return path.length === 0 && equal(firstRoot, secondRoot);
  if (path.length === 0) return false;
  let [node, last] = [firstSize - 1, secondSize - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  // Where the first tree is a whole subtree of the second, its root is not repeated in the proof.
  const rest = node === 0 ? [firstRoot, ...path] : path;
  let [first, second] = [rest[0], rest[0]];
  for (const sibling of rest.slice(1)) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      first = nodeHash(sibling, first);
      second = nodeHash(sibling, second);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      second = nodeHash(second, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(first, firstRoot) && equal(second, secondRoot);
}

/** The root of the census tree to which a leaf of `slot` leads by siblings from the root down (clause 3.9). */
export function rootOfCensusPath(slot, leaf, path) {
  let node = leafHash(leaf);
  for (let depth = path.length - 1; depth >= 0; depth--) {
    const bit = (slot[depth >> 3] >> (7 - (depth & 7))) & 1;
    node = bit ? nodeHash(path[depth], node) : nodeHash(node, path[depth]);
  }
  return node;
}

// Signed notes and trust policies (3.10, 5.7).

const keyId = (name, type, key) => sha256(encoder.encode(`${name}\n`), u8(type), key).subarray(0, 4);
const verifierKey = (name, type, key) => `${name}+${toHex(keyId(name, type, key))}+${toBase64(concat(u8(type), key))}`;

/** Splits a signed note into its text and signature lines, or returns null (clause 5.4.1). */
export function parseNote(bytes) {
  let note;
  try {
    note = decoder.decode(bytes);
  } catch {
    return null;
  }
  for (let i = 0; i < note.length; i++) if (note.charCodeAt(i) < 0x20 && note[i] !== "\n") return null;
  const split = note.lastIndexOf("\n\n");
  if (split < 0 || !note.endsWith("\n")) return null;
  const lines = note.slice(split + 2).split("\n", 102).slice(0, -1); // what follows the last newline is empty
  if (lines.length < 1 || lines.length > 100) return null;
  const signatures = lines.map(parseSignatureLine);
  return signatures.includes(null) ? null : { text: note.slice(0, split + 1), signatures };
}

/** Plus and Unicode White_Space, which no key's name may hold; written out, as JavaScript's \s is another set. */
const NOT_IN_KEY_NAME = /[+\u0009-\u000d\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
const isKeyName = (text) => text !== "" && !NOT_IN_KEY_NAME.test(text);

function parseSignatureLine(line) {
  const [dash, name, encoded, more] = line.split(" ", 4);
  const bytes = dash === "\u2014" && encoded !== undefined && more === undefined ? fromBase64(encoded) : null;
  if (!bytes || bytes.length < 5 || !isKeyName(name)) return null;
  return { name, id: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}

class PolicyError extends Error {}

function parseVerifierKey(text, type, what) {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  const bytes = match && fromBase64(match[3]);
  const isExpected = bytes?.length === 33 && bytes[0] === type && isKeyName(match[1]);
  if (!isExpected) throw new PolicyError(`no Ed25519 key of a ${what}: ${text}`);
  const key = bytes.subarray(1);
  if (toHex(keyId(match[1], type, key)) !== match[2]) throw new PolicyError(`key id does not match: ${text}`);
  return { name: match[1], key };
}

const POLICY_LINES = {
  log(policy, [vkey, ...rest]) {
    if (vkey === undefined || rest.length > 1) throw new PolicyError("a log line is: log <vkey> [<url>]");
    const log = parseVerifierKey(vkey, 1, "log");
    if (policy.logs.some((other) => equal(other.key, log.key))) throw new PolicyError(`log key listed twice: ${vkey}`);
    policy.logs.push(log);
  },
  witness(policy, [name, vkey, ...rest]) {
    if (vkey === undefined || rest.length > 1) {
      throw new PolicyError("a witness line is: witness <name> <vkey> [<url>]");
    }
    const witness = parseVerifierKey(vkey, 4, "witness");
    definePolicyName(policy, name);
    for (const other of policy.witnesses.values()) {
      if (equal(other.key, witness.key)) throw new PolicyError(`witness key listed twice: ${vkey}`);
    }
    policy.witnesses.set(name, witness);
  },
  group(policy, [name, threshold, ...members]) {
    if (members.length === 0) throw new PolicyError("a group line is: group <name> all|any|<k> <name>...");
    const needed = threshold === "all" ? members.length : threshold === "any" ? 1 : Number(threshold);
    if (!/^(all|any|[1-9][0-9]{0,8})$/.test(threshold) || needed > members.length) {
      throw new PolicyError(`group ${name} asks for ${threshold} of ${members.length}`);
    }
    for (const member of members) {
      if (!policy.names.has(member)) throw new PolicyError(`group ${name} names ${member}, not defined above it`);
      if (policy.grouped.has(member)) throw new PolicyError(`${member} is a group member twice`);
      policy.grouped.add(member);
    }
    definePolicyName(policy, name);
    policy.groups.push({ name, needed, members });
  },
  quorum(policy, [name, ...rest]) {
    if (name === undefined || rest.length > 0) throw new PolicyError("a quorum line is: quorum <name>");
    if (policy.quorum !== null) throw new PolicyError("more than one quorum line");
    if (name !== "none" && !policy.names.has(name)) {
      throw new PolicyError(`quorum names ${name}, not defined above it`);
    }
    policy.quorum = name;
  },
};

function definePolicyName(policy, name) {
  if (name === "none" || policy.names.has(name)) throw new PolicyError(`name cannot be defined (again): ${name}`);
  policy.names.add(name);
}

/** Reads a C2SP tlog-policy (clause 5.7); throws an Error that says what cannot be read. */
export function parsePolicy(text) {
  const policy = { logs: [], witnesses: new Map(), groups: [], quorum: null, names: new Set(), grouped: new Set() };
  // No text has fewer bytes than units, so a huge one is not encoded to be counted.
  if (text.length > MAX_POLICY_BYTES || encoder.encode(text).length > MAX_POLICY_BYTES) {
    throw new PolicyError(`a policy has at most ${MAX_POLICY_BYTES} bytes`);
  }
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x7f || (unit < 0x20 && unit !== 0x09 && unit !== 0x0a)) throw new PolicyError("control character");
  }
  if (!text.endsWith("\n")) throw new PolicyError("the last line does not end in a newline");
  const lines = text.split("\n").slice(0, -1);
  if (lines.length > MAX_POLICY_LINES) throw new PolicyError(`a policy has at most ${MAX_POLICY_LINES} lines`);
  for (const line of lines) {
    const [verb, ...items] = line.split(/[ \t]+/).filter((item) => item !== "");
    if (verb === undefined || verb.startsWith("#")) continue;
    if (!Object.hasOwn(POLICY_LINES, verb)) throw new PolicyError(`unknown line: ${line}`);
    POLICY_LINES[verb](policy, items);
  }
  if (policy.quorum === null) throw new PolicyError("no quorum line");
  return policy;
}

/** Whether these witnesses (their names in the policy) are a quorum. Groups name only what stands above them. */
function isQuorumMet(policy, cosigners) {
  const met = new Set(cosigners);
  for (const { name, needed, members } of policy.groups) {
    if (members.filter((member) => met.has(member)).length >= needed) met.add(name);
  }
  return policy.quorum === "none" || met.has(policy.quorum);
}

// The shape of a bundle (4, 5.3.4).

const malformed = () => fail("malformed");
const integer = (max, min = 0) => (value) =>
  (Number.isInteger(value) && value >= min && value <= max ? value : malformed());
const U8 = integer(255);
const U32 = integer(2 ** 32 - 1);
const U64 = integer(MAX_U64);
const COUNT = integer(2 ** 32 - 1, 1);
const TEXT = (value) => (typeof value === "string" ? value : malformed());
const ANY = (value) => value;
const BYTES = (value) => fromBase64(TEXT(value)) ?? malformed();
const oneOf = (...values) => (value) => (values.includes(value) ? value : malformed());
const matching = (pattern) => (value) => (pattern.test(TEXT(value)) ? value : malformed());
const nullable = (shape) => (value) => (value === null ? null : shape(value));

const bytes = (size) => (value) => {
  const decoded = BYTES(value);
  return decoded.length === size ? decoded : malformed();
};

/** A path (1.4): its hashes, at most `most` of them (4.10). */
const path = (most = Infinity) => (value) => {
  const joined = BYTES(value);
  if (joined.length % HASH_SIZE !== 0 || joined.length / HASH_SIZE > most) malformed();
  const hashes = [];
  for (let at = 0; at < joined.length; at += HASH_SIZE) hashes.push(joined.subarray(at, at + HASH_SIZE));
  return hashes;
};
const PATH = path();

/** An array of at least `least` items, strictly ascending where an order is given. */
const list = (shape, least = 0, order = null) => (value) => {
  if (!Array.isArray(value) || value.length < least) malformed();
  const items = value.map(shape);
  if (order && items.some((item, i) => i > 0 && order(items[i - 1], item) >= 0)) malformed();
  return items;
};
const byIndex = (left, right) => left.index - right.index;

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function hasExactly(value, names) {
  if (!isObject(value) || Object.keys(value).length !== names.length) return false;
  return names.every((name) => Object.hasOwn(value, name));
}

/** An object with exactly these members; `raw` keeps the value itself where its cj will be hashed. */
const object = (shapes) => (value) => {
  const names = Object.keys(shapes);
  if (!hasExactly(value, names)) malformed();
  const members = { raw: value };
  for (const name of names) members[name] = shapes[name](value[name]);
  return members;
};

/** Cuts fixed-size fields out of signed bytes that begin with a tag: [name, size] or [name, size, reader]. */
const layout = (tagName, ...fields) => (value) => {
  const whole = BYTES(value);
  let at = tag(tagName).length;
  const wholeSize = fields.reduce((sum, [, size]) => sum + size, at);
  if (whole.length !== wholeSize || !startsWith(whole, tag(tagName))) malformed();
  const cut = { bytes: whole };
  for (const [name, size, read] of fields) {
    cut[name] = whole.subarray(at, at + size);
    if (read) cut[name] = read(readUint(cut[name]));
    at += size;
  }
  return cut;
};

const STATEMENT = layout("statement", ["net", 32], ["chain", 16], ["member", 16], ["key", 32], ["basis", 1, U8],
  ["class", 1, U8], ["mark", 1, U8], ["target", 32], ["fieldsRoot", 32]); // 2.5
const BATCH = layout("batch", ["net", 32], ["home", 16], ["key", 32], ["class", 1, U8], ["count", 4, COUNT],
  ["root", 32], ["rules", 8, U64], ["expires", 8, U64]); // 3.5

const GENESIS_MEMBERS = {
  founders: list(object({ key: bytes(32), member: bytes(16) }), 1),
  log_key: bytes(32), name: matching(/^[a-z0-9.-]{1,63}$/), nonce: bytes(32), rules_root: bytes(32),
};
const FIRST_GENESIS = object(GENESIS_MEMBERS);
const FORKED_GENESIS = object({ ...GENESIS_MEMBERS,
  forked_from: object({ origin: matching(/^[a-z0-9.-]{1,63}\/[0-9a-f]{64}$/), root: bytes(32), size: integer(MAX_U64, 1) }) });
const isForked = (genesis) => isObject(genesis) && Object.hasOwn(genesis, "forked_from");
const GENESIS = (value) => (isForked(value) ? FORKED_GENESIS : FIRST_GENESIS)(value); // 1.9

const REF = object({ count: COUNT, index: U64, root: bytes(32) });
const ENDORSEMENTS = list(
  object({ key: bytes(32), member: bytes(16), sig: bytes(64) }), 0, (a, b) => compareBytes(a.member, b.member),
); // 3.6
const SEAL = object({
  at: U64, batch: BATCH, endorsements: ENDORSEMENTS, height: U64, members: REF, rules: REF, sig: bytes(64),
  type: oneOf("seal"),
});
const CENSUS = object({
  count: U64, covers: U64, erased: U64, home: bytes(16), previous: nullable(U64), root: bytes(32),
}); // 3.8
const CENSUS_RECORD = object({
  at: U64, census: CENSUS, endorsements: ENDORSEMENTS, height: U64, key: bytes(32), members: REF, rules: REF,
  sig: bytes(64), type: oneOf("census"),
});

/** Picks the shape by the text of one member. */
const byMember = (name, shapes) => (value) => {
  const shape = isObject(value) && Object.hasOwn(value, name) ? shapes.get(value[name]) : undefined;
  return (shape ?? malformed)(value);
};
const RECORD = byMember("type", new Map([["seal", SEAL], ["census", CENSUS_RECORD]])); // 4.2
const LINE = byMember("line", new Map([
  ["kind", object({ chain: oneOf("history", "journal"), class: U8, kind: TEXT, line: TEXT,
    location: oneOf("vault", "source"), schema: bytes(32) })],
  ["class", object({ class: U8, endorsements: U8, line: TEXT })],
  ["writer", object({ bases: list(U8), kind: TEXT, line: TEXT, member: TEXT })],
])); // 3.1

const KEY_MEMBERS = object({
  alg: U8, custody: U8, disputed_since: nullable(U64), key: BYTES, revoked: nullable(U64), role: U8, sig: BYTES,
});
const KEY = (value) => {
  const key = KEY_MEMBERS(value);
  // Another algorithm is "cannot tell" later (1.7), so its sizes are not ours to judge.
  if (key.alg === 1 && (key.key.length !== 32 || key.sig.length !== 64)) malformed();
  return { ...key, digest: toHex(keyDigest(key.alg, key.key)) };
};
const ACCREDITATION = (value) => {
  if (!Array.isArray(value) || value.length !== 3) malformed();
  return { kind: TEXT(value[0]), basis: U8(value[1]), class: U8(value[2]) };
};
const byAccreditation = (a, b) =>
  compareBytes(encoder.encode(a.kind), encoder.encode(b.kind)) || a.basis - b.basis || a.class - b.class;
const MEMBER = object({
  accreditations: list(ACCREDITATION, 0, byAccreditation), host: bytes(16), id: bytes(16), keys: list(KEY), kind: TEXT,
  name: TEXT, retired: nullable(U64),
}); // 3.3

const PLACEMENT = object({ index: U32, record: U64 });
const SUBMISSION = object({ at: U64, count: COUNT, path: PATH, signature: bytes(64) }); // 4.11

const NO_TARGET = new Uint8Array(HASH_SIZE);

function hiddenLink(value) {
  const joined = BYTES(value);
  if (joined.length !== 64 && joined.length !== 97) malformed();
  const [sid, signed] = [joined.subarray(0, 32), joined.subarray(32, 64)];
  const link = { type: "hidden", sid, signed, mark: 0, target: NO_TARGET };
  if (joined.length === 64) return link;
  if (joined[64] < 1 || joined[64] > 4) malformed();
  return { ...link, mark: joined[64], target: joined.subarray(65) };
}

/** Fields by name, at least one, each withheld ({digest}) or shown ({salt, value}); 1.1 has checked the names (2.2). */
function fieldsOf(value) {
  if (!isObject(value) || Object.keys(value).length === 0) malformed();
  const fields = new Map();
  for (const name of Object.keys(value)) {
    const field = value[name];
    if (!Array.isArray(field)) fields.set(name, { digest: bytes(32)(field), isShown: false });
    else if (field.length !== 2) malformed();
    else fields.set(name, { salt: bytes(16)(field[0]), value: field[1], isShown: true });
  }
  return fields;
}

const ENTRY = object({
  fields: nullable(fieldsOf), placement: PLACEMENT, statement: STATEMENT, submission: object({ index: U32, number: U32 }),
});

/** An item of `links` (4.5): hidden or entry, both with sid, mark and target. */
function item(value) {
  if (typeof value === "string") return hiddenLink(value);
  const entry = ENTRY(value);
  const { statement } = entry;
  return { ...entry, type: "entry", sid: sha256(statement.bytes), mark: statement.mark, target: statement.target };
}

const GROUP = object({ index: U64, leaves: list(object({ index: U32, leaf: MEMBER }), 1, byIndex), path: PATH });
const SECTION = object({ index: U64, lines: list(object({ index: U32, line: LINE }), 1, byIndex), path: PATH });

const BUNDLE = object({
  batches: list(PATH),
  carnet: oneOf("proof/1"),
  census: object({ path: PATH, record: U64 }),
  checkpoint: BYTES,
  genesis: GENESIS,
  links: list(item, 1),
  members: list(GROUP, 0, byIndex),
  records: object({ logged: list(object({ index: U64, record: RECORD }), 1, byIndex), path: PATH }),
  rules: list(SECTION, 0, byIndex),
  since: nullable(object({ path: path(128), root: bytes(32), size: integer(MAX_U64, 1) })),
  submissions: list(SUBMISSION, 1),
  tip: nullable(PLACEMENT),
}); // 4.1 to 4.12

/** 5.3.1: each value begins the document or follows one of `,` `[` `{`, so this bounds the memory that decoding takes. */
function countValues(data) {
  let count = 0;
  for (const byte of data) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) count += 1;
  return count;
}

/** Clause 5.3: bytes to a bundle of known shape. */
function readBundle(data) {
  if (data.length > MAX_BUNDLE_BYTES || countValues(data) > MAX_BUNDLE_VALUES) fail("too_large");
  let value;
  try {
    value = decodeCanonical(data);
  } catch (error) {
    if (error instanceof NotCanonical) fail("not_canonical");
    throw error;
  }
  const version = isObject(value) && Object.hasOwn(value, "carnet") ? value.carnet : null;
  if (typeof version === "string" && /^proof\/(?!1$)/.test(version)) cannotTell("unknown_version");
  const bundle = BUNDLE(value);
  checkParts(bundle);
  return bundle;
}

const isSeal = ({ record }) => record.type === "seal";

/** What 4.5, 4.11 and 4.12 ask of parts of a bundle together; gives a hidden last link the placement of the tip. */
function checkParts({ batches, links, records, submissions, tip }) {
  if (batches.length !== records.logged.filter(isSeal).length) malformed();
  let used = 0;
  for (const link of links) {
    if (link.type !== "entry") continue;
    if (link.submission.number > used) malformed();
    used = Math.max(used, link.submission.number + 1);
  }
  if (used !== submissions.length) malformed();
  if (tip === null) return;
  const last = links.at(-1);
  if (last.type !== "hidden") malformed();
  links[links.length - 1] = { ...last, type: "tip", placement: tip };
}

// Integrity (5.4).

/** What the checks of one bundle share: each of them reads what the ones before it have established. */
function openProof(bundle, question) {
  const net = sha256(tag("genesis"), cj(bundle.genesis.raw));
  return {
    ...question, bundle, net, origin: `${bundle.genesis.name}/${toHex(net)}`,
    links: bundle.links.map((link, seq) => ({ ...link, seq, marks: [] })),
    entries: [], checkpoint: null, isListed: false, cosignatures: [],
    records: new Map(bundle.records.logged.map((logged) => [logged.index, logged])),
    groups: new Map(), listings: new Map(), sections: new Map(), census: null, chain: null, tip: null,
  };
}

const isShown = (link) => link.type === "entry" && link.fields !== null;
const verified = (proof, key, message, signature) => verifyEd25519(key, message, signature, proof.cache);

async function checkIntegrity(proof) {
  checkCheckpoint(proof);
  await checkNoteSignatures(proof);
  checkRecords(proof);
  checkReferences(proof, "members");
  checkReferences(proof, "rules");
  checkMembers(proof);
  checkRules(proof);
  checkOpening(proof);
  checkPlacements(proof);
  checkStatements(proof);
  checkSubmissions(proof);
  checkLinks(proof);
  checkBatches(proof);
  checkCorrections(proof);
  checkSinceProof(proof);
  checkRecordsNeeded(proof);
  checkMembersNeeded(proof);
  checkRulesNeeded(proof);
}

/** 5.4.1 */
function checkCheckpoint(proof) {
  const note = parseNote(proof.bundle.checkpoint) ?? fail("note_malformed");
  const lines = note.text.split("\n", 5);
  if (lines.length !== 4) fail("checkpoint_malformed");
  const size = /^[1-9][0-9]{0,15}$/.test(lines[1]) ? Number(lines[1]) : 0;
  const root = fromBase64(lines[2]);
  if (size < 1 || size > MAX_U64 || root?.length !== HASH_SIZE) fail("checkpoint_malformed");
  if (lines[0] !== proof.origin) fail("origin_mismatch");
  proof.checkpoint = { text: encoder.encode(note.text), signatures: note.signatures, size, root };
}

/** 5.4.2: the log's own signature always, the witnesses' where the policy knows this log. */
async function checkNoteSignatures(proof) {
  const { checkpoint, origin, policy } = proof;
  const logKey = proof.bundle.genesis.log_key;
  const linesOf = (name, type, key) => {
    const id = keyId(name, type, key);
    return checkpoint.signatures.filter((line) => line.name === name && equal(line.id, id));
  };
  const logLines = linesOf(origin, 1, logKey);
  if (logLines.length === 0) fail("log_signature_missing");
  for (const line of logLines) {
    if (!await verified(proof, logKey, checkpoint.text, line.signature)) fail("log_signature_invalid");
  }
  proof.isListed = policy !== null && policy.logs.some((log) => log.name === origin && equal(log.key, logKey));
  if (!proof.isListed) return;
  for (const [witness, { name, key }] of policy.witnesses) {
    if (equal(key, logKey)) continue; // the log cannot witness itself
    for (const { signature } of linesOf(name, 4, key)) {
      const seconds = readUint(signature.subarray(0, 8));
      const message = concat(encoder.encode(`cosignature/v1\ntime ${seconds}\n`), checkpoint.text);
      if (signature.length !== 72 || seconds > MAX_U64) fail("cosignature_invalid");
      if (!await verified(proof, key, message, signature.subarray(8))) fail("cosignature_invalid");
      proof.cosignatures.push({ witness, seconds });
    }
  }
}

/** 5.4.3 */
function checkRecords(proof) {
  const { logged, path: siblings } = proof.bundle.records;
  const { size, root } = proof.checkpoint;
  const leaves = logged.map(({ index, record }) => ({ index, leaf: concat(tag("record"), cj(record.raw)) }));
  if (leaves.some(({ index }) => index >= size)) fail("index_beyond_count");
  if (!areIncluded(size, leaves, siblings, root)) fail("record_path_mismatch");
  let before = null;
  for (const { index, record } of logged) {
    if (before && record.at < before.at) fail("record_time_goes_back");
    if (before && record.height < before.height) fail("record_height_goes_back");
    if (record.members.index >= index || record.rules.index >= index) fail("reference_not_earlier");
    if (record.type === "seal") {
      if (!equal(record.batch.net, proof.net)) fail("batch_other_network");
      if (record.rules.index !== record.batch.rules) fail("rules_conflict");
      if (record.height > record.batch.expires) fail("batch_expired");
    } else if (record.census.covers > index) fail("census_covers_itself");
    before = record;
  }
}

/** 5.4.4 for `members` or `rules`: one record index has one root and count. */
function checkReferences(proof, name) {
  const known = new Map();
  for (const { record } of proof.bundle.records.logged) {
    const ref = record[name];
    const earlier = known.get(ref.index);
    if (earlier && (earlier.count !== ref.count || !equal(earlier.root, ref.root))) fail(`${name}_conflict`);
    known.set(ref.index, ref);
  }
  proof[`${name}Refs`] = known;
}

/**
 * 5.4.5, members; fills proof.groups (index of the members record -> hex id -> leaf) and proof.listings (the same index
 * -> hex digest of a key -> how often the group's leaves list it).
 */
function checkMembers(proof) {
  for (const { index, leaves, path: siblings } of proof.bundle.members) {
    const group = new Map();
    const listings = new Map();
    const ref = proof.membersRefs.get(index) ?? fail("surplus_member");
    if (leaves.some(({ index: place }) => place >= ref.count)) fail("index_beyond_count");
    const placed = leaves.map(({ index: place, leaf }) => ({ index: place, leaf: concat(tag("member"), cj(leaf.raw)) }));
    if (!areIncluded(ref.count, placed, siblings, ref.root)) fail("member_path_mismatch");
    for (const { leaf } of leaves) {
      const id = toHex(leaf.id);
      if (group.has(id)) fail("member_twice");
      group.set(id, leaf);
      for (const { digest } of leaf.keys) listings.set(digest, (listings.get(digest) ?? 0) + 1);
    }
    proof.groups.set(index, group);
    proof.listings.set(index, listings);
  }
}

/** What a section holds one of: a kind line or class line under its name, any other line under its place. */
function nameOfLine({ index, line }) {
  if (line.line === "kind") return `kind ${line.kind}`;
  return line.line === "class" ? `class ${line.class}` : `place ${index}`;
}

/** 5.4.5, rules; fills proof.sections: index of the rules record -> name of the line -> line. */
function checkRules(proof) {
  for (const { index, lines, path: siblings } of proof.bundle.rules) {
    const section = new Map();
    const ref = proof.rulesRefs.get(index) ?? fail("surplus_rule");
    if (lines.some(({ index: place }) => place >= ref.count)) fail("index_beyond_count");
    const leaves = lines.map(({ index: place, line }) => ({ index: place, leaf: concat(tag("rule"), cj(line.raw)) }));
    if (!areIncluded(ref.count, leaves, siblings, ref.root)) fail("rule_path_mismatch");
    for (const placed of lines) {
      const name = nameOfLine(placed);
      if (section.has(name)) fail("rule_twice");
      section.set(name, placed.line);
    }
    proof.sections.set(index, section);
  }
}

/** 5.4.6 */
function checkOpening(proof) {
  proof.tip = proof.links.at(-1);
  if (!isShown(proof.links[0])) fail("opening_not_shown");
  if (proof.tip.type === "hidden") fail("tip_not_placed");
}

/** 5.4.7; gives each placed link its seal and the proof its census. */
function checkPlacements(proof) {
  for (const link of proof.links) {
    if (link.type === "hidden") continue;
    link.seal = proof.records.get(link.placement.record);
    if (link.seal?.record.type !== "seal") fail("placement_not_seal");
    if (link.placement.index >= link.seal.record.batch.count) fail("index_beyond_count");
    if (link.type === "entry") proof.entries.push(link);
  }
  proof.census = proof.records.get(proof.bundle.census.record);
  if (proof.census?.record.type !== "census") fail("placement_not_census");
}

/** 5.4.8 */
function checkStatements(proof) {
  const [opening] = proof.entries;
  if (new Set(proof.links.map(({ sid }) => toHex(sid))).size !== proof.links.length) fail("statement_linked_twice");
  proof.chain = sha256(tag("chain"), opening.seal.record.batch.home, opening.sid).subarray(0, 16);
  for (const entry of proof.entries) {
    const { statement, fields, submission: { index, number } } = entry;
    if (!equal(statement.net, proof.net)) fail("statement_other_network");
    if (!equal(statement.chain, entry.seq === 0 ? new Uint8Array(16) : proof.chain)) fail("statement_other_passport");
    if (entry.seal.record.batch.class !== statement.class) fail("wrong_class");
    if (fields) {
      if (!equal(fieldsRoot(fields), statement.fieldsRoot)) fail("fields_mismatch");
      checkRequiredFields(entry);
    }
    if (index >= proof.bundle.submissions[number].count) fail("index_beyond_count");
  }
}

/** 2.2 */
function fieldsRoot(fields) {
  const parts = [tag("fields"), u32(fields.size)];
  for (const [name, field] of fields) {
    const label = lengthPrefixed(encoder.encode(name));
    const digest = field.isShown ? sha256(tag("field"), field.salt, label, cj(field.value)) : field.digest;
    parts.push(label, digest);
  }
  return sha256(concatAll(parts));
}

/** The pattern of 5.4.8 in steps: as one expression, with a repeated group, a kind of megabytes overflows the stack. */
function isKind(text) {
  const slash = text.lastIndexOf("/");
  const words = text.slice(0, Math.max(slash, 0));
  if (!/^[a-z]/.test(words) || !words.includes(".")) return false;
  if (/[^a-z0-9_.]/.test(words) || /\.(?![a-z])/.test(words)) return false;
  return /^[1-9][0-9]{0,3}$/.test(text.slice(slash + 1));
}

const PRECISIONS = ["year", "month", "day", "minute", "second", "unknown"];

/** 2.3 and 5.4.8; gives the entry its kind, subject and occurred. */
function checkRequiredFields(entry) {
  for (const name of ["kind", "subject", "occurred"]) {
    if (!entry.fields.get(name)?.isShown) fail("required_field_withheld");
    entry[name] = entry.fields.get(name).value;
  }
  const { kind, subject, occurred } = entry;
  const isText = (value) => typeof value === "string";
  // A plate says nothing without its country, so the shorter form is for every other scheme.
  const members = subject?.scheme === "plate" ? ["country", "scheme", "value"] : ["scheme", "value"];
  if (!isText(kind) || !isKind(kind)) fail("field_malformed");
  if (!hasExactly(subject, members)) fail("field_malformed");
  if (!Object.values(subject).every(isText)) fail("field_malformed");
  if (!hasExactly(occurred, ["at", "precision", "zone"])) fail("field_malformed");
  if (!PRECISIONS.includes(occurred.precision)) fail("field_malformed");
  if (![occurred.at, occurred.zone].every((value) => value === null || isText(value))) fail("field_malformed");
  entry.subjectText = canonical(subject);
}

/** 5.4.9; gives each entry what its author signed (2.10). */
function checkSubmissions(proof) {
  const seen = new Set();
  for (const [number, { at, count, path: siblings, signature }] of proof.bundle.submissions.entries()) {
    const together = proof.entries.filter(({ submission }) => submission.number === number);
    const { net, key } = together[0].statement;
    if (together.some(({ statement }) => !equal(statement.key, key))) fail("submission_of_two_keys");
    const leaves = together.map(({ submission: { index }, statement }) => ({ index, leaf: statement.bytes }));
    const root = rootOfLeaves(count, leaves, siblings) ?? fail("submission_path_mismatch");
    const signedBytes = concat(tag("submission"), net, key, u64(at), u32(count), root);
    for (const entry of together) {
      entry.submitted = { at, signature, signedBytes };
      entry.signed = sha256(tag("signed"), entry.sid, signedBytes, signature);
    }
    seen.add(toHex(concat(signedBytes, signature)));
  }
  if (seen.size !== proof.bundle.submissions.length) fail("submission_twice");
}

/** 5.4.10; gives each link its bytes, id and epoch (2.11), its target, and the home that may seal it (2.13). */
function checkLinks(proof) {
  const known = new Map();
  let [previous, epoch, home] = [NO_TARGET, 0, proof.links[0].seal.record.batch.home];
  for (const link of proof.links) {
    const { seq, sid, mark, target } = link;
    checkMark(link, known);
    if (mark === 1 || mark === 2) {
      link.targeted = known.get(toHex(target));
      link.targeted.marks.push(link);
    }
    if (mark === 3) epoch += 1;
    link.epoch = epoch;
    link.expectedHome = home;
    link.bytes = concat(tag("link"), proof.chain, u64(seq), u32(epoch), previous, sid, u8(mark), target, link.signed);
    link.id = sha256(link.bytes);
    known.set(toHex(sid), link);
    previous = link.id;
    if (mark === 4) home = target.subarray(0, 16);
  }
}

/** 2.7 */
function checkMark({ seq, mark, target }, known) {
  if (mark > 4) fail("mark_unknown");
  if (seq === 0 && mark !== 0) fail("mark_on_opening");
  if ((mark === 0 || mark === 3) && !isZero(target)) fail("target_malformed");
  if (mark === 4 && !isZero(target.subarray(16))) fail("target_malformed");
  if (mark !== 1 && mark !== 2) return;
  const targeted = known.get(toHex(target));
  if (targeted?.seq === 0) fail("target_is_opening");
  if (!targeted) fail("target_unknown");
}

/** 5.4.11 */
function checkBatches(proof) {
  const seals = proof.bundle.records.logged.filter(isSeal);
  for (const [number, seal] of seals.entries()) {
    const placed = proof.links.filter((link) => link.seal === seal);
    if (placed.length === 0) continue; // surplus, as 5.4.14 finds
    const { count, root } = seal.record.batch;
    const leaves = placed.map(({ placement: { index }, bytes: leaf }) => ({ index, leaf }));
    if (!areIncluded(count, leaves, proof.bundle.batches[number], root)) fail("batch_path_mismatch");
  }
  let before = 0;
  for (const { seal } of proof.links) {
    if (!seal) continue;
    if (seal.index < before) fail("seal_order");
    before = seal.index;
  }
}

/** 5.4.12 */
function checkCorrections(proof) {
  for (const link of proof.links) {
    if (link.targeted && isShown(link.targeted) && link.type !== "entry") fail("correction_withheld");
  }
}

/** 5.4.13 */
function checkSinceProof({ bundle: { since }, checkpoint }) {
  if (since === null) return;
  if (!isConsistent(since.size, checkpoint.size, since.root, checkpoint.root, since.path)) fail("consistency_mismatch");
}

/** 5.4.14, records and judged entries. */
function checkRecordsNeeded(proof) {
  const needed = new Set([proof.census.index]);
  for (const { seal } of proof.links) if (seal) needed.add(seal.index);
  if (proof.bundle.records.logged.some(({ index }) => !needed.has(index))) fail("surplus_record");
  for (const entry of proof.entries) {
    if (!isShown(entry) && !(entry.targeted && isShown(entry.targeted))) fail("surplus_entry");
  }
}

const homeOf = ({ record }) => (record.type === "seal" ? record.batch.home : record.census.home);
const leafOf = (proof, logged, member) => proof.groups.get(logged.record.members.index)?.get(toHex(member));

/** Compares the [place, name] pairs that are needed with a map of maps: one absent, or one too many, is a fault. */
function checkExactly(needed, present, missing, surplus) {
  const wanted = new Map();
  for (const [place, name] of needed) {
    if (!present.get(place)?.has(name)) fail(missing);
    if (!wanted.has(place)) wanted.set(place, new Set());
    wanted.get(place).add(name);
  }
  for (const [place, names] of present) {
    if (names.size !== (wanted.get(place)?.size ?? 0)) fail(surplus);
  }
}

/** 5.4.14, members */
function checkMembersNeeded(proof) {
  const needed = [];
  const need = (logged, member) => needed.push([logged.record.members.index, toHex(member)]);
  for (const { seal, statement } of proof.entries) {
    need(seal, statement.member);
    need(proof.census, statement.member);
  }
  for (const logged of proof.bundle.records.logged) {
    need(logged, homeOf(logged));
    for (const endorsement of logged.record.endorsements) need(logged, endorsement.member);
  }
  checkExactly(needed, proof.groups, "member_missing", "surplus_member");
}

/** 5.4.14, rules */
function checkRulesNeeded(proof) {
  const needed = proof.entries.filter(isShown).map(({ seal, kind }) => [seal.record.rules.index, `kind ${kind}`]);
  for (const { record } of proof.bundle.records.logged) {
    needed.push([record.rules.index, `class ${record.type === "seal" ? record.batch.class : 0}`]);
  }
  checkExactly(needed, proof.sections, "rule_missing", "surplus_rule");
}

// Authority (5.5).

const AUTHOR = 1;
const HOLDER_AUTHOR = 2;
const NODE = 3;

async function checkAuthority(proof) {
  for (const logged of proof.bundle.records.logged) if (isSeal(logged)) await checkSeal(proof, logged);
  for (const entry of proof.entries) await checkEntry(proof, entry);
  checkTip(proof);
  checkSubjects(proof);
  await checkCensus(proof);
  checkTrust(proof);
}

/** 5.5.1: the key that `digest` names, if the member's leaf gives it this role and nothing ended it by this record. */
async function right(proof, logged, member, digest, role) {
  const leaf = leafOf(proof, logged, member);
  const name = toHex(digest);
  const key = leaf.keys.find((listed) => listed.digest === name) ?? fail("unknown_key");
  if (key.alg !== 1) cannotTell("unknown_algorithm");
  if (key.role !== role || (role === NODE && leaf.kind !== "node")) fail("wrong_role");
  if (proof.listings.get(logged.record.members.index).get(name) > 1) fail("key_listed_twice");
  const enrolment = concat(tag("enrol"), proof.net, member, u8(key.role), u8(key.custody));
  if (!await verified(proof, key.key, enrolment, key.sig)) fail("enrolment_invalid");
  if (leaf.retired !== null && leaf.retired <= logged.index) fail("member_retired");
  if (key.revoked !== null && key.revoked <= logged.index) fail("key_revoked");
  return key;
}

/** 5.5.2 */
async function checkSeal(proof, logged) {
  const { batch, sig } = logged.record;
  const key = await right(proof, logged, batch.home, batch.key, NODE);
  if (!await verified(proof, key.key, batch.bytes, sig)) fail("batch_signature_invalid");
  await checkEndorsements(proof, logged, sha256(batch.bytes), batch.class);
}

/** 3.6: endorsements of a seal or census, and as many as the line of its class asks for. */
async function checkEndorsements(proof, logged, digest, classNumber) {
  const { endorsements, rules } = logged.record;
  const message = concat(tag("endorse"), digest);
  for (const { member, key: keyName, sig } of endorsements) {
    if (equal(member, homeOf(logged))) fail("endorsement_by_home");
    const key = await right(proof, logged, member, keyName, NODE);
    if (!await verified(proof, key.key, message, sig)) fail("endorsement_invalid");
  }
  const line = proof.sections.get(rules.index).get(`class ${classNumber}`);
  if (endorsements.length < line.endorsements) fail("not_enough_endorsements");
}

/** 5.5.3 */
async function checkEntry(proof, entry) {
  const { statement, seal } = entry;
  const { basis } = statement;
  if (basis < 1 || basis > 4) fail("basis_unknown");
  const key = await right(proof, seal, statement.member, statement.key, basis === 4 ? HOLDER_AUTHOR : AUTHOR);
  if ((basis === 1 && key.custody !== 1) || (basis === 2 && key.custody !== 2)) fail("wrong_custody");
  const { signedBytes, signature } = entry.submitted;
  if (!await verified(proof, key.key, signedBytes, signature)) fail("author_signature_invalid");
  if (!equal(seal.record.batch.home, entry.expectedHome)) fail("wrong_home");
  if (!isShown(entry)) return;
  const isAccredited = leafOf(proof, seal, statement.member).accreditations.some(
    (given) => given.kind === entry.kind && given.basis === basis && given.class === statement.class,
  );
  if (!isAccredited) fail("not_accredited");
  const line = proof.sections.get(seal.record.rules.index).get(`kind ${entry.kind}`);
  if (line.chain !== (proof.entries[0].kind === "passport.opened/1" ? "history" : "journal")) fail("wrong_chain");
  if (line.class !== statement.class) fail("wrong_class");
  checkKindFits(entry);
}

const OPENING_KINDS = ["passport.opened/1", "journal.opened/1"];
const MARK_OF_KIND = new Map([
  ["passport.contested/1", 2], ["passport.corrected/1", 1], ["passport.rectified/1", 1], ["passport.transferred/1", 3],
  ["passport.moved/1", 4],
]);

/** 2.8: openings stand at seq 0 and nothing else does; some kinds have a mark of their own, all others bear 0 or 1. */
function checkKindFits({ kind, mark, seq }) {
  if (OPENING_KINDS.includes(kind) !== (seq === 0)) fail("wrong_opening");
  const own = MARK_OF_KIND.get(kind);
  if (own === undefined ? mark > 1 : mark !== own) fail("wrong_mark");
}

/** 5.5.4 */
function checkTip({ tip }) {
  if (tip.type === "tip" && !equal(tip.seal.record.batch.home, tip.expectedHome)) fail("wrong_home");
}

/** 2.9: does the mark 1 of this entry hold? */
function holds(proof, { statement, seal, targeted }) {
  if (equal(statement.member, targeted.statement.member) && statement.basis === targeted.statement.basis) return true;
  return leafOf(proof, seal, statement.member).accreditations.some(
    (given) => given.kind === "passport.rectified/1" && given.basis === statement.basis,
  );
}

/** 2.9 and 5.10: the seqs that supersede and that contest a shown entry. All of them are entries, by 5.4.12. */
function marksOn(proof, entry) {
  const marks = { superseding: [], contesting: [] };
  for (const other of entry.marks) {
    marks[other.mark === 1 && holds(proof, other) ? "superseding" : "contesting"].push(other.seq);
  }
  return marks;
}

/** 5.5.5 */
function checkSubjects(proof) {
  const [opening, ...others] = proof.entries.filter(isShown);
  if (opening.subject.scheme === "plate") fail("subject_is_plate");
  const identities = proof.entries
    .map((declaration) => ({ declaration, seq: declaration.seq, alias: aliasOf(declaration) }))
    .filter(({ alias }) => alias !== null)
    .reverse(); // the highest seq is tried first
  for (const entry of others) {
    if (entry.subjectText === opening.subjectText) continue;
    const declarations = identities.filter(({ seq, alias }) => seq < entry.seq && alias === entry.subjectText);
    if (declarations.length === 0) fail("subject_mismatch");
    const faults = declarations.map(({ declaration }) => faultOfAlias(proof, declaration, entry));
    if (!faults.includes(null)) fail(faults[0]);
  }
}

/** The cj of the subject that a shown identity entry declares as an alias (2.14), or null. */
function aliasOf(entry) {
  if (!isShown(entry) || entry.kind !== "vehicle.identity/1") return null;
  const alias = entry.fields.get("alias");
  if (!alias?.isShown || !isObject(alias.value) || !Object.hasOwn(alias.value, "subject")) return null;
  return canonical(alias.value.subject);
}

/** 2.6: by the member's own key, or by the node for it; not merely reported, and not the holder's word. */
const isSignedDirectly = ({ statement: { basis } }) => basis === 1 || basis === 2;

const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;
const isDate = (value) => typeof value === "string" && DATE.test(value);

function faultOfAlias(proof, declaration, { occurred }) {
  if (!isSignedDirectly(declaration)) return "alias_unaccredited";
  if (marksOn(proof, declaration).superseding.length > 0) return "alias_superseded";
  const alias = declaration.fields.get("alias").value;
  if (!hasExactly(alias, ["from", "subject", "until"])) return "alias_malformed";
  if (!isDate(alias.from) || (alias.until !== null && !isDate(alias.until))) return "alias_malformed";
  const day = occurred.at?.slice(0, 10);
  const isWithin = ["day", "minute", "second"].includes(occurred.precision) && isDate(day) &&
    alias.from <= day && (alias.until === null || day < alias.until);
  return isWithin ? null : "alias_outside_interval";
}

/** 5.5.6 */
async function checkCensus(proof) {
  const logged = proof.census;
  const { census, key: digest, sig } = logged.record;
  if (!equal(census.home, proof.tip.seal.record.batch.home)) fail("census_wrong_home");
  const key = await right(proof, logged, census.home, digest, NODE);
  const message = concat(tag("census"), proof.net, cj(census.raw));
  if (!await verified(proof, key.key, message, sig)) fail("census_signature_invalid");
  await checkEndorsements(proof, logged, sha256(message), 0);
}

/** 5.5.7 */
function checkTrust({ policy, isListed, cosignatures }) {
  if (policy === null) cannotTell("no_policy");
  if (!isListed) cannotTell("other_network");
  if (!isQuorumMet(policy, cosignatures.map(({ witness }) => witness))) cannotTell("quorum_unmet");
}

// Completeness, freshness, report.

/** 5.6; `older` is the examination of the bundle given as `since`, or null. */
function checkCompleteness(proof, older) {
  const { bundle, census, chain, tip } = proof;
  const siblings = bundle.census.path;
  if (siblings.length > 256) fail("census_path_too_deep");
  if (siblings.length > 0 && isZero(siblings.at(-1))) fail("census_path_empty_sibling");
  const slot = sha256(tag("slot"), chain);
  const head = sha256(tag("tip"), chain, u32(tip.epoch), u64(tip.seq), tip.id);
  const root = rootOfCensusPath(slot, concat(tag("head"), slot, head), siblings);
  if (!equal(root, census.record.census.root)) fail("census_path_mismatch");
  if (tip.seal.index >= census.record.census.covers) fail("tip_not_covered");
  if (older) checkContinues(proof, older);
  if (tip.mark === 4) throw new Ending("moved", "moved");
}

/** 5.6.3 */
function checkContinues(proof, older) {
  const { integrity, authority, completeness } = older.findings;
  const hasFailed = authority.state === "failed" || completeness.state === "failed";
  if (integrity.state !== "ok" || hasFailed) fail("since_invalid");
  const { chain, tip, census, checkpoint } = older.proof;
  if (!equal(chain, proof.chain)) return; // told by what was asked (5.8)
  const here = proof.links[tip.seq];
  if (!here || !equal(here.id, tip.id)) fail("since_fork");
  if (census.index > proof.census.index) fail("since_census_later");
  const { since } = proof.bundle;
  const isProven = since !== null && since.size === checkpoint.size && equal(since.root, checkpoint.root);
  if (!isProven) cannotTell("no_consistency_proof");
}

/** 5.8, first half */
function checkFreshness({ census, cosignatures, now }) {
  const { at } = census.record;
  if (at > now + 300_000) fail("time_in_future");
  if (cosignatures.some(({ seconds }) => at > seconds * 1000 + 999)) fail("census_after_cosignature");
}

/** Judges one bundle; `proof` is null unless its integrity is ok (5.2). */
async function examine(data, question, older) {
  let proof = null;
  const integrity = await judge(async () => {
    proof = openProof(readBundle(data), question);
    await checkIntegrity(proof);
  });
  if (integrity.state !== "ok") {
    const none = { code: null, state: "not_judged" };
    return { proof: null, findings: { authority: none, completeness: none, freshness: none, integrity } };
  }
  const authority = await judge(() => checkAuthority(proof));
  const completeness = await judge(() => checkCompleteness(proof, older));
  const freshness = await judge(() => checkFreshness(proof));
  return { proof, findings: { authority, completeness, freshness, integrity } };
}

/** 5.8, second half: codes of what was asked and is not met. Nothing is known of a bundle without integrity. */
function unmetWishes({ proof, findings }, wishes, older) {
  if (proof === null) return [];
  const declarations = proof.entries.filter((entry) => isSignedDirectly(entry) && aliasOf(entry) !== null);
  const standing = declarations.filter((entry) => marksOn(proof, entry).superseding.length === 0);
  const subjects = [proof.entries[0].subjectText, ...standing.map(aliasOf)];
  const unmet = [
    [wishes.complete && findings.completeness.state !== "ok", "not_complete"],
    [wishes.maxAge !== null && proof.now - proof.census.record.at > wishes.maxAge, "too_old"],
    [wishes.subject !== null && !subjects.includes(canonical(wishes.subject)), "other_subject"],
    [wishes.passport !== null && wishes.passport !== toHex(proof.chain), "other_passport"],
    [older?.proof && !equal(older.proof.chain, proof.chain), "since_other_chain"],
  ];
  return unmet.filter(([isUnmet]) => isUnmet).map(([, code]) => code);
}

/** 5.9 */
function exitCode(findings, asked) {
  const states = Object.values(findings).map(({ state }) => state);
  if (states.includes("failed")) return 10;
  if (states.includes("cannot_tell")) return 11;
  return asked.length > 0 ? 12 : 0;
}

/** 5.10 */
function reportOf(proof) {
  const shown = proof.entries.filter(isShown);
  return {
    as_of: proof.census.record.at,
    entries: shown.map((entry) => reportEntry(proof, entry)),
    epoch: proof.tip.epoch,
    forked_from: isForked(proof.bundle.genesis.raw) ? proof.bundle.genesis.raw.forked_from : null,
    links: proof.links.length,
    log_key: verifierKey(proof.origin, 1, proof.bundle.genesis.log_key),
    network: proof.origin,
    passport: toHex(proof.chain),
    shown: shown.length,
    subject: shown[0].subject,
    withheld: proof.links.length - shown.length,
  };
}

function reportEntry(proof, entry) {
  const { statement, seal, fields } = entry;
  const author = leafOf(proof, seal, statement.member);
  const { superseding, contesting } = marksOn(proof, entry);
  const name = toHex(statement.key);
  const keyNow = leafOf(proof, proof.census, statement.member).keys.filter(({ digest }) => digest === name);
  const shownFields = Object.create(null);
  for (const [name, field] of fields) if (field.isShown) shownFields[name] = field.value;
  return {
    basis: statement.basis,
    by: { id: toHex(author.id), kind: author.kind, name: author.name },
    contested_by: contesting,
    disputed: keyNow.some(({ disputed_since: since }) => since !== null && since <= seal.index),
    fields: shownFields,
    mark: entry.mark,
    sealed_at: seal.record.at,
    seq: entry.seq,
    state: superseding.length > 0 ? "superseded" : contesting.length > 0 ? "contested" : "stands",
    submitted_at: entry.submitted.at,
    superseded_by: superseding.at(-1) ?? null,
  };
}

/**
 * Judges a proof bundle and returns the report of clause 5.10 as an object; `canonical(report) + "\n"` prints it.
 *
 * bundle: Uint8Array. policy: text of a tlog-policy, what parsePolicy returned, or null. now: ms since 1970. complete:
 * ask for the whole chain. maxAge: ms. since: bytes of an older bundle. subject: its value, or text as in 5.11.
 * passport: hex. cache: a Map kept between calls, so that a signature seen before costs no curve arithmetic. Throws
 * only for a caller's mistake (a policy or subject that cannot be read), never for what a bundle holds.
 */
export async function verifyBundle(bundle, options = {}) {
  const { policy = null, now = Date.now(), cache = null } = options;
  const { complete = false, maxAge = null, since = null, subject = null, passport = null } = options;
  const question = { policy: typeof policy === "string" ? parsePolicy(policy) : policy, now, cache };
  const wishes = { complete, maxAge, subject: typeof subject === "string" ? parseSubject(subject) : subject,
    passport: passport?.toLowerCase() ?? null };
  const older = since === null ? null : await examine(since, question, null);
  const judged = await examine(bundle, question, older);
  const asked = unmetWishes(judged, wishes, older);
  const exit = exitCode(judged.findings, asked);
  const report = exit === 10 || !judged.proof ? null : reportOf(judged.proof);
  return { asked, exit, findings: judged.findings, report };
}

/** A subject as it is typed (5.11): `scheme:value`, `plate:COUNTRY:value`, or a VIN alone. */
export function parseSubject(text) {
  const [scheme, first, ...rest] = text.split(":");
  if (first === undefined) return { scheme: "vin", value: text };
  if (scheme !== "plate") return { scheme, value: [first, ...rest].join(":") };
  if (rest.length === 0) throw new Error(`a plate needs its country: plate:COUNTRY:value, not ${text}`);
  return { country: first, scheme, value: rest.join(":") };
}

// The command line (5.11), Node only.

const USAGE = `usage: node verify.mjs BUNDLE [POLICY] [--policy P] [--complete] [--max-age AGE] [--since OLD]
                       [--subject S] [--passport HEX] [--at MS] [--json]
       node verify.mjs --batch | --ed25519 | --canonical     (one JSON object a line on standard input)`;

const AGE_UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

class UsageError extends Error {}
const wrongUsage = (message) => { throw new UsageError(message); };

/** A duration in ms: a whole number and s, m, h or d. */
function parseAge(text) {
  const match = /^([0-9]{1,9})([smhd])$/.exec(text) ?? wrongUsage(`no age: ${text} (a whole number and s, m, h or d)`);
  const [, number, unit] = match;
  return Number(number) * AGE_UNITS[unit];
}

const subjectOrUsage = (text) => {
  try {
    return parseSubject(text);
  } catch (error) {
    return wrongUsage(error.message);
  }
};
const matchOrUsage = (pattern, what) => (text) => (pattern.test(text) ? text : wrongUsage(`${what}, not: ${text}`));
const PASSPORT_ID = matchOrUsage(/^[0-9a-fA-F]{32}$/, "a passport's id has 32 hex digits");
const MILLISECONDS = matchOrUsage(/^[0-9]{1,15}$/, "--at takes milliseconds since 1970");

/** Options that take a value: the name of what they set, and how it is read. */
const OPTIONS = new Map([
  ["--policy", ["policyFile", String]],
  ["--since", ["sinceFile", String]],
  ["--max-age", ["maxAge", parseAge]],
  ["--subject", ["subject", subjectOrUsage]],
  ["--passport", ["passport", PASSPORT_ID]],
  ["--at", ["now", (text) => Number(MILLISECONDS(text))]],
]);

function parseArguments(words) {
  const asked = { files: [], policyFile: null, sinceFile: null, complete: false };
  for (let i = 0; i < words.length; i++) {
    if (OPTIONS.has(words[i])) {
      const [name, read] = OPTIONS.get(words[i]);
      asked[name] = read(words[i + 1] ?? wrongUsage(`${words[i]} needs a value`));
      i += 1;
    } else if (words[i] === "--complete") {
      asked.complete = true;
    } else if (words[i].startsWith("--")) {
      if (words[i] !== "--json") wrongUsage(`unknown option: ${words[i]}`); // the report is always printed
    } else {
      asked.files.push(words[i]);
    }
  }
  if (asked.files.length === 2 && asked.policyFile === null) asked.policyFile = asked.files.pop();
  if (asked.files.length !== 1) wrongUsage("name one bundle, and at most one policy");
  return asked;
}

/** At most one byte more than a bundle may have, so that a huge file costs no memory and is still too large. */
async function readBounded(fs, name) {
  const file = await fs.open(name);
  try {
    const stat = await file.stat();
    // A pipe has no size to go by.
    const buffer = new Uint8Array((stat.isFile() ? Math.min(stat.size, MAX_BUNDLE_BYTES) : MAX_BUNDLE_BYTES) + 1);
    let size = 0;
    for (let more = 1; more > 0 && size < buffer.length; size += more) {
      more = (await file.read(buffer, size, buffer.length - size)).bytesRead;
    }
    return buffer.subarray(0, size);
  } finally {
    await file.close();
  }
}

async function runOnce(asked) {
  const fs = await import("node:fs/promises");
  const options = { ...asked };
  const bundle = await readBounded(fs, asked.files[0]);
  if (asked.policyFile !== null) options.policy = parsePolicy(decoder.decode(await readBounded(fs, asked.policyFile)));
  if (asked.sinceFile !== null) options.since = await readBounded(fs, asked.sinceFile);
  const report = await verifyBundle(bundle, options);
  process.stdout.write(`${canonical(report)}\n`);
  return report.exit;
}

/** One answer a line, for tests that compare thousands: { flag: async (object of the line) => text }. */
function batchModes() {
  const cache = new Map();
  const policies = new Map();
  const policyOf = (text) => {
    if (!policies.has(text)) policies.set(text, parsePolicy(text));
    return policies.get(text);
  };
  return {
    async "--batch"({ bundle, policy, now, complete, max_age: maxAge, since, subject, passport }) {
      const options = { now, complete: complete ?? false, subject: subject ?? null, passport: passport ?? null, cache };
      options.maxAge = typeof maxAge === "string" ? parseAge(maxAge) : maxAge ?? null;
      options.policy = typeof policy === "string" ? policyOf(policy) : null;
      options.since = typeof since === "string" ? fromBase64(since) : null;
      return canonical(await verifyBundle(fromBase64(bundle), options));
    },
    async "--ed25519"({ key, message, signature }) {
      return String(await verifyEd25519(hexBytes(key), hexBytes(message), hexBytes(signature)));
    },
    async "--canonical"({ bytes: data }) {
      try {
        decodeCanonical(fromBase64(data));
        return "ok";
      } catch (error) {
        if (error instanceof NotCanonical) return "refused";
        throw error;
      }
    },
  };
}

async function runBatch(answer) {
  const { createInterface } = await import("node:readline");
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    if (line === "") continue;
    let text;
    try {
      text = await answer(JSON.parse(line));
    } catch (error) {
      text = JSON.stringify({ error: `${error.message}` }); // the caller's mistake: one line stays one answer
    }
    process.stdout.write(`${text}\n`);
  }
  return 0;
}

async function main(words) {
  // WebCrypto's Ed25519 is announced as experimental by some versions of Node; that is no news for the reader.
  process.removeAllListeners("warning");
  const modes = batchModes();
  try {
    if (words.length === 1 && Object.hasOwn(modes, words[0])) return await runBatch(modes[words[0]]);
    return await runOnce(parseArguments(words));
  } catch (error) {
    process.stderr.write(`verify: ${error.message}\n`);
    if (!(error instanceof UsageError)) return 1;
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
}

async function isMain() {
  if (!globalThis.process?.versions?.node || !process.argv[1]) return false;
  const { pathToFileURL } = await import("node:url");
  const { realpathSync } = await import("node:fs");
  try {
    return pathToFileURL(realpathSync(process.argv[1])).href === import.meta.url;
  } catch {
    return false; // started from no file
  }
}

if (await isMain()) process.exitCode = await main(process.argv.slice(2));
