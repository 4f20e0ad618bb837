// worklet.js: the audio thread's part: sound in, estimates out. build.py puts engine.js before it.

/** Messages to the page: {values, start, end} in the student's samples, or {error}. */
class EdgeemoProcessor extends AudioWorkletProcessor {
  #engine;
  #resampler = null;
  #stride;
  #least;

  /** processorOptions: {module, student: {spec, blob}, rate, half, stride, least}, times in samples. */
  constructor({ processorOptions: options }) {
    super();
    this.#engine = new Engine(new WebAssembly.Instance(options.module), options.student, options.half);
    this.#stride = options.stride;
    this.#least = options.least;
    // `sampleRate` is the context's, a global of this scope.
    if (sampleRate !== options.rate) this.#resampler = new Resampler(sampleRate, options.rate);
    this.port.onmessage = () => this.#engine.reset();
  }

  process([input]) {
    if (input.length === 0) return true; // nothing is connected
    try {
      this.#take(this.#resampler ? this.#resampler.push(input[0]) : input[0]);
      return true;
    } catch (error) {
      this.port.postMessage({ error: error.message });
      return false;
    }
  }

  /** An estimate ends at each multiple of the stride, whatever the blocks are. */
  #take(samples) {
    for (let at = 0; at < samples.length; ) {
      const left = this.#stride - (this.#engine.taken % this.#stride);
      this.#engine.push(samples.subarray(at, at + left));
      at += Math.min(left, samples.length - at);
      const end = this.#engine.taken;
      if (end % this.#stride === 0 && end >= this.#least) {
        const values = this.#engine.estimate();
        if (values) this.port.postMessage({ values, start: this.#engine.first, end });
      }
    }
  }
}

registerProcessor("edgeemo", EdgeemoProcessor);
