// Jobs on their way: bars go on by themselves while somebody is there to look; the page is read again when a job has ended.
"use strict";

const EVERY = 3000;                      // milliseconds
const ATTENDED = 10 * 60 * 1000;         // without a touch for so long nobody is there, and the session may end as it would

let touched = Date.now();
for (const sign of ["pointermove", "keydown", "scroll"]) addEventListener(sign, () => { touched = Date.now(); }, { passive: true });

function show(row, job) {
  const bar = row.querySelector("progress");
  if (bar) { bar.max = Math.max(job.total, 1); bar.value = job.done; }
  const figures = row.querySelector(".figures");
  if (figures) figures.textContent = `${job.done.toLocaleString("en")} / ${job.total.toLocaleString("en")}`;
}

async function look() {
  if (!document.hidden && Date.now() - touched < ATTENDED) {
    try {
      const answer = await fetch("/api/v1/data/jobs", { credentials: "same-origin", headers: { Accept: "application/json" } });
      if (!answer.ok) return;            // signed out, or not allowed any more
      const jobs = new Map((await answer.json()).items.map((job) => [String(job.job), job]));
      for (const row of document.querySelectorAll('[data-job][data-state="running"]')) {
        const job = jobs.get(row.dataset.job);
        if (!job || job.state !== "running") return location.reload();
        show(row, job);
      }
    } catch { /* the server may be away for a moment */ }
  }
  setTimeout(look, EVERY);
}

document.addEventListener("DOMContentLoaded", () => setTimeout(look, EVERY));
