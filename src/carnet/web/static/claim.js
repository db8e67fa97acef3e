// What a QR code on paper carries behind the # is put into the form, and taken out of the address: no server sees it there.

const form = document.querySelector("form[data-claim]");
const told = new URLSearchParams(location.hash.slice(1));
if (form && told.has("code")) {
  form.elements.code.value = told.get("code").slice(0, 100);
  if (told.has("vehicle") && !form.elements.vehicle.value) form.elements.vehicle.value = told.get("vehicle").slice(0, 100);
  history.replaceState(null, "", location.pathname);
  form.querySelector("button.button")?.focus();
}
