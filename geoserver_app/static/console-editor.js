// The editor of documents: checked as it is written; ground is chosen on a map and written into the text as its words.
"use strict";

const WAIT = 700;                                        // milliseconds without a key, before the text is checked

const byId = (id) => document.getElementById(id);

document.addEventListener("DOMContentLoaded", () => { if (byId("editor")) startEditor(byId("editor")); });

function startEditor(form) {
  const words = JSON.parse(form.dataset.words), text = byId("text"), csrf = form.elements.csrf.value;
  let waiting = 0, asked = 0;
  const faulty = new Set();

  const ask = (address, type, body) => fetch(`${address}?lang=${form.dataset.language}`, { method: "POST", headers: { "Content-Type": type, "X-CSRF-Token": csrf }, body });

  // -- lines and faults

  function showLines() {
    const count = text.value.split("\n").length;
    byId("lines").replaceChildren(...Array.from({ length: count }, (_, at) => {
      const line = document.createElement("span");
      line.textContent = at + 1;
      line.className = faulty.has(at + 1) ? "faulty" : "";
      return line;
    }));
    byId("lines").scrollTop = text.scrollTop;
  }

  function goTo(line) {
    const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const end = text.value.indexOf("\n", before);
    text.focus();
    text.setSelectionRange(before, end < 0 ? text.value.length : end);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
  }

  async function check() {
    const turn = ++asked;
    byId("verdict").textContent = words.checking;
    let answer, told;
    try {
      answer = await ask(form.dataset.check, "application/yaml", text.value);
      told = await answer.json();
    } catch {
      answer = null;
    }
    if (turn !== asked) return;
    faulty.clear();
    if (!answer || (answer.status !== 200 && !(told.errors && told.errors.length))) {
      byId("verdict").textContent = (told && told.detail) || words.unreachable;
    } else if (answer.status === 200) {
      byId("verdict").textContent = `✓ ${words.fine}`;
      byId("verdict").className = "small good-text";
      byId("faults").replaceChildren(item(`✓ ${words.fine}`), ...(told.missing_layers.length ? [item(words.missing + told.missing_layers.join(", "))] : []));
    } else {
      byId("verdict").textContent = `${told.errors.length} ${words.faults}`;
      byId("verdict").className = "small bad-text";
      told.errors.forEach((fault) => { if (fault.line) faulty.add(fault.line); });
      byId("faults").replaceChildren(...told.errors.map(faultItem));
    }
    showLines();
  }

  function item(sentence) { const one = document.createElement("li"); one.textContent = sentence; return one; }

  function faultItem(fault) {
    const one = document.createElement("li");
    if (fault.line) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "line", textContent: words.line.replace("{}", fault.line) });
      button.dataset.line = fault.line;
      one.append(button, " ");
    }
    const place = (fault.pointer || "").replace(/^#?\/?/, "");
    if (place) one.append(Object.assign(document.createElement("b"), { className: "mono", textContent: place }), " ");
    one.append(fault.detail);
    return one;
  }

  byId("faults").addEventListener("click", (event) => { if (event.target.dataset.line) goTo(Number(event.target.dataset.line)); });
  text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(check, WAIT); showLines(); showTargets(); });
  text.addEventListener("scroll", () => { byId("lines").scrollTop = text.scrollTop; });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape") text.dataset.leaving = "yes";              // Escape, then Tab, leaves the text
    else if (event.key === "Tab" && !event.shiftKey && text.dataset.leaving !== "yes") { event.preventDefault(); put("  "); }
    else if (event.key !== "Tab") delete text.dataset.leaving;
  });

  /** Write at the cursor, so that it can be undone. */
  function put(said) {
    if (!document.execCommand("insertText", false, said)) text.setRangeText(said, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
  }

  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;
  const ground = typeof ol === "undefined" ? null : startMap(form, words, ask);
  if (!ground) document.querySelector(".needs-script").hidden = true;

  // -- the words of an area go into the text

  function showTargets() {
    const chosen = byId("target").value;
    const clauses = [...text.value.matchAll(/^[ \t]*(?:-[ \t]*)?\{?["']?clause["']?[ \t]*:[ \t]*["']?([^"'\s,}#]+)/gm)].map((found) => found[1]);
    byId("target").replaceChildren(...[...new Set(clauses)].map((clause) => new Option(words.clause.replace("{}", clause), clause)), new Option(words.cursor, ""));
    if (chosen && clauses.includes(chosen)) byId("target").value = chosen;
  }

  byId("insert").addEventListener("click", () => {
    const area = ground && ground.area();
    if (!area) { byId("area-told").textContent = words.nothing; return; }
    const clause = byId("target").value, line = `area: ${JSON.stringify(area)}`;
    text.focus();
    if (clause) {
      const place = placeOfArea(text.value, clause);
      text.setSelectionRange(place.start, place.end);
      put(place.before + line + place.after);
    } else {
      put(line);
    }
    byId("area-told").textContent = words.inserted;
  });

  showLines();
  showTargets();
  if (text.value.trim()) check();
}

/** Where in a document the area of a clause stands, or would stand: what to select, and what to write around it. */
function placeOfArea(document_, clause) {
  const lines = document_.split("\n");
  const starts = [];
  lines.reduce((at, line) => { starts.push(at); return at + line.length + 1; }, 0);
  const escaped = clause.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const isClause = new RegExp(`^(\\s*)(-\\s*)?["']?clause["']?\\s*:\\s*["']?${escaped}["']?\\s*(#.*)?$`);
  const first = lines.findIndex((line) => isClause.test(line));
  if (first < 0) return { start: document_.length, end: document_.length, before: "\n", after: "\n" };
  const [, spaces, dash] = lines[first].match(isClause);
  const indent = spaces.length + (dash || "").length;
  const indentOf = (line) => line.match(/^\s*/)[0].length;
  let from = first, last = first + 1;
  if (!dash) while (from > 0 && !/^\s*-\s/.test(lines[from])) from -= 1;               // the clause need not come first in its grant
  while (last < lines.length && (!lines[last].trim() || indentOf(lines[last]) >= indent) && !/^\s*#/.test(lines[last].slice(0, indent))) last += 1;
  for (let at = from; at < last; at += 1) {
    const found = lines[at].match(/^(\s*(?:-\s*)?)area\s*:/);
    if (!found || found[1].length !== indent) continue;
    let end = at + 1;
    while (end < last && (!lines[end].trim() ? false : indentOf(lines[end]) > indent || /^\s*[\]}]/.test(lines[end]))) end += 1;
    return { start: starts[at] + found[1].length, end: starts[end - 1] + lines[end - 1].length, before: "", after: "" };
  }
  return { start: starts[first] + lines[first].length, end: starts[first] + lines[first].length, before: `\n${" ".repeat(indent)}`, after: "" };
}

/** The map on which ground is chosen; null where it can't be shown. */
function startMap(form, words, ask) {
  const level = byId("level");
  if (!level) return null;
  const { map, sources } = makeMap("area-map", "outline", "area", "chosen");
  const divisions = new Map(), sheets = new Map();
  let within = "", told = 0;

  // -- divisions

  async function showLevel() {
    const query = new URLSearchParams({ level: level.value, within });
    const answer = await fetch(`${form.dataset.divisions}?${query}`);
    if (!answer.ok) return;
    const found = await answer.json();
    byId("area-told").textContent = found.matched && !found.features.length ? words.many : "";
    sources.outline.clear();
    sources.outline.addFeatures(readFeatures(found));
    if (found.features.length) fit(map, sources.outline);
  }

  function toggle(code, name, feature) {
    if (divisions.delete(code)) sources.chosen.removeFeature(sources.chosen.getFeatureById(code));
    else {
      divisions.set(code, name);
      if (feature) { const copy = feature.clone(); copy.setId(code); sources.chosen.addFeature(copy); }
      within = code.replace(/(00)+$/, "");
    }
    showChosen();
  }

  map.on("singleclick", (event) => {
    if (drawing) return;
    const feature = map.forEachFeatureAtPixel(event.pixel, (one) => one, { layerFilter: (layer) => layer.getSource() === sources.outline });
    if (feature) toggle(feature.getId(), feature.get("name"), feature);
  });
  level.addEventListener("change", showLevel);

  byId("find").addEventListener("input", async () => {
    const said = byId("find").value.trim(), code = said.split(" ").pop();
    if (!said) return;
    const answer = await fetch(`${form.dataset.find}?${new URLSearchParams({ text: /^\d+$/.test(code) && said !== code ? code : said, limit: 12 })}`);
    if (!answer.ok) return;
    const { items } = await answer.json();
    const meant = items.find((one) => `${one.name} ${one.code}` === said);
    if (meant) {
      byId("find").value = "";
      const one = await (await fetch(`${form.dataset.find}/${encodeURIComponent(meant.code)}`)).json();
      const [feature] = readFeatures({ type: "Feature", id: meant.code, properties: { name: meant.name }, geometry: one.geometry });
      if (!divisions.has(meant.code)) toggle(meant.code, meant.name, feature);
      fit(map, sources.chosen);
    } else byId("found").replaceChildren(...items.map((one) => new Option("", `${one.name} ${one.code}`)));
  });

  // -- sheets and polygons

  byId("add-sheet").addEventListener("click", () => {
    const number = byId("sheet").value.trim();
    if (number) { sheets.set(number, number); byId("sheet").value = ""; showChosen(); }
  });
  byId("sheet").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); byId("add-sheet").click(); } });

  let drawing = null;
  const drawn = [];
  byId("draw").addEventListener("click", () => {
    if (drawing) { stopDrawing(); return; }
    drawing = new ol.interaction.Draw({ source: sources.area, type: "Polygon" });
    drawing.on("drawend", (event) => { drawn.push(event.feature); setTimeout(() => { stopDrawing(); showChosen(); }, 0); });
    map.addInteraction(drawing);
    byId("draw").setAttribute("aria-pressed", "true");
  });
  function stopDrawing() { map.removeInteraction(drawing); drawing = null; byId("draw").setAttribute("aria-pressed", "false"); }

  byId("clear").addEventListener("click", () => { divisions.clear(); sheets.clear(); drawn.length = 0; sources.chosen.clear(); sources.area.clear(); showChosen(); });

  // -- what is chosen, and how much it is

  function area() {
    const said = {};
    if (divisions.size) said.divisions = [...divisions.keys()];
    if (sheets.size) said.sheets = [...sheets.keys()];
    if (drawn.length) {
      const rings = drawn.map((one) => one.getGeometry().clone().transform("EPSG:3857", "EPSG:4326").getCoordinates().map((ring) => ring.map(([x, y]) => [Number(x.toFixed(6)), Number(y.toFixed(6))])));
      said.geojson = rings.length === 1 ? { type: "Polygon", coordinates: rings[0] } : { type: "MultiPolygon", coordinates: rings };
    }
    return Object.keys(said).length ? said : null;
  }

  function chip(name, remove) {
    const one = document.createElement("li"), button = Object.assign(document.createElement("button"), { type: "button", className: "line", textContent: "×" });
    button.setAttribute("aria-label", `${words.remove} ${name}`);
    button.addEventListener("click", remove);
    one.append(name, " ", button);
    return one;
  }

  async function showChosen() {
    byId("chosen").replaceChildren(
      ...[...divisions].map(([code, name]) => chip(`${name} ${code}`, () => toggle(code, name))),
      ...[...sheets.keys()].map((number) => chip(`${words.sheet} ${number}`, () => { sheets.delete(number); showChosen(); })),
      ...drawn.map((one) => chip(words.drawn, () => { drawn.splice(drawn.indexOf(one), 1); sources.area.removeFeature(one); showChosen(); })),
    );
    const turn = ++told, said = area();
    if (!said) { byId("area-told").textContent = ""; return; }
    const answer = await ask(form.dataset.areas, "application/json", JSON.stringify({ area: said }));
    const found = await answer.json();
    if (turn !== told) return;
    if (!answer.ok) { byId("area-told").textContent = (found.errors || []).map((one) => one.detail).join("; ") || found.detail; return; }
    byId("area-told").textContent = `${words.chosen}: ${found.title} · ${found.km2.toLocaleString(undefined, { maximumFractionDigits: 2 })} km²`;
    if (sheets.size) {
      sources.area.getFeatures().filter((one) => !drawn.includes(one)).forEach((one) => sources.area.removeFeature(one));
      sources.area.addFeatures(readFeatures({ type: "Feature", properties: {}, geometry: found.geometry }));
      fit(map, sources.area);
    }
  }

  showLevel();
  return { area };
}
