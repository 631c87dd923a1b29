// A place for a question: a click on the map is a small box around it, a drag with Shift the box itself.
"use strict";

const NEAR = 0.00001;                                    // degrees, about a metre

document.addEventListener("DOMContentLoaded", async () => {
  const target = document.getElementById("place-map"), field = document.getElementById("bounds");
  if (!target || typeof ol === "undefined") return;
  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;
  const { map, sources } = makeMap("place-map", "outline", "place");

  function show() {
    sources.place.clear();
    const box = field.value.split(",").map(Number);
    if (box.length !== 4 || !box.every(Number.isFinite)) return;
    const extent = ol.proj.transformExtent(box, "EPSG:4326", "EPSG:3857");
    sources.place.addFeature(new ol.Feature(ol.geom.Polygon.fromExtent(extent)));
    if (box[2] - box[0] < 0.001) sources.place.addFeature(new ol.Feature(new ol.geom.Point(ol.extent.getCenter(extent))));
  }
  function take(box) { field.value = box.map((value) => value.toFixed(6)).join(","); show(); }

  map.on("singleclick", (event) => { const [x, y] = ol.proj.toLonLat(event.coordinate); take([x - NEAR, y - NEAR, x + NEAR, y + NEAR]); });
  const drag = new ol.interaction.DragBox({ condition: ol.events.condition.shiftKeyOnly });
  drag.on("boxend", () => take(ol.proj.transformExtent(drag.getGeometry().getExtent(), "EPSG:3857", "EPSG:4326")));
  map.getInteractions().getArray().filter((one) => one instanceof ol.interaction.DragZoom).forEach((one) => map.removeInteraction(one));
  map.addInteraction(drag);
  field.addEventListener("change", show);

  const answer = await fetch(target.dataset.divisions);
  if (answer.ok) sources.outline.addFeatures(readFeatures(await answer.json()));
  show();
  if (sources.outline.getFeatures().length) fit(map, sources.outline); else fit(map, sources.place);
});
