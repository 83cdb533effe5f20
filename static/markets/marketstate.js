/**
 * The market's state in words, kept current by asking for exchangeInfo again: states have no stream of their own.
 *
 * `status` is the API's word (TRADING, HALT, CANCEL_ONLY, BREAK), `marketState` the exact one behind it.
 */

import { byId, setText } from "./dom.js";
import { readMarket } from "./market.js";
import { getJson } from "./rest.js";

const POLL_MS = 5000;

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
  constructor(market, onChange) {
    this.market = market;
    this.onChange = onChange;
    this.show(market);
    window.setInterval(() => document.visibilityState === "visible" && this.refresh(), POLL_MS);
  }

  async refresh() {
    try {
      const info = await getJson("/api/v3/exchangeInfo", { symbol: this.market.symbol });
      const market = readMarket(info.symbols[0]);
      const changed = market.status !== this.market.status || market.state !== this.market.state;
      this.market = market;
      if (!changed) return;
      this.show(market);
      this.onChange(market);
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
