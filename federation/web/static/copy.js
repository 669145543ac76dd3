// Copies text to the clipboard and says so, to eyes and to screen readers.

export async function copy(text, button) {
  const said = button.dataset.said ?? (button.dataset.said = button.innerHTML);
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = byHand(text); // no clipboard API on plain http
  }
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  announce(done ? "Copied to the clipboard" : "Copying is not allowed here");
  clearTimeout(button.waiting);
  button.waiting = setTimeout(() => (button.innerHTML = said), 2000);
}

function byHand(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  const before = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus();
  return done;
}

export function announce(text) {
  const root = document.getElementById("root");
  root.setAttribute("role", "status");
  root.className = "hidden";
  root.textContent = text;
}
