// The start page: reads what is typed as a launch and keeps link and badge up to date.

import { copy } from "./copy.js";
import { launchPath, readLink } from "./links.js";

const { known, offered } = JSON.parse(document.getElementById("providers").textContent);
const byId = (rows) => Object.fromEntries(rows.map((row) => [row.id, row]));
const [KNOWN, OFFERED] = [byId(known), byId(offered)];

const form = document.getElementById("launcher");
const reading = document.getElementById("reading");
const share = document.getElementById("share");
const { link: pasted, provider, repo, ref, path, opens } = form.elements;

function fieldsFromPaste() {
  if (!pasted.value.trim()) return clear();
  let found;
  try {
    found = readLink(pasted.value, OFFERED, KNOWN);
  } catch (error) {
    repo.value = "";
    show(null, error.message);
    return;
  }
  provider.value = found.provider;
  repo.value = found.repo;
  ref.value = found.ref;
  path.value = found.path;
  opens.value = found.path ? found.opens : "file";
  update();
}

function clear() {
  for (const field of [repo, ref, path]) field.value = "";
  show(null, "");
}

/** A repository field holds what the provider calls a repository; a whole URL there is read as a paste. */
function fromFields() {
  if (/^\S+:\/\/\S+|\/v2\//.test(repo.value.trim())) {
    pasted.value = repo.value;
    fieldsFromPaste();
  } else {
    update();
  }
}

function update() {
  hints();
  const link = { provider: provider.value, repo: repo.value.trim(), ref: ref.value, path: path.value, opens: opens.value };
  if (!link.repo) return show(null, "");
  const shown = OFFERED[link.provider];
  const target = launchPath(link, OFFERED);
  const spec = target.split("/").slice(3).join("/").split("?")[0].replace(/\/$/, "");
  if (!new RegExp(`^(?:${shown.spec.validateRegex})$`).test(spec)) {
    return show(null, `${shown.displayName} needs more than “${link.repo}”.`);
  }
  const version = shown.ref.enabled ? `, ${link.ref.trim() || shown.ref.default}` : "";
  const open = link.path.trim() ? `, opens ${link.path.trim()}` : "";
  show(target, `${shown.displayName}: ${link.repo}${version}${open}`);
}

function hints() {
  const shown = OFFERED[provider.value];
  document.querySelector('label[for="repo"]').textContent = shown.repo.label;
  document.getElementById("repo-hint").textContent = shown.repo.placeholder;
  ref.disabled = !shown.ref.enabled;
}

function show(target, text) {
  const wrong = !target && text !== "";
  reading.textContent = text;
  reading.classList.toggle("bad", wrong && document.activeElement !== pasted);
  if (wrong && document.activeElement !== pasted) pasted.setAttribute("aria-invalid", "true");
  else pasted.removeAttribute("aria-invalid");
  share.hidden = !target;
  if (!target) return;
  const base = form.dataset.base;
  const [url, badge] = [base + target, `${base}/badge_logo.svg`];
  document.getElementById("share-link").value = url;
  document.getElementById("share-md").value = `[![Binder](${badge})](${url})`;
  document.getElementById("share-rst").value = `.. image:: ${badge}\n :target: ${url}`;
  document.getElementById("share-html").value = `<a href="${url}"><img src="${badge}" alt="launch binder"></a>`;
  document.getElementById("share-badge").href = target;
}

pasted.addEventListener("input", fieldsFromPaste);
pasted.addEventListener("blur", () => reading.textContent && share.hidden && show(null, reading.textContent));
for (const field of [repo, ref, path]) field.addEventListener("input", fromFields);
for (const field of [provider, opens]) field.addEventListener("change", update);

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy).value, button));
}
for (const field of share.querySelectorAll("textarea")) field.addEventListener("focus", () => field.select());

if (pasted.value && !repo.value) fieldsFromPaste();
else update();
