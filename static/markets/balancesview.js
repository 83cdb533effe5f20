/** All balances of the account, and the two of this market beside the order form. */

import { formatDecimal } from "./decimal.js";
import { byId, element, oncePerFrame, setText } from "./dom.js";

export class BalancesView {
  constructor(market, store) {
    this.market = market;
    this.store = store;
    this.draw = oncePerFrame(() => this.render());
  }

  render() {
    const text = (units) => formatDecimal(units, 2, { group: true });
    for (const [key, asset] of [["base", this.market.base], ["quote", this.market.quote]]) {
      const { free, locked } = this.store.of(asset);
      setText(byId(`balance-${key}-free`), this.store.loaded ? text(free) : "–");
      setText(byId(`balance-${key}-locked`), this.store.loaded ? text(locked) : "–");
    }
    const held = this.store.held();
    byId("balances").hidden = held.length === 0;
    byId("balances-empty").hidden = held.length > 0;
    byId("balances").tBodies[0].replaceChildren(...held.map(([asset, { free, locked }]) => element(
      "tr",
      {},
      element("th", { scope: "row" }, asset),
      ...[["Available", free], ["In orders", locked], ["Total", free + locked]].map(
        ([label, units]) => element("td", { className: "num", data: { label } }, text(units)),
      ),
    )));
  }
}
