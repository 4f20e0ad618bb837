// index.js: how a voice sounds, in a browser or in Node.js. Nothing leaves the page.
import { Engine, Resampler, Stream } from "./engine.js";
import { Microphone } from "./microphone.js";
import { VoiceError } from "./error.js";
import { card, labels, model, regression, spec } from "./student.js";

export { VoiceError };

// A function that returns a vector: only engines with SIMD take this for a module.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);
const RATES = [1000, 768000];

/**
 * Fetch and compile the student.
 *
 * options.base: address of the folder where `edgeemo.wasm`, `edgeemo-simd.wasm`, `student.bin` and `worklet.js`
 * lie; by default they lie beside this file, where bundlers find them by themselves.
 */
export async function load({ base } = {}) {
  if (typeof WebAssembly !== "object")
    throw new VoiceError("unsupported", "this browser has no WebAssembly; use one from after 2021");
  const simd = WebAssembly.validate(SIMD);
  const at = base === undefined ? addresses() : addressesIn(new URL(base, globalThis.location?.href));
  const [code, blob] = await Promise.all([bytesOf(simd ? at.simd : at.plain), bytesOf(at.student)]);
  try {
    const module = await WebAssembly.compile(code);
    const student = { blob, spec, regression, model };
    const engine = new Engine(await WebAssembly.instantiate(module), student);
    return new Voice({ engine, module, student, simd, worklet: at.worklet });
  } catch (error) {
    if (error instanceof WebAssembly.CompileError && /unsafe-eval|Content Security Policy/.test(error.message))
      throw new VoiceError(
        "policy",
        "the page's Content-Security-Policy forbids WebAssembly; add 'wasm-unsafe-eval' to its script-src",
      );
    throw new VoiceError("damaged", `the student cannot be used: ${error.message}`);
  }
}

/** A loaded student. */
export class Voice {
  #engine;
  #parts;

  constructor({ engine, ...parts }) {
    this.#engine = engine;
    this.#parts = parts;
    this.card = card;
    this.simd = parts.simd;
  }

  /** The estimate for a clip: Float32Array, mono, -1..1. */
  estimate(samples, sampleRate = card.sampleRate) {
    check(samples, sampleRate);
    const clip = sampleRate === card.sampleRate ? samples : resampled(samples, sampleRate);
    this.#engine.reset();
    this.#engine.push(clip);
    const values = this.#engine.estimate();
    if (values === null)
      throw new VoiceError("short", `the clip has ${samples.length} samples; the student needs 0.1 s of sound or more`);
    const classes = values.slice(model.classesAt, model.classesAt + model.classes);
    const fitted = this.#engine.confidence();
    const confidence = fitted < 0 ? Math.max(0, ...classes) : fitted;
    const expression = classes.length ? model.classesAt + classes.indexOf(Math.max(...classes)) : -1;
    return item({ values, start: 0, end: this.#engine.taken, speech: true, confidence, expression });
  }

  /** A stream of samples that you push yourself. */
  async stream(sampleRate = card.sampleRate) {
    check(new Float32Array(0), sampleRate);
    const { module, student } = this.#parts;
    return new VoiceStream(new Stream(await WebAssembly.instantiate(module), student), sampleRate);
  }

  /**
   * Listen to the microphone: `for await (const e of voice.microphone())`; leaving the loop, or stop(), turns it
   * off. An estimate every quarter second from the first second on; it looks at the last 1.5 to 3 s.
   */
  microphone() {
    return new Microphone({ ...this.#parts, rate: card.sampleRate, item });
  }
}

/** Samples in, items out, as the microphone gives them; see Voice.stream(). */
export class VoiceStream {
  #stream;
  #rate;
  #resampler = null;

  constructor(stream, rate) {
    this.#stream = stream;
    this.#rate = rate;
    this.reset();
  }

  /** The items that these samples complete: Float32Array, mono, -1..1; any number of them. */
  push(samples) {
    check(samples, this.#rate);
    return this.#stream.push(this.#resampler ? this.#resampler.push(samples) : samples).map(item);
  }

  /** Forget all samples. */
  reset() {
    this.#stream.reset();
    this.#resampler = this.#rate === card.sampleRate ? null : new Resampler(this.#rate, card.sampleRate);
  }
}

function check(samples, sampleRate) {
  if (!(samples instanceof Float32Array))
    throw new VoiceError("input", "samples are no Float32Array; convert them to floats in -1..1");
  if (!Number.isInteger(sampleRate) || sampleRate < RATES[0] || sampleRate > RATES[1])
    throw new VoiceError("input", `sampleRate is ${sampleRate}; expected a whole number of Hz, ${RATES.join(" to ")}`);
  const bad = samples.findIndex((sample) => !(Math.abs(sample) <= 1e6));
  if (bad >= 0) throw new VoiceError("input", `sample ${bad} is ${samples[bad]}; expected numbers in -1..1`);
}

/** What people read: of what Stream.push() gives, with values in the order of the labels. */
function item({ values, start, end, speech, confidence, expression }) {
  const seconds = { start: start / card.sampleRate, end: end / card.sampleRate };
  if (!speech) return { status: "silent", ...seconds };
  const named = Object.fromEntries(labels.map((label, i) => [label, values[i]]));
  const { arousal, dominance, valence } = named;
  // What comes behind the classes, shares of sounds, is not for pages yet.
  const names = labels.slice(model.classesAt, model.classesAt + model.classes);
  const classes = Object.fromEntries(names.map((label) => [label, named[label]]));
  const shown = expression < 0 ? null : labels[expression];
  return { status: "listening", arousal, dominance, valence, classes, expression: shown, confidence, ...seconds };
}

function resampled(samples, rate) {
  const resampler = new Resampler(rate, card.sampleRate);
  // What lies behind the end is silence.
  const silence = new Float32Array(Math.ceil((64 * Math.max(rate, card.sampleRate)) / card.sampleRate));
  const whole = [resampler.push(samples), resampler.push(silence)];
  const made = new Float32Array(whole[0].length + whole[1].length);
  made.set(whole[0]);
  made.set(whole[1], whole[0].length);
  return made.subarray(0, Math.floor((samples.length * card.sampleRate) / rate));
}

// Bundlers look for these expressions, word by word.
function addresses() {
  return {
    plain: new URL("./edgeemo.wasm", import.meta.url),
    simd: new URL("./edgeemo-simd.wasm", import.meta.url),
    student: new URL("./student.bin", import.meta.url),
    worklet: new URL("./worklet.js", import.meta.url),
  };
}

function addressesIn(base) {
  const folder = base.href.endsWith("/") ? base : new URL(`${base.href}/`);
  const file = (name) => new URL(name, folder);
  const [plain, simd] = [file("edgeemo.wasm"), file("edgeemo-simd.wasm")];
  return { plain, simd, student: file("student.bin"), worklet: file("worklet.js") };
}

async function bytesOf(url) {
  try {
    if (url.protocol === "file:") {
      // Node.js; its fetch() takes no files.
      const { readFile } = await import(/* @vite-ignore */ /* webpackIgnore: true */ "node:fs/promises");
      return new Uint8Array(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new VoiceError("download", `${url} did not come: ${error.message}`);
  }
}
