// The page of `edgeemo live --web`. It listens to one stream of events and draws; it sends nothing.

const DIMENSIONS = ["arousal", "dominance", "valence"];
const DASHES = { arousal: [], dominance: [7, 4], valence: [2, 4] }; // colour is not the only sign
const TRACE_SECONDS = 60;
const TRAIL_SECONDS = 12;
const LOWEST_DB = -60;
const SPOKEN_SECONDS = 6; // between two sentences for screen readers

const $ = (id) => document.getElementById(id);
const number = (value, digits = 2) => (value == null ? "–" : value.toFixed(digits));

let estimate = null;
let picture = null;
let paused = false;
let spokenAt = -Infinity;

// ---- drawing ----

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A canvas in the pixels of the screen, with coordinates in those of the page.
function prepared(id, width = $(id).clientWidth, height = $(id).clientHeight) {
  const canvas = $(id);
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "13px system-ui, sans-serif";
  return [context, width, height];
}

function drawPlane() {
  const [c, width, height] = prepared("plane");
  const side = Math.min(width, height) - 50;
  const left = (width - side) / 2, top = (height - side) / 2;
  const x = (valence) => left + valence * side, y = (arousal) => top + (1 - arousal) * side;
  c.strokeStyle = colour("line");
  c.lineWidth = 1;
  c.strokeRect(left, top, side, side);
  c.beginPath();
  c.moveTo(x(0.5), top); c.lineTo(x(0.5), top + side);
  c.moveTo(left, y(0.5)); c.lineTo(left + side, y(0.5));
  c.stroke();
  c.fillStyle = colour("quiet");
  c.textAlign = "center";
  c.fillText("excited", x(0.5), top - 7);
  c.fillText("calm", x(0.5), top + side + 16);
  for (const [text, at, angle] of [["unpleasant", left - 8, -1], ["pleasant", left + side + 8, 1]]) {
    c.save();
    c.translate(at, y(0.5));
    c.rotate((angle * Math.PI) / 2);
    c.fillText(text, 0, 0);
    c.restore();
  }
  const points = (estimate?.trace ?? []).filter(([, a, , v]) => a != null && v != null);
  const now = estimate?.trace.at(-1)?.[0] ?? 0;
  const trail = points.filter(([end]) => now - end <= TRAIL_SECONDS);
  c.strokeStyle = c.fillStyle = colour("accent");
  c.lineWidth = 2;
  c.lineCap = "round";
  for (let i = 1; i < trail.length; i++) {
    if (trail[i][0] - trail[i - 1][0] > 1) continue; // a pause is no way from here to there
    c.globalAlpha = 0.08 + 0.7 * Math.max(0, 1 - (now - trail[i][0]) / TRAIL_SECONDS);
    c.beginPath();
    c.moveTo(x(trail[i - 1][3]), y(trail[i - 1][1]));
    c.lineTo(x(trail[i][3]), y(trail[i][1]));
    c.stroke();
  }
  c.globalAlpha = 1;
  const { arousal, valence } = estimate?.dimensions ?? {};
  if (arousal == null || valence == null) return;
  c.beginPath();
  c.arc(x(valence), y(arousal), 7, 0, 2 * Math.PI);
  c.fill();
  c.lineWidth = 2.5;
  c.strokeStyle = colour("card");
  c.stroke();
}

