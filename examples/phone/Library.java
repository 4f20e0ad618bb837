package org.edgeemo;

/** The native library. */
final class Library {
    private Library() {}

    /** @throws UnsatisfiedLinkError there is none for this processor; the message says so. */
    static void load() {
        try {
            System.loadLibrary("edgeemo_phone");
        } catch (UnsatisfiedLinkError error) {
            throw new UnsatisfiedLinkError(
                    "edgeemo has no library for this processor (" + System.getProperty("os.arch")
                            + "): " + error.getMessage());
        }
    }
}
