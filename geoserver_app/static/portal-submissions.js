// Handing data in: announced, then sent with its progress; what is being checked is watched.
"use strict";

const EVERY = 2000;
const MOVING = ["queued", "checking", "publishing"];
const FIELDS = ["replaces", "currency_from", "currency_to", "edition", "classification", "crs", "coord_origin", "attribution", "terms", "note"];

const language = () => (document.documentElement.lang.startsWith("zh") ? "zh" : "en");
const faultOf = (answer) => answer.errors?.map((one) => one.detail).join(" ") || answer.detail || answer.title || "";

function announcement(form) {
  const period = form.elements.period.selectedOptions[0].dataset;
  const body = { agreement: period.agreement, dataset: period.dataset, file: form.elements.file.files[0].name };
  if (period.due) body.due = period.due;
  for (const name of FIELDS) if (form.elements[name]?.value) body[name] = form.elements[name].value;
  return body;
}

function send(form, place, csrf, onDone, onFault) {
  const request = new XMLHttpRequest(), bar = form.querySelector("progress");
  request.open("PUT", place);
  request.setRequestHeader("X-CSRF-Token", csrf);
  bar.hidden = false;
  request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; });
  request.addEventListener("load", () => {
    if (request.status === 202) return onDone();
    try { onFault(faultOf(JSON.parse(request.responseText))); } catch { onFault(String(request.status)); }
  });
  request.addEventListener("error", () => onFault("network"));
  request.send(form.elements.file.files[0]);
}

/** What is said of it first, then the bytes as they are. Where these do not come, the announcement is withdrawn: nothing is left half done. */
async function handIn(form) {
  const problem = form.querySelector("[role=alert]"), button = form.querySelector("button[type=submit]"), csrf = form.elements.csrf.value;
  const fail = (text) => { problem.textContent = form.dataset.failed + text; problem.hidden = false; form.querySelector("progress").hidden = true; button.disabled = false; };
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf }, lang = `?lang=${language()}`;
  problem.hidden = button.disabled = true;
  const answer = await fetch(`/api/v1/submissions${lang}`, { method: "POST", headers, body: JSON.stringify(announcement(form)) });
  const told = await answer.json();
  if (!answer.ok) return fail(faultOf(told));
  const withdrawn = (text) => fetch(`/api/v1/submissions/${told.submission}`, { method: "DELETE", headers: { "X-CSRF-Token": csrf } }).finally(() => fail(text));
  send(form, `/submissions/${told.submission}/file${lang}`, csrf, () => location.assign(`/portal/submissions/${told.submission}${lang}`), withdrawn);
}

async function look(one) {
  const answer = await fetch(`/api/v1/submissions/${one.dataset.submission}?lang=${language()}`, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const told = await answer.json();
  if (told.state !== one.dataset.state && !document.activeElement?.closest("form.form")) location.reload();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-send]")) form.addEventListener("submit", (event) => { event.preventDefault(); handIn(form).catch((fault) => console.error(fault)); });
  for (const form of document.querySelectorAll("form[data-ask]")) form.addEventListener("submit", (event) => { if (!confirm(form.dataset.ask)) event.preventDefault(); });
  const moving = [...document.querySelectorAll("[data-submission]")].filter((one) => MOVING.includes(one.dataset.state));
  if (moving.length) setInterval(() => moving.forEach((one) => look(one).catch(() => {})), EVERY);
});
