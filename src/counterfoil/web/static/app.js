// The behaviour of all pages. Elements are found by attribute, which also works for parts that htmx loads later:
// data-theme-choice, data-open, data-close, data-copy, data-filter, data-search, data-choosing, data-choose,
// data-choose-all, data-chosen, data-chosen-names, data-poll, data-keep, data-returns, time[data-local], time[data-ago].
"use strict";

const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const typing = (element) => element.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

// Theme: the server renders the theme of the cookie, so that pages don't flash.
function chooseTheme(theme) {
  const root = document.documentElement;
  const age = theme ? 31536000 : 0;
  document.cookie = `counterfoil-theme=${theme}; path=/; max-age=${age}; samesite=strict`;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
}

// Times: in the browser's zone, with UTC in the title.
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en-GB", { numeric: "always" });

function distance(seconds) {
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (unit) return relative.format(Math.trunc(seconds / size), unit);
  return seconds <= 0 ? "just now" : "in less than a minute";
}

function showTimes(inside = document) {
  for (const time of all("time[data-local]", inside)) {
    const seconds = time.dataset.local === "second" ? { second: "2-digit" } : {};
    time.textContent = new Date(time.dateTime).toLocaleString("en-GB", {
      day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", ...seconds,
    });
  }
  for (const time of all("time[data-ago]", inside)) {
    time.textContent = distance((new Date(time.dateTime) - Date.now()) / 1000);
  }
}

// Selected rows: their number, their names, and the checkbox that selects all.
const rowBoxes = (region) => all("tbody input[type=checkbox]", region);
function countChosen(region) {
  const boxes = rowBoxes(region);
  const chosen = boxes.filter((box) => box.checked);
  for (const place of all("[data-chosen]", region)) place.textContent = chosen.length;
  for (const list of all("[data-chosen-names]", region)) {
    list.replaceChildren(...chosen.map((box) => Object.assign(document.createElement("li"), { textContent: box.dataset.label })));
  }
  for (const box of all("[data-choose-all]", region)) {
    box.checked = chosen.length > 0 && chosen.length === boxes.length;
    box.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
  }
}
function chooseOnly(value, region) {
  for (const box of rowBoxes(region)) box.checked = box.value === value;
  countChosen(region);
}

// Filters a list: an item stays visible if its text contains every word.
function filterList(input) {
  const list = document.getElementById(input.dataset.filter);
  const words = input.value.toLowerCase().split(/\s+/);
  const items = all(".picker-item", list);
  for (const item of items) item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
  list.querySelector("[data-none]").hidden = items.some((item) => !item.hidden);
}

// Fills an empty time zone with the browser's zone.
function fillZones(inside = document) {
  for (const input of all("input[data-zone]", inside)) input.value ||= Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}

// Scrolls lists to their selected items.
function showChosen(inside = document) {
  for (const radio of all(".picker-list input[type=radio]:checked", inside)) {
    const list = radio.closest(".picker-list");
    const item = radio.closest(".picker-item");
    if (list.scrollHeight > list.clientHeight) list.scrollTop = item.offsetTop - list.offsetTop - item.offsetHeight;
  }
}

function toast(text, tone = "error") {
  const box = document.createElement("div");
  box.className = `notice tone-${tone}`;
  box.append(Object.assign(document.createElement("p"), { className: "notice-text", textContent: text }));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), 8000);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    toast("Copied.", "ok");
  } catch {
    getSelection().selectAllChildren(source); // no clipboard without https: select the text for a manual copy
  }
}

// Shows that the connection is lost, and polls until the server responds.
let asking = null;
function lost() {
  document.getElementById("lost").hidden = false;
  asking ??= setInterval(async () => {
    try {
      await fetch(document.querySelector("link[rel=icon]").href, { cache: "no-store" });
      found();
    } catch {} // still lost
  }, 3000);
}
function found() {
  document.getElementById("lost").hidden = true;
  clearInterval(asking);
  asking = null;
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-choice], [data-open], [data-close], [data-copy], dialog");
  if (!target) return;
  if ("themeChoice" in target.dataset) chooseTheme(target.dataset.themeChoice);
  if ("choose" in target.dataset) chooseOnly(target.dataset.choose, target.closest("[data-choosing]"));
  if ("open" in target.dataset) document.getElementById(target.dataset.open).showModal();
  if ("close" in target.dataset) target.closest("dialog").close();
  if ("copy" in target.dataset) copy(target);
  if (target.matches("dialog") && event.target === target) target.close(); // on the backdrop
  target.closest("[popover]")?.hidePopover();
});

