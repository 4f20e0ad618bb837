// engine.js: the student in WebAssembly, and sound at another rate. It runs on pages, in workers, in
// audio worklets and in Node.js, so it uses nothing but the language. build.py puts it into worklet.js.

/** One listener in one instance of the module. */
export class Engine {
  #wasm;
  #listener;

  /**
   * @param instance of edgeemo.wasm or edgeemo-simd.wasm; it belongs to this engine.
   * @param student {spec, blob}: Uint8Arrays, what student.js and student.bin hold.
   * @param half samples: an estimate looks at the last `half` to 2 * `half`; 0: at all since the reset.
   */
  constructor(instance, student, half) {
    this.#wasm = instance.exports;
    const blob = this.#keep(student.blob);
    const spec = this.#keep(student.spec);
    this.#listener = this.#checked(this.#wasm.make(blob, student.blob.length, spec, half));
  }

  /** Samples since the reset. */
  get taken() {
    return this.#wasm.taken(this.#listener);
  }

  /** The first sample that estimate() looks at. */
  get first() {
    return this.#wasm.first(this.#listener);
  }

  /** Take samples: Float32Array, at the student's rate, -1..1. */
  push(samples) {
    const room = this.#wasm.room();
    for (let at = 0; at < samples.length; at += room) {
      const some = samples.subarray(at, at + room);
      new Float32Array(this.#wasm.memory.buffer, this.#wasm.samples_at(), room).set(some);
      this.#checked(this.#wasm.push(this.#listener, some.length));
    }
  }

  /** The values so far, in the order of the student's labels; null while there was too little sound. */
  estimate() {
    const count = this.#wasm.estimate(this.#listener);
    if (count < 0) return null;
    return Array.from(new Float32Array(this.#wasm.memory.buffer, this.#wasm.values_at(), count));
  }

  /** Forget all samples. */
  reset() {
    this.#wasm.reset(this.#listener);
  }

  #keep(bytes) {
    const at = this.#wasm.reserve(bytes.length);
    if (at === 0) throw new Error("no memory");
    new Uint8Array(this.#wasm.memory.buffer, at, bytes.length).set(bytes);
    return at;
  }

  #checked(status) {
    if (status >= 0) return status;
    // Audio worklets have no TextDecoder.
    const bytes = new Uint8Array(this.#wasm.memory.buffer, this.#wasm.text(status));
    throw new Error(String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0))));
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
