// Shows a name and colours while they are chosen. Without script they are shown once they are saved.

const looks = document.querySelectorAll("[data-look]");
const isColour = (text) => /^#[0-9a-f]{6}$/i.test(text);

function wear() {
  for (const look of looks) {
    for (const name of ["ink", "paper"]) {
      const { value } = document.getElementById(`f-${name}`);
      if (isColour(value)) look.style.setProperty(`--look-${name}`, value);
    }
    look.querySelector("[data-look-name]").textContent = document.getElementById("f-name").value;
  }
}

for (const picker of document.querySelectorAll("[data-picks]")) {
  const field = document.getElementById(picker.dataset.picks);
  picker.hidden = false;
  picker.addEventListener("input", () => {
    field.value = picker.value;
    wear();
  });
  field.addEventListener("input", () => {
    if (isColour(field.value)) picker.value = field.value.toLowerCase();
    wear();
  });
}
document.getElementById("f-name").addEventListener("input", wear);
