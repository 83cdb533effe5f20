/** Of each market in the list that is not open: its state, why, and when it reopens. */

import { bannerOf, countdownText, readState, shortWord } from "./marketstate.js";
import { getJson } from "./rest.js";
import { showSilence } from "./silence.js";

export class ListStates {
  constructor(table, markets) {
    this.table = table;
    this.markets = markets;
    this.states = new Map();
    this.asking = false;
    // Markets of which an event came after the last question: it may be newer than the answer.
    this.heard = new Set();
    window.setInterval(() => this.draw(), 500);
  }

  follow(feed) {
    for (const { symbol } of this.markets) {
      feed.subscribe(`${symbol.toLowerCase()}@marketState`, {
        onReady: () => this.askSoon(),
        onData: (event) => {
          this.heard.add(symbol);
          this.take(symbol, readState(event));
        },
      });
    }
  }

  /** One question for all streams that one message confirmed. */
  askSoon() {
    if (this.asking) return;
    this.asking = true;
    window.setTimeout(() => {
      this.asking = false;
      this.ask();
    }, 0);
  }

  /** exchangeInfo says which markets are not open; why and how long is asked of those, and of one for the silence. */
  async ask() {
    this.heard.clear();
    const unheard = ({ symbol }) => !this.heard.has(symbol);
    try {
      const { symbols } = await getJson("/api/v3/exchangeInfo");
      const wanted = symbols.filter((told, number) => number === 0 || told.marketState !== "OPEN");
      for (const told of symbols.filter(unheard)) this.keep(told.symbol, readState(told));
      for (const told of wanted) {
        const state = readState(await getJson("/api/v3/marketState", { symbol: told.symbol }));
        if (unheard(told)) this.take(told.symbol, state);
      }
    } catch (error) {
      console.warn("the market states did not load:", error.message);
    }
  }

  take(symbol, state) {
    showSilence(state.staleSinceMs);
    this.keep(symbol, state);
  }

  keep(symbol, state) {
    this.states.set(symbol, state);
    this.draw();
  }

  draw() {
    const now = Date.now();
    for (const [symbol, state] of this.states) {
      this.table.showState(symbol, shortWord(state), bannerOf(state)?.[1] ?? "", countdownText(state, now));
    }
  }
}
