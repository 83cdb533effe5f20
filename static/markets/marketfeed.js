/**
 * Public market data over one combined stream connection.
 *
 * Interest is declared by `subscribe` and survives reconnects. A subscription's `onReady` runs each time the server has
 * confirmed it, also after a reconnect: that is the moment to fetch a snapshot, because nothing after it is missed.
 *
 * The server ends a connection at the sixth message within a second, pongs and probes counted. So what changes is joined
 * into one message, and each waits for the answer to the one before and CONTROL_GAP_MS more: however quickly somebody
 * clicks, and however the network delays and bunches what is sent, three a second arrive at most.
 */

import { ReconnectingSocket } from "./socket.js";

export const CONTROL_GAP_MS = 400;

export class MarketFeed {
  constructor(url, onPhase) {
    this.subscriptions = new Map();
    this.confirmations = new Map();
    this.wanted = new Set();
    this.unwanted = new Set();
    // What this connection was asked for, and not asked to end.
    this.sent = new Set();
    this.nextId = 1;
    this.timer = null;
    this.unanswered = null;
    this.socket = new ReconnectingSocket({
      url,
      probe: { method: "LIST_SUBSCRIPTIONS", id: 0 },
      handlers: {
        onOpen: () => this.resume(),
        onMessage: (message) => this.receive(message),
        onLost: () => this.forgetConnection(),
        onPhase,
      },
    });
  }

  start() {
    this.socket.start();
  }

  /** One subscriber for a stream: {onData(data), onReady?()}. */
  subscribe(stream, subscriber) {
    this.subscriptions.set(stream, subscriber);
    this.unwanted.delete(stream);
    this.wanted.add(stream);
    this.flushSoon();
  }

  unsubscribe(stream) {
    if (!this.subscriptions.delete(stream)) return;
    this.wanted.delete(stream);
    if (this.sent.has(stream)) this.unwanted.add(stream);
    this.flushSoon();
  }

  resume() {
    this.wanted = new Set(this.subscriptions.keys());
    this.flush();
  }

  forgetConnection() {
    this.confirmations.clear();
    this.unwanted.clear();
    this.sent.clear();
    this.unanswered = null;
    window.clearTimeout(this.timer);
    this.timer = null;
  }

  flushSoon() {
    if (this.timer === null && this.unanswered === null) this.timer = window.setTimeout(() => this.flush(), 0);
  }

  flush() {
    this.timer = null;
    if (this.unanswered !== null) return;
    const subscribing = this.wanted.size > 0;
    const streams = [...(subscribing ? this.wanted : this.unwanted)];
    if (streams.length === 0) return;
    const id = this.nextId;
    const method = subscribing ? "SUBSCRIBE" : "UNSUBSCRIBE";
    if (!this.socket.send({ method, params: streams, id })) return;
    this.nextId += 1;
    if (subscribing) this.confirmations.set(id, streams);
    for (const stream of streams) this.sent[subscribing ? "add" : "delete"](stream);
    (subscribing ? this.wanted : this.unwanted).clear();
    this.unanswered = id;
  }

  receive(message) {
    this.socket.confirm();
    if (message.stream !== undefined) {
      this.subscriptions.get(message.stream)?.onData(message.data);
      return;
    }
    if (this.unanswered !== null && message.id === this.unanswered) {
      this.unanswered = null;
      this.timer = window.setTimeout(() => this.flush(), CONTROL_GAP_MS);
    }
    const confirmed = this.confirmations.get(message.id) ?? [];
    this.confirmations.delete(message.id);
    for (const stream of confirmed) this.subscriptions.get(stream)?.onReady?.();
  }
}
