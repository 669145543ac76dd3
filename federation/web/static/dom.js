// Writes into a page that people are using: only what differs is touched, so that focus, selection, opened details and
// screen readers stay where they are. Knows nothing of what is written.

export const $ = (id) => document.getElementById(id);

/** What a template's `data-slot`s are filled with, by name. */
export class Slots {
  constructor(root) {
    this.root = root;
    this.all = new Map([...root.querySelectorAll("[data-slot]")].map((slot) => [slot.dataset.slot, slot]));
  }

  at(name) {
    return this.all.get(name);
  }

  put(name, text) {
    say(this.all.get(name), text);
  }
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, shown) {
  if (element.hidden === shown) element.hidden = !shown;
}

/** An element with attributes and children; texts stay texts. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Gives `parent` one child for each item, in their order, and keeps those whose key it had. */
export function list(parent, items, key, create, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = before.get(name);
    before.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const gone of before.values()) gone.remove();
}

/** Names and values as a definition list. */
export function pairs(dl, rows) {
  const cells = rows.flatMap(([name, value]) => [["DT", name], ["DD", value]]);
  cells.forEach(([tag, text], i) => {
    let cell = dl.children[i];
    if (!cell) {
      cell = make(tag.toLowerCase());
      dl.append(cell);
    }
    say(cell, text);
  });
  while (dl.children.length > cells.length) dl.lastElementChild.remove();
}
