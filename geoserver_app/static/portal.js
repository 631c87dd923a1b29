// The portal: a file's digest, addresses to copy, and a key that is put into addresses and files here, in the browser, and never sent.
"use strict";

const LARGEST = 2 ** 30;

/** SHA-256 of a chosen file into the form's field; the file itself stays here. */
async function digest(input) {
  const form = input.closest("form"), told = form.querySelector("[data-digest-told]"), file = input.files[0];
  if (!file) return;
  form.elements.file_name.value = file.name.slice(0, 200);
  form.elements.sha256.value = "";
  if (!crypto.subtle) { told.textContent = told.dataset.none; return; }
  if (file.size > LARGEST) { told.textContent = told.dataset.large; return; }
  told.textContent = told.dataset.working;
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  form.elements.sha256.value = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  told.textContent = "";
}

const key = () => document.querySelector("#key")?.value.trim() || "";
const how = () => document.querySelector("[name=how]:checked");

/** An address with the key in its query; braces of templates are left as they are. */
function withKey(address, secret) {
  const open = address.includes("?");
  const glue = !open ? "?" : /[?&]$/.test(address) ? "" : "&";
  return `${address}${glue}key=${encodeURIComponent(secret)}${open && /[?&]$/.test(address) ? "&" : ""}`;
}

function showAddresses() {
  const inAddress = key() && how()?.value === "url";
  for (const code of document.querySelectorAll("[data-address]")) code.textContent = inAddress ? withKey(code.dataset.address, key()) : code.dataset.address;
}

async function copy(button) {
  const code = button.parentElement.querySelector("[data-address]");
  getSelection().selectAllChildren(code);
  try { await navigator.clipboard.writeText(code.textContent); } catch { document.execCommand("copy"); }
  const before = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = before; }, 1500);
}

/** A file of connections with the key in each of them. */
function keyedConnections(text, secret, way) {
  const held = new DOMParser().parseFromString(text, "application/xml");
  for (const one of held.documentElement.children) {
    if (way.value === "url") one.setAttribute("url", withKey(one.getAttribute("url"), secret));
    else if (way.value === "basic") { one.setAttribute("username", way.dataset.user); one.setAttribute("password", secret); }
    else one.setAttribute("http-header:X-API-Key", secret);
  }
  return new XMLSerializer().serializeToString(held);
}

/** A layer definition with the key in the source of each layer. */
function keyedDefinition(text, secret, way) {
  const held = new DOMParser().parseFromString(text, "application/xml");
  const keyed = (source) => {
    const parts = source.split("&").map((part) => (way.value === "url" && part.startsWith("url=")
      ? `url=${encodeURIComponent(withKey(decodeURIComponent(part.slice(4)), secret))}` : part));
    if (way.value === "basic") parts.push(`username=${encodeURIComponent(way.dataset.user)}`, `password=${encodeURIComponent(secret)}`);
    if (way.value === "header") parts.push(`http-header:X-API-Key=${encodeURIComponent(secret)}`);
    return parts.join("&");
  };
  for (const one of held.querySelectorAll("layer-tree-layer")) one.setAttribute("source", keyed(one.getAttribute("source")));
  for (const one of held.querySelectorAll("datasource")) one.textContent = keyed(one.textContent);
  return new XMLSerializer().serializeToString(held);
}

async function keyedFile(link) {
  const secret = key(), answer = await fetch(link.href, { credentials: "same-origin" });
  if (!answer.ok) { location.assign(link.href); return; }
  const make = link.dataset.file === "qlr" ? keyedDefinition : keyedConnections;
  const name = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition"))?.[1] || "geoshare.xml";
  const saved = document.createElement("a");
  saved.href = URL.createObjectURL(new Blob([make(await answer.text(), secret, how())], { type: "application/xml" }));
  saved.download = name;
  saved.click();
  setTimeout(() => URL.revokeObjectURL(saved.href), 10000);
}

document.addEventListener("DOMContentLoaded", () => {
  for (const input of document.querySelectorAll("[data-digest]")) input.addEventListener("change", () => digest(input));
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button));
  document.querySelector("#with-key")?.addEventListener("input", showAddresses);
  for (const link of document.querySelectorAll("[data-file]")) {
    link.addEventListener("click", (event) => { if (key()) { event.preventDefault(); keyedFile(link); } });
  }
});
