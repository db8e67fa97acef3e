// Keeps the shell (stylesheet, icons, the page that says "no network") and nothing else: no page of a person ever enters the cache.

const SHELL = ["{{shell}}"];
const OFFLINE = "/offline";
const CACHE = `carnet-shell-${SHELL.join().length}-${SHELL[0]}`;

addEventListener("install", (event) => event.waitUntil(fill().then(() => skipWaiting())));

addEventListener("activate", (event) => event.waitUntil(forgetOthers().then(() => clients.claim())));

addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  if (SHELL.includes(path)) event.respondWith(caches.match(request).then((kept) => kept ?? fetch(request)));
  else if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => caches.match(OFFLINE)));
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll(SHELL);
  // Without cookies: the page is a visitor's, whoever has signed in here.
  await cache.put(OFFLINE, await fetch(OFFLINE, { credentials: "omit" }));
}

async function forgetOthers() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
}
