// The build log: a bounded buffer of plain lines, and the element that shows it without taking the scroll bar
// away from its reader.

const MOST_LINES = 5000;
const LONGEST_LINE = 4000;
// Control sequences of terminals: colours and cursor movements, window titles, and the short ones.
const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-Z\\^-~])/g;
const UNFINISHED = /\x1b[^\x1b]{0,255}$/;
const CONTROL = /[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]/g;

export class LogBuffer {
  lines = []; // finished ones
  open = ""; // the line that is still being written
  dropped = 0; // lines that are no longer kept
  #held = ""; // the start of a control sequence whose end has not come
  #returned = false; // a carriage return: what comes next is written over the open line

  feed(text) {
    text = (this.#held + text).replace(ANSI, "");
    this.#held = UNFINISHED.exec(text)?.[0] ?? "";
    if (this.#held) text = text.slice(0, -this.#held.length);
    text = text.replace(/\r+\n/g, "\n").replace(CONTROL, "");
    const parts = text.split("\n");
    parts.forEach((part, i) => {
      this.#write(part);
      if (i < parts.length - 1) this.#finish();
    });
  }

  /** A remark of the page's own, on a line of its own. */
  mark(text) {
    if (this.open) this.#finish();
    this.lines.push({ text, mark: true });
    this.#trim();
  }

  text() {
    const all = this.lines.map((line) => line.text);
    if (this.open) all.push(this.open);
    return all.join("\n") + "\n";
  }

  #write(part) {
    part.split("\r").forEach((piece, i) => {
      if (i > 0) this.#returned = true;
      if (!piece) return;
      const line = this.#returned ? piece : this.open + piece;
      this.open = line.length > LONGEST_LINE ? line.slice(0, LONGEST_LINE) + "…" : line;
      this.#returned = false;
    });
  }

  #finish() {
    this.lines.push({ text: this.open, mark: false });
    this.open = "";
    this.#returned = false;
    this.#trim();
  }

  #trim() {
    const extra = this.lines.length - MOST_LINES;
    if (extra < MOST_LINES / 10) return; // in batches: removing one by one is slow
    this.lines.splice(0, extra);
    this.dropped += extra;
  }
}

export class LogView {
  #buffer = new LogBuffer();
  #shown = 0; // number of the next finished line to show, dropped ones counted
  #waiting = false;
  #following = true;

  constructor({ box, lines, dropped, follow }) {
    this.box = box;
    this.list = lines;
    this.note = dropped;
    this.button = follow;
    this.tail = document.createElement("div");
    box.addEventListener("scroll", () => this.#look(), { passive: true });
    follow.addEventListener("click", () => {
      this.box.scrollTop = this.box.scrollHeight;
      this.box.focus();
    });
  }

  text() {
    return this.#buffer.text();
  }

  write(text) {
    this.#buffer.feed(text);
    this.#soon();
  }

  mark(text) {
    this.#buffer.mark(text);
    this.#soon();
  }

  // The reader scrolled up: stay there. Back at the end: follow again.
  #look() {
    this.#following = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 8;
    this.button.hidden = this.#following;
  }

  #soon() {
    if (this.#waiting) return;
    this.#waiting = true;
    setTimeout(() => this.#draw(), 50); // not per frame: a background tab has none
  }

  #draw() {
    this.#waiting = false;
    const { lines, open, dropped } = this.#buffer;
    const fresh = lines.slice(Math.max(0, this.#shown - dropped)).map(({ text, mark }) => row(text, mark));
    this.#shown = dropped + lines.length;
    this.tail.remove();
    this.list.append(...fresh);
    const before = this.list.childElementCount - lines.length;
    for (let i = 0; i < before; i++) this.list.firstElementChild.remove();
    if (open) {
      this.tail.textContent = open;
      this.list.append(this.tail);
    }
    this.note.hidden = !dropped;
    this.note.textContent = `${dropped.toLocaleString("en")} earlier lines are no longer kept.`;
    if (this.#following) this.box.scrollTop = this.box.scrollHeight;
  }
}

function row(text, mark) {
  const line = document.createElement("div");
  line.textContent = text || "\u200b"; // an empty line keeps its height
  if (mark) line.className = "mark";
  return line;
}