function drawTrace() {
  const [c, width, height] = prepared("trace");
  const left = 30, right = width - 8, top = 10, bottom = height - 24;
  const trace = estimate?.trace ?? [];
  const now = trace.at(-1)?.[0] ?? 0;
  const x = (end) => right - ((now - end) / TRACE_SECONDS) * (right - left);
  const y = (value) => bottom - value * (bottom - top);
  c.lineWidth = 1;
  c.fillStyle = colour("quiet");
  c.strokeStyle = colour("line");
  for (const value of [0, 0.5, 1]) {
    c.beginPath();
    c.moveTo(left, y(value)); c.lineTo(right, y(value));
    c.stroke();
    c.textAlign = "right";
    c.fillText(value.toString(), left - 7, y(value) + 4);
  }
  for (const ago of width > 420 ? [60, 45, 30, 15, 0] : [60, 30, 0]) {
    c.textAlign = ago === 60 ? "left" : ago === 0 ? "right" : "center";
    c.fillText(ago ? `${ago} s ago` : "now", x(now - ago), height - 5);
  }
  c.lineWidth = 2.2;
  c.lineJoin = "round";
  DIMENSIONS.forEach((name, i) => {
    c.strokeStyle = colour(name);
    c.setLineDash(DASHES[name]);
    c.beginPath();
    let before = null;
    for (const point of trace) {
      const value = point[i + 1];
      if (value == null) { before = null; continue; }
      const joined = before != null && point[0] - before <= 1;
      c[joined ? "lineTo" : "moveTo"](x(point[0]), y(value));
      before = point[0];
    }
    c.stroke();
  });
  c.setLineDash([]);
}

function drawCamera() {
  if (!picture) return;
  const canvas = $("camera");
  canvas.style.aspectRatio = `${picture.width} / ${picture.height}`;
  const [c, width, height] = prepared("camera");
  c.drawImage(picture.image, 0, 0, width, height);
  c.font = "600 14px system-ui, sans-serif";
  picture.faces.forEach(({ box, expression, confidence }, i) => {
    const [l, t, r, b] = [box[0] * width, box[1] * height, box[2] * width, box[3] * height];
    c.lineWidth = 3;
    c.strokeStyle = i === 0 ? "#8c9eff" : "#c9ced8";
    c.setLineDash(i === 0 ? [] : [6, 5]);
    c.strokeRect(l, t, r - l, b - t);
    if (i > 0 || !expression) return;
    const text = `${expression} ${number(confidence)}`;
    const wide = c.measureText(text).width + 14;
    const above = t >= 26 ? t - 25 : Math.min(b + 3, height - 24);
    const from = Math.max(0, Math.min(l - 1, width - wide));
    c.fillStyle = "rgba(16, 18, 22, .86)";
    c.fillRect(from, above, wide, 23);
    c.fillStyle = "#fff";
    c.textAlign = "left";
    c.fillText(text, from + 7, above + 16);
  });
  c.setLineDash([]);
  const count = picture.faces.length;
  const text = count === 0 ? "no face in the picture" : count === 1 ? "one face" : `${count} faces, the largest counts`;
  $("camera-text").textContent = text;
  canvas.setAttribute("aria-label", `Camera picture: ${text}`);
}

function drawAll() {
  drawPlane();
  drawTrace();
  drawCamera();
}

// ---- text and bars ----

function makeRow(parent, name, kind = "") {
  const row = document.createElement("div");
  row.className = "row";
  row.innerHTML = `<span class="name"></span><div class="bar ${kind}" role="meter" aria-valuemin="0"
    aria-valuemax="1"><i></i></div><output>–</output>`;
  const [label, bar, output] = row.children;
  label.textContent = name;
  label.id = `name-${name}`;
  bar.setAttribute("aria-labelledby", label.id);
  output.setAttribute("for", label.id);
  parent.append(row);
  return (value, shown = false) => {
    row.classList.toggle("shown", shown);
    bar.firstElementChild.style.width = `${100 * (value ?? 0)}%`;
    bar.setAttribute("aria-valuenow", value ?? 0);
    bar.setAttribute("aria-valuetext", value == null ? "not known" : number(value));
    output.textContent = number(value);
  };
}

const rows = {};
for (const name of DIMENSIONS) {
  rows[name] = makeRow($("dimensions"), name, name);
  const item = document.createElement("li");
  item.className = name;
  item.innerHTML = `<svg aria-hidden="true"><line x1="0" y1="5" x2="29" y2="5"
    stroke-dasharray="${DASHES[name].join(" ")}"></line></svg>`;
  item.append(name);
  $("legend").append(item);
}

