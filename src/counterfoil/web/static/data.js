// The page Data of a dataset: a placeholder while the panel loads, and buttons that select all columns or none.
"use strict";

document.addEventListener("htmx:beforeRequest", (event) => {
  const { target } = event.detail;
  const waiting = target?.closest(".panel")?.querySelector("[data-waiting]");
  if (waiting) target.replaceChildren(waiting.content.cloneNode(true));
});

// Problems are shown on the page: close the panel in front of it.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "problem") document.getElementById("panel")?.close();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-all], [data-none-of]");
  if (!button) return;
  const list = document.getElementById(button.dataset.all ?? button.dataset.noneOf);
  for (const item of list.querySelectorAll(".picker-item:not([hidden]) input")) item.checked = "all" in button.dataset;
});
