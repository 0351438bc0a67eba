"""How the page looks and moves. It loads nothing: system fonts, inline style, one small script."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fcfcfb; --card: #ffffff; --ink: #1b1f24; --soft: #59616b;
  --line: #e3e5e8; --grid: #eceef0; --code: #f4f5f6;
  --accent: #0a5fa8; --good: #0b6b3a; --good-paper: #e3f4ea; --bad: #a1260d; --bad-paper: #fdeae5;
  --wait: #7a5200; --wait-paper: #fcf1d9;
  --c0: #3d444d; --c1: #0072b2; --c2: #d55e00; --c3: #00856a; --c4: #a8508a; --c5: #8a6d00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #101317; --card: #171b21; --ink: #e8eaed; --soft: #a3abb5;
    --line: #2a3038; --grid: #252b33; --code: #1f252c;
    --accent: #6cb6f5; --good: #7fd6a4; --good-paper: #14301f; --bad: #ff9c86; --bad-paper: #3a1a13;
    --wait: #f0c674; --wait-paper: #33280f;
    --c0: #c3cad2; --c1: #56b4e9; --c2: #f2955a; --c3: #3fc9a4; --c4: #d992c2; --c5: #e0c04d;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
main, header, footer { max-width: 1280px; margin: 0 auto; padding: 0 clamp(16px, 3vw, 40px); }
header { padding-top: clamp(24px, 4vw, 52px); }
.over { margin: 0; color: var(--soft); font-size: .8rem; letter-spacing: .09em; text-transform: uppercase; }
h1 { margin: .15em 0 .2em; font-size: clamp(1.7rem, 1.2rem + 2.2vw, 2.8rem); line-height: 1.12; letter-spacing: -.02em; }
h2 { margin: 0 0 .7rem; font-size: 1.35rem; letter-spacing: -.01em; }
h3 { margin: 2rem 0 .7rem; font-size: .8rem; color: var(--soft); letter-spacing: .09em; text-transform: uppercase; }
h4 { margin: 0; font-size: 1rem; }
.lede { display: flex; flex-wrap: wrap; gap: .5rem .8rem; align-items: center; margin: 0 0 1.2rem; color: var(--soft); }
.lede b { color: var(--ink); font-weight: 600; }
.status { padding: .1rem .7rem; border-radius: 99px; font-size: .88rem; font-weight: 600; }
.done { color: var(--good); background: var(--good-paper); }
.diverged { color: var(--bad); background: var(--bad-paper); }
.unfinished { color: var(--wait); background: var(--wait-paper); }
nav { margin: 0 0 1.4rem; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .93rem; }
a { color: var(--accent); text-underline-offset: .2em; text-decoration-thickness: 1px; }
section { margin: 0 0 clamp(36px, 5vw, 64px); scroll-margin-top: 16px; }
.notice { margin: 0 0 1rem; padding: .8rem 1.1rem; border-radius: 10px; border-left: 4px solid currentColor; }
.notice p, .notice ul { margin: 0; color: var(--ink); }
.notice ul { padding-left: 1.1rem; }
.notice strong { color: inherit; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 1px; margin: 0 0 1.8rem; overflow: hidden;
  border: 1px solid var(--line); border-radius: 12px; background: var(--line);
}
.facts div { padding: .75rem .95rem; background: var(--card); }
.facts dt { color: var(--soft); font-size: .8rem; }
.facts dd { margin: 0; font-size: 1.16rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
.facts small { display: block; color: var(--soft); font-size: .78rem; font-weight: 400; }
.hero { display: grid; grid-template-columns: minmax(0, 1fr); gap: clamp(20px, 3vw, 40px); align-items: start; }
@media (min-width: 900px) { .hero { grid-template-columns: minmax(0, 7fr) minmax(0, 6fr); } }
.card, .chart {
  margin: 0; padding: clamp(14px, 1.6vw, 20px); border: 1px solid var(--line); border-radius: 12px; background: var(--card);
}
.frames { display: grid; border-radius: 8px; overflow: hidden; background: var(--code); }
.frames img { grid-area: 1 / 1; width: 100%; height: auto; display: block; }
.frames.pixels img { image-rendering: pixelated; }
.frames img[hidden] { display: none; }
.slider { display: flex; align-items: center; gap: .7rem; margin-top: .9rem; }
.slider input { flex: 1; min-width: 0; height: 28px; margin: 0; accent-color: var(--accent); }
.slider output { min-width: 7.2em; text-align: right; font-size: .9rem; font-variant-numeric: tabular-nums; color: var(--soft); }
button {
  font: inherit; font-size: .88rem; padding: .22rem .8rem; color: var(--ink); background: var(--code);
  border: 1px solid var(--line); border-radius: 7px; cursor: pointer;
}
button:hover { border-color: var(--soft); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
figcaption, .hint { color: var(--soft); font-size: .88rem; }
.hint { margin: .6rem 0 0; }
.animation { margin: 1.4rem 0 0; }
.animation img { display: block; width: 100%; max-width: 480px; height: auto; margin: 0 auto .5rem; border-radius: 8px; }
.command {
  display: flex; align-items: flex-start; gap: .6rem; margin: .35rem 0 1rem; padding: .55rem .6rem .55rem .9rem;
  border-radius: 8px; background: var(--code);
}
.command code { flex: 1; min-width: 0; padding: .12rem 0; }
code, pre { font: .86rem/1.55 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
pre { margin: .8rem 0 0; padding: .9rem 1rem; border-radius: 8px; background: var(--code); white-space: pre-wrap;
  max-height: 23rem; overflow: auto; }
details > summary { cursor: pointer; color: var(--accent); }
.label { margin: 0; color: var(--soft); font-size: .88rem; }
.keys { margin: 0 0 1rem; font-size: .92rem; }
.keys div { display: flex; flex-wrap: wrap; gap: 0 .8rem; padding: .3rem 0; border-bottom: 1px solid var(--line); }
.keys dt { flex: 0 0 8.5em; color: var(--soft); }
.keys dd { flex: 1 1 11em; margin: 0; min-width: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 390px), 1fr)); gap: 18px; }
.chart { display: flex; flex-direction: column; min-width: 0; }
.chart figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .7rem; margin-bottom: .7rem; }
.chart h4 { color: var(--ink); }
.chart .scale { font-size: .78rem; }
.chart .at { margin-left: auto; font-variant-numeric: tabular-nums; }
.plot { position: relative; height: 232px; padding: 6px 14px 24px 50px; touch-action: pan-y; }
.area { position: relative; height: 100%; border-bottom: 1px solid var(--soft); }
.area svg { display: block; width: 100%; height: 100%; overflow: hidden; }
.plot svg * { vector-effect: non-scaling-stroke; }
.plot svg :not(.band) { fill: none; }
.plot svg .band { opacity: .17; }
.plot path { stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.plot .raw { stroke-width: 1; opacity: .34; }
.grid { stroke: var(--grid); stroke-width: 1; }
.reference { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 4; }
.broken { stroke: var(--bad); stroke-width: 1; stroke-dasharray: 3 3; opacity: .75; }
.end { stroke: var(--bad); stroke-width: 2; }
.cursor {
  position: absolute; top: 0; bottom: 0; width: 1px; background: var(--ink); opacity: .55; display: none; pointer-events: none;
}
.ys, .xs { position: absolute; color: var(--soft); font-size: .75rem; font-variant-numeric: tabular-nums; line-height: 1; }
.ys { left: 0; width: 43px; top: 6px; bottom: 25px; }
.ys span { position: absolute; right: 0; transform: translateY(50%); white-space: nowrap; }
.xs { left: 50px; right: 14px; bottom: 0; height: 17px; }
.xs span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin: .7rem 0 0; padding: 0; list-style: none; font-size: .88rem; }
.legend output { font-variant-numeric: tabular-nums; font-weight: 600; }
.swatch { display: inline-block; width: 14px; height: 3px; margin-right: .4rem; vertical-align: .28em; border-radius: 2px; }
.swatch.dashed { height: 0; border-top: 2px dotted var(--soft); }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); stroke-dasharray: 6 4; } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.b0 { fill: var(--c0); } .b1 { fill: var(--c1); } .b2 { fill: var(--c2); }
.b3 { fill: var(--c3); } .b4 { fill: var(--c4); } .b5 { fill: var(--c5); }
.c3.raw { stroke-dasharray: none; }
.s0 { background: var(--c0); } .s1 { background: var(--c1); } .s2 { background: var(--c2); }
.s3 { background: linear-gradient(90deg, var(--c3) 40%, transparent 40% 60%, var(--c3) 60%); }
.s4 { background: var(--c4); } .s5 { background: var(--c5); }
.meaning { margin: .5rem 0 0; color: var(--soft); font-size: .86rem; line-height: 1.5; }
.note { margin: .5rem 0 0; color: var(--bad); font-size: .86rem; }
.values + .values { margin-top: 18px; }
.wide { overflow-x: auto; margin: .7rem 0 0; }
.values table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
.values th { text-align: left; color: var(--soft); font-size: .8rem; font-weight: 400; }
.values th, .values td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); overflow-wrap: normal; }
.values td:first-child { min-width: 11em; }
.values .axis td:first-child { min-width: 0; }
.values td:not(:first-child) { white-space: nowrap; }
.values ul { margin: .7rem 0 0; padding: 0; list-style: none; color: var(--soft); font-size: .86rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 18px; align-items: start; }
.pair ul { margin: 0; padding-left: 1.1rem; }
.is-diverged { color: var(--bad); } .is-unfinished { color: var(--wait); }
.session + .session { margin-top: 1.4rem; }
footer { padding-bottom: 40px; color: var(--soft); font-size: .85rem; }
@media print { .slider, nav, button { display: none; } .chart, .card { break-inside: avoid; } }
"""

