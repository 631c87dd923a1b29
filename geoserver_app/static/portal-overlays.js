// Overlays: a file is registered and sent with its progress; registrations under way are watched.
"use strict";

const EVERY = 2000;

function sentence(answer) {
  const first = answer.errors?.[0];
  return first ? first.detail : answer.detail || answer.title || "";
}

/** The registration first, then the bytes as they are. */
async function register(form) {
  const bar = form.querySelector("progress"), problem = form.querySelector("[role=alert]"), file = form.elements.file.files[0];
  const tell = (text) => { problem.textContent = form.dataset.failed + text; problem.hidden = false; bar.hidden = true; form.querySelector("button[type=submit]").disabled = false; };
  problem.hidden = true;
  form.querySelector("button[type=submit]").disabled = true;
  const body = { file: file.name };
  for (const name of ["name", "title_zh", "title_en", "edition", "classification", "crs", "coord_origin", "vintage", "value", "method", "ramp"]) if (form.elements[name].value) body[name] = form.elements[name].value;
  body.classes = Number(form.elements.classes.value);
  const csrf = form.elements.csrf.value, lang = `?lang=${document.documentElement.lang.startsWith("zh") ? "zh" : "en"}`;
  const answer = await fetch(`/api/v1/overlays/uploads${lang}`, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) return tell(sentence(told));
  const request = new XMLHttpRequest();
  request.open("PUT", `/overlays/uploads/${told.upload}/file${lang}`);
  request.setRequestHeader("X-CSRF-Token", csrf);
  bar.hidden = false;
  request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; });
  request.addEventListener("load", () => { if (request.status === 202) location.reload(); else { try { tell(sentence(JSON.parse(request.responseText))); } catch { tell(String(request.status)); } } });
  request.addEventListener("error", () => tell("network"));
  request.send(file);
}

async function look(article) {
  const answer = await fetch(`/api/v1/overlays/uploads/${article.dataset.uploadId}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json(), bar = article.querySelector("progress");
  if (bar) { bar.max = told.total || 1; bar.value = told.done; }
  if (told.state !== article.dataset.state && !document.activeElement?.closest("form.form")) location.reload();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-upload]")) form.addEventListener("submit", (event) => { event.preventDefault(); register(form); });
  for (const form of document.querySelectorAll("form[data-ask]")) form.addEventListener("submit", (event) => { if (!confirm(form.dataset.ask)) event.preventDefault(); });
  const open = document.querySelectorAll("[data-state=queued], [data-state=running]");
  if (open.length) setInterval(() => open.forEach((one) => look(one).catch(() => {})), EVERY);
});
