// worklet.js: the audio thread's part: sound in, estimates out. build.py puts engine.js before it.

/** Messages to the page: what Stream.push() gives, one by one, or {error}. */
class EdgeemoProcessor extends AudioWorkletProcessor {
  #stream;
  #resampler = null;

  /** processorOptions: {module, student, rate}: of the student. */
  constructor({ processorOptions: options }) {
    super();
    this.#stream = new Stream(new WebAssembly.Instance(options.module), options.student);
    // `sampleRate` is the context's, a global of this scope.
    if (sampleRate !== options.rate) this.#resampler = new Resampler(sampleRate, options.rate);
    this.port.onmessage = () => this.#stream.reset();
  }

  process([input]) {
    if (input.length === 0) return true; // nothing is connected
    try {
      const samples = this.#resampler ? this.#resampler.push(input[0]) : input[0];
      for (const estimate of this.#stream.push(samples)) this.port.postMessage(estimate);
      return true;
    } catch (error) {
      this.port.postMessage({ error: error.message });
      return false;
    }
  }
}

registerProcessor("edgeemo", EdgeemoProcessor);
