// microphone.js: the microphone as an async iterable of estimates.
import { VoiceError } from "./error.js";

// Names of what getUserMedia() throws, and what to do about it.
const REFUSALS = {
  NotAllowedError: ["permission", "the microphone is not allowed; ask the user to allow it for this page"],
  SecurityError: ["permission", "the page may not use a microphone; see its Permissions-Policy"],
  NotFoundError: ["no-microphone", "there is no microphone; connect one and try again"],
  NotReadableError: ["busy", "the microphone does not answer; another program may hold it"],
};

/**
 * Estimates while the loop runs. If the loop is slower than the estimates come, it gets the newest: none pile up,
 * not even on a page in the background.
 */
export class Microphone {
  #parts;
  #opened = null;
  #latest = null; // an item that nobody took yet
  #failure = null;
  #done = false;
  #wake = null;
  #status = "listening";

  constructor(parts) {
    this.#parts = parts;
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  async next() {
    if (!this.#done) {
      try {
        await (this.#opened ??= this.#open());
        while (!this.#latest && !this.#failure && !this.#done)
          await new Promise((resolve) => (this.#wake = resolve));
      } catch (error) {
        this.#failure = error;
      }
    }
    if (this.#failure) {
      const failure = this.#failure;
      this.#failure = null;
      await this.stop();
      throw failure;
    }
    const value = this.#latest;
    this.#latest = null;
    return this.#done || !value ? { done: true, value: undefined } : { done: false, value };
  }

  /** Called when a loop is left. */
  async return() {
    await this.stop();
    return { done: true, value: undefined };
  }

  /** Turn the microphone off; a loop over it ends. */
  async stop() {
    if (this.#done) return;
    this.#done = true;
    this.#wake?.();
    const opened = await Promise.resolve(this.#opened).catch(() => null);
    opened?.stream.getTracks().forEach((track) => track.stop());
    globalThis.document?.removeEventListener("visibilitychange", this.#resume);
    await opened?.context.close();
  }

  async #open() {
    const stream = await this.#askForStream();
    let context;
    try {
      const made = this.#contextFor(stream);
      context = made.context;
      await context.audioWorklet.addModule(this.#parts.worklet);
      const node = this.#node(context);
      made.source.connect(node);
      this.#watch(stream.getAudioTracks()[0], context, node);
      // Not awaited: without a user's gesture some browsers answer only when there was one.
      context.resume().catch(() => {});
      return { stream, context };
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      await context?.close();
      if (error instanceof VoiceError) throw error;
      throw new VoiceError("audio", `the browser's sound does not start: ${error.message}`);
    }
  }

  async #askForStream() {
    if (!globalThis.navigator?.mediaDevices)
      throw new VoiceError("insecure", "browsers give a microphone to pages from https or localhost only");
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    try {
      return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...plain } });
    } catch (error) {
      throw new VoiceError(...(REFUSALS[error.name] ?? ["no-microphone", `no microphone: ${error.message}`]));
    }
  }

  /** At the student's rate where the browser resamples (Chromium, Safari), else at the device's. */
  #contextFor(stream) {
    if (typeof AudioWorkletNode !== "function")
      throw new VoiceError("unsupported", "this browser has no audio worklets; use one from after 2021");
    for (const options of [{ sampleRate: this.#parts.rate }, {}]) {
      let context;
      try {
        context = new AudioContext(options);
        return { context, source: context.createMediaStreamSource(stream) };
      } catch (error) {
        context?.close();
        if (error.name !== "NotSupportedError" || !options.sampleRate) throw error;
      }
    }
  }

  #node(context) {
    const { module, student, rate } = this.#parts;
    return new AudioWorkletNode(context, "edgeemo", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { module, student, rate },
    });
  }

  #watch(track, context, node) {
    node.port.onmessage = ({ data }) => {
      if (data.error) this.#fail("audio", data.error);
      else if ("end" in data && this.#status === "listening") this.#give(this.#parts.item(data));
    };
    node.onprocessorerror = () => this.#fail("audio", "the student failed in the audio thread; load it again");
    const changed = () => {
      if (this.#done) return;
      const status = track.muted ? "muted" : context.state === "running" ? "listening" : "suspended";
      if (status === this.#status) return;
      this.#status = status;
      // Sound from before a pause has nothing to do with what comes after it.
      if (status === "listening") node.port.postMessage("reset");
      else this.#give({ status });
    };
    track.onmute = track.onunmute = changed;
    context.onstatechange = changed;
    track.onended = () => this.#fail("ended", "the microphone is gone, or its permission; start again");
    this.#resume = () => document.visibilityState === "visible" && context.state !== "closed" && context.resume();
    document.addEventListener("visibilitychange", this.#resume);
    if (track.muted) changed();
    setTimeout(changed, 1000); // a context that does not start says nothing
  }

  #resume = () => {};

  #give(item) {
    this.#latest = item;
    this.#wake?.();
  }

  #fail(code, message) {
    this.#failure ??= new VoiceError(code, message);
    this.#wake?.();
  }
}
