/** The byte vectors computed again from the clauses alone, with node:crypto: chapters 1 to 3 in a second language. */
import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign as signWith } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const { vectors } = JSON.parse(readFileSync(join(here, "..", "..", "docs", "spec", "vectors", "bytes.json"), "utf8"));

const join_ = (...parts) => Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
const h = (...parts) => createHash("sha256").update(join_(...parts)).digest();
const t = (name) => `carnet/1/${name}\n`;
const hex = (text) => Buffer.from(text, "hex");
const u8 = (number) => Buffer.from([number]);
const u32 = (number) => { const b = Buffer.alloc(4); b.writeUInt32BE(number); return b; };
const u64 = (number) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(number)); return b; };
const lp = (text) => join_(u32(Buffer.byteLength(text)), text);

/** cj: keys in byte order, no white space. All keys are ASCII, so the language's own order of texts is theirs. */
const cj = (value) => {
  if (Array.isArray(value)) return `[${value.map(cj).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${cj(value[key])}`).join(",")}}`;
};

const mth = (leaves) => {
  if (leaves.length === 0) return h("");
  if (leaves.length === 1) return h(u8(0), leaves[0]);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return h(u8(1), mth(leaves.slice(0, split)), mth(leaves.slice(split)));
};

const sparse = (leaves, depth = 0) => {
  if (leaves.length === 0) return Buffer.alloc(32);
  if (leaves.length === 1) return h(u8(0), leaves[0].leaf);
  const side = (bit) => leaves.filter(({ slot }) => ((slot[depth >> 3] >> (7 - (depth & 7))) & 1) === bit);
  return h(u8(1), sparse(side(0), depth + 1), sparse(side(1), depth + 1));
};

const PKCS8 = hex("302e020100300506032b657004220420"); // RFC 8410: the head of an Ed25519 private key
const secret = (seed) => createPrivateKey({ key: join_(PKCS8, seed), format: "der", type: "pkcs8" });
const publicOf = (seed) => createPublicKey(secret(seed)).export({ format: "der", type: "spki" }).subarray(-32);
const sign = (seed, message) => signWith(null, message, secret(seed));

const net = (genesis) => h(t("genesis"), cj(genesis));
const body = (i) => `${i.origin}\n${i.size}\n${hex(i.root_hex).toString("base64")}\n`;
const keyId = (origin, key) => h(origin, "\n", u8(1), key).subarray(0, 4);
const texts = (list) => list.map(hex);

const COMPUTE = {
  cj: (i) => cj(i.value),
  key_digest: (i) => h(t("key"), u8(i.alg), hex(i.key_hex)),
  public_key: (i) => publicOf(hex(i.seed_hex)),
  signature: (i) => sign(hex(i.seed_hex), hex(i.message_hex)),
  net: (i) => net(i.genesis),
  origin: (i) => `${i.genesis.name}/${net(i.genesis).toString("hex")}`,
  expand: (i) => createHash("shake256", { outputLength: 32 + 16 * i.fields }).update(join_(t("expand"),
    hex(i.secret_hex))).digest(),
  field_digest: (i) => h(t("field"), hex(i.salt_hex), lp(i.name), cj(i.value)),
  fields_root: (i) => h(t("fields"), u32(i.digests.length), ...i.digests.flatMap(([name, d]) => [lp(name), hex(d)])),
  statement: (i) => join_(t("statement"), hex(i.net_hex), hex(i.chain_hex), hex(i.member_hex), hex(i.key_digest_hex),
    u8(i.basis), u8(i.class), u8(i.mark), hex(i.target_hex), hex(i.fields_root_hex)),
  sid: (i) => h(hex(i.st_hex)),
  submission: (i) => join_(t("submission"), hex(i.net_hex), hex(i.key_digest_hex), u64(i.created_ms),
    u32(i.statements_hex.length), mth(texts(i.statements_hex))),
  signed: (i) => h(t("signed"), hex(i.sid_hex), hex(i.sub_hex), hex(i.sig_hex)),
  link: (i) => join_(t("link"), hex(i.chain_hex), u64(i.seq), u32(i.epoch), hex(i.prev_hex), hex(i.sid_hex), u8(i.mark),
    hex(i.target_hex), hex(i.signed_hex)),
  link_id: (i) => h(hex(i.link_hex)),
  chain_id: (i) => h(t("chain"), hex(i.home_hex), hex(i.sid_hex)).subarray(0, 16),
  rule_leaf: (i) => join_(t("rule"), cj(i.line)),
  rules_root: (i) => mth(i.lines_in_any_order.map((line) => join_(cj(line))).sort(Buffer.compare)
    .map((line) => join_(t("rule"), line))),
  schema_digest: (i) => h(t("schema"), cj(i.schema)),
  member_leaf: (i) => join_(t("member"), cj(i.member)),
  members_root: (i) => mth(i.members.map((member) => join_(t("member"), cj(member)))),
  enrolment: (i) => join_(t("enrol"), hex(i.net_hex), hex(i.member_hex), u8(i.role), u8(i.custody)),
  batch: (i) => join_(t("batch"), hex(i.net_hex), hex(i.home_hex), hex(i.key_digest_hex), u8(i.class),
    u32(i.links_hex.length), mth(texts(i.links_hex)), u64(i.rules), u64(i.expires)),
  endorsement: (i) => join_(t("endorse"), h(hex(i.message_hex))),
  receipt: (i) => join_(t("receipt"), hex(i.net_hex), hex(i.key_digest_hex), hex(i.signed_hex), u64(i.accepted_ms),
    u64(i.deadline_ms)),
  record_leaf: (i) => join_(t("record"), cj(i.record)),
  census_message: (i) => join_(t("census"), hex(i.net_hex), cj(i.census)),
  slot: (i) => h(t("slot"), hex(i.chain_hex)),
  head_leaf: (i) => join_(t("head"), h(t("slot"), hex(i.chain_hex)),
    h(t("tip"), hex(i.chain_hex), u32(i.epoch), u64(i.seq), hex(i.id_hex))),
  census_root: (i) => sparse(i.leaves.map(({ slot_hex: slot, leaf_hex: leaf }) => ({ slot: hex(slot), leaf: hex(leaf) }))),
  checkpoint: body,
  checkpoint_note: (i) => {
    const seed = hex(i.seed_hex);
    const line = join_(keyId(i.origin, publicOf(seed)), sign(seed, Buffer.from(body(i))));
    return `${body(i)}\n— ${i.origin} ${line.toString("base64")}\n`;
  },
  vkey: (i) => `${i.origin}+${keyId(i.origin, hex(i.key_hex)).toString("hex")}+${join_(u8(1),
    hex(i.key_hex)).toString("base64")}`,
};

for (const { name, clause, in: inputs, hex: wanted } of vectors) {
  test(`bytes__${clause}__${name.replaceAll(/[^a-z0-9_]/g, "_")}`, () => {
    assert.equal(join_(COMPUTE[name.split(" ")[0]](inputs)).toString("hex"), wanted);
  });
}

test("bytes__every_structure_has_a_vector", () => {
  assert.deepEqual(new Set(vectors.map(({ name }) => name.split(" ")[0])), new Set(Object.keys(COMPUTE)));
});
