// edgeemo.js: the student in WebAssembly, as a class.

/** Samples in, estimates out. `const listener = await Listener.load()` */
export class Listener {
  /** Fetch the module, run its self-test; throws if that fails. */
  static async load(url = "edgeemo.wasm") {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
    const { instance } = await WebAssembly.instantiate(await response.arrayBuffer());
    return new Listener(instance.exports);
  }

  constructor(wasm) {
    this.wasm = wasm;
    this.seconds = 0;
    this.#check(wasm.start());
  }

  /** Take samples: Float32Array, 16 kHz, mono, -1..1, any number. */
  push(samples) {
    const room = this.wasm.room();
    for (let at = 0; at < samples.length; at += room) {
      const some = samples.subarray(at, at + room);
      new Float32Array(this.wasm.memory.buffer, this.wasm.samples_at(), room).set(some);
      this.#check(this.wasm.push(some.length));
    }
    this.seconds += samples.length / 16000;
  }

  /** The estimate for all since the reset, by name; null while too little was heard. */
  estimate() {
    const count = this.wasm.estimate();
    if (count < 0) return null;
    const values = new Float32Array(this.wasm.memory.buffer, this.wasm.values_at(), count);
    return Object.fromEntries([...values].map((value, i) => [this.#string(this.wasm.name(i)), value]));
  }

  /** Forget what was heard. */
  reset() {
    this.wasm.reset();
    this.seconds = 0;
  }

  #check(status) {
    if (status < 0) throw new Error(this.#string(this.wasm.text(status)));
  }

  #string(at) {
    const bytes = new Uint8Array(this.wasm.memory.buffer, at);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  }
}

/** Hear the microphone: calls `heard(samples)` for each block; returns a function that stops. */
export async function microphone(heard) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  // The browser resamples to the rate of the context.
  const context = new AudioContext({ sampleRate: 16000 });
  await context.audioWorklet.addModule("worklet.js");
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  tap.port.onmessage = (message) => heard(message.data);
  context.createMediaStreamSource(stream).connect(tap);
  await context.resume();
  return async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  };
}
