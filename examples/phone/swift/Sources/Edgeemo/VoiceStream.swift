// VoiceStream.swift: a thin wrapper around the C functions. No Swift compiler has seen it yet.
import CEdgeemo

/// An estimate of a stream: how listeners would rate what was said, not what a person feels.
public struct Emotion {
    /// The sound that it looks at, in seconds since the reset.
    public let start: Double
    public let end: Double
    /// Whether somebody speaks; if not, there are no values.
    public let speech: Bool
    /// "arousal" and the others by name, 0..1.
    public let values: [String: Float]
    /// The class to show.
    public let expression: String?
    /// Probability that the estimate is right, 0..1.
    public let confidence: Double
}

/// What the C library says of an error, in one line.
public struct VoiceError: Error {
    public let message: String
}

/// Sound without an end, as from a microphone. One thread at a time.
public final class VoiceStream {
    private let handle: OpaquePointer

    /// Fails if there is no memory, or the self-test fails on this processor.
    public init?() {
        guard let made = edgeemo_phone_stream_new() else { return nil }
        handle = made
    }

    deinit {
        edgeemo_phone_stream_free(handle)
    }

    /// Take samples: 16 kHz, mono, -1..1. Gives the estimates that they complete, often none.
    public func push(_ samples: [Float]) throws -> [Emotion] {
        let most = Int(edgeemo_phone_stream_stride())
        var found: [Emotion] = []
        for at in stride(from: 0, to: samples.count, by: most) {
            let piece = Array(samples[at..<min(at + most, samples.count)])
            let ready = edgeemo_phone_stream_push(handle, piece, Int32(piece.count))
            if ready < 0 { throw VoiceError(message: String(cString: edgeemo_phone_text(ready))) }
            if ready > 0 { found.append(try newest()) }
        }
        return found
    }

    /// Forget what was heard.
    public func reset() {
        edgeemo_phone_stream_reset(handle)
    }

    private func newest() throws -> Emotion {
        var values = [Float](repeating: 0, count: Int(edgeemo_phone_values()))
        var told = [Double](repeating: 0, count: 5)
        let count = edgeemo_phone_stream_estimate(handle, &values, Int32(values.count), &told)
        if count < 0 { throw VoiceError(message: String(cString: edgeemo_phone_text(count))) }
        let speech = told[2] != 0
        let named = speech ? Dictionary(uniqueKeysWithValues: zip(values.indices.map(name), values)) : [:]
        return Emotion(
            start: told[0], end: told[1], speech: speech, values: named,
            expression: told[3] < 0 ? nil : name(Int(told[3])), confidence: told[4])
    }

    private func name(_ value: Int) -> String {
        String(cString: edgeemo_phone_name(Int32(value)))
    }
}
