// Where a launch is to be gone on with: at which address, after which event. Kept for this tab, so that a page
// that is refreshed joins its launch. Each page has a build token of its own, which is no part of where a launch
// is. Knows no stream.

const EVENT_ID = /^([A-Za-z0-9_-]{16,64})\.\d{1,9}$/;
const TOKEN = "build_token=";

export class Place {
  #url;
  #token;
  #key;
  #store;
  #launch = "";
  #last = "";
  #at;

  /** `store` is where this tab remembers things, such as sessionStorage; none when it may not. */
  constructor(url, store = tabStore()) {
    [this.#url, this.#token] = apart(url);
    this.#at = this.#url;
    this.#key = `launch ${this.#url}`;
    this.#store = store;
    this.#load();
  }

  /** The address to ask: the one that answered before, for the launch is known there and nowhere else. */
  get address() {
    return withToken(this.#place, this.#token);
  }

  /** Whether the launch is somewhere else than at the address that it was asked for. */
  get elsewhere() {
    return this.#place !== this.#url;
  }

  get #place() {
    return this.#last ? this.#at : this.#url;
  }

  get headers() {
    return this.#last ? { "Last-Event-ID": this.#last } : {};
  }

  /** An event with this id came from this address. A stream without ids cannot be gone on with. */
  reached(id, answered) {
    const [address] = apart(answered);
    const launch = EVENT_ID.exec(id)?.[1];
    if (!launch) return this.#last && this.forget();
    this.#last = id;
    if (launch === this.#launch && address === this.#at) return;
    this.#launch = launch;
    this.#at = address;
    this.#remember(JSON.stringify({ launch, at: address }));
  }

  /** The launch is over, or nobody knows it any more. */
  forget() {
    this.#launch = this.#last = "";
    this.#at = this.#url;
    this.#remember(null);
  }

  #load() {
    try {
      const { launch, at } = JSON.parse(this.#store.getItem(this.#key));
      if (!EVENT_ID.test(`${launch}.0`) || typeof at !== "string") return;
      this.#launch = launch;
      this.#last = `${launch}.0`; // all of it: this page has shown nothing yet
      this.#at = at;
    } catch {
      // nothing is remembered, or nothing that can be used
    }
  }

  #remember(text) {
    try {
      if (text === null) this.#store.removeItem(this.#key);
      else this.#store.setItem(this.#key, text);
    } catch {
      // a browser that keeps nothing: a refresh then begins a new launch
    }
  }
}

/** An address without its build token, and the token. */
function apart(address) {
  const [path, query = ""] = address.split("?", 2);
  const pairs = query.split("&").filter(Boolean);
  const rest = pairs.filter((pair) => !pair.startsWith(TOKEN));
  const token = pairs.find((pair) => pair.startsWith(TOKEN)) ?? "";
  return [rest.length ? `${path}?${rest.join("&")}` : path, token];
}

function withToken(address, token) {
  if (!token) return address;
  return `${address}${address.includes("?") ? "&" : "?"}${token}`;
}

function tabStore() {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}
