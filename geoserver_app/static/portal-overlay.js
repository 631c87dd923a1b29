// The rules of one overlay: simple fields write the JSON, and the picture shows what it would do.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-overlay]"), form = place.querySelector("form"), text = form.elements.symbols;
  const tables = JSON.parse(place.dataset.tables), problem = place.querySelector("[role=alert]");
  const of = (name) => form.querySelector(`[data-of=${name}]`);
  const lang = `?lang=${document.documentElement.lang.startsWith("zh") ? "zh" : "en"}`;

  const read = () => { try { return JSON.parse(text.value || '{"tables":{}}'); } catch { return null; } };
  const ask = (what, body) => fetch(`${place.dataset.overlay}/${what}${lang}`, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": place.dataset.csrf }, body: JSON.stringify(body) });

  async function show(what, image, body) {
    const answer = await ask(what, body);
    if (answer.ok) { const old = image.src; image.src = URL.createObjectURL(await answer.blob()); if (old.startsWith("blob:")) URL.revokeObjectURL(old); return ""; }
    const told = await answer.json();
    return (told.errors || []).map((one) => `${(one.pointer || "").replace(/^#\/symbols/, "")} ${one.detail}`).join("; ") || told.detail;
  }

  async function look() {
    const rules = read();
    const symbols = rules && Object.keys(rules.tables || {}).length ? rules : rules ? null : undefined;
    let fault = "JSON";
    if (symbols !== undefined) fault = await show("picture", place.querySelector("[data-picture]"), { symbols, width: 640, height: 420 }) || await show("legend", place.querySelector("[data-legend]"), { symbols });
    problem.textContent = fault;
    problem.hidden = !fault;
  }

  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => look().catch(() => {}), 350); };

  /** The fields say what the rules of the chosen table say. */
  function fill() {
    const table = tables.find((one) => one.table === of("table").value);
    if (!table) return;
    for (const name of ["label", "by"]) of(name).replaceChildren(of(name).options[0], ...table.fields.map((field) => new Option(field, field)));
    const rules = read()?.tables?.[table.table] || {}, symbol = rules.symbol || {};
    of("colour").value = (symbol.colour || "#1971C2").toLowerCase();
    of("size").value = symbol.size ?? 9;
    of("width").value = symbol.width ?? { area: 1, line: 2.4, point: 1.2 }[table.geometry];
    of("icon").value = symbol.icon || "circle";
    of("label").value = rules.label?.field || "";
    of("by").value = rules.classes?.by || "";
  }

  /** ... and write them. Classes are reckoned by the server. */
  async function write(event) {
    const name = event.target.dataset.of, table = of("table").value;
    if (name === "table") return fill();
    const rules = read() || { tables: {} }, own = rules.tables[table] = rules.tables[table] || {};
    if (["method", "classes", "ramp", "by"].includes(name)) {
      if (!of("by").value) delete own.classes;
      else {
        const answer = await ask("classes", { table, field: of("by").value, method: of("method").value, classes: Number(of("classes").value), ramp: of("ramp").value });
        const told = await answer.json();
        if (answer.ok) own.classes = told.symbols.tables[table].classes; else { problem.textContent = told.errors?.[0]?.detail || told.detail; problem.hidden = false; return; }
        if (!own.classes) delete own.classes;
      }
    } else if (name === "label") { if (of("label").value) own.label = { field: of("label").value }; else delete own.label; }
    else own.symbol = { ...own.symbol, [name]: ["size", "width"].includes(name) ? Number(of(name).value) : of(name).value };
    text.value = JSON.stringify(rules, null, 1);
    soon();
  }

  form.querySelector("[data-simple]").addEventListener("change", (event) => write(event).catch(() => {}));
  text.addEventListener("input", () => { soon(); });
  text.addEventListener("change", fill);
  fill();
  look().catch(() => {});
});
