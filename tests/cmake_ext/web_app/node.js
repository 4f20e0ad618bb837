// node.js: the package in Node.js: estimates of the file `clip` and of tones, and what it refuses, as JSON.
import { load, VoiceError } from "edgeemo-web";
import { Engine } from "edgeemo-web/dist/engine.js";
import { spec } from "edgeemo-web/dist/student.js";

import { readFileSync } from "node:fs";
function floats(name) {
  const bytes = readFileSync(name);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
const clip = floats("clip");
const sound = floats("sound");
const validate = WebAssembly.validate;
const told = { estimates: [], streams: [], errors: [] };
for (const simd of [true, false]) {
  WebAssembly.validate = simd ? validate : () => false;
  const voice = await load();
  const some = [clip, clip.subarray(0, 5000), clip.map((x) => x / 8)];
  told.estimates.push({ simd: voice.simd, found: some.map((samples) => voice.estimate(samples)) });
  const stream = await voice.stream();
  stream.push(clip);
  stream.reset();
  const items = [];
  for (let at = 0; at < sound.length; at += 128) items.push(...stream.push(sound.subarray(at, at + 128)));
  stream.reset();
  told.streams.push({ items, whole: stream.push(sound) });
}
const voice = await load();
const tone = (hz, rate) => Float32Array.from({ length: rate }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate) / 4);
told.rates = [];
for (const rate of [16000, 48000]) {
  const stream = await voice.stream(rate);
  told.rates.push(stream.push(tone(1000, rate)).map((item) => item.end));
}
told.tones = [16000, 44100, 48000, 8000].map((rate) => voice.estimate(tone(1000, rate), rate));
const wrong = [[new Float32Array(10)], [[0, 1]], [Float32Array.of(0, NaN)], [clip, 16000.5], [clip, 0]];
for (const attempt of [...wrong.map((some) => () => voice.estimate(...some)), () => voice.stream(12.5), () => voice.microphone().next(),
                       () => load({ base: new URL("nowhere/", import.meta.url) })]) {
  try {
    await attempt();
    told.errors.push(null);
  } catch (error) {
    told.errors.push({ ours: error instanceof VoiceError, code: error.code, message: error.message });
  }
}
const blob = new Uint8Array(readFileSync("odd"));
told.odd = ["edgeemo", "edgeemo-simd"].map((name) => {
  const url = new URL(import.meta.resolve(`edgeemo-web/dist/${name}.wasm`));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(url)));
  const engine = new Engine(instance, { blob, spec, regression: new Float32Array(0), model: { bias: 0 } });
  for (let at = 0; at < clip.length; at += 700) engine.push(clip.subarray(at, at + 700));
  return engine.estimate();
});
console.log(JSON.stringify(told));