SCRIPT = """
"use strict";
const plots = [...document.querySelectorAll(".plot")].map(plot => ({
  plot, right: Number(plot.dataset.right), rows: JSON.parse(plot.dataset.rows), area: plot.querySelector(".area"),
  cursor: plot.querySelector(".cursor"), at: plot.closest("figure").querySelector(".at"),
  outputs: [...plot.closest("figure").querySelectorAll(".legend output")],
}));
const nearest = (rows, update) => {
  let low = 0, high = rows.length - 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (rows[middle][0] < update) low = middle; else high = middle; }
  return Math.abs(rows[low][0] - update) <= Math.abs(rows[high][0] - update) ? low : high;
};
const show = update => plots.forEach(({right, rows, cursor, at, outputs}) => {
  if (!rows.length) return;
  const row = rows[update === null ? rows.length - 1 : nearest(rows, update)];
  cursor.style.display = update === null ? "none" : "block";
  cursor.style.left = 100 * row[0] / right + "%";
  at.textContent = update === null ? "" : "update " + row[0].toLocaleString("en");
  outputs.forEach((output, i) => { output.textContent = row[i + 1]; });
});
plots.forEach(({plot, right, rows, area}) => {
  let position = null;
  const point = event => {
    const box = area.getBoundingClientRect();
    show(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * right);
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", () => show(null));
  plot.addEventListener("blur", () => { position = null; show(null); });
  plot.addEventListener("keydown", event => {
    const steps = {ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -rows.length, End: rows.length}[event.key];
    if (!steps || !rows.length) return;
    event.preventDefault();
    position = Math.min(rows.length - 1, Math.max(0, (position ?? rows.length - 1) + steps));
    show(rows[position][0]);
  });
});
const slider = document.querySelector(".slider input");
if (slider) {
  const frames = [...document.querySelectorAll(".frames img")], label = document.querySelector(".slider output");
  const button = document.querySelector(".slider button");
  let timer = null;
  const turn = () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(slider.value); });
    label.textContent = "update " + Number(frames[slider.value].dataset.update).toLocaleString("en");
    slider.setAttribute("aria-valuetext", label.textContent);
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  slider.addEventListener("input", () => { stop(); turn(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === frames.length - 1) slider.value = 0;
    turn();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      turn();
      if (Number(slider.value) === frames.length - 1) stop();
    }, Math.min(400, Math.max(120, 4000 / frames.length)));
  });
  turn();
}
document.querySelectorAll("[data-copy]").forEach(button => button.addEventListener("click", async () => {
  const text = button.closest(".command").querySelector("code").textContent;
  try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(button.closest(".command").querySelector("code")); button.textContent = "Selected"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}));
"""