function showLevel({ seconds, level }) {
  const part = level == null ? 0 : Math.max(0, 1 - level / LOWEST_DB);
  $("level").firstElementChild.style.width = `${100 * part}%`;
  $("level").setAttribute("aria-valuenow", Math.max(LOWEST_DB, level ?? LOWEST_DB));
  $("level-value").textContent = level == null ? "–" : level <= -90 ? "silent" : `${level.toFixed(0)} dB`;
  const clock = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  $("connection").textContent = `live, ${clock}`;
}

function showEstimate(now) {
  showLevel(now);
  const { dimensions, classes, expression, confidence, sides, speech, heard } = now;
  document.body.classList.toggle("blind", !("face" in now.sources));
  $("source").textContent = [...new Set(Object.values(now.sources))].join(" and ");
  $("headline").textContent = heard || (expression ?? "–");
  $("detail").textContent = sides.length
    ? `perceived from ${sides.join(" and ")}, confidence ${number(confidence)}`
    : speech === false ? "nobody speaks, so nothing is claimed" : "nothing to judge";
  for (const name of DIMENSIONS) rows[name](dimensions[name]);
  for (const [name, value] of Object.entries(classes)) {
    rows[name] ??= makeRow($("classes"), name);
    rows[name](value, name === expression);
  }
  fill($("notes"), now.notes.length ? now.notes : ["nothing"]);
  $("recording").hidden = !now.recording;
  $("recording").textContent = now.recording ? `recording to ${now.recording}` : "";
  showMachine(now);
  speak(now);
  drawPlane();
  drawTrace();
}

function showMachine({ latency, worst, cpu, models }) {
  const milliseconds = (value) => (value == null ? "–" : `${(1000 * value).toFixed(0)} ms`);
  const facts = {
    "latency, median": milliseconds(latency),
    "latency, worst": milliseconds(worst),
    "processor": cpu == null ? "–" : `${(100 * cpu).toFixed(0)} % of one core`,
    ...Object.fromEntries(Object.entries(models).map(([side, name]) => [`model, ${side}`, name])),
  };
  const list = $("machine");
  list.replaceChildren(...Object.entries(facts).flatMap(([name, value]) => {
    const term = document.createElement("dt"), what = document.createElement("dd");
    term.textContent = name;
    what.textContent = value;
    return [term, what];
  }));
}

function fill(list, texts) {
  if (list.textContent === texts.join("")) return; // so that a selection stays
  list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

function speak({ seconds, dimensions, expression, sides }) {
  if (seconds - spokenAt < SPOKEN_SECONDS) return;
  spokenAt = seconds;
  $("spoken").textContent = sides.length
    ? `${expression ?? "no class"}; ${DIMENSIONS.map((name) => `${name} ${number(dimensions[name], 1)}`).join(", ")}`
    : "nothing to judge";
}

// ---- events ----

const events = new EventSource("events");

function on(kind, handle) {
  events.addEventListener(kind, (event) => {
    if (!paused) handle(JSON.parse(event.data));
  });
}

on("level", showLevel);
on("estimate", (now) => {
  estimate = now;
  showEstimate(now);
});
on("picture", async (now) => {
  const image = new Image();
  image.src = `data:image/jpeg;base64,${now.jpeg}`;
  await image.decode();
  picture = { ...now, image };
  drawCamera();
});
events.addEventListener("open", () => $("connection").className = "pill good");
events.addEventListener("error", () => {
  $("connection").textContent = "no connection";
  $("connection").className = "pill alert";
});
events.addEventListener("end", () => {
  events.close();
  $("connection").textContent = "ended";
  $("connection").className = "pill";
  document.body.classList.add("ended");
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Go on" : "Pause view";
  document.body.classList.toggle("paused", paused);
});
window.addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawAll();
