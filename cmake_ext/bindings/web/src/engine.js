// engine.js: the student in WebAssembly, and sound at another rate. It runs on pages, in workers, in
// audio worklets and in Node.js, so it uses nothing but the language. build.py puts it into worklet.js.

/** What a student is: student.js and student.bin: {blob, spec, regression, model}. */
class Instance {
  wasm;

  constructor(instance) {
    this.wasm = instance.exports;
  }

  /** The arguments that make() and open() begin with. */
  kept({ blob, spec, regression, model }) {
    const parts = new Uint8Array(regression.buffer, regression.byteOffset, regression.byteLength);
    return [this.#keep(blob), blob.length, this.#keep(spec), this.#keep(parts), regression.length / 4, model.bias];
  }

  /** Up to `most` samples at once to the function `take`. */
  inPieces(samples, most, take) {
    for (let at = 0; at < samples.length; at += most) {
      const some = samples.subarray(at, at + most);
      new Float32Array(this.wasm.memory.buffer, this.wasm.samples_at(), this.wasm.room()).set(some);
      take(some.length);
    }
  }

  checked(status) {
    if (status >= 0) return status;
    // Audio worklets have no TextDecoder.
    const bytes = new Uint8Array(this.wasm.memory.buffer, this.wasm.text(status));
    throw new Error(String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0))));
  }

  #keep(bytes) {
    const at = this.wasm.reserve(bytes.length);
    if (at === 0) throw new Error("no memory");
    new Uint8Array(this.wasm.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }
}

/** One clip in one instance of the module. */
export class Engine {
  #in;
  #clip;

  /**
   * @param instance of edgeemo.wasm or edgeemo-simd.wasm; it belongs to this engine.
   * @param student as Instance.kept() takes it.
   */
  constructor(instance, student) {
    this.#in = new Instance(instance);
    this.#clip = this.#in.checked(this.#in.wasm.make(...this.#in.kept(student)));
  }

  /** Samples since the reset. */
  get taken() {
    return this.#in.wasm.taken(this.#clip);
  }

  /** Take samples: Float32Array, at the student's rate, -1..1. */
  push(samples) {
    const { wasm } = this.#in;
    this.#in.inPieces(samples, wasm.room(), (n) => this.#in.checked(wasm.push(this.#clip, n)));
  }

  /** The values so far, in the order of the student's labels; null while there was too little sound. */
  estimate() {
    const { wasm } = this.#in;
    const count = wasm.estimate(this.#clip);
    if (count < 0) return null;
    return Array.from(new Float32Array(wasm.memory.buffer, wasm.values_at(), count));
  }

  /** How likely the last estimate is right, 0..1; below 0 if the student does not tell. */
  confidence() {
    return this.#in.wasm.confidence(this.#clip);
  }

  /** Forget all samples. */
  reset() {
    this.#in.wasm.reset(this.#clip);
  }
}

/** Sound without an end: gate, windows, smoothing and confidence of edgeemo_stream.h. */
export class Stream {
  #in;
  #stream;
  #count;
  #most;

  /** @param instance, student: as of Engine; an instance is for one of the two. */
  constructor(instance, student) {
    const { least, classesAt, classes, low, high, values, stride } = student.model;
    this.#in = new Instance(instance);
    const kept = this.#in.kept(student);
    this.#stream = this.#in.checked(this.#in.wasm.open(...kept, least, classesAt, classes, low, high));
    this.#count = values;
    this.#most = Math.min(stride, this.#in.wasm.room());
  }

  /**
   * Take samples as Engine.push() does; the estimates that they complete: {start, end} in samples, `speech`,
   * and, where somebody speaks, `values`, `confidence` and `expression`, the place of a class.
   */
  push(samples) {
    const { wasm } = this.#in;
    const told = [];
    this.#in.inPieces(samples, this.#most, (n) => {
      if (this.#in.checked(wasm.hear(this.#stream, n)) > 0) told.push(this.#newest());
    });
    return told;
  }

  /** Forget all samples. */
  reset() {
    this.#in.wasm.forget(this.#stream);
  }

  /** The struct edgeemo_estimate. */
  #newest() {
    const { wasm } = this.#in;
    const view = new DataView(wasm.memory.buffer, wasm.newest_at());
    const [start, end] = [0, 8].map((at) => Number(view.getBigInt64(at, true)));
    const [speech, known, expression] = [16, 20, 24].map((at) => view.getInt32(at, true));
    if (!known) return { start, end, speech: speech !== 0 };
    const values = Array.from({ length: this.#count }, (_, i) => view.getFloat32(32 + 4 * i, true));
    return { start, end, speech: true, values, confidence: view.getFloat32(28, true), expression };
  }
}

/**
 * Sound at another rate: a sinc under a Hann window with 24 zero crossings on each side, cut off at 94 %
 * of the lower of the two Nyquist frequencies. Blocks of any size give the same samples.
 * Source: J. O. Smith, Digital Audio Resampling, ccrma.stanford.edu/~jos/resample.
 */
export class Resampler {
  #from;
  #to;
  #reach;
  #cutoff;
  #phases = new Map();
  #tail; // input from sample #begin on
  #begin;
  #next = 0; // output sample that comes next

  /** @param from, to: rates, whole numbers of Hz. */
  constructor(from, to) {
    const divisor = gcd(from, to);
    this.#from = from / divisor;
    this.#to = to / divisor;
    this.#cutoff = 0.94 * Math.min(1, to / from);
    this.#reach = Math.ceil(24 / this.#cutoff);
    this.#tail = new Float32Array(this.#reach);
    this.#begin = -this.#reach;
  }

  /** The samples that this input completes. */
  push(samples) {
    const input = new Float32Array(this.#tail.length + samples.length);
    input.set(this.#tail);
    input.set(samples, this.#tail.length);
    const made = [];
    for (; ; this.#next++) {
      const at = Math.floor((this.#next * this.#from) / this.#to);
      const first = at - this.#reach + 1 - this.#begin;
      const taps = this.#taps((this.#next * this.#from) % this.#to);
      if (first + taps.length > input.length) break;
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k] * input[first + k];
      made.push(sum);
    }
    const at = Math.floor((this.#next * this.#from) / this.#to) - this.#reach + 1;
    this.#tail = input.slice(at - this.#begin);
    this.#begin = at;
    return Float32Array.from(made);
  }

  /** Weights of the inputs around an output that lies `phase` / #to behind one of them. */
  #taps(phase) {
    let taps = this.#phases.get(phase);
    if (taps) return taps;
    const fraction = phase / this.#to;
    taps = Float64Array.from({ length: 2 * this.#reach }, (_, k) => {
      const x = k - this.#reach + 1 - fraction;
      const turn = Math.PI * x * this.#cutoff;
      const sinc = x === 0 ? 1 : Math.sin(turn) / turn;
      return this.#cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * x) / (this.#reach + 1)));
    });
    this.#phases.set(phase, taps);
    return taps;
  }
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
