// Reads out the OpenAPI document, and sends what is filled in, as whoever is signed in. Nothing from elsewhere; text is always set as text.
"use strict";

const BASE = "/api/v1";
let csrf = "";

function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function lookWho() {
  const answer = await fetch(`${BASE}/session`);
  const who = document.getElementById("who");
  if (!answer.ok) { who.textContent = "未登录 · not signed in"; csrf = ""; return; }
  const session = await answer.json();
  csrf = session.csrf;
  who.textContent = `${session.person.name} (${session.person.login}) · ${session.person.agency} · ${session.person.roles.join(", ")}`;
}

// An example of what a schema allows: enough to begin with.
function example(schema, components, depth = 0) {
  if (!schema || depth > 6) return null;
  if (schema.$ref) return example(components[schema.$ref.split("/").pop()], components, depth + 1);
  if (schema.examples) return schema.examples[0];
  if ("default" in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(schema.anyOf[0], components, depth + 1);
  switch (schema.type) {
    case "object": return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, one]) => [name, example(one, components, depth + 1)]));
    case "array": return [example(schema.items, components, depth + 1)];
    case "integer": case "number": return schema.minimum ?? 0;
    case "boolean": return false;
    case "string": return schema.format === "password" ? "" : (schema.format || "");
    default: return null;
  }
}

function asked(label, name, required, hint) {
  const holder = make("label", `${label}${required ? " *" : ""}${hint ? ` · ${hint}` : ""}`);
  holder.append(make("input", "", required ? { name, required: "" } : { name }));
  return holder;
}

function shown(method, path, operation, components) {
  const box = make("details"), summary = make("summary"), form = make("form");
  summary.append(make("b", method.toUpperCase()), make("code", path), make("span", `${operation.description} · ${operation.summary}`));
  const roles = operation["x-roles"];
  form.append(make("p", roles.length ? `角色 · roles: ${roles.join(", ")}` : "无须登录 · no signing in", { class: "note" }));
  for (const one of operation.parameters) form.append(asked(one.name, `${one.in}:${one.name}`, one.required, one.description));
  const content = operation.requestBody && operation.requestBody.content;
  const mediaType = content && Object.keys(content)[0];
  if (content) {
    const holder = make("label", mediaType), area = make("textarea", "", { name: "body", spellcheck: "false" });
    const start = example(content[mediaType].schema, components);
    area.value = typeof start === "string" || start === null ? "" : JSON.stringify(start, null, 2);
    holder.append(area);
    form.append(holder);
  }
  const result = make("pre", "", { hidden: "" });
  form.append(make("button", "发送 · Send", { type: "submit" }), result);
  form.addEventListener("submit", (event) => { event.preventDefault(); send(method, path, form, mediaType, result); });
  box.append(summary, form);
  return box;
}

async function send(method, path, form, mediaType, result) {
  const query = new URLSearchParams(), headers = {};
  let address = path;
  for (const field of form.querySelectorAll("input")) {
    const [place, name] = field.name.split(/:(.*)/s);
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(field.value));
    else if (field.value) query.append(name, field.value);
  }
  if (method !== "get") headers["X-CSRF-Token"] = csrf;
  if (mediaType) headers["Content-Type"] = mediaType;
  const body = mediaType ? form.elements.body.value : undefined;
  const answer = await fetch(`${BASE}${address}${query.size ? `?${query}` : ""}`, { method: method.toUpperCase(), headers, body });
  const text = await answer.text();
  let told = text;
  try { told = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
  result.hidden = false;
  result.className = answer.ok ? "" : "bad";
  result.textContent = `${answer.status}\n${told}`;
  if (address.startsWith("/session")) lookWho();
}

async function start() {
  const answer = await fetch(`${BASE}/openapi.json`), api = await answer.json(), place = document.getElementById("operations");
  for (const tag of api.tags) {
    place.append(make("h2", tag.name));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags[0] === tag.name) place.append(shown(method, path, operation, api.components.schemas));
      }
    }
  }
  await lookWho();
}

start();
