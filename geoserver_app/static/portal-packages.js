// Packages: an area drawn upon what is granted, and how far the packages are that are being made.
"use strict";

const EVERY = 2000;

function drawing(element) {
  const form = element.closest("form"), held = form.elements.drawn;
  const { map, sources } = makeMap(element, "piece", "chosen");
  const format = new ol.format.GeoJSON({ dataProjection: "EPSG:4326", featureProjection: "EPSG:3857" });
  sources.piece.addFeatures(readFeatures(element.dataset.ground));
  if (held.value) sources.chosen.addFeature(new ol.Feature(format.readGeometry(held.value)));
  fit(map, sources.piece);
  const draw = new ol.interaction.Draw({ source: sources.chosen, type: "Polygon" });
  draw.on("drawstart", () => sources.chosen.clear());
  draw.on("drawend", (event) => { held.value = format.writeGeometry(event.feature.getGeometry(), { decimals: 7 }); });
  map.addInteraction(draw);
  form.querySelector("[data-clear]").addEventListener("click", () => { sources.chosen.clear(); held.value = ""; });
  form.elements.layer.addEventListener("change", (event) => { location.search = new URLSearchParams({ ...Object.fromEntries(new URLSearchParams(location.search)), layer: event.target.value }); });
}

/** Ask how far a package is; when it has changed its state the page is read anew, but not while something is being filled in. */
async function look(article) {
  const answer = await fetch(`/api/v1/packages/${article.dataset.package}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json(), bar = article.querySelector("progress");
  if (bar) { bar.max = told.total || 1; bar.value = told.done; }
  if (told.state !== article.dataset.state && !document.querySelector("form [name=drawn]")?.value && !document.activeElement?.closest("form.form")) location.reload();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll(".map[data-draw]")) drawing(element);
  const open = document.querySelectorAll("[data-state=queued], [data-state=running]");
  if (open.length) setInterval(() => open.forEach((one) => look(one).catch(() => {})), EVERY);
});
