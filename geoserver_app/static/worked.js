// What the pages of worked overlays share: language, who asks, the map with its base, layers as tiles, and live layers that move.

const WORDS = {
  zh: {
    skip: "跳到地图", synthetic: "样例数据 · SYNTHETIC", viewer: "全部图层", who: "以哪个部门的身份查看？", shown: "显示", answer: "查询", lang: "English",
    "page-police": "公安", "page-transport": "交通", "page-water": "水利", live: "实时连接", waiting: "正在连接…", ended: "连接已结束", credit: "来源：",
    refused: "此单位不能查询：{why}", plain: "{why}", unreachable: "服务暂时没有应答，请稍后再试。", foot: "底图与叠加各按各的协议裁切、遮蔽、过滤；每次访问都有记录。", nothing: "此单位看不到本页的任何叠加图层。",
    metres: "{n} 米", kilometres: "{n} 公里", legend: "图例",
  },
  en: {
    skip: "Skip to the map", synthetic: "SYNTHETIC · 样例数据", viewer: "All layers", who: "See it as which department?", shown: "Shown", answer: "Ask", lang: "中文",
    "page-police": "Police", "page-transport": "Transport", "page-water": "Water", live: "live", waiting: "connecting…", ended: "the stream has ended", credit: "Source: ",
    refused: "This agency may not ask: {why}", plain: "{why}", unreachable: "The service does not answer right now: try again in a moment.", foot: "Base map and overlays are each cut, masked and filtered by their own agreement. Every access is recorded.", nothing: "This agency sees none of the overlays of this page.",
    metres: "{n} m", kilometres: "{n} km", legend: "Legend",
  },
};
const TILES = "WebMercatorQuad";
const DUTIES = { zh: "zh-CN", en: "en" };

export const byId = (id) => document.getElementById(id);
const fromHash = new URLSearchParams(location.hash.slice(1));

