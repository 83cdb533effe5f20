import test from "node:test";
import assert from "node:assert/strict";

/** A clock that the test moves, in the place of the browser's. */
class Clock {
  constructor() {
    this.nowMs = 0;
    this.timers = new Map();
    this.next = 1;
  }

  setTimeout(run, delayMs) {
    this.timers.set(this.next, { atMs: this.nowMs + delayMs, run });
    return this.next++;
  }

  clearTimeout(id) {
    this.timers.delete(id);
  }

  moveTo(ms) {
    for (;;) {
      const due = [...this.timers].filter(([, timer]) => timer.atMs <= ms).sort((a, b) => a[1].atMs - b[1].atMs)[0];
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.nowMs = Math.max(this.nowMs, due[1].atMs);
      due[1].run();
    }
    this.nowMs = ms;
  }
}

const clock = new Clock();
globalThis.window = {
  addEventListener() {},
  setInterval() {},
  setTimeout: (run, delayMs) => clock.setTimeout(run, delayMs),
  clearTimeout: (id) => clock.clearTimeout(id),
};
globalThis.document = { addEventListener() {} };
const { CONTROL_GAP_MS, MarketFeed } = await import("../../../static/markets/marketfeed.js");

/** A feed and the server at the other end of a line that delays each message by `delayMs(sentAtMs)`, in order. */
function connected(delayMs) {
  const server = { arrivedMs: [], streams: new Set() };
  const feed = new MarketFeed("ws://test", () => {});
  let lineFreeMs = 0;
  feed.socket = {
    confirm() {},
    send(message) {
      lineFreeMs = Math.max(lineFreeMs, clock.nowMs + delayMs(clock.nowMs));
      clock.setTimeout(() => {
        server.arrivedMs.push(clock.nowMs);
        for (const stream of message.params) {
          if (message.method === "SUBSCRIBE") server.streams.add(stream);
          else server.streams.delete(stream);
        }
        clock.setTimeout(() => feed.receive({ result: null, id: message.id }), 1);
      }, lineFreeMs - clock.nowMs);
      return true;
    },
  };
  return { feed, server };
}

function mostInOneSecond(timesMs) {
  return Math.max(...timesMs.map((fromMs) => timesMs.filter((ms) => ms >= fromMs && ms < fromMs + 1000).length));
}

for (const [name, delayMs] of [
  ["a quick line", () => 2],
  ["a slow line", () => 180],
  ["a line that stands still for a while", (sentAtMs) => (sentAtMs % 4000 < 1500 ? 1500 - (sentAtMs % 4000) : 2)],
]) {
  test(`quick clicking never sends more than the server takes, over ${name}`, () => {
    const startMs = clock.nowMs;
    const { feed, server } = connected(delayMs);
    const subscriber = { onData() {} };
    feed.subscribe("stays", subscriber);
    let chosen = null;
    for (let click = 0; click < 200; click += 1) {
      if (chosen !== null) feed.unsubscribe(chosen);
      chosen = `kline_${click % 7}`;
      feed.subscribe(chosen, subscriber);
      clock.moveTo(startMs + click * 40);
    }
    clock.moveTo(clock.nowMs + 20000);
    assert.ok(mostInOneSecond(server.arrivedMs) <= 3, String(server.arrivedMs));
    assert.deepEqual([...server.streams].sort(), [chosen, "stays"].sort());
  });
}

test("what is wanted at once goes out at once, in one message", () => {
  const { feed, server } = connected(() => 0);
  let ready = 0;
  for (const stream of ["a", "b", "c"]) feed.subscribe(stream, { onData() {}, onReady: () => { ready += 1; } });
  clock.moveTo(clock.nowMs + 5);
  assert.equal(server.arrivedMs.length, 1);
  assert.equal(ready, 3);
  feed.unsubscribe("a");
  clock.moveTo(clock.nowMs + CONTROL_GAP_MS + 5);
  assert.deepEqual([...server.streams], ["b", "c"]);
});

test("an answer that never comes is forgotten with its connection", () => {
  const { feed, server } = connected(() => 3600000);
  feed.subscribe("a", { onData() {} });
  clock.moveTo(clock.nowMs + 5000);
  const answering = connected(() => 1);
  feed.socket = answering.feed.socket;
  feed.forgetConnection();
  feed.resume();
  clock.moveTo(clock.nowMs + 5);
  assert.deepEqual(server.arrivedMs, []);
  assert.deepEqual([...answering.server.streams], ["a"]);
});
