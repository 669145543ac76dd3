// What a visitor pastes, read as a launch: repository URLs of any forge, launch links, badges, DOIs, plain
// `user/repo`. Twin of federation/core/links.py; both are held to the same vectors.

const LAUNCH_LINK = /\/v2\/([a-z]+)\/([^\s"'<>)\]]+)/;
const WEB_URL = /^https?:\/\/([^\s/?#]+)(\/[^\s?#]*)?[^\s]*$/i;
const OTHER_URL = /^((git|ssh|file):\/\/[^\s]+|[^\s@/:]+@[^\s:/]+:[^\s]+)$/i;
const SCP = /^(?:ssh:\/\/)?git@(github\.com|gitlab\.com)[:/](.+)$/;
const VERSION_PAGE =
  /^(?<repo>.+?)(?:\/-)?\/(?<kind>tree|blob|raw|commit|src\/(?:branch|tag|commit)|releases\/tag)\/(?<rest>.+)$/;
const NAMED_REF = /^refs\/(?:heads|tags)\/(.+)$/;
const DOI = /^(?:doi:|https?:\/\/(?:dx\.)?doi\.org\/)?(10\.[0-9]+\/\S+)$/i;
const SHORT = /^([a-z0-9_.-]+\/[a-z0-9_.-]+?)(?:\.git)?(?:@([^\s@]+))?\/?$/i;
const NO_REPOSITORY = /[\x00-\x1f\x7f]|(?:^|\/)\.\.?(?:\/|$)/;
const HOSTS = { gh: "github.com", gl: "gitlab.com", gist: "gist.github.com" };

export class NotALink extends Error {}

const quote = (text) => encodeURIComponent(text);
const quotePath = (text) => text.split("/").map(encodeURIComponent).join("/");
const trim = (text) => text.replace(/^\/+|\/+$/g, "");
const link = (provider, repo, ref = "", path = "", opens = "url") => ({ provider, repo, ref, path, opens });

function unquote(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a link on the front door, `/v2/…`. `providers` maps ids to their display data. */
export function launchPath({ provider, repo, ref, path, opens }, providers) {
  const shown = providers[provider];
  const repoPart = (shown.repo.urlEncode ? quote : quotePath)(repo.trim());
  const refPart = shown.ref.enabled ? quotePath(ref.trim() || "HEAD") : "";
  let open = path.trim();
  if (open && opens === "file") open = "/doc/tree/" + quotePath(trim(open));
  return `/v2/${provider}/${repoPart}/${refPart}${open ? "?urlpath=" + quote(open) : ""}`;
}

/** The launch that a pasted text means; throws NotALink with a sentence for the visitor. */
export function readLink(pasted, providers, known = providers) {
  const text = pasted.trim();
  if (!text) throw new NotALink("Paste the address of a repository.");
  const found = fromLaunchLink(text, known) ?? fromDoi(text) ?? fromScp(text) ?? fromWeb(text) ?? fromRest(text);
  if (!found || NO_REPOSITORY.test(`${found.repo}/${found.ref}`)) {
    throw new NotALink("This is neither a repository URL, a launch link nor a name like user/repo.");
  }
  if (found.provider in providers) return found;
  if ("git" in providers && found.provider in HOSTS && !text.includes("/v2/")) {
    return { ...found, provider: "git", repo: `https://${HOSTS[found.provider]}/${found.repo}` };
  }
  throw new NotALink(`${known[found.provider]?.displayName ?? found.provider} is not offered here.`);
}

function fromLaunchLink(text, known) {
  const match = LAUNCH_LINK.exec(text);
  if (!match || !(match[1] in known)) return null;
  const [spec, query] = cut(cut(match[2], "#")[0], "?");
  const shown = known[match[1]];
  const [repo, ref] = splitSpec(shown, spec.replace(/\/+$/, ""));
  if (!repo) {
    throw new NotALink(`This launch link is incomplete. ${shown.displayName} links look like ${shown.id}/…`);
  }
  const asked = new URLSearchParams(query);
  const file = asked.get("labpath") || asked.get("filepath");
  return file ? link(shown.id, repo, ref, file, "file") : link(shown.id, repo, ref, asked.get("urlpath") ?? "");
}

function splitSpec(shown, spec) {
  if (!shown.ref.enabled) return [unquote(spec), ""];
  const slashes = shown.repo.urlEncode ? 1 : 2;
  const parts = spec.split("/");
  const repo = parts.slice(0, slashes);
  if (repo.length < slashes || repo.includes("") || (parts.length > slashes && !parts[slashes])) return ["", ""];
  return [unquote(repo.join("/")), unquote(parts.slice(slashes).join("/"))];
}

function fromDoi(text) {
  const record = /^https?:\/\/(?:www\.)?zenodo\.org\/records?\/([0-9]+)\S*$/.exec(text);
  if (record) return link("zenodo", `10.5281/zenodo.${record[1]}`);
  const resource = /^https?:\/\/(?:www\.)?hydroshare\.org\/resource\/([0-9a-f]{32})/.exec(text);
  if (resource || /^[0-9a-f]{32}$/.test(text)) return link("hydroshare", resource ? resource[1] : text);
  const doi = DOI.exec(text);
  if (!doi) return null;
  const lowered = doi[1].toLowerCase();
  const provider = lowered.includes("zenodo") ? "zenodo" : lowered.includes("figshare") ? "figshare" : "dataverse";
  return link(provider, doi[1].replace(/\/+$/, ""));
}

function fromScp(text) {
  const match = SCP.exec(text);
  return match && link(match[1] === "github.com" ? "gh" : "gl", trim(match[2]).replace(/\.git$/, ""));
}

function fromWeb(text) {
  const match = WEB_URL.exec(text);
  if (!match) return null;
  let host = match[1].toLowerCase().replace(/^www\./, "");
  let path = trim(match[2] ?? "");
  if (!path) throw new NotALink("This address names a host, but no repository on it.");
  if (host === "raw.githubusercontent.com" && path.split("/").length > 3) {
    const [user, repo, ...rest] = path.split("/");
    [host, path] = ["github.com", `${user}/${repo}/blob/${rest.join("/")}`];
  }
  const [page, ref, inner, opens] = versionPage(path);
  const repo = page.replace(/\.git$/, "");
  if (host === "github.com") return link("gh", firstTwo(unquote(repo)), ref, inner, opens);
  if (host === "gist.github.com") return fromGist(unquote(repo));
  if (host === "gitlab.com") return link("gl", unquote(repo), ref, inner, opens);
  if (ref) return link("git", `${cut(text, ":")[0].toLowerCase()}://${match[1]}/${repo}`, ref, inner, opens);
  return link("git", cut(text, "#")[0]);
}

// The ref is taken as the one segment after `tree/`: that a branch may hold slashes cannot be seen from here.
function versionPage(path) {
  const match = VERSION_PAGE.exec(path);
  if (!match) return [path, "", "", "url"];
  const { repo, kind, rest } = match.groups;
  const [ref, inner] = cut(unquote(NAMED_REF.exec(rest)?.[1] ?? rest), "/");
  if (!inner || kind === "commit" || kind === "releases/tag") return [repo, ref, "", "url"];
  if (kind === "blob" || kind === "raw" || /\.[a-z0-9]+$/i.test(inner)) return [repo, ref, inner, "file"];
  return [repo, ref, "/lab/tree/" + quotePath(inner), "url"];
}

function firstTwo(repo) {
  const parts = repo.split("/");
  if (parts.length < 2) throw new NotALink("This address names a user, but no repository of theirs.");
  return parts.slice(0, 2).join("/").replace(/\.git$/, "");
}

function fromGist(path) {
  const [user, id, version] = path.split("/");
  if (!id) throw new NotALink("A gist needs its owner in the address: https://gist.github.com/user/id");
  return link("gist", `${user}/${id.replace(/\.git$/, "")}`, /^[0-9a-f]{7,40}$/.test(version ?? "") ? version : "");
}

function fromRest(text) {
  if (OTHER_URL.test(text)) return link("git", text);
  const short = SHORT.exec(text);
  return short && link("gh", short[1], short[2] ?? "");
}

function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}
