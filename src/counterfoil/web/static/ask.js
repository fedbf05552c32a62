// The query editor: completes names from the list of tables, and selects the position of an error.
"use strict";

const editor = document.querySelector("[data-editor]");
const list = document.getElementById("ask-names");
const WORDS = `SELECT FROM WHERE GROUP BY ORDER LIMIT JOIN LEFT USING ON AS AND OR NOT NULL IS IN LIKE ILIKE BETWEEN CASE WHEN
  THEN ELSE END HAVING DISTINCT WITH UNION ALL DESC ASC count sum avg min max coalesce date_trunc strftime round`.split(/\s+/);
const MOST = 12;

const quoted = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
const tables = () => [...document.querySelectorAll("[data-table]")];
const columnsOf = (table) => [...table.querySelectorAll("[data-column]")].map((each) => each.dataset.column);

// The word before the caret, and the table before its dot.
function writing() {
  const before = editor.value.slice(0, editor.selectionStart);
  const [, owner, word] = before.match(/(?:([\w]+)\.)?([\w]*)$/);
  return { owner, word, start: editor.selectionStart - word.length };
}

function fitting({ owner, word }) {
  const text = editor.value.toLowerCase();
  const known = tables();
  const found = [];
  const add = (name, kind) => {
    if (name.toLowerCase() !== word.toLowerCase() && !found.some((one) => one.name === name)) found.push({ name, kind });
  };
  if (owner) {
    const name = owner.toLowerCase();
    // An alias: `charges c`, `charges AS c`.
    const aliased = [...text.matchAll(new RegExp(`([\\w]+)"?\\s+(?:as\\s+)?${name}\\b`, "g"))].map((one) => one[1]);
    const table = known.find((one) => [name, ...aliased].includes(one.dataset.table.toLowerCase()));
    for (const column of table ? columnsOf(table) : []) add(column, table.dataset.table);
  } else {
    const used = known.filter((one) => text.includes(one.dataset.table.toLowerCase()));
    if (/\b(from|join)\s+[\w]*$/i.test(editor.value.slice(0, editor.selectionStart))) {
      for (const table of known) add(table.dataset.table, "table");
    } else {
      for (const table of used) for (const column of columnsOf(table)) add(column, table.dataset.table);
      for (const each of WORDS) add(each, "");
      for (const table of known) add(table.dataset.table, "table");
    }
  }
  const start = word.toLowerCase();
  // Shortest first: `status` before `statement_descriptor`.
  const begins = found.filter((one) => one.name.toLowerCase().startsWith(start));
  if (start) begins.sort((one, other) => one.name.length - other.name.length);
  const holds = start.length > 1 ? found.filter((one) => !begins.includes(one) && one.name.toLowerCase().includes(start)) : [];
  return [...begins, ...holds].slice(0, MOST);
}

let chosen = 0;
const options = () => [...list.children];
function choose(index) {
  const all = options();
  chosen = (index + all.length) % all.length;
  all.forEach((option, at) => option.setAttribute("aria-selected", at === chosen));
  all[chosen].scrollIntoView({ block: "nearest" });
  editor.setAttribute("aria-activedescendant", all[chosen].id);
}
function hide() {
  list.hidden = true;
  editor.removeAttribute("aria-activedescendant");
}

function show() {
  const found = fitting(writing());
  if (!found.length) return hide();
  list.replaceChildren(
    ...found.map(({ name, kind }, index) => {
      const option = Object.assign(document.createElement("li"), { id: `ask-name-${index}`, role: "option", textContent: name });
      option.dataset.name = name;
      if (kind) option.append(Object.assign(document.createElement("span"), { textContent: kind }));
      return option;
    }),
  );
  list.hidden = false;
  place();
  choose(0);
}

// Places the list below the caret: lines are not wrapped, and the font is monospaced.
const paper = document.createElement("canvas").getContext("2d");
function place() {
  const style = getComputedStyle(editor);
  paper.font = `${style.fontSize} ${style.fontFamily}`;
  const lines = editor.value.slice(0, writing().start).split("\n");
  const left = parseFloat(style.paddingLeft) + lines.at(-1).length * paper.measureText("0").width - editor.scrollLeft;
  const top = parseFloat(style.paddingTop) + lines.length * parseFloat(style.lineHeight) - editor.scrollTop;
  list.style.left = `${Math.max(0, Math.min(left, editor.clientWidth - list.offsetWidth))}px`;
  list.style.top = `${Math.min(top, editor.clientHeight) + 4}px`;
}

function put(text, start = editor.selectionStart) {
  editor.focus();
  editor.setSelectionRange(start, editor.selectionEnd);
  // execCommand supports the browser's undo.
  if (!document.execCommand("insertText", false, text)) editor.setRangeText(text, start, editor.selectionEnd, "end");
}
function take(name) {
  put(quoted(name) === name || WORDS.includes(name) ? name : quoted(name), writing().start);
  hide();
}

if (editor) {
  editor.addEventListener("input", (event) => {
    const { word, owner } = writing();
    if (event.inputType === "insertText" || event.inputType === "deleteContentBackward" ? word || owner : false) show();
    else hide();
  });
  editor.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      hide();
      editor.form.requestSubmit(document.getElementById("ask-run"));
    } else if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      show();
    } else if (!list.hidden) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
      else if (event.key === "Tab" && !event.shiftKey) take(options()[chosen].dataset.name);
      else if (event.key === "Escape") hide();
      else return;
      event.preventDefault();
    }
  });
  for (const gone of ["blur", "scroll", "click"]) editor.addEventListener(gone, hide);
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // keeps the focus in the editor
    const option = event.target.closest("[role=option]");
    if (option) take(option.dataset.name);
  });
}

// Selects the word at the position of DuckDB's error.
function toError(region) {
  const error = region.querySelector("[data-error-line]");
  if (!error) return;
  const lines = editor.value.split("\n");
  const line = Number(error.dataset.errorLine) - 1;
  const start = lines.slice(0, line).reduce((sum, each) => sum + each.length + 1, 0) + Number(error.dataset.errorColumn) - 1;
  const word = editor.value.slice(start).match(/^[\w"]+|^[^\s]/)?.[0] ?? "";
  editor.focus();
  editor.setSelectionRange(start, start + word.length);
}

document.addEventListener("click", (event) => {
  const column = event.target.closest("[data-column]");
  if (column) put(quoted(column.dataset.column));
  if (event.target.closest("[data-go-to-error]")) toError(document.getElementById("answer"));
});
document.addEventListener("submit", (event) => {
  const source = document.getElementById(event.target.dataset.takes);
  if (source) event.target.elements.sql.value = source.value;
}, true);
// The download button submits a plain form, since htmx can't save files.
document.addEventListener("click", (event) => {
  const plain = event.target.closest("[data-plain]");
  if (!plain) return;
  event.preventDefault();
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: plain.formAction, hidden: true });
  for (const [name, value] of new FormData(plain.form)) form.append(Object.assign(document.createElement("input"), { name, value }));
  form.querySelector("[name=sql]").remove();
  form.append(Object.assign(document.createElement("textarea"), { name: "sql", value: editor.value }));
  document.body.append(form);
  form.submit();
  form.remove();
});
document.addEventListener("change", (event) => {
  if (event.target.matches("#ask [name=place]")) {
    htmx.ajax("GET", `/ask/tables?place=${encodeURIComponent(event.target.value)}`, "#ask-tables");
  }
});
