// app.ts: uses all of the package under `tsc --strict`; the tests call what it leaves on the window.
import { load, VoiceError, type Emotion, type Microphone, type Pause, type Silence, type Voice } from "edgeemo-web";

/** Estimates until there are so many, or until something else than an estimate comes. */
async function listen(microphone: Microphone, count: number): Promise<(Emotion | Silence | Pause)[]> {
  const items: (Emotion | Silence | Pause)[] = [];
  for await (const item of microphone) {
    items.push(item);
    if (items.length === count) break;
    if (item.status === "silent") continue;
    if (item.status !== "listening") break;
    const arousal: number = item.arousal;
    const confidence: number = item.confidence;
    const happiness: number | undefined = item.classes["happiness"];
    if (happiness === undefined || Number.isNaN(arousal + confidence)) throw new Error("no number");
  }
  return items;
}

/** What a promise gives, or the code of its error. */
async function outcome<T>(work: () => Promise<T>): Promise<T | { code: string; message: string }> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VoiceError)) throw error;
    return { code: error.code, message: error.message };
  }
}

export function mistakes(voice: Voice): void {
  // @ts-expect-error: samples are floats
  voice.estimate(new Int16Array(16000));
  // @ts-expect-error: a pause has no numbers
  void (async (item: Emotion | Pause) => item.arousal);
  // @ts-expect-error: nor has silence
  void (async (item: Silence) => item.confidence);
}

declare global {
  interface Window {
    app: { load: typeof load; listen: typeof listen; outcome: typeof outcome };
  }
}
window.app = { load, listen, outcome };
