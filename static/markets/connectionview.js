/**
 * How the page is connected, in words: market data and trading are two connections, the worse one is shown.
 *
 * `data-connection` on the page (live, connecting, lost) lets the styles dim what may be stale.
 */

import { byId, setText } from "./dom.js";
import { notify } from "./notices.js";
import { Phase } from "./socket.js";

const WORSE = [Phase.OPEN, Phase.CONNECTING, Phase.WAITING, Phase.OFFLINE];

export class ConnectionView {
  constructor(page) {
    this.page = page;
    this.parts = new Map();
    this.wasLive = false;
    this.lost = false;
    window.setInterval(() => this.render(), 1000);
  }

  /** Remembers the phase of a connection; `retryAtMs` is when the next attempt starts. STOPPED ones do not count. */
  report(name, phase, retryAtMs) {
    if (phase === Phase.STOPPED) this.parts.delete(name);
    else this.parts.set(name, { phase, retryAtMs });
    this.render();
  }

  render() {
    const worst = [...this.parts.values()].reduce(
      (left, right) => (WORSE.indexOf(right.phase) > WORSE.indexOf(left.phase) ? right : left),
      { phase: Phase.OPEN, retryAtMs: null },
    );
    const live = worst.phase === Phase.OPEN && this.parts.size > 0;
    if (live) this.restore();
    else if (this.wasLive) this.lost = true;
    this.page.dataset.connection = live ? "live" : this.lost ? "lost" : "connecting";
    setText(byId("connection-text"), live ? "Live" : this.words(worst));
    // The countdown changes each second, so it stands outside the announced text.
    const seconds = worst.phase === Phase.WAITING && this.lost ? Math.ceil((worst.retryAtMs - Date.now()) / 1000) : 0;
    setText(byId("connection-countdown"), seconds > 0 ? `in ${seconds} s` : "");
  }

  words(worst) {
    if (worst.phase === Phase.OFFLINE) return "Offline: waiting for the network";
    return this.lost ? "Connection lost: reconnecting" : "Connecting";
  }

  restore() {
    if (this.lost) notify("success", "Connection restored. Everything shown is current again.");
    this.lost = false;
    this.wasLive = true;
  }
}
