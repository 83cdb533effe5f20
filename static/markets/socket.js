/**
 * A WebSocket that comes back: connects, notices silence, and reconnects with growing waits.
 *
 * `prepare` runs before each connection (the trading session fetches its ticket there) and may throw SignedOut, which
 * stops for good. `onOpen` runs on every new connection. `probe` is a message that any healthy server answers; it is
 * sent after SILENCE_MS without traffic, and without an answer the connection counts as lost: a laptop that slept or a
 * dead network path does not close a socket by itself.
 */

import { retryDelayMs } from "./backoff.js";
import { SignedOut } from "./rest.js";

const SILENCE_MS = 15000;
const ANSWER_MS = 5000;
const CONNECT_MS = 10000;
const CHECK_MS = 1000;

export const Phase = Object.freeze({
  CONNECTING: "CONNECTING",
  OPEN: "OPEN",
  WAITING: "WAITING",
  OFFLINE: "OFFLINE",
  STOPPED: "STOPPED",
});

export class ReconnectingSocket {
  /** Handlers: prepare() -> any, onOpen(prepared), onMessage(object), onLost(), onPhase(phase, retryAtMs), onSignedOut(error). */
  constructor({ url, probe, handlers }) {
    this.url = url;
    this.probe = probe;
    this.handlers = handlers;
    this.socket = null;
    this.attempt = 0;
    this.phase = Phase.STOPPED;
    this.retryTimer = null;
    window.addEventListener("offline", () => this.goOffline());
    window.addEventListener("online", () => this.reconnectNow());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible" && this.phase === Phase.WAITING) this.reconnectNow();
    });
    window.setInterval(() => this.checkSilence(), CHECK_MS);
  }

  start() {
    this.setPhase(Phase.WAITING);
    this.reconnectNow();
  }

  stop() {
    this.setPhase(Phase.STOPPED);
    this.drop();
  }

  /** False when there is no open connection; the message is not kept. */
  send(message) {
    if (this.phase !== Phase.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** The connection works: the next loss starts again with a short wait. */
  confirm() {
    this.attempt = 0;
  }

  /** Gives up this connection and tries again after the usual wait. */
  fail() {
    if (this.phase === Phase.OPEN || this.phase === Phase.CONNECTING) this.lost();
  }

  reconnectNow() {
    if (this.phase !== Phase.WAITING && this.phase !== Phase.OFFLINE) return;
    window.clearTimeout(this.retryTimer);
    this.connect();
  }

  async connect() {
    this.setPhase(Phase.CONNECTING);
    this.startedAtMs = Date.now();
    let prepared;
    try {
      prepared = await this.handlers.prepare?.();
    } catch (error) {
      if (error instanceof SignedOut) {
        this.stop();
        this.handlers.onSignedOut(error);
      } else if (this.phase === Phase.CONNECTING) this.lost();
      return;
    }
    if (this.phase !== Phase.CONNECTING) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.addEventListener("open", () => {
      if (socket !== this.socket) return;
      this.heardAtMs = Date.now();
      this.probedAtMs = null;
      this.setPhase(Phase.OPEN);
      this.handlers.onOpen(prepared);
    });
    socket.addEventListener("message", (event) => {
      if (socket !== this.socket) return;
      this.heardAtMs = Date.now();
      this.probedAtMs = null;
      this.handlers.onMessage(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      if (socket === this.socket) this.lost();
    });
  }

  lost() {
    this.drop();
    this.attempt += 1;
    const delayMs = retryDelayMs(this.attempt, Math.random());
    this.setPhase(navigator.onLine ? Phase.WAITING : Phase.OFFLINE, Date.now() + delayMs);
    // Timed even when the browser says offline: some report that wrongly, and trying costs nothing.
    window.clearTimeout(this.retryTimer);
    this.retryTimer = window.setTimeout(() => this.reconnectNow(), delayMs);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    if (socket === null) return;
    socket.close();
    this.handlers.onLost?.();
  }

  goOffline() {
    if (this.phase === Phase.STOPPED || this.phase === Phase.OFFLINE) return;
    this.lost();
  }

  checkSilence() {
    const now = Date.now();
    if (this.phase === Phase.CONNECTING && now - this.startedAtMs > CONNECT_MS) this.lost();
    if (this.phase !== Phase.OPEN) return;
    if (this.probedAtMs !== null) {
      if (now - this.probedAtMs > ANSWER_MS) this.lost();
    } else if (now - this.heardAtMs > SILENCE_MS) {
      this.probedAtMs = now;
      this.send(this.probe);
    }
  }

  setPhase(phase, retryAtMs = null) {
    this.phase = phase;
    this.handlers.onPhase?.(phase, retryAtMs);
  }
}
