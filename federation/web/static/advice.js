// What a visitor can do about a launch that failed, told from the event that ended it. First match wins.

const ADVICE = [
  [/rate limit|too many requests/i, 429, "Too many launches came from your network in a short time. Wait a little, then try again."],
  [/could not resolve ref|error resolving ref/i, 0, "Check the address for typing errors, that the branch, tag or commit exists, and that the repository is public."],
  [/is not allowed to launch|banned/i, 403, "This repository may not be launched here. The people who run this service can tell you more."],
  [/no provider found|invalid spec|malformed/i, 404, "The launch link is not complete. Make a new one on the start page."],
  [/too many users running/i, 0, "Many people use this repository right now. Try again in some minutes."],
  [/too many users|no member|no seat|full/i, 503, "Every member is busy or out of service. Try again in some minutes; the status page tells how they are."],
  [/took too long|failed to launch|launch attempt|timed out/i, 0, "The image exists, but its server did not start. Trying again often helps."],
  [/front door refused/i, 0, "The launch link may not be complete. Make a new one on the start page."],
];
const BUILD = "The build stopped. The last lines of the log tell why; most often a package in the repository’s environment could not be installed.";
const OTHER = "Trying again often helps. If it does not, the log is what the people who can help will ask for.";

export function advice({ message = "", status_code: code }, building) {
  for (const [pattern, status, text] of ADVICE) {
    if (pattern.test(message) || (status && status === code)) return text;
  }
  return building ? BUILD : OTHER;
}
