// Passkeys: asks the service what to ask the authenticator, asks it, and sends its answer with the form like any other field.
//
// A form with data-ceremony names the address of the options, and whether a passkey is made ("create") or used ("get"). Its other fields
// go with the request where data-sends names them. An invitation's code stands in the fragment of its link, which no server sees.

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const readOptions = (options) => ({
  ...options,
  challenge: toBytes(options.challenge),
  ...(options.user && { user: { ...options.user, id: toBytes(options.user.id) } }),
  ...(options.allowCredentials && { allowCredentials: options.allowCredentials.map((one) => ({ ...one, id: toBytes(one.id) })) }),
  ...(options.excludeCredentials && { excludeCredentials: options.excludeCredentials.map((one) => ({ ...one, id: toBytes(one.id) })) }),
});

const PARTS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];

const writeAnswer = (credential) => ({
  id: credential.id,
  rawId: toText(credential.rawId),
  type: credential.type,
  clientExtensionResults: {},
  response: Object.fromEntries(
    PARTS.filter((part) => credential.response[part]).map((part) => [part, toText(credential.response[part])]),
  ),
});

async function askForOptions(form) {
  const sent = Object.fromEntries((form.dataset.sends ?? "").split(" ").filter(Boolean).map((name) => [name, form.elements[name].value]));
  const answer = await fetch(form.dataset.ceremony, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", "X-Form-Token": form.elements.form_token.value },
    body: JSON.stringify(sent),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).code ?? "service_fault");
  return readOptions(await answer.json());
}

function say(form, name) {
  const sayings = [...form.querySelectorAll("[data-says]")];
  const chosen = sayings.find((one) => one.dataset.says.split(" ").includes(name)) ?? sayings.find((one) => one.dataset.says === "otherwise");
  for (const one of sayings) one.hidden = name === null || one !== chosen;
}

async function perform(form, button) {
  button.disabled = true;
  say(form, null);
  try {
    const publicKey = await askForOptions(form);
    const credential = await navigator.credentials[form.dataset.kind]({ publicKey });
    form.elements.answer.value = JSON.stringify(writeAnswer(credential));
    form.submit();
  } catch (error) {
    say(form, error.name === "NotAllowedError" || error.name === "AbortError" ? "stopped" : error.message);
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  const button = form.querySelector("button[data-begin]");
  const isAble = "credentials" in navigator && "PublicKeyCredential" in globalThis;
  say(form, isAble ? null : "unable");
  button.disabled = !isAble;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.reportValidity()) perform(form, button);
  });
  if (form.elements.code && location.hash.length > 1) {
    form.elements.code.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
}
