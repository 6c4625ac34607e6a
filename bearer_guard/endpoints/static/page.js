// Makes the page nicer. Without it everything works, too.
"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

// Times in the reader's own zone; how far away they are is the same everywhere.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
for (const time of all("time")) {
  const at = new Date(time.dateTime);
  time.textContent = exact.format(at);
  time.title = full.format(at);
}

// Copy: the clipboard where the browser lets us (https, loopback), else the selection.
for (const button of all("[data-copy]")) {
  const field = byId(button.dataset.copy);
  const said = button.parentElement.querySelector("[data-copied]");
  button.hidden = false;
  said.textContent = "";
  button.addEventListener("click", async () => {
    field.select();
    let copied;
    try {
      await navigator.clipboard.writeText(field.value);
      copied = true;
    } catch {
      copied = document.execCommand("copy");
    }
    said.textContent = copied ? "Copied." : "Copy it by hand: it is selected.";
  });
}

// A page with a token's value is not kept to go back to.
for (const shown of all("[data-shown]")) {
  addEventListener("pagehide", () => all("textarea", shown).forEach((field) => (field.value = "")));
  addEventListener("pageshow", (event) => event.persisted && location.replace(shown.dataset.shown));
}

// Links that lead to a form open it here.
for (const link of all("a[data-dialog]")) {
  const dialog = byId(link.dataset.dialog);
  if (!dialog?.showModal) continue;
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.closest("[popover]")?.hidePopover();
    const row = link.closest("tr");
    if (row) {
      const action = new URL(link.href);
      dialog.querySelector("form").action = action.pathname;
      dialog.querySelector("[data-of=description] bdi").textContent =
        row.querySelector("[data-l=Description] bdi")?.textContent ?? "None";
      dialog.querySelector("[data-of=id]").textContent = row.querySelector("code").textContent;
    }
    dialog.showModal();
  });
}
for (const link of all("dialog [data-close]")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    link.closest("dialog").close();
  });
}

// Menus stand below their button; browsers with anchors do that by themselves.
if (!CSS.supports("position-area", "bottom")) {
  for (const menu of all("[popover].menu")) {
    menu.addEventListener("toggle", () => {
      const at = menu.previousElementSibling.getBoundingClientRect();
      menu.style.inset = "auto";
      menu.style.margin = "0";
      menu.style.top = `${Math.min(at.bottom + 4, innerHeight - menu.offsetHeight - 8)}px`;
      menu.style.left = `${Math.max(8, at.right - menu.offsetWidth)}px`;
    });
  }
}

// Arrow keys go through a menu.
for (const menu of all("[popover].menu")) {
  const items = all("a", menu);
  menu.addEventListener("toggle", (event) => event.newState === "open" && items[0].focus());
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = items.indexOf(document.activeElement) + step;
    items[(at + items.length) % items.length].focus();
  });
}

// Lifetimes at a click, and the day that they lead to.
const DAY = 86400000;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
for (const said of all("[data-until]")) {
  const field = byId(said.dataset.until);
  const say = () => {
    const days = field.valueAsNumber;
    const at = new Date(Date.now() + days * DAY);
    if (days === -1) said.textContent = "It never expires.";
    else said.textContent = days > 0 && !isNaN(at) ? `It expires on ${day.format(at)}.` : "";
    for (const chip of all("[data-presets] button")) {
      chip.setAttribute("aria-pressed", chip.value === field.value);
    }
  };
  field.addEventListener("input", say);
  for (const presets of all("[data-presets]")) {
    presets.hidden = false;
    presets.addEventListener("click", (event) => {
      if (!event.target.value) return;
      field.value = event.target.value;
      say();
    });
  }
  say();
}

// What is typed into a search narrows this page at once; Enter looks through everything.
for (const field of all("[data-filter]")) {
  const rows = all("tbody tr", byId(field.dataset.filter) ?? document.createElement("table"));
  field.addEventListener("input", () => {
    const text = field.value.trim().toLocaleLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(text);
  });
}

// A form that makes something is sent once. The server makes sure of it, too.
for (const form of all("form[data-once]")) {
  form.addEventListener("submit", () => {
    for (const button of all("button:not([type])", form)) button.disabled = true;
  });
}
addEventListener("pageshow", () => all("form[data-once] button").forEach((b) => (b.disabled = false)));

// What was just done is said once: not again when the page is loaded anew.
if (new URLSearchParams(location.search).has("done")) {
  history.replaceState(null, "", location.pathname);
}
