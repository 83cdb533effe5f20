/**
 * The market's state in words: told by a stream of its own, asked for on every connection, and now and then besides.
 *
 * `status` is the API's word (TRADING, HALT, CANCEL_ONLY, BREAK), `marketState` the exact one behind it.
 */

import { byId, setText } from "./dom.js";
import { readMarket } from "./market.js";
import { getJson } from "./rest.js";

/** A safety net under the stream; each page costs the exchange only this much while nothing happens. */
const POLL_MS = 60000;

const WORDS = {
  POST_ONLY: ["info", "Post-only: orders that would trade at once are not taken."],
  HALT: ["warning", "Trading is halted. Open orders can be canceled; new orders are not taken."],
  AUCTION: ["warning", "Call auction: limit orders are collected and trade together when the market reopens."],
  CANCEL_ONLY: ["warning", "Cancel-only: open orders can be canceled; new orders are not taken."],
  BREAK: ["warning", "This market is closed. New orders are not taken."],
  PRE_LAUNCH: ["info", "This market has not opened yet. New orders are not taken."],
};

/** [kind, text] for the banner, or null while trading is normal. */
export function bannerOf(market) {
  return WORDS[market.state] ?? WORDS[market.status] ?? null;
}

export class MarketStateView {
  constructor(market) {
    this.market = market;
    this.show(market);
    window.setInterval(() => document.visibilityState === "visible" && this.refresh(), POLL_MS);
  }

  follow(feed) {
    feed.subscribe(`${this.market.symbol.toLowerCase()}@marketState`, {
      onReady: () => this.refresh(),
      onData: (event) => this.show({ status: event.status, state: event.marketState }),
    });
  }

  async refresh() {
    try {
      const info = await getJson("/api/v3/exchangeInfo", { symbol: this.market.symbol });
      this.show(readMarket(info.symbols[0]));
    } catch (error) {
      console.warn("the market state did not load:", error.message);
    }
  }

  show(market) {
    const banner = bannerOf(market);
    const node = byId("state-banner");
    node.hidden = banner === null;
    node.className = `state-banner notice notice-${banner?.[0] ?? "info"}`;
    setText(node, banner?.[1] ?? "");
  }
}
