/**
 * Public REST calls, and what the site gives to who is logged in. Refusals become ApiError with the server's code and text.
 */

const TIMEOUT_MS = 10000;

/** A refusal in the API's own words. `status` is the HTTP status or that of the WebSocket answer. */
export class ApiError extends Error {
  constructor(status, code, msg) {
    super(msg);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.msg = msg;
  }
}

/** The site gives this page no trading session; the message says what to do. */
export class SignedOut extends Error {
  constructor(message = "You are signed out. Log in to trade.") {
    super(message);
    this.name = "SignedOut";
  }
}

/** JSON of a public GET. Throws ApiError on a refusal and TypeError or a TimeoutError when nothing answered. */
export async function getJson(path, params = {}) {
  const query = new URLSearchParams(params);
  const response = await fetch(`${path}?${query}`, {
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body = await jsonOf(response);
  if (!response.ok || body === null) {
    throw new ApiError(response.status, body?.code ?? 0, body?.msg ?? `The server answered ${response.status}.`);
  }
  return body;
}

/** JSON of a page of the site for who is logged in. Throws as getJson does, and SignedOut where nobody is. */
export async function getOfSite(url) {
  const response = await fetch(url, { cache: "no-store", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const body = await jsonOf(response);
  if (response.ok && body !== null) return body;
  if (response.redirected) throw new SignedOut();
  throw new ApiError(response.status, 0, body?.error?.message ?? `The server answered ${response.status}.`);
}

/**
 * A one-use ticket for `session.logon`, from the site's session. SignedOut when the site refuses for good: no session,
 * no trading account, or a page that is older than the last log-in.
 */
export async function fetchTicket(url, csrfToken) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "X-CSRFToken": csrfToken, Accept: "application/json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body = await jsonOf(response);
  if (response.status === 401) throw new SignedOut();
  if (response.status === 403) throw new SignedOut(body?.error?.message ?? "This page is out of date. Reload it to trade.");
  if (!response.ok || typeof body?.ticket !== "string") {
    throw new ApiError(response.status, 0, body?.error?.message ?? `The server answered ${response.status}.`);
  }
  return body.ticket;
}

async function jsonOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  return type.startsWith("application/json") ? response.json() : null;
}
