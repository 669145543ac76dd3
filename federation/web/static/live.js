// What the front door tells as it happens, and by asking where the stream of events is broken. Knows no page.

const EVENTS = "/federation/v1/events";
const MEMBERS = "/federation/v1/members";
const ASK = 5000; // ms between two questions without a stream
const CHECK = 30000; // ms without a word until a stream is doubted
const AGAIN = 15000; // ms until a stream that was refused is asked for again
const LIMIT = 5000; // ms for an answer

/** `told.members(document, at)`, `told.decision()` and `told.state({live, at, failures})`; times are ms of the epoch,
 *  `at` of the last news. */
export class Live {
  constructor(told) {
    this.told = told;
    this.live = false;
    this.at = 0;
    this.failures = 0;
    this.asking = false;
  }

  start() {
    this.listen();
    this.ask();
    for (const change of ["offline", "online"]) addEventListener(change, () => this.ask());
    setInterval(() => {
      if (!this.live || Date.now() - this.at > CHECK) this.ask();
    }, ASK);
  }

  listen() {
    const stream = new EventSource(EVENTS);
    stream.addEventListener("open", () => this.become(true));
    stream.addEventListener("members", (event) => this.take(JSON.parse(event.data)));
    for (const name of ["decision", "left_out"]) stream.addEventListener(name, () => this.told.decision());
    stream.addEventListener("error", () => {
      const broke = this.live;
      this.become(false);
      if (broke) this.ask();
      if (stream.readyState === EventSource.CLOSED) setTimeout(() => this.listen(), AGAIN);
    });
  }

  async ask() {
    if (this.asking) return;
    this.asking = true;
    try {
      const answer = await fetch(MEMBERS, { cache: "no-store", signal: AbortSignal.timeout(LIMIT) });
      if (!answer.ok) throw new Error(String(answer.status));
      this.take(await answer.json());
      if (!this.live) this.told.decision();
    } catch {
      this.failures += 1;
      this.tell();
    } finally {
      this.asking = false;
    }
  }

  take(members) {
    this.at = Date.now();
    this.failures = 0;
    this.told.members(members, this.at);
    this.tell();
  }

  become(live) {
    this.live = live;
    this.tell();
  }

  tell() {
    this.told.state({ live: this.live, at: this.at, failures: this.failures });
  }
}
