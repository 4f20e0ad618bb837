/** What went wrong, in one line with the remedy; `code` is for programs. */
export class VoiceError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "VoiceError";
    this.code = code;
  }
}
