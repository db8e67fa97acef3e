// A form by keyboard alone: Enter goes on to the next field that is asked for, and sends the form after the last; Ctrl and Enter send it at once.

const isShown = (field) => field.getClientRects().length > 0 && !field.closest("details:not([open])");

for (const form of document.querySelectorAll("form[data-keys]")) {
  const listFields = () => [...form.querySelectorAll("input:not([type=hidden]), select, textarea")].filter(isShown);
  form.querySelector("[data-keys-help]").hidden = false;
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.shiftKey || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      form.requestSubmit();
      return;
    }
    // In a text of several lines Enter is a line, on a button it presses it.
    if (!event.target.matches("input, select")) return;
    event.preventDefault();
    const fields = listFields();
    const next = fields[fields.indexOf(event.target) + 1];
    if (next) {
      next.focus();
      next.select?.();
    } else {
      form.requestSubmit();
    }
  });
}
