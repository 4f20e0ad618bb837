// page.js: a button that listens, and three bars.
import { load } from "./edgeemo-web/index.js";

const SHOWN = ["arousal", "dominance", "valence"];
const by = (id) => document.getElementById(id);
const say = (text) => (by("status").textContent = text);

for (const name of SHOWN)
  by("values").insertAdjacentHTML(
    "beforeend",
    `<label>${name} <meter id="${name}" value="0"></meter> <output id="${name}-text">–</output></label>`,
  );

function show(estimate) {
  for (const name of SHOWN) {
    by(name).value = estimate[name];
    by(`${name}-text`).textContent = estimate[name].toFixed(4);
  }
  say(`confidence ${estimate.confidence.toFixed(2)}, ${estimate.end.toFixed(2)} s heard`);
}

const PAUSES = {
  silent: "Nobody speaks.",
  muted: "The microphone is muted.",
  suspended: "The browser has stopped the sound.",
};
let microphone = null;

async function listen(voice) {
  microphone = voice.microphone();
  by("listen").textContent = "Stop";
  try {
    for await (const item of microphone) item.status === "listening" ? show(item) : say(PAUSES[item.status]);
  } catch (error) {
    say(error.message);
  }
  microphone = null;
  by("listen").textContent = "Listen";
}

try {
  const voice = await load();
  by("listen").onclick = () => (microphone ? microphone.stop() : listen(voice));
  by("listen").disabled = false;
  say("Ready.");
} catch (error) {
  say(error.message);
}
