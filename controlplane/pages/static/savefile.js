// Saves or copies the text of a field that is shown once. The text stays in the page: no address and no storage holds it.
"use strict";

(() => {
  const bar = document.querySelector("[data-save]");
  if (!bar) return;
  const field = document.getElementById(bar.dataset.save);
  const [save, copy] = bar.querySelectorAll("button");
  bar.hidden = false;

  save.addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([field.value], { type: "application/json" }));
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = bar.dataset.name;
    anchor.click();
    URL.revokeObjectURL(address);
  });

  copy.addEventListener("click", async () => {
    field.select();
    await navigator.clipboard?.writeText(field.value);
    copy.textContent = "Copied";
  });
})();