/** An element with properties and children; texts become text nodes, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
  return element;
}

export class Page {
  /** `words` zh and en; `agencies` ids in the order in which they are offered; `opened(page)` is called whenever another agency looks. */
  constructor({ words, agencies, opened, spoken = () => {}, clicked = () => {}, centre = [118.9, 32.1], zoom = 11.6 }) {
    Object.assign(this, { words, wanted: agencies, opened, spoken, clicked, key: null, agency: null, agencies: [], layers: [], drawn: [], streams: [], message: null });
    this.language = fromHash.get("lang") || remembered("language") || "zh";
    this.map = new ol.Map({
      target: "map", layers: [],
      controls: ol.control.defaults.defaults({ attribution: false, rotate: false }).extend([new ol.control.ScaleLine({ minWidth: 90 })]),
      interactions: ol.interaction.defaults.defaults({ onFocusOnly: false, altShiftDragRotate: false, pinchRotate: false }),
      view: new ol.View({ center: ol.proj.fromLonLat(centre), zoom, minZoom: 8, maxZoom: 19, enableRotation: false }),
    });
    this.map.on("singleclick", (event) => this.clicked(ol.proj.toLonLat(event.coordinate), event));
    byId("map").addEventListener("keydown", (event) => { if (event.key === "Enter") this.clicked(ol.proj.toLonLat(this.map.getView().getCenter()), null); });
    byId("language").addEventListener("click", () => { this.language = this.language === "zh" ? "en" : "zh"; remember("language", this.language); this.speak(); });
    this.speak();
    this.listAgencies();
  }

  say(name, detail = {}) {
    const text = this.words[this.language][name] ?? WORDS[this.language][name] ?? name;
    return text.replace(/\{(\w+)\}/g, (_, one) => detail[one] ?? "");
  }

  speak() {
    document.documentElement.lang = DUTIES[this.language];
    document.title = `${this.say("title")} · ${this.say("synthetic")}`;
    for (const part of document.querySelectorAll("[data-say]")) part.textContent = this.say(part.dataset.say);
    byId("language").textContent = this.say("lang");
    this.showAgencies();
    this.tell(this.message, this.detail);
    this.spoken(this);
  }

  tell(message, detail = {}) {
    Object.assign(this, { message, detail });
    byId("message").hidden = !message;
    byId("message").textContent = message ? this.say(message, detail) : "";
  }

  /** The sentence of a refusal, in the reader's language. */
  async why(answer) {
    try { const content = await answer.json(); return content.reasons?.[0]?.sentence || content.detail || String(answer.status); } catch { return String(answer.status); }
  }

  // -- who asks

  async listAgencies() {
    try {
      const known = (await (await fetch("/api/v1/demo")).json()).agencies;
      this.agencies = this.wanted.map((id) => known.find((one) => one.id === id)).filter(Boolean);
    } catch { this.tell("unreachable"); return; }
    this.choose(this.agencies.find((one) => one.id === fromHash.get("agency")) || this.agencies[0]);
  }

  showAgencies() {
    byId("agencies").replaceChildren(...this.agencies.map((one) => {
      const [name, aside] = this.language === "zh" ? [one.name_zh, one.name_en] : [one.name_en, one.name_zh];
      const button = make("button", { type: "button", className: "agency" }, make("b", {}, short(name)), make("small", {}, short(aside)));
      button.setAttribute("aria-checked", String(one === this.agency));
      button.setAttribute("aria-pressed", String(one === this.agency));
      button.addEventListener("click", () => this.choose(one));
      return button;
    }));
    byId("sees").textContent = this.agency ? this.say(`sees-${this.agency.id}`) : "";
  }

  async choose(agency) {
    if (!agency) return;
    this.agency = agency;
    this.key = agency.key;
    this.streams.splice(0).forEach((stream) => stream.close());
    this.drawn.splice(0).forEach((layer) => this.map.removeLayer(layer));
    byId("switches").replaceChildren();
    byId("answer").replaceChildren();
    byId("state").replaceChildren();
    this.tell(null);
    this.showAgencies();
    try {
      this.layers = (await (await fetch(`/api/v1/layers?${new URLSearchParams({ key: this.key })}`, { credentials: "omit" })).json()).layers;
    } catch { this.tell("unreachable"); return; }
    if (this.agency !== agency) return;
    this.base();
    this.opened(this);
    this.whole();
    byId("credit").textContent = this.say("credit") + [...new Set(this.shownLayers.map((one) => this.inLanguage(one.credit)).filter(Boolean))].join("; ");
  }

  inLanguage(texts) { return typeof texts === "string" ? texts : texts?.[this.language] || texts?.zh || ""; }

  // -- maps

  layer(name) { return this.layers.find((one) => one.name === name); }

  /** The line map in grey where it is granted, else the photo: what is laid over it is to be seen. */
  base() {
    this.shownLayers = [];
    const lines = this.layer("dlg"), styles = ["grey", "grey-unlabelled", "default", "unlabelled"];
    const style = lines && styles.find((name) => lines.styles.some((one) => one.name === name));
    if (style) this.tiles("dlg", { style, opacity: 0.85 });
    else if (this.layer("dom")) this.tiles("dom", { opacity: 0.7 });
  }

  /** All that is shown, the first time that anything is. */
  whole() {
    const boxes = this.shownLayers.map((one) => ol.proj.transformExtent(one.bounds, "EPSG:4326", "EPSG:3857"));
    if (this.isPlaced || !boxes.length) return;
    this.isPlaced = true;
    this.map.getView().fit(boxes.slice(0, 2).reduce((a, b) => ol.extent.extend(a.slice(), b)), { padding: [30, 70, 50, 30] });
  }

  /** A layer as tiles of pictures; null where it is not granted. */
  tiles(name, { style = null, opacity = 1, visible = true } = {}) {
    const layer = this.layer(name), template = layer?.addresses.tiles?.[TILES];
    if (!template) return null;
    this.shownLayers.push(layer);
    const set = layer.tile_matrix_sets.find((one) => one.id === TILES);
    const address = here(template), url = style ? `${address}${address.includes("?") ? "&" : "?"}style=${style}` : address;
    const drawn = new ol.layer.Tile({ opacity, visible, minZoom: Math.max(0, set.min_zoom - 0.5), source: new ol.source.XYZ({ url, minZoom: set.min_zoom, maxZoom: set.max_zoom, transition: 150 }) });
    return this.put(drawn);
  }

  /** A layer of things of this page. */
  things(style, zIndex = 5) { return this.put(new ol.layer.Vector({ source: new ol.source.Vector(), style, zIndex })); }

  put(drawn) {
    this.map.addLayer(drawn);
    this.drawn.push(drawn);
    return drawn;
  }

  /** A line of the list of what is shown, which shows and hides it. */
  toggle(label, drawn, { legend = null, count = null } = {}) {
    const box = make("input", { type: "checkbox", checked: drawn.getVisible() });
    const row = make("label", {}, box, make("span", {}, label), count);
    const address = legend && this.layer(legend)?.addresses.legend;
    const picture = address && make("img", { alt: `${this.say("legend")}: ${label}`, hidden: !box.checked, src: `${here(Object.values(address)[0])}&lang=${this.language}` });
    box.addEventListener("change", () => { drawn.setVisible(box.checked); if (picture) picture.hidden = !box.checked; });
    byId("switches").append(row, ...(picture ? [picture] : []));
  }

  // -- questions

  /** GeoJSON, or null with the reason told. */
  async ask(path, query) {
    const agency = this.agency;
    let answer;
    try { answer = await fetch(`${path}?${new URLSearchParams({ ...query, key: this.key, lang: this.language })}`, { credentials: "omit" }); } catch { this.tell("unreachable"); return null; }
    if (agency !== this.agency) return null;
    if (!answer.ok) { this.tell([401, 403].includes(answer.status) ? "refused" : "plain", { why: await this.why(answer) }); return null; }
    this.tell(null);
    return answer.json();
  }

  /** A picture of ground, laid where it belongs; an address of it that lasts as long as the page, or null with the reason told. */
  async picture(path, query) {
    const agency = this.agency;
    let answer;
    try { answer = await fetch(`${path}?${new URLSearchParams({ ...query, key: this.key, lang: this.language })}`, { credentials: "omit" }); } catch { this.tell("unreachable"); return null; }
    if (agency !== this.agency) return null;
    if (!answer.ok) { this.tell([401, 403].includes(answer.status) ? "refused" : "plain", { why: await this.why(answer) }); return null; }
    return URL.createObjectURL(await answer.blob());
  }

  distance(metres) { return metres < 1000 ? this.say("metres", { n: Math.round(metres) }) : this.say("kilometres", { n: (metres / 1000).toFixed(2) }); }

  // -- what moves

  /** Follows a live layer: its things are in `source` by their ids, and glide from one place to the next. `changed` is called after each event. */
  follow(name, source, { every = 1, changed = () => {} } = {}) {
    const stream = new EventSource(`/live/${name}/events?${new URLSearchParams({ every, key: this.key })}`);
    const light = make("span", { className: "pulse" }), words = make("span", {}, this.say("waiting"));
    byId("state").replaceChildren(light, words);
    const format = new ol.format.GeoJSON({ featureProjection: "EPSG:3857" });
    const glide = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : every * 2000;
    stream.addEventListener("reset", () => source.clear());
    stream.addEventListener("changed", (event) => {
      const data = JSON.parse(event.data);
      for (const id of data.gone || []) { const one = source.getFeatureById(id); if (one) source.removeFeature(one); }
      for (const one of format.readFeatures({ type: "FeatureCollection", features: data.features })) {
        const known = source.getFeatureById(one.getId());
        if (!known) { source.addFeature(one); continue; }
        const to = one.getGeometry().getCoordinates();
        one.unset("geometry", true);
        known.setProperties(one.getProperties());
        slide(known, to, glide);
      }
      light.classList.add("is-live");
      words.textContent = `${this.say("live")} · ${new Date().toLocaleTimeString(DUTIES[this.language])}`;
      changed(source);
    });
    stream.addEventListener("end", () => { light.classList.remove("is-live"); words.textContent = this.say("ended"); source.clear(); stream.close(); });
    stream.addEventListener("error", () => { light.classList.remove("is-live"); words.textContent = this.say("waiting"); });
    this.streams.push(stream);
  }
}

function slide(feature, to, milliseconds) {
  const from = feature.getGeometry().getCoordinates(), start = performance.now(), turn = (feature.turn = (feature.turn || 0) + 1);
  const step = (now) => {
    if (feature.turn !== turn) return;
    const share = milliseconds ? Math.min((now - start) / milliseconds, 1) : 1;
    feature.getGeometry().setCoordinates([from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share]);
    if (share < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function here(address) { return address.replace(/^https?:\/\/[^/]+/, ""); }
function short(name) { return name.replace(/[（(].*?[）)]/g, "").trim(); }
function remembered(name) { try { return localStorage.getItem(`geoshare.${name}`); } catch { return null; } }
function remember(name, value) { try { localStorage.setItem(`geoshare.${name}`, value); } catch { /* a browser that keeps nothing still shows maps */ } }
