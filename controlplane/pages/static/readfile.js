// Reads a chosen file into a field of the form: what is sent is the text that is seen.
"use strict";

(() => {
  const bar = document.querySelector("[data-read]");
  if (!bar) return;
  bar.hidden = false;
  bar.querySelector("input").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) document.getElementById(bar.dataset.read).value = await file.text();
  });
})();
