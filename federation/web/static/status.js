// The status page: fetches itself again and shows what changed, while somebody looks at it.

const EVERY = 5000; // ms
const PARTS = ["summary", "notices", "wait", "open", "members", "closed", "history", "updated"];
let failures = 0;

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
    if (!response.ok) throw new Error(String(response.status));
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const id of PARTS) replace(document.getElementById(id), fresh.getElementById(id));
    failures = 0;
    note("Renewed every 5 seconds.");
  } catch {
    failures += 1;
    note(`The front door did not answer${failures > 1 ? ` ${failures} times` : ""}; these figures are old.`);
  }
}

/** Only what differs is touched: focus, selection, opened details and screen readers stay where they are. */
function replace(old, fresh) {
  if (!old || !fresh) return;
  for (const details of old.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
  if (old.innerHTML === fresh.innerHTML) return;
  if (old.id !== "members") {
    old.innerHTML = fresh.innerHTML;
    return;
  }
  const rows = [...old.querySelectorAll("tbody tr")];
  const freshRows = [...fresh.querySelectorAll("tbody tr")];
  if (rows.length && rows.length === freshRows.length) {
    rows.forEach((row, i) => [...row.children].forEach((cell, j) => replaceCell(cell, freshRows[i].children[j])));
  } else {
    old.innerHTML = fresh.innerHTML;
  }
}

function replaceCell(cell, fresh) {
  if (fresh && cell.innerHTML !== fresh.innerHTML) cell.innerHTML = fresh.innerHTML;
}

function note(text) {
  const place = document.getElementById("refresh");
  if (place.textContent !== text) place.textContent = text;
}

note("Renewed every 5 seconds.");
setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
