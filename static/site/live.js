/**
 * Banners and the number of unread notices, while the page is open: over a socket at the address in <body data-live>.
 * Without it, or without scripts, both come with the next page. Messages: apps/notifications/consumers.py.
 */

import { retryDelayMs } from "../markets/backoff.js";
import { dismissInCookie, showBanners } from "./banners.js";

/** Longer than three pings of the server (20 s): then the socket is dead, whatever the browser thinks. */
const SILENT_MAX_MS = 70_000;

class Live {
  #url;
  #attempt = 0;
  #silence = null;

  constructor(path) {
    this.#url = new URL(path, window.location.href);
    this.#url.protocol = this.#url.protocol === "https:" ? "wss:" : "ws:";
  }

  connect() {
    const socket = new WebSocket(this.#url);
    socket.addEventListener("message", (event) => {
      this.#attempt = 0;
      this.#hear(socket);
      this.#take(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      window.clearTimeout(this.#silence);
      this.#attempt += 1;
      window.setTimeout(() => this.connect(), retryDelayMs(this.#attempt, Math.random()));
    });
    this.#hear(socket);
  }

  #hear(socket) {
    window.clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => socket.close(), SILENT_MAX_MS);
  }

  #take(message) {
    if (message.type === "banners") {
      showBanners(message.banners);
      if (document.body.dataset.signedIn === "yes" && !message.signed_in) sayLoggedOut();
    } else if (message.type === "notices") {
      showUnread(message.unread);
    }
  }
}

function say(text) {
  document.getElementById("live-status").textContent = text;
}

function showUnread(unread) {
  const count = document.getElementById("unread-notices");
  if (count === null) return;
  const before = Number.parseInt(count.firstElementChild.textContent, 10) || 0;
  const text = unread > 99 ? "99+" : String(unread);
  count.firstElementChild.textContent = text;
  count.hidden = unread === 0;
  if (unread > before) say(unread === 1 ? "One notice is not read." : `${text} notices are not read.`);
}

/** In another tab, by the owner elsewhere, or by its limits: what stands on the page is older than that. */
function sayLoggedOut() {
  document.body.dataset.signedIn = "no";
  document.getElementById("logged-out").hidden = false;
}

const path = document.body.dataset.live;
if (path) new Live(path).connect();
dismissInCookie();
