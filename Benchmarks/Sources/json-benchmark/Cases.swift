import Glibc
import KubeCore
import KubeJSON

/// The Swift side's cases; `run-json` puts each beside its client-go counterpart.
enum Cases {
    static let all: [String: @Sendable (String) throws -> Measurement.Outcome] = [
        "list-streamed-selected": { try streamed($0, keeping: WatchedFields.pods) },
        "list-streamed-whole": { try streamed($0, keeping: .whole) },
        "list-in-memory-selected": { try inMemory($0, keeping: WatchedFields.pods) },
        "list-typed": { try typed($0) },
        "list-skipped": { try skipped($0) },
        "watch-selected": { try watch($0, keeping: WatchedFields.pods) },
        "watch-whole": { try watch($0, keeping: .whole) },
        "encode": { try encode($0) },
    ]

    private static func streamed(_ file: String, keeping: FieldSelection) throws -> Measurement.Outcome {
        var reader = JSONListReader(keeping: keeping)
        try InputFile.chunks(file, size: 64 << 10) { try reader.feed($0.span) }
        let list = try reader.finish()
        return (list["items"]?.array?.count ?? 0, list, [])
    }

    private static func inMemory(_ file: String, keeping: FieldSelection) throws -> Measurement.Outcome {
        let bytes = try InputFile.whole(file)
        var reader = JSONListReader(keeping: keeping)
        try reader.feed(bytes.span)
        let list = try reader.finish()
        return (list["items"]?.array?.count ?? 0, list, [])
    }

    private static func typed(_ file: String) throws -> Measurement.Outcome {
        var consumer = SlimPods()
        var framer = ListFramer()
        try InputFile.chunks(file, size: 64 << 10) { try framer.feed($0.span, to: &consumer) }
        try framer.finish(to: &consumer)
        return (consumer.pods.count, consumer.pods, [])
    }

    private static func skipped(_ file: String) throws -> Measurement.Outcome {
        struct Skip: ListConsumer {
            var count = 0
            mutating func item(_ scanner: inout JSONScanner) throws(JSONFailure) {
                try scanner.skip()
                count += 1
            }
            mutating func member(_ name: String, _ scanner: inout JSONScanner) throws(JSONFailure) {
                try scanner.skip()
            }
        }
        var (consumer, framer) = (Skip(), ListFramer())
        try InputFile.chunks(file, size: 64 << 10) { try framer.feed($0.span, to: &consumer) }
        try framer.finish(to: &consumer)
        return (consumer.count, (), [])
    }

    private static func watch(_ file: String, keeping: FieldSelection) throws -> Measurement.Outcome {
        var reader = JSONEventReader(keeping: keeping)
        var latencies: [Double] = []
        var names = 0
        var line: [UInt8] = []
        func take(_ bytes: UnsafeBufferPointer<UInt8>) throws {
            let start = Measurement.now()
            let event = try reader.read(bytes.span)
            if event.type == "MODIFIED", let object = event.object {
                names += KubeObject(json: object).name.isEmpty ? 0 : 1
            }
            latencies.append((Measurement.now() - start) * 1e6)
        }
        try InputFile.chunks(file, size: 64 << 10) { chunk in
            var rest = chunk
            while let base = rest.baseAddress, let found = memchr(base, 0x0A, rest.count) {
                let length = UnsafeRawPointer(found) - UnsafeRawPointer(base)
                let part = UnsafeBufferPointer(rebasing: rest[..<length])
                if line.isEmpty {
                    try take(part)
                } else {
                    line.append(contentsOf: part)
                    try line.withUnsafeBufferPointer(take)
                    line.removeAll(keepingCapacity: true)
                }
                rest = UnsafeBufferPointer(rebasing: rest[(length + 1)...])
            }
            line.append(contentsOf: rest)
        }
        return (names, (), latencies)
    }

    /// Canonical JSON and its FNV-1a hash of every canary's pod template: the release engine's change detection.
    private static func encode(_ file: String) throws -> Measurement.Outcome {
        let list = try JSONValue.parse(try InputFile.whole(file))
        let templates = (list["items"]?.array ?? []).compactMap { $0[path: "spec", "template"] }
        var latencies: [Double] = []
        var hash: UInt64 = 0
        for template in templates {
            let start = Measurement.now()
            hash ^= template.serializedBytes().reduce(14_695_981_039_346_656_037) {
                ($0 ^ UInt64($1)) &* 1_099_511_628_211
            }
            latencies.append((Measurement.now() - start) * 1e6)
        }
        return (hash == 0 ? 0 : templates.count, (), latencies)
    }
}
