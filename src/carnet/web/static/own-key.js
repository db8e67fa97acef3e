// A member's own key in this browser: made here, or brought as a file; it signs here, and its secret is sent nowhere.
//
// The secret is a CryptoKey that cannot be exported, kept in IndexedDB. On the page that makes one, a copy may be saved as a file first, in the
// form that `carnet keys` reads. What is signed is shown before, and is checked by the server and by every verifier afterwards.

const NAME = "Ed25519";
// What stands before the 32 bytes of a seed in PKCS #8 (RFC 8410).
const PKCS8 = Uint8Array.from([48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]);

export const toBytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
export const toText = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const toHex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

// The digest that names a key in every record: docs/spec 1.7.
const nameKey = async (key) => toHex(await crypto.subtle.digest("SHA-256", join(new TextEncoder().encode("carnet/1/key\n"), [1], key)));

const ask = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

async function openStore(mode) {
  const opening = indexedDB.open("carnet-own-keys", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("keys", { keyPath: "digest" });
  const database = await ask(opening);
  return database.transaction("keys", mode).objectStore("keys");
}

export const listKeys = async () => ask((await openStore("readonly")).getAll());
const keepKey = async (one) => ask((await openStore("readwrite")).put(one));
const forgetKey = async (digest) => ask((await openStore("readwrite")).delete(digest));

export async function sign(digest, message) {
  const found = (await listKeys()).find((one) => one.digest === digest);
  return found ? toText(await crypto.subtle.sign(NAME, found.secret, message)) : null;
}

export async function signAll(digest, messages) {
  const signatures = [];
  for (const message of messages) signatures.push(await sign(digest, toBytes(message)));
  return signatures;
}

export async function isAble() {
  try {
    await crypto.subtle.generateKey(NAME, false, ["sign", "verify"]);
    return true;
  } catch {
    return false;
  }
}

const say = (form, name) => {
  for (const one of form.querySelectorAll("[data-says]")) one.hidden = one.dataset.says !== name;
};

// ---- a form that names the key with which its entry will be signed

for (const input of document.querySelectorAll("input[data-own-key]")) {
  const listed = input.dataset.ownKey.split(" ");
  const kept = await listKeys().catch(() => []);
  input.value = kept.find((one) => listed.includes(one.digest))?.digest ?? "";
}

// ---- the page on which an entry is signed

for (const form of document.querySelectorAll("form[data-sign]")) {
  const button = form.querySelector("[data-begin]");
  const kept = await listKeys().catch(() => []);
  const isKept = kept.some((one) => one.digest === form.dataset.key);
  say(form, (await isAble()) ? (isKept ? null : "absent") : "unable");
  button.disabled = !isKept;
  if (isKept) button.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    form.elements.signature.value = await sign(form.dataset.key, toBytes(form.dataset.sign));
    form.submit();
  });
}

// ---- the page of own keys

const download = (name, text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
};

// Names in ascending order and nothing between: the one form that `carnet keys` reads (docs/spec 1.2).
const write = (document_) => `${JSON.stringify(Object.fromEntries(Object.entries(document_).sort(([a], [b]) => (a < b ? -1 : 1))))}\n`;

const importSeed = (seed) => crypto.subtle.importKey("pkcs8", join(PKCS8, seed), NAME, false, ["sign"]);

async function makeKey(page) {
  const pair = await crypto.subtle.generateKey(NAME, true, ["sign", "verify"]);
  const seed = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).slice(PKCS8.length);
  const key = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return enrol(page, seed, key);
}

async function enrol(page, seed, key) {
  const { member, network, enrolment } = page.dataset;
  const secret = await importSeed(seed);
  const digest = await nameKey(key);
  await keepKey({ digest, secret, key, member, network, made: Date.now() });
  const sig = toText(await crypto.subtle.sign(NAME, secret, toBytes(enrolment)));
  const proof = write({ carnet: "enrolment/1", custody: 1, key: toText(key), member, network, role: 1, sig });
  const file = write({ carnet: "own-key/1", member, network, public: toText(key), seed: toText(seed) });
  return { digest, proof, file };
}

async function readFile(page, file) {
  const found = JSON.parse(await file.text());
  if (found.carnet !== "own-key/1") throw new Error("other");
  if (found.sealed) throw new Error("sealed");
  if (found.member && (found.member !== page.dataset.member || found.network !== page.dataset.network)) throw new Error("foreign");
  return enrol(page, toBytes(found.seed), toBytes(found.public));
}

function showMade(page, made) {
  page.querySelector("[data-made]").hidden = false;
  page.querySelector("[data-digest]").textContent = `key_${made.digest}`;
  page.querySelector("[data-save-proof]").onclick = () => download(`enrolment-${made.digest.slice(0, 12)}.json`, made.proof);
  page.querySelector("[data-save-key]").onclick = () => download(`own-key-${made.digest.slice(0, 12)}.json`, made.file);
  const text = page.querySelector("[data-enrolment-text]");
  if (text) text.value = made.proof;
  page.querySelector("[data-made] h3").focus();
}

async function showKept(page) {
  const kept = await listKeys().catch(() => []);
  const here = new Set(kept.map((one) => one.digest));
  for (const row of page.querySelectorAll("[data-listed]")) row.querySelector("[data-here]").hidden = !here.has(row.dataset.listed);
  const box = page.querySelector("[data-kept]");
  box.hidden = kept.length === 0;
  box.querySelector("ul").replaceChildren(
    ...kept.map((one) => {
      const line = document.importNode(page.querySelector("template").content, true);
      line.querySelector("code").textContent = `key_${one.digest.slice(0, 16)}…`;
      line.querySelector("button").onclick = async () => {
        await forgetKey(one.digest);
        await showKept(page);
      };
      return line;
    }),
  );
}

for (const page of document.querySelectorAll("[data-keys-page]")) {
  const able = await isAble();
  say(page, able ? null : "unable");
  const attempt = async (work) => {
    say(page, null);
    try {
      showMade(page, await work());
      await showKept(page);
    } catch (error) {
      say(page, ["other", "sealed", "foreign"].includes(error.message) ? error.message : "other");
    }
  };
  const make = page.querySelector("[data-make]");
  const bring = page.querySelector("[data-bring]");
  make.disabled = bring.disabled = !able;
  make.addEventListener("click", () => attempt(() => makeKey(page)));
  bring.addEventListener("change", () => bring.files.length && attempt(() => readFile(page, bring.files[0])));
  await showKept(page);
}
