/**
 * The signed-in side: one WebSocket API connection that is logged on by a ticket and carries orders and own updates.
 *
 * On every connection: ticket from the site, `session.logon`, `userDataStream.subscribe`, then `onReady`, where the page
 * asks for what it missed. A request that was sent and never answered rejects with Unanswered: its outcome is unknown.
 */

import { ApiError, SignedOut, fetchTicket } from "./rest.js";
import { Phase, ReconnectingSocket } from "./socket.js";

const ANSWER_MS = 10000;

/** Sent, but no answer came: the request may or may not have taken effect. */
export class Unanswered extends Error {
  constructor() {
    super("The connection was lost before the exchange answered.");
    this.name = "Unanswered";
  }
}

/** Not sent, because there is no connection. Nothing happened. */
export class NotConnected extends Error {
  constructor() {
    super("Not connected to the exchange. Nothing was sent.");
    this.name = "NotConnected";
  }
}

export class TradingSession {
  /** Handlers: onReady(), onEvent(event), onPhase(phase, retryAtMs), onSignedOut(error). */
  constructor({ url, ticketUrl, csrfToken, handlers }) {
    this.handlers = handlers;
    this.pending = new Map();
    this.nextId = 1;
    this.ready = false;
    this.socket = new ReconnectingSocket({
      url,
      probe: { id: "probe", method: "ping", params: {} },
      handlers: {
        prepare: () => fetchTicket(ticketUrl, csrfToken),
        onOpen: (ticket) => this.logOn(ticket),
        onMessage: (message) => this.receive(message),
        onLost: () => this.forgetConnection(),
        // Open means more here than a connected socket: see `logOn`.
        onPhase: (phase, retryAtMs) => handlers.onPhase(phase === Phase.OPEN ? Phase.CONNECTING : phase, retryAtMs),
        onSignedOut: handlers.onSignedOut,
      },
    });
  }

  start() {
    this.socket.start();
  }

  /** The result of a method, ApiError, NotConnected or Unanswered. */
  request(method, params = {}) {
    if (!this.ready) return Promise.reject(new NotConnected());
    return this.ask(method, params);
  }

  async logOn(ticket) {
    try {
      await this.ask("session.logon", { ticket });
      await this.ask("userDataStream.subscribe", {});
    } catch (error) {
      console.warn("log-on to the trading session failed:", error.message);
      // A refused address stays refused; a used or late ticket is replaced at the next attempt.
      if (error instanceof ApiError && error.status === 403) this.giveUp();
      else this.socket.fail();
      return;
    }
    this.ready = true;
    this.socket.confirm();
    this.handlers.onPhase(Phase.OPEN, null);
    this.handlers.onReady();
  }

  giveUp() {
    this.socket.stop();
    this.handlers.onSignedOut(new SignedOut("Trading works only at the exchange's own address. Open the page there."));
  }

  ask(method, params) {
    const id = `web-${this.nextId}`;
    this.nextId += 1;
    return new Promise((resolve, reject) => {
      if (!this.socket.send({ id, method, params })) {
        reject(new NotConnected());
        return;
      }
      const timer = window.setTimeout(() => this.settle(id, (request) => request.reject(new Unanswered())), ANSWER_MS);
      this.pending.set(id, { resolve, reject, timer });
    });
  }

  receive(message) {
    if (message.event !== undefined) {
      this.handlers.onEvent(message.event);
      return;
    }
    this.settle(message.id, (request) => {
      if (message.error === undefined) request.resolve(message.result);
      else request.reject(new ApiError(message.status, message.error.code, message.error.msg));
    });
  }

  settle(id, finish) {
    const request = this.pending.get(id);
    if (request === undefined) return;
    this.pending.delete(id);
    window.clearTimeout(request.timer);
    finish(request);
  }

  forgetConnection() {
    this.ready = false;
    for (const id of [...this.pending.keys()]) this.settle(id, (request) => request.reject(new Unanswered()));
  }
}
