/** The fields of the order form as elements: which are shown, what they say, and their errors. */

import { byId, setText } from "./dom.js";
import { FIELDS, fieldsOf, inForce, kindsOf } from "./orderkinds.js";

const FOLLOWERS = ["profit", "loss"];
const LABELS = { stop: { TRAILING: "Activation", OCO: "Stop", STOP: "Trigger" } };

export class OrderFields {
  constructor(market) {
    this.form = byId("order-form");
    this.inputs = Object.fromEntries(FIELDS.map((field) => [field, byId(`order-${field}`)]));
    this.offer(market);
  }

  /** Leaves out what the market does not take. */
  offer(market) {
    const kinds = kindsOf(market);
    for (const radio of this.form.querySelectorAll("input[name=kind]")) {
      radio.closest("label").hidden = !kinds.includes(radio.value);
    }
    this.hide(this.form.querySelector("option[value=TRAILING]"), !market.takesTrailing);
    byId("order-post-only").closest("label").hidden = !market.orderTypes.includes("LIMIT_MAKER");
    this.takesIcebergs = market.takesIcebergs;
    this.takesOto = market.takesOto;
  }

  hide(option, hidden) {
    option.hidden = option.disabled = hidden;
  }

  /** What is chosen, and the texts of all fields. */
  read() {
    const { side, kind, trigger, as, timeInForce } = this.form.elements;
    const texts = Object.fromEntries(FIELDS.map((field) => [field, this.inputs[field].value]));
    const postOnly = byId("order-post-only").checked && kind.value === "LIMIT";
    return { side: side.value, kind: kind.value, trigger: trigger.value, as: as.value, timeInForce: timeInForce.value, postOnly, ...texts };
  }

  /** Shows the fields of a choice. A market order's price stays in its place, for the estimate. */
  show(choice) {
    const shown = fieldsOf(choice);
    for (const field of FIELDS) {
      const hidden = !shown.includes(field) || (field === "visible" && !this.takesIcebergs) || (FOLLOWERS.includes(field) && !this.takesOto);
      this.inputs[field].closest(".order-field").hidden = hidden;
      if (hidden) this.inputs[field].value = "";
    }
    // A pair begins with its limit price, an order that waits with its trigger.
    const [priceBox, stopBox] = [this.inputs.price, this.inputs.stop].map((input) => input.closest(".order-field"));
    if (choice.kind === "OCO") stopBox.before(priceBox);
    else stopBox.after(priceBox);
    this.inputs.price.disabled = choice.kind === "MARKET";
    if (choice.kind === "MARKET") this.inputs.price.value = "";
    byId("order-condition").hidden = choice.kind !== "STOP";
    byId("order-options").hidden = choice.kind !== "LIMIT";
    for (const value of ["IOC", "FOK"]) this.hide(this.form.querySelector(`option[value=${value}]`), choice.postOnly);
    if (inForce(choice).timeInForce === "GTC") this.form.elements.timeInForce.value = "GTC";
    const stop = choice.kind === "STOP" && choice.trigger === "TRAILING" ? "TRAILING" : choice.kind;
    setText(byId("order-stop-label"), LABELS.stop[stop] ?? "Trigger");
    this.inputs.stop.placeholder = stop === "TRAILING" ? "At once" : "";
    this.inputs.stopLimit.placeholder = "Market";
    this.inputs.visible.placeholder = "All";
    byId("order-followers").hidden = !this.takesOto;
    for (const field of FOLLOWERS) this.inputs[field].placeholder = "None";
  }

  /** Draws these errors and clears the others; the form's own line only when it is named. */
  showErrors(errors) {
    for (const field of [...FIELDS, "allocation", "form"]) {
      if (field === "form" && errors.form === undefined) continue;
      setText(byId(`order-${field}-error`), errors[field] ?? "");
      this.inputs[field]?.setAttribute("aria-invalid", String(errors[field] !== undefined));
    }
    // An error in the folded part would not be seen.
    if (["visible", ...FOLLOWERS].some((field) => errors[field] !== undefined)) byId("order-options").open = true;
  }

  /** Whether one of the fields has an error and the focus. */
  focusFirst(errors) {
    const first = FIELDS.find((field) => errors[field] !== undefined && !this.inputs[field].disabled);
    if (first !== undefined) this.inputs[first].focus();
    return first !== undefined;
  }
}
