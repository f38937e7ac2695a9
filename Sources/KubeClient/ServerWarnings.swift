import Logging
import NIOHTTP1
import Synchronization

/// Logs what the API server warns of (`Warning: 299 - "..."`), such as deprecated versions and unknown fields: each
/// text once, as client-go does for controllers.
final class ServerWarnings: Sendable {
    private static let maximumTexts = 1000
    private let logger: Logger
    private let seen = Mutex<Set<String>>([])

    init(logger: Logger) { self.logger = logger }

    func take(from headers: HTTPHeaders, of call: HTTPCall) {
        guard headers.contains(name: "warning") else { return }
        for header in headers["warning"] {
            for text in Self.texts(in: header) {
                let isNew = seen.withLock { seen in
                    // Full means that the texts differ for ever; better silent than a flood.
                    seen.count < Self.maximumTexts && seen.insert(text).inserted
                }
                if isNew {
                    logger.warning("the API server warns", metadata: ["warning": "\(text)", "request": "\(call.name)"])
                }
            }
        }
    }

    /// The texts of the warnings with code 299 in a header: `299 agent "text"`, several with commas between.
    static func texts(in header: String) -> [String] {
        var texts: [String] = []
        var rest = Substring(header)
        while let open = rest.firstIndex(of: "\"") {
            let isOurs = rest[..<open].split(whereSeparator: { $0 == " " || $0 == "," }).first == "299"
            var text = ""
            var index = rest.index(after: open)
            while index < rest.endIndex, rest[index] != "\"" {
                if rest[index] == "\\", rest.index(after: index) < rest.endIndex { index = rest.index(after: index) }
                text.append(rest[index])
                index = rest.index(after: index)
            }
            guard index < rest.endIndex else { break }
            if isOurs { texts.append(text) }
            rest = rest[rest.index(after: index)...]
            // A date may follow in quotation marks of its own.
            if rest.hasPrefix(" \""), let end = rest.dropFirst(2).firstIndex(of: "\"") {
                rest = rest[rest.index(after: end)...]
            }
        }
        return texts
    }
}
