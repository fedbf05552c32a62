// The data of a dataset: what is asked for into the panel waits visibly, and all columns can be ticked at once.
"use strict";

document.addEventListener("htmx:beforeRequest", (event) => {
  const { target } = event.detail;
  const waiting = target?.closest(".panel")?.querySelector("[data-waiting]");
  if (waiting) target.replaceChildren(waiting.content.cloneNode(true));
});

// A problem is told where the person looks: in the panel, not behind it.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "problem") document.getElementById("panel")?.close();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-all], [data-none-of]");
  if (!button) return;
  const list = document.getElementById(button.dataset.all ?? button.dataset.noneOf);
  for (const item of list.querySelectorAll(".picker-item:not([hidden]) input")) item.checked = "all" in button.dataset;
});
