/** What the student is. */
export interface Card {
  readonly name: string;
  /** Of the weights; the code is Apache-2.0. */
  readonly licence: string;
  readonly digest: string;
  /** Hz. */
  readonly sampleRate: number;
}

/** How listeners would rate a stretch of speech; not what a person feels. */
export interface Emotion {
  readonly status: "listening";
  /** About 0..1. */
  readonly arousal: number;
  /** About 0..1. */
  readonly dominance: number;
  /** About 0..1. */
  readonly valence: number;
  /** Probabilities by name. */
  readonly classes: Readonly<Record<string, number>>;
  /** The class to show: in a stream the likeliest, unless another is hardly less likely and was shown before. */
  readonly expression: string | null;
  /** Probability that the estimate is right, 0..1. */
  readonly confidence: number;
  /** Seconds since the first sample: the stretch that the estimate looks at. */
  readonly start: number;
  readonly end: number;
}

/** Nobody speaks in that stretch. */
export interface Silence {
  readonly status: "silent";
  /** Seconds since the first sample. */
  readonly start: number;
  readonly end: number;
}

/** The microphone is muted, or the browser has stopped its sound: no estimates until that ends. */
export interface Pause {
  readonly status: "muted" | "suspended";
}

export type VoiceErrorCode =
  /** No WebAssembly or no audio worklets. */
  | "unsupported"
  /** A Content-Security-Policy without 'wasm-unsafe-eval'. */
  | "policy"
  /** A file of the package did not come. */
  | "download"
  /** A file of the package is not what it should be. */
  | "damaged"
  /** Samples or a rate that cannot be used. */
  | "input"
  /** Too little sound for an estimate. */
  | "short"
  /** The page comes neither from https nor from localhost. */
  | "insecure"
  | "permission"
  | "no-microphone"
  | "busy"
  /** The browser's sound does not start, or stopped with an error. */
  | "audio"
  /** The microphone was unplugged, or its permission withdrawn. */
  | "ended";

export class VoiceError extends Error {
  readonly code: VoiceErrorCode;
  constructor(code: VoiceErrorCode, message: string);
}

/** Estimates of what the microphone hears; see Voice.microphone(). */
export interface Microphone extends AsyncIterableIterator<Emotion | Silence | Pause> {
  return(): Promise<IteratorResult<Emotion | Silence | Pause>>;
  /** Turn the microphone off; a loop over it ends. */
  stop(): Promise<void>;
}

/** Sound that you push yourself; see Voice.stream(). */
export class VoiceStream {
  private constructor();
  /**
   * What these samples complete: mono, -1..1, any number of them. An item comes every quarter second, from the
   * first second on, smoothed over a second; it looks at the last 1.5 to 3 s.
   *
   * @throws {VoiceError} "input".
   */
  push(samples: Float32Array): (Emotion | Silence)[];
  /** Forget all samples. */
  reset(): void;
}

/** A loaded student. */
export class Voice {
  private constructor();
  readonly card: Card;
  /** Whether the vector instructions of WebAssembly are used. */
  readonly simd: boolean;
  /**
   * The estimate for a clip.
   *
   * @param samples mono, -1..1, a tenth of a second or more.
   * @param sampleRate Hz, 1000 to 768000; 16000 if left out. Another rate than the student's is resampled.
   * @throws {VoiceError} "input" or "short".
   */
  estimate(samples: Float32Array, sampleRate?: number): Emotion;
  /**
   * A stream of samples that come from elsewhere than the microphone: a file, a call, your own audio graph.
   *
   * @param sampleRate Hz, 1000 to 768000; 16000 if left out. Another rate than the student's is resampled.
   * @throws {VoiceError} "input".
   */
  stream(sampleRate?: number): Promise<VoiceStream>;
  /**
   * Listen: `for await (const e of voice.microphone())`. Leaving the loop turns the microphone off. An
   * estimate comes every quarter second, from the first second on, and looks at the last 1.5 to 3 s. The
   * student runs in the audio thread; nothing is stored, nothing leaves the page.
   */
  microphone(): Microphone;
}

/**
 * Fetch and compile the student.
 *
 * @param options.base address of the folder with the package's `edgeemo.wasm`, `edgeemo-simd.wasm`,
 *   `student.bin` and `worklet.js`, if they do not lie beside the package's module.
 * @throws {VoiceError} "unsupported", "policy", "download" or "damaged".
 */
export function load(options?: { base?: string | URL }): Promise<Voice>;
