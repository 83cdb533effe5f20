/**
 * The order form's choice of an allocation rule: the list of rules, what each account asks for, and the preview, which
 * the site computes as the engine does. The page has all of it only for a master account with rules.
 */

import { previewQuery } from "./blockorder.js";
import { formatDecimal, parseDecimal } from "./decimal.js";
import { byId, element, setText } from "./dom.js";
import { fillTable } from "./rows.js";
import { getOfSite } from "./rest.js";

const PREVIEW_DELAY_MS = 300;

export class AllocationChoice {
  /** `onEdit()` runs after each change of what an account asks for. */
  constructor({ market, form, onEdit }) {
    this.market = market;
    this.select = form.elements.allocation ?? null;
    this.rule = null;
    this.inputs = [];
    this.shown = null;
    this.timer = 0;
    if (this.select === null) return;
    byId("order-asked").addEventListener("input", onEdit);
  }

  /** The texts typed for the accounts of a rule that asks, in its order. */
  get texts() {
    return this.inputs.map((input) => input.value);
  }

  /** Follows the list. Fields of the account's own balance are hidden: a block order takes from each account. */
  follow() {
    if (this.select === null) return;
    const option = this.select.selectedOptions[0];
    if (String(this.rule?.id ?? "") !== option.value) this.choose(option.value === "" ? null : ruleOf(option));
    for (const id of ["order-percent", "order-available-line"]) byId(id).hidden = this.rule !== null;
  }

  choose(rule) {
    this.rule = rule;
    const asking = rule?.asks ? rule.accounts : [];
    const fields = asking.map(({ name }) =>
      element("label", { className: "order-choice" }, element("span", {}, `${name} asks for`), element("input", {
        className: "num", autocomplete: "off", spellcheck: false, inputMode: "decimal", placeholder: "0",
        attributes: { "aria-describedby": "order-allocation-error" },
      })));
    this.inputs = fields.map((field) => field.querySelector("input"));
    byId("order-asked").replaceChildren(...fields);
    byId("order-asked").hidden = fields.length === 0;
  }

  clear() {
    for (const input of this.inputs) input.value = "";
  }

  focus() {
    (this.inputs[0] ?? this.select).focus();
  }

  /** Asks for the preview of a block order, or takes it away (null). The same order is not asked for twice. */
  preview(draft, block) {
    if (this.select === null) return;
    const { query, filled } = block === null ? { query: null, filled: 0n } : previewQuery(draft.quantity, block.asked, this.market);
    const wanted = block === null ? null : `${this.rule.previewUrl}?${query}`;
    if (wanted === this.shown) return;
    this.shown = wanted;
    window.clearTimeout(this.timer);
    if (wanted === null) byId("allocation-preview").hidden = true;
    else this.timer = window.setTimeout(() => this.ask(wanted, this.rule, filled), PREVIEW_DELAY_MS);
  }

  async ask(wanted, rule, filled) {
    let parts = [];
    let text = `If ${formatDecimal(filled, 0)} ${this.market.base} of it fill:`;
    try {
      ({ parts } = await getOfSite(wanted));
    } catch (error) {
      text = `No preview: ${error.message}`;
    }
    // Something else may have been typed meanwhile.
    if (wanted !== this.shown) return;
    const names = new Map(rule.accounts.map(({ id, name }) => [id, name]));
    const amount = (decimal) => formatDecimal(parseDecimal(decimal), 0);
    setText(byId("allocation-preview-text"), text);
    fillTable(byId("allocation-parts"), parts.map(({ account, share, filled: part }) => ({
      key: account, cells: [names.get(account) ?? String(account), amount(share), amount(part)],
    })));
    byId("allocation-parts").hidden = parts.length === 0;
    byId("allocation-preview").hidden = false;
  }
}

function ruleOf(option) {
  const names = new Map([...byId("order-accounts").children].map((item) => [item.dataset.account, item.textContent]));
  const { asks, accounts, preview } = option.dataset;
  const listed = accounts.split(",").map((id) => ({ id: Number(id), name: names.get(id) ?? id }));
  return { id: Number(option.value), asks: asks === "yes", accounts: listed, previewUrl: preview };
}
