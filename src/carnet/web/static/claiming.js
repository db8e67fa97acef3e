// What a link or a square on paper carries behind the # is put into the form and taken out of the address: no server sees it there.
// It is kept in this tab while its reader signs in. `#code=…&vehicle=…`, and `&invitation=…` where accounts are made by
// invitation only; or the code alone.

const PLACE = "carnet-code";

if (location.hash.length > 1) {
  sessionStorage.setItem(PLACE, decodeURIComponent(location.hash.slice(1)).slice(0, 400));
  history.replaceState(null, "", location.pathname + location.search);
}

const told = sessionStorage.getItem(PLACE) ?? "";
const named = new URLSearchParams(told);
const [code, invitation] = named.has("code") ? [named.get("code"), named.get("invitation")] : [told];
const form = document.querySelector("form[data-claims]");
if (form && code) {
  form.elements.code.value ||= code;
  form.elements.vehicle.value ||= named.get("vehicle") ?? "";
  form.addEventListener("submit", () => sessionStorage.removeItem(PLACE));
  form.querySelector("button.button")?.focus();
}
for (const link of document.querySelectorAll("a[data-joins]")) if (invitation) link.hash = invitation;
