// record.js: loaded into the audio worklet's scope before the package's own file: whatever the processor gets
// is posted to the page, too.
const register = registerProcessor;
globalThis.registerProcessor = (name, Type) =>
  register(
    name,
    class extends Type {
      process(inputs, outputs, parameters) {
        if (inputs[0].length) this.port.postMessage({ record: inputs[0][0].slice() });
        return super.process(inputs, outputs, parameters);
      }
    },
  );