document.addEventListener("change", (event) => {
  const region = event.target.closest("[data-choosing]");
  if (event.target.matches("[data-choose-all]")) for (const box of rowBoxes(region)) box.checked = event.target.checked;
  if (region) countChosen(region);
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-filter]")) filterList(event.target);
});

document.addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const search = document.querySelector("[data-search]");
  if (event.key === "/" && plain && search && !typing(event.target)) {
    event.preventDefault();
    search.focus();
    search.select();
  }
  if (event.key === "Escape" && event.target.matches("[data-search], [data-filter]") && event.target.value) {
    event.preventDefault();
    event.target.value = "";
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  }
  if (event.key === "Enter" && event.target.matches("[data-filter]")) event.preventDefault(); // Enter would submit the form
  // Moves the focus from the search into the list. Tab would skip the list if the group's first radio button is hidden.
  if (event.target.matches("[data-filter]") && (event.key === "ArrowDown" || (event.key === "Tab" && !event.shiftKey))) {
    const items = all(".picker-item:not([hidden]) input[type=radio]", document.getElementById(event.target.dataset.filter));
    const next = items.find((item) => item.checked) ?? items[0];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
});

// Warns before leaving a page with unsaved changes.
const changed = () => all("form[data-keep]").some((form) => "changed" in form.dataset);
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-keep]");
  if (form) form.dataset.changed = "";
});
document.addEventListener("submit", (event) => delete event.target.dataset.changed);
addEventListener("beforeunload", (event) => {
  if (changed()) event.preventDefault();
});

// An expired session redirects to the login and back. Until then, the tab stores the form, without keys.
const waiting = (form) => `typed ${form.getAttribute("action")}`;
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr, elt } }) => {
  const form = xhr.status === 401 && elt.closest("form[data-keep]");
  if (!form) return;
  const typed = [...new FormData(form)].filter(([name]) => name !== "key" && name !== "go");
  sessionStorage.setItem(waiting(form), new URLSearchParams(typed));
  delete form.dataset.changed;
});
document.addEventListener("DOMContentLoaded", () => {
  for (const form of all("form[data-keep]")) {
    const typed = sessionStorage.getItem(waiting(form));
    if (typed === null) continue;
    sessionStorage.removeItem(waiting(form));
    const values = new FormData();
    for (const [name, value] of new URLSearchParams(typed)) values.append(name, value);
    const part = `#${form.id}`;
    htmx.ajax("POST", form.getAttribute("action"), { target: part, select: part, swap: "outerHTML", values });
  }
});

// The login page continues if the user has logged in in another tab.
document.addEventListener("visibilitychange", async () => {
  const returns = document.querySelector("[data-returns]")?.dataset.returns;
  if (!returns || document.visibilityState !== "visible") return;
  const answer = await fetch(returns, { redirect: "manual" });
  if (answer.type === "opaqueredirect") location.replace(returns);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const region = event.target;
  // A polling element is not refreshed while the user interacts with it.
  const busy = region.matches("[data-poll]") && region.querySelector(":checked, :focus-visible, dialog[open], :popover-open");
  if (busy && event.detail.elt === region) event.preventDefault();
});
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get") return;
  for (const [name, value] of [...detail.formData]) if (value === "") detail.formData.delete(name); // keeps URLs short
});
document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:sseError", lost);
document.addEventListener("htmx:sseOpen", found);
document.addEventListener("htmx:afterOnLoad", found);
// Shows a problem in the target that the server sets, above the page. Other errors leave the page unchanged.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status < 400 || xhr.status === 422) document.getElementById("problem").replaceChildren();
  if (xhr.status < 400) return;
  if (xhr.getResponseHeader("HX-Retarget")) {
    event.detail.shouldSwap = true;
    scrollTo({ top: 0 });
  } else if (!event.detail.shouldSwap) {
    toast(`Request failed (${xhr.status}). Your input is still here; try again.`);
  }
});
document.addEventListener("htmx:load", (event) => {
  showTimes(event.target);
  fillZones(event.target);
  showChosen(event.target);
});
addEventListener("offline", lost);
addEventListener("online", found);
addEventListener("pageshow", () => all("[data-choosing]").forEach(countChosen));
setInterval(showTimes, 30000);
showTimes();
fillZones();
showChosen();
