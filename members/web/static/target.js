// Where a launched visitor is sent: the server's own URL plus what the link asked for. Refuses any address
// outside that server, so its token never travels elsewhere. The front door has its own; a test holds both to
// the same vectors.

const CONTROL = /[\x00-\x1f\x7f]/;
const SCHEME = /^[a-zA-Z][a-zA-Z0-9+.-]*:/;
const SERVER = /^https?:\/\/[^\s/?#@\\\x00-\x1f\x7f]+(\/[^\s?#\\\x00-\x1f\x7f]*)?$/;
const DECODINGS = 3;

export class UnsafeTarget extends Error {}

export function serverTarget(serverUrl, token, { urlpath = "", labpath = "", filepath = "" } = {}) {
  if (!plainServer(serverUrl)) {
    throw new UnsafeTarget("the server's own address is not a plain http or https URL");
  }
  const [path, query, fragment] = split(wantedPath(urlpath, labpath, filepath));
  const base = serverUrl.replace(/\/$/, "") + "/";
  const target = base + path + withToken(query, token) + fragment;
  // The browser has the last word on what this string means.
  if (!new URL(target).href.startsWith(new URL(base).href)) throw new UnsafeTarget("its path leaves the server");
  return target;
}

function plainServer(url) {
  if (!SERVER.test(url) || climbs(cut(url, "://")[1])) return false;
  try {
    return new URL(url).port !== "0";
  } catch {
    return false;
  }
}

function wantedPath(urlpath, labpath, filepath) {
  if (labpath) return "doc/tree/" + encodeUri(labpath).replace(/\/$/, "");
  if (filepath) return "tree/" + encodeUri(filepath).replace(/\/$/, "");
  if (urlpath.startsWith("//")) throw new UnsafeTarget("it starts with // and so names another host");
  return urlpath.replace(/^\//, "");
}

function split(target) {
  if (CONTROL.test(target)) throw new UnsafeTarget("it contains a control character");
  const [rest, fragment] = cut(target, "#");
  const [path, query] = cut(rest, "?");
  if (SCHEME.test(path)) throw new UnsafeTarget("it is a whole URL, not a path");
  if (climbs(path)) throw new UnsafeTarget("its path leaves the server");
  const mark = target.includes("#") ? "#" : "";
  return [
    encodeBut(path, /[!$%&'()*+,\-./:;=@_~[\]|0-9A-Za-z]/),
    query,
    mark + encodeBut(fragment, /[;,/?:@&=+$\-_.!~*'()#%[\]0-9A-Za-z]/),
  ];
}

function climbs(path) {
  for (let i = 0; i <= DECODINGS; i++) {
    // Some servers cut `;parameters` off a segment before they resolve it.
    if (path.split("/").some((segment) => cut(segment, ";")[0] === "..")) return true;
    if (path.includes("\\") || CONTROL.test(path)) return true;
    path = unquote(path);
  }
  return false;
}

function cut(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** Percent-decoding that never throws: bytes that are no UTF-8 become U+FFFD. */
function unquote(text) {
  return text.replace(/(%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = Uint8Array.from(run.slice(1).split("%"), (hex) => parseInt(hex, 16));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  });
}

function encodeBut(text, kept) {
  return Array.from(text, (char) => (kept.test(char) ? char : encodeAny(char))).join("");
}

function encodeAny(char) {
  try {
    return encodeURIComponent(char);
  } catch {
    throw new UnsafeTarget("it is not valid text");
  }
}

function encodeUri(text) {
  try {
    return encodeURI(text);
  } catch {
    throw new UnsafeTarget("it is not valid text");
  }
}

function withToken(query, token) {
  const pairs = new URLSearchParams(query.startsWith("?") ? "&" + query : query);
  if (token) pairs.append("token", token);
  const text = pairs.toString();
  return text ? "?" + text : "";
}
