/** The list of markets behind the market's name: opens by click or by "/", filters as you type, Escape closes. */

import { byId } from "./dom.js";
import { MarketTable } from "./markettable.js";

export class MarketMenu {
  /** `query` goes with every link: which account the page trades as. */
  constructor(markets, feed, query) {
    this.panel = byId("market-menu");
    this.button = byId("market-menu-button");
    this.search = byId("market-search");
    this.table = new MarketTable(byId("market-menu-body"), markets, (market) => `/trade/${market.symbol}${query}`);
    this.feed = feed;
    this.following = false;
    this.button.addEventListener("click", () => this.toggle(this.panel.hidden));
    this.search.addEventListener("input", () => this.table.filter(this.search.value));
    this.panel.addEventListener("keydown", (event) => this.moveFocus(event));
    document.addEventListener("click", (event) => {
      if (!this.panel.hidden && !this.panel.contains(event.target) && !this.button.contains(event.target)) this.toggle(false);
    });
  }

  toggle(open) {
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    // The tickers of all markets are followed only from the first look on.
    if (!this.following) this.table.follow(this.feed);
    this.following = true;
    this.search.value = "";
    this.table.filter("");
    this.search.focus();
  }

  /** True when it was open and is now closed. */
  close() {
    if (this.panel.hidden) return false;
    this.toggle(false);
    this.button.focus();
    return true;
  }

  moveFocus(event) {
    const links = [...this.panel.querySelectorAll("tr:not([hidden]) a")];
    if (event.key === "Enter" && document.activeElement === this.search) links[0]?.click();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const index = links.indexOf(document.activeElement) + step;
    if (index < 0) this.search.focus();
    else links[Math.min(index, links.length - 1)]?.focus();
  }
}
