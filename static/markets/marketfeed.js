/**
 * Public market data over one combined stream connection.
 *
 * Interest is declared by `subscribe` and survives reconnects. A subscription's `onReady` runs each time the server has
 * confirmed it, also after a reconnect: that is the moment to fetch a snapshot, because nothing after it is missed.
 */

import { ReconnectingSocket } from "./socket.js";

/** The server takes five control messages a second; one each 250 ms stays below that. */
const CONTROL_GAP_MS = 250;

export class MarketFeed {
  constructor(url, onPhase) {
    this.subscriptions = new Map();
    this.confirmations = new Map();
    this.wanted = new Set();
    this.unwanted = new Set();
    this.nextId = 1;
    this.timer = null;
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
    if (!this.wanted.delete(stream)) this.unwanted.add(stream);
    this.flushSoon();
  }

  resume() {
    this.wanted = new Set(this.subscriptions.keys());
    this.flush();
  }

  forgetConnection() {
    this.confirmations.clear();
    this.unwanted.clear();
    window.clearTimeout(this.timer);
    this.timer = null;
  }

  flushSoon() {
    if (this.timer === null) this.timer = window.setTimeout(() => this.flush(), 0);
  }

  flush() {
    this.timer = null;
    const subscribing = this.wanted.size > 0;
    const streams = [...(subscribing ? this.wanted : this.unwanted)];
    if (streams.length === 0) return;
    const id = this.nextId;
    const method = subscribing ? "SUBSCRIBE" : "UNSUBSCRIBE";
    if (!this.socket.send({ method, params: streams, id })) return;
    this.nextId += 1;
    if (subscribing) this.confirmations.set(id, streams);
    (subscribing ? this.wanted : this.unwanted).clear();
    this.timer = window.setTimeout(() => this.flush(), CONTROL_GAP_MS);
  }

  receive(message) {
    this.socket.confirm();
    if (message.stream !== undefined) {
      this.subscriptions.get(message.stream)?.onData(message.data);
      return;
    }
    const confirmed = this.confirmations.get(message.id) ?? [];
    this.confirmations.delete(message.id);
    for (const stream of confirmed) this.subscriptions.get(stream)?.onReady?.();
  }
}
